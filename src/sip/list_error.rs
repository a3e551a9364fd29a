//! The error type of list documents: the line, and the refusal that results.

use super::Malformed;
use std::fmt;

/// Which refusal an unusable list document leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListErrorKind {
    /// It violates XML or its schema: 400.
    Malformed,
    /// It has more entries than are allowed: 403 (S-3).
    TooManyEntries,
    /// It is longer than is allowed: 413 (S-3).
    TooLong,
}

/// Why and where a list document is unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListError {
    /// The refusal that results.
    pub kind: ListErrorKind,
    /// The line of the error, counted from 1.
    pub line: usize,
    /// The byte of the error, and what was expected there.
    pub cause: Malformed,
}

impl ListError {
    /// The error at `offset` of `document`, which is the text of `part`.
    pub fn at(
        kind: ListErrorKind,
        part: &'static str,
        document: &[u8],
        offset: usize,
        expected: &'static str,
    ) -> Self {
        let before = document.get(..offset).unwrap_or(document);
        Self {
            kind,
            line: 1 + memchr::memchr_iter(b'\n', before).count(),
            cause: Malformed::at(part, document, offset, expected),
        }
    }
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of {}", self.line, self.cause)
    }
}

impl std::error::Error for ListError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_line_the_byte_and_what_was_expected() {
        let kind = ListErrorKind::Malformed;
        let error = ListError::at(kind, "resource list", b"<a>\n<b>\nx", 8, "an element");
        assert_eq!(
            error.to_string(),
            "line 3 of resource list: expected an element at byte 8, found 'x'"
        );
    }
}
