//! Work deferred while a process kept the lock, mostly as it was stopped: the proxy's callbacks
//! and the ends of what a worker is at do not wait for it, and nothing of them is lost.
//!
//! Each piece of work is left in a word of what it is about, by one step that needs no lock; whoever has the lock next
//! does it before anything else (`locked_queue`), and in the order in which the proxy says it of one fork.
//!
//! | word | without the lock | by the holder |
//! |---|---|---|
//! | of a transaction: use, work, code | work is added | done, then taken away if no more were added |
//! | a bit for each transaction | set after its word | taken away before its word is read |
//! | of a message's pins: work, pins to take away | work is added by who has a pin or the ticket | the same |
//! | `deferred` of the root | set last of all | taken away first of all |

#![forbid(unsafe_code)]

use super::budget::BudgetKeys;
use super::layout::{Message, Root};
use super::lock::Held;
use super::shared_memory::{At, SharedMemory};
use super::transactions::{self, NotSent, Transactions};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Transactions of which one word has the bits.
const TOGETHER: usize = u64::BITS as usize;

/// The bits of the code in the lower half of a transaction's word, and its work.
const CODE: u64 = 0xffff;
const COMPLETED: u64 = 1 << 16;
const RELEASED: u64 = 1 << 17;
const HANDED_OVER: u64 = 1 << 18;
const NO_MEMORY: u64 = 1 << 19;
const FAILED: u64 = 1 << 20;

/// Between the pins of a message and its last bit: the pins that are taken away, and its work.
const UNPIN: u64 = 1 << 32;
const UNPINS: u64 = 0xffff << 32;
const START: u64 = 1 << 48;
const CANCEL: u64 = 1 << 49;
const GIVE_BACK: u64 = 1 << 50;
const FREE: u64 = 1 << 51;
const WORK: u64 = UNPINS | START | CANCEL | GIVE_BACK | FREE;

/// Work on a copy that may be deferred.
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

/// Work on a message that may be deferred.
#[derive(Clone, Copy, Debug)]
pub(super) enum MessageWork {
    /// It was answered, and is to be sent.
    Start,
    /// It was answered, and is not to be sent.
    StartCancelled,
    /// It was not answered: its room and its budgets, with these keys, are given back.
    GiveBack(BudgetKeys),
    /// It was not taken up again: its room is given back, for which no budget was taken.
    Free,
    /// A pin is taken away.
    Unpin,
}

/// Where the bits of the transactions are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deferred {
    /// Its first word.
    pub(super) start: usize,
    /// The table of transactions.
    pub(super) transactions: Transactions,
}

impl Deferred {
    /// Words of the bits.
    pub(super) const WORDS: usize = transactions::MOST / TOGETHER;

    fn words(self, memory: &SharedMemory) -> &[AtomicU64; Self::WORDS] {
        &memory[At::word(self.start)]
    }

    fn bit(self, memory: &SharedMemory, index: usize) -> (&AtomicU64, u64) {
        let word = &self.words(memory)[index / TOGETHER];
        (word, 1 << (index % TOGETHER))
    }

    /// Leaves work on a copy, if its cookie is not stale.
    pub(super) fn leave(self, memory: &SharedMemory, cookie: u64, work: TransactionWork) {
        let Some(transaction) = self.transactions.find_in(memory, cookie) else {
            return;
        };
        let root: &Root = memory.root();
        let (bit, code) = match work {
            TransactionWork::Completed(code) => (COMPLETED, u64::from(code)),
            TransactionWork::Released => (RELEASED, 0),
            TransactionWork::HandedOver => (HANDED_OVER, 0),
            TransactionWork::NotSent(why, at) => {
                root.attention.not_sent_at.store(at, Release);
                match why {
                    NotSent::OutOfMemory => (NO_MEMORY, 0),
                    NotSent::Failed => (FAILED, 0),
                }
            }
        };
        let own = u64::from(Transactions::use_of(cookie)) << 32;
        let add = |left: u64| {
            // Of an earlier use, nothing counts.
            let left = if left >> 32 == own >> 32 { left } else { own };
            let code = if left & COMPLETED == 0 { code } else { 0 };
            Some(left | bit | code)
        };
        let _ = transaction.deferred.fetch_update(AcqRel, Acquire, add);
        let (word, bit) = self.bit(memory, Transactions::index_of(cookie));
        word.fetch_or(bit, AcqRel);
    }

    /// Gives `work` what was left of all copies, each by its cookie, and takes it away afterwards. Others may leave more
    /// meanwhile: `work` is given some of it twice then, and must do nothing the second time.
    pub(super) fn take(self, held: &Held<'_>, mut work: impl FnMut(u64, TransactionWork)) {
        for (number, word) in self.words(held.memory).iter().enumerate() {
            let mut bits = word.load(Relaxed);
            while bits != 0 {
                let bit = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                self.take_of(held, number * TOGETHER + bit, &mut work);
            }
        }
    }

    fn take_of(self, held: &Held<'_>, index: usize, work: &mut impl FnMut(u64, TransactionWork)) {
        let (word, bit) = self.bit(held.memory, index);
        loop {
            word.fetch_and(!bit, AcqRel);
            let (transaction, cookie) = self.transactions.present(held, index);
            let left = transaction.deferred.load(Acquire);
            if (left >> 32) as u32 == Transactions::use_of(cookie) {
                let not_sent_at = held.root.attention.not_sent_at.load(Relaxed);
                let all = of_word(left, not_sent_at);
                all.for_each(|deferred| work(cookie, deferred));
            }
            let left = transaction
                .deferred
                .compare_exchange(left, 0, AcqRel, Relaxed);
            if left.is_ok() {
                return;
            }
        }
    }

    /// Marks again what a process that died had deferred, or was about to do.
    pub(super) fn mark_again(self, held: &Held<'_>) {
        for index in 0..Transactions::ever(held.memory) {
            let (transaction, _) = self.transactions.present(held, index);
            if transaction.deferred.load(Relaxed) != 0 {
                let (word, bit) = self.bit(held.memory, index);
                word.fetch_or(bit, AcqRel);
            }
        }
        held.root.attention.deferred.swap(1, AcqRel);
    }
}

/// The work in a transaction's word, in the order in which it is to be done.
fn of_word(left: u64, not_sent_at: u64) -> impl Iterator<Item = TransactionWork> {
    use TransactionWork::{Completed, HandedOver, NotSent as Refused, Released};
    let all = [
        (COMPLETED, Completed((left & CODE) as u16)),
        (RELEASED, Released),
        (HANDED_OVER, HandedOver),
        (NO_MEMORY, Refused(NotSent::OutOfMemory, not_sent_at)),
        (FAILED, Refused(NotSent::Failed, not_sent_at)),
    ];
    let left = move |&(bit, _): &(u64, _)| left & bit != 0;
    all.into_iter().filter(left).map(|(_, work)| work)
}

impl Message {
    /// Leaves work on the message, for who has its ticket or a pin of it.
    pub(super) fn defer(&self, root: &Root, work: MessageWork) {
        let [first, second] = &self.deferred_unstarted;
        let order = || {
            let order = root.attention.starts_deferred.fetch_add(1, AcqRel);
            first.store(order, Release);
        };
        let bits = match work {
            MessageWork::Start => {
                order();
                START
            }
            MessageWork::StartCancelled => {
                order();
                START | CANCEL
            }
            MessageWork::GiveBack(keys) => {
                for (word, key) in [first, second].into_iter().zip(keys) {
                    word.store(key, Release);
                }
                GIVE_BACK
            }
            MessageWork::Free => FREE,
            MessageWork::Unpin => UNPIN,
        };
        self.pins.fetch_add(bits, AcqRel);
    }

    /// Whether work on the message was left.
    pub(super) fn has_deferred(&self) -> bool {
        self.pins.load(Relaxed) & WORK != 0
    }

    /// The place of the message among those whose start was deferred.
    pub(super) fn deferred_order(&self) -> u64 {
        self.deferred_unstarted[0].load(Relaxed)
    }

    /// What was left by who had its ticket, if anything was.
    pub(super) fn deferred_by_ticket(&self) -> Option<MessageWork> {
        let left = self.pins.load(Acquire);
        if left & GIVE_BACK != 0 {
            let keys = self.deferred_unstarted.each_ref();
            return Some(MessageWork::GiveBack(keys.map(|key| key.load(Relaxed))));
        }
        match left & (FREE | START | CANCEL) {
            0 => None,
            FREE => Some(MessageWork::Free),
            START => Some(MessageWork::Start),
            _ => Some(MessageWork::StartCancelled),
        }
    }

    /// Takes away what was left; gives how many pins are to be taken away.
    pub(super) fn take_deferred(&self) -> u64 {
        let left = self.pins.fetch_and(!WORK, AcqRel);
        (left & UNPINS) / UNPIN
    }
}
