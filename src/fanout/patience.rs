//! Copies that have had no final response for longer than `patience`: silent phones hold nobody up.
//!
//! ```text
//! in flight, counts in its window ──► silent, counts in no window ──► final response, or none in time
//!        └────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A silent copy counts in `forks_in_flight` and in its originator's share of them, and it keeps its share of the
//! message's Max-Breadth: these bound how many there may be.
//!
//! Sending costs nothing for this: one process looks for them some times a second (`silent_copies`).

#![forbid(unsafe_code)]

use super::block::block_of;
use super::held_up::{Bound, HeldUp};
use super::layout::{Message, Originator, Transaction, flag};
use super::lock::Held;
use super::scheduler::Scheduler;
use super::shared_memory::At;

/// The most messages, and originators, of which it is found out whether they wait behind silent copies.
const LOOKED_AT: usize = 64;
/// How many moments `patience` has: by one of them a copy may be older than that.
pub(super) const MOMENTS: u64 = 32;
/// How many moments old a copy is that becomes silent.
pub(super) const OLD: u64 = MOMENTS + 1;

/// A message whose window was full before some of its copies became silent.
struct Full {
    held_up: HeldUp,
    /// How many copies were in its window.
    in_window: u32,
    /// How many of them have become silent.
    silent: u32,
}

/// What was found while copies became silent.
#[derive(Default)]
pub(super) struct Found {
    full: Vec<Full>,
    /// The originators of the copies, some of them at least.
    pub(super) originators: Vec<At<Originator>>,
}

impl Found {
    /// A message of whose window half or more has become silent.
    pub(super) fn held_up(&mut self) -> Option<HeldUp> {
        let mut full = self.full.drain(..);
        let full = full.find(|full| 2 * full.silent >= full.in_window)?;
        Some(HeldUp {
            silent: full.held_up.silent + u64::from(full.silent),
            ..full.held_up
        })
    }
}

impl Scheduler {
    /// Whether a message with so many copies in flight may have one more.
    #[inline]
    pub(super) fn has_room_in_window(
        &self,
        held: &Held<'_>,
        at: At<Message>,
        in_flight: u32,
    ) -> bool {
        in_flight < held.block(at).window() || self.has_room_beside_silent(held, at, in_flight)
    }

    /// The same where they are as many as the window has room for: those that are silent are not in it.
    pub(super) fn has_room_beside_silent(
        &self,
        held: &Held<'_>,
        at: At<Message>,
        in_flight: u32,
    ) -> bool {
        let silent = held[at].silent.get();
        silent != 0
            && in_flight - silent < held.block(at).window()
            && in_flight < held.block(at).most_at_once()
    }

    /// Lets a copy count as silent, if it is still old enough at this moment, and its message go on.
    pub(super) fn become_silent(
        &self,
        held: &Held<'_>,
        transaction: &Transaction,
        moment: u64,
        found: &mut Found,
    ) {
        let Some(entry) = transaction.entry() else {
            return;
        };
        let at = block_of(held.memory, entry);
        if !transaction.becomes_silent(held, moment, OLD) {
            return;
        }
        self.note_full(held, at, &mut found.full);
        let originators = &mut found.originators;
        let originator = Message::originator_at(held, at);
        if originators.len() < LOOKED_AT && !originators.contains(&originator) {
            originators.push(originator);
        }
        held[at].silent.add(held, 1);
        held.root.flow.silent_copies.add(held, 1);
        held[originator].silent.add(held, 1);
        self.enter_turns(held, at);
    }

    /// A copy that is silent is in flight no more.
    #[cold]
    pub(super) fn silent_no_more(
        &self,
        held: &Held<'_>,
        transaction: &Transaction,
        at: At<Message>,
    ) {
        transaction.is_silent_no_more(held);
        held[at].silent.subtract(held, 1);
        held.root.flow.silent_copies.subtract(held, 1);
        Message::originator_of(held, at).silent.subtract(held, 1);
    }

    /// Counts a copy of a message that becomes silent, if its window was full before and it has more to send.
    fn note_full(&self, held: &Held<'_>, at: At<Message>, full: &mut Vec<Full>) {
        let own = held.block(at);
        if let Some(known) = full
            .iter_mut()
            .find(|known| known.held_up.message == own.number())
        {
            known.silent += 1;
            return;
        }
        let in_flight = held[at].in_flight.get();
        let silent = held[at].silent.get();
        let is_closing = held[at].flags.get() & flag::CLOSING != 0;
        let bound = if in_flight >= own.most_at_once() {
            Bound::Breadth(own.most_at_once())
        } else if in_flight - silent >= own.window() {
            Bound::Concurrency(own.window())
        } else {
            return;
        };
        if is_closing || full.len() == LOOKED_AT || !self.has_more(held, at) {
            return;
        }
        // Of those that Max-Breadth bounds, the silent ones keep the others waiting, too.
        let already = match bound {
            Bound::Breadth(_) => silent,
            _ => 0,
        };
        full.push(Full {
            held_up: self.held_up(held, at, u64::from(silent - already), bound),
            in_window: in_flight - (silent - already),
            silent: already + 1,
        });
    }

    /// A message of one of these originators, or of whoever's turn it is, if more than half of what it waits for is
    /// silent.
    pub(super) fn held_back_by_silent(
        &self,
        held: &Held<'_>,
        originators: &[At<Originator>],
    ) -> Option<HeldUp> {
        let (limit, most) = (
            held.root.flow.transaction_limit.get(),
            u64::from(self.limits.forks_in_flight),
        );
        let bound = match limit < most {
            true => Bound::Transactions(limit),
            false => Bound::ForksInFlight(most),
        };
        let is_waiting = |&&at: &&At<Originator>| {
            let originator = &held[at];
            let in_flight = u64::from(originator.in_flight.get());
            originator.is_held_back() && 2 * originator.silent.get() >= in_flight
        };
        let held_back = originators.iter().find(is_waiting);
        let held_back = held_back.map(|&at| (at, held[at].silent.get()));
        let silent = held.root.flow.silent_copies.get();
        let is_full =
            held.root.hot.in_flight.get() >= limit.min(most) && 2 * silent >= limit.min(most);
        let all_wait = || Some((held.root.hot.turns.head().filter(|_| is_full)?, silent));
        let (originator, silent) = held_back.or_else(all_wait)?;
        let at = held[originator].messages.head()?;
        Some(self.held_up(held, at, silent, bound))
    }

    fn held_up(&self, held: &Held<'_>, at: At<Message>, silent: u64, bound: Bound) -> HeldUp {
        let own = held.block(at);
        let left = held[at].left.get();
        let in_flight = held[at].in_flight.get();
        let [_, group, ..] = own.texts();
        HeldUp {
            message: own.number(),
            group: group.to_vec(),
            waiting: left - in_flight,
            silent,
            bound,
            patience: self.limits.patience,
        }
    }
}
