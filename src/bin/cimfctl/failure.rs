//! Why a command failed.

use cimf::ledger::LedgerError;
use cimf::ledger::cluster::ClusterError;
use cimf::store::StoreError;
use cimf::store::edit::EditError;
use std::fmt;
use std::io;

#[derive(Debug)]
pub enum Failure {
    Edit(EditError),
    Ledger(LedgerError),
    Cluster(ClusterError),
    /// A document is unreadable or unusable; the text names it.
    Document(String),
    /// Given addresses are refused: why, each with its line.
    Addresses(Vec<String>),
    /// A message, a parameter or a folder is unusable; the text says why.
    Unusable(String),
    /// Standard input cannot be read.
    Input(io::Error),
    /// Standard output was closed by its reader.
    OutputClosed,
    /// Standard output cannot be written.
    Output(io::Error),
    /// The number of findings of `check`.
    Findings(u64),
}

/// A file or folder cannot be read.
pub fn unreadable(place: impl fmt::Display, error: &io::Error) -> Failure {
    Failure::Document(unreadable_text(place, error))
}

/// Why a file or folder cannot be read.
pub fn unreadable_text(place: impl fmt::Display, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("{place}: there is no such file; check the path"),
        _ => format!("{place}: {error}"),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edit(error) => error.fmt(f),
            Self::Ledger(error) => error.fmt(f),
            Self::Cluster(error) => error.fmt(f),
            Self::Document(text) => write!(f, "{text}; nothing was changed"),
            Self::Addresses(all) => {
                f.write_str(&all.join("\n"))?;
                match all.len() {
                    1 => Ok(()),
                    count => write!(f, "\n{count} addresses are refused; nothing was changed"),
                }
            }
            Self::Unusable(text) => f.write_str(text),
            Self::Input(error) => write!(f, "standard input: {error}; nothing was changed"),
            Self::OutputClosed => f.write_str("standard output was closed"),
            Self::Output(error) => write!(f, "standard output: {error}"),
            Self::Findings(1) => f.write_str("1 problem found, see above"),
            Self::Findings(count) => write!(f, "{count} problems found, see above"),
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

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        Self::Cluster(error)
    }
}

/// An I/O error without context is one of standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Output(error),
        }
    }
}
