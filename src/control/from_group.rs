//! Copies that come from the group, so that phones file them in the group's conversation and an
//! answer goes to the group: `fork_from=group` (U-4, I-3), and how they name the sender then:
//! `sender_label`.
//!
//! The name is the one that the group's list stores, else the user part of the authenticated address.
//! It is never one that the sender has written: a member could write as another.

use super::group::Group;
use super::originator::OwnMembers;
use super::policy::Policy;
use crate::config::{ForkFrom, SenderLabel};
use crate::sip::identity::AssertedIdentity;
use crate::sip::media_type::MediaType;
use crate::sip::uri::Uri;
use crate::sip::{HeaderName, Request};
use std::borrow::Cow;

/// Longer names would push the text of a message off a phone's screen.
const MAX_NAME: usize = 64;

/// From and label of copies that come from a group.
pub(super) struct FromGroup<'a> {
    group: &'a str,
    /// Nothing where the sender stays anonymous.
    name: Option<String>,
    label: SenderLabel,
}

impl<'a> FromGroup<'a> {
    /// Where the policy wants it. `own` are the members that the sender is.
    pub fn of(
        policy: &Policy,
        group: &'a Group,
        own: &OwnMembers,
        identity: &AssertedIdentity<'_>,
        anonymous: bool,
    ) -> Option<Self> {
        if policy.settings.fork_from == ForkFrom::Originator {
            return None;
        }
        let stored = || own.iter().find_map(|&number| group.name(number)).map(shown);
        let stored = || stored().filter(|name| !name.is_empty());
        let address = || {
            identity
                .addresses
                .first()
                .map(|address| name_of(&address.uri))
        };
        Some(Self {
            group: group.uri(),
            name: (!anonymous).then(|| stored().or_else(address)).flatten(),
            label: policy.settings.sender_label,
        })
    }

    /// From of the copies without its tag.
    pub fn from(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        if let Some(name) = self.name.as_ref().filter(|_| self.label.display_name) {
            out.push(b'"');
            for character in name.chars() {
                if matches!(character, '"' | '\\') {
                    out.push(b'\\');
                }
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            out.extend_from_slice(b"\" ");
        }
        out.push(b'<');
        out.extend_from_slice(self.group.as_bytes());
        out.push(b'>');
        out
    }

    /// Puts the sender's name before the body that `headers` tell of, each with its CRLF, if it is
    /// text that can take it.
    pub fn label(&self, headers: &Request<'_>, body: &mut Cow<'_, [u8]>) {
        let Some(name) = self.name.as_ref().filter(|_| self.label.body) else {
            return;
        };
        let name = match text_of(headers) {
            Some(Charset::Utf8) => Cow::Borrowed(name.as_str()),
            Some(Charset::LikeAscii) => {
                let plain = |character: char| if character.is_ascii() { character } else { '?' };
                Cow::Owned(name.chars().map(plain).collect())
            }
            None => return,
        };
        *body = Cow::Owned([name.as_bytes(), b": ", body].concat());
    }
}

/// The part of a body by which a message that comes back is known (H-5): without the names that
/// servers on the way have put before it.
pub(super) fn unlabelled<'m>(request: &Request<'m>, policy: &Policy) -> &'m [u8] {
    let mut body = request.body;
    let settings = &policy.settings;
    let is_labelled = settings.fork_from == ForkFrom::Group && settings.sender_label.body;
    if !is_labelled || text_of(request).is_none() {
        return body;
    }
    while let Some(at) = label_length(body) {
        body = &body[at..];
    }
    body
}

/// How long what looks like a label at the start of a text is.
fn label_length(text: &[u8]) -> Option<usize> {
    // A name's characters have four bytes at most.
    let start = &text[..text.len().min(4 * MAX_NAME + 2)];
    let colon = memchr::memchr(b':', start)?;
    let name = &start[..colon];
    let is_name = !name.is_empty() && !name.iter().any(u8::is_ascii_control);
    (is_name && start.get(colon + 1) == Some(&b' ')).then_some(colon + 2)
}

/// How a text is encoded, as far as a name can stand before it.
enum Charset {
    Utf8,
    /// Bytes below 0x80 are ASCII.
    LikeAscii,
}

/// The charset of a body that is plain text as it stands; nothing for any other body.
fn text_of(headers: &Request<'_>) -> Option<Charset> {
    let media = MediaType::parse(headers.value(HeaderName::ContentType)?).ok()?;
    let is_encoded = headers
        .value(HeaderName::ContentEncoding)
        .is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity"));
    let transfer = headers.value(HeaderName::ContentTransferEncoding);
    let is_plain = transfer.is_none_or(|encoding| {
        let plain: [&[u8]; 3] = [b"7bit", b"8bit", b"binary"];
        plain.iter().any(|name| encoding.eq_ignore_ascii_case(name))
    });
    if !media.is("text", "plain") || is_encoded || !is_plain {
        return None;
    }
    // RFC 3261 §7.4.1: without a charset it is UTF-8.
    let Some(charset) = media.parameter("charset").ok()? else {
        return Some(Charset::Utf8);
    };
    let charset = String::from_utf8_lossy(&charset).to_ascii_lowercase();
    match charset.as_str() {
        "utf-8" | "utf8" => Some(Charset::Utf8),
        "us-ascii" | "ascii" => Some(Charset::LikeAscii),
        _ if charset.starts_with("iso-8859-") || charset.starts_with("windows-125") => {
            Some(Charset::LikeAscii)
        }
        _ => None,
    }
}

/// The name of somebody of whom only the address is known.
fn name_of(uri: &Uri<'_>) -> String {
    let text = match uri {
        Uri::Sip(sip) => sip.user.unwrap_or(sip.host),
        Uri::Tel(tel) => tel.number,
        Uri::Urn(_) | Uri::Other { .. } => b"",
    };
    let unescaped = super::uri_headers::unescaped(text);
    match shown(&String::from_utf8_lossy(&unescaped)) {
        name if name.is_empty() => shown(&String::from_utf8_lossy(text)),
        name => name,
    }
}

/// A name as it can stand on one line, without characters that change how a line is read.
fn shown(name: &str) -> String {
    let is_shown = |character: &char| {
        let turns_text = matches!(*character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        !character.is_control() && !turns_text
    };
    let name: String = name.chars().filter(is_shown).take(MAX_NAME).collect();
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_change_how_its_line_is_read() {
        let name = " Ann\r\nbob: \u{202e}evil\u{61c}\u{200f}\u{2066}\0 ";
        assert_eq!(shown(name), "Annbob: evil");
        assert_eq!(shown(&"ü".repeat(MAX_NAME + 1)).chars().count(), MAX_NAME);
    }
}
