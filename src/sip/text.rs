//! Lexical rules shared by header fields, RFC 3261 §25.1: tokens, quoted strings, folding, lists.

use super::Malformed;
use super::byte_set::ByteSet;
use memchr::memchr2;

/// The bytes of a token. A table, because every byte of every header name is checked.
const TOKEN: ByteSet = ByteSet::ALPHANUMERIC.and(b"-.!%*_+`'~");

/// Whether `byte` may stand in a token.
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN.has(byte)
}

/// Whether `text` is a token: not empty, and token bytes only.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && TOKEN.has_all(text)
}

/// The length of the token at the start of `text`, or 0.
pub fn token_length(text: &[u8]) -> usize {
    TOKEN.end(text).unwrap_or(text.len())
}

/// The offset of the first `byte` in a short text, for which `memchr` would be slower.
pub fn find(byte: u8, text: &[u8]) -> Option<usize> {
    text.iter().position(|&other| other == byte)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `text` without leading and trailing white space, folds included.
pub fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

/// `text` without leading white space, folds included.
pub fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&b| !is_space(b));
    &text[start.unwrap_or(text.len())..]
}

/// `text` without trailing white space, folds included.
pub fn trim_end(text: &[u8]) -> &[u8] {
    let last = text.iter().rposition(|&b| !is_space(b));
    &text[..last.map_or(0, |last| last + 1)]
}

/// Appends a header value on one line: a fold becomes one space (RFC 3261 §7.3.1).
///
/// A control character other than the horizontal tab is an error: copied, it could end the header field
/// early in another parser (S-7).
pub fn unfold(part: &'static str, value: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut at = 0;
    loop {
        let control = value[at..].iter().position(|&b| is_forbidden_control(b));
        let Some(plain) = control else {
            out.extend_from_slice(&value[at..]);
            return Ok(());
        };
        out.extend_from_slice(&value[at..at + plain]);
        at += plain;
        let fold = fold_length(&value[at..]);
        if fold == 0 {
            let expected = match value[at] {
                b'\r' | b'\n' => "a folded line",
                _ => "no control character",
            };
            return Err(Malformed::at(part, value, at, expected));
        }
        out.push(b' ');
        at += fold;
    }
}

/// Whether `byte` is a control character that no header value may carry.
pub fn is_forbidden_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

/// The length of the line end and the white space of a fold at the start of `text`, or 0.
pub(super) fn fold_length(text: &[u8]) -> usize {
    let line_end = match text {
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => 1,
        _ => return 0,
    };
    let blanks = text[line_end..]
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'));
    match blanks.count() {
        0 => 0,
        count => line_end + count,
    }
}

/// The length of the quoted string at the start of `text`, quotes included.
pub fn quoted_length(part: &'static str, text: &[u8]) -> Result<usize, Malformed> {
    let mut at = 1;
    while let Some(found) = memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found;
        if text[at] == b'"' {
            return Ok(at + 1);
        }
        at += 2;
    }
    let end = text.len();
    Err(Malformed::at(part, text, end, "a closing quote"))
}

/// What protects a separator from [`split`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Nesting {
    /// Quoted strings only.
    Quotes,
    /// Quoted strings and `<…>`.
    QuotesAndAngles,
}

/// Splits off the text before the first unprotected `separator`; the rest is `None` if there is no
/// separator.
pub fn split_first<'a>(
    part: &'static str,
    text: &'a [u8],
    separator: u8,
    nesting: Nesting,
) -> Result<(&'a [u8], Option<&'a [u8]>), Malformed> {
    let next = |rest: &[u8]| match nesting {
        Nesting::Quotes => memchr::memchr2(separator, b'"', rest),
        Nesting::QuotesAndAngles => memchr::memchr3(separator, b'"', b'<', rest),
    };
    let mut at = 0;
    while let Some(length) = next(&text[at..]) {
        at += length;
        at += match text[at] {
            b'"' => quoted_length(part, &text[at..]).map_err(|e| shifted(e, at))?,
            b'<' if nesting == Nesting::QuotesAndAngles => {
                let end = find(b'>', &text[at..]);
                end.ok_or_else(|| Malformed::at(part, text, text.len(), "a closing '>'"))?
            }
            _ => return Ok((&text[..at], Some(&text[at + 1..]))),
        };
    }
    Ok((text, None))
}

fn shifted(error: Malformed, by: usize) -> Malformed {
    Malformed {
        offset: error.offset + by,
        ..error
    }
}

/// The trimmed elements of a list; an error ends the list. Empty elements are skipped.
pub fn split<'a>(
    part: &'static str,
    text: impl Into<Option<&'a [u8]>>,
    separator: u8,
    nesting: Nesting,
) -> impl Iterator<Item = Result<&'a [u8], Malformed>> {
    let mut rest = text.into();
    std::iter::from_fn(move || {
        loop {
            let here = rest.take()?;
            match split_first(part, here, separator, nesting) {
                Err(error) => return Some(Err(error)),
                Ok((element, after)) => {
                    rest = after;
                    let element = trim(element);
                    if !element.is_empty() {
                        return Some(Ok(element));
                    }
                }
            }
        }
    })
}

/// The tokens of one row of the header field `part`, such as Require (RFC 3261 §20.32); an empty row has none.
pub fn tokens<'a>(
    part: &'static str,
    value: &'a [u8],
) -> impl Iterator<Item = Result<&'a [u8], Malformed>> {
    split(part, value, b',', Nesting::Quotes).map(move |element| {
        let element = element?;
        if is_token(element) {
            Ok(element)
        } else {
            Err(Malformed::at(part, element, 0, "an option tag"))
        }
    })
}

/// One `name` or `name=value` of a header field, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// The name, a token.
    pub name: &'a [u8],
    /// The value, quotes included.
    pub value: Option<&'a [u8]>,
}

/// The parameters of `text`, which is what follows the first semicolon, if there is one.
pub fn parameters<'a>(
    part: &'static str,
    text: impl Into<Option<&'a [u8]>>,
) -> impl Iterator<Item = Result<Parameter<'a>, Malformed>> {
    split(part, text, b';', Nesting::Quotes)
        .map(move |element| element.and_then(|element| parameter(part, element)))
}

/// Parses one parameter, in which every quoted string is known to be closed.
fn parameter<'a>(part: &'static str, text: &'a [u8]) -> Result<Parameter<'a>, Malformed> {
    let end = token_length(text);
    let (name, after) = text.split_at(end);
    let value = match trim_start(after) {
        [] => None,
        [b'=', value @ ..] => Some(trim(value)),
        _ => return Err(Malformed::at(part, text, end, "a parameter name")),
    };
    if name.is_empty() {
        return Err(Malformed::at(part, text, 0, "a parameter name"));
    }
    if let Some([b'"', ..]) = value {
        let value = value.unwrap_or_default();
        let end = quoted_length(part, value)?;
        if end != value.len() {
            return Err(Malformed::at(part, value, end, "nothing after the quote"));
        }
    }
    Ok(Parameter { name, value })
}

/// Untrusted text for a log line or an error: escaped, and truncated to 128 bytes.
pub struct Printable<'a>(pub &'a [u8]);

impl std::fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MOST: usize = 128;
        let shown = &self.0[..self.0.len().min(MOST)];
        write!(f, "{}", shown.escape_ascii())?;
        f.write_str(if shown.len() < self.0.len() {
            "…"
        } else {
            ""
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<&[u8]> {
        split("x", text.as_bytes(), b',', Nesting::QuotesAndAngles)
            .map(Result::unwrap)
            .collect()
    }

    #[test]
    fn commas_inside_quotes_and_angles_are_data() {
        let parts = pieces(r#""a,\",b" <sip:a,b@h>, <sip:c@h>"#);
        assert_eq!(parts, [&br#""a,\",b" <sip:a,b@h>"#[..], b"<sip:c@h>"]);
    }

    #[test]
    fn empty_elements_are_skipped() {
        for text in ["a,b", ",a,,b,", " a , \r\n ,b , "] {
            assert_eq!(pieces(text), [b"a", b"b"], "{text}");
        }
        assert!(pieces("").is_empty() && pieces(" , ,").is_empty());
    }

    #[test]
    fn an_open_quote_is_an_error_that_says_where() {
        let error = split("x", b"ab\"c".as_slice(), b',', Nesting::Quotes)
            .next()
            .unwrap()
            .unwrap_err();
        assert_eq!((error.offset, error.expected), (4, "a closing quote"));
    }

    #[test]
    fn folds_become_one_space_and_control_characters_are_refused() {
        let mut out = Vec::new();
        unfold("Subject", b"a\r\n \t b\n c\td", &mut out).unwrap();
        assert_eq!(out, b"a b c\td");
        assert_eq!(unfold("Subject", b"a\0b", &mut out).unwrap_err().offset, 1);
        assert_eq!(
            unfold("Subject", b"a\r\nb", &mut out).unwrap_err().offset,
            1
        );
    }
}
