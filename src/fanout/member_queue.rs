//! In which order the messages of a group get their turn at each member (M-3, RFC 3428 §8): that in which
//! they were started, however far each of them has come with its other recipients.
//!
//! A recipient stands in a queue from the start of its message until its target is its own. A queue has
//! all recipients whose groups and addresses have the same place in the table.

#![forbid(unsafe_code)]

use super::block::{Block, block_of};
use super::engine::{Engine, flag};
use super::layout::Message;
use super::lists::Queue;
use super::lock::Held;
use super::recipient::{Recipient, RecipientState};
use super::shared_memory::At;
use super::targets::Occupied;

/// Words of the memory for messages for each queue: no recipient takes less than five.
const SHARE: usize = 16;
/// Recipients that are put in queue before others get the lock, or a turn.
const TOGETHER: usize = 4;

/// The table of lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemberQueues {
    start: usize,
    /// A power of two.
    queues: usize,
}

/// Where somebody stands: in which queue, behind whom, and who it is.
#[derive(Clone, Copy)]
pub(super) struct Position<'h> {
    queue: &'h Queue,
    before: Option<At<Recipient>>,
    pub(super) entry: At<Recipient>,
}

impl MemberQueues {
    /// A table for as many recipients as there can be in memory of this many words.
    pub(super) fn new(start: usize, memory: usize) -> Self {
        Self {
            start,
            queues: (memory / SHARE).next_power_of_two(),
        }
    }

    /// Words of the table.
    pub(super) fn words(self) -> usize {
        self.queues
    }

    /// Forgets all lines.
    pub(super) fn clear(self, held: &Held<'_>) {
        for queue in 0..self.queues {
            let queue: &Queue = &held[At::word(self.start + queue)];
            if !queue.is_clear() {
                queue.clear(held);
            }
        }
    }

    fn queue<'h>(self, held: &'h Held<'_>, hash: u64) -> &'h Queue {
        &held[At::word(self.start + ((hash >> 16) as usize & (self.queues - 1)))]
    }
}

/// The first in a queue for whom `is_meant` holds.
#[inline]
fn first<'h>(
    held: &Held<'_>,
    queue: &'h Queue,
    is_meant: impl Fn(At<Recipient>) -> bool,
) -> Option<Position<'h>> {
    let mut before = None;
    for entry in queue.iter(held) {
        if is_meant(entry) {
            return Some(Position {
                queue,
                before,
                entry,
            });
        }
        before = Some(entry);
    }
    None
}

impl Position<'_> {
    /// Leaves the queue.
    #[inline]
    pub(super) fn leave(self, held: &Held<'_>) {
        self.queue.remove(held, self.before, self.entry);
    }
}

impl Engine {
    /// Puts some recipients in queue.
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
        let hash = self.hash(block.own(entry).address);
        self.queue(held, block.at(), hash).push(held, entry);
    }

    /// The queue of a message's recipient, whose address has this hash.
    fn queue<'h>(&self, held: &'h Held<'_>, at: At<Message>, hash: u64) -> &'h Queue {
        self.member_queues.queue(held, hash ^ held[at].group.get())
    }

    /// Where a recipient stands, if it does.
    pub(super) fn position<'h>(
        &self,
        held: &'h Held<'_>,
        hash: u64,
        entry: At<Recipient>,
    ) -> Option<Position<'h>> {
        let queue = self.queue(held, block_of(&self.memory, entry), hash);
        first(held, queue, |other| other == entry)
    }

    /// Where a recipient stands, if no earlier message of the group has the same target before it.
    pub(super) fn first_in_queue<'h>(
        &self,
        held: &'h Held<'_>,
        hash: u64,
        entry: At<Recipient>,
    ) -> Option<Position<'h>> {
        let queue = self.queue(held, block_of(&self.memory, entry), hash);
        let first = first(held, queue, Self::like(held, entry));
        first.filter(|position| position.entry == entry)
    }

    /// Whether another recipient is the same member of the same group. Messages of different groups do
    /// not wait for each other's turn: a small group would wait for all of a large one.
    fn like<'h>(held: &'h Held<'_>, entry: At<Recipient>) -> impl Fn(At<Recipient>) -> bool + 'h {
        let what = |entry| {
            let block = held.block_of(entry);
            (block.own(entry).address, block.texts()[1])
        };
        move |other| other == entry || what(other) == what(entry)
    }

    /// A recipient has left its queue: those like it go on, up to the first whose own turn has not come.
    pub(super) fn let_follow(&self, held: &Held<'_>, hash: u64, left: At<Recipient>) {
        let queue = self.queue(held, block_of(&self.memory, left), hash);
        while let Some(position) = first(held, queue, Self::like(held, left)) {
            let entry = position.entry;
            if held[entry].state() != RecipientState::AtTarget {
                return;
            }
            let at = block_of(&self.memory, entry);
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
