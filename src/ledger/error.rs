//! Why the ledger cannot be used: each text names the file, what is wrong and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// A ledger that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Its path is not absolute.
    Relative,
    /// Anything else that SQLite or the system said.
    Other(String),
}

impl LedgerError {
    pub(super) fn new(file: &Path, problem: Problem) -> Self {
        Self {
            file: file.to_owned(),
            problem,
        }
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        match &self.problem {
            Problem::Relative => {
                f.write_str("expected an absolute path, such as /var/lib/cimf/ledger.db")
            }
            Problem::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for LedgerError {}
