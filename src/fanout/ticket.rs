//! Room for an accepted message, and what becomes of it: it is started once the message was answered 202, or given back.

#![forbid(unsafe_code)]

use super::block::{Block, Facts, Size, Unpublished};
use super::budget::BudgetKeys;
use super::deferred::MessageWork;
use super::lock::OF_MESSAGES;
use super::locked_queue::LockedQueue;
use super::queue_reasons::{NoRoom, NoRoomReason};
use super::submission::Submission;
use crate::control::Own;

/// Seconds that a client is asked to wait while a process keeps the lock from the others.
const WAIT_FOR_LOCK: u32 = 10;

/// Room for a message that has not been started. Dropping it gives everything back.
#[derive(Debug)]
pub struct Ticket<'e> {
    queue: &'e LockedQueue,
    /// Nothing once it was left to somebody else.
    room: Option<Unpublished>,
    keys: BudgetKeys,
}

impl<'e> Ticket<'e> {
    /// Takes room and budgets for a message, and writes it. `recipients` gives the recipients, the same each time.
    pub(super) fn reserve<'s, I: Iterator<Item = Own<'s>>>(
        queue: &'e LockedQueue,
        submission: &Submission<'_>,
        recipients: impl Fn() -> I,
        now: u64,
    ) -> Result<Self, NoRoom> {
        let keys = queue.room.keys_of(submission);
        let size = Size::of(submission, recipients());
        let taken = queue.with_within(OF_MESSAGES, |held| {
            let (room, size) = queue.room.take(held, size, keys, now)?;
            let number = &held.root.flow.number;
            number.add(held, 1);
            Ok((room, size, number.get()))
        });
        let (mut room, size, number) = taken.unwrap_or(Err(NoRoom {
            reason: NoRoomReason::QueueBlocked,
            retry_after: WAIT_FOR_LOCK,
        }))?;
        let facts = Facts {
            number,
            ledger: 0,
            kept: 0,
            first: 0,
            clock_ahead: now.wrapping_sub(submission.accepted_at),
        };
        room.write(&queue.memory, size, submission, recipients(), &facts);
        Ok(Self::of(queue, room, keys))
    }

    /// The ticket of a message that was left to this process.
    pub(super) fn of(queue: &'e LockedQueue, room: Unpublished, keys: BudgetKeys) -> Self {
        Self {
            queue,
            room: Some(room),
            keys,
        }
    }

    /// The queue in which the room is.
    pub(super) fn queue(&self) -> &'e LockedQueue {
        self.queue
    }

    /// What was written.
    pub(super) fn block(&self) -> Option<Block<'_>> {
        let room = self.room.as_ref()?;
        Some(room.block(&self.queue.memory))
    }

    /// The number of the message.
    pub fn number(&self) -> u64 {
        self.block().map_or(0, Block::number)
    }

    /// Leaves the message to somebody else, who makes the ticket again of what this gives.
    pub(super) fn leave(mut self) -> Option<(Unpublished, BudgetKeys)> {
        Some((self.room.take()?, self.keys))
    }

    /// Starts the message in this way; gives its number.
    pub(super) fn start(mut self, how: MessageWork) -> u64 {
        let number = self.number();
        self.end(how);
        number
    }

    fn end(&mut self, work: MessageWork) {
        if let Some(room) = self.room.take() {
            self.queue.do_or_defer_message(room.publish(), work);
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.end(MessageWork::GiveBack(self.keys));
    }
}
