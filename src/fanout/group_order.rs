//! In which order the messages of a group get their turn at each member (M-3, RFC 3428 §8): that in which
//! they were started, however far each of them has come with its other recipients.
//!
//! A recipient stands in a queue from the start of its message until its target is its own. A queue has
//! all recipients whose groups and addresses have the same place in the table.

#![forbid(unsafe_code)]

use super::block::{Block, block_of};
use super::layout::{Message, flag};
use super::lists::Queue;
use super::lock::Held;
use super::member_queue::{Position, first};
use super::recipient::{Recipient, RecipientState};
use super::scheduler::Scheduler;
use super::shared_memory::At;
use super::targets::Occupied;

/// Recipients that are put into their queues before others get the lock, or a turn.
const TOGETHER: usize = 4;

impl Scheduler {
    /// Puts some recipients into their member queues.
    pub(super) fn queue_some(&self, held: &Held<'_>, at: At<Message>) {
        let block = held.block(at);
        let cursor = held[at].cursor.get();
        let end = (cursor as usize + TOGETHER).min(block.count());
        for entry in (cursor as usize..end).map(|number| block.entry(number)) {
            if held[entry].state() == RecipientState::Waiting {
                self.push_into_member_queue(held, block, entry);
            }
        }
        held[at].cursor.set(held, end as u32);
        if end == block.count() {
            held[at].cursor.set(held, 0);
            self.go_on(held, at);
        }
    }

    /// Puts a recipient behind all others of its queue.
    #[inline]
    pub(super) fn push_into_member_queue(
        &self,
        held: &Held<'_>,
        block: Block<'_>,
        entry: At<Recipient>,
    ) {
        let hash = self.keys.of_address(block.own(entry).address);
        self.queue(held, block.at(), hash).push(held, entry);
    }

    /// The queue of a message's recipient, whose address has this hash.
    pub(super) fn queue<'h>(&self, held: &'h Held<'_>, at: At<Message>, hash: u64) -> &'h Queue {
        self.member_queues.queue(held, hash ^ held[at].group.get())
    }

    /// Where a recipient stands, if it does.
    pub(super) fn position<'h>(
        &self,
        held: &'h Held<'_>,
        hash: u64,
        entry: At<Recipient>,
    ) -> Option<Position<'h>> {
        let queue = self.queue(held, block_of(held.memory, entry), hash);
        first(held, queue, |other| other == entry)
    }

    /// Where a recipient stands, if no earlier message of the group has the same target before it.
    pub(super) fn first_in_queue<'h>(
        &self,
        held: &'h Held<'_>,
        hash: u64,
        entry: At<Recipient>,
    ) -> Option<Position<'h>> {
        let queue = self.queue(held, block_of(held.memory, entry), hash);
        let first = first(held, queue, Self::like(held, entry));
        first.filter(|position| position.entry == entry)
    }

    /// Whether another recipient is the same member of the same group. Messages of different groups do
    /// not wait for each other's turn: a small group would wait for all of a large one.
    pub(super) fn like<'h>(
        held: &'h Held<'_>,
        entry: At<Recipient>,
    ) -> impl Fn(At<Recipient>) -> bool + 'h {
        let what = |entry| {
            let block = held.block_of(entry);
            (block.own(entry).address, block.texts()[1])
        };
        move |other| other == entry || what(other) == what(entry)
    }

    /// A recipient has left its queue: those like it go on, up to the first whose own turn has not come.
    pub(super) fn let_follow(&self, held: &Held<'_>, hash: u64, left: At<Recipient>) {
        let queue = self.queue(held, block_of(held.memory, left), hash);
        while let Some(position) = first(held, queue, Self::like(held, left)) {
            let entry = position.entry;
            if held[entry].state() != RecipientState::AtTarget {
                return;
            }
            let at = block_of(held.memory, entry);
            if let Some(outcome) = self.closing(held, at) {
                position.leave(held);
                self.end(held, entry, outcome);
                continue;
            }
            match self.take_target(held, hash, entry) {
                Occupied::Yours => {
                    position.leave(held);
                    self.make_ready(held, entry);
                }
                Occupied::Busy(busy) => {
                    position.leave(held);
                    self.wait_for_target(held, busy, entry);
                }
                Occupied::NoRoom => {
                    // It is looked at once more with those that were put off.
                    held[entry].set_state(held, RecipientState::Waiting);
                    held[at].put_off.add(held, 1);
                    let flags = held[at].flags.get();
                    held[at].flags.set(held, flags & !flag::SECOND_PASS);
                    self.enter_turns(held, at);
                    return;
                }
            }
        }
    }
}

impl Scheduler {
    /// A message is under way from now on. Says whether it is the only one of its group.
    pub(super) fn join_group(&self, held: &Held<'_>, at: At<Message>) -> bool {
        let group = self.groups.of(held, at);
        if group.messages.get() == 0 {
            group.messages.set(held, 1);
            group.alone.set(held, Some(at));
            return true;
        }
        if let Some(alone) = group.alone.get() {
            self.queue_before_others(held, alone);
        }
        self.groups.count(held, at);
        false
    }

    /// Lets the recipients of a message that was alone be put into their member queues, before those of the next one.
    pub(super) fn queue_before_others(&self, held: &Held<'_>, at: At<Message>) {
        let message = &held[at];
        let flags = message.flags.get();
        let has_been_through = message.cursor.get() == message.count.get()
            && (message.put_off.get() == 0 || flags & flag::SECOND_PASS != 0);
        if flags & flag::CLOSING != 0 || has_been_through {
            return;
        }
        self.leave_lists(held, at);
        message.cursor.set(held, 0);
        self.begin_to_queue(held, at);
    }

    /// Lets the recipients of a message be put into their member queues before it takes turns.
    pub(super) fn begin_to_queue(&self, held: &Held<'_>, at: At<Message>) {
        let flags = &held[at].flags;
        flags.set(held, flags.get() | flag::QUEUED | flag::QUEUEING);
        held.root.flow.queueing.push(held, at);
    }
}
