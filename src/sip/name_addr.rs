//! name-addr and addr-spec, RFC 3261 §20.10 and §25.1: From, To, P-Asserted-Identity.

use super::Malformed;
use super::text::{
    Nesting, Parameter, find, is_token_byte, parameters, quoted_length, trim, unfold,
};
use super::uri::{Form, Uri};

/// An address with its optional display name and header parameters.
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'a> {
    /// The display name as written, a quoted string or tokens; empty if there is none.
    pub display_name: &'a [u8],
    /// The URI.
    pub uri: Uri<'a>,
    /// What follows the first semicolon behind the address.
    pub parameters: &'a [u8],
    part: &'static str,
}

impl<'a> NameAddr<'a> {
    /// Reads the whole of `text`, the value of the header field `part`.
    pub fn parse(part: &'static str, text: &'a [u8]) -> Result<Self, Malformed> {
        let name_end = display_name_length(part, text)?;
        let display_name = trim(&text[..name_end]);
        let address = &text[name_end..];
        let (uri, after) = if address.first() == Some(&b'<') {
            let close = find(b'>', address)
                .ok_or_else(|| Malformed::at(part, text, text.len(), "a closing '>'"))?;
            (&address[1..close], &address[close + 1..])
        } else if display_name.is_empty() {
            // Without brackets a semicolon starts a header parameter (RFC 3261 §20).
            let address = trim(address);
            let end = find(b';', address).unwrap_or(address.len());
            (trim(&address[..end]), &address[end..])
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
        let start = (uri.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        let uri = Uri::parse(trim(uri)).map_err(|error| Malformed {
            part,
            offset: start + error.offset,
            ..error
        })?;
        Ok(Self {
            display_name,
            uri,
            parameters,
            part,
        })
    }

    /// The header parameters.
    pub fn parameters(&self) -> impl Iterator<Item = Result<Parameter<'a>, Malformed>> {
        let present = !self.parameters.is_empty();
        parameters(self.part, present.then_some(self.parameters))
    }

    /// The tag parameter, a token.
    pub fn tag(&self) -> Result<Option<&'a [u8]>, Malformed> {
        let mut tag = None;
        for parameter in self.parameters() {
            let parameter = parameter?;
            if !parameter.name.eq_ignore_ascii_case(b"tag") {
                continue;
            }
            let value = parameter.value.unwrap_or_default();
            let bad = value.iter().position(|&byte| !is_token_byte(byte));
            if let Some(bad) = bad.or(value.is_empty().then_some(0)) {
                return Err(Malformed::at(self.part, value, bad, "a tag"));
            }
            if tag.replace(value).is_some() {
                return Err(Malformed::at(self.part, value, 0, "only one tag"));
            }
        }
        Ok(tag)
    }

    /// Appends the header parameters but `tag`, each with its semicolon.
    pub fn write_parameters(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        for parameter in self.parameters() {
            let Parameter { name, value } = parameter?;
            if name.eq_ignore_ascii_case(b"tag") {
                continue;
            }
            out.push(b';');
            out.extend_from_slice(name);
            if let Some(value) = value {
                out.push(b'=');
                unfold(self.part, value, out)?;
            }
        }
        Ok(())
    }

    /// Appends display name and URI as a name-addr, without header parameters.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        if !self.display_name.is_empty() {
            unfold(self.part, self.display_name, out)?;
            out.push(b' ');
        }
        out.push(b'<');
        self.uri.write(Form::Whole, out);
        out.push(b'>');
        Ok(())
    }
}

/// Where the address starts: at the '<', or at 0 where there is no display name.
fn display_name_length(part: &'static str, text: &[u8]) -> Result<usize, Malformed> {
    if text.first() == Some(&b'"') {
        let quoted = quoted_length(part, text)?;
        let blanks = text[quoted..].len() - super::text::trim_start(&text[quoted..]).len();
        return Ok(quoted + blanks);
    }
    let Some(open) = find(b'<', text) else {
        return Ok(0);
    };
    // Deployed clients leave bytes in unquoted names that no token has; only what could be read
    // as something else is refused.
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
        address.write(&mut out)?;
        let tag = address.tag()?.map(<[u8]>::to_vec);
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
}
