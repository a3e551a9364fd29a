//! Accept-Contact, RFC 3841 §9.2: whether the request asks for a feature (F-1 to F-5).
//!
//! Scoring and Reject-Contact are the terminating proxy's task and not implemented here.

use super::Malformed;
use super::escape::escaped_byte;
use super::text::{Nesting, is_token, parameters, split, split_first, trim};

const PART: &str = "Accept-Contact";

/// No client sends more; each value costs time on every request.
const MAX_VALUES: usize = 20;

/// A feature tag to look for: a boolean one, or one with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureTag {
    /// The name with its `+`, compared without regard to case.
    name: Vec<u8>,
    /// The value with escapes decoded, compared case-sensitively.
    value: Option<Vec<u8>>,
}

impl FeatureTag {
    /// Parses `NAME` or `NAME=VALUE`; the value may be quoted.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(without_quotes(value.trim().as_bytes()))),
            None => (text, None),
        };
        let name = name.trim().as_bytes().to_vec();
        if !is_token(&name) || value.is_some_and(|value| !is_token(value)) {
            return None;
        }
        let value = value.map(|value| unescaped(value).collect());
        Some(Self { name, value })
    }

    /// Whether a parameter refers to this feature, whatever it states: a boolean feature is known by
    /// its name, one with a value by name and value.
    fn is_named(&self, name: &[u8], value: Option<&[u8]>) -> bool {
        let same = self.name.eq_ignore_ascii_case(name);
        same && (self.value.is_none() || self.matches(value))
    }

    /// Whether a tag of this name with `value` is the wanted one. A quoted list matches if any member
    /// does (RFC 3840 §9). The unquoted form violates the grammar, but clients send it.
    fn matches(&self, value: Option<&[u8]>) -> bool {
        let mut members = value.into_iter().flat_map(|value| {
            // A comma inside `<…>` belongs to a string value and separates nothing.
            split(PART, without_quotes(value), b',', Nesting::QuotesAndAngles)
                .filter_map(Result::ok)
        });
        match &self.value {
            None => value.is_none() || members.any(|member| member.eq_ignore_ascii_case(b"TRUE")),
            Some(wanted) => members.any(|member| unescaped(member).eq(wanted.iter().copied())),
        }
    }
}

fn without_quotes(value: &[u8]) -> &[u8] {
    let inner = value.strip_prefix(b"\"");
    let inner = inner.and_then(|value| value.strip_suffix(b"\""));
    inner.unwrap_or(value)
}

/// The bytes of `text` with every `%HH` decoded.
fn unescaped(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *text.get(at)?;
        let escaped = escaped_byte(&text[at..]);
        at += if escaped.is_some() { 3 } else { 1 };
        Some(escaped.unwrap_or(byte))
    })
}

/// Whether a value applies to any contact (F-2) and names none of `tags`, so that it may accompany one
/// that does.
pub fn is_other(value: &[u8], tags: &[&FeatureTag]) -> bool {
    let Ok((star, rest)) = split_first(PART, value, b';', Nesting::Quotes) else {
        return false;
    };
    let read = rest.map(|rest| parameters(PART, rest));
    let mut read = read.into_iter().flatten();
    trim(star) == b"*"
        && read.all(|parameter| {
            parameter.is_ok_and(|parameter| {
                let mut tags = tags.iter();
                !tags.any(|tag| tag.is_named(parameter.name, parameter.value))
            })
        })
}

/// The error of the first malformed value of a row.
pub fn unreadable(row: &[u8]) -> Option<Malformed> {
    split(PART, row, b',', Nesting::Quotes).find_map(|value| {
        let value = match value {
            Ok(value) => value,
            Err(error) => return Some(error),
        };
        let (_, rest) = split_first(PART, value, b';', Nesting::Quotes).ok()?;
        parameters(PART, rest).find_map(Result::err)
    })
}

/// What Accept-Contact says about one feature tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// No value asks for the feature.
    Absent,
    /// A value asks for it.
    Wanted,
    /// A value asks for it, but the header field violates one of the rules of F-5.
    Broken(Malformed),
}

/// Looks for `tag` in all rows. A malformed value does not hide the others; it is the error if none of
/// the others asks for the feature.
pub fn wish<'a>(rows: impl Iterator<Item = &'a [u8]>, tag: &FeatureTag) -> Result<Wish, Malformed> {
    let mut wanted = false;
    let mut broken = None;
    let mut unreadable = None;
    let mut count = 0;
    for row in rows {
        for value in split(PART, row, b',', Nesting::Quotes) {
            count += 1;
            if count > MAX_VALUES {
                broken.get_or_insert(Malformed::at(PART, row, 0, "at most 20 values"));
            }
            match value.and_then(|value| read_value(value, tag)) {
                Ok((feature_wanted, defect)) => {
                    wanted |= feature_wanted;
                    broken = broken.or(defect);
                }
                Err(error) => unreadable = unreadable.or(Some(error)),
            }
        }
    }
    match (wanted, broken, unreadable) {
        (true, None, _) => Ok(Wish::Wanted),
        (true, Some(defect), _) => Ok(Wish::Broken(defect)),
        (false, _, Some(error)) => Err(error),
        (false, _, None) => Ok(Wish::Absent),
    }
}

/// Reads one value: whether it asks for the feature, and the parameter that it repeats, if any.
fn read_value(value: &[u8], tag: &FeatureTag) -> Result<(bool, Option<Malformed>), Malformed> {
    let (star, rest) = split_first(PART, value, b';', Nesting::Quotes)?;
    let Some(rest) = rest.filter(|_| trim(star) == b"*") else {
        return Ok((false, None));
    };
    let mut wanted = false;
    let mut defect = None;
    let mut seen = [false; 3];
    for parameter in parameters(PART, rest) {
        let parameter = parameter?;
        let watched: [&[u8]; 3] = [&tag.name, b"require", b"explicit"];
        let found = watched
            .iter()
            .position(|name| parameter.name.eq_ignore_ascii_case(name));
        let Some(index) = found else {
            continue;
        };
        if std::mem::replace(&mut seen[index], true) {
            defect = Some(Malformed::at(
                PART,
                value,
                0,
                "each parameter only once in a value",
            ));
        }
        wanted |= index == 0 && tag.matches(parameter.value);
    }
    Ok((wanted, defect))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(rows: &[&str]) -> Result<Wish, Malformed> {
        of_tag("+g.oma.sip-im", rows)
    }

    fn of_tag(tag: &str, rows: &[&str]) -> Result<Wish, Malformed> {
        let tag = FeatureTag::parse(tag).unwrap();
        wish(rows.iter().map(|row| row.as_bytes()), &tag)
    }

    #[test]
    fn a_tag_with_a_value_is_compared_after_decoding() {
        //
        const TAG: &str = "+g.3gpp.icsi-ref=urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg";
        for (row, wanted) in [
            (
                "*;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg\"",
                true,
            ),
            (
                "*;+G.3GPP.ICSI-REF=\"x, urn%3aurn-7%3a3gpp-service.ims.icsi.oma%2Ecpm.msg\"",
                true,
            ),
            (
                "*;+g.3gpp.icsi-ref=\"urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg\"",
                true,
            ),
            (
                "*;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.MSG\"",
                false,
            ),
            (
                "*;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg.group\"",
                false,
            ),
            ("*;+g.3gpp.icsi-ref", false),
            ("*;+g.3gpp.icsi-ref=\"TRUE\"", false),
            ("*;+g.oma.sip-im", false),
        ] {
            let expected = if wanted { Wish::Wanted } else { Wish::Absent };
            assert_eq!(of_tag(TAG, &[row]), Ok(expected), "{row}");
        }
        for bad in ["", "=x", "a b", "+g.x=", "+g.x=a,b", "+g.x=\"a"] {
            assert_eq!(FeatureTag::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_tag_is_found_wherever_it_may_stand() {
        // F-1 to F-4; T 9, 10, 11.
        for rows in [
            &["*;+g.oma.sip-im"][..],
            &["*;+G.OMA.SIP-IM"],
            &["* ; require ; +g.oma.sip-im ; explicit"],
            &["*;audio, *;+g.oma.sip-im;require"],
            &["*;audio", "*;+g.oma.sip-im"],
            &["*;audio;\r\n +g.oma.sip-im"],
            &["*;x=\"a,b;\\\"c\";+g.oma.sip-im"],
            &["*;+g.oma.sip-im=\"TRUE\""],
            &["*;+g.oma.sip-im=\"<x>, true\""],
            &["*;+g.oma.sip-im=TRUE"],
        ] {
            assert_eq!(of(rows), Ok(Wish::Wanted), "{rows:?}");
        }
    }

    #[test]
    fn what_only_resembles_the_tag_is_not_it() {
        // F-2 to F-4; T 8, 13.
        for rows in [
            &[][..],
            &["*"],
            &["*;audio"],
            &["*;+g.oma.sip-im.large-message"],
            &["*;x=\"+g.oma.sip-im\""],
            &["*;x=\";+g.oma.sip-im\""],
            &["sip:x;+g.oma.sip-im"],
            &["+g.oma.sip-im"],
            &["*;+g.oma.sip-im=\"FALSE\""],
            &["*;+g.oma.sip-im=\"!TRUE\""],
            &["*;+g.oma.sip-im=\"<TRUE>\""],
            &["*;+g.oma.sip-im=\"#1\""],
            &["*;+g.oma.sip-im=\"<a,TRUE,b>\""],
            &["*;+g.oma.sip-im=\"\""],
        ] {
            assert_eq!(of(rows), Ok(Wish::Absent), "{rows:?}");
        }
    }

    #[test]
    fn repeated_parameters_and_long_lists_are_broken() {
        // F-5.
        let many = vec!["*;+g.oma.sip-im"; 21];
        for rows in [
            &["*;+g.oma.sip-im;require;Require"][..],
            &["*;explicit;explicit", "*;+g.oma.sip-im"],
            &["*;+g.oma.sip-im;+g.oma.sip-im=\"FALSE\""],
            &many,
        ] {
            assert!(matches!(of(rows), Ok(Wish::Broken(_))), "{rows:?}");
        }
        assert_eq!(of(&many[1..]), Ok(Wish::Wanted));
        assert_eq!(of(&["*;require;require"]), Ok(Wish::Absent));
    }

    #[test]
    fn other_values_are_those_that_name_none_of_the_tags() {
        // F-6.
        let parse = |text| FeatureTag::parse(text).unwrap();
        let (im, icsi) = (parse("+g.oma.sip-im"), parse("+g.3gpp.icsi-ref=urn%3Ax"));
        for (value, other) in [
            ("*;audio", true),
            ("*", true),
            ("*;+g.3gpp.icsi-ref=\"urn%3Ay\"", true),
            ("*;+g.3gpp.icsi-ref=\"urn%3Ay,urn%3Ax\"", false),
            ("*;+g.oma.sip-im.large-message", true),
            ("*;audio;+G.OMA.SIP-IM", false),
            ("*;+g.oma.sip-im=\"FALSE\"", false),
            ("sip:x;audio", false),
            ("*;x=\"a", false),
        ] {
            assert_eq!(is_other(value.as_bytes(), &[&im, &icsi]), other, "{value}");
        }
    }

    #[test]
    fn an_unreadable_value_is_an_error_and_hides_no_other() {
        for rows in [
            &["*;+g.oma.sip-im;x=\"a"][..],
            &["*;=x"],
            &["*;audio", "*;+g.oma.sip-im;=x"],
        ] {
            assert!(of(rows).is_err(), "{rows:?}");
        }
        for rows in [
            &["*;+g.3gpp.icsi-ref=\"urn%3Aurn-7", "*;+g.oma.sip-im"][..],
            &["*;+g.oma.sip-im", "*;x=\"a"],
            &["*;=x, *;+g.oma.sip-im, *;a b"],
        ] {
            assert_eq!(of(rows), Ok(Wish::Wanted), "{rows:?}");
        }
    }

    #[test]
    fn empty_parameters_and_values_are_skipped() {
        for row in [
            "*;;+g.oma.sip-im",
            "*;+g.oma.sip-im;require;explicit;",
            ", *;+g.oma.sip-im,",
        ] {
            assert_eq!(of(&[row]), Ok(Wish::Wanted), "{row}");
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_the_reader_panic(row: Vec<u8>) {
            let tag = FeatureTag::parse("+g.oma.sip-im").unwrap();
            let _ = wish([row.as_slice()].into_iter(), &tag);
        }
    }
}
