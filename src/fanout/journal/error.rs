//! What can go wrong with a journal, in words for its administrator.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a journal cannot be used, or why a record is not on disk.
#[derive(Debug)]
pub enum JournalError {
    /// The system refused.
    Io {
        /// What was tried, as in "cannot ... PATH".
        deed: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another proxy uses the directory.
    Held {
        /// The directory.
        directory: PathBuf,
        /// The main process of the other proxy, if the lock file tells.
        holder: Option<u32>,
        /// Whether that process is still there; otherwise processes that it left behind are.
        alive: bool,
    },
    /// A record has more bytes than a journal takes.
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A record was written, but the sync that was to bring it to the disk failed.
    NotSynced {
        /// The directory.
        directory: PathBuf,
        /// What the system said to the process that led the sync.
        source: io::Error,
    },
}

impl JournalError {
    /// For `map_err`: what was tried, and with what.
    pub(super) fn io(deed: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { deed, path, source }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { deed, path, source } => {
                write!(out, "cannot {deed} {}: {source}", path.display())
            }
            Self::Held {
                directory,
                holder,
                alive,
            } => {
                let directory = directory.display();
                write!(out, "the journal in {directory} is in use by ")?;
                match (holder, alive) {
                    (Some(pid), true) => write!(
                        out,
                        "process {pid}: stop it, or give this proxy a journal_dir of its own"
                    ),
                    (Some(pid), false) => write!(
                        out,
                        "processes that proxy {pid} has left behind: stop them \
                         (fuser {directory}/proxy.lock names them)"
                    ),
                    (None, _) => write!(
                        out,
                        "another process: fuser {directory}/proxy.lock names it"
                    ),
                }
            }
            Self::TooLarge { bytes } => {
                write!(
                    out,
                    "a record of {bytes} bytes is too large for the journal"
                )
            }
            Self::NotSynced { directory, source } => write!(
                out,
                "the journal in {} could not be synced: {source}",
                directory.display()
            ),
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::NotSynced { source, .. } => Some(source),
            Self::Held { .. } | Self::TooLarge { .. } => None,
        }
    }
}
