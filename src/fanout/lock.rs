//! The one lock of the engine: short, never held while a message is sent or copied. It is a robust mutex of the C
//! library, so that the kernel gives it to another process when its holder dies.
//!
//! ```text
//!            take                        others have waited long
//!   free ───────────► a thread's ──────────────────────────────────► a thread's, BLOCKED_BY
//!    ▲                 │  │   │                                                │
//!    ├──── release ────┘  │   └─ death: the next one that takes it ──┐         │
//!    │                    └───── panic: DIRTY, and it is given back ─┤         │
//!    ├───────────────────────────────── release ─────────────────────┼─────────┘
//!    │                                                               ▼
//!    └── release, once all is made anew (`recovery`) ◄── taken, DIRTY until then
//! ```
//!
//! | word | who writes it |
//! |---|---|
//! | the mutex | who takes it and gives it back; the kernel when a process ends |
//! | [`DIRTY`] | set by who panics with the lock, and by who takes it from the dead; taken away by who has made all anew |
//! | [`BLOCKED_SINCE`], [`BLOCKED_BY`] | who has waited for long, without the lock; taken away by the holder behind its release |
//!
//! Nobody waits for ever for a process that keeps it, as one that a debugger has stopped: whoever has something to do
//! that cannot wait leaves it (`left`). It is never taken from a process that runs or is stopped.
//!
//! Nobody sleeps in the kernel for it either: who has looked in vain for as long as a holder needs looks again after
//! some microseconds, by a clock that nobody sets. So the holder wakes nobody.

#![forbid(unsafe_code)]

use super::layout::{BLOCKED_BY, BLOCKED_SINCE, DIRTY, LEFT, LOCK};
use super::process::{Process, process_of};
use super::shared_memory::{RobustMutex, SharedMemory, Taken};
use std::cell::Cell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use std::sync::atomic::fence;
use std::time::Duration;

/// How often the lock is looked at before the processor is given away: for about as long as a holder needs, a
/// microsecond.
const SPINS: u32 = 100;
/// How often the processor is given away before that is done for longer.
const YIELDS: u32 = 30;
/// For how long then, at first; twice as long each time, up to a millisecond.
const NAP: Duration = Duration::from_micros(20);
const LONGEST_NAP: Duration = Duration::from_millis(1);
/// Milliseconds to wait before it is said that the lock is blocked. A holder needs a microsecond, unless it has lost
/// its processor.
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

/// The memory while no other process touches what the lock protects.
pub(super) struct Held<'a> {
    pub(super) memory: &'a SharedMemory,
    /// Whether the reader of outcomes has something new to do.
    pub(super) news: Cell<bool>,
    /// The word of a transaction, taken since, that names the process that sends; 0 if none was.
    pub(super) claimed: Cell<usize>,
}

impl<'a> Held<'a> {
    /// Waits for the lock for as long as it takes. It is taken from a holder only if that does not exist any more.
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
        match Self::try_take(memory) {
            Some(held) => Ok(held),
            None => wait(memory, patience),
        }
    }

    /// Takes the lock if nobody has it. Else its holder sees behind its release what was left before this.
    #[inline]
    pub(super) fn try_take(memory: &'a SharedMemory) -> Option<Self> {
        match mutex(memory).try_lock() {
            Taken::Yes => {}
            Taken::FromTheDead => take_from_the_dead(memory),
            Taken::No => return None,
        }
        Some(Self {
            memory,
            news: Cell::new(false),
            claimed: Cell::new(0),
        })
    }

    /// Whether a change was left half done by one that had the lock before.
    #[inline]
    pub(super) fn is_dirty(&self) -> bool {
        self.memory.get(DIRTY) != 0
    }

    /// All was made anew.
    pub(super) fn is_clean(&self) {
        self.memory.set(DIRTY, 0);
    }

    /// Gives the lock back after all changes were made; says whether something was left meanwhile.
    #[inline]
    pub(super) fn release(self) -> bool {
        // What `drop` does is for a panic.
        let held = ManuallyDrop::new(self);
        #[cfg(test)]
        if death::has_come() {
            held.memory.set(DIRTY, 1);
        }
        let memory = held.memory;
        mutex(memory).unlock();
        memory.get(LEFT) | memory.get(BLOCKED_BY) != 0 && was_waited_for(memory)
    }

    /// The word at this index.
    #[inline]
    pub(super) fn get(&self, at: usize) -> u64 {
        self.memory.get(at)
    }

    /// Changes the word at this index.
    #[inline]
    pub(super) fn set(&self, at: usize, value: u64) {
        #[cfg(test)]
        death::come_nearer();
        self.memory.set(at, value);
    }

    /// Adds to the word at this index.
    #[inline]
    pub(super) fn add(&self, at: usize, amount: u64) {
        self.set(at, self.get(at).wrapping_add(amount));
    }

    /// Takes from the word at this index.
    #[inline]
    pub(super) fn subtract(&self, at: usize, amount: u64) {
        self.set(at, self.get(at).wrapping_sub(amount));
    }

    /// Both halves of the word at this index.
    #[inline]
    pub(super) fn pair(&self, at: usize) -> (u32, u32) {
        let word = self.get(at);
        (word as u32, (word >> 32) as u32)
    }

    /// Changes both halves of the word at this index.
    #[inline]
    pub(super) fn set_pair(&self, at: usize, low: u32, high: u32) {
        self.set(at, u64::from(low) | u64::from(high) << 32);
    }

    /// The word itself, for what is changed without the lock too.
    #[inline]
    pub(super) fn word(&self, at: usize) -> &'a AtomicU64 {
        &self.memory.words()[at]
    }
}

/// Half-way through a change: a panic has come before the lock was given back.
impl Drop for Held<'_> {
    fn drop(&mut self) {
        let claimed = self.claimed.get();
        #[cfg(test)]
        let claimed = if death::has_come() { 0 } else { claimed };
        if claimed != 0 {
            // The attempt will not exist: its transaction is taken back like one of a dead process.
            let entry = self.memory.get(claimed) & u64::from(u32::MAX);
            let nobody = u64::from(Process::NONE.to_bits()) << 32;
            self.memory.set(claimed, entry | nobody);
        }
        self.memory.set(DIRTY, 1);
        mutex(self.memory).unlock();
        was_waited_for(self.memory);
    }
}

fn mutex(memory: &SharedMemory) -> &RobustMutex {
    memory.mutex(LOCK)
}

#[cold]
fn take_from_the_dead(memory: &SharedMemory) {
    memory.set(DIRTY, 1);
    memory.set(BLOCKED_BY, 0);
}

/// The lock was given back: it is blocked by this thread no more. Says whether something was left.
#[cold]
fn was_waited_for(memory: &SharedMemory) -> bool {
    is_not_blocked_by(memory, this_thread());
    memory.get(LEFT) != 0
}

fn is_not_blocked_by(memory: &SharedMemory, thread: u32) {
    let word = &memory.words()[BLOCKED_BY];
    let _ = word.compare_exchange(thread.into(), 0, AcqRel, Relaxed);
}

fn this_thread() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get() as u32
}

/// Who keeps the lock from others, if somebody has had to wait for long.
pub(super) fn blocked(memory: &SharedMemory) -> Option<Blocked> {
    let holder = mutex(memory).owner();
    let is_blocked = holder != 0 && memory.get(BLOCKED_BY) == u64::from(holder);
    is_blocked.then(|| blocked_by(memory, holder, now(memory)))
}

/// Milliseconds by the clock of the memory.
pub(super) fn now(memory: &SharedMemory) -> u64 {
    memory.age().as_millis() as u64
}

fn blocked_by(memory: &SharedMemory, holder: u32, now: u64) -> Blocked {
    Blocked {
        process: process_of(holder),
        milliseconds: now.saturating_sub(memory.get(BLOCKED_SINCE)),
    }
}

/// Waits until the lock is ours.
#[cold]
fn wait(memory: &SharedMemory, patience: Patience) -> Result<Held<'_>, Blocked> {
    let mutex = mutex(memory);
    for look in 0..SPINS + YIELDS {
        if mutex.owner() == 0
            && let Some(held) = Held::try_take(memory)
        {
            return Ok(held);
        }
        if memory.get(BLOCKED_BY) != 0 {
            break;
        }
        match look < SPINS {
            true => std::hint::spin_loop(),
            false => std::thread::yield_now(),
        }
    }
    let begin = now(memory);
    let (mut last, mut seen, mut nap) = (0, begin, NAP);
    loop {
        if let Some(held) = Held::try_take(memory) {
            return Ok(held);
        }
        let (now, holder) = (now(memory), mutex.owner());
        if holder != last {
            (last, seen) = (holder, now);
        }
        let is_blocked = holder != 0 && memory.get(BLOCKED_BY) == u64::from(holder);
        let since = match is_blocked {
            true => memory.get(BLOCKED_SINCE).min(seen),
            false => seen,
        };
        if now.saturating_sub(since) >= LONG && holder != 0 && !is_blocked {
            memory.set(BLOCKED_SINCE, since);
            memory.words()[BLOCKED_BY].store(holder.into(), SeqCst);
            // Either its holder sees that behind its release, or it has released the lock before.
            fence(SeqCst);
            if mutex.owner() != holder {
                is_not_blocked_by(memory, holder);
            }
            continue;
        }
        // Others may have had it meanwhile: then it is not blocked, but still too long for us.
        let waited = now.saturating_sub(since.min(begin));
        if let Patience(Some(most)) = patience
            && waited >= most
        {
            return Err(blocked_by(memory, holder, now));
        }
        std::thread::sleep(nap);
        nap = (2 * nap).min(LONGEST_NAP);
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
