//! Why a server cannot start.

use crate::config::SettingError;
use crate::ledger::LedgerError;
use crate::store::StoreError;
use std::fmt;

/// One line that names the parameter or the file, what was expected and what was found.
#[derive(Debug)]
pub enum StartError {
    /// A parameter cannot be used.
    Setting(SettingError),
    /// `core_route` and `direct` are both missing or both given.
    NoWayOut,
    /// The groups cannot be used.
    Store(StoreError),
    /// The ledger cannot be used.
    Ledger(LedgerError),
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
            Self::Ledger(error) => write!(f, "parameter ledger: {error}"),
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
