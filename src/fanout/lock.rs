//! The one lock of the engine: short, never held while a message is sent or copied.
//!
//! ```text
//!            take                      a waiter has waited long
//!   free ──────────► a process's ─────────────────────────► a process's, BLOCKED
//!    ▲  ▲                │ │                                        │
//!    │  └──── release ───┘ └── panic ──► BROKEN ── take ──┐         │
//!    └────────────────────── release ─────────────────────┼─────────┘
//!                                      the next holder makes all anew, as after a death
//! ```
//!
//! | word | who writes it |
//! |---|---|
//! | `lock` | who takes it and gives it back; WANTED and BLOCKED are set by who waits, without the lock |
//! | `blocked_since` | who is about to set BLOCKED, without the lock |
//! | `deferred` | who defers work, without the lock (`deferred`) |
//!
//! A robust mutex of the C library in its place was measured: a copy took 17 of 100 instructions more, and some 15 of 100
//! more time (`benches/fanout`), as it keeps a list of what a thread has. It does not say who has it either, which an
//! administrator has to know of a process that is stopped, nor whether any work was deferred meanwhile.
//!
//! Nobody waits for ever for a process that keeps it, as one that a debugger has stopped: whoever has
//! something to do that cannot wait leaves it (`deferred`). It is taken from a process that has ended, and
//! never from one that runs or is stopped.

#![forbid(unsafe_code)]

use super::blocked::{Blocked, now};
use super::layout::{Root, Transaction};
use super::process::{self, Process};
use super::shared_memory::{At, HasLock, HasMemory, Shared, SharedMemory};
use rustix::thread::Timespec;
use rustix::thread::futex::{self, Flags};
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ops::Index;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// How often the lock is looked at before the kernel is asked to wait: for about as long as a holder
/// needs, a microsecond.
const SPINS: u32 = 100;
/// How often the processor is given away before that: to be woken costs the holder more than a look.
const YIELDS: u32 = 30;
/// Milliseconds to wait before it is asked whether the holder still exists, and before it is said that
/// the lock is blocked. A holder needs a microsecond, unless it has lost its processor.
const LONG: u64 = 10;

/// Milliseconds for which a callback of the proxy waits: it may be in the process of all timers.
pub(super) const OF_CALLBACKS: Patience = Patience(Some(LONG));
/// Milliseconds for which a new message and an administrator's command wait.
pub(super) const OF_MESSAGES: Patience = Patience(Some(100));
/// Where nobody else has the lock for long: before the workers are forked.
const ENDLESS: Patience = Patience(None);

/// How long to wait for the lock, in milliseconds that its holder has kept it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience(Option<u64>);

/// Set beside the holder where somebody waits in the kernel.
const WANTED: u32 = 1 << 31;
/// Set beside the holder where somebody has waited for long.
const BLOCKED: u32 = 1 << 30;
/// The holder is none: one has panicked half-way through a change. No process has such a number, as its
/// id is 0.
const BROKEN: u32 = 1 << 22;

/// All bits of a process are below those of the lock.
const _: () = assert!(process::BITS <= 30);

/// The memory while no other process touches what the lock protects.
pub(super) struct Held<'a> {
    pub(super) memory: &'a SharedMemory,
    pub(super) root: &'a Root,
    /// Whether the reader of outcomes has something new to do.
    pub(super) notify: Cell<bool>,
    /// The transaction that was taken since, if one was.
    pub(super) claimed: Cell<Option<At<Transaction>>>,
    /// This process.
    pub(super) process: Process,
    /// Whether the lock was taken from a process that died with it, or panicked.
    pub(super) inherited: bool,
}

impl<'a> Held<'a> {
    /// Waits for the lock for as long as it takes. It is taken from a holder only if that process does
    /// not exist any more.
    pub(super) fn take(memory: &'a SharedMemory) -> Self {
        loop {
            if let Ok(held) = Self::take_within(memory, ENDLESS) {
                return held;
            }
        }
    }

    /// Waits for the lock until its holder has kept it for too long.
    #[inline]
    pub(super) fn take_within(
        memory: &'a SharedMemory,
        patience: Patience,
    ) -> Result<Self, Blocked> {
        let own = Process::this();
        let free = lock(memory).compare_exchange(0, own.to_bits(), Acquire, Relaxed);
        let inherited = match free {
            Ok(_) => false,
            Err(_) => wait(memory, own.to_bits(), patience)?,
        };
        Ok(Self::new(memory, own, inherited))
    }

    /// Takes the lock if nobody has it; else its holder sees when it gives it back that something was
    /// left.
    pub(super) fn take_or_mark(memory: &'a SharedMemory) -> Option<Self> {
        let (word, own) = (lock(memory), Process::this());
        loop {
            let holder = word.load(Relaxed);
            let wish = match holder & !(WANTED | BLOCKED) {
                0 | BROKEN => own.to_bits() | WANTED,
                _ => holder | WANTED,
            };
            if word
                .compare_exchange(holder, wish, AcqRel, Relaxed)
                .is_err()
            {
                continue;
            }
            let inherited = holder == BROKEN;
            return (holder == 0 || inherited).then(|| Self::new(memory, own, inherited));
        }
    }

    fn new(memory: &'a SharedMemory, process: Process, inherited: bool) -> Self {
        Self {
            memory,
            root: memory.root(),
            notify: Cell::new(false),
            claimed: Cell::new(None),
            process,
            inherited,
        }
    }

    /// Gives the lock back after all changes were made; says whether work was deferred meanwhile.
    #[inline]
    pub(super) fn release(self) -> bool {
        // What `drop` does is for a panic.
        let held = ManuallyDrop::new(self);
        #[cfg(test)]
        if death::has_come() {
            return false;
        }
        let root = held.root;
        root.hot.lock.swap(0, AcqRel) & WANTED != 0 && wake(root)
    }

    /// Whether there is deferred work for the holder.
    #[inline]
    pub(super) fn has_deferred(&self) -> bool {
        self.root.attention.deferred.load(Relaxed) != 0
    }
}

impl HasMemory for Held<'_> {
    #[inline]
    fn memory(&self) -> &SharedMemory {
        self.memory
    }
}

impl HasLock for Held<'_> {
    #[inline]
    fn changes(&self) {
        #[cfg(test)]
        death::come_nearer();
    }
}

impl<T: Shared> Index<At<T>> for Held<'_> {
    type Output = T;

    #[inline]
    fn index(&self, at: At<T>) -> &T {
        &self.memory[at]
    }
}

/// Half-way through a change: a panic has come before the lock was given back.
impl Drop for Held<'_> {
    fn drop(&mut self) {
        #[cfg(test)]
        if death::has_come() {
            return;
        }
        if let Some(claimed) = self.claimed.get() {
            // The attempt will not exist: its transaction is taken back like one of a dead process.
            self[claimed].process.set(self, Process::NONE.to_bits());
        }
        self.root.hot.lock.swap(BROKEN, AcqRel);
        wake(self.root);
    }
}

/// Wakes one who waits; says whether there is deferred work.
#[cold]
fn wake(root: &Root) -> bool {
    // One is enough, it will wake the next. Should this process die here, it wakes by itself.
    let _ = futex::wake(&root.hot.lock, Flags::empty(), 1);
    root.attention.deferred.load(Relaxed) != 0
}

fn lock(memory: &SharedMemory) -> &AtomicU32 {
    let root: &Root = memory.root();
    &root.hot.lock
}

/// Who keeps the lock from others, if somebody has had to wait for long.
pub(super) fn blocked(memory: &SharedMemory) -> Option<Blocked> {
    let holder = lock(memory).load(Acquire);
    (holder & BLOCKED != 0).then(|| blocked_by(memory, holder, now(memory)))
}

fn blocked_since(memory: &SharedMemory) -> &AtomicU64 {
    let root: &Root = memory.root();
    &root.attention.blocked_since
}

fn blocked_by(memory: &SharedMemory, holder: u32, now: u64) -> Blocked {
    Blocked {
        process: Process::from_bits(holder).id(),
        milliseconds: now.saturating_sub(blocked_since(memory).load(Relaxed)),
    }
}

/// Waits until the lock is ours; says whether it was taken from a holder that had died or panicked.
#[cold]
fn wait(memory: &SharedMemory, own: u32, patience: Patience) -> Result<bool, Blocked> {
    let word = lock(memory);
    for look in 0..SPINS + YIELDS {
        let holder = word.load(Relaxed);
        if holder == 0 && word.compare_exchange(0, own, Acquire, Relaxed).is_ok() {
            return Ok(false);
        }
        if holder & BLOCKED != 0 {
            break;
        }
        match look < SPINS {
            true => std::hint::spin_loop(),
            false => std::thread::yield_now(),
        }
    }
    let begin = now(memory);
    let (mut last, mut seen) = (0, begin);
    loop {
        let holder = word.load(Relaxed);
        // Whoever takes it from here on wakes others: they may be waiting too.
        let take = |from| {
            word.compare_exchange(from, own | WANTED, Acquire, Relaxed)
                .is_ok()
        };
        if holder == 0 || holder & !(WANTED | BLOCKED) == BROKEN {
            match take(holder) {
                true => return Ok(holder != 0),
                false => continue,
            }
        }
        let wanted = holder | WANTED;
        let change = |from, to| word.compare_exchange(from, to, AcqRel, Relaxed).is_ok();
        if holder != wanted && !change(holder, wanted) {
            continue;
        }
        let (now, process) = (now(memory), Process::from_bits(holder));
        if process.to_bits() != last {
            (last, seen) = (process.to_bits(), now);
        }
        let is_blocked = holder & BLOCKED != 0;
        let since = match is_blocked {
            true => blocked_since(memory).load(Relaxed).min(seen),
            false => seen,
        };
        if now.saturating_sub(since) >= LONG {
            if process.has_ended() {
                match take(wanted) {
                    true => return Ok(true),
                    false => continue,
                }
            }
            if !is_blocked {
                blocked_since(memory).store(since, Release);
                let _ = change(wanted, wanted | BLOCKED);
                continue;
            }
        }
        // Others may have had it meanwhile: then it is not blocked, but still too long for us.
        let waited = now.saturating_sub(since.min(begin));
        let left = match patience {
            Patience(Some(most)) if waited >= most => return Err(blocked_by(memory, holder, now)),
            Patience(Some(most)) => (most - waited).min(LONG),
            Patience(None) => LONG,
        };
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: left as i64 * 1_000_000,
        };
        let _ = futex::wait(word, Flags::empty(), wanted, Some(&patience));
    }
}

/// Lets a thread of a test be a process that dies while it holds the lock, or panics.
#[cfg(test)]
pub(super) mod death {
    use super::Process;
    use std::cell::Cell;

    /// What happens in the middle of a change.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) enum End {
        /// The process dies.
        Death,
        /// It panics, and goes on.
        Panic,
    }

    thread_local! {
        static CHANGES_LEFT: Cell<Option<(End, u32)>> = const { Cell::new(None) };
    }

    /// From now on this thread is a process that ends so with that many changes of words.
    pub(in super::super) fn after(end: End, changes: u32) {
        CHANGES_LEFT.set(Some((end, changes)));
    }

    /// This thread is itself again; says whether the end had come.
    pub(in super::super) fn over() -> bool {
        let left = CHANGES_LEFT.replace(None);
        left.is_some_and(|(_, left)| left == 0)
    }

    /// How many words this thread has changed since [`after`] was given the most there are.
    pub(in super::super) fn changes() -> u32 {
        u32::MAX - CHANGES_LEFT.get().map_or(u32::MAX, |(_, left)| left)
    }

    pub(super) fn come_nearer() {
        if let Some((end, left)) = CHANGES_LEFT.get() {
            CHANGES_LEFT.set(Some((end, left.saturating_sub(1))));
            if left == 1 {
                std::panic::resume_unwind(Box::new("the end"));
            }
        }
    }

    pub(super) fn has_come() -> bool {
        CHANGES_LEFT.get() == Some((End::Death, 0))
    }

    /// One that never was.
    pub(in super::super) fn process() -> Option<Process> {
        let end = CHANGES_LEFT.get().map(|(end, _)| end);
        (end == Some(End::Death)).then(|| Process::from_bits(2 << 22))
    }
}
