//! A process that keeps the lock from the others, and what the log says of it: who it is, and when that is over.

#![forbid(unsafe_code)]

use super::layout::Root;
use super::shared_memory::SharedMemory;
use std::fmt;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

/// Milliseconds of a block after which the log says so, and between two such lines.
const LOG_AFTER: u64 = 100;
const LOG_EVERY: u64 = 1_000;

/// The lock is kept by a process that does not give it back, mostly as it is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The process id.
    pub process: u32,
    /// Milliseconds for which it has had the lock, or more.
    pub milliseconds: u64,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            process,
            milliseconds,
        } = self;
        write!(
            f,
            "process {process} has held the lock of the queue for {milliseconds} ms: expected \
             microseconds; is it stopped, as by a debugger? `kill -CONT {process}` lets it go on"
        )
    }
}

impl Blocked {
    /// Says in the log who keeps the lock, once a second, whichever process says it.
    pub(super) fn log(self, memory: &SharedMemory) {
        let root: &Root = memory.root();
        let now = now(memory);
        let told = &root.attention.blocked_logged;
        let before = told.load(Relaxed);
        let is_early = before != 0 && now.saturating_sub(before) < LOG_EVERY;
        if self.milliseconds < LOG_AFTER || is_early {
            return;
        }
        if told.compare_exchange(before, now, AcqRel, Relaxed).is_ok() {
            log::error!("{self}; until then new messages are answered 503 and no copy is sent");
            // The next holder says that it is over.
            root.attention.deferred.swap(1, AcqRel);
        }
    }
}

/// Says in the log that the lock is free again, where it has said that it was not.
pub(super) fn log_end(root: &Root) {
    let told = &root.attention.blocked_logged;
    if told.load(Relaxed) != 0 && told.swap(0, AcqRel) != 0 {
        log::warn!("the lock of the queue is free again: nothing was lost, sending goes on");
    }
}

/// Milliseconds by the clock of the memory.
pub(super) fn now(memory: &SharedMemory) -> u64 {
    memory.age().as_millis() as u64
}
