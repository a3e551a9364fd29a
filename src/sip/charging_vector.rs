//! P-Charging-Vector, RFC 7315 §5.6: the parameters that an application server answers or copies.

use super::Malformed;
use super::text::{is_forbidden_control, is_token_byte, parameters};

const PART: &str = "P-Charging-Vector";

/// A charging vector. All values are as written, quotes included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChargingVector<'a> {
    /// `icid-value`.
    pub icid: &'a [u8],
    /// `icid-generated-at`.
    pub generated_at: Option<&'a [u8]>,
    /// `orig-ioi`.
    pub orig_ioi: Option<&'a [u8]>,
}

impl<'a> ChargingVector<'a> {
    /// Parses one row. Only what may be echoed in an answer is checked.
    pub fn parse(row: &'a [u8]) -> Result<Self, Malformed> {
        const NAMES: [&[u8]; 3] = [b"icid-value", b"icid-generated-at", b"orig-ioi"];
        let mut found = [None; 3];
        for parameter in parameters(PART, row) {
            let parameter = parameter?;
            let mut names = NAMES.iter();
            let Some(index) = names.position(|name| parameter.name.eq_ignore_ascii_case(name))
            else {
                continue;
            };
            let value = checked(parameter.value.unwrap_or_default())?;
            if found[index].replace(value).is_some() {
                return Err(Malformed::at(PART, value, 0, "each parameter only once"));
            }
        }
        let [icid, generated_at, orig_ioi] = found;
        let missing = Malformed::at(PART, row, row.len(), "icid-value");
        Ok(Self {
            icid: icid.ok_or(missing)?,
            generated_at,
            orig_ioi,
        })
    }
}

/// Checks that a value is a quoted string on one line, a token or a host.
fn checked(value: &[u8]) -> Result<&[u8], Malformed> {
    let bad = match value.first() {
        None => Some(0),
        // `parameters` has found its closing quote.
        Some(b'"') => value.iter().position(|&byte| is_forbidden_control(byte)),
        Some(_) => value
            .iter()
            .position(|&byte| !is_token_byte(byte) && !b"[]:".contains(&byte)),
    };
    match bad {
        Some(bad) => Err(Malformed::at(PART, value, bad, "a parameter value")),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_identifier_and_the_networks_are_read() {
        // N-4.
        let row = b"Orig-IOI = home1.net ; icid-value=\"a;\\\"b\";\r\n icid-generated-at=[::1];term-ioi=\"x\";y";
        let vector = ChargingVector::parse(row).unwrap();
        assert_eq!(vector.icid, b"\"a;\\\"b\"");
        assert_eq!(vector.generated_at, Some(&b"[::1]"[..]));
        assert_eq!(vector.orig_ioi, Some(&b"home1.net"[..]));
        assert!(ChargingVector::parse(b";icid-value=a;;").is_ok());
    }

    #[test]
    fn what_cannot_be_echoed_is_an_error() {
        // S-7.
        for row in [
            &b""[..],
            b"orig-ioi=h",
            b"icid-value",
            b"icid-value=",
            b"icid-value=a b",
            b"icid-value=a,icid-value=b",
            b"icid-value=a;icid-value=b",
            b"icid-value=\"a\0\"",
            b"icid-value=\"a\r\n b\"",
            b"icid-value=\"a",
            b"icid-value=a;orig-ioi=<h>",
        ] {
            let read = ChargingVector::parse(row);
            assert!(read.is_err(), "{}", row.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_the_reader_panic(row: Vec<u8>) {
            let _ = ChargingVector::parse(&row);
        }
    }
}
