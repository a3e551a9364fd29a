//! The header fields that an entry of a list may set for its recipient: `uri_headers`, S-7, U-9.

use super::copying::may_be_copied;
use super::policy::Policy;
use crate::sip::escape::escaped_byte;
use crate::sip::header::full_form;
use crate::sip::{HeaderName, SipUri};

/// The header field of `uri_headers` that `name` stands for, in any case or compact.
pub(super) fn uri_header<'a>(uri_headers: &'a [String], name: &[u8]) -> Option<&'a str> {
    let name = full_form(name);
    let mut allowed = uri_headers.iter().map(String::as_str);
    allowed.find(|allowed| name.eq_ignore_ascii_case(allowed.as_bytes()))
}

/// Header fields that no URI may set beside those that are never copied: they say what the sender can
/// do, what the body is, and how long the message counts (RFC 3261 §19.1.5).
const NOT_OF_URIS: [&str; 12] = [
    "Accept-Encoding",
    "Accept-Language",
    "Allow",
    "Contribution-ID",
    "Conversation-ID",
    "Date",
    "Expires",
    "MIME-Version",
    "Organization",
    "Reply-To",
    "Supported",
    "Timestamp",
];

/// Whether the configuration may let URIs set the header field `name`.
pub fn may_be_in_uri(name: &str) -> bool {
    let is_content = name
        .get(..8)
        .is_some_and(|start| start.eq_ignore_ascii_case("Content-"));
    may_be_copied(name)
        && !is_content
        && !NOT_OF_URIS
            .iter()
            .any(|never| never.eq_ignore_ascii_case(name))
}

/// Whether `value` may be that of the header field `name` (S-7): no control character, and where
/// the header field is a token, one.
pub(super) fn is_header_value(name: &str, value: &str) -> bool {
    let is_token = HeaderName::of(name.as_bytes()) == HeaderName::Priority;
    !value.chars().any(char::is_control)
        && (!is_token || crate::sip::text::is_token(value.as_bytes()))
}

/// The header fields that a URI sets and may set (U-9): the name as the configuration has it, and the
/// value with its escapes undone, or `None` where that is no text.
pub(super) fn set_by<'u>(
    sip: &SipUri<'u>,
    policy: &'u Policy,
) -> impl Iterator<Item = (&'u str, Option<String>)> {
    let pieces = sip.headers.split(|&byte| byte == b'&');
    pieces.filter_map(|piece| {
        let at = memchr::memchr(b'=', piece)?;
        let name = uri_header(&policy.settings.uri_headers, &unescaped(&piece[..at]))?;
        let value = String::from_utf8(unescaped(&piece[at + 1..])).ok();
        Some((name, value.map(|value| value.trim().to_owned())))
    })
}

/// A text with its `%HH` undone.
pub(super) fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let escaped = escaped_byte(&text[at..]);
        out.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    out
}
