//! Authorization and Proxy-Authorization, RFC 3261 §25.1: which realm credentials are for (U-10).
//!
//! Verifying them is the proxy's task and not implemented here.

use super::Malformed;
use super::text::{Nesting, is_token, split, split_first, trim, trim_start};

const PART: &str = "credentials";

/// The realm, unquoted. An error unless there is exactly one: otherwise it is unknown whom the
/// credentials are for.
pub fn realm(value: &[u8]) -> Result<Vec<u8>, Malformed> {
    let end = value.iter().position(|byte| b" \t\r\n".contains(byte));
    let end = end.unwrap_or(value.len());
    if !is_token(&value[..end]) {
        return Err(Malformed::at(PART, value, 0, "a scheme"));
    }
    let mut realm = None;
    for parameter in split(PART, trim_start(&value[end..]), b',', Nesting::Quotes) {
        let (name, value) = split_first(PART, parameter?, b'=', Nesting::Quotes)?;
        if trim(name).eq_ignore_ascii_case(b"realm") {
            let value = unquoted(trim(value.unwrap_or_default()))?;
            if realm.replace(value).is_some() {
                return Err(Malformed::at(PART, name, 0, "one realm"));
            }
        }
    }
    realm.ok_or(Malformed::at(PART, value, value.len(), "a realm"))
}

fn unquoted(value: &[u8]) -> Result<Vec<u8>, Malformed> {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""));
    let inner = inner.ok_or(Malformed::at(PART, value, 0, "a quoted realm"))?;
    let mut plain = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => *bytes.next().unwrap_or(&byte),
            byte => byte,
        });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_realm_is_found_among_the_parameters() {
        // U-10.
        for (value, found) in [
            (
                "Digest username=\"realm=x\", realm=\"home1.net\",nonce=\"a\"",
                "home1.net",
            ),
            (
                "digest\r\n REALM = \"a\\\"b, c\" , uri=\"sip:h\"",
                "a\"b, c",
            ),
        ] {
            assert_eq!(realm(value.as_bytes()).unwrap(), found.as_bytes());
        }
    }

    #[test]
    fn credentials_for_nobody_or_for_two_are_errors() {
        for value in [
            "",
            "Basic abc=",
            "Digest realm=home1.net",
            "Digest realm=\"a\",realm=\"b\"",
            "Digest realm=\"a",
        ] {
            assert!(realm(value.as_bytes()).is_err(), "{value}");
        }
    }
}
