//! One fork on its way: from the moment it may be sent to its final response, and to the moment the
//! proxy has given back the memory of its transaction.
//!
//! ```text
//!              with the lock                    without it, or, for the last one of DONE, with it
//! pins: n ────────────────────► n + 1 ─────────────────────────────────────────────────────────► n
//!         an attempt is claimed, an outcome is told      an attempt, an outcome, a look is over
//!         or somebody looks at the message
//! DONE:   set with the pin of who tells that the message is finished; with the last pin then the block is given back
//! ```
//!
//! Who keeps a message for the ledger sets a pin without the lock, while who tells its outcomes has one.

#![forbid(unsafe_code)]

use super::block::{Block, block_of};
use super::deferred::{MessageWork, TransactionWork};
use super::engine::Engine;
use super::identifiers::identifiers;
use super::layout::Message;
use super::lock::{Held, OF_CALLBACKS};
use super::recipient::{Outcome, Recipient, RecipientState};
use super::shared_memory::At;
use super::transactions::{HELD, IN_FLIGHT, SENDING, Transaction};
use crate::control::{Fork, Shared};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

/// Milliseconds for which nothing is sent after the proxy had no memory, unless some comes free.
const PAUSE: u64 = 1_000;

/// Marks a block whose last outcome and end have been told: the last pin gives it back. Between this bit
/// and the pins stands what was left (`deferred`).
pub(super) const DONE: u64 = 1 << 63;
/// The pins of a block.
pub(super) const PINS: u64 = u32::MAX as u64;

/// Why the proxy did not take a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// It had no memory: the fork is tried again.
    OutOfMemory,
    /// It cannot be sent at all.
    Failed,
}

/// Proves that a pin was set with the lock, for who takes it over.
#[derive(Debug)]
#[must_use]
pub(super) struct Pin(At<Message>);

/// Keeps the text of a block where it is.
#[derive(Debug)]
pub(super) struct Pinned<'e> {
    engine: &'e Engine,
    at: At<Message>,
}

impl<'e> Pinned<'e> {
    /// Takes over a pin that was set under the lock.
    pub(super) fn new(engine: &'e Engine, Pin(at): Pin) -> Self {
        Self { engine, at }
    }

    /// Where the block is.
    pub(super) fn at(&self) -> At<Message> {
        self.at
    }

    /// The engine.
    pub(super) fn engine(&self) -> &'e Engine {
        self.engine
    }

    /// The block.
    pub(super) fn block(&self) -> Block<'_> {
        Block::pinned(&self.engine.memory, self)
    }

    /// The fork to a recipient of the block.
    pub(super) fn fork(&self, entry: At<Recipient>) -> Fork<'_> {
        let block = self.block();
        let number = block.recipient(entry);
        let own = block.own(entry);
        let [_, _, from, headers, charging, body, _] = block.texts();
        let (call_id, from_tag) = identifiers(block.seed(), block.beginning(), number);
        Fork {
            recipient: own.address,
            call_id,
            from_tag,
            shared: Shared {
                from,
                headers,
                charging,
                body,
                entry_at: block.entry_at(),
                needs_stream: block.needs_stream(),
            },
            own_headers: own.headers,
            has_entry: own.has_entry,
        }
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        let pins = &self.engine.memory[self.at].pins;
        let one_less = |pins| (pins & DONE == 0).then(|| pins - 1);
        if pins.fetch_update(AcqRel, Relaxed, one_less).is_ok() {
            return;
        }
        // The last pin and the block go together, under the lock: a block without pins is given back
        // by who makes everything anew after a process has died.
        self.engine.with_or(
            |held| {
                if self.engine.unpin(held, self.at) {
                    self.engine.give_back(held, self.at);
                }
            },
            || self.engine.defer_message(self.at, MessageWork::Unpin),
        );
    }
}

/// A fork that may be sent now. Dropping it says that the proxy has taken it.
#[derive(Debug)]
pub struct Attempt<'e> {
    cookie: u64,
    entry: At<Recipient>,
    pin: Pinned<'e>,
    taken_back: bool,
}

impl<'e> Attempt<'e> {
    pub(super) fn new(engine: &'e Engine, entry: At<Recipient>, cookie: u64, pin: Pin) -> Self {
        debug_assert_eq!(pin.0, block_of(&engine.memory, entry));
        Self {
            cookie,
            entry,
            pin: Pinned::new(engine, pin),
            taken_back: false,
        }
    }

    /// What names the fork in [`Engine::completed`] and [`Engine::released`]; never 0.
    pub fn cookie(&self) -> u64 {
        self.cookie
    }

    /// The number of the message.
    pub fn message(&self) -> u64 {
        self.pin.block().number()
    }

    /// The originator and the group of the message.
    pub fn parties(&self) -> [&[u8]; 2] {
        let [originator, group, ..] = self.pin.block().texts();
        [originator, group]
    }

    /// The recipient's number among those of its message.
    pub fn recipient(&self) -> u32 {
        self.pin.block().recipient(self.entry)
    }

    /// The fork.
    pub fn fork(&self) -> Fork<'_> {
        self.pin.fork(self.entry)
    }

    /// Where the name of the fork's next hop leads. Is that not known, there is no attempt any more: the
    /// recipient waits until it is.
    pub fn by_name(mut self, name: &[u8], now: u64) -> Option<(Self, SocketAddr)> {
        let engine = self.pin.engine;
        let lead = |held: &mut Held<'_>| engine.lead_or_wait(held, self.cookie, name, now);
        let Ok(lead) = engine.with_within(OF_CALLBACKS, lead) else {
            // While a process keeps the lock from the others, nothing is sent: it is tried again.
            self.not_sent(NotSent::OutOfMemory, now);
            return None;
        };
        if lead.is_asked {
            engine.asking.wake();
        }
        match lead.address {
            Some(address) => Some((self, address)),
            None => {
                self.taken_back = true;
                None
            }
        }
    }

    /// Hands the fork to the proxy with `send`. Should that panic, the fork was not sent: nobody would
    /// ever tell of it.
    pub fn hand_over(
        self,
        send: impl FnOnce(&Fork<'_>, u64) -> Result<(), NotSent>,
        now: impl FnOnce() -> u64,
    ) -> Result<(), NotSent> {
        let sent = catch_unwind(AssertUnwindSafe(|| send(&self.fork(), self.cookie)));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => {
                self.not_sent(why, now());
                Err(why)
            }
            Err(panic) => {
                self.not_sent(NotSent::Failed, now());
                resume_unwind(panic)
            }
        }
    }

    /// The proxy did not take the fork; there will be no word of it any more.
    pub fn not_sent(mut self, why: NotSent, now: u64) {
        self.taken_back = true;
        let engine = self.pin.engine;
        engine.with_or(
            |held| engine.withdraw(held, self.cookie, why, now),
            || engine.defer_transaction(self.cookie, TransactionWork::NotSent(why, now)),
        );
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.taken_back {
            return;
        }
        let engine = self.pin.engine;
        let transaction = engine.transactions.of_attempt(&engine.memory, self.cookie);
        // Mostly the transaction is under way now, and the lock is not needed.
        if transaction.take_sending_if_held() {
            return;
        }
        // An entry loses its last bit under the lock: after the death of another process, all without
        // any are listed as free.
        engine.with_or(
            |held| engine.hand_over(held, self.cookie),
            || engine.defer_transaction(self.cookie, TransactionWork::HandedOver),
        );
    }
}

impl Engine {
    /// Gives back the memory of a message.
    pub(super) fn give_back(&self, held: &mut Held<'_>, at: At<Message>) {
        self.leave_lists(held, at);
        self.originators.leave(held, at);
        held.root.flow.messages.remove(held, at);
        held.root.flow.messages_length.subtract(held, 1);
        self.arena.free(held, at);
    }

    /// Keeps a block where it is.
    #[inline]
    pub(super) fn pin(&self, held: &Held<'_>, at: At<Message>) -> Pin {
        held[at].pins.fetch_add(1, Relaxed);
        Pin(at)
    }

    /// The same without the lock, for a message that another process has pinned, and keeps pinned meanwhile; nothing
    /// if none has.
    pub(super) fn pin_once_more(&self, at: At<Message>) -> Option<Pin> {
        if !self.arena.is_used(&self.memory, at) {
            return None;
        }
        let one_more = |pins| (pins & PINS != 0).then_some(pins + 1);
        let pins = &self.memory[at].pins;
        pins.fetch_update(AcqRel, Relaxed, one_more).ok()?;
        Some(Pin(at))
    }

    /// Takes away a pin; says whether the block is to be given back.
    pub(super) fn unpin(&self, held: &Held<'_>, at: At<Message>) -> bool {
        let before = held[at].pins.fetch_sub(1, AcqRel);
        debug_assert!(before & PINS > 0, "a pin that nobody has set");
        before & (DONE | PINS) == DONE + 1
    }

    /// Whether somebody uses the text of a block.
    pub(super) fn is_pinned(&self, held: &Held<'_>, at: At<Message>) -> bool {
        held[at].pins.load(Relaxed) & PINS != 0
    }

    /// Whether it was told that a message is finished.
    pub(super) fn is_done(&self, held: &Held<'_>, at: At<Message>) -> bool {
        held[at].pins.load(Relaxed) & DONE != 0
    }

    /// Keeps a block where it is until it is told that its message is finished, and no longer.
    pub(super) fn pin_for_the_last_time(&self, held: &Held<'_>, at: At<Message>) -> Pin {
        held[at].pins.fetch_add(DONE + 1, Relaxed);
        Pin(at)
    }

    /// A fork has its final response, or none in time (408). What is stale or repeated is ignored.
    pub fn completed(&self, cookie: u64, code: u16) {
        self.with_or(
            |held| self.complete(held, cookie, code),
            || self.defer_transaction(cookie, TransactionWork::Completed(code)),
        );
    }

    /// The same, and gives the next fork to send as [`Engine::next`] does.
    pub fn completed_then_next(
        &self,
        cookie: u64,
        code: u16,
        now: impl Fn() -> u64,
    ) -> Option<Attempt<'_>> {
        self.ask_for_free_memory(&now);
        self.claim_after(
            |held| self.complete(held, cookie, code),
            || self.defer_transaction(cookie, TransactionWork::Completed(code)),
            now,
        )
    }

    pub(super) fn complete(&self, held: &Held<'_>, cookie: u64, code: u16) {
        let Some(transaction) = self.transactions.find(held, cookie) else {
            return;
        };
        if transaction.bits() & IN_FLIGHT == 0 {
            return;
        }
        let Some(entry) = transaction.entry() else {
            return;
        };
        let outcome = Outcome::of(code, held[entry].is_repeated());
        let at = block_of(&self.memory, entry);
        if held[at].short_since.get() != 0 {
            held[at].short_since.set(held, 0);
        }
        self.land(held, transaction, outcome, true);
        if transaction.take(held, IN_FLIGHT) == IN_FLIGHT {
            self.transactions.free(held, transaction);
        }
    }

    /// The proxy has given back the memory of a fork's transaction. What is stale or repeated is
    /// ignored.
    pub fn released(&self, cookie: u64) {
        self.with_or(
            |held| self.release(held, cookie),
            || self.defer_transaction(cookie, TransactionWork::Released),
        );
    }

    pub(super) fn release(&self, held: &Held<'_>, cookie: u64) {
        let Some(transaction) = self.transactions.find(held, cookie) else {
            return;
        };
        if held.root.flow.paused_until.get() != 0 {
            held.root.flow.paused_until.set(held, 0);
        }
        let might_go_on = self.may_go_on(held);
        match transaction.take(held, HELD) {
            HELD => self.transactions.free(held, transaction),
            bits if bits & SENDING == 0 => self.forget(held, cookie),
            _ => {}
        }
        // Nobody else goes on if all that was in flight has landed meanwhile.
        if !might_go_on && self.may_go_on(held) {
            held.notify.set(true);
        }
    }

    /// The proxy has taken a fork, and perhaps ended it already.
    pub(super) fn hand_over(&self, held: &Held<'_>, cookie: u64) {
        let Some(transaction) = self.transactions.find(held, cookie) else {
            return;
        };
        match transaction.take(held, SENDING) {
            SENDING => self.transactions.free(held, transaction),
            _ => self.forget(held, cookie),
        }
    }

    /// The proxy has not taken a fork.
    pub(super) fn withdraw(&self, held: &Held<'_>, cookie: u64, why: NotSent, now: u64) {
        let Some(transaction) = self.transactions.find(held, cookie) else {
            return;
        };
        if transaction.bits() & IN_FLIGHT != 0 {
            self.take_back(held, transaction, why, now);
        }
        transaction.take(held, IN_FLIGHT | HELD | SENDING);
        self.transactions.free(held, transaction);
    }

    /// A transaction has ended without a word of its final response: there will be none.
    fn forget(&self, held: &Held<'_>, cookie: u64) {
        let Some(transaction) = self.transactions.find(held, cookie) else {
            return;
        };
        if transaction.bits() & (HELD | IN_FLIGHT) == IN_FLIGHT {
            self.land(held, transaction, Outcome::Unreachable(408), true);
            if transaction.take(held, IN_FLIGHT) == IN_FLIGHT {
                self.transactions.free(held, transaction);
            }
        }
    }

    /// A fork was not sent: it is tried again, or its recipient ends.
    fn take_back(&self, held: &Held<'_>, transaction: &Transaction, why: NotSent, now: u64) {
        if why == NotSent::Failed {
            return self.land(held, transaction, Outcome::Unreachable(503), false);
        }
        held.root.flow.paused_until.set(held, now + PAUSE);
        let Some(entry) = transaction.entry() else {
            return;
        };
        let at = block_of(&self.memory, entry);
        let since = match held[at].short_since.get() {
            0 => now,
            since => since,
        };
        held[at].short_since.set(held, since);
        let lifetime = u64::from(self.limits.queue_lifetime) * 1000;
        let is_too_long = (now.saturating_sub(since) >= lifetime).then_some(Outcome::Expired);
        if let Some(outcome) = self.closing(held, at).or(is_too_long) {
            return self.land(held, transaction, outcome, false);
        }
        self.lower(held, transaction, at);
        self.keep_target(held, entry);
        held[entry].set_state(held, RecipientState::Ready);
        held[at].ready.push_front(held, entry);
        self.enter_turns(held, at);
    }
}
