//! A message that was kept on disk is taken up again after the proxy was started anew.

#![forbid(unsafe_code)]

use super::block::{Facts, Size};
use super::clock::milliseconds;
use super::deferred::MessageWork;
use super::engine::Engine;
use super::lock::{Blocked, OF_MESSAGES};
use super::recipient::Outcome;
use super::slow_start;
use super::submission::Submission;
use crate::control::Own;
use std::fmt;
use std::time::SystemTime;

/// Where a message comes from that is taken up again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The number that it had; a new one where it is not to have that again.
    pub number: Option<u64>,
    /// The ledger's number of the message.
    pub ledger: u64,
    /// The ledger's number of the kept copy that it is made of; 0 if it is made of none.
    pub kept: u64,
    /// The number of the first of these recipients among those of the message as it was accepted.
    pub first: u32,
}

/// Why a message was not taken up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRestored {
    /// It has no recipients, or more than there can be.
    Damaged,
    /// There is no memory for it.
    NoMemory,
    /// A process keeps the lock of the queue from the others.
    Blocked(Blocked),
}

impl From<Blocked> for NotRestored {
    fn from(blocked: Blocked) -> Self {
        Self::Blocked(blocked)
    }
}

impl fmt::Display for NotRestored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("it has no recipients, or more than there can be"),
            Self::NoMemory => f.write_str("queue_memory is too small for it"),
            Self::Blocked(blocked) => blocked.fmt(f),
        }
    }
}

impl Engine {
    /// Gives no message a number up to this one.
    pub fn skip_numbers(&self, last: u64) {
        self.with(|held| {
            held.root
                .flow
                .number
                .set(held, held.root.flow.number.get().max(last))
        });
    }

    /// Takes up a message again, at the start or later. `ended` are the recipients, by the numbers that they have
    /// in the message, whose outcomes were reported before. All others may have got the message already: they get
    /// it with the same Call-ID, and a 482 means that they had it. Gives the number of the message and how many
    /// are left, or nothing if nobody is.
    pub fn restore<'s, I: Iterator<Item = Own<'s>>>(
        &self,
        submission: &Submission<'_>,
        recipients: impl Fn() -> I,
        origin: Origin,
        ended: impl IntoIterator<Item = (u32, Outcome)>,
    ) -> Result<Option<(u64, usize)>, NotRestored> {
        let size = Size::of(submission, recipients()).filter(|size| size.recipients > 0);
        let size = size.ok_or(NotRestored::Damaged)?;
        let (mut room, number) = self.with_within(OF_MESSAGES, |held| {
            let room = self.arena.allocate(held, size.words());
            let room = room.ok_or(NotRestored::NoMemory)?;
            held.root.flow.messages_length.add(held, 1);
            let number = origin.number.unwrap_or(held.root.flow.number.get() + 1);
            if origin.kept == 0 {
                held.root
                    .flow
                    .number
                    .set(held, held.root.flow.number.get().max(number));
            }
            Ok::<_, NotRestored>((room, number))
        })??;
        let facts = Facts {
            number,
            ledger: origin.ledger,
            kept: origin.kept,
            first: origin.first,
            clock_ahead: self.now().wrapping_sub(milliseconds(SystemTime::now())),
        };
        room.write(&self.memory, size, submission, recipients(), &facts);
        let at = room.publish();
        let ended = ended.into_iter();
        let taken_up = self.with_within(OF_MESSAGES, |held| {
            let own = held.block(at);
            let mut left = own.count();
            for number in 0..own.count() {
                held[own.entry(number)].set_repeated(held);
            }
            for (number, outcome) in ended {
                let number = number.wrapping_sub(origin.first) as usize;
                if number >= own.count() {
                    continue;
                }
                let entry = own.entry(number);
                if held[entry].outcome().is_none() {
                    held[entry].end(held, outcome);
                    held[entry].set_reported(held);
                    self.scheduler.tally_up(held, at, outcome);
                    left -= 1;
                }
            }
            if left == 0 {
                self.give_back_unpublished(held, at);
                return None;
            }
            self.publish(held, at, left as u32);
            slow_start::prepare(held);
            Some((number, left))
        });
        taken_up.map_err(|blocked| {
            self.with_or(
                |held| self.give_back_unpublished(held, at),
                || self.defer_message(at, MessageWork::GiveBack([0, 0])),
            );
            blocked.into()
        })
    }
}
