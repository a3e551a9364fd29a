//! From of the copies as it is written: a name-addr, and its parameters but the tag (U-4). Where its URI stands is looked
//! for once for each message, as OpenSIPS takes it in pieces.

use crate::sip::text::{Nesting, split_first};

/// From without its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FromHeader<'a> {
    text: &'a [u8],
    uri: UriPlace,
}

/// Where in a From the URI stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriPlace {
    /// The byte with which it starts.
    pub start: u16,
    /// The byte behind it.
    pub end: u16,
}

impl<'a> FromHeader<'a> {
    /// The longest that is sent. No proxy takes a message that is longer.
    pub const MAX_BYTES: usize = u16::MAX as usize;

    /// Reads one that was written for a copy: the URI is in angle brackets.
    pub fn of(text: &'a [u8]) -> Self {
        let after_name = split_first("From", text, b'<', Nesting::Quotes);
        let after_name = after_name.ok().and_then(|(_, rest)| rest);
        let start = after_name.map_or(0, |rest| text.len() - rest.len());
        let length = memchr::memchr(b'>', &text[start..]);
        let end = length.map_or(text.len(), |length| start + length);
        let place = |at| u16::try_from(at).unwrap_or(u16::MAX);
        Self {
            text,
            uri: UriPlace {
                start: place(start),
                end: place(end),
            },
        }
    }

    /// The same, as it was read before.
    #[inline]
    pub fn with_place(text: &'a [u8], uri: UriPlace) -> Self {
        Self { text, uri }
    }

    /// All of it.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Where the URI stands.
    pub fn uri_place(&self) -> UriPlace {
        self.uri
    }

    /// The display name as it is written, with its quotes; may be empty.
    pub fn display_name(&self) -> &'a [u8] {
        let before = self.text.get(..usize::from(self.uri.start));
        let name = before.and_then(|before| before.strip_suffix(b"<"));
        name.unwrap_or_default().trim_ascii_end()
    }

    /// The URI, without its angle brackets.
    pub fn uri(&self) -> &'a [u8] {
        let range = usize::from(self.uri.start)..usize::from(self.uri.end);
        self.text.get(range).unwrap_or(self.text)
    }

    /// The parameters, each after its semicolon; may be empty.
    pub fn parameters(&self) -> &'a [u8] {
        let after = self.text.get(usize::from(self.uri.end)..);
        after
            .and_then(|after| after.strip_prefix(b">"))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_from_is_found_in_its_three_pieces() {
        for (text, name, uri, parameters) in [
            ("<sip:ann@home1.net>", "", "sip:ann@home1.net", ""),
            ("Ann <sip:a@h;x=1>;y=2", "Ann", "sip:a@h;x=1", ";y=2"),
            (
                r#""Ann \"<sip:b@h>\\" <sip:a@h>;y;z="<>""#,
                r#""Ann \"<sip:b@h>\\""#,
                "sip:a@h",
                r#";y;z="<>""#,
            ),
            ("<tel:+1-201-555-0123>", "", "tel:+1-201-555-0123", ""),
        ] {
            let from = FromHeader::of(text.as_bytes());
            assert_eq!(
                from,
                FromHeader::with_place(text.as_bytes(), from.uri_place())
            );
            let pieces = [from.display_name(), from.uri(), from.parameters()];
            let pieces = pieces.map(|piece| String::from_utf8_lossy(piece).into_owned());
            assert_eq!(pieces, [name, uri, parameters]);
        }
    }
}
