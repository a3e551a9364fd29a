//! A message that is to be sent, before there is room for it.

#![forbid(unsafe_code)]

use super::clock::milliseconds;
use crate::control::Accepted;
use std::time::SystemTime;

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
    /// Where in the body the own entry of a recipient stands.
    pub entry_at: u32,
    /// Whether the forks have to go by a transport that avoids congestion (M-2).
    pub needs_stream: bool,
    /// The most forks that wait for their final responses at once (U-6); at least 1.
    pub window: u32,
    /// The most forks in flight, those included that have been silent for longer than `patience` and are not counted
    /// in the window, where Max-Breadth bounds them.
    pub most_at_once: Option<u32>,
    /// The millisecond of Unix time at which it was accepted.
    pub accepted_at: u64,
    /// The millisecond of Unix time at which it expires; 0 for never.
    pub expires_at: u64,
    /// Random bytes, from which the forks' identifiers are made.
    pub seed: [u8; 16],
    /// Whether the originator stays anonymous: only the proxy may know who it is.
    pub anonymous: bool,
    /// The request that it came in, for a ledger; empty where none is kept. The queue does not look into it.
    pub request: &'a [u8],
}

/// What one recipient has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own<'a> {
    /// The address: Request-URI and To.
    pub address: &'a [u8],
    /// Header fields, each with its CRLF; mostly none.
    pub headers: &'a [u8],
    /// Whether the body has an entry for this recipient (K-5).
    pub has_entry: bool,
}

impl<'a> Own<'a> {
    /// A recipient with nothing but an address.
    pub fn plain(address: &'a [u8]) -> Self {
        Self {
            address,
            headers: b"",
            has_entry: false,
        }
    }
}

impl<'a> Submission<'a> {
    /// What a message says that is accepted now, in this request.
    pub fn of(accepted: &'a Accepted, request: &'a [u8], now: SystemTime, seed: [u8; 16]) -> Self {
        Self {
            originator: &accepted.originator,
            group: accepted.group.uri().as_bytes(),
            from: &accepted.from,
            headers: &accepted.headers,
            charging: &accepted.charging,
            body: &accepted.body,
            entry_at: accepted.own.entry_at.unwrap_or_default() as u32,
            needs_stream: accepted.needs_stream,
            window: accepted.window,
            most_at_once: accepted.most_at_once,
            accepted_at: milliseconds(now),
            expires_at: accepted.expires_at.map_or(0, milliseconds),
            seed,
            anonymous: accepted.anonymous,
            request,
        }
    }

    /// Those who get an accepted message.
    pub fn recipients(accepted: &'a Accepted) -> impl Iterator<Item = Own<'a>> {
        accepted.recipients().map(|recipient| Own {
            address: recipient.address,
            headers: accepted.own.headers.of(recipient.number),
            has_entry: accepted.own.has_entry(recipient.number),
        })
    }

    pub(super) fn texts(&self) -> [&'a [u8]; 7] {
        [
            self.originator,
            self.group,
            self.from,
            self.headers,
            self.charging,
            self.body,
            self.request,
        ]
    }
}
