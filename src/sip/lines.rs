//! The lines of a request's header: RFC 3261 §7.
//!
//! All end with CRLF, or all with LF. A mixture is ambiguous: what ends a line for one parser may not
//! for another, which then sees other header fields.

use super::text::fold_length;
use std::borrow::Cow;

/// Lines with their folds, ended by CRLF or a bare LF; both are counted, so that a mixture is detected.
pub(super) struct Lines<'m> {
    bytes: &'m [u8],
    /// Where the first line starts.
    start: usize,
    at: usize,
    /// Line ends that are CRLF.
    pairs: usize,
    /// Line ends that are LF alone.
    bare: usize,
}

impl<'m> Lines<'m> {
    /// The lines of a request, after leading empty lines sent as keep-alive (RFC 3261 §7.5).
    pub fn of(bytes: &'m [u8]) -> Self {
        let empty = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
        let start = empty.count();
        Self {
            bytes,
            start,
            at: start,
            pairs: 0,
            bare: 0,
        }
    }

    /// Where the next line starts.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next line with its folds, without its line end.
    pub fn next(&mut self) -> Option<&'m [u8]> {
        let (start, bytes) = (self.at, self.bytes);
        loop {
            let (end, after) = self.line_end()?;
            self.at = after;
            // The empty line ends the header; what follows it is not a fold.
            if end == start || !matches!(bytes.get(after), Some(b' ' | b'\t')) {
                return Some(&bytes[start..end]);
            }
        }
    }

    /// Offsets of the next line end and of what follows it.
    #[inline]
    fn line_end(&mut self) -> Option<(usize, usize)> {
        let feed = self.at + memchr::memchr(b'\n', &self.bytes[self.at..])?;
        let is_pair = feed > self.at && self.bytes[feed - 1] == b'\r';
        match is_pair {
            true => self.pairs += 1,
            false => self.bare += 1,
        }
        Some((feed - usize::from(is_pair), feed + 1))
    }

    /// Where in the lines read so far another parser might see a different line end: at a CR without
    /// LF, or at the first line end that differs from the others.
    pub fn ambiguous_at(&self) -> Option<usize> {
        let read = &self.bytes[self.start..self.at];
        let is_mixed = self.pairs > 0 && self.bare > 0;
        if !is_mixed && count(b'\r', read) == self.pairs {
            return None;
        }
        let is_pair = |&at: &usize| read[at] == b'\r' && read.get(at + 1) == Some(&b'\n');
        let is_bare = |&at: &usize| read[at] == b'\n' && (at == 0 || read[at - 1] != b'\r');
        let mut all = 0..read.len();
        let stray = all.clone().find(|at| read[*at] == b'\r' && !is_pair(at));
        let at = stray.or_else(|| all.find(is_bare));
        at.map(|at| self.start + at)
    }
}

/// How often `byte` occurs in `text`.
fn count(byte: u8, text: &[u8]) -> usize {
    // Short enough that the sum fits one byte, so that the compiler can vectorise it.
    let pieces = text.chunks(usize::from(u8::MAX));
    let counts = pieces.map(|piece| piece.iter().map(|&it| u8::from(it == byte)).sum::<u8>());
    counts.map(usize::from).sum()
}

/// The request with each fold of its header replaced by one blank, also inside quotes, so that every
/// value is on one line (RFC 3261 §7.3.1). A request whose lines are ambiguous is returned unchanged;
/// `Request::read` reports it.
pub fn unfolded(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut lines = Lines::of(bytes);
    if !has_fold(&bytes[lines.start..]) {
        return Cow::Borrowed(bytes);
    }
    let mut folds = Vec::new();
    while let Some((end, after)) = lines.line_end() {
        if end == lines.at {
            break;
        }
        if matches!(bytes.get(after), Some(b' ' | b'\t')) {
            folds.push(end);
        }
        lines.at = after;
    }
    if folds.is_empty() || lines.ambiguous_at().is_some() {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for fold in folds {
        out.extend_from_slice(&bytes[from..fold]);
        out.push(b' ');
        from = fold + fold_length(&bytes[fold..]);
    }
    out.extend_from_slice(&bytes[from..]);
    Cow::Owned(out)
}

/// Whether a line of the header that starts here is continued: few requests have such a line.
fn has_fold(header: &[u8]) -> bool {
    for end in memchr::memchr_iter(b'\n', header) {
        match &header[end + 1..] {
            [b' ' | b'\t', ..] => return true,
            [b'\n', ..] | [b'\r', b'\n', ..] => return false,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_become_one_blank_and_the_body_stays() {
        let message =
            b"M sip:h SIP/2.0\r\nDate: a\r\n \t b\r\n\tc\r\nX: \"d\r\n e\"\r\n\r\n f\r\n g";
        let expected = b"M sip:h SIP/2.0\r\nDate: a b c\r\nX: \"d e\"\r\n\r\n f\r\n g";
        assert_eq!(&*unfolded(message), expected);
        let bare = b"M sip:h SIP/2.0\nDate: a\n b\n\n f";
        assert_eq!(&*unfolded(bare), b"M sip:h SIP/2.0\nDate: a b\n\n f");
        assert!(matches!(unfolded(expected), Cow::Borrowed(_)));
    }
}
