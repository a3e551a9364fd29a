//! How a worker hands an accepted message over to the one process that writes the ledger, and waits until it is
//! committed, for a bounded time: a slot in shared memory for each worker that waits.
//!
//! ```text
//!             worker             ledger process             worker
//!   FREE ────────────► CLAIMED ─► WAITING ─────────► TAKEN ─────────► DONE ──► FREE, and 202
//!    ▲                    │          │                 │ ├───────────► ANSWERED ──► FREE, and 202 without copies
//!    │                    │          │ late: 503       │ └──────────► FAILED
//!    ├───────── FREE ◄────┼──────────┘                 │ late: 503      │ 503
//!    │                    │ not answered after all     ▼                ▼
//!    └── withdrawn ◄──────┴─────────────────────────► GIVEN_UP ◄────────┘
//!         ledger process                            ledger process owns the message
//! ```
//!
//! CLAIMED, DONE, ANSWERED and FAILED belong to the worker, TAKEN to both, GIVEN_UP to the ledger process: that writes to the
//! ledger that the message is withdrawn, gives its memory back and frees the slot. Until then the message's number
//! stands in a place outside of this memory too ([`Notes`](super::commit::Notes)), which the worker writes before it gives the message
//! up: the commit may have reached the disk although nobody was told so, and a crash may come before the
//! withdrawal. The worker answers after that, so a message whose wait was given up is never sent.
//!
//! After a wait that was too long, and after a commit that failed, the word DOWN lets all workers refuse at once,
//! until a commit has succeeded. A process that has died leaves its slot to the ledger process, unless it died
//! within the instructions between FREE and CLAIMED: such a slot is lost, one of [`SLOTS`]. If the ledger process
//! dies, everybody is refused; the proxies end as a whole then.

#![deny(unsafe_code)]

use super::block::Unpublished;
use super::budget::BudgetKeys;
use super::process::Process;
use super::shared_memory::{Mapped, shared};
use super::waker::Waker;
use rustix::thread::futex::{self, Flags, Timespec};
use std::io;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

/// How many workers can wait at once.
pub const SLOTS: usize = 1024;

shared! {
    /// What workers and the ledger process share. Only the slots have owners; the rest is written without any lock.
    pub(super) struct Desk {
        /// Whether messages are refused at once.
        pub(super) down: AtomicU64,
        /// Whether the ledger process has been woken, and has not looked yet.
        pub(super) awake: AtomicU64,
        /// How many slots have ever been used.
        pub(super) used: AtomicU64,
        _rest_of_the_first_line: [AtomicU64; 5],
        // The figures of [`Committed`](super::commit::Committed), written by the ledger process alone.
        pub(super) stored: AtomicU64,
        pub(super) commits: AtomicU64,
        pub(super) bytes: AtomicU64,
        pub(super) unfinished: AtomicU64,
        _rest_of_the_second_line: [AtomicU64; 4],
        pub(super) slots: [SlotWords; SLOTS],
    }

    /// A slot, which fills a line of the processor's cache. Only the state is written by who does not own it.
    #[derive(Debug)]
    pub(super) struct SlotWords {
        /// One of `state`; the worker waits on it.
        state: AtomicU32,
        _unused: AtomicU32,
        /// The process that has claimed it.
        process: AtomicU64,
        /// Where the message stands, while nobody has it in hand; 0 otherwise.
        block: AtomicU64,
        /// The keys of the message's budgets.
        keys: [AtomicU64; 2],
        /// The ledger's number of the message.
        id: AtomicU64,
        _rest_of_the_line: [AtomicU64; 2],
    }
}

const _: () = assert!(size_of::<SlotWords>() == 64);

/// The states of a slot.
pub(super) mod state {
    pub const FREE: u32 = 0;
    pub const CLAIMED: u32 = 1;
    pub const WAITING: u32 = 2;
    pub const TAKEN: u32 = 3;
    pub const DONE: u32 = 4;
    pub const FAILED: u32 = 5;
    pub const GIVEN_UP: u32 = 6;
    pub const ANSWERED: u32 = 7;
}

/// The slots, made before the workers are forked.
#[derive(Debug)]
pub(super) struct Slots {
    pub(super) desk: Mapped<Desk>,
    waker: Waker,
}

impl Slots {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            desk: Mapped::new()?,
            waker: Waker::new()?,
        })
    }

    pub(super) fn is_down(&self) -> bool {
        self.desk.down.load(Acquire) != 0
    }

    /// Lets messages be refused at once, or no longer.
    pub(super) fn set_down(&self, down: bool) {
        self.desk.down.store(u64::from(down), SeqCst);
    }

    /// Wakes the ledger process, unless it was woken already.
    pub(super) fn wake(&self) {
        if self.desk.awake.swap(1, SeqCst) == 0 {
            self.waker.wake();
        }
    }

    /// Waits until somebody wakes this process, or for as long as `patience`.
    pub(super) fn wait(&self, patience: Duration) {
        self.waker.wait(patience);
        self.desk.awake.store(0, SeqCst);
    }

    /// Those that have ever been used.
    pub(super) fn used(&self) -> impl Iterator<Item = Slot<'_>> {
        let used = self.desk.used.load(SeqCst) as usize;
        (0..used).map(|index| self.slot(index))
    }

    fn slot(&self, index: usize) -> Slot<'_> {
        Slot {
            words: &self.desk.slots[index],
            index,
        }
    }

    /// A slot of this process's own.
    pub(super) fn claim(&self) -> Option<Slot<'_>> {
        let own = u64::from(Process::this().to_bits());
        let mut slots = (0..SLOTS).map(|index| self.slot(index));
        let slot = slots.find(|slot| slot.change(state::FREE, state::CLAIMED))?;
        debug_assert_eq!(slot.words.process.load(Relaxed), 0);
        slot.words.process.store(own, Release);
        self.desk.used.fetch_max(slot.index as u64 + 1, SeqCst);
        Some(slot)
    }
}

/// One slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    words: &'a SlotWords,
    pub(super) index: usize,
}

impl Slot<'_> {
    pub(super) fn state(&self) -> &AtomicU32 {
        &self.words.state
    }

    pub(super) fn change(self, from: u32, to: u32) -> bool {
        let state = self.state();
        state.load(Relaxed) == from && state.compare_exchange(from, to, AcqRel, Relaxed).is_ok()
    }

    /// The ledger's number of its message.
    pub(super) fn id(self) -> u64 {
        self.words.id.load(Relaxed)
    }

    /// Hands a message over to who has the slot next.
    pub(super) fn fill(self, (room, keys): (Unpublished, BudgetKeys), id: u64) {
        debug_assert_eq!(self.state().load(Relaxed), state::CLAIMED);
        room.hand_over(self.block());
        for (word, key) in self.words.keys.iter().zip(keys) {
            word.store(key, Release);
        }
        self.words.id.store(id, Release);
    }

    pub(super) fn block(&self) -> &AtomicU64 {
        &self.words.block
    }

    /// Takes over the message that was handed over.
    pub(super) fn message(self) -> Option<(Unpublished, BudgetKeys)> {
        let keys = self.words.keys.each_ref().map(|key| key.load(Relaxed));
        Some((Unpublished::handed_over(self.block())?, keys))
    }

    pub(super) fn free(self) {
        debug_assert!(!matches!(
            self.state().load(Relaxed),
            state::FREE | state::WAITING | state::TAKEN
        ));
        self.words
            .process
            .store(u64::from(Process::NONE.to_bits()), Release);
        self.state().store(state::FREE, Release);
    }

    /// Waits until the state is another one than this, or for as long as `most`.
    pub(super) fn wait(self, state: u32, most: Duration) {
        let most = Timespec {
            tv_sec: most.as_secs() as i64,
            tv_nsec: most.subsec_nanos().into(),
        };
        // Whatever ends it, the caller looks again.
        let _ = futex::wait(self.state(), Flags::empty(), state, Some(&most));
    }

    /// Wakes the worker that waits.
    pub(super) fn wake(self) {
        let _ = futex::wake(self.state(), Flags::empty(), 1);
    }

    /// Whether a process has claimed it.
    pub(super) fn has_owner(self) -> bool {
        self.words.process.load(Relaxed) != 0
    }

    /// Whether that process has ended.
    pub(super) fn has_ended(self) -> bool {
        Process::from_bits(self.words.process.load(Relaxed) as u32).has_ended()
    }
}
