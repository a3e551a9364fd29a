//! Content-Type and Content-Disposition: RFC 3261 §20.15 and §20.11, RFC 2045 §5.1, RFC 2183.
//!
//! Types are compared without regard to case. Parameters are parsed only on demand: malformed
//! parameters of a payload are not our concern.

use super::Malformed;
use super::multipart::MAX_BOUNDARY;
use super::text::{Nesting, is_token, parameters, split_first, trim};
use std::borrow::Cow;

const CONTENT_TYPE: &str = "Content-Type";
const CONTENT_DISPOSITION: &str = "Content-Disposition";

/// A media type such as `multipart/mixed;boundary="b1"`.
#[derive(Clone, Copy, Debug)]
pub struct MediaType<'a> {
    /// The part before the slash, as written.
    pub main: &'a [u8],
    /// The part after the slash, as written.
    pub subtype: &'a [u8],
    /// What follows the first semicolon, as written; empty if there is none.
    pub parameters: &'a [u8],
}

impl<'a> MediaType<'a> {
    /// Parses the value of a Content-Type header field.
    ///
    /// Fails if type and subtype are not two tokens around a slash, and if a second value follows:
    /// parsers may disagree about which of them counts.
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        check_single(CONTENT_TYPE, value)?;
        let (essence, parameters) = split_first(CONTENT_TYPE, value, b';', Nesting::Quotes)?;
        let (main, subtype) = split_first(CONTENT_TYPE, essence, b'/', Nesting::Quotes)?;
        let (main, subtype) = (trim(main), trim(subtype.unwrap_or_default()));
        if !is_token(main) || !is_token(subtype) {
            let expected = "a type, a slash and a subtype";
            return Err(Malformed::at(CONTENT_TYPE, value, 0, expected));
        }
        Ok(Self {
            main,
            subtype,
            parameters: parameters.unwrap_or_default(),
        })
    }

    /// Whether this is `main/subtype`, without regard to case.
    pub fn is(&self, main: &str, subtype: &str) -> bool {
        self.main.eq_ignore_ascii_case(main.as_bytes())
            && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }

    /// The parameter `name`, in any case, unquoted.
    ///
    /// Fails if the parameters are malformed, if `name` occurs twice, and if it is continued or has a
    /// charset (RFC 2231), which not every parser supports.
    pub fn parameter(&self, name: &str) -> Result<Option<Cow<'a, [u8]>>, Malformed> {
        parameter(CONTENT_TYPE, self.parameters, name)
    }

    /// The boundary of a multipart type: 1 to 70 printable characters, no blank at the end
    /// (RFC 2046 §5.1.1).
    ///
    /// RFC 2046 allows fewer characters; any printable one is accepted, since clients use more.
    pub fn boundary(&self) -> Result<Cow<'a, [u8]>, Malformed> {
        let boundary = self.parameter("boundary")?.unwrap_or_default();
        let bad = boundary
            .iter()
            .position(|byte| !byte.is_ascii_graphic() && *byte != b' ');
        let fits = (1..=MAX_BOUNDARY).contains(&boundary.len());
        if bad.is_some() || !fits || boundary.last() == Some(&b' ') {
            let expected = "a boundary of 1 to 70 characters";
            return Err(Malformed::at(
                CONTENT_TYPE,
                &boundary,
                bad.unwrap_or(0),
                expected,
            ));
        }
        Ok(boundary)
    }
}

/// What a body part is for, such as `recipient-list`.
#[derive(Clone, Copy, Debug)]
pub struct Disposition<'a> {
    /// The disposition type, as written.
    pub kind: &'a [u8],
    /// What follows the first semicolon, as written; empty if there is none.
    pub parameters: &'a [u8],
}

impl<'a> Disposition<'a> {
    /// Parses the value of a Content-Disposition header field.
    ///
    /// Fails if the type is not a token, and if a second value follows.
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        check_single(CONTENT_DISPOSITION, value)?;
        let (kind, parameters) = split_first(CONTENT_DISPOSITION, value, b';', Nesting::Quotes)?;
        let kind = trim(kind);
        if !is_token(kind) {
            return Err(Malformed::at(
                CONTENT_DISPOSITION,
                value,
                0,
                "a disposition type",
            ));
        }
        Ok(Self {
            kind,
            parameters: parameters.unwrap_or_default(),
        })
    }

    /// Whether the type is `kind`, in any case, whatever its parameters (U-2).
    pub fn is(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
    }

    /// The parameter `name`, such as `handling`, in any case, unquoted.
    pub fn parameter(&self, name: &str) -> Result<Option<Cow<'a, [u8]>>, Malformed> {
        parameter(CONTENT_DISPOSITION, self.parameters, name)
    }
}

fn parameter<'a>(
    part: &'static str,
    text: &'a [u8],
    name: &str,
) -> Result<Option<Cow<'a, [u8]>>, Malformed> {
    let mut found = None;
    for parameter in parameters(part, listed(text)) {
        let parameter = parameter?;
        let start = parameter.name.get(..name.len()).unwrap_or_default();
        if !start.eq_ignore_ascii_case(name.as_bytes()) {
            continue;
        }
        match parameter.name[name.len()..].first() {
            None => {}
            Some(b'*') => {
                let at = name.len();
                return Err(Malformed::at(
                    part,
                    parameter.name,
                    at,
                    "a value in one piece",
                ));
            }
            Some(_) => continue,
        }
        let value = parameter.value.unwrap_or_default();
        if found.replace(unquoted(value)).is_some() {
            return Err(Malformed::at(part, value, 0, "each parameter only once"));
        }
    }
    Ok(found)
}

/// The parameters, if there are any. Some clients end the header field with a semicolon.
fn listed(text: &[u8]) -> Option<&[u8]> {
    let text = trim(text);
    let text = text.strip_suffix(b";").unwrap_or(text);
    Some(text).filter(|text| !trim(text).is_empty())
}

/// Refuses a list of values where only one is allowed.
fn check_single(part: &'static str, value: &[u8]) -> Result<(), Malformed> {
    match split_first(part, value, b',', Nesting::Quotes)? {
        (_, None) => Ok(()),
        (first, Some(_)) => Err(Malformed::at(part, value, first.len(), "one value")),
    }
}

/// A value without its quotes and escaping backslashes.
fn unquoted(value: &[u8]) -> Cow<'_, [u8]> {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    let Some(inner) = inner else {
        return Cow::Borrowed(value);
    };
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        let escaped = (byte == b'\\').then(|| bytes.next()).flatten();
        out.push(*escaped.unwrap_or(&byte));
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boundary(value: &str) -> Option<Vec<u8>> {
        let boundary = MediaType::parse(value.as_bytes()).unwrap().boundary();
        boundary.ok().map(Cow::into_owned)
    }

    #[test]
    fn types_are_compared_in_any_case_and_across_folds() {
        for value in [
            "multipart/mixed",
            "Multipart/MIXED;boundary=x",
            " multipart / mixed ;\r\n\tboundary=\"a;b\"",
        ] {
            let media_type = MediaType::parse(value.as_bytes()).unwrap();
            assert!(media_type.is("multipart", "mixed"), "{value}");
            assert!(!media_type.is("multipart", "related"));
        }
        for value in [
            "",
            "text",
            "text/",
            "/plain",
            "te xt/plain",
            "text/plain/x",
            "\"a\"/b",
            "text/plain, multipart/mixed",
            "text/plain;x=y,multipart/mixed",
            "text/plain;x=\"y",
        ] {
            assert!(MediaType::parse(value.as_bytes()).is_err(), "{value}");
        }
    }

    #[test]
    fn boundaries_are_found_quoted_and_unquoted() {
        for (value, expected) in [
            ("multipart/mixed;boundary=b1", "b1"),
            ("multipart/mixed; charset=x ;BOUNDARY = \"b 1\"", "b 1"),
            ("multipart/mixed;boundary=----=_Part_0:1", "----=_Part_0:1"),
            ("multipart/mixed;boundary=\"a\\\"b\\\\\";", "a\"b\\"),
        ] {
            assert_eq!(boundary(value).unwrap(), expected.as_bytes(), "{value}");
        }
    }

    #[test]
    fn a_missing_or_impossible_boundary_is_malformed() {
        // T 72.
        let long = format!("multipart/mixed;boundary={}", "b".repeat(MAX_BOUNDARY + 1));
        for value in [
            "multipart/mixed",
            "multipart/mixed;",
            "multipart/mixed;boundary",
            "multipart/mixed;boundary=\"\"",
            "multipart/mixed;boundary=\"b \"",
            "multipart/mixed;boundary=\"b\x01\"",
            "multipart/mixed;boundary=a;boundary=a",
            "multipart/mixed;boundary=\"a",
            "multipart/mixed;=x;boundary=a",
            "multipart/mixed;boundary=a;boundary*=us-ascii''b",
            "multipart/mixed;boundary*0=a;boundary*1=b",
            "multipart/mixed;boundary=a, text/plain",
            &long,
        ] {
            let parsed = MediaType::parse(value.as_bytes());
            assert!(parsed.and_then(|it| it.boundary()).is_err(), "{value}");
        }
    }

    #[test]
    fn broken_parameters_of_a_payload_do_not_matter() {
        let media_type = MediaType::parse(b"text/plain;;charset").unwrap();
        assert!(media_type.is("text", "plain"));
        assert!(media_type.parameter("charset").is_ok());
        let media_type = MediaType::parse(b"text/plain;=x;charset").unwrap();
        assert!(media_type.parameter("charset").is_err());
    }

    #[test]
    fn dispositions_are_compared_in_any_case_and_without_parameters() {
        // U-2.
        for value in [
            "recipient-list",
            "Recipient-List",
            " recipient-list\r\n ; handling=required;x=\";\"",
        ] {
            let disposition = Disposition::parse(value.as_bytes()).unwrap();
            assert!(disposition.is("recipient-list"), "{value}");
            assert!(!disposition.is("recipient-list-history"));
        }
        let disposition = Disposition::parse(b"render; Handling=\"optional\"").unwrap();
        let handling = disposition.parameter("handling").unwrap();
        assert_eq!(handling.as_deref(), Some(&b"optional"[..]));
        assert!(Disposition::parse(b"").is_err());
        assert!(Disposition::parse(b"a b").is_err());
        assert!(Disposition::parse(b"render;x=y, recipient-list").is_err());
    }

    proptest! {
        #[test]
        fn no_input_makes_the_readers_panic(value: Vec<u8>) {
            if let Ok(media_type) = MediaType::parse(&value) {
                let _ = media_type.boundary();
            }
            if let Ok(disposition) = Disposition::parse(&value) {
                let _ = disposition.parameter("handling");
            }
        }
    }
}
