//! Content-Transfer-Encoding of list parts: RFC 2045 §6. Payloads are never decoded (M-10).

use super::Malformed;
use super::text::trim;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use quoted_printable::ParseMode;
use std::borrow::Cow;
use std::fmt;

const BASE64: &str = "base64 body part";
const QUOTED_PRINTABLE: &str = "quoted-printable body part";

/// Encoded text longer than the allowed decoded length by this factor is refused undecoded: no encoder
/// produces that, and decoding takes memory.
const MAX_EXPANSION: usize = 4;

/// Some encoders omit the padding.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a part cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferError {
    /// The encoding is not one of RFC 2045: 415.
    Unknown,
    /// It is longer than is allowed: 413.
    TooLong,
    /// It violates its encoding: 400.
    Malformed(Malformed),
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str(
                "Content-Transfer-Encoding: expected 7bit, 8bit, binary, base64 or quoted-printable",
            ),
            Self::TooLong => f.write_str("the body part is longer than is allowed"),
            Self::Malformed(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for TransferError {}

/// The content of a part whose Content-Transfer-Encoding is `encoding`, at most `max` bytes.
///
/// Without an encoding the content is returned as is (RFC 2045 §6.1). Memory use is bounded by `max`,
/// whatever the content.
pub fn decoded<'a>(
    encoding: Option<&[u8]>,
    content: &'a [u8],
    max: usize,
) -> Result<Cow<'a, [u8]>, TransferError> {
    let encoding = trim(encoding.unwrap_or(b"binary"));
    let is = |name: &str| encoding.eq_ignore_ascii_case(name.as_bytes());
    let (decode, longest): (Decoder<'a>, usize) = if is("7bit") || is("8bit") || is("binary") {
        (|content| Ok(Cow::Borrowed(content)), max)
    } else if is("base64") {
        (from_base64, max.saturating_mul(MAX_EXPANSION))
    } else if is("quoted-printable") {
        (from_quoted_printable, max.saturating_mul(MAX_EXPANSION))
    } else {
        return Err(TransferError::Unknown);
    };
    if content.len() > longest {
        return Err(TransferError::TooLong);
    }
    let decoded = decode(content).map_err(TransferError::Malformed)?;
    if decoded.len() > max {
        return Err(TransferError::TooLong);
    }
    Ok(decoded)
}

type Decoder<'a> = fn(&'a [u8]) -> Result<Cow<'a, [u8]>, Malformed>;

/// Line ends and blanks are ignored (RFC 2045 §6.8). Other characters might be ignored as well, but
/// then two parsers could see two lists.
fn from_base64(content: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    let bare: Vec<u8> = content
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let decoded = ENGINE.decode(&bare).map_err(|_| {
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
        let bad = content
            .iter()
            .position(|byte| !good(byte) && !byte.is_ascii_whitespace());
        let offset = bad.unwrap_or(content.len());
        Malformed::at(BASE64, content, offset, "whole groups of base64")
    })?;
    Ok(Cow::Owned(decoded))
}

fn from_quoted_printable(content: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    let malformed = |at, expected| Malformed::at(QUOTED_PRINTABLE, content, at, expected);
    // The decoder drops characters that it does not accept, which could turn one address into another.
    let good = |byte: &u8| matches!(byte, b'\t' | b'\r' | b'\n' | b' '..=b'~');
    if let Some(bad) = content.iter().position(|byte| !good(byte)) {
        return Err(malformed(bad, "printable characters"));
    }
    for at in memchr::memchr_iter(b'=', content) {
        let escape = match &content[at + 1..] {
            [high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
            _ => false,
        };
        if !escape && !ends_line(&content[at + 1..]) {
            return Err(malformed(
                at,
                "two hexadecimal digits or the end of the line",
            ));
        }
    }
    let decoded = quoted_printable::decode(content, ParseMode::Robust)
        .map_err(|_| malformed(0, "quoted-printable text"))?;
    Ok(Cow::Owned(decoded))
}

/// Whether only blanks remain before the end of the line (RFC 2045 §6.7 rule 3).
fn ends_line(text: &[u8]) -> bool {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    matches!(
        &text[blanks.count()..],
        [] | [b'\n', ..] | [b'\r', b'\n', ..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(encoding: &str, content: &str) -> Result<String, TransferError> {
        let decoded = decoded(Some(encoding.as_bytes()), content.as_bytes(), 16)?;
        Ok(String::from_utf8_lossy(&decoded).into_owned())
    }

    #[test]
    fn all_encodings_of_rfc_2045_are_decoded() {
        // M-6.
        for (encoding, content) in [
            ("7bit", "<a/>=3D"),
            ("8BIT ", "<a/>=3D"),
            ("binary", "<a/>=3D"),
            ("Base64", "PGEv\r\nPj0z\n RA==\r\n"),
            ("base64", "PGEvPj0zRA"),
            ("quoted-printable", "<a=\r\n/=3E=3d3= \t\nD"),
        ] {
            assert_eq!(text(encoding, content).unwrap(), "<a/>=3D", "{encoding}");
        }
        assert_eq!(decoded(None, b"\0\xff", 2).unwrap(), &b"\0\xff"[..]);
    }

    #[test]
    fn other_encodings_are_unknown() {
        for encoding in ["", "x-uuencode", "gzip", "base64 x"] {
            assert_eq!(text(encoding, "x"), Err(TransferError::Unknown));
        }
    }

    #[test]
    fn broken_encodings_say_where() {
        for (encoding, content, offset) in [
            ("base64", "PGEv!Pj0z", 4),
            ("base64", "PGEvP", 5),
            ("base64", "PGE=v", 5),
            ("quoted-printable", "a=3", 1),
            ("quoted-printable", "a=zz", 1),
            ("quoted-printable", "a= b", 1),
            ("quoted-printable", "a\u{e4}", 1),
            ("quoted-printable", "ab\0", 2),
        ] {
            match text(encoding, content) {
                Err(TransferError::Malformed(error)) => {
                    assert_eq!(error.offset, offset, "{content}")
                }
                other => panic!("{content}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_decodes_to_more_than_is_allowed_is_too_long() {
        // S-3.
        assert_eq!(text("binary", &"a".repeat(17)), Err(TransferError::TooLong));
        assert_eq!(
            text("quoted-printable", &"a".repeat(17)),
            Err(TransferError::TooLong)
        );
        assert_eq!(
            text("base64", &"YWFh".repeat(6)),
            Err(TransferError::TooLong)
        );
        assert_eq!(
            text("base64", &"\n".repeat(65)),
            Err(TransferError::TooLong)
        );
        assert_eq!(text("binary", &"a".repeat(16)).unwrap().len(), 16);
        assert_eq!(
            text("base64", &("YWFh".repeat(5) + "YQ==")).unwrap().len(),
            16
        );
    }

    proptest! {
        #[test]
        fn base64_gives_back_what_was_encoded(bytes: Vec<u8>) {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let decoded = decoded(Some(b"base64"), encoded.as_bytes(), bytes.len());
            prop_assert_eq!(decoded.unwrap().into_owned(), bytes);
        }

        #[test]
        fn quoted_printable_gives_back_what_was_encoded(text in "(\\PC|=|\r\n){0,90}") {
            let encoded = quoted_printable::encode(&text);
            let decoded = decoded(Some(b"quoted-printable"), &encoded, text.len());
            prop_assert_eq!(decoded.unwrap().into_owned(), text.into_bytes());
        }

        #[test]
        fn no_input_makes_the_decoders_panic(
            encoding in "(base64|quoted-printable|7bit)",
            content in "(=|[0-9A-Fa-f]|\r|\n| |\\PC){0,32}",
        ) {
            let _ = decoded(Some(encoding.as_bytes()), content.as_bytes(), 16);
        }
    }
}
