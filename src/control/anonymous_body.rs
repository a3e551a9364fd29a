//! The body of a message whose originator stays anonymous: what of it names them, and what is left of it.
//! I-6, M-8, RFC 3323 §4.1.
//!
//! The words that somebody writes are theirs. What their client adds is not: header fields and their
//! parameters are copied only where they say how the content is to be read. A body that is a message
//! itself, or that somebody has signed, names them inside and cannot be changed; such a message is
//! refused.

use super::body_part::{Multipart, body};
use super::failure::Failure;
use super::mime_headers::{as_message, write_mime};
use crate::sip::media_type::MediaType;
use crate::sip::multipart::{Part, join_parts};
use crate::sip::text::Printable;
use crate::sip::{HeaderName, Request};

/// The type of a body, or of a part, that names who sends it and must not be changed; `None` where
/// there is none. What cannot be read is refused where the body is looked at (row 10).
pub(super) fn naming_type(request: &Request<'_>) -> Option<String> {
    let value = request.value(HeaderName::ContentType)?;
    let whole = Multipart::of_request(request).ok()?;
    naming(value, whole.as_ref(), 1)
}

fn naming(value: &[u8], whole: Option<&Multipart<'_>>, depth: usize) -> Option<String> {
    let media = MediaType::parse(value).ok()?;
    let is_message = media.main.eq_ignore_ascii_case(b"message");
    // A part of a digest is a message unless it says that it is something else.
    let is_signed = [
        ("multipart", "digest"),
        ("multipart", "signed"),
        ("application", "pkcs7-mime"),
        ("application", "x-pkcs7-mime"),
    ]
    .iter()
    .any(|(main, subtype)| media.is(main, subtype));
    if is_message || is_signed {
        let (main, subtype) = (Printable(media.main), Printable(media.subtype));
        return Some(format!("{main}/{subtype}"));
    }
    whole?.parts.iter().find_map(|part| {
        let inner = Multipart::of_part(part, depth + 1).ok()?;
        naming(part.headers.content_type?, inner.as_ref(), depth + 1)
    })
}

/// The body of a request without what names somebody in the header fields of its parts; `None` where
/// it has none. The part with this Content-ID is a list and keeps it, so that it is found.
pub(super) fn cleaned(
    request: &Request<'_>,
    content_id: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, Failure> {
    let whole = Multipart::of_request(request)?;
    let cleaned = whole.map(|whole| clean(&whole, content_id, 1));
    cleaned.transpose()
}

fn clean(
    whole: &Multipart<'_>,
    content_id: Option<&[u8]>,
    depth: usize,
) -> Result<Vec<u8>, Failure> {
    let parts = whole.parts.iter();
    let parts = parts.map(|part| clean_part(part, content_id, depth));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let mut out = Vec::new();
    join_parts(&parts, &whole.boundary, &mut out);
    Ok(out)
}

fn clean_part(
    part: &Part<'_>,
    content_id: Option<&[u8]>,
    depth: usize,
) -> Result<Vec<u8>, Failure> {
    let head = as_message(part.head);
    let fields = Request::read(&head).map_err(body)?;
    let mut out = Vec::with_capacity(part.bytes.len());
    for field in fields.headers() {
        let is_of_list = field.name == HeaderName::ContentId && is_id(field.value, content_id);
        write_mime(field, !is_of_list, &mut out)?;
    }
    out.extend_from_slice(b"\r\n");
    match Multipart::of_part(part, depth + 1)? {
        Some(inner) => out.extend(clean(&inner, content_id, depth + 1)?),
        None => out.extend_from_slice(part.content),
    }
    Ok(out)
}

fn is_id(value: &[u8], content_id: Option<&[u8]>) -> bool {
    let id = value
        .strip_prefix(b"<")
        .and_then(|id| id.strip_suffix(b">"));
    id.is_some() && id == content_id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content_type: &str, body: &str) -> Vec<u8> {
        let head = format!("MESSAGE sip:g@h SIP/2.0\r\nContent-Type: {content_type}\r\n\r\n");
        (head + body).into_bytes()
    }

    #[test]
    fn bodies_that_are_messages_or_signed_are_found_however_they_are_written() {
        // I-6, M-8.
        let within = |part: &str| format!("--b\r\n\r\nhi\r\n--b\r\n{part}\r\n--b--\r\n");
        let deep = within(
            "Content-Type: multipart/related;boundary=c\r\n\r\n\
             --c\r\nc: MESSAGE/\r\n SIPfrag;version=2.0\r\n\r\nFrom: x\r\n--c--",
        );
        for (content_type, body, found) in [
            ("message/cpim", String::new(), "message/cpim"),
            (
                "Message / CPIM ;charset=utf-8",
                String::new(),
                "Message/CPIM",
            ),
            ("message/sipfrag", String::new(), "message/sipfrag"),
            ("message/sip", String::new(), "message/sip"),
            ("message/rfc822", String::new(), "message/rfc822"),
            (
                "message/external-body",
                String::new(),
                "message/external-body",
            ),
            ("message/partial;id=a", String::new(), "message/partial"),
            (
                "application/pkcs7-mime",
                String::new(),
                "application/pkcs7-mime",
            ),
            (
                "multipart/digest;boundary=b",
                within("\r\nFrom: x"),
                "multipart/digest",
            ),
            (
                "multipart/signed;boundary=b",
                within("\r\nx"),
                "multipart/signed",
            ),
            (
                "multipart/mixed;boundary=b",
                within(
                    "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==",
                ),
                "message/rfc822",
            ),
            ("multipart/alternative;boundary=b", deep, "MESSAGE/SIPfrag"),
        ] {
            let bytes = request(content_type, &body);
            let request = Request::read(&bytes).unwrap();
            assert_eq!(
                naming_type(&request).as_deref(),
                Some(found),
                "{content_type}"
            );
        }
        for (content_type, body) in [
            ("text/plain", "message/cpim".to_owned()),
            (
                "multipart/mixed;boundary=b",
                within("\r\nContent-Type: message/cpim"),
            ),
            ("image/png", String::new()),
        ] {
            let bytes = request(content_type, &body);
            let request = Request::read(&bytes).unwrap();
            assert_eq!(naming_type(&request), None, "{content_type}");
        }
    }

    #[test]
    fn parts_keep_what_says_how_to_read_them() {
        // I-6.
        let inner = "Content-Type: multipart/related;boundary=c;start=\"<1@ann>\"\r\n\r\n\
            --c\r\nContent-ID: <1@ann>\r\nContent-Location: http://ann/\r\n\r\nin\r\n--c--\r\n";
        let body = format!(
            "of ann\r\n--b\r\nc: text/plain; charset=UTF-8;\r\n name=\"ann;1\"\r\nX-Ann: 1\r\n\
             Content-Disposition: attachment;filename=ann;handling=optional\r\n\
             Content-Transfer-Encoding: 8bit\r\nContent-Language: en\r\n\r\nhi\r\n\
             --b\r\nContent-ID: <list@ann>\r\n\r\n\r\n--b\r\n{inner}--b--\r\nof ann"
        );
        let bytes = request("multipart/mixed;boundary=b", &body);
        let request = Request::read(&bytes).unwrap();
        let text = cleaned(&request, Some(b"list@ann")).unwrap().unwrap();
        let wanted = "--b\r\nContent-Type: text/plain;charset=UTF-8\r\n\
            Content-Disposition: attachment;handling=optional\r\n\
            Content-Transfer-Encoding: 8bit\r\nContent-Language: en\r\n\r\nhi\r\n\
            --b\r\nContent-ID: <list@ann>\r\n\r\n\r\n\
            --b\r\nContent-Type: multipart/related;boundary=c\r\n\r\n\
            --c\r\n\r\nin\r\n--c--\r\n\r\n--b--\r\n";
        assert_eq!(String::from_utf8(text).unwrap(), wanted);
    }
}
