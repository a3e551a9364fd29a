//! What the proxy says of a copy: its final response, that it has taken or not taken it, and that the memory of its
//! transaction is free again.

#![forbid(unsafe_code)]

use super::block::block_of;
use super::layout::Transaction;
use super::lock::Held;
use super::recipient::{Outcome, RecipientState};
use super::scheduler::Scheduler;
use super::transactions::{HELD, IN_FLIGHT, NotSent, SENDING};

/// Milliseconds for which nothing is sent after the proxy had no memory, unless some comes free.
const PAUSE: u64 = 1_000;

impl Scheduler {
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
        let at = block_of(held.memory, entry);
        if held[at].short_since.get() != 0 {
            held[at].short_since.set(held, 0);
        }
        self.land(held, transaction, outcome, true);
        if transaction.take(held, IN_FLIGHT) == IN_FLIGHT {
            self.transactions.free(held, transaction);
        }
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
    pub(super) fn forget(&self, held: &Held<'_>, cookie: u64) {
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
    pub(super) fn take_back(
        &self,
        held: &Held<'_>,
        transaction: &Transaction,
        why: NotSent,
        now: u64,
    ) {
        if why == NotSent::Failed {
            return self.land(held, transaction, Outcome::Unreachable(503), false);
        }
        held.root.flow.paused_until.set(held, now + PAUSE);
        let Some(entry) = transaction.entry() else {
            return;
        };
        let at = block_of(held.memory, entry);
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
