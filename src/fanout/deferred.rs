//! Work deferred while a process kept the lock, mostly as it was stopped: the proxy's callbacks
//! and the ends of what a worker is at do not wait for it, and nothing of them is lost.
//!
//! Each piece of work is left in a word of what it is about, by one step that needs no lock; whoever has the lock next
//! does it before anything else, and in the order in which the proxy says it of one fork.
//!
//! | word | without the lock | by the holder |
//! |---|---|---|
//! | of a transaction: use, work, code | work is added | done, then taken away if no more were added |
//! | a bit for each transaction | set after its word | taken away before its word is read |
//! | of a message's pins: work, pins to take away | work is added by who has a pin or the ticket | the same |
//! | `deferred` of the root | set last of all | taken away first of all |

#![forbid(unsafe_code)]

use super::shared_memory::{At, SharedMemory};
use super::transactions::{self, NotSent};
use std::sync::atomic::AtomicU64;

/// Transactions of which one word has the bits.
pub(super) const TOGETHER: usize = u64::BITS as usize;

/// Where the bits of the transactions are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deferred(pub(super) usize);

impl Deferred {
    /// Words of them.
    pub(super) const WORDS: usize = transactions::MOST / TOGETHER;

    pub(super) fn words(self, memory: &SharedMemory) -> &[AtomicU64; Self::WORDS] {
        &memory[At::word(self.0)]
    }

    pub(super) fn bit(self, memory: &SharedMemory, index: usize) -> (&AtomicU64, u64) {
        let word = &self.words(memory)[index / TOGETHER];
        (word, 1 << (index % TOGETHER))
    }
}

/// Deferred work on a copy.
#[derive(Clone, Copy, Debug)]
pub(super) enum TransactionWork {
    /// It has its final response, with this code.
    Completed(u16),
    /// The proxy has given back the memory of its transaction.
    Released,
    /// The proxy has taken it.
    HandedOver,
    /// The proxy has not taken it, at this millisecond.
    NotSent(NotSent, u64),
}

/// Deferred work on a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum MessageWork {
    /// It was answered, and is to be sent.
    Start,
    /// It was answered, and is not to be sent.
    StartCancelled,
    /// It was not answered: its room and its budgets, with these keys, are given back.
    GiveBack([u64; 2]),
    /// A pin is taken away.
    Unpin,
}
