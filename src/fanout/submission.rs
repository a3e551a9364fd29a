//! A message that is to be sent, before there is room for it.

#![forbid(unsafe_code)]

use super::clock::milliseconds;
use crate::control::{Accepted, Copies, CopyIdentifiers, FromHeader, Shared};
use std::time::SystemTime;

/// What all forks of a message share, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// The originator's address.
    pub originator: &'a [u8],
    /// The URI of the group or service.
    pub group: &'a [u8],
    /// From without its tag.
    pub from: FromHeader<'a>,
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

impl<'a> Submission<'a> {
    /// What a message says that is accepted now, in this request.
    pub fn of(
        accepted: &'a Accepted<'_>,
        request: &'a [u8],
        now: SystemTime,
        seed: [u8; 16],
    ) -> Self {
        Self {
            originator: &accepted.originator,
            group: accepted.group.uri().as_bytes(),
            from: FromHeader::with_place(&accepted.from, accepted.from_uri),
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

    /// What its copies are made from.
    pub fn copies(&self) -> Copies<'a> {
        Copies {
            shared: Shared {
                from: self.from,
                headers: self.headers,
                charging: self.charging,
                body: self.body,
                entry_at: self.entry_at as usize,
                needs_stream: self.needs_stream,
            },
            identifiers: CopyIdentifiers::of(self.seed),
        }
    }

    pub(super) fn texts(&self) -> [&'a [u8]; 7] {
        [
            self.originator,
            self.group,
            self.from.text(),
            self.headers,
            self.charging,
            self.body,
            self.request,
        ]
    }
}
