//! Where a fork goes.

#![forbid(unsafe_code)]

use crate::control::Fork;
use crate::control::size::by_stream;
use crate::server::Server;
use crate::sip::Uri;
use std::borrow::Cow;

/// The URI of the next hop of a fork; empty for its own Request-URI.
pub fn next_hop<'s>(server: &'s Server, fork: &Fork<'_>) -> Cow<'s, str> {
    if !fork.needs_stream() {
        return Cow::Borrowed(server.next_hop());
    }
    match Uri::parse(fork.recipient) {
        Ok(Uri::Sip(recipient)) if server.next_hop().is_empty() => {
            Cow::Owned(by_stream(&recipient))
        }
        _ => Cow::Borrowed(server.stream_next_hop()),
    }
}
