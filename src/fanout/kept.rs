//! Copies that are kept for members who are away: what they are kept from, and how one that is sent later takes its
//! place before what has come since.

#![forbid(unsafe_code)]

use super::block::block_of;
use super::lock::OF_MESSAGES;
use super::locked_queue::LockedQueue;
use super::outcomes::EndedCopy;
use super::pin::Pin;
use super::pinned::Pinned;
use super::recipient::Outcome;
use super::shared_memory::At;
use super::submission::Submission;
use crate::control::Own;

/// A message that another process keeps where it is until the ledger has it: the one that reports its outcomes.
#[derive(Debug)]
pub struct InQueue<'e>(Pinned<'e>);

impl<'e> InQueue<'e> {
    /// The message at a place that [`EndedCopy::place`] gave; nothing if it is not there any more. It needs no lock: that
    /// outcome has pinned the message.
    pub(super) fn at(queue: &'e LockedQueue, place: u64) -> Option<Self> {
        let at = At::word(place as usize);
        if !queue.room.is_taken(&queue.memory, at) {
            return None;
        }
        let pin = Pin::set_again(&queue.memory, at)?;
        Some(Self(Pinned::new(queue, pin)))
    }

    /// The ledger's number of the message; 0 if it is in none.
    pub fn ledger(&self) -> u64 {
        self.0.block().ledger()
    }

    /// The message.
    pub fn submission(&self) -> Submission<'_> {
        self.0.block().submission()
    }

    /// Its recipients, in their order.
    pub fn recipients(&self) -> impl Iterator<Item = Own<'_>> {
        self.0.block().recipients()
    }

    /// What a recipient has of its own, by its number.
    pub fn recipient(&self, number: u32) -> Option<Own<'_>> {
        self.0.block().own_of(number)
    }
}

impl EndedCopy<'_> {
    /// Where the message is, as long as this is there.
    pub fn place(&self) -> u64 {
        self.pinned().at().to_word() as u64
    }

    /// The message.
    pub fn submission(&self) -> Submission<'_> {
        self.block().submission()
    }

    /// Gives a message that is in no ledger yet its number there.
    pub fn enter_ledger(&self, ledger: u64) {
        self.block().set_ledger(ledger);
    }

    /// The recipient's copy is kept: it has ended in another way than it seemed.
    pub fn is_kept(&mut self) {
        let Some(code) = self.outcome.code() else {
            return;
        };
        let (queue, entry) = (self.queue(), self.entry());
        let kept = Outcome::Kept(code);
        let changed = queue.with_within(OF_MESSAGES, |held| {
            let at = block_of(held.memory, entry);
            queue.scheduler.tally_down(held, at, self.outcome);
            held[entry].end(held, kept);
            queue.scheduler.tally_up(held, at, kept);
        });
        // Otherwise the line of the whole message counts it among the unreachable ones.
        if changed.is_ok() {
            self.outcome = kept;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Event;
    use super::super::tests::{NOW, engine, start};

    #[test]
    fn a_message_stays_in_the_queue_for_who_keeps_it_as_long_as_its_outcome_is_told() {
        let engine = engine();
        start(&engine, &["sip:a@h", "sip:b@h"]);
        while let Some(attempt) = engine.next(|| NOW) {
            let cookie = attempt.cookie();
            drop(attempt);
            engine.completed(cookie, 480);
        }
        let (Some(Event::Ended(_)), Some(Event::Ended(outcome)), Some(finished)) = (
            engine.next_event(),
            engine.next_event(),
            engine.next_event(),
        ) else {
            panic!("no outcome");
        };
        assert!(matches!(finished, Event::Finished(_)));
        let place = outcome.place();
        let message = engine.in_queue(place).unwrap();
        assert_eq!(message.recipient(1).unwrap().address, b"sip:b@h");
        assert_eq!(message.recipients().count(), 2);
        drop((outcome, finished));
        assert_eq!(message.recipients().count(), 2);
        drop(message);
        assert!(engine.in_queue(place).is_none());
        assert_eq!(engine.load().memory_used, 0);
        for nowhere in [1, place - 1, place + 1, u64::MAX >> 33] {
            assert!(engine.in_queue(nowhere).is_none(), "{nowhere}");
        }
    }
}
