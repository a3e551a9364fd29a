//! What the sender prefers of the recipients' devices, RFC 3841: copied only where the administrator
//! wants it, since it narrows down who gets the message (F-6).

use super::policy::Policy;
use crate::sip::accept_contact::is_other;
use crate::sip::header::full_form;
use crate::sip::message::Header;
use crate::sip::text::{Nesting, split, trim, unfold};
use crate::sip::{HeaderName, Malformed, Request};

/// Whether a header field is such a preference and is copied as it is.
pub(super) fn is_copied(header: &Header<'_>, policy: &Policy) -> bool {
    let name = full_form(header.written);
    let names: [&[u8]; 2] = [b"Reject-Contact", b"Request-Disposition"];
    policy.copies_preferences && names.iter().any(|one| one.eq_ignore_ascii_case(name))
}

/// Writes the other values of Accept-Contact, each with its CRLF: not those that speak of the tags of
/// the configuration, as the forks have one of their own.
pub(super) fn write_others(
    request: &Request<'_>,
    policy: &Policy,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    if !policy.copies_preferences {
        return Ok(());
    }
    let part = HeaderName::AcceptContact.as_str();
    let tags: Vec<_> = policy.features.iter().map(|feature| &feature.tag).collect();
    for row in request.rows(HeaderName::AcceptContact) {
        for value in split(part, row, b',', Nesting::Quotes) {
            let value = trim(value?);
            if is_other(value, &tags) {
                out.extend_from_slice(b"Accept-Contact: ");
                unfold(part, value, out)?;
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    Ok(())
}
