//! The error type of all wire types: what was parsed, the offset, what was expected and what was found.

use std::fmt;

/// A syntax error in a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What was being parsed, such as "From" or "SIP URI".
    pub part: &'static str,
    /// Offset of the error in bytes from the start of that part.
    pub offset: usize,
    /// What the grammar requires there.
    pub expected: &'static str,
    /// The byte found there, or `None` at the end of the text.
    pub found: Option<u8>,
}

impl Malformed {
    /// The error at `offset` of `text`, which is the text of `part`.
    pub fn at(part: &'static str, text: &[u8], offset: usize, expected: &'static str) -> Self {
        Self {
            part,
            offset,
            expected,
            found: text.get(offset).copied(),
        }
    }

    /// The same error, attributed to the enclosing part.
    pub fn within(self, part: &'static str) -> Self {
        Self { part, ..self }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            part,
            offset,
            expected,
            ..
        } = self;
        write!(f, "{part}: expected {expected} at byte {offset}, found ")?;
        match self.found {
            Some(byte) => write!(f, "'{}'", byte.escape_ascii()),
            None => f.write_str("the end"),
        }
    }
}

impl std::error::Error for Malformed {}
