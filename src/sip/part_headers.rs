//! Header fields of one part of a multipart body: RFC 2045 §3, RFC 2183, RFC 5621 §7.
//!
//! Content-Length of a part is ignored (M-6): the boundary ends it. Other fields are kept with the
//! part's bytes and not examined.

use super::text::{is_token, trim};
use super::{HeaderName, Malformed};

const PART: &str = "body part header";

/// More header fields than any client gives a part; each costs time.
const MAX_HEADERS: usize = 64;

/// The header fields that describe a part. All values are as written, folds included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartHeaders<'a> {
    /// Content-Type; without one the part is `text/plain`.
    pub content_type: Option<&'a [u8]>,
    /// Content-Disposition; without one it is `render` in a MESSAGE (M-6).
    pub disposition: Option<&'a [u8]>,
    /// Content-ID, angle brackets included.
    pub content_id: Option<&'a [u8]>,
    /// Content-Transfer-Encoding; without one it is `7bit`.
    pub transfer_encoding: Option<&'a [u8]>,
    /// Content-Encoding.
    pub encoding: Option<&'a [u8]>,
}

impl<'a> PartHeaders<'a> {
    /// Splits a part into its header bytes, its content and the parsed header.
    ///
    /// Fails on a line that is not a header field, on a CR without LF, and if one of the fields above
    /// occurs twice: parsers could disagree about what the part is.
    pub fn read(part: &'a [u8]) -> Result<(&'a [u8], &'a [u8], Self), Malformed> {
        let mut headers = Self::default();
        let mut at = 0;
        for _ in 0..=MAX_HEADERS {
            let rest = &part[at..];
            if rest.is_empty() {
                return Ok((part, rest, headers));
            }
            if let Some(content) = after_empty_line(rest) {
                return Ok((&part[..at], content, headers));
            }
            let length = field_length(rest);
            headers.note(part, at, &rest[..length])?;
            at += length;
        }
        Err(Malformed::at(PART, part, at, "at most 64 header fields"))
    }

    fn note(&mut self, part: &'a [u8], at: usize, field: &'a [u8]) -> Result<(), Malformed> {
        let colon = memchr::memchr(b':', field).unwrap_or(field.len());
        let name = trim(&field[..colon]);
        // A blank before the name would be a fold without a line to continue.
        if colon == field.len() || !is_token(name) || !field.starts_with(name) {
            return Err(Malformed::at(PART, part, at, "a header name and a colon"));
        }
        let bare_cr = |cr: &usize| field.get(cr + 1) != Some(&b'\n');
        if let Some(cr) = memchr::memchr_iter(b'\r', field).find(bare_cr) {
            return Err(Malformed::at(PART, part, at + cr, "CR LF"));
        }
        let value = trim(&field[colon + 1..]);
        let slot = match HeaderName::of(name) {
            HeaderName::ContentType => &mut self.content_type,
            HeaderName::ContentDisposition => &mut self.disposition,
            HeaderName::ContentId => &mut self.content_id,
            HeaderName::ContentTransferEncoding => &mut self.transfer_encoding,
            HeaderName::ContentEncoding => &mut self.encoding,
            _ => return Ok(()),
        };
        if slot.replace(value).is_some() {
            return Err(Malformed::at(PART, part, at, "only one such header"));
        }
        Ok(())
    }
}

fn after_empty_line(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"\r\n")
        .or_else(|| text.strip_prefix(b"\n"))
}

/// The length of the header field at the start of `text`, with its folds and its line end.
fn field_length(text: &[u8]) -> usize {
    let mut end = 0;
    loop {
        let rest = &text[end..];
        end += memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        if !matches!(text.get(end), Some(b' ' | b'\t')) {
            return end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_are_read_folded_and_in_any_case() {
        let part =
            b"content-TYPE :\r\n text/plain;\n\tcharset=x\r\nX: y\r\nContent-Length: 999\r\n\
            Content-Disposition: recipient-list\nContent-ID: <a@b>\r\n\
            CONTENT-TRANSFER-ENCODING:base64\r\nContent-Encoding: gzip\r\n\r\n\r\nabc";
        let (head, content, headers) = PartHeaders::read(part).unwrap();
        assert_eq!(content, b"\r\nabc");
        assert_eq!(head.len() + 2 + content.len(), part.len());
        assert_eq!(headers.content_type, Some(&b"text/plain;\n\tcharset=x"[..]));
        assert_eq!(headers.disposition, Some(&b"recipient-list"[..]));
        assert_eq!(headers.content_id, Some(&b"<a@b>"[..]));
        assert_eq!(headers.transfer_encoding, Some(&b"base64"[..]));
        assert_eq!(headers.encoding, Some(&b"gzip"[..]));
    }

    #[test]
    fn a_part_may_have_no_header_or_no_content() {
        let none = PartHeaders::default();
        assert_eq!(
            PartHeaders::read(b"\r\nabc").unwrap(),
            (&b""[..], &b"abc"[..], none)
        );
        assert_eq!(PartHeaders::read(b"").unwrap(), (&b""[..], &b""[..], none));
        let (head, content, headers) = PartHeaders::read(b"Content-Type: a/b\r\n").unwrap();
        assert_eq!((head, content), (&b"Content-Type: a/b\r\n"[..], &b""[..]));
        assert_eq!(headers.content_type, Some(&b"a/b"[..]));
    }

    #[test]
    fn a_line_that_is_not_a_header_field_says_where() {
        for (part, offset) in [
            (&b"abc"[..], 0),
            (b"A: b\r\nno colon\r\n\r\nabc", 6),
            (b" folded: first\r\n\r\n", 0),
            (b": x\r\n\r\n", 0),
            (b"Content-Type: a/b\r\nc: a/b\r\n\r\n", 19),
            (b"A: b\rContent-Disposition: c\r\n\r\n", 4),
            (b"A: b\r\n\rC: d\r\n\r\n", 6),
            (b"A: b\r", 4),
        ] {
            assert_eq!(PartHeaders::read(part).unwrap_err().offset, offset);
        }
        let many = "X: y\r\n".repeat(MAX_HEADERS + 1);
        assert!(PartHeaders::read(many.as_bytes()).is_err());
        assert!(PartHeaders::read(&many.as_bytes()[6..]).is_ok());
    }
}
