//! What copies may take of the proxy's shared memory, and what is left to the proxy itself (`memory_reserve`).
//!
//! `tm_memory` counts the transactions of copies, and knows nothing of others: neither the second transaction of a
//! copy that comes back to this proxy on its way to a phone, nor what other modules keep. So the proxy is asked how much
//! of its shared memory is free, and copies wait where less would be left than the reserve. Both bounds hold.
//!
//! **Nobody asks more often than every 10 ms**, and nobody with the lock: whoever is about to take it looks at the
//! clock, and the one who puts the new time into `asked_at` asks. All processes read the answer.
//!
//! **Between two answers each copy is charged** with all that it may take: its own transaction, a second one, half as
//! large again (it may come back, which nobody knows before it does), and three times its text, as the one keeps it
//! once and the other twice. Measured were 23 KiB for both, of which a copy of 800 bytes is charged with 27.
//!
//! ```text
//! a copy is claimed:   OWED += charge                       it may take all of that from now on
//! it has landed:       OWED -= charge, LANDED += charge     what it has taken, it has taken
//! an answer:           l = LANDED; free = what the proxy says; LIMIT = l + free - reserve
//! may one be claimed:  LANDED + OWED < LIMIT
//! ```
//!
//! So the reserve is left alone whatever happens between two answers, be it that `forks_in_flight` copies start at once:
//!
//! - What copies that had landed before l was read have taken is missing from `free` already, and their charge is in l.
//! - All others, in flight or landed since, are charged in LANDED + OWED - l. Some may have taken part of that
//!   before the answer, and are charged for it once more: that errs on the reserve's side.
//! - The last copy to be claimed may go beyond LIMIT, by its own charge.
//!
//! LANDED is read without the lock and before the question, so it is never too large; it and LIMIT only grow by bytes
//! charged, and a u64 holds those of centuries. What else may touch the reserve are things that are nobody's copies:
//! that is what it is for. So are more than one phone of a member (some 2 KiB each), and a copy that is given up (408)
//! while it still waits in a socket to come back.
//!
//! **Something always goes on:** copies whose transactions take no more than a sixteenth of the reserve, and one at
//! least, are sent however little is free. Should the proxy have nothing at all for them, it says so, and they are tried
//! again as ever.

#![forbid(unsafe_code)]

use super::fair_share::fits;
use super::layout::{Message, Root};
use super::lock::Held;
use super::shared_memory::{At, SharedMemory};
use std::fmt::Debug;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::fence;

/// Milliseconds between two questions.
const INTERVAL: u64 = 10;
/// Milliseconds between two lines of the log.
const TELL: u64 = 60_000;
/// The part of the reserve that copies may always take.
const ALWAYS: u64 = 16;
/// Bytes of a mebibyte.
const MEBIBYTE: u64 = 1 << 20;

/// Tells how much of the proxy's shared memory is free.
pub trait FreeMemory: Debug + Send + Sync {
    /// Bytes, now.
    fn bytes(&self) -> u64;
}

/// The shared memory of the proxy, and what is to be left to it.
#[derive(Debug)]
pub struct ProxyMemory {
    /// Tells how much is free.
    pub free: Box<dyn FreeMemory>,
    /// Bytes of all of it.
    pub whole: u64,
    /// Bytes that copies leave alone.
    pub reserve: u64,
    /// Bytes of one transaction of a copy of usual length.
    pub transaction: u64,
}

impl ProxyMemory {
    /// What a copy with so many bytes of text is charged with.
    #[inline]
    fn charge(&self, text: u64) -> u64 {
        self.transaction * 5 / 2 + 3 * text
    }

    /// How many transactions copies may have however little is free.
    fn always(&self) -> u64 {
        (self.reserve / ALWAYS / self.charge(0)).max(1)
    }
}

/// What copies may take of the proxy's shared memory; nothing is bounded before [`CopyMemory::set`].
#[derive(Debug, Default)]
pub(super) struct CopyMemory {
    proxy: OnceLock<ProxyMemory>,
}

impl CopyMemory {
    /// Bounds copies from now on, in all processes that are forked afterwards. Says whether this is the first call: only
    /// that counts.
    pub(super) fn set(&self, proxy: ProxyMemory) -> bool {
        self.proxy.set(proxy).is_ok()
    }

    /// Asks the proxy how much memory is free, if nobody has for a while. To be called without the lock: the answer
    /// needs one of the proxy's.
    #[inline]
    pub(super) fn ask(&self, memory: &SharedMemory, now: impl FnOnce() -> u64) {
        if let Some(proxy) = self.proxy.get() {
            ask_if_it_is_time(memory, proxy, now());
        }
    }

    /// Whether the proxy has memory for one more copy.
    #[inline]
    pub(super) fn has_room(&self, held: &Held<'_>) -> bool {
        let Some(proxy) = self.proxy.get() else {
            return true;
        };
        held.root
            .flow
            .landed
            .get()
            .wrapping_add(held.root.flow.owed.get())
            < held.root.proxy.limit.load(Relaxed)
            || held.root.hot.transactions.get() < proxy.always()
    }

    /// Copies wait for memory, which the log will say. It comes back without a word to us, so that the process that
    /// reports outcomes looks again and again.
    #[cold]
    pub(super) fn wait(held: &Held<'_>) {
        held.root.proxy.is_short.store(1, Relaxed);
        held.notify.set(true);
    }

    /// Whether one with so many copies in flight leaves enough of the memory to others ([`fair_share`](super::fair_share)): of
    /// what those that have no final response may take, as what all others have taken is not there to be shared.
    #[inline]
    pub(super) fn has_share(&self, held: &Held<'_>, own: u32) -> bool {
        let Some(proxy) = self.proxy.get() else {
            return true;
        };
        let in_flight = held.root.hot.in_flight.get();
        if own == 0 || in_flight == 0 || held.root.hot.transactions.get() < proxy.always() {
            return true;
        }
        let owed = held.root.flow.owed.get();
        let size = held
            .root
            .proxy
            .limit
            .load(Relaxed)
            .saturating_sub(held.root.flow.landed.get());
        // Kibibytes, so that their squares are numbers of 64 bits.
        let own = (u64::from(own) * (owed / in_flight)) >> 10;
        let free = size.saturating_sub(owed);
        fits(own, free >> 10, size >> 10)
    }

    fn charge_of(&self, held: &Held<'_>, at: At<Message>) -> u64 {
        let proxy = self.proxy.get();
        proxy.map_or(0, |proxy| proxy.charge(held.block(at).length_of_copies()))
    }

    /// A copy of a message may take memory from now on.
    #[inline]
    pub(super) fn owe(&self, held: &Held<'_>, at: At<Message>) {
        held.root.flow.owed.add(held, self.charge_of(held, at));
    }

    /// A copy has taken what it takes.
    #[inline]
    pub(super) fn is_taken(&self, held: &Held<'_>, at: At<Message>) {
        let charge = self.charge_of(held, at);
        held.root.flow.owed.subtract(held, charge);
        held.root.flow.landed.add(held, charge);
    }

    /// After the death of a process: nothing is in flight until [`CopyMemory::owe_again`] says so.
    pub(super) fn forget_owed(held: &Held<'_>) {
        held.root.flow.landed.add(held, held.root.flow.owed.get());
        held.root.flow.owed.set(held, 0);
    }

    /// So many copies of a message are in flight.
    pub(super) fn owe_again(&self, held: &Held<'_>, at: At<Message>, copies: u32) {
        held.root
            .flow
            .owed
            .add(held, self.charge_of(held, at) * u64::from(copies));
    }

    /// Free bytes of the proxy's shared memory, and those that are left to it.
    pub(super) fn free(&self, memory: &SharedMemory, now: impl FnOnce() -> u64) -> [u64; 2] {
        self.ask(memory, now);
        let root: &Root = memory.root();
        let reserve = self.proxy.get().map_or(0, |proxy| proxy.reserve);
        [root.proxy.free.load(Relaxed), reserve]
    }

    /// Says in the log that copies wait for memory, once a minute. To be called by the clock.
    pub(super) fn log_if_short(&self, memory: &SharedMemory, now: u64) {
        let Some(proxy) = self.proxy.get() else {
            return;
        };
        let root: &Root = memory.root();
        if root.proxy.is_short.swap(0, Relaxed) == 0 {
            return;
        }
        let logged_at = root.proxy.logged_at.load(Relaxed);
        if logged_at != 0 && now.saturating_sub(logged_at) < TELL {
            return;
        }
        root.proxy.logged_at.store(now, Relaxed);
        let megabytes = |bytes: u64| bytes.div_ceil(MEBIBYTE);
        log::warn!(
            "copies wait for the proxy's shared memory: {} of {} MB are free, and {} MB are left to the proxy itself \
             (memory_reserve); {} recipients get their message later. Start the proxy with more shared memory, such as \
             -m {}, if that takes too long",
            megabytes(root.proxy.free.load(Relaxed)),
            megabytes(proxy.whole),
            megabytes(proxy.reserve),
            root.hot.waiting.get(),
            2 * megabytes(proxy.whole),
        );
    }
}

fn ask_if_it_is_time(memory: &SharedMemory, proxy: &ProxyMemory, now: u64) {
    let root: &Root = memory.root();
    let answer = &root.proxy;
    let asked_at = &answer.asked_at;
    let before = asked_at.load(Relaxed);
    let is_early = now.abs_diff(before) < INTERVAL;
    if is_early
        || asked_at
            .compare_exchange(before, now, AcqRel, Relaxed)
            .is_err()
    {
        return;
    }
    let landed = root.flow.landed.get();
    // Whatever had landed then has taken its memory before the question.
    fence(Acquire);
    let free = proxy.free.bytes();
    let limit = landed.saturating_add(free).saturating_sub(proxy.reserve);
    answer.free.store(free, Release);
    answer.limit.store(limit, Release);
}
