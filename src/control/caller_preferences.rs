//! Caller preferences of the copies, RFC 3841: their Accept-Contact; and what the sender prefers of the recipients'
//! devices besides, copied only where the administrator wants it, since it narrows down who gets the message (F-6).

use super::observer::Note;
use super::policy::Policy;
use crate::sip::accept_contact::{self, is_other};
use crate::sip::header::full_form;
use crate::sip::message::Header;
use crate::sip::text::{Nesting, split, unfold};
use crate::sip::{HeaderName, Malformed, Request};

/// Accept-Contact of the copies with its CRLF: that of the feature tag by which the message is ours, where it has one.
pub(super) fn accept_contact(feature: Option<usize>, policy: &Policy) -> &[u8] {
    let feature = feature.and_then(|at| policy.settings.feature_tags.get(at));
    feature.map_or(b"", |feature| &feature.accept_contact)
}

/// Whether a header field is such a preference and is copied where it names nobody.
pub(super) fn is_preference(header: &Header<'_>, policy: &Policy) -> bool {
    let name = full_form(header.written);
    let names: [&[u8]; 2] = [b"Reject-Contact", b"Request-Disposition"];
    policy.settings.copy_prefs && names.iter().any(|one| one.eq_ignore_ascii_case(name))
}

/// Whether a preference may name somebody, as `+sip.instance` names a device (I-6): one that only says
/// which features there are has no values.
pub(super) fn may_name(header: &Header<'_>) -> bool {
    let name = full_form(header.written);
    name.eq_ignore_ascii_case(b"Reject-Contact") && has_values(header.value)
}

fn has_values(text: &[u8]) -> bool {
    text.contains(&b'=')
}

/// Writes the other values of Accept-Contact, each with its CRLF: not those that speak of the tags of
/// the configuration, as the forks have one of their own, and not those that may name somebody who
/// stays `anonymous`.
pub(super) fn write_others(
    request: &Request<'_>,
    policy: &Policy,
    anonymous: bool,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    if !policy.settings.copy_prefs {
        return Ok(());
    }
    for row in request.rows(HeaderName::AcceptContact) {
        for value in others(row, policy) {
            if anonymous && has_values(value) {
                continue;
            }
            out.extend_from_slice(b"Accept-Contact: ");
            unfold(PART, value, out)?;
            out.extend_from_slice(b"\r\n");
        }
    }
    Ok(())
}

const PART: &str = "Accept-Contact";

/// The first value of Accept-Contact that would be copied if it could be read.
pub(super) fn unreadable(request: &Request<'_>, policy: &Policy) -> Option<Malformed> {
    let mut rows = request
        .rows(HeaderName::AcceptContact)
        .filter(|_| policy.settings.copy_prefs);
    rows.find_map(accept_contact::unreadable)
}

/// The values of a row of Accept-Contact that speak of none of the tags of the configuration.
fn others<'m>(row: &'m [u8], policy: &Policy) -> impl Iterator<Item = &'m [u8]> {
    let tags: Vec<_> = policy
        .settings
        .feature_tags
        .iter()
        .map(|feature| &feature.tag)
        .collect();
    split(PART, row, b',', Nesting::Quotes)
        .filter_map(Result::ok)
        .filter(move |value| is_other(value, &tags))
}

/// What is told of a row of Accept-Contact that has such values.
pub(super) fn note(header: &Header<'_>, policy: &Policy) -> Option<Note> {
    if !policy.settings.copy_prefs || header.name != HeaderName::AcceptContact {
        return None;
    }
    let text = "copied but for what it says of `feature_tags` (copy_prefs)";
    let mut others = others(header.value, policy);
    others.next().map(|_| Note::taken(PART, text))
}
