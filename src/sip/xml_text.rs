//! The text inside XML markup: names, references, white space (XML 1.0 §2.3, §3.3.3, §4.1).

use std::borrow::Cow;

/// Whether `text` is only XML white space.
pub fn is_blank(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

/// Whether `name` is a name with at most one prefix. All non-ASCII characters are accepted.
pub(super) fn is_qualified_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let starts = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii();
        let goes_on = |byte: u8| starts(byte) || byte.is_ascii_digit() || b"-.".contains(&byte);
        part.bytes().next().is_some_and(starts) && part.bytes().all(goes_on)
    };
    match name.split_once(':') {
        Some((prefix, local)) => is_part(prefix) && is_part(local),
        None => is_part(name),
    }
}

/// An attribute value with references decoded and white space replaced by blanks; `None` if a reference
/// is unknown.
///
/// A control character written as a reference is kept: the value then does not parse as an address, and
/// is skipped (S-7).
pub(super) fn undone(value: Cow<'_, str>) -> Option<Cow<'_, str>> {
    const SPECIAL: [char; 4] = ['&', '\t', '\r', '\n'];
    if !value.contains(SPECIAL) {
        return Some(value);
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = &*value;
    while let Some(at) = rest.find(SPECIAL) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(reference) = rest.strip_prefix('&') else {
            out.push(' ');
            rest = rest.strip_prefix("\r\n").unwrap_or(&rest[1..]);
            continue;
        };
        let (name, after) = reference.split_once(';')?;
        out.push(character(name)?);
        rest = after;
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

/// The character that `&name;` stands for.
pub(super) fn character(name: &str) -> Option<char> {
    let (digits, radix) = match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => match name.strip_prefix('#')? {
            number if number.starts_with('x') => (&number[1..], 16),
            number => (number, 10),
        },
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(digits, radix)
        .ok()
        .filter(|_| is_number);
    number.and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_stand_for_one_character_or_are_unknown() {
        for (name, expected) in [
            ("amp", Some('&')),
            ("apos", Some('\'')),
            ("#65", Some('A')),
            ("#x41", Some('A')),
            ("#x1F600", Some('\u{1F600}')),
            ("#0", Some('\0')),
            ("AMP", None),
            ("nbsp", None),
            ("#", None),
            ("#x", None),
            ("#X41", None),
            ("#-1", None),
            ("#xD800", None),
            ("#99999999999", None),
            ("", None),
        ] {
            assert_eq!(character(name), expected, "{name}");
        }
    }

    #[test]
    fn names_have_at_most_one_prefix() {
        for name in ["a", "_a-1.b", "p:a", "\u{e4}", "p:\u{e4}1"] {
            assert!(is_qualified_name(name), "{name}");
        }
        for name in ["", ":", "a:", ":a", "a:b:c", "1a", "-a", "a b", "a/", "p:1"] {
            assert!(!is_qualified_name(name), "{name}");
        }
    }

    #[test]
    fn values_without_references_are_borrowed() {
        let of = |value: &'static str| undone(Cow::Borrowed(value));
        assert!(matches!(of("sip:a@h"), Some(Cow::Borrowed("sip:a@h"))));
        assert_eq!(of("\r\n&#13;\t&amp;amp;").as_deref(), Some(" \r &amp;"));
        assert_eq!(of("a&b"), None);
        assert_eq!(of("&b c;"), None);
    }
}
