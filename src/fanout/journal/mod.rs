//! The journal: an accepted message is on disk before its 202, and a crash forgets none.
//!
//! A log of records in segments, which all workers append to and of which one leads the sync for
//! all that wait ([`Writer`]). One process deletes what is done with ([`Maintainer`]). When the
//! proxy starts, what was not finished is read ([`Recovered`]).
//!
//! What is lost by a crash: nothing for which [`Writer::accept`] has returned. An outcome that was
//! not synced yet, at most about a second of them; such a recipient is sent to again.
//!
//! The disk holds at most twice the bytes of the messages that are not finished, what was appended
//! in the last 33 seconds (64·T1 and the pause between two calls of [`Maintainer::maintain`]), and
//! 96 MiB. Files that were kept aside because of damage (`*.damaged`) come on top until somebody
//! removes them.
//!
//! Left out: what a block holds, and whether a recipient without an outcome is sent to again, is
//! the fan-out's.

#![forbid(unsafe_code)]

mod directory;
mod entry;
mod error;
mod maintainer;
mod record;
mod recovery;
mod segment;
mod shared;
mod writer;

pub use entry::{Accepted, Entry, Outcome};
pub use error::JournalError;
pub use maintainer::Maintainer;
pub use record::{Found, Mark, Records};
pub use recovery::{Recovered, TransactionKey, Unfinished};
pub use segment::SEGMENT_BYTES;
pub use shared::{Figures, Memory, Position};
pub use writer::Writer;

use shared::Shared;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The journal of a proxy. To be opened by its main process before it forks.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    /// Held open: it is the lock on the directory.
    _lock: File,
}

impl Journal {
    /// Takes the directory, which is made if need be, and reads what is left of the last run. That
    /// stays in the journal until it is [`Writer::finished`].
    ///
    /// Damage is no error but a line in the log. It is one if the directory cannot be made or
    /// written, and if another proxy has it.
    pub fn open(directory: &Path, now: SystemTime) -> Result<(Self, Recovered), JournalError> {
        let memory = Memory::new().map_err(JournalError::io("share memory for", directory))?;
        Self::open_with(memory, directory, now)
    }

    /// The same, with memory that is new and that other processes may have already.
    pub fn open_with(
        memory: Memory,
        directory: &Path,
        now: SystemTime,
    ) -> Result<(Self, Recovered), JournalError> {
        directory::prepare(directory)?;
        let lock = directory::lock(directory)?;
        let (recovered, first, end) = recovery::recover(directory, now)?;
        for note in &recovered.notes {
            log::warn!("journal: {note}");
        }
        let shared = Shared::new(memory, directory.to_owned(), first, end);
        let journal = Self {
            shared: Arc::new(shared),
            _lock: lock,
        };
        Ok((journal, recovered))
    }

    /// For each process, after the fork.
    pub fn writer(&self) -> Result<Writer, JournalError> {
        Writer::new(self.shared.clone())
    }

    /// For one process, after the fork.
    pub fn maintainer(&self) -> Result<Maintainer, JournalError> {
        Maintainer::new(self.shared.clone())
    }

    /// What all processes together have done.
    pub fn figures(&self) -> Figures {
        self.shared.memory.figures()
    }
}
