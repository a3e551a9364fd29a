//! What every fork of a message shares: clause 7.5.2.x, RFC 3428 §4 and §7.

use super::expiry::Lifetime;
use super::passage::Passage;
use crate::sip::header::full_form;
use crate::sip::message::Header;
use crate::sip::number::write_decimal;
use crate::sip::text::unfold;
use crate::sip::{HeaderName, Malformed, Request};
use std::time::SystemTime;

/// Max-Forwards of a fork whose request had none (RFC 3261 §8.1.1.6).
const DEFAULT_MAX_FORWARDS: u8 = 70;

/// Writes the header fields that all forks share, each with its CRLF.
pub(super) fn shared_headers(
    request: &Request<'_>,
    passage: &Passage<'_, '_>,
    accept_contact: &[u8],
    max_forwards: Option<u8>,
    lifetime: Lifetime,
    now: SystemTime,
    content: Option<&[u8]>,
) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(512);
    let hops = max_forwards.map_or(DEFAULT_MAX_FORWARDS, |hops| hops.saturating_sub(1));
    out.extend_from_slice(b"Max-Forwards: ");
    write_decimal(usize::from(hops), &mut out);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&passage.policy.route_header);
    passage.write_assertions(request, &mut out)?;
    out.extend_from_slice(accept_contact);
    for header in request.headers() {
        if passage.copies(header) && !(content.is_some() && is_of_content(header)) {
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
    out.extend_from_slice(content.unwrap_or_default());
    if lifetime == Lifetime::NeedsDate {
        let date = httpdate::fmt_http_date(now);
        out.extend_from_slice(format!("Date: {date}\r\n").as_bytes());
    }
    Ok(out)
}

/// Whether a header field tells of the body, so that another body has others.
pub(super) fn is_of_content(header: &Header<'_>) -> bool {
    let name = full_form(header.written);
    let is_content = name.get(..8);
    is_content.is_some_and(|start| start.eq_ignore_ascii_case(b"Content-"))
}
