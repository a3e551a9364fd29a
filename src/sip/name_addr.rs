//! name-addr and addr-spec, RFC 3261 §20.10 and §25.1: From, To, P-Asserted-Identity, Reply-To.
//!
//! Each is one address. Anything that another parser might take for a second address is an error. What
//! is written is composed from what was parsed: names and values that need quotes get them.

use super::Malformed;
use super::byte_set::ByteSet;
use super::text::{
    Nesting, Parameter, find, is_token, is_token_byte, parameters, quoted_length, trim, unfold,
};
use super::uri::{Form, Uri, ipv6_address};

/// The bytes of a value without quotes: those of tokens and hosts, and those that should be quoted but
/// are harmless without.
const VALUE: ByteSet = ByteSet::ALPHANUMERIC.and(b"-.!%*_+`'~[]:@/?=&$#{}|^");

/// What stands before a tag.
const TAG: &[u8] = b"tag=";

/// An address with its optional display name and header parameters.
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'a> {
    /// The display name as written, a quoted string or tokens; empty if there is none.
    pub display_name: &'a [u8],
    /// The URI.
    pub uri: Uri<'a>,
    /// What follows the first semicolon after the address.
    pub parameters: &'a [u8],
    tag: Option<&'a [u8]>,
    part: &'static str,
}

impl<'a> NameAddr<'a> {
    /// Parses the whole of `text`, the value of the header field `part`.
    pub fn parse(part: &'static str, text: &'a [u8]) -> Result<Self, Malformed> {
        let pieces = Pieces::split(part, text)?;
        let uri = Uri::parse(pieces.uri).map_err(|error| Malformed {
            part,
            offset: pieces.offset(text) + error.offset,
            ..error
        })?;
        Ok(Self {
            display_name: pieces.display_name,
            uri,
            parameters: pieces.parameters,
            tag: pieces.tag,
            part,
        })
    }

    /// The header parameters.
    pub fn parameters(&self) -> impl Iterator<Item = Result<Parameter<'a>, Malformed>> {
        parameters(self.part, self.parameters)
    }

    /// The tag parameter, a token.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.tag
    }

    /// Appends the header parameters except `tag`, each with its semicolon.
    pub fn write_parameters(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        // Mostly the tag is all that there is.
        if self
            .tag
            .is_some_and(|tag| self.parameters.len() == TAG.len() + tag.len())
        {
            return Ok(());
        }
        for parameter in self.parameters() {
            let Parameter { name, value } = parameter?;
            if name.eq_ignore_ascii_case(b"tag") {
                continue;
            }
            out.push(b';');
            out.extend_from_slice(name);
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                out.push(b'=');
                write_value(self.part, value, out)?;
            }
        }
        Ok(())
    }

    /// Appends display name and URI (in `form`) as a name-addr, without header parameters.
    pub fn write(&self, form: Form, out: &mut Vec<u8>) -> Result<(), Malformed> {
        if !self.display_name.is_empty() {
            write_display_name(self.part, self.display_name, out)?;
            out.push(b' ');
        }
        out.push(b'<');
        self.uri.write(form, out);
        out.push(b'>');
        Ok(())
    }
}

/// The tag of an address of which nothing else is needed. The URI may have any scheme.
pub fn tag_of<'a>(part: &'static str, text: &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    let pieces = Pieces::split(part, text)?;
    let bad = pieces.uri.iter().position(|byte| !byte.is_ascii_graphic());
    let start = pieces.offset(text);
    if let Some(bad) = bad {
        return Err(Malformed::at(part, text, start + bad, "a URI character"));
    }
    if find(b':', pieces.uri).is_none() {
        return Err(Malformed::at(part, text, start, "a scheme and a colon"));
    }
    Ok(pieces.tag)
}

/// Checks that no parameter's value could be parsed as more than one; returns the tag.
fn read_parameters<'a>(part: &'static str, text: &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    let mut tag = None;
    for parameter in parameters(part, text) {
        let parameter = parameter?;
        let value = parameter.value.unwrap_or_default();
        if !parameter.name.eq_ignore_ascii_case(b"tag") {
            // `parameters` has checked that a quoted value is closed.
            let is_quoted = value.first() == Some(&b'"');
            if let Some(bad) = VALUE.end(value).filter(|_| !is_quoted) {
                let expected = "a token or a quoted string";
                return Err(Malformed::at(part, value, bad, expected));
            }
            continue;
        }
        let bad = value.iter().position(|&byte| !is_token_byte(byte));
        if let Some(bad) = bad.or(value.is_empty().then_some(0)) {
            return Err(Malformed::at(part, value, bad, "a tag"));
        }
        if tag.replace(value).is_some() {
            return Err(Malformed::at(part, value, 0, "only one tag"));
        }
    }
    Ok(tag)
}

/// The pieces of one address, the URI not parsed yet.
struct Pieces<'a> {
    display_name: &'a [u8],
    uri: &'a [u8],
    parameters: &'a [u8],
    tag: Option<&'a [u8]>,
}

impl<'a> Pieces<'a> {
    fn split(part: &'static str, text: &'a [u8]) -> Result<Self, Malformed> {
        let name_end = display_name_length(part, text)?;
        let display_name = trim(&text[..name_end]);
        let address = &text[name_end..];
        let (uri, after) = if address.first() == Some(&b'<') {
            let close = find(b'>', address)
                .ok_or_else(|| Malformed::at(part, text, text.len(), "a closing '>'"))?;
            (&address[1..close], &address[close + 1..])
        } else if display_name.is_empty() {
            // Without brackets a semicolon starts a header parameter, and commas and question marks are
            // not allowed (RFC 3261 §20).
            let address = trim(address);
            let end = find(b';', address).unwrap_or(address.len());
            let bad = |byte: &u8| matches!(byte, b',' | b'?');
            if let Some(bad) = address[..end].iter().position(bad) {
                let offset = offset(address, text) + bad;
                return Err(Malformed::at(part, text, offset, "brackets around the URI"));
            }
            (&address[..end], &address[end..])
        } else {
            return Err(Malformed::at(part, text, name_end, "'<'"));
        };
        let after = trim(after);
        let parameters = match after.first() {
            None => after,
            Some(b';') => &after[1..],
            Some(_) => {
                let offset = text.len() - after.len();
                return Err(Malformed::at(part, text, offset, "a semicolon"));
            }
        };
        Ok(Self {
            display_name,
            uri: trim(uri),
            parameters,
            tag: read_parameters(part, parameters)?,
        })
    }

    /// The offset of the URI in `text`, which these pieces were split from.
    fn offset(&self, text: &[u8]) -> usize {
        offset(self.uri, text)
    }
}

/// The offset of `part`, a subslice of `text`.
fn offset(part: &[u8], text: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

/// Appends the value of a parameter: a token, a host or a quoted string.
fn write_value(part: &'static str, value: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    if value.first() == Some(&b'"') {
        return unfold(part, value, out);
    }
    let is_strict = is_token(value) || ipv6_address(value).is_some();
    let quote: &[u8] = if is_strict { b"" } else { b"\"" };
    for piece in [quote, value, quote] {
        out.extend_from_slice(piece);
    }
    Ok(())
}

/// Appends a display name: tokens, or a quoted string.
fn write_display_name(part: &'static str, name: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = out.len();
    unfold(part, name, out)?;
    let is_of_tokens = |byte: &u8| is_token_byte(*byte) || matches!(byte, b' ' | b'\t');
    if name.first() == Some(&b'"') || out[start..].iter().all(is_of_tokens) {
        return Ok(());
    }
    let unquoted = out.split_off(start);
    out.push(b'"');
    for byte in unquoted {
        // An unquoted name cannot contain a quote.
        if byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    Ok(())
}

/// Where the address starts: at the '<', or at 0 without a display name.
fn display_name_length(part: &'static str, text: &[u8]) -> Result<usize, Malformed> {
    if text.first() == Some(&b'"') {
        let quoted = quoted_length(part, text)?;
        let blanks = text[quoted..].len() - super::text::trim_start(&text[quoted..]).len();
        return Ok(quoted + blanks);
    }
    let Some(open) = find(b'<', text) else {
        return Ok(0);
    };
    // Deployed clients send unquoted names with bytes that are not allowed in tokens; only what could
    // be parsed as something else is refused.
    let bad = text[..open]
        .iter()
        .position(|byte| matches!(byte, b'"' | b',' | b';' | b':' | b'@' | b'>'));
    match bad {
        Some(bad) => Err(Malformed::at(part, text, bad, "a display name")),
        None => Ok(open),
    }
}

/// The addresses of a comma-separated header field such as P-Asserted-Identity.
pub fn list<'a>(
    part: &'static str,
    value: &'a [u8],
) -> impl Iterator<Item = Result<NameAddr<'a>, Malformed>> {
    super::text::split(part, value, b',', Nesting::QuotesAndAngles)
        .map(move |element| element.and_then(|element| NameAddr::parse(part, element)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(String, Option<Vec<u8>>), Malformed> {
        let address = NameAddr::parse("From", text.as_bytes())?;
        let mut out = Vec::new();
        address.write(Form::Whole, &mut out)?;
        let tag = address.tag().map(<[u8]>::to_vec);
        Ok((String::from_utf8(out).unwrap(), tag))
    }

    #[test]
    fn all_forms_of_an_address_are_read() {
        for (text, written, tag) in [
            (
                "\"Ann\" <sip:ann@h>;tag=9f2c",
                "\"Ann\" <sip:ann@h>",
                Some("9f2c"),
            ),
            (
                "Ann  B <sip:ann@h;lr> ; x=\"a;tag=1\" ;TAG=2",
                "Ann  B <sip:ann@h;lr>",
                Some("2"),
            ),
            ("sip:ann@h;tag=1", "<sip:ann@h>", Some("1")),
            (
                "\"a\\\"<b>\"\r\n <sips:[::1]>",
                "\"a\\\"<b>\" <sips:[::1]>",
                None,
            ),
            ("<tel:+1>", "<tel:+1>", None),
            ("\"\"<sip:h>", "\"\" <sip:h>", None),
        ] {
            let (got, got_tag) = parsed(text).unwrap();
            assert_eq!(got, written);
            assert_eq!(got_tag.as_deref(), tag.map(str::as_bytes));
        }
    }

    #[test]
    fn a_broken_address_says_where() {
        for (text, offset) in [
            ("\"Ann <sip:ann@h>", 16),
            ("<sip:ann@h", 10),
            ("Ann sip:ann@h", 0),
            ("a;b <sip:ann@h>", 1),
            ("<sip:ann@h> x", 12),
            ("<sip:an n@h>", 7),
            ("\"a\0\" <sip:ann@h>", 2),
        ] {
            let error = parsed(text).unwrap_err();
            assert_eq!(error.offset, offset, "{text}: {error}");
        }
        assert!(parsed("<sip:h>;tag=a;tag=b").is_err());
        assert!(parsed("<sip:h>;tag").is_err());
    }

    #[test]
    fn what_may_be_two_addresses_is_an_error() {
        for text in [
            "<sip:ann@h>;x=1,\"Boss\" <sip:boss@h>;tag=1",
            "<sip:ann@h>;x=1, <sip:boss@h>;tag=1",
            "<sip:ann@h>,<sip:boss@h>;tag=1",
            "<sip:ann@h>;x=a <sip:boss@h>;tag=1",
            "<sip:ann@h>;x=a\\b;tag=1",
            "<sip:ann@h>;x=\"a\" <sip:boss@h>;tag=1",
            "<sip:ann@h>;x,y;tag=1",
            "<sip:ann@h>;tag=1,2",
            "sip:ann@h,sip:boss@h;tag=1",
            "sip:ann,sip:boss@h;tag=1",
            "sip:ann@h?a=b;tag=1",
            "sip:ann@h, <sip:boss@h>;tag=1",
            "Ann, \"Boss\" <sip:boss@h>;tag=1",
            "<sip:ann@h> <sip:boss@h>;tag=1",
        ] {
            assert!(NameAddr::parse("From", text.as_bytes()).is_err(), "{text}");
            assert!(tag_of("To", text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_should_be_quoted_is_written_in_quotes() {
        for (text, written) in [
            ("Ann (home) <sip:ann@h>", "\"Ann (home)\" <sip:ann@h>"),
            ("A\\nn <sip:ann@h>", "\"A\\\\nn\" <sip:ann@h>"),
            ("J\u{fc}rg\r\n B <sip:ann@h>", "\"J\u{fc}rg B\" <sip:ann@h>"),
            (
                "<sip:ann@h>;;x=a@b;tag=1;y=\"c,\\\"d\"; z=e:f ;v;w=;u=[::1];",
                "<sip:ann@h>;x=\"a@b\";y=\"c,\\\"d\";z=\"e:f\";v;w;u=[::1]",
            ),
            ("<sip:*21#@h>", "<sip:*21%23@h>"),
        ] {
            let address = NameAddr::parse("From", text.as_bytes()).unwrap();
            let mut out = Vec::new();
            address.write(Form::From, &mut out).unwrap();
            address.write_parameters(&mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
    }

    #[test]
    fn the_tag_of_an_address_is_found_whatever_its_user_is() {
        // RFC 4475 §3.1.1.4.
        let tag = |text: &'static str| tag_of("To", text.as_bytes());
        assert_eq!(tag("sip:nul-%00-nul@example.com"), Ok(None));
        assert_eq!(tag("\"x\" <sip:a%zz@h>;tag=1;"), Ok(Some(&b"1"[..])));
        for text in [
            "",
            "<sip:ann@h",
            "ann",
            "<sip:an n@h>",
            "Ann sip:ann@h",
            "<sip:h>;tag=",
        ] {
            assert!(tag(text).is_err(), "{text}");
        }
    }
}
