//! The table of answers to refused messages. Whoever refuses has the rows of its own reasons: the checks
//! ([`Reason`](super::Reason)), the queue and the ledger; the server joins them.

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The name of the reason, in the words of its enum.
    pub name: &'static str,
    /// The status code.
    pub code: u16,
    /// The requirement that asks for the refusal.
    pub requirement: &'static str,
    /// The text of the Warning header, the same whatever the message said (S-9).
    pub warning: &'static str,
    /// What it means, for the documentation.
    pub meaning: &'static str,
}

/// Why a message is refused.
pub trait RefusalReason: Copy {
    /// The row of the reason.
    fn row(self) -> Row;

    /// Header fields that the answer always has beside Warning, each with its CRLF.
    fn headers(self) -> &'static [u8] {
        b""
    }

    /// The start of the header field in which the answer names what was refused.
    fn header_of_named(self) -> &'static [u8] {
        b"Unsupported: "
    }

    /// The status code.
    fn code(self) -> u16 {
        self.row().code
    }

    /// The text of the Warning header.
    fn warning(self) -> &'static str {
        self.row().warning
    }
}

/// Declares an enum of reasons, `ALL` of them, and `table_row()` of each.
macro_rules! refusal_reasons {
    (
        $(#[doc = $of_all:literal])+ $reasons:ident;
        $($(#[doc = $doc:literal])+ $name:ident: $code:literal, $requirement:literal, $warning:literal;)+
    ) => {
        $(#[doc = $of_all])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $reasons {
            $($(#[doc = $doc])+ $name,)+
        }

        impl $reasons {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            fn table_row(self) -> $crate::control::Row {
                match self {
                    $(Self::$name => $crate::control::Row {
                        name: stringify!($name),
                        code: $code,
                        requirement: $requirement,
                        warning: $warning,
                        meaning: concat!($($doc),+).trim_ascii(),
                    },)+
                }
            }
        }
    };
}
pub(crate) use refusal_reasons;

/// The reason phrase of a status code that this function answers with (RFC 3261 §21).
pub fn phrase(code: u16) -> &'static str {
    match code {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        440 => "Max-Breadth Exceeded",
        470 => "Consent Needed",
        481 => "Call/Transaction Does Not Exist",
        480 => "Temporarily Unavailable",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        503 => "Service Unavailable",
        _ => "Server Internal Error",
    }
}
