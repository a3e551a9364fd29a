//! Why a command ended without having done its work.

use cimf::ledger::LedgerError;
use cimf::store::StoreError;
use cimf::store::edit::EditError;
use std::fmt;
use std::io;

#[derive(Debug)]
pub enum Failure {
    Edit(EditError),
    Ledger(LedgerError),
    /// A document cannot be read or used; the text names it.
    Document(String),
    /// A message, a parameter or a folder cannot be used; the text says why.
    Unusable(String),
    /// Standard input cannot be read.
    Input(io::Error),
    /// Standard output was closed by its reader.
    OutputClosed,
    /// Standard output cannot be written.
    Output(io::Error),
    /// `check` has found this many things.
    Findings(u64),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edit(error) => error.fmt(f),
            Self::Ledger(error) => error.fmt(f),
            Self::Document(text) => write!(f, "{text}; nothing was changed"),
            Self::Unusable(text) => f.write_str(text),
            Self::Input(error) => write!(f, "standard input: {error}; nothing was changed"),
            Self::OutputClosed => f.write_str("standard output was closed"),
            Self::Output(error) => write!(f, "standard output: {error}"),
            Self::Findings(1) => f.write_str("1 thing is to be put right, see above"),
            Self::Findings(count) => write!(f, "{count} things are to be put right, see above"),
        }
    }
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
        Self::Edit(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Edit(EditError::Store(error))
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

/// For standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Output(error),
        }
    }
}
