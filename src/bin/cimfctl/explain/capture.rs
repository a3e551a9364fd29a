//! A captured message: the bytes of a file, with SIP's line ends.

use crate::failure::{Failure, unreadable_text};
use cimf::sip::{HeaderName, Request};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// More than any transport carries in one message; guards against a wrong file, such as a core dump.
const MOST: u64 = 1024 * 1024;

pub struct Capture {
    /// The file's name.
    pub file: String,
    pub bytes: Vec<u8>,
    /// Whether the file had bare line feeds, which were replaced by CRLF.
    pub had_bare_lf: bool,
}

impl Capture {
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let mut bytes = Vec::new();
        let file = path.display().to_string();
        let unreadable = |error| Failure::Unusable(unreadable_text(&file, &error));
        if path == Path::new("-") {
            let mut input = std::io::stdin().lock().take(MOST + 1);
            input.read_to_end(&mut bytes).map_err(Failure::Input)?;
        } else {
            let input = File::open(path).map_err(unreadable)?;
            let read = input.take(MOST + 1).read_to_end(&mut bytes);
            read.map_err(unreadable)?;
        }
        let wrong = |found: &str| {
            let text = format!("{file}: expected one SIP message as it came, found {found}");
            Err(Failure::Unusable(text))
        };
        if bytes.len() as u64 > MOST {
            return wrong("more than 1 MiB");
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return wrong("an empty file");
        }
        let head = memchr::memmem::find(&bytes, b"\n\n");
        let had_bare_lf = head.is_some_and(|end| !bytes[..end].contains(&b'\r'));
        if had_bare_lf {
            bytes = with_crlf(&bytes);
        }
        Ok(Self {
            file,
            bytes,
            had_bare_lf,
        })
    }
}

/// The message with CRLF for each line feed of its head, and also of its body unless Content-Length
/// matches bare ones.
fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let end = memchr::memmem::find(bytes, b"\n\n").map_or(bytes.len(), |at| at + 2);
    let (head, body) = bytes.split_at(end);
    let mut whole = lines_ended(head);
    let with_bare_body = [whole.as_slice(), body].concat();
    let length = Request::read(&with_bare_body).ok().and_then(|request| {
        let value = request.value(HeaderName::ContentLength)?;
        std::str::from_utf8(value).ok()?.parse::<usize>().ok()
    });
    // An editor may have added a line feed at the end.
    let fits = |length| length == body.len() || length + 1 == body.len();
    if length.is_some_and(fits) {
        return with_bare_body;
    }
    whole.extend_from_slice(&lines_ended(body));
    whole
}

fn lines_ended(text: &[u8]) -> Vec<u8> {
    let mut ended = Vec::with_capacity(text.len() + text.len() / 16);
    for &byte in text {
        if byte == b'\n' {
            ended.push(b'\r');
        }
        ended.push(byte);
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_line_feeds_become_what_content_length_counts() {
        let head = |length: usize| format!("MESSAGE sip:g@h SIP/2.0\nContent-Length: {length}\n\n");
        for (length, body, expected) in [
            (4, "a\nb\n", "a\nb\n"),
            (3, "a\nb\n", "a\nb\n"),
            (6, "a\nb\n", "a\r\nb\r\n"),
            (4, "a\nb\n\n", "a\nb\n\n"),
        ] {
            let text = with_crlf(format!("{}{body}", head(length)).as_bytes());
            let text = String::from_utf8(text).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(
                (body, head.matches("\r\n").count()),
                (expected, 1),
                "{length}"
            );
        }
    }
}
