//! Disposition notifications, RFC 5438: each goes to the sender of the message that it is about, and
//! never to a group (M-9).

use crate::sip::media_type::MediaType;
use crate::sip::multipart::{PartHeaders, parts};
use crate::sip::transfer::decoded;
use crate::sip::{HeaderName, Request};

/// Whether a message is a disposition notification: its body, or a part of it, is one, or is a
/// message/cpim with one inside, as RFC 5438 §7.2 has it.
pub(super) fn is_notification(request: &Request<'_>) -> bool {
    let value = request.value(HeaderName::ContentType);
    let transfer_encoding = request.value(HeaderName::ContentTransferEncoding);
    let of_type = |media: &MediaType<'_>| media.is("message", "imdn+xml");
    is_one(&of_type, value, transfer_encoding, request.body, 1)
}

/// Whether a message tells that its sender is typing (RFC 3994), bare, in a part or in a message/cpim.
pub(super) fn is_composing(request: &Request<'_>) -> bool {
    let value = request.value(HeaderName::ContentType);
    let transfer_encoding = request.value(HeaderName::ContentTransferEncoding);
    let of_type = |media: &MediaType<'_>| media.is("application", "im-iscomposing+xml");
    is_one(&of_type, value, transfer_encoding, request.body, 1)
}

/// Tells the media type that is looked for.
type OfType<'t> = dyn Fn(&MediaType<'_>) -> bool + 't;

fn is_one(
    of_type: &OfType<'_>,
    value: Option<&[u8]>,
    encoding: Option<&[u8]>,
    content: &[u8],
    depth: usize,
) -> bool {
    // Most messages are text, and need no closer look.
    if value.is_some_and(|value| value.starts_with(b"text/")) {
        return false;
    }
    let Some(Ok(media)) = value.map(MediaType::parse) else {
        return false;
    };
    if of_type(&media) {
        return true;
    }
    if media.is("message", "cpim") {
        // Undone, no encoding is longer than done.
        return decoded(encoding, content, content.len())
            .is_ok_and(|cpim| holds_one(of_type, &cpim));
    }
    if !media.main.eq_ignore_ascii_case(b"multipart") {
        return false;
    }
    let Ok(boundary) = media.boundary() else {
        return false;
    };
    // What cannot be read is no notification that anybody could read.
    let parts = parts(content, &boundary, depth).unwrap_or_default();
    parts.iter().any(|part| {
        let headers = &part.headers;
        let encoding = headers.transfer_encoding;
        is_one(
            of_type,
            headers.content_type,
            encoding,
            part.content,
            depth + 1,
        )
    })
}

/// Whether the content of a message/cpim is one (RFC 3862 §2.1): behind the first empty line stand the
/// header fields of the content.
fn holds_one(of_type: &OfType<'_>, cpim: &[u8]) -> bool {
    let start = end_of_headers(cpim);
    let content = start.and_then(|start| cpim.get(start..));
    let headers = content.and_then(|content| PartHeaders::read(content).ok());
    headers.is_some_and(|(_, _, headers)| {
        let media = headers.content_type.map(MediaType::parse);
        media.is_some_and(|media| media.is_ok_and(|media| of_type(&media)))
    })
}

/// Where the text behind the first empty line starts.
fn end_of_headers(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let length = memchr::memchr(b'\n', &text[at..])? + 1;
        let line = &text[at..at + length];
        at += length;
        if line == b"\n" || line == b"\r\n" {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_one(content_type: &str, body: &str) -> bool {
        let message = format!("MESSAGE sip:g@h SIP/2.0\r\n{content_type}\r\n\r\n{body}");
        is_notification(&Request::read(message.as_bytes()).unwrap())
    }

    #[test]
    fn a_notification_is_found_bare_in_cpim_and_in_parts() {
        // M-9, T 105.
        const CPIM: &str = "From: <im:bob@h>\r\nNS: imdn <urn:ietf:params:imdn>\r\n\r\n\
            Content-type:\r\n Message/IMDN+xml\r\nContent-Disposition: notification\r\n\r\n<imdn/>";
        let part = |text: &str| format!("--b\r\n\r\nhi\r\n--b\r\n{text}\r\n--b--\r\n");
        let cpim = part(&format!("Content-Type: message/cpim\r\n\r\n{CPIM}"));
        for (content_type, body) in [
            ("Content-Type: message/imdn+xml", "<imdn/>".to_owned()),
            ("c: Message/IMDN+XML ; charset=utf-8", String::new()),
            ("Content-Type: message/cpim", CPIM.to_owned()),
            ("Content-Type: message/cpim", CPIM.replace('\r', "")),
            ("Content-Type: multipart/mixed;boundary=b", cpim),
            (
                "Content-Type: multipart/mixed;boundary=b",
                part("Content-Type: message/imdn+xml\r\n\r\n<imdn/>"),
            ),
            (
                "Content-Type: message/cpim\r\nContent-Transfer-Encoding: base64",
                "RnJvbTogYQoKQ29udGVudC1UeXBlOiBtZXNzYWdlL2ltZG4reG1sCgo8aW1kbi8+".to_owned(),
            ),
        ] {
            assert!(is_one(content_type, &body), "{content_type} {body}");
        }
    }

    #[test]
    fn what_asks_for_a_notification_or_speaks_of_one_is_none() {
        // M-8, T 104.
        const ASKING: &str = "From: <im:ann@h>\r\nimdn.Disposition-Notification: display\r\n\r\n\
            Content-Type: text/plain\r\n\r\nContent-Type: message/imdn+xml";
        for (content_type, body) in [
            ("Content-Type: text/plain", "message/imdn+xml"),
            ("X: y", "message/imdn+xml"),
            ("Content-Type: message/cpim", ASKING),
            (
                "Content-Type: message/cpim",
                "Content-Type: message/imdn+xml",
            ),
            ("Content-Type: message/cpim", ""),
            ("Content-Type: multipart/mixed;boundary=b", "--b\r\nno end"),
            ("Content-Type: multipart/mixed", ASKING),
        ] {
            assert!(!is_one(content_type, body), "{content_type} {body}");
        }
    }
}
