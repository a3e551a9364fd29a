//! Accept-Contact, RFC 3841 §9.2: does the request want a feature (F-1 to F-5)?
//!
//! Scoring is the terminating proxy's task and not here, and neither is Reject-Contact.

use super::Malformed;
use super::text::{Nesting, parameters, split, split_first, trim};

const PART: &str = "Accept-Contact";

/// No client sends more; each value costs time.
const MAX_VALUES: usize = 20;

/// What Accept-Contact says of one feature tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// No value wants the feature.
    Absent,
    /// Some value wants it.
    Wanted,
    /// Some value wants it, but the header field breaks a rule of its own (F-5).
    Broken(Malformed),
}

/// Looks for `tag` (lower case, with its `+`) in all rows; an unreadable row is an error.
pub fn wish<'a>(rows: impl Iterator<Item = &'a [u8]>, tag: &[u8]) -> Result<Wish, Malformed> {
    let mut wanted = false;
    let mut broken = None;
    let mut count = 0;
    for row in rows {
        for value in split(PART, row, b',', Nesting::Quotes) {
            let value = value?;
            count += 1;
            if count > MAX_VALUES {
                broken.get_or_insert(Malformed::at(PART, row, 0, "at most 20 values"));
            }
            let (feature_wanted, defect) = read_value(value, tag)?;
            wanted |= feature_wanted;
            broken = broken.or(defect);
        }
    }
    Ok(match (wanted, broken) {
        (false, _) => Wish::Absent,
        (true, None) => Wish::Wanted,
        (true, Some(defect)) => Wish::Broken(defect),
    })
}

/// One value: whether it wants the feature, and what it repeats.
fn read_value(value: &[u8], tag: &[u8]) -> Result<(bool, Option<Malformed>), Malformed> {
    let (star, rest) = split_first(PART, value, b';', Nesting::Quotes)?;
    let Some(rest) = rest.filter(|_| trim(star) == b"*") else {
        return Ok((false, None));
    };
    let mut wanted = false;
    let mut defect = None;
    let mut seen = [false; 3];
    for parameter in parameters(PART, rest) {
        let parameter = parameter?;
        let watched: [&[u8]; 3] = [tag, b"require", b"explicit"];
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
                "no parameter twice in a value",
            ));
        }
        wanted |= index == 0 && parameter.value.is_none_or(is_true);
    }
    Ok((wanted, defect))
}

/// Whether a tag's value means TRUE (RFC 3840 §9): a quoted list of which some member is `TRUE`.
/// The unquoted form is no grammar, but clients send it.
fn is_true(value: &[u8]) -> bool {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value);
    // A comma inside `<…>` belongs to a string, which is no token.
    let mut members = split(PART, inner, b',', Nesting::QuotesAndAngles);
    members.any(|member| member.is_ok_and(|member| member.eq_ignore_ascii_case(b"TRUE")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(rows: &[&str]) -> Result<Wish, Malformed> {
        wish(rows.iter().map(|row| row.as_bytes()), b"+g.oma.sip-im")
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
    fn repetitions_and_long_lists_are_broken() {
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
    fn an_unreadable_value_is_an_error() {
        for rows in [
            &["*;+g.oma.sip-im;x=\"a"][..],
            &["*;=x"],
            &["*;;+g.oma.sip-im"],
        ] {
            assert!(of(rows).is_err(), "{rows:?}");
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_the_reader_panic(row: Vec<u8>) {
            let _ = wish([row.as_slice()].into_iter(), b"+g.oma.sip-im");
        }
    }
}
