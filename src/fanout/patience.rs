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
//! Sending costs nothing for this. One process looks at all copies in flight some times a second, without the lock; it
//! notes when it has first seen each, and takes the lock for those alone that have become silent. So a copy is never
//! silent too early, whenever that process looks.

#![forbid(unsafe_code)]

use super::block::block_of;
use super::engine::Engine;
use super::layout::Transaction;
use super::layout::flag;
use super::layout::{Message, Originator};
use super::lock::{Blocked, Held, OF_MESSAGES};
use super::scheduler::Scheduler;
use super::shared_memory::At;
use crate::sip::text::Printable;
use std::fmt;

/// Copies for which the lock is held, so that others get it in between.
const STEPS: usize = 32;
/// The most messages, and originators, of which it is found out whether they wait behind silent copies.
const LOOKED_AT: usize = 64;
/// How many moments `patience` has: by one of them a copy may be older than that.
const MOMENTS: u64 = 32;

/// What bounds the copies of a message, with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The copies of one message that are not silent (`concurrency`).
    Concurrency(u32),
    /// The copies among which its Max-Breadth is shared (`max_breadth`, or what the message came with).
    Breadth(u32),
    /// The copies of all messages (`forks_in_flight`).
    ForksInFlight(u64),
    /// The proxy's transactions (`tm_memory`).
    Transactions(u64),
}

impl Bound {
    /// The parameter that an administrator may change.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Concurrency(_) => "concurrency",
            Self::Breadth(_) => "max_breadth",
            Self::ForksInFlight(_) => "forks_in_flight",
            Self::Transactions(_) => "tm_memory",
        }
    }
}

/// A message whose recipients wait behind copies that nobody answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldUp {
    /// Its number.
    pub message: u64,
    /// The URI of the group or service.
    pub group: Vec<u8>,
    /// How many of its recipients wait for their turn.
    pub waiting: u32,
    /// How many copies are silent: of this message, or, where all are bounded together, of its originator.
    pub silent: u64,
    /// What bounds them.
    pub bound: Bound,
    /// `patience`, in seconds.
    pub patience: u32,
}

impl fmt::Display for HeldUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            message,
            group,
            waiting,
            silent,
            bound,
            patience,
        } = self;
        let group = Printable(group);
        write!(
            f,
            "message {message} to <{group}>: {waiting} members wait behind {silent} copies that were not answered for \
             {patience} s (patience); "
        )?;
        match bound {
            Bound::Concurrency(most) => write!(
                f,
                "concurrency={most} bounds the other copies of a message: raise it if so many members are silent often"
            ),
            Bound::Breadth(most) => write!(
                f,
                "Max-Breadth bounds the copies of the message to {most}, silent ones included: where no other server \
                 spreads them, set max_breadth=0 and leave it to concurrency"
            ),
            Bound::ForksInFlight(most) => write!(
                f,
                "forks_in_flight={most} bounds the copies of all messages, and of one sender to a part of them: raise \
                 it, or take members out who never answer"
            ),
            Bound::Transactions(most) => write!(
                f,
                "tm_memory has room for {most} transactions of copies: raise it with the proxy's shared memory (-m), \
                 or take members out who never answer"
            ),
        }
    }
}

/// A message whose window was full before some of its copies became silent.
struct Full {
    held_up: HeldUp,
    /// How many copies were in its window.
    in_window: u32,
    /// How many of them have become silent.
    silent: u32,
}

impl Engine {
    /// Lets copies count as silent that are older than `patience`, and their messages go on: the caller asks for the
    /// next copy afterwards. To be called some times a second by the process that reports outcomes. Gives a message
    /// whose members have had to wait behind silent copies, or still have to.
    pub fn look_for_silent(&self, now: u64) -> Option<HeldUp> {
        let patience = u64::from(self.limits.patience) * 1000;
        if patience == 0 || self.root().hot.in_flight.get() == 0 {
            return None;
        }
        let moment = now * MOMENTS / patience;
        let old = self
            .scheduler
            .transactions
            .grown_old(&self.memory, moment, MOMENTS + 1);
        // While a process keeps the lock from the others the log says so, and the next look does it.
        self.make_silent(&old, moment).ok().flatten()
    }

    fn make_silent(&self, old: &[&Transaction], moment: u64) -> Result<Option<HeldUp>, Blocked> {
        let mut full: Vec<Full> = Vec::new();
        let mut originators: Vec<At<Originator>> = Vec::new();
        for transactions in old.chunks(STEPS) {
            self.with_within(OF_MESSAGES, |held| {
                for transaction in transactions {
                    let Some(entry) = transaction.entry() else {
                        continue;
                    };
                    let at = block_of(&self.memory, entry);
                    if !transaction.becomes_silent(held, moment, MOMENTS + 1) {
                        continue;
                    }
                    self.scheduler.note_full(held, at, &mut full);
                    let originator = Message::originator_at(held, at);
                    if originators.len() < LOOKED_AT && !originators.contains(&originator) {
                        originators.push(originator);
                    }
                    held[at].silent.add(held, 1);
                    held.root.flow.silent_copies.add(held, 1);
                    held[originator].silent.add(held, 1);
                    self.scheduler.enter_turns(held, at);
                }
            })?;
        }
        let held_up = full
            .into_iter()
            .find(|full| 2 * full.silent >= full.in_window);
        if let Some(full) = held_up {
            let silent = u64::from(full.silent);
            return Ok(Some(HeldUp {
                silent: full.held_up.silent + silent,
                ..full.held_up
            }));
        }
        if originators.is_empty() {
            return Ok(None);
        }
        self.with_within(OF_MESSAGES, |held| {
            self.scheduler.held_back_by_silent(held, &originators)
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
    fn held_back_by_silent(
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
