//! `%HH` in URIs, RFC 3261 §19.1.4: an escaped character equals itself unless it is reserved.

use super::byte_set::ByteSet;
use super::text::find;

/// One character of a URI part, compared as RFC 3261 §19.1.4 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The character itself, written plainly or as `%HH` without need.
    Plain(u8),
    /// A reserved or unprintable character as `%HH`; it differs from the plain one.
    Escaped(u8),
}

impl Unit {
    /// The same unit with its letter in lower case.
    pub fn folded(self) -> Self {
        match self {
            Self::Plain(byte) => Self::Plain(byte.to_ascii_lowercase()),
            Self::Escaped(_) => self,
        }
    }

    /// Appends the unit in its one canonical spelling.
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Plain(byte) => out.push(byte),
            Self::Escaped(byte) => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.extend([
                    b'%',
                    HEX[usize::from(byte >> 4)],
                    HEX[usize::from(byte & 15)],
                ]);
            }
        }
    }
}

/// The bytes that need an escape nowhere in a URI.
pub const UNRESERVED: ByteSet = ByteSet::ALPHANUMERIC.and(b"-_.!~*'()");

/// The value of the two hexadecimal digits after a `%` at the start of `text`.
pub fn escaped_byte(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

/// The characters of `text`, escapes undone where that changes nothing.
pub fn units(text: &[u8]) -> impl Iterator<Item = Unit> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *text.get(at)?;
        let Some(escaped) = escaped_byte(&text[at..]) else {
            at += 1;
            return Some(Unit::Plain(byte));
        };
        at += 3;
        Some(if UNRESERVED.has(escaped) {
            Unit::Plain(escaped)
        } else {
            Unit::Escaped(escaped)
        })
    })
}

/// Whether two parts are the same, case counted.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a == b || (any_escape(a, b) && units(a).eq(units(b)))
}

/// Whether two parts are the same, case not counted.
pub fn same_ignoring_case(a: &[u8], b: &[u8]) -> bool {
    let folded = |text| units(text).map(Unit::folded);
    a.eq_ignore_ascii_case(b) || (any_escape(a, b) && folded(a).eq(folded(b)))
}

/// Most parts have no escape: those are what they look like.
fn any_escape(a: &[u8], b: &[u8]) -> bool {
    find(b'%', a).is_some() || find(b'%', b).is_some()
}

/// The first byte of `text` that is neither allowed nor part of a `%HH`.
///
/// An escaped control character counts as bad: unescaped further on, it could end a line (S-7).
pub fn first_bad(text: &[u8], allowed: &ByteSet) -> Option<usize> {
    let mut at = 0;
    loop {
        at += allowed.end(&text[at..])?;
        match escaped_byte(&text[at..]) {
            Some(byte) if !byte.is_ascii_control() => at += 3,
            _ => return Some(at),
        }
    }
}
