//! A message that is to be sent, before there is room for it.

#![forbid(unsafe_code)]

use crate::control::Accepted;

/// What all forks of a message share, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// The originator's address.
    pub originator: &'a [u8],
    /// The URI of the group or service.
    pub group: &'a [u8],
    /// From without its tag.
    pub from: &'a [u8],
    /// The header fields that all forks share, each with its CRLF.
    pub headers: &'a [u8],
    /// What follows the charging identifier of each fork; empty if there is none.
    pub charging: &'a [u8],
    /// The body.
    pub body: &'a [u8],
    /// Where in the body the recipients' own bytes go.
    pub insert_at: u32,
    /// Max-Breadth of the message, if it had one (U-6).
    pub max_breadth: Option<u32>,
    /// The millisecond of Unix time at which it expires; 0 for never.
    pub expires_at: u64,
    /// Random bytes, from which the forks' identifiers are made.
    pub seed: [u8; 16],
}

/// What one recipient has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own<'a> {
    /// The address: Request-URI and To.
    pub address: &'a [u8],
    /// Header fields, each with its CRLF; mostly none.
    pub headers: &'a [u8],
    /// Bytes that are inserted into the body; mostly none.
    pub body: &'a [u8],
}

impl<'a> Own<'a> {
    /// A recipient with nothing but an address.
    pub fn plain(address: &'a [u8]) -> Self {
        Self {
            address,
            headers: b"",
            body: b"",
        }
    }
}

impl<'a> Submission<'a> {
    /// What an accepted message says.
    pub fn of(accepted: &'a Accepted, seed: [u8; 16]) -> Self {
        Self {
            originator: &accepted.originator,
            group: accepted.group.uri().as_bytes(),
            from: &accepted.from,
            headers: &accepted.headers,
            charging: &accepted.charging,
            body: &accepted.body,
            insert_at: 0,
            max_breadth: None,
            expires_at: 0,
            seed,
        }
    }

    pub(super) fn texts(&self) -> [&'a [u8]; 6] {
        [
            self.originator,
            self.group,
            self.from,
            self.headers,
            self.charging,
            self.body,
        ]
    }
}
