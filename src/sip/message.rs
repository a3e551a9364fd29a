//! A borrowed view of a SIP request, RFC 3261 §7.
//!
//! A malformed request gives a view as well, so that the caller can see whether the request is for them
//! before refusing it: the first error is kept as [`Request::defect`].
//!
//! Lines with different line ends are such an error (see `lines`).

use super::Malformed;
use super::header::HeaderName;
use super::lines::Lines;
use super::number::decimal;
use super::text::{is_token, is_token_byte, token_length, trim};

const PART: &str = "request";

/// More header fields than any real request has; each costs time in every lookup.
const MAX_HEADERS: usize = 255;

/// A request, borrowed from its bytes.
#[derive(Debug)]
pub struct Request<'m> {
    /// The method of the request line.
    pub method: &'m [u8],
    /// The Request-URI as written; in a malformed request line everything between the method and the
    /// version.
    pub uri: &'m [u8],
    /// The body: what follows the empty line, limited by Content-Length.
    pub body: &'m [u8],
    /// The first error in the request line, the header fields or the length, if any.
    pub defect: Option<Malformed>,
    headers: Vec<Header<'m>>,
    first: [u8; HeaderName::COUNT],
    /// The names that occur more than once, one bit each.
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

/// Room for header fields that is taken at first: a kibibyte, above which the allocator has no free piece at hand.
const USUAL_HEADERS: usize = 24;

// Each name has its bit in `repeated`.
const _: () = assert!(HeaderName::COUNT <= u64::BITS as usize);

impl<'m> Request<'m> {
    /// The method of the request that `bytes` start with, without reading the rest; whatever stands there where it is none.
    pub fn method_of(bytes: &[u8]) -> &[u8] {
        bytes.split(is_blank).next().unwrap_or_default()
    }

    /// Parses `bytes`, which start with a request. Fails only if there is no method and Request-URI at
    /// the start.
    pub fn read(bytes: &'m [u8]) -> Result<Self, Malformed> {
        let mut lines = Lines::of(bytes);
        let line = lines.next().unwrap_or_default();
        let RequestLine {
            method,
            uri,
            defect,
        } = RequestLine::read(line)?;
        let mut request = Self {
            method,
            uri,
            body: b"",
            defect,
            headers: Vec::with_capacity(USUAL_HEADERS),
            first: [NONE; HeaderName::COUNT],
            repeated: 0,
        };
        request.read_headers(bytes, &mut lines);
        if let Some(at) = lines.ambiguous_at() {
            let expected = "the same line end in all lines";
            request.note(Malformed::at(PART, bytes, at, expected));
        }
        request.read_body(&bytes[lines.at()..]);
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

    fn read_headers(&mut self, bytes: &[u8], lines: &mut Lines<'m>) {
        loop {
            let at = lines.at();
            match lines.next() {
                Some(b"") => return,
                Some(line) => self.read_header(line, bytes, at),
                None => {
                    let end = bytes.len();
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

    /// Honours Content-Length (RFC 3261 §18.3): bytes beyond it are not part of the body, too few are a
    /// defect. Without Content-Length the body is everything that follows.
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

    /// An error for the first header field of `names` that occurs more than once, if any.
    pub fn repeated_of(&self, names: &[HeaderName]) -> Option<Malformed> {
        // Few requests repeat header fields that must not be repeated.
        let repeated = |name: &HeaderName| self.repeated & 1 << *name as u8 != 0;
        let mut names = names.iter();
        let name = names.find(|name| self.repeated != 0 && repeated(name))?;
        self.single(*name).err()
    }

    /// The value of a header field that must occur at most once.
    pub fn single(&self, name: HeaderName) -> Result<Option<&'m [u8]>, Malformed> {
        if self.repeated & 1 << name as u8 == 0 {
            return Ok(self.value(name));
        }
        let second = self.rows(name).nth(1).unwrap_or_default();
        let expected = "only one such header";
        Err(Malformed::at(name.as_str(), second, 0, expected))
    }

    /// The value of a header field that must occur exactly once.
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
    // White space around the name is allowed, but rare.
    let colon = memchr::memchr(b':', line)?;
    let name = trim(&line[..colon]);
    is_token(name).then_some((name, &line[colon + 1..]))
}

/// The line that a request starts with.
struct RequestLine<'m> {
    method: &'m [u8],
    uri: &'m [u8],
    /// The error in it, if any.
    defect: Option<Malformed>,
}

/// Whether a byte separates the parts of a request line.
fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

impl<'m> RequestLine<'m> {
    /// Parses a line. Repeated blanks, and blanks after the version, are ignored.
    fn read(line: &'m [u8]) -> Result<Self, Malformed> {
        const PART: &str = "request line";
        let method = Request::method_of(line);
        if !is_token(method) {
            return Err(Malformed::at(PART, line, 0, "a method"));
        }
        let rest = trim(&line[method.len()..]);
        if rest.is_empty() {
            return Err(Malformed::at(PART, line, line.len(), "a Request-URI"));
        }
        let offset = |part: &[u8]| (part.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
        let last = rest.iter().rposition(is_blank).map_or(0, |at| at + 1);
        let (uri, version) = (trim(&rest[..last]), &rest[last..]);
        if !version.eq_ignore_ascii_case(b"SIP/2.0") {
            return Ok(Self {
                method,
                uri: if uri.is_empty() { version } else { uri },
                defect: Some(Malformed::at(PART, line, offset(version), "SIP/2.0")),
            });
        }
        let bad = uri.iter().position(|&b| !b.is_ascii_graphic());
        let bad = bad.or(uri.is_empty().then_some(0));
        let defect = bad.map(|bad| Malformed::at(PART, line, offset(uri) + bad, "a Request-URI"));
        Ok(Self {
            method,
            uri,
            defect,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::unfolded;
    use super::*;
    use proptest::prelude::*;

    const MESSAGE: &[u8] = b"\r\nMESSAGE sip:g@h SIP/2.0\r\nv: SIP/2.0/UDP a\r\n\
        fROM :\r\n  \"Ann\"\r\n\t<sip:ann@h>\r\nVia: SIP/2.0/TCP b\r\nSubject:\xff\r\n\
        l: 3\r\n\r\nabcde";

    #[test]
    fn folds_and_compact_names_are_read() {
        let request = Request::read(MESSAGE).unwrap();
        assert_eq!(
            (request.method, request.uri),
            (&b"MESSAGE"[..], &b"sip:g@h"[..])
        );
        let vias: Vec<_> = request.rows(HeaderName::Via).collect();
        assert_eq!(vias, [&b"SIP/2.0/UDP a"[..], b"SIP/2.0/TCP b"]);
        let from = request.value(HeaderName::From).unwrap();
        assert_eq!(from, b"\"Ann\"\r\n\t<sip:ann@h>");
        assert_eq!(request.value(HeaderName::Subject), Some(&b"\xff"[..]));
        assert_eq!(request.body, b"abc");
        assert_eq!(request.defect, None);
    }

    #[test]
    fn a_mixture_of_line_ends_is_a_defect() {
        let bare: Vec<u8> = MESSAGE.iter().copied().filter(|&b| b != b'\r').collect();
        let request = Request::read(&bare).unwrap();
        assert_eq!((request.body, request.defect), (&b"abc"[..], None));
        assert_eq!(request.headers().len(), 5);
        for message in [
            &b"M sip:h SIP/2.0\nTo: x\r\n\r\n"[..],
            b"M sip:h SIP/2.0\r\nTo: x\nFrom: y\r\n\r\n",
            b"M sip:h SIP/2.0\r\nTo: x\n y\r\n\r\n",
            b"M sip:h SIP/2.0\r\nTo: x\r\n\n",
            b"M sip:h SIP/2.0\r\nTo: x\rFrom: y\r\n\r\n",
            b"M sip:h SIP/2.0\nTo: x\rFrom: y\n\n",
            b"M sip:h SIP/2.0\r\nTo: x\r\r\n\r\n",
        ] {
            let defect = Request::read(message).unwrap().defect.unwrap();
            assert_eq!(defect.expected, "the same line end in all lines");
            assert!(matches!(unfolded(message), std::borrow::Cow::Borrowed(_)));
        }
        let body = b"M sip:h SIP/2.0\r\nTo: x\r\n\r\na\nb\rc\r\n";
        assert_eq!(Request::read(body).unwrap().defect, None);
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
    fn white_space_around_a_name_is_not_part_of_it() {
        let request =
            Request::read(b"M sip:h SIP/2.0\r\nTo \t: x\r\nFrom\r\n : y\r\n\r\n").unwrap();
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
    fn a_repeated_header_is_not_a_single_one() {
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
        for (line, uri, offset) in [
            (
                &b"MESSAGE sip:h\tx SIP/2.0\r\n\r\n"[..],
                &b"sip:h\tx"[..],
                13,
            ),
            (b"MESSAGE sip:h;a b SIP/2.0\r\n\r\n", b"sip:h;a b", 15),
            (
                b"MESSAGE sip:\xc3\xa9@h SIP/2.0\r\n\r\n",
                b"sip:\xc3\xa9@h",
                12,
            ),
            (b"MESSAGE sip:h SIP/3.0\r\n\r\n", b"sip:h", 14),
            (b"MESSAGE sip:h\r\n\r\n", b"sip:h", 8),
            (b"MESSAGE SIP/2.0\r\n\r\n", b"", 8),
        ] {
            let request = Request::read(line).unwrap();
            assert_eq!(request.uri, uri);
            assert_eq!(request.defect.unwrap().offset, offset);
        }
        for line in [
            &b"SIP/2.0 200 OK\r\n\r\n"[..],
            b"MESSAGE",
            b"MESSAGE \r\n\r\n",
        ] {
            assert!(Request::read(line).is_err());
        }
    }

    #[test]
    fn extra_blanks_in_the_request_line_are_ignored() {
        for line in [
            &b"MESSAGE sip:h SIP/2.0  \r\n\r\n"[..],
            b"MESSAGE  sip:h\tsip/2.0\r\n\r\n",
        ] {
            let request = Request::read(line).unwrap();
            assert_eq!((request.uri, request.defect), (&b"sip:h"[..], None));
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_the_reader_panic(tail: Vec<u8>) {
            let mut message = b"M sip:h SIP/2.0\r\n".to_vec();
            message.extend(&tail);
            let _ = Request::read(&message);
            let _ = Request::read(&tail);
            let _ = unfolded(&message);
            let _ = unfolded(&tail);
        }
    }
}
