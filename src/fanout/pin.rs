//! Pins: who uses the text of a message keeps it where it is.
//!
//! ```text
//!              with the lock                    without it, or, for the last one of DONE, with it
//! pins: n ────────────────────► n + 1 ─────────────────────────────────────────────────────────► n
//!         an attempt is claimed, an outcome is read      an attempt, an outcome, a look is over
//!         or somebody looks at the message
//! DONE:   set with the pin of who reports that the message is finished; with the last pin then the block is given back
//! ```
//!
//! Who keeps a message for the ledger sets a pin without the lock, while who reports its outcomes has one.

#![forbid(unsafe_code)]

use super::layout::Message;
use super::lock::Held;
use super::shared_memory::{At, SharedMemory};
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

/// Marks a block whose last outcome and end have been reported: the last pin gives it back. Between this bit
/// and the pins stands what was left (`deferred`).
pub(super) const DONE: u64 = 1 << 63;
/// The pins of a block.
pub(super) const PINS: u64 = u32::MAX as u64;

/// Proves that a pin was set, and is not taken away as long as this is there.
#[derive(Debug)]
#[must_use]
pub(super) struct Pin(At<Message>);

impl Pin {
    /// Keeps a message where it is.
    #[inline]
    pub(super) fn set(held: &Held<'_>, at: At<Message>) -> Self {
        held[at].pins.fetch_add(1, Relaxed);
        Self(at)
    }

    /// Keeps a message where it is until its end has been reported, and no longer.
    pub(super) fn set_last(held: &Held<'_>, at: At<Message>) -> Self {
        held[at].pins.fetch_add(DONE + 1, Relaxed);
        Self(at)
    }

    /// Sets one more without the lock on a message that another process has pinned, and keeps pinned meanwhile; nothing
    /// if none has.
    pub(super) fn set_again(memory: &SharedMemory, at: At<Message>) -> Option<Self> {
        let one_more = |pins| (pins & PINS != 0).then_some(pins + 1);
        let pins = &memory[at].pins;
        pins.fetch_update(AcqRel, Relaxed, one_more).ok()?;
        Some(Self(at))
    }

    /// The message.
    #[inline]
    pub(super) fn at(&self) -> At<Message> {
        self.0
    }
}

impl Message {
    /// Takes away a pin; says whether the message is to be given back.
    pub(super) fn unpin(&self, _: &Held<'_>) -> bool {
        let before = self.pins.fetch_sub(1, AcqRel);
        debug_assert!(before & PINS > 0, "a pin that nobody has set");
        before & (DONE | PINS) == DONE + 1
    }

    /// The same without the lock, unless the message may have to be given back; says whether it was taken away.
    pub(super) fn unpin_unless_done(&self) -> bool {
        let one_less = |pins| (pins & DONE == 0).then(|| pins - 1);
        self.pins.fetch_update(AcqRel, Relaxed, one_less).is_ok()
    }

    /// Whether somebody uses its text.
    pub(super) fn is_pinned(&self) -> bool {
        self.pins.load(Relaxed) & PINS != 0
    }

    /// Whether its end has been reported.
    pub(super) fn is_done(&self) -> bool {
        self.pins.load(Relaxed) & DONE != 0
    }
}
