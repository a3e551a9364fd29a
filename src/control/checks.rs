//! The checks of table A.1 in their order: row, step of the change request, requirements and the
//! question that each answers, in one table.
//!
//! A new check gets a row here, and `observer.check(Check::…)` where it starts.

/// Declares the checks and their table in one.
macro_rules! checks {
    ($($(#[doc = $doc:literal])+ $name:ident: $key:literal, $row:literal, $step:expr, $requirement:literal;)+) => {
        /// What is asked of a message, in the order of the procedure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Check {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Check {
            /// All checks.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            const fn entry(self) -> Entry {
                match self {
                    $(Self::$name => Entry {
                        key: $key,
                        row: $row,
                        step: $step,
                        requirement: $requirement,
                        question: concat!($($doc),+),
                    },)+
                }
            }
        }
    };
}

/// One row of the table.
struct Entry {
    key: &'static str,
    row: &'static str,
    step: Option<u8>,
    requirement: &'static str,
    question: &'static str,
}

checks! {
    /// Is it a SIP request with the method MESSAGE?
    Method: "method", "2", None, "A-1";
    /// Does Accept-Contact ask for a feature tag of `feature_tags`?
    FeatureTag: "feature-tag", "2", None, "A-1, F-1 to F-4";
    /// Is the Request-URI in one of `domains`?
    Domain: "domain", "2", None, "A-6";
    /// Is it for a group or service, where `untagged` and `unknown_group` leave others to the script?
    Ownership: "ownership", "5", None, "A-1, A-6";
    /// Is the message well formed?
    WellFormed: "well-formed", "1", None, "RFC 3261 §8.1.1 and §18.3, F-5";
    /// Is it outside of any dialog (To without a tag)?
    Dialog: "dialog", "3", None, "RFC 3261 §12.2.2";
    /// Has the same request not come before?
    Retransmission: "repetition", "3", None, "H-3, RFC 3261 §8.2.2.2";
    /// May it travel on (Max-Forwards)?
    Hops: "hops", "3", None, "U-5, RFC 7332 §5";
    /// May it be spread at all (Max-Breadth)?
    Breadth: "breadth", "3", None, "U-6, RFC 5393 §5.3.3";
    /// Is pager mode switched on for the server?
    PagerMode: "pager-mode", "4", Some(1), "A-2";
    /// Is the Request-URI a group or a service of this server?
    Target: "target", "5", Some(2), "A-3, A-5, A-6";
    /// Is pager mode switched on for this group or service?
    TargetPagerMode: "target-pager-mode", "5", Some(1), "A-2";
    /// Is every option that Require names understood, and the one of services named where `strict_require` asks for it?
    Require: "require", "6", None, "U-3, RFC 3261 §8.2.2.3";
    /// Who is the originator, and who says so?
    Identity: "identity", "7", Some(3), "A-7, I-1, I-2";
    /// Is From the originator's, where that is asked for?
    From: "from", "7", Some(3), "I-4";
    /// May the originator send to this group or service?
    Authorisation: "authorisation", "7", Some(3), "A-7, G-3, G-4";
    /// Is no anonymity wanted, or is it allowed?
    Anonymity: "anonymity", "8", Some(4), "A-8, I-5, I-6";
    /// Has the message not expired?
    Lifetime: "lifetime", "10", None, "M-4";
    /// Has the body a type?
    BodyType: "body-type", "10", None, "M-1";
    /// Is it no disposition notification?
    Notification: "notification", "10", None, "M-9, RFC 5438 §8.3";
    /// Are the body and its list of recipients usable?
    List: "list", "10", None, "A-15, U-1, U-2, U-7, M-6, X-1 to X-5";
    /// Who are the members?
    Members: "members", "11", Some(5), "C-1 to C-3, X-5, H-4, S-8";
    /// Does the list of recipients keep within the limits?
    ListLength: "list-length", "12", None, "S-3";
    /// May the service send to everybody whom the list names?
    ListedRecipients: "listed-recipients", "12", None, "H-4, S-3, U-12";
    /// Can the body go on without its lists, and with a history of those whom all may see?
    Body: "body", "10", None, "U-7, K-2 to K-7";
    /// Can everything that copies carry be copied?
    Content: "content", "10", None, "H-1, H-2, S-7, I-3, N-4 to N-7";
    /// Are the copies UTF-8 throughout and not encoded, where `utf8_only` asks for it?
    Text: "text", "10", None, "RFC 6455 §5.6";
    /// Is there at least one recipient, with or without the originator?
    AnyRecipient: "any-recipient", "11", Some(5), "A-9";
    /// Is the largest copy no longer than 1300 bytes, or may it be (`large_ok`)?
    Size: "size", "9", None, "M-2, RFC 3428 §8";
    /// Has it not come back from another server, where `loop_cache` asks for it?
    Loop: "loop", "3", None, "H-5";
}

impl Check {
    /// The name that stays the same, for machines.
    pub fn key(self) -> &'static str {
        self.entry().key
    }

    /// The row of table A.1.
    pub fn row(self) -> &'static str {
        self.entry().row
    }

    /// The step of the change request's clause 7.5.1, for the checks that it numbers.
    pub fn step(self) -> Option<u8> {
        self.entry().step
    }

    /// The requirements behind it.
    pub fn requirement(self) -> &'static str {
        self.entry().requirement
    }

    /// What it asks, in one sentence.
    pub fn question(self) -> &'static str {
        self.entry().question.trim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_check_has_a_key_of_its_own_and_asks_a_question() {
        let keys: HashSet<_> = Check::ALL.iter().map(|check| check.key()).collect();
        assert_eq!(keys.len(), Check::ALL.len());
        for check in Check::ALL {
            assert!(check.question().ends_with('?'), "{check:?}");
            assert!(check.row().parse::<u8>().is_ok(), "{check:?}");
        }
    }
}
