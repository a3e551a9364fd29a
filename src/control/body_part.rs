//! A body, or a body part, that says it is a multipart: M-6, RFC 2045 §6.4, RFC 2046 §5.1.
//!
//! What says so and cannot be read as one is refused, whoever the message is for: some reader behind
//! us may find parts in it that were not found here, a list of recipients among them.

use super::check_reasons::Reason;
use super::failure::Failure;
use crate::sip::media_type::MediaType;
use crate::sip::multipart::{Part, parts};
use crate::sip::text::{Printable, trim};
use crate::sip::{HeaderName, Malformed, Request};
use std::borrow::Cow;

/// A multipart, read to its end.
pub(super) struct Multipart<'m> {
    /// Its type.
    pub media: MediaType<'m>,
    /// What divides its parts.
    pub boundary: Cow<'m, [u8]>,
    /// The parts, in order.
    pub parts: Vec<Part<'m>>,
    text: &'m [u8],
}

/// What the header fields say of a body or of a part.
#[derive(Clone, Copy)]
struct Described<'m> {
    content_type: Option<&'m [u8]>,
    transfer_encoding: Option<&'m [u8]>,
    encoding: Option<&'m [u8]>,
    text: &'m [u8],
}

impl<'m> Multipart<'m> {
    /// The body of a message; `None` where it does not say that it is a multipart.
    ///
    /// Fails where its type cannot be read, and where it is a multipart that cannot.
    pub fn of_request(request: &Request<'m>) -> Result<Option<Self>, Failure> {
        let described = Described {
            content_type: request.value(HeaderName::ContentType),
            transfer_encoding: request.value(HeaderName::ContentTransferEncoding),
            encoding: request.value(HeaderName::ContentEncoding),
            text: request.body,
        };
        described.read(1)
    }

    /// A part at this depth, likewise.
    pub fn of_part(part: &Part<'m>, depth: usize) -> Result<Option<Self>, Failure> {
        let described = Described {
            content_type: part.headers.content_type,
            transfer_encoding: part.headers.transfer_encoding,
            encoding: part.headers.encoding,
            text: part.content,
        };
        described.read(depth)
    }

    /// What stands before the first part and behind the last one, which nobody is to see.
    pub fn outside(&self) -> [&'m [u8]; 2] {
        let start = self.parts.first().map_or(0, |part| part.extent.start);
        let end = self.parts.last().map_or(0, |part| part.extent.end);
        [&self.text[..start], &self.text[end..]]
    }
}

impl<'m> Described<'m> {
    fn read(self, depth: usize) -> Result<Option<Multipart<'m>>, Failure> {
        let Some(value) = self.content_type else {
            return Ok(None);
        };
        let media = MediaType::parse(value).map_err(body)?;
        if !media.main.eq_ignore_ascii_case(b"multipart") {
            return Ok(None);
        }
        check_encoding(self.encoding)?;
        check_transfer_encoding(self.transfer_encoding)?;
        let boundary = media.boundary().map_err(body)?;
        let parts = parts(self.text, &boundary, depth).map_err(body)?;
        Ok(Some(Multipart {
            media,
            boundary,
            parts,
            text: self.text,
        }))
    }
}

/// Refuses what is compressed (M-6): the Content-Encoding of a multipart or of a list.
pub(super) fn check_encoding(encoding: Option<&[u8]>) -> Result<(), Failure> {
    match encoding {
        Some(encoding) if !encoding.eq_ignore_ascii_case(b"identity") => {
            let encoding = Printable(encoding);
            let detail =
                format!("a multipart or a list is compressed (Content-Encoding: {encoding})");
            Err(Failure::new(Reason::ListType, detail))
        }
        _ => Ok(()),
    }
}

/// Refuses a multipart that is encoded as a whole, which RFC 2045 §6.4 forbids: only its parts are.
fn check_transfer_encoding(encoding: Option<&[u8]>) -> Result<(), Failure> {
    let encoding = trim(encoding.unwrap_or(b"7bit"));
    let mut plain = ["7bit", "8bit", "binary"].iter();
    if plain.any(|plain| encoding.eq_ignore_ascii_case(plain.as_bytes())) {
        return Ok(());
    }
    let encoding = Printable(encoding);
    let detail = format!(
        "a multipart has Content-Transfer-Encoding {encoding}, expected 7bit, 8bit or binary"
    );
    Err(Failure::new(Reason::Body, detail))
}

pub(super) fn body(error: Malformed) -> Failure {
    Failure::new(Reason::Body, error)
}
