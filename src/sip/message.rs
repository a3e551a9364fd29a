//! A borrowed view of a SIP request, RFC 3261 §7.
//!
//! The view is made even of a request whose header fields are broken, so that the caller can see
//! whether it concerns him before he refuses it: the first break is kept as [`Request::defect`].

use super::Malformed;
use super::header::HeaderName;
use super::number::decimal;
use super::text::{is_token, is_token_byte, token_length, trim};

const PART: &str = "request";

/// More header lines than any real request has; each costs time in every look-up.
const MAX_HEADERS: usize = 255;

/// A request, borrowed from its bytes.
#[derive(Debug)]
pub struct Request<'m> {
    /// The method of the request line.
    pub method: &'m [u8],
    /// The Request-URI as written.
    pub uri: &'m [u8],
    /// The body: what follows the empty line, no more than Content-Length says.
    pub body: &'m [u8],
    /// What is wrong with the header fields or the length, if anything is.
    pub defect: Option<Malformed>,
    headers: Vec<Header<'m>>,
    first: [u8; HeaderName::COUNT],
    /// The names that stand more than once, a bit for each.
    repeated: u64,
}

/// One header field.
#[derive(Clone, Copy, Debug)]
pub struct Header<'m> {
    /// Which one it is.
    pub name: HeaderName,
    /// The name as written.
    pub written: &'m [u8],
    /// The value as written, folds included, without white space at its ends.
    pub value: &'m [u8],
}

const NONE: u8 = u8::MAX;

/// Header fields for which there is room at once.
const USUAL_HEADERS: usize = 32;

// Each name has its bit in `repeated`.
const _: () = assert!(HeaderName::COUNT <= u64::BITS as usize);

impl<'m> Request<'m> {
    /// Reads `bytes`, which start with a request; only a broken request line is an error.
    pub fn read(bytes: &'m [u8]) -> Result<Self, Malformed> {
        let start = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
        let mut lines = Lines {
            bytes,
            at: start.count(),
        };
        let line = lines.next().unwrap_or_default();
        let (method, uri) = read_request_line(line)?;
        let mut request = Self {
            method,
            uri,
            body: b"",
            defect: None,
            headers: Vec::with_capacity(USUAL_HEADERS),
            first: [NONE; HeaderName::COUNT],
            repeated: 0,
        };
        request.read_headers(&mut lines);
        request.read_body(&bytes[lines.at..]);
        Ok(request)
    }

    /// The same request with another body.
    pub fn with_body<'b>(&self, body: &'b [u8]) -> Request<'b>
    where
        'm: 'b,
    {
        Request {
            body,
            headers: self.headers.clone(),
            ..*self
        }
    }

    fn read_headers(&mut self, lines: &mut Lines<'m>) {
        loop {
            let at = lines.at;
            match lines.next() {
                Some(b"") => return,
                Some(line) => self.read_header(line, lines.bytes, at),
                None => {
                    let (bytes, end) = (lines.bytes, lines.bytes.len());
                    return self.note(Malformed::at(PART, bytes, end, "an empty line"));
                }
            }
        }
    }

    fn read_header(&mut self, line: &'m [u8], bytes: &[u8], at: usize) {
        let Some((written, value)) = name_and_value(line) else {
            let bad = line.iter().position(|&byte| !is_token_byte(byte));
            let offset = at + bad.unwrap_or(line.len());
            return self.note(Malformed::at(
                PART,
                bytes,
                offset,
                "a header name and a colon",
            ));
        };
        let index = self.headers.len();
        if index == MAX_HEADERS {
            return self.note(Malformed::at(PART, bytes, at, "at most 255 header fields"));
        }
        let name = HeaderName::of(written);
        let first = &mut self.first[name as usize];
        if *first == NONE {
            *first = index as u8;
        } else {
            self.repeated |= 1 << name as u8;
        }
        self.headers.push(Header {
            name,
            written,
            value: trim(value),
        });
    }

    /// Honours Content-Length (RFC 3261 §18.3): what is behind it is no body, what is missing is a
    /// defect. Without one the body is all the rest.
    fn read_body(&mut self, rest: &'m [u8]) {
        self.body = rest;
        match self.single(HeaderName::ContentLength) {
            Err(defect) => self.note(defect),
            Ok(None) => {}
            Ok(Some(value)) => match decimal("Content-Length", value, u32::MAX) {
                Err(defect) => self.note(defect),
                Ok(length) if length as usize > rest.len() => {
                    let (end, expected) = (rest.len(), "as many bytes as Content-Length says");
                    self.note(Malformed::at("body", rest, end, expected));
                }
                Ok(length) => self.body = &rest[..length as usize],
            },
        }
    }

    fn note(&mut self, defect: Malformed) {
        self.defect.get_or_insert(defect);
    }

    /// All header fields in their order.
    pub fn headers(&self) -> &[Header<'m>] {
        &self.headers
    }

    /// The value of the first header field `name`.
    pub fn value(&self, name: HeaderName) -> Option<&'m [u8]> {
        let first = usize::from(self.first[name as usize]);
        self.headers.get(first).map(|header| header.value)
    }

    /// The values of all header fields `name`.
    pub fn rows(&self, name: HeaderName) -> impl Iterator<Item = &'m [u8]> {
        let first = usize::from(self.first[name as usize]);
        let from_first = self.headers.get(first..).unwrap_or_default();
        let rows = from_first.iter().filter(move |header| header.name == name);
        rows.map(|header| header.value)
    }

    /// The value of a header field that must not stand twice.
    pub fn single(&self, name: HeaderName) -> Result<Option<&'m [u8]>, Malformed> {
        if self.repeated & 1 << name as u8 == 0 {
            return Ok(self.value(name));
        }
        let second = self.rows(name).nth(1).unwrap_or_default();
        let expected = "only one such header";
        Err(Malformed::at(name.as_str(), second, 0, expected))
    }

    /// The value of a header field that must stand exactly once.
    pub fn required(&self, name: HeaderName) -> Result<&'m [u8], Malformed> {
        let missing = || Malformed::at(name.as_str(), b"", 0, "such a header");
        self.single(name)?.ok_or_else(missing)
    }
}

/// The name of a header field and what follows its colon, if the line has both.
fn name_and_value(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = token_length(line);
    if end > 0 && line.get(end) == Some(&b':') {
        return Some((&line[..end], &line[end + 1..]));
    }
    // White space may stand around the name, and seldom does.
    let colon = memchr::memchr(b':', line)?;
    let name = trim(&line[..colon]);
    is_token(name).then_some((name, &line[colon + 1..]))
}

/// Lines with their folds, ended by CRLF or a bare LF.
struct Lines<'m> {
    bytes: &'m [u8],
    at: usize,
}

impl<'m> Lines<'m> {
    fn next(&mut self) -> Option<&'m [u8]> {
        let rest = &self.bytes[self.at..];
        let mut end = memchr::memchr(b'\n', rest)?;
        let is_blank = |line: &[u8]| line.is_empty() || line == b"\r";
        // The empty line ends the header; what follows it is no fold.
        while !is_blank(&rest[..end]) && matches!(rest.get(end + 1), Some(b' ' | b'\t')) {
            end += 1 + memchr::memchr(b'\n', &rest[end + 1..])?;
        }
        self.at += end + 1;
        let line = &rest[..end];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

fn read_request_line(line: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    const PART: &str = "request line";
    let mut words = line.split(|&byte| byte == b' ');
    let method = words.next().unwrap_or_default();
    if !is_token(method) {
        return Err(Malformed::at(PART, line, 0, "a method"));
    }
    let uri_at = method.len() + 1;
    let uri = words.next().unwrap_or_default();
    let bad = uri.iter().position(|&b| !b.is_ascii_graphic());
    if let Some(bad) = bad.or(uri.is_empty().then_some(0)) {
        return Err(Malformed::at(PART, line, uri_at + bad, "a Request-URI"));
    }
    let version_at = uri_at + uri.len() + 1;
    let version = words.next().unwrap_or_default();
    if !version.eq_ignore_ascii_case(b"SIP/2.0") || words.next().is_some() {
        return Err(Malformed::at(PART, line, version_at, "SIP/2.0"));
    }
    Ok((method, uri))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MESSAGE: &[u8] = b"\r\nMESSAGE sip:g@h SIP/2.0\r\nv: SIP/2.0/UDP a\r\n\
        fROM :\r\n  \"Ann\"\n\t<sip:ann@h>\r\nVia: SIP/2.0/TCP b\nSubject:\xff\r\n\
        l: 3\r\n\r\nabcde";

    #[test]
    fn folds_compact_names_and_bare_line_feeds_are_read() {
        let request = Request::read(MESSAGE).unwrap();
        assert_eq!(
            (request.method, request.uri),
            (&b"MESSAGE"[..], &b"sip:g@h"[..])
        );
        let vias: Vec<_> = request.rows(HeaderName::Via).collect();
        assert_eq!(vias, [&b"SIP/2.0/UDP a"[..], b"SIP/2.0/TCP b"]);
        let from = request.value(HeaderName::From).unwrap();
        assert_eq!(from, b"\"Ann\"\n\t<sip:ann@h>");
        assert_eq!(request.value(HeaderName::Subject), Some(&b"\xff"[..]));
        assert_eq!(request.body, b"abc");
        assert_eq!(request.defect, None);
    }

    #[test]
    fn defects_do_not_hide_the_other_header_fields() {
        for (message, part) in [
            (
                &b"M sip:h SIP/2.0\r\nno colon\r\nTo: x\r\n\r\n"[..],
                "request",
            ),
            (b"M sip:h SIP/2.0\r\nTo: x\r\n", "request"),
            (b"M sip:h SIP/2.0\r\nTo: x\r\nl: 9\r\n\r\nabc", "body"),
            (
                b"M sip:h SIP/2.0\r\nTo: x\r\nl: -1\r\n\r\nabc",
                "Content-Length",
            ),
            (
                b"M sip:h SIP/2.0\r\nTo: x\r\nl: 1\r\nl: 1\r\n\r\nabc",
                "Content-Length",
            ),
        ] {
            let request = Request::read(message).unwrap();
            assert_eq!(request.defect.unwrap().part, part);
            assert_eq!(request.value(HeaderName::To), Some(&b"x"[..]));
        }
    }

    #[test]
    fn white_space_around_a_name_is_no_part_of_it() {
        let request =
            Request::read(b"M sip:h SIP/2.0\r\n\rTo \t: x\r\nFrom\r\n : y\r\n\r\n").unwrap();
        assert_eq!(request.defect, None);
        let headers = request.headers().iter();
        let headers: Vec<_> = headers.map(|it| (it.name, it.written, it.value)).collect();
        let expected: [(_, &[u8], &[u8]); 2] = [
            (HeaderName::To, b"To", b"x"),
            (HeaderName::From, b"From", b"y"),
        ];
        assert_eq!(headers, expected);
    }

    #[test]
    fn a_header_that_stands_twice_is_no_single_one() {
        let request =
            Request::read(b"M sip:h SIP/2.0\r\nv: a\r\nTo: x\r\nVia: b\r\nVia: c\r\n\r\n");
        let request = request.unwrap();
        assert_eq!(request.single(HeaderName::To), Ok(Some(&b"x"[..])));
        assert_eq!(request.single(HeaderName::From), Ok(None));
        let twice = request.single(HeaderName::Via).unwrap_err();
        assert_eq!((twice.part, twice.found), ("Via", Some(b'b')));
    }

    #[test]
    fn a_broken_request_line_says_where() {
        for (line, offset) in [
            (&b"SIP/2.0 200 OK\r\n\r\n"[..], 0),
            (b"MESSAGE  sip:h SIP/2.0\r\n\r\n", 8),
            (b"MESSAGE sip:h\tx SIP/2.0\r\n\r\n", 13),
            (b"MESSAGE sip:h SIP/3.0\r\n\r\n", 14),
            (b"MESSAGE sip:h SIP/2.0 \r\n\r\n", 14),
            (b"MESSAGE", 0),
        ] {
            assert_eq!(Request::read(line).unwrap_err().offset, offset);
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_the_reader_panic(tail: Vec<u8>) {
            let mut message = b"M sip:h SIP/2.0\r\n".to_vec();
            message.extend(&tail);
            let _ = Request::read(&message);
            let _ = Request::read(&tail);
        }
    }
}
