//! The proxy's transactions that our forks use: a table whose entries outlive the recipient, because
//! a transaction keeps its memory for some seconds after its final response.
//!
//! A cookie names an entry and which of its uses is meant, so that one that comes late or twice is
//! known as such.
//!
//! ```text
//!                        the proxy has taken it (of these three bits each is taken away once, in any order)
//! free ── claimed ──► IN_FLIGHT, HELD, SENDING ──► IN_FLIGHT, HELD ──► HELD ── its memory is given back ──► free
//!                        │        │                    │   final response                                      ▲
//!                        │        │                    └── SILENT besides, after `patience`                     │
//!                        │        └── the proxy has not taken it, or its process has died ────────────────────┤
//!                        └── its end comes before the process that sends is back ──► SENDING ── it is back ─────┘
//! ```
//!
//! | word | without the lock | with it |
//! |---|---|---|
//! | the bits | SENDING is taken away while HELD stays; it is noted when it was first seen | all others |
//! | deferred work | added (`deferred`) | done, then taken away |
//! | the rest | | all |

#![forbid(unsafe_code)]

use super::layout::{Root, Transaction};
use super::lock::Held;
use super::process::Process;
use super::recipient::Recipient;
use super::shared_memory::{At, HasLock, SharedMemory};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// The most transactions that can be counted: tm takes 2.4 GB for as many.
pub const MOST: usize = 1 << 18;
/// Words of an entry. None lies in two lines of the processor's cache.
pub(super) const WORDS: usize = size_of::<Transaction>() / size_of::<AtomicU64>();
const _: () = assert!(WORDS == 4);

/// The fork has no final response.
pub(super) const IN_FLIGHT: u64 = 1;
/// The transaction has its memory.
pub(super) const HELD: u64 = 2;
/// The fork is being handed to the proxy.
pub(super) const SENDING: u64 = 4;
const BITS: u32 = 3;
const BITS_MASK: u64 = (1 << BITS) - 1;

// Above the bits and the number of the use.
/// The fork has had no final response for so long that it does not count against `concurrency` (`patience`).
const SILENT: u64 = 1 << (BITS + USE_BITS);
/// At which moment it was first seen in flight; 0 for not yet.
const SEEN: u32 = BITS + USE_BITS + 1;
/// How many moments there are before they are counted from the first again.
const MOMENTS: u64 = (1 << (u64::BITS - SEEN)) - 1;

/// Bits of a cookie that name the entry; the higher ones name the use.
const INDEX: u32 = 20;
const INDEX_MASK: u64 = (1 << INDEX) - 1;
const USE_BITS: u32 = u64::BITS - INDEX;
const USE_MASK: u64 = u64::MAX >> INDEX;

/// Why the proxy did not take a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// It had no memory: the fork is tried again.
    OutOfMemory,
    /// It cannot be sent at all.
    Failed,
}

/// Where the table starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transactions(pub(super) usize);

impl Transactions {
    #[inline]
    fn at(self, index: usize) -> At<Transaction> {
        At::word(self.0 + index * WORDS)
    }

    /// Whether another transaction may be used.
    #[inline]
    pub(super) fn has_room(self, held: &Held<'_>) -> bool {
        held.root.hot.transactions.get() < held.root.flow.transaction_limit.get()
    }

    /// An entry for a fork to this recipient, whose target has this hash; gives the cookie.
    #[inline]
    pub(super) fn allocate(self, held: &Held<'_>, entry: At<Recipient>, hash: u64) -> u64 {
        let hot = &held.root.hot;
        let index = match hot.transactions_free.get() {
            0 => {
                let ever = hot.transactions_ever.get();
                hot.transactions_ever.set(held, ever + 1);
                ever as usize
            }
            free => {
                let index = free as usize - 1;
                let next = held[self.at(index)].process.get();
                hot.transactions_free.set(held, next);
                index
            }
        };
        let (at, transaction) = (self.at(index), &held[self.at(index)]);
        let before = transaction.word.load(Relaxed);
        debug_assert_eq!(before & BITS_MASK, 0, "a free entry");
        let number = (((before >> BITS) + 1) & USE_MASK).max(1);
        transaction.entry.set(held, Some(entry));
        transaction.process.set(held, held.process.to_bits());
        held.claimed.set(Some(at));
        transaction.target.set(held, hash);
        held.changes();
        let word = number << BITS | IN_FLIGHT | HELD | SENDING;
        transaction.word.store(word, Release);
        hot.transactions.add(held, 1);
        number << INDEX | index as u64
    }

    /// The entry that a cookie means, unless that use of it is over.
    #[inline]
    pub(super) fn find<'m>(self, held: &'m Held<'_>, cookie: u64) -> Option<&'m Transaction> {
        self.find_in(held.memory, cookie)
    }

    /// The same without the lock, for who knows that the use is not over before they have said so.
    #[inline]
    pub(super) fn find_in(self, memory: &SharedMemory, cookie: u64) -> Option<&Transaction> {
        let index = Self::index_of(cookie);
        if index >= MOST {
            return None;
        }
        let transaction = &memory[self.at(index)];
        let word = transaction.word.load(Acquire);
        let number = word >> BITS & USE_MASK;
        (number == cookie >> INDEX && word & BITS_MASK != 0).then_some(transaction)
    }

    /// The number of the entry that a cookie means.
    #[inline]
    pub(super) fn index_of(cookie: u64) -> usize {
        (cookie & INDEX_MASK) as usize
    }

    /// Which use of it a cookie means, or as much of that as there is room for.
    pub(super) fn use_of(cookie: u64) -> u32 {
        (cookie >> INDEX) as u32
    }

    /// The entry with this number, and the cookie of its present use.
    pub(super) fn present<'m>(self, held: &'m Held<'_>, index: usize) -> (&'m Transaction, u64) {
        let transaction = &held[self.at(index)];
        let number = transaction.word.load(Relaxed) >> BITS & USE_MASK;
        (transaction, number << INDEX | index as u64)
    }

    /// How many entries have ever been used.
    pub(super) fn ever(memory: &SharedMemory) -> usize {
        let root: &Root = memory.root();
        (root.hot.transactions_ever.get() as usize).min(MOST)
    }

    fn all(self, memory: &SharedMemory) -> impl Iterator<Item = &Transaction> {
        (0..Self::ever(memory)).map(move |index| &memory[self.at(index)])
    }

    /// The entries of forks that are being handed to the proxy.
    pub(super) fn sending(self, memory: &SharedMemory) -> Vec<&Transaction> {
        let all = self.all(memory);
        all.filter(|transaction| transaction.bits() & SENDING != 0)
            .collect()
    }

    /// Looks at all forks in flight, without the lock: notes at which moment each was seen first, and gives those that
    /// were so many moments ago and do not count as silent yet.
    pub(super) fn grown_old(
        self,
        memory: &SharedMemory,
        moment: u64,
        age: u64,
    ) -> Vec<&Transaction> {
        let mut old = Vec::new();
        for transaction in self.all(memory) {
            let word = transaction.word.load(Relaxed);
            if word & (IN_FLIGHT | SILENT) != IN_FLIGHT {
                continue;
            }
            if word >> SEEN == 0 {
                let seen = word | (moment % MOMENTS + 1) << SEEN;
                // Else it has changed meanwhile, and is seen the next time.
                let _ = transaction
                    .word
                    .compare_exchange(word, seen, AcqRel, Acquire);
            } else if is_old(word, moment, age) {
                old.push(transaction);
            }
        }
        old
    }

    /// The entry that a cookie of an attempt under way means.
    pub(super) fn of_attempt(self, memory: &SharedMemory, cookie: u64) -> &Transaction {
        &memory[self.at(Self::index_of(cookie))]
    }

    /// Lists the free entries anew, once `look` has said which bits each entry in use keeps.
    pub(super) fn recover<'a>(
        self,
        held: &Held<'a>,
        mut look: impl FnMut(&Held<'a>, &Transaction) -> u64,
    ) {
        let hot = &held.root.hot;
        hot.transactions_free.set(held, 0);
        hot.transactions.set(held, 0);
        for index in 0..Self::ever(held.memory) {
            let transaction = &held[self.at(index)];
            hot.transactions.add(held, 1);
            if transaction.bits() == 0 || look(held, transaction) == 0 {
                self.free(held, transaction);
            }
        }
    }

    /// Gives back an entry that has lost its last bit.
    pub(super) fn free(self, held: &Held<'_>, transaction: &Transaction) {
        let index = (held.memory.word_of(transaction) - self.0) / WORDS;
        let hot = &held.root.hot;
        debug_assert_eq!(transaction.bits(), 0, "its last bit was taken away");
        transaction.entry.set(held, None);
        transaction.process.set(held, hot.transactions_free.get());
        hot.transactions_free.set(held, index as u32 + 1);
        hot.transactions.subtract(held, 1);
    }
}

impl Transaction {
    /// The bits of an entry in use.
    #[inline]
    pub(super) fn bits(&self) -> u64 {
        self.word.load(Relaxed) & BITS_MASK
    }

    /// The recipient of a copy in flight.
    #[inline]
    pub(super) fn entry(&self) -> Option<At<Recipient>> {
        self.entry.get()
    }

    /// The hash of the target.
    #[inline]
    pub(super) fn target(&self) -> u64 {
        self.target.get()
    }

    /// The process that has sent or is sending.
    pub(super) fn process(&self) -> Process {
        Process::from_bits(self.process.get())
    }

    /// Marks a fork as silent that was first seen in flight so many moments ago, and says whether it does not count as
    /// such yet. Never twice for one use.
    pub(super) fn becomes_silent(&self, _: &Held<'_>, moment: u64, age: u64) -> bool {
        let word = self.word.load(Relaxed);
        let becomes = word & (IN_FLIGHT | SILENT) == IN_FLIGHT && is_old(word, moment, age);
        if becomes {
            self.word.fetch_or(SILENT, AcqRel);
        }
        becomes
    }

    /// Whether a fork in flight counts as silent.
    #[inline]
    pub(super) fn is_silent(&self) -> bool {
        self.word.load(Relaxed) & SILENT != 0
    }

    /// A fork counts as any other again.
    pub(super) fn is_silent_no_more(&self, _: &Held<'_>) {
        self.word.fetch_and(!SILENT, AcqRel);
    }

    /// Takes bits away; gives the bits before.
    #[inline]
    pub(super) fn take(&self, _: &Held<'_>, bits: u64) -> u64 {
        self.word.fetch_and(!bits, AcqRel) & BITS_MASK
    }

    /// Says that the fork was handed over, without the lock: only while the transaction has its memory,
    /// so that this is not the last bit. Says whether that was so.
    #[inline]
    pub(super) fn take_sending_if_held(&self) -> bool {
        let taken = |word| (word & HELD != 0).then_some(word & !SENDING);
        self.word.fetch_update(AcqRel, Acquire, taken).is_ok()
    }
}

/// Whether a fork was first seen so many moments before this one.
fn is_old(word: u64, moment: u64, age: u64) -> bool {
    let (seen, moment) = (word >> SEEN, moment % MOMENTS + 1);
    seen != 0 && (moment + MOMENTS - seen) % MOMENTS >= age
}
