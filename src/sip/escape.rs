//! `%HH` in URIs, RFC 3261 §19.1.4: an escaped character equals itself unless it is reserved.
//!
//! Phones omit the escape of some characters that need one. Where such a character cannot be mistaken
//! for anything else it is read as if it were escaped, and printed escaped.

use super::byte_set::ByteSet;

/// One character of a URI part, compared as RFC 3261 §19.1.4 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The character itself, written plainly or needlessly escaped as `%HH`.
    Plain(u8),
    /// A reserved or unprintable character written as `%HH`; it differs from the plain one.
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

    /// Appends the unit in its canonical form.
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

/// Bytes that must be escaped everywhere in a URI but are harmless without: none is a quote, a bracket
/// or a separator, and all are ASCII.
pub const UNESCAPED: &[u8] = b"#\\^`{|}";

/// Bytes that do not simply stand for themselves: an escape, or what should have been one.
const ESCAPES: ByteSet = ByteSet::NONE.and(UNESCAPED).and(b"%");

/// Whether `text` has escapes, or bytes that should have been escaped. Most parts of URIs do not, and
/// can be compared byte by byte.
pub fn has_escapes(text: &[u8]) -> bool {
    text.iter().any(|&byte| ESCAPES.has(byte))
}

/// Appends `text`, keeping its escapes and adding those that are missing.
pub fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    if !has_escapes(text) {
        return out.extend_from_slice(text);
    }
    for &byte in text {
        match UNESCAPED.contains(&byte) {
            true => Unit::Escaped(byte).write(out),
            false => out.push(byte),
        }
    }
}

/// The value of the two hexadecimal digits after a `%` at the start of `text`.
pub fn escaped_byte(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

/// The characters of `text`, decoded where that does not change the meaning.
pub fn units(text: &[u8]) -> impl Iterator<Item = Unit> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *text.get(at)?;
        let Some(escaped) = escaped_byte(&text[at..]) else {
            at += 1;
            return Some(match UNESCAPED.contains(&byte) {
                true => Unit::Escaped(byte),
                false => Unit::Plain(byte),
            });
        };
        at += 3;
        Some(if UNRESERVED.has(escaped) {
            Unit::Plain(escaped)
        } else {
            Unit::Escaped(escaped)
        })
    })
}

/// Compares two parts case-sensitively.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a == b || (any_escape(a, b) && units(a).eq(units(b)))
}

/// Compares two parts without regard to case.
pub fn same_ignoring_case(a: &[u8], b: &[u8]) -> bool {
    let folded = |text| units(text).map(Unit::folded);
    a.eq_ignore_ascii_case(b) || (any_escape(a, b) && folded(a).eq(folded(b)))
}

fn any_escape(a: &[u8], b: &[u8]) -> bool {
    has_escapes(a) || has_escapes(b)
}

/// The first byte of `text` that is neither allowed nor part of a `%HH`.
///
/// An escaped control character counts as bad: decoded by another element, it could end a line (S-7).
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

/// What the grammar requires at the bad byte that [`first_bad`] found in `text`; `otherwise` if it is
/// not part of an escape.
pub fn expected_at(text: &[u8], bad: usize, otherwise: &'static str) -> &'static str {
    let here = text.get(bad..).unwrap_or_default();
    match (here.first(), escaped_byte(here)) {
        (Some(b'%'), Some(_)) => "no escaped control character, such as %00,",
        (Some(b'%'), None) => "two hexadecimal digits behind the '%'",
        _ => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_should_have_been_escaped_is_the_same_as_if_it_were() {
        assert!(same(b"*21#", b"*21%23") && same(b"a|b", b"a|b") && !same(b"*21#", b"*21%24"));
        assert!(same_ignoring_case(b"A^", b"a%5e"));
        let mut out = Vec::new();
        write_escaped(b"%41#\\{}`^|", &mut out);
        assert_eq!(out, b"%41%23%5C%7B%7D%60%5E%7C");
    }

    #[test]
    fn an_error_tells_a_broken_escape_from_a_forbidden_one() {
        let control = "no escaped control character, such as %00,";
        for (text, expected) in [
            (&b"a%00"[..], control),
            (b"a%4", "two hexadecimal digits behind the '%'"),
            (b"a ", "a letter"),
        ] {
            let bad = first_bad(text, &UNRESERVED).unwrap();
            assert_eq!(expected_at(text, bad, "a letter"), expected);
        }
    }
}
