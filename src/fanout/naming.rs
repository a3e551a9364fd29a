//! Copies whose next hop is a name: what is known of the name lets them go, and what is not lets them
//! wait, apart from all others. They hold no place of the window and no target then, so that a silent
//! name server holds up nobody but them; those to the same target keep their order, as they wait in
//! the same line.
//!
//!     claimed ──► name known ──► handed to the proxy
//!        ▲   └──► not known: AtName ──► known: ready, or behind others at its target
//!        └────────────────────────┘ └─► not known after `queue_lifetime`: unreachable (478)

#![forbid(unsafe_code)]

use super::block::block_of;
use super::cells::{Cell, HELD, IN_FLIGHT, SENDING};
use super::counters::Counter;
use super::engine::Engine;
use super::lock::Held;
use super::names::{Entry, Question, Room};
use super::recipient::{self, Ending, Place};
use super::targets::Occupied;
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
        let Some(cell) = self.cells.find(held, cookie) else {
            return lead;
        };
        let copy = cell.entry(held);
        let hash = self.hash(name);
        let known = self.names.find(held, hash);
        let known = known.filter(|entry| entry.is_known(held, now));
        // Nobody goes before those that have waited for the same name, and may be on their way.
        let is_next = |entry: &Entry| recipient::is_let_go(held, copy) || !entry.has_waiting(held);
        if let Some(entry) = known.filter(is_next) {
            let (address, is_old) = entry.lead(held, now);
            lead.address = Some(address);
            lead.is_asked = is_old && self.names.ask(held, entry);
            return lead;
        }
        if held.get(cell.word()) & IN_FLIGHT != 0 {
            lead.is_asked = self.wait_for_name(held, cell, (hash, name), now);
        }
        cell.take(held, IN_FLIGHT | HELD | SENDING);
        self.cells.free(held, cell);
        lead
    }

    /// Lets a copy wait for its name; says whether that is to be asked now.
    fn wait_for_name(
        &self,
        held: &Held<'_>,
        cell: Cell,
        (hash, name): (u64, &[u8]),
        now: u64,
    ) -> bool {
        let copy = cell.entry(held);
        let at = block_of(&self.memory, copy);
        if let Some(ending) = self.closing(held, at) {
            self.land(held, cell, ending, false);
            return false;
        }
        let [originator, ..] = self.block(at).texts();
        let owner = self.hash(originator) as u32;
        let room = self.names.take(held, hash, name, owner, now);
        let is_asked = match room {
            // What is known is not asked: those before this one are being let go.
            Room::At(entry) if !entry.is_known(held, now) => self.names.ask(held, entry),
            Room::At(_) | Room::Outside(_) => false,
        };
        self.lower(held, at);
        recipient::set_place(held, copy, Place::AtName);
        recipient::set_let_go(held, copy, false);
        self.names.push(held, room, copy, now);
        self.leave_target(held, cell.target(held));
        self.enter_turns(held, at);
        is_asked
    }

    /// The next name to be asked. For the one process that asks.
    pub fn next_question(&self) -> Option<Question> {
        self.with(|held| {
            let entry = self.names.next_to_ask(held)?;
            Some(self.names.question(held, entry))
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
            let entry = self.names.of_question(held, question)?;
            entry.learn(held, addresses, now + time / 5 * 4, now + time + STALE);
            self.names.was_asked(held, entry);
            Some(entry)
        });
        if let Some(entry) = learnt {
            while self.with(|held| self.let_some_go(held, entry, now)) {}
        }
    }

    /// A name could not be resolved. Those that have waited for it for `queue_lifetime` end; gives
    /// the millisecond at which it is to be asked again, if there are others.
    pub fn name_fails(&self, question: &Question, why: NotResolved, now: u64) -> Option<u64> {
        self.count(Counter::NamesFailed);
        let again = self.with(|held| {
            let entry = self.names.of_question(held, question)?;
            if why == NotResolved::LeadsNowhere {
                entry.forget(held);
            }
            let failures = entry.fail(held).min(16);
            let again = now + (FIRST_AGAIN << (failures - 1)).min(LAST_AGAIN);
            entry.ask_not_before(held, again);
            Some(again)
        })?;
        let end_some = |held: &Held<'_>| {
            let entry = self.names.of_question(held, question)?;
            (0..STEPS).try_for_each(|_| {
                let copy = self.names.pop_overdue(held, entry, now)?;
                self.end(held, copy, Ending::Unreachable(UNRESOLVABLE));
                Some(())
            })
        };
        while self.with(end_some).is_some() {}
        self.with(|held| {
            let entry = self.names.of_question(held, question)?;
            let lifetime = u64::from(self.limits.queue_lifetime) * 1000;
            let deadline = entry.grow_old(held, lifetime);
            if deadline.is_none() {
                self.names.was_asked(held, entry);
            }
            Some(again.min(deadline?.max(now + FIRST_AGAIN)))
        })
    }

    /// Lets some of those go that wait for a name which is known; says whether there are others that can.
    fn let_some_go(&self, held: &Held<'_>, entry: Entry, now: u64) -> bool {
        if !entry.is_known(held, now) {
            return false;
        }
        held.news.set(true);
        for _ in 0..STEPS {
            let Some(copy) = self.names.pop(held, entry) else {
                return false;
            };
            if !self.let_go(held, copy) {
                self.names.put_back(held, entry, copy);
                return false;
            }
        }
        true
    }

    /// Lets a copy go on that has waited for its name; says whether there was room in the table of targets.
    fn let_go(&self, held: &Held<'_>, copy: usize) -> bool {
        let at = block_of(&self.memory, copy);
        if let Some(ending) = self.closing(held, at) {
            self.end(held, copy, ending);
            return true;
        }
        if self.limits.target_order {
            let hash = self.hash(self.block(at).own(copy).address);
            match self.targets.occupy(held, hash) {
                Occupied::Yours => {}
                Occupied::Busy(busy) => {
                    recipient::set_let_go(held, copy, true);
                    self.wait_for_target(held, busy, copy);
                    return true;
                }
                Occupied::NoRoom => return false,
            }
        }
        recipient::set_let_go(held, copy, true);
        self.make_ready(held, copy);
        true
    }

    /// What is done by the clock: ends those that wait in vain for a name, as their message sends nothing
    /// more, and lets those go on for which there was no room.
    pub(super) fn look_at_names(&self, now: u64) {
        if !self.with(|held| self.names.takes_a_look(held)) {
            return;
        }
        let is_closing = |held: &Held<'_>, copy: usize| {
            let at = block_of(&self.memory, copy);
            self.closing(held, at)
        };
        let end_all = |held: &Held<'_>, copies: Vec<usize>| {
            for copy in copies {
                if let Some(ending) = is_closing(held, copy) {
                    self.end(held, copy, ending);
                }
            }
        };
        let mut is_new = false;
        for entry in self.names.all() {
            let is_known = self.with(|held| {
                if !entry.has_waiting(held) {
                    return false;
                }
                let left = self
                    .names
                    .take_out(held, entry, |copy| is_closing(held, copy).is_some());
                end_all(held, left);
                let is_known = entry.is_known(held, now);
                is_new |= !is_known && entry.has_waiting(held) && self.names.ask(held, entry);
                is_known
            });
            if is_known {
                while self.with(|held| self.let_some_go(held, entry, now)) {}
            }
        }
        for owner in self.names.owners() {
            self.with(|held| {
                let closes = |copy| is_closing(held, copy).is_some();
                let left = self.names.take_out_outside(held, owner, closes);
                end_all(held, left);
                while let Some(copy) = self.names.pop_outside(held, owner) {
                    if !self.let_go(held, copy) {
                        self.names.put_back_outside(held, owner, copy);
                        break;
                    }
                    held.news.set(true);
                }
            });
        }
        if is_new {
            self.asking.wake();
        }
    }
}
