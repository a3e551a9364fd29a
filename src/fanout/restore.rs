//! A message that was kept on disk is taken up again after the proxy was started anew.

#![forbid(unsafe_code)]

use super::block::{Facts, Size};
use super::blocked::Blocked;
use super::clock::{Clock, milliseconds};
use super::deferred::MessageWork;
use super::layout::Message;
use super::lock::{Held, OF_MESSAGES};
use super::locked_queue::LockedQueue;
use super::recipient::Outcome;
use super::scheduler::Scheduler;
use super::shared_memory::At;
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

/// Gives no message a number up to this one.
pub(super) fn skip_numbers(queue: &LockedQueue, last: u64) {
    queue.with(|held| {
        let number = &held.root.flow.number;
        number.set(held, number.get().max(last));
    });
}

/// Takes up a message again, as [`Engine::restore`](super::Engine::restore) says.
pub(super) fn restore<'s, I: Iterator<Item = Own<'s>>>(
    queue: &LockedQueue,
    clock: Clock,
    submission: &Submission<'_>,
    recipients: impl Fn() -> I,
    origin: Origin,
    ended: impl IntoIterator<Item = (u32, Outcome)>,
) -> Result<Option<(u64, usize)>, NotRestored> {
    let size = Size::of(submission, recipients()).filter(|size| size.recipients > 0);
    let size = size.ok_or(NotRestored::Damaged)?;
    let (mut room, number) = queue.with_within(OF_MESSAGES, |held| {
        let room = queue.room.allocate(held, size);
        let room = room.ok_or(NotRestored::NoMemory)?;
        let last = &held.root.flow.number;
        let number = origin.number.unwrap_or(last.get() + 1);
        if origin.kept == 0 {
            last.set(held, last.get().max(number));
        }
        Ok::<_, NotRestored>((room, number))
    })??;
    let facts = Facts {
        number,
        ledger: origin.ledger,
        kept: origin.kept,
        first: origin.first,
        clock_ahead: clock.now().wrapping_sub(milliseconds(SystemTime::now())),
    };
    room.write(&queue.memory, size, submission, recipients(), &facts);
    let at = room.publish();
    let ended = ended.into_iter();
    let left = queue.with_within(OF_MESSAGES, |held| {
        let left = note_ended(held, &queue.scheduler, at, origin.first, ended);
        if left == 0 {
            queue.room.free(held, at);
            return None;
        }
        queue.scheduler.start(held, at, left as u32);
        slow_start::prepare(held);
        Some((number, left))
    });
    left.map_err(|blocked| {
        queue.do_or_defer_message(at, MessageWork::Free);
        blocked.into()
    })
}

/// Ends those recipients of a message whose outcomes were reported before; gives how many are left.
fn note_ended(
    held: &Held<'_>,
    scheduler: &Scheduler,
    at: At<Message>,
    first: u32,
    ended: impl Iterator<Item = (u32, Outcome)>,
) -> usize {
    let own = held.block(at);
    let mut left = own.count();
    for number in 0..own.count() {
        held[own.entry(number)].set_repeated(held);
    }
    for (number, outcome) in ended {
        let number = number.wrapping_sub(first) as usize;
        if number >= own.count() {
            continue;
        }
        let entry = own.entry(number);
        if held[entry].outcome().is_none() {
            held[entry].end(held, outcome);
            held[entry].set_reported(held);
            scheduler.tally_up(held, at, outcome);
            left -= 1;
        }
    }
    left
}
