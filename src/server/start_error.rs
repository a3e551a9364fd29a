//! Why a server cannot start.

use crate::config::SettingError;
use crate::ledger::LedgerError;
use crate::ledger::cluster::ClusterError;
use crate::store::StoreError;
use std::fmt;
use std::path::PathBuf;

/// One line that names the parameter or the file, what was expected and what was found.
#[derive(Debug)]
pub enum StartError {
    /// A parameter cannot be used.
    Setting(SettingError),
    /// `core_route` and `direct` are both missing or both given.
    NoWayOut,
    /// The groups cannot be used.
    Store(StoreError),
    /// There is a journal of a version before, in this folder.
    OldJournal(PathBuf),
    /// The ledger cannot be used.
    Ledger(LedgerError),
    /// The ledger that nodes share cannot be used.
    Cluster(ClusterError),
    /// The file of what nodes keep for members who are away cannot be used.
    Kept(LedgerError),
    /// There is no memory for the workers to share, or no randomness.
    System(std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(error) => write!(f, "{error}"),
            Self::NoWayOut => f.write_str(
                "parameters core_route and direct: expected exactly one of them, as core_route=\"sip:HOST\" \
                 sends every message to that next hop and direct=1 sends to each member's own address",
            ),
            Self::Store(error) => write!(f, "{error}"),
            Self::OldJournal(folder) => write!(
                f,
                "{} holds messages that a version of cimf before this one has accepted (journal_dir); start that version \
                 once more, stop it when it has sent them (journal_unfinished is 0), and remove the folder",
                folder.display()
            ),
            Self::Ledger(error) => write!(f, "parameter ledger: {error}"),
            Self::Cluster(error) => write!(f, "durability=cluster: {error}"),
            Self::Kept(error) => write!(
                f,
                "away=keep with durability=cluster, in the folder of the parameter replica: {error}"
            ),
            Self::System(error) => write!(f, "cannot prepare what all workers share: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<SettingError> for StartError {
    fn from(error: SettingError) -> Self {
        Self::Setting(error)
    }
}
