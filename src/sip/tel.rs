//! The tel URI, RFC 3966: numbers, visual separators, phone-context.

use super::Malformed;
use super::byte_set::ByteSet;
use super::escape::{UNRESERVED, first_bad};
use super::text::find;
use super::uri::MAX_PARAMETERS;

const PART: &str = "tel URI";

/// The bytes of a parameter's `=` and value.
const VALUE: ByteSet = UNRESERVED.and(b"[]/:&+$=");

/// A tel URI: a global number (`+15551230003`) or a local one with its context.
#[derive(Clone, Copy, Debug)]
pub struct TelUri<'a> {
    /// The number as written, visual separators included.
    pub number: &'a [u8],
    /// What follows the first semicolon, as written; empty if there is none.
    pub parameters: &'a [u8],
}

impl<'a> TelUri<'a> {
    /// Reads what follows `tel:`.
    pub fn parse(text: &'a [u8]) -> Result<Self, Malformed> {
        let end = find(b';', text).unwrap_or(text.len());
        let number = &text[..end];
        let digits = number.strip_prefix(b"+").unwrap_or(number);
        let global = digits.len() < number.len();
        let wanted = |byte: u8| {
            is_separator(byte)
                || byte.is_ascii_digit()
                || (!global && (byte.is_ascii_hexdigit() || matches!(byte, b'*' | b'#')))
        };
        if let Some(bad) = digits.iter().position(|&byte| !wanted(byte)) {
            let offset = bad + usize::from(global);
            return Err(Malformed::at(PART, text, offset, "a digit"));
        }
        if digits.iter().all(|&byte| is_separator(byte)) {
            return Err(Malformed::at(PART, text, end, "a digit"));
        }
        let parameters = text.get(end + 1..).unwrap_or_default();
        if end < text.len() {
            check_parameters(text, end + 1)?;
        }
        let tel = Self { number, parameters };
        if !global && tel.parameter(b"phone-context").is_none() {
            let expected = "a phone-context, as a local number needs one";
            return Err(Malformed::at(PART, text, text.len(), expected));
        }
        Ok(tel)
    }

    /// Whether the number is global: it starts with `+`.
    pub fn is_global(&self) -> bool {
        self.number.first() == Some(&b'+')
    }

    /// The number without its visual separators, in lower case.
    pub fn digits(&self) -> impl Iterator<Item = u8> {
        digits(self.number)
    }

    /// The value of the parameter `name`, in any case.
    pub fn parameter(&self, name: &[u8]) -> Option<&'a [u8]> {
        let mut all = self.parameters();
        all.find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    }

    fn parameters(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let pieces = self.parameters.split(|&byte| byte == b';');
        pieces
            .filter(|piece| !piece.is_empty())
            .map(|piece| match find(b'=', piece) {
                Some(at) => (&piece[..at], &piece[at + 1..]),
                None => (piece, &b""[..]),
            })
    }

    /// Whether both are the same number by RFC 3966 §4.
    pub fn same(&self, other: &Self) -> bool {
        self.is_global() == other.is_global()
            && self.digits().eq(other.digits())
            && self.parameters().count() == other.parameters().count()
            && self.parameters().all(|(name, value)| {
                other
                    .parameter(name)
                    .is_some_and(|theirs| same_value(name, value, theirs))
            })
    }
}

/// Parameter values that are numbers are compared without visual separators.
fn same_value(name: &[u8], a: &[u8], b: &[u8]) -> bool {
    let is_number = name.eq_ignore_ascii_case(b"ext")
        || (name.eq_ignore_ascii_case(b"phone-context") && a.first() == Some(&b'+'));
    if is_number {
        digits(a).eq(digits(b))
    } else {
        a.eq_ignore_ascii_case(b)
    }
}

fn digits(number: &[u8]) -> impl Iterator<Item = u8> {
    let wanted = number.iter().filter(|&&byte| !is_separator(byte));
    wanted.map(u8::to_ascii_lowercase)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'.' | b'(' | b')')
}

fn check_parameters(text: &[u8], start: usize) -> Result<(), Malformed> {
    let mut at = start;
    for (index, piece) in text[start..].split(|&byte| byte == b';').enumerate() {
        if index == MAX_PARAMETERS {
            return Err(Malformed::at(PART, text, at, "at most 32 parameters"));
        }
        let name_end = find(b'=', piece).unwrap_or(piece.len());
        let (name, value) = piece.split_at(name_end);
        let good_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        if name.is_empty() || !name.iter().all(good_name) {
            return Err(Malformed::at(PART, text, at, "a parameter name"));
        }
        if let Some(bad) = first_bad(value, &VALUE) {
            let offset = at + name_end + bad;
            return Err(Malformed::at(PART, text, offset, "a parameter value"));
        }
        let earlier = text[start..].split(|&byte| byte == b';').take(index);
        let mut names = earlier.map(|other| other.split(|&byte| byte == b'=').next());
        if names.any(|other| other.is_some_and(|other| other.eq_ignore_ascii_case(name))) {
            return Err(Malformed::at(PART, text, at, "each parameter only once"));
        }
        at += piece.len() + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tel(text: &str) -> TelUri<'_> {
        TelUri::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn visual_separators_do_not_count() {
        // C-3, T 49.
        assert!(tel("+1-555-123-0003").same(&tel("+1(555)123.0003")));
        assert!(!tel("+15551230003").same(&tel("+15551230004")));
    }

    #[test]
    fn a_local_number_equals_another_only_in_the_same_context() {
        // C-3.
        let here = tel("7042;phone-context=Example.com");
        assert!(here.same(&tel("7-042;phone-context=example.com")));
        assert!(!here.same(&tel("7042;phone-context=example.net")));
        assert!(!tel("15551;phone-context=+1").same(&tel("+15551;phone-context=+1")));
        assert!(tel("7042;phone-context=+1-5").same(&tel("7042;phone-context=+15")));
    }

    #[test]
    fn a_parameter_on_one_side_only_makes_them_differ() {
        assert!(!tel("+1555;ext=7").same(&tel("+1555")));
        assert!(tel("+1555;isub=x;ext=7-1").same(&tel("+1555;ext=71;isub=X")));
    }

    #[test]
    fn a_broken_number_says_where() {
        // T 51: no phone-context.
        for (text, offset) in [
            ("5551", 4),
            ("+15x", 3),
            ("+", 1),
            ("", 0),
            ("+1;=a", 3),
            ("+1;b=11;B=1", 8),
        ] {
            let error = TelUri::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.offset, offset, "{text}: {error}");
        }
    }
}
