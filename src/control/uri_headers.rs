//! The header fields that an entry of a list may set for its recipient: `uri_headers`, S-7, U-9.

use crate::sip::HeaderName;
use crate::sip::header::full_form;

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
    super::copying::may_be_copied(name)
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
