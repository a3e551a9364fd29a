//! Member queues: the recipients that are the same member of the same group, in the order of their messages
//! ([`group_order`](super::group_order)). A queue has all recipients whose groups and addresses have the same place in
//! the table.

#![forbid(unsafe_code)]

use super::lists::Queue;
use super::lock::Held;
use super::recipient::Recipient;
use super::shared_memory::At;

/// Words of the memory for messages for each queue: no recipient takes less than five.
const SHARE: usize = 16;

/// The table of member queues.
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

    /// Empties all queues.
    pub(super) fn clear(self, held: &Held<'_>) {
        for queue in 0..self.queues {
            let queue: &Queue = &held[At::word(self.start + queue)];
            if !queue.is_clear() {
                queue.clear(held);
            }
        }
    }

    pub(super) fn queue<'h>(self, held: &'h Held<'_>, hash: u64) -> &'h Queue {
        &held[At::word(self.start + ((hash >> 16) as usize & (self.queues - 1)))]
    }
}

/// The first in a queue for whom `is_meant` holds.
#[inline]
pub(super) fn first<'h>(
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
