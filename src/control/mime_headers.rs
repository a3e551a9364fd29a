//! Header fields that tell of a body: which they are, and how those of a part become those of a message (U-7, I-6).

use super::anonymous_headers::names_somebody;
use super::body_part::body;
use super::failure::Failure;
use crate::sip::HeaderName;
use crate::sip::header::full_form;
use crate::sip::message::Header;
use crate::sip::text::{Nesting, parameters, split, unfold};

/// Parameters of Content-Type and Content-Disposition without which a content is read wrongly. Others,
/// such as `name`, `filename` and `start`, name things of the originator's.
const PARAMETERS: [&[u8]; 9] = [
    b"boundary",
    b"charset",
    b"codecs",
    b"delsp",
    b"format",
    b"handling",
    b"profile",
    b"type",
    b"version",
];

/// Whether a header field tells of the body, so that another body has others.
pub(super) fn is_of_content(header: &Header<'_>) -> bool {
    let name = full_form(header.written);
    let is_content = name.get(..8);
    is_content.is_some_and(|start| start.eq_ignore_ascii_case(b"Content-"))
}

/// The header fields of a part, which have the form of a message's, as those of one.
pub(super) fn as_message(head: &[u8]) -> Vec<u8> {
    [b"M sip:x SIP/2.0\r\n", head, b"\r\n"].concat()
}

/// Writes a header field that tells of a body, with its CRLF; nothing for others. Where the originator
/// stays anonymous, nothing that may name somebody is written (I-6).
pub(super) fn write_mime(
    field: &Header<'_>,
    anonymous: bool,
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    let is_left_out =
        field.name == HeaderName::ContentLength || (anonymous && names_somebody(field));
    if is_left_out || !is_of_content(field) {
        return Ok(());
    }
    out.extend_from_slice(full_form(field.written));
    out.extend_from_slice(b": ");
    match anonymous {
        true => write_value(field.value, out)?,
        false => unfold("body part header", field.value, out).map_err(body)?,
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Appends a value on one line, of its parameters only those that say how to read the content.
pub(super) fn write_value(value: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
    const FIELD: &str = "body part header";
    for (index, piece) in split(FIELD, value, b';', Nesting::Quotes).enumerate() {
        let piece = piece.map_err(body)?;
        // The first is the value itself.
        let is_kept = index == 0
            || parameters(FIELD, piece).any(|parameter| {
                let mut kept = PARAMETERS.iter();
                parameter.is_ok_and(|it| kept.any(|name| it.name.eq_ignore_ascii_case(name)))
            });
        if is_kept {
            if index > 0 {
                out.push(b';');
            }
            unfold(FIELD, piece, out).map_err(body)?;
        }
    }
    Ok(())
}
