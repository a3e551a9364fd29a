//! What every fork of a message shares: clause 7.5.2.x, RFC 3428 §4 and §7.

use super::copying::is_copied;
use super::expiry::Lifetime;
use super::policy::Policy;
use crate::sip::header::full_form;
use crate::sip::identity::AssertedIdentity;
use crate::sip::number::write_decimal;
use crate::sip::text::unfold;
use crate::sip::{HeaderName, Malformed, Request};
use std::time::SystemTime;

/// The header field that clause 7.5.2.x step 2 asks for.
pub const ACCEPT_CONTACT: &[u8] = b"Accept-Contact: *;+g.oma.sip-im;require;explicit\r\n";

/// Max-Forwards of a fork whose request had none (RFC 3261 §8.1.1.6).
const DEFAULT_MAX_FORWARDS: u8 = 70;

/// Writes the header fields that all forks share, each with its CRLF.
pub fn shared_headers(
    request: &Request<'_>,
    policy: &Policy,
    max_forwards: Option<u8>,
    identity: &AssertedIdentity<'_>,
    lifetime: Lifetime,
    now: SystemTime,
) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(512);
    let hops = max_forwards.map_or(DEFAULT_MAX_FORWARDS, |hops| hops.saturating_sub(1));
    out.extend_from_slice(b"Max-Forwards: ");
    write_decimal(usize::from(hops), &mut out);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&policy.route_header);
    if policy.trusted_next_hop {
        write_identity(identity, &mut out)?;
    }
    out.extend_from_slice(ACCEPT_CONTACT);
    for header in request.headers() {
        if is_copied(header, &policy.copy_headers) {
            let name = match header.name {
                HeaderName::Other => full_form(header.written),
                known => known.as_str().as_bytes(),
            };
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            unfold(header.name.as_str(), header.value, &mut out)?;
            out.extend_from_slice(b"\r\n");
        }
    }
    if lifetime == Lifetime::NeedsDate {
        let date = httpdate::fmt_http_date(now);
        out.extend_from_slice(format!("Date: {date}\r\n").as_bytes());
    }
    Ok(out)
}

/// The identity of the originator, for a next hop inside the trust domain (I-3).
fn write_identity(identity: &AssertedIdentity<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    for (index, address) in identity.addresses.iter().enumerate() {
        out.extend_from_slice(if index == 0 {
            b"P-Asserted-Identity: "
        } else {
            b", "
        });
        address.write(out)?;
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}
