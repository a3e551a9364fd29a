//! What became of each recipient, for the one process that reports it: a queue that cannot overflow,
//! because it is made of the recipients themselves.

#![forbid(unsafe_code)]

use super::block::{Block, block_of};
use super::layout::Message;
use super::lock::OF_CALLBACKS;
use super::locked_queue::LockedQueue;
use super::pin::Pin;
use super::pinned::Pinned;
use super::recipient::{Outcome, Recipient};
use super::shared_memory::At;
use crate::control::Fork;

/// What is to be reported next.
#[derive(Debug)]
pub enum Event<'e> {
    /// A recipient has ended.
    Ended(EndedCopy<'e>),
    /// All recipients of a message have ended, and each was reported.
    Finished(Finished<'e>),
}

impl<'e> Event<'e> {
    /// What is to be reported next, if anything; nothing while a process keeps the lock from the others.
    pub(super) fn next(queue: &'e LockedQueue) -> Option<Self> {
        let event = queue.with_within(OF_CALLBACKS, |held| {
            if let Some(finished) = held.root.flow.finished.get() {
                held.root.flow.finished.set(held, None);
                let pin = Pin::set_last(held, finished);
                return Some(Event::Finished(Finished {
                    pin: Pinned::new(queue, pin),
                }));
            }
            let entry = held.root.flow.outcomes.head()?;
            held[entry].set_reported(held);
            held.root.flow.outcomes.pop(held);
            let at = block_of(held.memory, entry);
            let unreported = held[at].unreported.get();
            held[at].unreported.set(held, unreported - 1);
            if unreported == 1 {
                held.root.flow.finished.set(held, Some(at));
            }
            let outcome = held[entry].outcome()?;
            let pin = Pin::set(held, at);
            Some(Event::Ended(EndedCopy {
                outcome,
                entry,
                pin: Pinned::new(queue, pin),
            }))
        });
        event.ok().flatten()
    }
}

/// How one recipient ended.
#[derive(Debug)]
pub struct EndedCopy<'e> {
    /// How.
    pub outcome: Outcome,
    entry: At<Recipient>,
    pin: Pinned<'e>,
}

/// How many recipients of a message ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answered 2xx.
    pub delivered: u32,
    /// Answered with 300 or more.
    pub refused: u32,
    /// Not answered in time, or not to be sent.
    pub unreachable: u32,
    /// Out of time before they were sent to.
    pub expired: u32,
    /// Not sent to.
    pub skipped: u32,
    /// Away, with their copies kept.
    pub kept: u32,
}

impl Tally {
    /// Recipients that have ended.
    pub fn ended(&self) -> u32 {
        self.delivered + self.refused + self.unreachable + self.expired + self.skipped + self.kept
    }
}

/// A message that is finished. Its memory is given back when this is dropped.
#[derive(Debug)]
pub struct Finished<'e> {
    pin: Pinned<'e>,
}

impl<'e> EndedCopy<'e> {
    pub(super) fn block(&self) -> Block<'_> {
        self.pin.block()
    }

    pub(super) fn pinned(&self) -> &Pinned<'e> {
        &self.pin
    }

    pub(super) fn queue(&self) -> &'e LockedQueue {
        self.pin.queue()
    }

    pub(super) fn entry(&self) -> At<Recipient> {
        self.entry
    }

    /// The number of the message.
    pub fn message(&self) -> u64 {
        self.pin.block().number()
    }

    /// The ledger's number of the message; 0 if it is in none.
    pub fn ledger(&self) -> u64 {
        self.pin.block().ledger()
    }

    /// The ledger's number of the kept copy that was sent; 0 if it was none.
    pub fn kept(&self) -> u64 {
        self.pin.block().kept()
    }

    /// The originator's address.
    pub fn originator(&self) -> &[u8] {
        self.pin.block().texts()[0]
    }

    /// The URI of the group or service.
    pub fn group(&self) -> &[u8] {
        self.pin.block().texts()[1]
    }

    /// Whether copies of the message have been kept for others.
    pub fn is_kept_for_others(&self) -> bool {
        self.queue().memory[self.pin.at()].tallied().kept > 0
    }

    /// The recipient's number among those of its message.
    pub fn recipient(&self) -> u32 {
        self.pin.block().recipient(self.entry)
    }

    /// The fork as it was sent, or would have been.
    pub fn fork(&self) -> Fork<'_> {
        self.pin.fork(self.entry)
    }
}

/// Tells the outcomes of one kind.
type IsOfKind = fn(&Outcome) -> bool;

impl Finished<'_> {
    /// The millisecond of its 202, by the engine's clock.
    pub fn accepted_at(&self) -> u64 {
        let block = self.pin.block();
        self.pin.queue().memory[block.at()].by_clock(block.accepted_at())
    }

    /// The number of the message.
    pub fn message(&self) -> u64 {
        self.pin.block().number()
    }

    /// The ledger's number of the message; 0 if it is in none.
    pub fn ledger(&self) -> u64 {
        self.pin.block().ledger()
    }

    /// The ledger's number of the kept copy that was sent; 0 if it was none.
    pub fn kept(&self) -> u64 {
        self.pin.block().kept()
    }

    /// The originator's address.
    pub fn originator(&self) -> &[u8] {
        self.pin.block().texts()[0]
    }

    /// The URI of the group or service.
    pub fn group(&self) -> &[u8] {
        self.pin.block().texts()[1]
    }

    /// How many recipients ended how.
    pub fn tally(&self) -> Tally {
        self.pin.queue().memory[self.pin.at()].tallied()
    }

    /// The addresses of recipients that were not delivered to and for whom nothing is kept, at most so many: first
    /// those for which nothing was tried, and of each kind in the order of the message.
    pub fn undelivered(&self, most: usize) -> Vec<(Outcome, &[u8])> {
        let (queue, block) = (self.pin.queue(), self.pin.block());
        let Tally {
            refused,
            unreachable,
            expired,
            skipped,
            ..
        } = self.tally();
        let kinds: [(u32, IsOfKind); 4] = [
            (skipped, |outcome| matches!(outcome, Outcome::Skipped(_))),
            (expired, |outcome| matches!(outcome, Outcome::Expired)),
            (unreachable, |outcome| {
                matches!(outcome, Outcome::Unreachable(_))
            }),
            (refused, |outcome| matches!(outcome, Outcome::Refused(_))),
        ];
        let mut found = Vec::new();
        for (count, is_of_kind) in kinds {
            let entries = (0..block.count()).map(|number| block.entry(number));
            // Nothing of it changes any more.
            let ended = entries.filter_map(|entry| {
                let outcome = queue.memory[entry].outcome().filter(is_of_kind)?;
                Some((outcome, block.own(entry).address))
            });
            found.extend(ended.take((count as usize).min(most - found.len())));
        }
        found
    }
}

impl Message {
    /// How many recipients have ended how.
    pub(super) fn tallied(&self) -> Tally {
        Tally {
            delivered: self.delivered.get(),
            refused: self.refused.get(),
            unreachable: self.unreachable.get(),
            expired: self.expired.get(),
            skipped: self.skipped.get(),
            kept: self.kept_for.get(),
        }
    }
}
