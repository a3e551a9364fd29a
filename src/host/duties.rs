//! What the process that writes the ledger does besides.

#![forbid(unsafe_code)]

use crate::ledger::Ledger;
use std::time::Duration;

/// What the process that writes the ledger does beside writing, at intervals.
pub trait Duties<L: Ledger> {
    /// How long it may wait until they are due; nothing if there are none.
    fn due_in(&self) -> Option<Duration>;

    /// Whether copies may be kept: not before it is known that the ledger has their messages.
    fn may_keep(&self, ledger: &L) -> bool;

    /// Does what is due. Nothing is written before.
    fn perform(&mut self, ledger: &mut L) -> Result<(), L::Error>;
}

/// Where one node has its ledger alone.
pub struct NoDuties;

impl<L: Ledger> Duties<L> for NoDuties {
    fn due_in(&self) -> Option<Duration> {
        None
    }

    fn may_keep(&self, _: &L) -> bool {
        true
    }

    fn perform(&mut self, _: &mut L) -> Result<(), L::Error> {
        Ok(())
    }
}
