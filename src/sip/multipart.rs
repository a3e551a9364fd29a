//! Multipart bodies, RFC 2046 §5.1: dividing one into its parts, and composing one from parts kept byte
//! for byte.
//!
//! The meaning of a subtype is the caller's business, and so is descending into parts that are
//! multipart themselves; [`parts`] only checks the depth.

use super::Malformed;
pub use super::part_headers::PartHeaders;
use memchr::memmem::Finder;
use std::ops::Range;

const PART: &str = "multipart body";

/// The longest boundary of RFC 2046 §5.1.1.
pub const MAX_BOUNDARY: usize = 70;

/// How deep multipart bodies may be nested (M-6): a deeply nested body would be searched once for each
/// level.
pub const MAX_DEPTH: usize = 4;

/// More parts than any client sends in one body: thousands of empty ones would fill memory with their
/// descriptions and cost time in every copy.
pub const MAX_PARTS: usize = 64;

/// One part of a multipart body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The part's range in the body, without the line ends that belong to the boundaries.
    pub extent: Range<usize>,
    /// The whole part: its header fields, the empty line and its content.
    pub bytes: &'a [u8],
    /// The header fields as written, each with its line end.
    pub head: &'a [u8],
    /// What follows the empty line.
    pub content: &'a [u8],
    /// The parsed header fields.
    pub headers: PartHeaders<'a>,
}

/// The parts of `body`, in order, without preamble and epilogue.
///
/// `depth` is 1 for the body of a message, 2 for a multipart part of that, and so on. Fails if the
/// opening or the closing boundary is missing, if a part's header is malformed, and beyond
/// [`MAX_PARTS`] and [`MAX_DEPTH`]. What other parsers might divide differently is an error too: a
/// boundary next to a CR without LF, and one after the closing boundary.
pub fn parts<'a>(
    body: &'a [u8],
    boundary: &[u8],
    depth: usize,
) -> Result<Vec<Part<'a>>, Malformed> {
    if depth > MAX_DEPTH {
        let expected = "multipart bodies at most 4 deep";
        return Err(Malformed::at(PART, body, 0, expected));
    }
    let delimiters = Delimiters::new(body, boundary);
    let mut delimiter = delimiters
        .next(0)?
        .filter(|first| !first.closes)
        .ok_or_else(|| Malformed::at(PART, body, 0, "a line with the boundary"))?;
    let mut parts = Vec::new();
    while !delimiter.closes {
        let start = delimiter.end;
        delimiter = delimiters
            .next(start)?
            .ok_or_else(|| Malformed::at(PART, body, body.len(), "the closing boundary"))?;
        if parts.len() == MAX_PARTS {
            return Err(Malformed::at(PART, body, start, "at most 64 parts"));
        }
        // Two boundaries may share one line end; the part between them is empty.
        let extent = start..delimiter.start.max(start);
        let bytes = &body[extent.clone()];
        let (head, content, headers) = PartHeaders::read(bytes).map_err(|error| Malformed {
            offset: start + error.offset,
            ..error
        })?;
        parts.push(Part {
            extent,
            bytes,
            head,
            content,
            headers,
        });
    }
    if let Some(further) = delimiters.next(delimiter.end)? {
        let expected = "no boundary after the closing one";
        let at = further.start.max(delimiter.end);
        return Err(Malformed::at(PART, body, at, expected));
    }
    Ok(parts)
}

/// A line that starts with two hyphens and the boundary.
struct Delimiter {
    /// Where it starts, including the line end before it, which belongs to it.
    start: usize,
    /// Where the next line starts.
    end: usize,
    /// Whether it is the closing one, followed by two hyphens.
    closes: bool,
}

struct Delimiters<'a> {
    body: &'a [u8],
    finder: Finder<'static>,
}

impl<'a> Delimiters<'a> {
    fn new(body: &'a [u8], boundary: &[u8]) -> Self {
        let needle = [b"--", boundary].concat();
        Self {
            body,
            finder: Finder::new(&needle).into_owned(),
        }
    }

    /// The first delimiter at or after `from`, which is the start of a line.
    ///
    /// Fails if a CR without LF precedes or follows the boundary: a parser that takes it for a line end
    /// sees a delimiter there, and others do not.
    fn next(&self, from: usize) -> Result<Option<Delimiter>, Malformed> {
        let mut at = from;
        while let Some(found) = self.body.get(at..).and_then(|rest| self.finder.find(rest)) {
            let found = at + found;
            at = found + self.finder.needle().len();
            let (before, after) = (&self.body[..found], &self.body[at..]);
            let bare_cr = |offset| Malformed::at(PART, self.body, offset, "CR LF");
            match before.last() {
                None | Some(b'\n') => {}
                Some(b'\r') => return Err(bare_cr(found - 1)),
                Some(_) => continue,
            }
            if let Some(length) = before_bare_cr(after) {
                return Err(bare_cr(at + length));
            }
            if let Some((length, closes)) = rest_of_line(after) {
                return Ok(Some(Delimiter {
                    start: without_line_end(before).len(),
                    end: at + length,
                    closes,
                }));
            }
        }
        Ok(None)
    }
}

/// The length of the end of a delimiter up to a CR without LF, if there is one.
fn before_bare_cr(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"--").unwrap_or(text);
    let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    let rest = &rest[padding.count()..];
    let is_bare = rest.first() == Some(&b'\r') && rest.get(1) != Some(&b'\n');
    is_bare.then(|| text.len() - rest.len())
}

/// The rest of the line after the boundary: its length with the line end, and whether it closes the
/// body. `None` if other text follows: the line is a longer boundary, or content.
fn rest_of_line(text: &[u8]) -> Option<(usize, bool)> {
    let (closes, rest) = match text.strip_prefix(b"--") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    // Blanks that a transport added (RFC 2046 §5.1.1).
    let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    let line_end = &rest[padding.count()..];
    let after = line_end
        .strip_prefix(b"\r\n")
        .or_else(|| line_end.strip_prefix(b"\n"))
        .or((closes && line_end.is_empty()).then_some(line_end))?;
    Some((text.len() - after.len(), closes))
}

fn without_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// Appends a body of whole parts, each with its header fields, under a new boundary (U-7).
///
/// Fails, and appends nothing, if the boundary occurs in a part: the caller has to choose another one.
pub fn write_parts(parts: &[&[u8]], boundary: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let finder = Finder::new(boundary);
    if parts.iter().any(|part| finder.find(part).is_some()) {
        let expected = "a boundary that occurs in no part";
        return Err(Malformed::at(PART, boundary, 0, expected));
    }
    join_parts(parts, boundary, out);
    Ok(())
}

/// Appends a body of whole parts under the boundary that divided them before: no part has a line of it,
/// although the text itself, if short, may well occur.
pub fn join_parts(parts: &[&[u8]], boundary: &[u8], out: &mut Vec<u8>) {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    out.reserve(bytes + (parts.len() + 1) * (boundary.len() + 8));
    for part in parts {
        out.extend_from_slice(b"--");
        out.extend_from_slice(boundary);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"--");
    out.extend_from_slice(boundary);
    out.extend_from_slice(b"--\r\n");
}

/// The number of bytes of a written body after its last part.
pub fn closing_length(boundary: &[u8]) -> usize {
    b"\r\n----\r\n".len() + boundary.len()
}

/// The Content-Type value of a body that [`write_parts`] made. `boundary` must need no backslash.
pub fn content_type(boundary: &[u8]) -> Vec<u8> {
    [b"multipart/mixed;boundary=\"", boundary, b"\""].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::media_type::MediaType;
    use proptest::prelude::*;

    fn read<'a>(body: &'a str, boundary: &str) -> Result<Vec<Part<'a>>, Malformed> {
        parts(body.as_bytes(), boundary.as_bytes(), 1)
    }

    fn contents(body: &str) -> Vec<String> {
        let parts = read(body, "b1").unwrap();
        let text = |part: &Part<'_>| String::from_utf8(part.content.to_vec()).unwrap();
        parts.iter().map(text).collect()
    }

    #[test]
    fn the_parts_of_flow_two_are_found() {
        let message = include_bytes!("../../tests/flows/2-F1-message-in.sip");
        let request = crate::sip::Request::read(message).unwrap();
        let content_type = request.value(crate::sip::HeaderName::ContentType).unwrap();
        let boundary = MediaType::parse(content_type).unwrap().boundary().unwrap();
        let parts = parts(request.body, &boundary, 1).unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].content, b"Draft is ready.");
        assert_eq!(parts[0].head, b"Content-Type: text/plain;charset=UTF-8\r\n");
        assert_eq!(parts[1].headers.disposition, Some(&b"recipient-list"[..]));
        assert!(parts[1].content.ends_with(b"</list></resource-lists>"));
        for part in &parts {
            assert_eq!(&request.body[part.extent.clone()], part.bytes);
        }
    }

    #[test]
    fn preamble_epilogue_padding_and_bare_line_feeds_are_tolerated() {
        let body = "not a part\r\n--b1 \t\r\n\r\none\n--b1\n\ntwo\n\n--b1\r\nX: y\r\n\r\n\r\n\
            --b1--  \r\nepilogue";
        assert_eq!(contents(body), ["one", "two\n", ""]);
        assert_eq!(contents("--b1\r\n\r\nx\r\n--b1--"), ["x"]);
        assert_eq!(contents("--b1\r\n--b1--"), [""]);
        assert_eq!(contents("--b1\r\n\r\n--b1--"), [""]);
        assert_eq!(contents("--b1\r\n\r\na\r\r\n--b1--"), ["a\r"]);
    }

    #[test]
    fn only_a_whole_line_is_a_boundary() {
        let body = "--b1\r\n\r\nin --b1 line\r\n--b1x\r\n--b1--x\r\n --b1--\r\n--B1--\r\n\
            --b1-\r\nx--b1\r\n--b1--\r\n";
        let content = "in --b1 line\r\n--b1x\r\n--b1--x\r\n --b1--\r\n--B1--\r\n--b1-\r\nx--b1";
        assert_eq!(contents(body), [content]);
        // The boundary of the outer body is the start of the inner one.
        let inner = "--b12\r\n\r\nx\r\n--b12--\r\n";
        let outer = format!("--b1\r\n\r\n{inner}\r\n--b1--\r\n");
        assert_eq!(contents(&outer), [inner]);
        assert_eq!(read(inner, "b12").unwrap()[0].content, b"x");
    }

    #[test]
    fn a_missing_or_unterminated_boundary_is_malformed() {
        // T 72.
        for (body, offset) in [
            ("", 0),
            ("Draft is ready.", 0),
            ("--b2\r\n\r\nx\r\n--b2--\r\n", 0),
            ("--b1--\r\n", 0),
            ("--b1\r\n\r\nx\r\n", 11),
            ("--b1\r\n\r\nx\r\n--b1\r\n", 17),
            ("--b1\r\n\r\nx\r\n--b1-\r\n", 18),
            ("--b1\r\n\r\nx\r\n--b1", 15),
            ("--b1", 0),
            ("--b1\r\nno header\r\n--b1--", 6),
            // Some parsers would see one part more than others.
            ("--b1\r\n\r\nx\r\n--b1--\r\n\r\n--b1\r\n\r\ny\r\n--b1--", 19),
            ("--b1\r\n\r\nx\r\n--b1--\n--b1--", 18),
            ("--b1\r\n\r\nx\r--b1\r\n\r\ny\r\n--b1--", 9),
            ("--b1\r\n\r\nx\r\n--b1 \r\r\ny\r\n--b1--", 16),
            ("--b1\r\rx\r--b1--\r", 4),
            ("--b1\r\n\r\nx\r\n--b1--\r", 17),
        ] {
            let error = read(body, "b1").unwrap_err();
            assert_eq!(error.offset, offset, "{body:?}: {error}");
        }
    }

    #[test]
    fn too_many_parts_and_too_deep_bodies_are_refused() {
        // M-6.
        let body = |count| "--b1\r\n\r\n".repeat(count) + "--b1--";
        assert_eq!(read(&body(MAX_PARTS), "b1").unwrap().len(), MAX_PARTS);
        assert!(read(&body(MAX_PARTS + 1), "b1").is_err());
        let body = body(1);
        assert!(parts(body.as_bytes(), b"b1", MAX_DEPTH).is_ok());
        assert!(parts(body.as_bytes(), b"b1", MAX_DEPTH + 1).is_err());
    }

    #[test]
    fn a_boundary_that_occurs_in_a_part_is_not_taken() {
        let mut out = b"before".to_vec();
        assert!(write_parts(&[b"\r\nx", b"\r\nabb1c"], b"b1", &mut out).is_err());
        assert_eq!(out, b"before");
    }

    #[test]
    fn parts_are_joined_again_under_their_own_boundary_even_if_the_word_occurs() {
        // U-7.
        let body =
            "--in\r\nContent-Type: text/plain\r\n\r\nin\r\n--inx\r\n--in\r\n\r\n2\r\n--in--\r\n";
        let parts = read(body, "in").unwrap();
        let whole: Vec<&[u8]> = parts.iter().map(|part| part.bytes).collect();
        let mut out = Vec::new();
        join_parts(&whole, b"in", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), body);
    }

    #[test]
    fn the_content_type_of_a_written_body_is_that_of_flow_two() {
        assert_eq!(content_type(b"b2"), b"multipart/mixed;boundary=\"b2\"");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_byte_for_byte(
            contents in proptest::collection::vec(
                (prop_oneof!["", "A: b\r\n", "A: b\n c\n"], "(\r|\n|-|x|--bx|\\PC){0,12}"), 1..5),
            boundary in "[a-c]{1,3}",
        ) {
            // U-7.
            let wholes = contents.iter().map(|(head, content)| format!("{head}\r\n{content}"));
            let wholes: Vec<String> = wholes.collect();
            let wholes: Vec<&[u8]> = wholes.iter().map(String::as_bytes).collect();
            let mut body = Vec::new();
            if write_parts(&wholes, &boundary.into_bytes(), &mut body).is_ok() {
                let line = body.iter().position(|&byte| byte == b'\r').unwrap();
                let parts = parts(&body, &body[2..line], 1).unwrap();
                prop_assert_eq!(parts.len(), wholes.len());
                for (part, (whole, (head, content))) in parts.iter().zip(wholes.iter().zip(&contents)) {
                    prop_assert_eq!(part.bytes, *whole);
                    prop_assert_eq!(&body[part.extent.clone()], *whole);
                    prop_assert_eq!(part.head, head.as_bytes());
                    prop_assert_eq!(part.content, content.as_bytes());
                }
                let kept: Vec<&[u8]> = parts.iter().map(|part| part.bytes).collect();
                let mut again = Vec::new();
                write_parts(&kept, b"another-boundary", &mut again).unwrap();
                let reread = super::parts(&again, b"another-boundary", 1).unwrap();
                let reread: Vec<&[u8]> = reread.iter().map(|part| part.bytes).collect();
                prop_assert_eq!(reread, kept);
            }
        }

        #[test]
        fn no_input_makes_the_reader_panic(body: Vec<u8>, boundary in "[-\\na]{0,3}") {
            let _ = parts(&body, boundary.as_bytes(), 1);
        }

        #[test]
        fn no_body_of_likely_pieces_makes_the_reader_panic(
            body in "(--a|--|\r\n|\n|\r|a|:|[ \t]){0,24}",
        ) {
            for part in parts(body.as_bytes(), b"a", 1).unwrap_or_default() {
                prop_assert_eq!(&body.as_bytes()[part.extent.clone()], part.bytes);
            }
        }
    }
}
