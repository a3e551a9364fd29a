//! Copies whose next hop is a name: what is known of the name lets them go, and what is not lets them
//! wait, apart from all others. They hold no place of the window then, so that a silent name server holds
//! up nobody but them. Their target is kept for them: what comes later for it comes later to it (M-3).
//!
//! ```text
//! claimed ──► name known ──► handed to the proxy
//!    ▲   └──► not known: AtName ──► known: ready, before those that wait
//!    └────────────────────────┘ └─► not known after `queue_lifetime`: unreachable (478)
//! ```

#![forbid(unsafe_code)]

use super::block::block_of;
use super::layout::Transaction;
use super::lock::Held;
use super::names::{Name, Place};
use super::recipient::{Outcome, Recipient, RecipientState};
use super::scheduler::Scheduler;
use super::shared_memory::At;
use super::transactions::{HELD, IN_FLIGHT, SENDING};
use std::net::SocketAddr;

/// Copies for which the lock is held, so that others get it in between.
const STEPS: usize = 32;
/// How a copy ends whose next hop's name could not be resolved, with the code that both proxies have for it.
const UNRESOLVABLE: Outcome = Outcome::Unreachable(478);

/// What is known of the name of a copy's next hop.
pub(super) struct Lead {
    /// Where it leads; without, the copy waits.
    pub(super) address: Option<SocketAddr>,
    /// Whether there is a new question.
    pub(super) is_asked: bool,
}

impl Scheduler {
    /// Where the name of a copy's next hop leads; lets the copy wait if that is not known.
    pub(super) fn lead_or_wait(&self, held: &Held<'_>, cookie: u64, name: &[u8], now: u64) -> Lead {
        let mut lead = Lead {
            address: None,
            is_asked: false,
        };
        let Some(transaction) = self.transactions.find(held, cookie) else {
            return lead;
        };
        let hash = self.keys.of_name(name);
        let known = self.names.table.find(held, hash);
        if let Some(entry) = known.filter(|&entry| held[entry].is_known(now)) {
            let (address, is_old) = held[entry].lead(held, now);
            self.names.ways.note(held, cookie, entry);
            lead.address = Some(address);
            lead.is_asked = is_old && self.names.questions.ask(held, entry);
            return lead;
        }
        if transaction.bits() & IN_FLIGHT != 0 {
            lead.is_asked = self.wait_for_name(held, transaction, (hash, name), now);
        }
        transaction.take(held, IN_FLIGHT | HELD | SENDING);
        self.transactions.free(held, transaction);
        lead
    }

    /// Lets a copy wait for its name; says whether that is to be asked now.
    fn wait_for_name(
        &self,
        held: &Held<'_>,
        transaction: &Transaction,
        (hash, name): (u64, &[u8]),
        now: u64,
    ) -> bool {
        let Some(copy) = transaction.entry() else {
            return false;
        };
        let at = block_of(held.memory, copy);
        if let Some(outcome) = self.closing(held, at) {
            self.land(held, transaction, outcome, false);
            return false;
        }
        // Others to the same target have waited for the same name meanwhile.
        let known = self.names.table.find(held, hash);
        if known.is_some_and(|entry| self.is_overdue(held, entry, copy, now)) {
            self.land(held, transaction, UNRESOLVABLE, false);
            return false;
        }
        let [originator, ..] = held.block(at).texts();
        let owner = self.keys.of_originator(originator) as u32;
        let place = self.names.waiting.place(held, hash, name, owner, now);
        self.lower(held, transaction, at);
        held[copy].set_state(held, RecipientState::AtName);
        self.names.waiting.push(held, place, copy, now);
        self.enter_turns(held, at);
        match place {
            Place::At(entry) => self.names.questions.ask(held, entry),
            Place::Outside(_) => false,
        }
    }

    /// Whether a copy has been tried for as long as it may be.
    fn is_overdue(&self, held: &Held<'_>, entry: At<Name>, copy: At<Recipient>, now: u64) -> bool {
        let Some(since) = held[entry].fails_since() else {
            return false;
        };
        let block = held.block_of(copy);
        let accepted_at = held[block.at()].by_clock(block.accepted_at());
        let lifetime = u64::from(self.limits.queue_lifetime) * 1000;
        now >= since.max(accepted_at) + lifetime
    }

    /// Lets some of those go that wait for a name which is known; says whether there are others that can.
    pub(super) fn let_some_go(&self, held: &Held<'_>, entry: At<Name>, now: u64) -> bool {
        if !held[entry].is_known(now) {
            return false;
        }
        held.notify.set(true);
        for _ in 0..STEPS {
            let Some(copy) = self.names.waiting.pop(held, entry) else {
                return false;
            };
            self.let_go(held, copy);
        }
        true
    }

    /// Lets a copy go on that has waited for its name.
    fn let_go(&self, held: &Held<'_>, copy: At<Recipient>) {
        match self.is_closing(held, copy) {
            Some(outcome) => self.give_up(held, copy, outcome),
            None => self.make_ready(held, copy),
        }
    }

    /// Ends a copy that has waited for its name, and gives up its target.
    fn give_up(&self, held: &Held<'_>, copy: At<Recipient>, outcome: Outcome) {
        self.end(held, copy, outcome);
        let own = held.block_of(copy).own(copy);
        self.leave_target(held, self.keys.of_address(own.address));
    }

    /// Ends one after the other of so many copies that wait for a name, if they have been tried for as long as they may
    /// be; the others go to the end of the queue.
    pub(super) fn end_overdue(&self, held: &Held<'_>, entry: At<Name>, copies: u64, now: u64) {
        for _ in 0..copies {
            let Some(copy) = self.names.waiting.pop(held, entry) else {
                return;
            };
            if self.is_overdue(held, entry, copy, now) {
                // Who waits for the same target can be sent to now.
                held.notify.set(true);
                self.give_up(held, copy, UNRESOLVABLE);
            } else {
                self.names.waiting.push(held, Place::At(entry), copy, now);
            }
        }
    }

    /// Ends those copies that wait for a name whose message sends nothing more.
    pub(super) fn end_closing_at(&self, held: &Held<'_>, entry: At<Name>) {
        let closes = |copy| self.is_closing(held, copy).is_some();
        let left = self.names.waiting.take_out(held, entry, closes);
        self.end_closing(held, left);
    }

    /// The same with those of an originator that wait for room; then lets those go on for which there is some.
    pub(super) fn let_go_outside(&self, held: &Held<'_>, owner: u32) {
        let closes = |copy| self.is_closing(held, copy).is_some();
        let left = self.names.waiting.take_out_outside(held, owner, closes);
        self.end_closing(held, left);
        while let Some(copy) = self.names.waiting.pop_outside(held, owner) {
            self.let_go(held, copy);
            held.notify.set(true);
        }
    }

    fn is_closing(&self, held: &Held<'_>, copy: At<Recipient>) -> Option<Outcome> {
        self.closing(held, block_of(held.memory, copy))
    }

    fn end_closing(&self, held: &Held<'_>, copies: Vec<At<Recipient>>) {
        for copy in copies {
            if let Some(outcome) = self.is_closing(held, copy) {
                self.give_up(held, copy, outcome);
            }
        }
    }
}
