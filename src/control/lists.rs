//! What the administrator has decided about lists of recipients that a message carries,
//! K-5, K-7, S-8, U-9, X-5.

use crate::sip::HeaderName;
use crate::sip::header::full_form;

/// What becomes of a list in a message to a stored group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupWithList {
    /// The message is refused.
    #[default]
    Reject,
    /// It goes to the members that the list names.
    Intersect,
    /// It goes to the members and to those whom the list names besides.
    Union,
}

/// How lists of recipients are read, and what their recipients learn of each other.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    /// Whether the URI parameter `list` of the Request-URI points at a list.
    pub draft_parameter: bool,
    /// Whether a bcc recipient finds his own entry in the history (K-5).
    pub shows_own_bcc: bool,
    /// Whether messages to stored groups have a history too (K-7).
    pub group_history: bool,
    /// Whether one entry that cannot be sent to refuses the message.
    pub rejects_bad_entries: bool,
    /// Whether addresses of machines are recipients (S-8).
    pub literal_targets: bool,
    /// The header fields that an entry's URI may set (U-9), in their full form.
    pub uri_headers: Vec<String>,
    /// What becomes of a list in a message to a stored group.
    pub group_with_list: GroupWithList,
}

impl Lists {
    /// The header field of `uri_headers` that `name` stands for, in any case or compact.
    pub(super) fn uri_header(&self, name: &[u8]) -> Option<&str> {
        let name = full_form(name);
        let mut allowed = self.uri_headers.iter().map(String::as_str);
        allowed.find(|allowed| name.eq_ignore_ascii_case(allowed.as_bytes()))
    }
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
