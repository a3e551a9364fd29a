//! Errors in a document, and notes on what was left out.

use crate::sip::list_error::ListError;
use crate::sip::text::Printable;
use std::fmt;

/// Why a document is unusable. The text names the line, what was expected and what was found; the
/// caller adds the name of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentError {
    /// It is not well-formed XML, or violates a rule of X-4.
    Xml(ListError),
    /// An element, attribute or value is not what it has to be.
    Unexpected {
        /// The line.
        line: usize,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xml(error) => error.fmt(f),
            Self::Unexpected {
                line,
                expected,
                found,
            } => {
                let found = Printable(found.as_bytes());
                write!(f, "line {line}: expected {expected}, found `{found}`")
            }
        }
    }
}

impl std::error::Error for DocumentError {}

impl From<ListError> for DocumentError {
    fn from(error: ListError) -> Self {
        Self::Xml(error)
    }
}

/// Nobody reads more notes on one document; the rest are only counted.
const MOST_NOTES: usize = 100;

/// What was left out of a document, each with its line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    lines: Vec<String>,
    more: usize,
}

impl Notes {
    /// Adds a note on a line.
    pub fn add(&mut self, line: usize, text: impl fmt::Display) {
        match self.lines.len() < MOST_NOTES {
            true => self.lines.push(format!("line {line}: {text}")),
            false => self.more += 1,
        }
    }

    /// The notes in their order, and a last one with the number of those omitted.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        let more = (self.more > 0).then(|| format!("and {} more", self.more));
        self.lines.iter().cloned().chain(more)
    }
}
