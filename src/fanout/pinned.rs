//! A message that is kept where it is: for a copy on its way, for who reports its outcomes, and for who looks at it.

#![forbid(unsafe_code)]

use super::block::Block;
use super::deferred::MessageWork;
use super::layout::Message;
use super::locked_queue::LockedQueue;
use super::pin::Pin;
use super::recipient::Recipient;
use super::shared_memory::At;
use crate::control::Fork;

/// Keeps the text of a block where it is.
#[derive(Debug)]
pub(super) struct Pinned<'e> {
    queue: &'e LockedQueue,
    pin: Pin,
}

impl<'e> Pinned<'e> {
    /// Takes over a pin that was set under the lock.
    pub(super) fn new(queue: &'e LockedQueue, pin: Pin) -> Self {
        Self { queue, pin }
    }

    /// Where the block is.
    pub(super) fn at(&self) -> At<Message> {
        self.pin.at()
    }

    /// The queue in which it is.
    pub(super) fn queue(&self) -> &'e LockedQueue {
        self.queue
    }

    /// The block.
    pub(super) fn block(&self) -> Block<'_> {
        Block::pinned(&self.queue.memory, &self.pin)
    }

    /// The fork to a recipient of the block.
    pub(super) fn fork(&self, entry: At<Recipient>) -> Fork<'_> {
        let block = self.block();
        block
            .copies()
            .copy(block.recipient(entry), block.own(entry))
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        if self.queue.memory[self.at()].unpin_unless_done() {
            return;
        }
        // The last pin and the block go together, under the lock: a block without pins is given back
        // by who makes everything anew after a process has died.
        self.queue
            .do_or_defer_message(self.at(), MessageWork::Unpin);
    }
}
