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
use super::counters::Counter;
use super::engine::Engine;
use super::layout::Transaction;
use super::lock::{Blocked, Held, OF_CALLBACKS, OF_MESSAGES};
use super::names::{Entry, Question, Room};
use super::recipient::{Outcome, Recipient, RecipientState};
use super::shared_memory::At;
use super::transactions::{HELD, IN_FLIGHT, SENDING};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Copies, or names, for which the lock is held, so that others get it in between.
const STEPS: usize = 32;
/// How long an answer counts, whatever it says.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(3600);
/// For how long what was known serves when no name server answers any more (RFC 8767 §5).
const STALE: u64 = 3_600_000;
/// Milliseconds until a look-up that was in vain is tried again: as many at first, and twice as many each
/// time, up to the last.
const FIRST_AGAIN: u64 = 1_000;
const LAST_AGAIN: u64 = 30_000;
/// What a copy ends with whose next hop's name could not be resolved, as both proxies call it.
const UNRESOLVABLE: u16 = 478;

/// Why a look-up was in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotResolved {
    /// The name server says that the name leads nowhere.
    LeadsNowhere,
    /// No name server gave an answer.
    NoAnswer,
}

/// What is known of the name of a copy's next hop.
pub(super) struct Lead {
    /// Where it leads; without, the copy waits.
    pub(super) address: Option<SocketAddr>,
    /// Whether there is a new question.
    pub(super) is_asked: bool,
}

impl Engine {
    /// Where the name of a copy's next hop leads; lets the copy wait if that is not known.
    pub(super) fn lead_or_wait(&self, held: &Held<'_>, cookie: u64, name: &[u8], now: u64) -> Lead {
        let mut lead = Lead {
            address: None,
            is_asked: false,
        };
        let Some(transaction) = self.scheduler.transactions.find(held, cookie) else {
            return lead;
        };
        let hash = self.scheduler.keys.of_name(name);
        let known = self.scheduler.names.find(held, hash);
        if let Some(entry) = known.filter(|entry| entry.is_known(held, now)) {
            let (address, is_old) = entry.lead(held, now);
            self.scheduler.names.note_way(held, cookie, entry);
            lead.address = Some(address);
            lead.is_asked = is_old && self.scheduler.names.ask(held, entry);
            return lead;
        }
        if transaction.bits() & IN_FLIGHT != 0 {
            lead.is_asked = self.wait_for_name(held, transaction, (hash, name), now);
        }
        transaction.take(held, IN_FLIGHT | HELD | SENDING);
        self.scheduler.transactions.free(held, transaction);
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
        let at = block_of(&self.memory, copy);
        if let Some(outcome) = self.scheduler.closing(held, at) {
            self.scheduler.land(held, transaction, outcome, false);
            return false;
        }
        // Others to the same target have waited for the same name meanwhile.
        let known = self.scheduler.names.find(held, hash);
        if known.is_some_and(|entry| self.is_overdue(held, entry, copy, now)) {
            self.scheduler
                .land(held, transaction, Outcome::Unreachable(UNRESOLVABLE), false);
            return false;
        }
        let [originator, ..] = held.block(at).texts();
        let owner = self.scheduler.keys.of_originator(originator) as u32;
        let room = self.scheduler.names.take(held, hash, name, owner, now);
        self.scheduler.lower(held, transaction, at);
        held[copy].set_state(held, RecipientState::AtName);
        self.scheduler.names.push(held, room, copy, now);
        self.scheduler.enter_turns(held, at);
        match room {
            Room::At(entry) => self.scheduler.names.ask(held, entry),
            Room::Outside(_) => false,
        }
    }

    /// The next hop of a fork in flight has given no answer of its own, or could not be reached. If a name leads
    /// there and to others, the next copies go to another one (RFC 3263 §4.3).
    pub fn next_hop_failed(&self, cookie: u64) {
        // Mostly it is no name, and the lock is not needed. Is that kept by another process, there is another failure
        // to learn from.
        if self.scheduler.names.has_way(&self.memory, cookie) {
            let _ = self.with_within(OF_CALLBACKS, |held| {
                self.scheduler.names.turn_from(held, cookie)
            });
        }
    }

    /// The next name to be asked. For the one process that asks.
    pub fn next_question(&self) -> Option<Question> {
        self.with(|held| {
            let entry = self.scheduler.names.next_to_ask(held)?;
            Some(self.scheduler.names.question(held, entry))
        })
    }

    /// A datagram socket on which something waits when there is a question.
    pub fn questions(&self) -> BorrowedFd<'_> {
        self.asking.descriptor()
    }

    /// A name leads to these addresses, best first, for so long. A port of 0 is that of the transport.
    pub fn name_leads(
        &self,
        question: &Question,
        addresses: &[SocketAddr],
        time_to_live: Duration,
        now: u64,
    ) {
        let time = time_to_live.clamp(SHORTEST, LONGEST).as_millis() as u64;
        let learnt = self.with(|held| {
            let entry = self.scheduler.names.of_question(held, question)?;
            entry.learn(held, addresses, now + time / 5 * 4, now + time + STALE);
            self.scheduler.names.was_asked(held, entry);
            Some(entry)
        });
        if let Some(entry) = learnt {
            while self.with(|held| self.let_some_go(held, entry, now)) {}
        }
    }

    /// A name could not be resolved. Those end whose message was accepted `queue_lifetime` ago, if the name
    /// could not be resolved for as long; gives the millisecond at which it is to be asked again, if there
    /// are others.
    pub fn name_fails(&self, question: &Question, why: NotResolved, now: u64) -> Option<u64> {
        self.count(Counter::NamesFailed);
        let lifetime = u64::from(self.limits.queue_lifetime) * 1000;
        let (again, mut left) = self.with(|held| {
            let entry = self.scheduler.names.of_question(held, question)?;
            if why == NotResolved::LeadsNowhere {
                entry.forget(held);
            }
            let failures = entry.fail(held, now).min(16);
            let pause = (FIRST_AGAIN << (failures - 1)).min(LAST_AGAIN.min(lifetime));
            entry.ask_not_before(held, now + pause);
            Some((now + pause, entry.length(held)))
        })?;
        // Each is looked at once: those that stay go to the end of the queue.
        while left > 0 {
            let steps = left.min(STEPS as u64);
            left -= steps;
            self.with(|held| {
                let entry = self.scheduler.names.of_question(held, question)?;
                (0..steps).try_for_each(|_| {
                    let copy = self.scheduler.names.pop(held, entry)?;
                    if self.is_overdue(held, entry, copy, now) {
                        // Who waits for the same target can be sent to now.
                        held.notify.set(true);
                        self.give_up(held, copy, Outcome::Unreachable(UNRESOLVABLE));
                    } else {
                        self.scheduler.names.push(held, Room::At(entry), copy, now);
                    }
                    Some(())
                })
            });
        }
        self.with(|held| {
            let entry = self.scheduler.names.of_question(held, question)?;
            let has_waiting = entry.has_waiting(held);
            if !has_waiting {
                self.scheduler.names.was_asked(held, entry);
            }
            has_waiting.then_some(again)
        })
    }

    /// Whether a copy has been tried for as long as it may be.
    fn is_overdue(&self, held: &Held<'_>, entry: Entry, copy: At<Recipient>, now: u64) -> bool {
        let Some(since) = entry.fails_since(held) else {
            return false;
        };
        let block = held.block_of(copy);
        let accepted_at = self.memory[block.at()].by_clock(block.accepted_at());
        let lifetime = u64::from(self.limits.queue_lifetime) * 1000;
        now >= since.max(accepted_at) + lifetime
    }

    /// Lets some of those go that wait for a name which is known; says whether there are others that can.
    fn let_some_go(&self, held: &Held<'_>, entry: Entry, now: u64) -> bool {
        if !entry.is_known(held, now) {
            return false;
        }
        held.notify.set(true);
        for _ in 0..STEPS {
            let Some(copy) = self.scheduler.names.pop(held, entry) else {
                return false;
            };
            self.let_go(held, copy);
        }
        true
    }

    /// Lets a copy go on that has waited for its name.
    fn let_go(&self, held: &Held<'_>, copy: At<Recipient>) {
        match self.scheduler.closing(held, block_of(&self.memory, copy)) {
            Some(outcome) => self.give_up(held, copy, outcome),
            None => self.scheduler.make_ready(held, copy),
        }
    }

    /// Ends a copy that has waited for its name, and gives up its target.
    fn give_up(&self, held: &Held<'_>, copy: At<Recipient>, outcome: Outcome) {
        self.scheduler.end(held, copy, outcome);
        let own = held.block_of(copy).own(copy);
        self.scheduler
            .leave_target(held, self.scheduler.keys.of_address(own.address));
    }

    /// What is done by the clock: ends those that wait in vain for a name, as their message sends nothing
    /// more, and lets those go on for which there was no room.
    pub(super) fn look_at_names(&self, now: u64) -> Result<(), Blocked> {
        if !self.with_within(OF_MESSAGES, |held| self.scheduler.names.takes_a_look(held))? {
            return Ok(());
        }
        let is_closing = |held: &Held<'_>, copy: At<Recipient>| {
            let at = block_of(&self.memory, copy);
            self.scheduler.closing(held, at)
        };
        let end_all = |held: &Held<'_>, copies: Vec<At<Recipient>>| {
            for copy in copies {
                if let Some(outcome) = is_closing(held, copy) {
                    self.give_up(held, copy, outcome);
                }
            }
        };
        let mut is_new = false;
        let names = self.with_within(OF_MESSAGES, |held| self.scheduler.names.waited_for(held))?;
        for entry in names {
            let is_known = self.with_within(OF_MESSAGES, |held| {
                if !entry.has_waiting(held) {
                    return false;
                }
                let left = self
                    .scheduler
                    .names
                    .take_out(held, entry, |copy| is_closing(held, copy).is_some());
                end_all(held, left);
                let is_known = entry.is_known(held, now);
                is_new |=
                    !is_known && entry.has_waiting(held) && self.scheduler.names.ask(held, entry);
                is_known
            })?;
            if is_known {
                while self.with_within(OF_MESSAGES, |held| self.let_some_go(held, entry, now))? {}
            }
        }
        if is_new {
            self.asking.wake();
        }
        if !self.with_within(OF_MESSAGES, |held| self.scheduler.names.has_outside(held))? {
            return Ok(());
        }
        for owner in self.scheduler.names.owners() {
            self.with_within(OF_MESSAGES, |held| {
                let closes = |copy| is_closing(held, copy).is_some();
                let left = self.scheduler.names.take_out_outside(held, owner, closes);
                end_all(held, left);
                while let Some(copy) = self.scheduler.names.pop_outside(held, owner) {
                    self.let_go(held, copy);
                    held.notify.set(true);
                }
            })?;
        }
        Ok(())
    }
}
