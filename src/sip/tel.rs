//! The tel URI, RFC 3966: numbers, visual separators, phone-context.

use super::Malformed;
use super::byte_set::ByteSet;
use super::escape::{UNESCAPED, UNRESERVED, first_bad, same_ignoring_case, units, write_escaped};
use super::text::find;
use super::uri_parameters::{check_parameters, is_one_of, split_value};

const PART: &str = "tel URI";

/// The bytes of a parameter's `=` and value.
const VALUE: ByteSet = UNRESERVED.and(UNESCAPED).and(b"[]/:&+$=");

/// Parameters that describe the call rather than the number: the kind of line it comes from (`cpc` and
/// `oli`), whether the number was verified (TS 24.229), and the network it was ported to (RFC 4694, RFC
/// 4759).
const OF_THE_CALL: [&[u8]; 8] = [
    b"cic",
    b"cpc",
    b"enumdi",
    b"isup-oli",
    b"npdi",
    b"oli",
    b"rn",
    b"verstat",
];

/// A tel URI: a global number (`+15551230003`) or a local one with its context.
#[derive(Clone, Copy, Debug)]
pub struct TelUri<'a> {
    /// The number as written, visual separators included.
    pub number: &'a [u8],
    /// What follows the first semicolon, as written; empty if there is none.
    pub parameters: &'a [u8],
}

impl<'a> TelUri<'a> {
    /// Parses what follows `tel:`.
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
            check_parameters(PART, text, end + 1, &text[end + 1..], wrong_parameter)?;
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

    fn pieces(&self) -> impl Iterator<Item = &'a [u8]> {
        let pieces = self.parameters.split(|&byte| byte == b';');
        pieces.filter(|piece| !piece.is_empty())
    }

    fn parameters(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.pieces()
            .map(split_value)
            .map(|(name, value)| (name, value.unwrap_or_default()))
    }

    /// Whether both are the same number by RFC 3966 §4.
    pub fn same(&self, other: &Self) -> bool {
        self.same_but_for(other, |_| true)
    }

    /// Whether both are the same number, without regard to parameters of the call.
    pub fn is_same_user(&self, other: &Self) -> bool {
        self.same_but_for(other, |name| !is_one_of(&OF_THE_CALL, name))
    }

    /// Whether both are the same number; only the parameters for which `counts` is true are compared.
    fn same_but_for(&self, other: &Self, counts: impl Fn(&[u8]) -> bool) -> bool {
        let count = |tel: &Self| tel.parameters().filter(|(name, _)| counts(name)).count();
        self.is_global() == other.is_global()
            && self.digits().eq(other.digits())
            && count(self) == count(other)
            && self.parameters().all(|(name, value)| {
                let theirs = other.parameter(name);
                !counts(name) || theirs.is_some_and(|theirs| same_value(name, value, theirs))
            })
    }

    /// Whether a parameter describes the call.
    pub(super) fn tells_of_call(&self) -> bool {
        let mut all = self.parameters();
        all.any(|(name, _)| is_one_of(&OF_THE_CALL, name))
    }

    /// Appends the URI as it was read.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"tel:");
        out.extend_from_slice(self.number);
        for piece in self.pieces() {
            out.push(b';');
            write_escaped(piece, out);
        }
    }

    /// Appends number and parameters, without those of the call, as in the user part of a SIP URI.
    pub(super) fn write_without_call(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.number);
        let kept = |piece: &&[u8]| !is_one_of(&OF_THE_CALL, split_value(piece).0);
        for piece in self.pieces().filter(kept) {
            out.push(b';');
            out.extend_from_slice(piece);
        }
    }

    /// Appends the canonical form of the number: digits, and the significant parameters in order.
    pub fn write_address_of_record(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"tel:");
        out.extend(self.digits());
        let mut kept: Vec<Vec<u8>> = self
            .parameters()
            .filter(|(name, _)| !is_one_of(&OF_THE_CALL, name))
            .map(|(name, value)| {
                let mut spelt = name.to_ascii_lowercase();
                if !value.is_empty() {
                    spelt.push(b'=');
                }
                match is_number(name, value) {
                    true => spelt.extend(digits(value)),
                    false => units(value).for_each(|unit| unit.folded().write(&mut spelt)),
                }
                spelt
            })
            .collect();
        kept.sort_unstable();
        for parameter in kept {
            out.push(b';');
            out.extend_from_slice(&parameter);
        }
    }
}

/// Parameter values that are numbers are compared without visual separators.
fn same_value(name: &[u8], a: &[u8], b: &[u8]) -> bool {
    match is_number(name, a) {
        true => digits(a).eq(digits(b)),
        false => same_ignoring_case(a, b),
    }
}

fn is_number(name: &[u8], value: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"ext")
        || (name.eq_ignore_ascii_case(b"phone-context") && value.first() == Some(&b'+'))
}

fn digits(number: &[u8]) -> impl Iterator<Item = u8> {
    let wanted = number.iter().filter(|&&byte| !is_separator(byte));
    wanted.map(u8::to_ascii_lowercase)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'.' | b'(' | b')')
}

fn wrong_parameter(name: &[u8], value: Option<&[u8]>) -> Option<(usize, &'static str)> {
    let good_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    if name.is_empty() || !name.iter().all(good_name) {
        return Some((0, "a parameter name"));
    }
    Some((
        name.len() + 1 + first_bad(value?, &VALUE)?,
        "a parameter value",
    ))
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
    fn parameters_of_the_call_are_not_part_of_the_number() {
        let plain = tel("+15551230003");
        for text in [
            "+1-555-123-0003;cpc=ordinary",
            "+15551230003;OLI=62;verstat=TN-Validation-Passed",
            "+15551230003;npdi;rn=+1555",
        ] {
            assert!(
                tel(text).is_same_user(&plain) && plain.is_same_user(&tel(text)),
                "{text}"
            );
            assert!(!tel(text).same(&plain), "{text}");
        }
        assert!(!tel("+15551230003;isub=7;cpc=ordinary").is_same_user(&plain));
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
