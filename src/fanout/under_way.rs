//! All messages one after the other: who has got which when the proxy stops, and who is still to get it.

#![forbid(unsafe_code)]

use super::blocked::Blocked;
use super::layout::Message;
use super::lock::{Held, OF_MESSAGES};
use super::locked_queue::LockedQueue;
use super::pin::Pin;
use super::pinned::Pinned;
use super::recipient::{Outcome, Recipient};
use super::shared_memory::At;
use super::submission::Submission;
use crate::control::Own;

/// Messages that are looked at before others get the lock.
const STEPS: usize = 32;

/// A message that is under way. It keeps its memory as long as this is there.
#[derive(Debug)]
pub struct UnderWay<'e> {
    pin: Pinned<'e>,
}

impl<'e> UnderWay<'e> {
    /// The messages that are under way, oldest first.
    pub(super) fn all(queue: &'e LockedQueue) -> Result<Vec<Self>, Blocked> {
        let mut found = Vec::new();
        each_message(queue, |held, at| {
            let pin = Pinned::new(queue, Pin::set(held, at));
            found.push(Self { pin });
            true
        })?;
        Ok(found)
    }

    /// The number of the message.
    pub fn number(&self) -> u64 {
        self.pin.block().number()
    }

    /// The ledger's number of the message; 0 if it is in none.
    pub fn ledger(&self) -> u64 {
        self.pin.block().ledger()
    }

    /// Gives it another number there.
    pub fn enter_ledger(&self, ledger: u64) {
        self.pin.block().set_ledger(ledger);
    }

    /// The message.
    pub fn submission(&self) -> Submission<'_> {
        self.pin.block().submission()
    }

    /// What each recipient has of its own, in their order.
    pub fn owns(&self) -> impl Iterator<Item = Own<'_>> {
        self.pin.block().recipients()
    }

    /// Whether its end has been reported.
    pub fn is_done(&self) -> bool {
        self.pin.queue().memory[self.pin.at()].is_done()
    }

    /// The ledger's number of the kept copy that is sent; 0 if it is none.
    pub fn kept(&self) -> u64 {
        self.pin.block().kept()
    }

    /// The URI of the group or service.
    pub fn group(&self) -> &[u8] {
        self.pin.block().texts()[1]
    }

    /// Where the message is in the queue, as [`Engine::in_queue`](super::Engine::in_queue) takes it.
    pub fn place(&self) -> u64 {
        self.pin.at().to_word() as u64
    }

    /// The millisecond of Unix time at which it expires; 0 for never.
    pub fn expires_at(&self) -> u64 {
        self.pin.block().submission().expires_at
    }

    /// The address of a recipient, by its number.
    pub fn address(&self, recipient: u32) -> Option<&[u8]> {
        Some(self.pin.block().own_of(recipient)?.address)
    }

    /// How many recipients it has.
    pub fn recipients(&self) -> usize {
        self.pin.block().count()
    }

    /// The addresses of the recipients that have not ended, in their order.
    pub fn remaining(&self) -> Vec<&[u8]> {
        let block = self.pin.block();
        let entries = (0..block.count()).map(|number| block.entry(number));
        let left = entries.filter(|&entry| self.outcome(entry).is_none());
        left.map(|entry| block.own(entry).address).collect()
    }

    /// How those recipients ended that have, by their numbers.
    pub fn outcomes(&self) -> Vec<(u32, Outcome)> {
        let block = self.pin.block();
        let ended = (0..block.count()).filter_map(|number| {
            let entry = block.entry(number);
            Some((block.recipient(entry), self.outcome(entry)?))
        });
        ended.collect()
    }

    fn outcome(&self, entry: At<Recipient>) -> Option<Outcome> {
        self.pin.queue().memory[entry].outcome()
    }
}

/// Looks at all messages that were started, oldest first, until `work` says that it is enough. Others get the lock in
/// between.
pub(super) fn each_message(
    queue: &LockedQueue,
    mut work: impl FnMut(&Held<'_>, At<Message>) -> bool,
) -> Result<(), Blocked> {
    let mut last: Option<Pinned<'_>> = None;
    loop {
        let reached = queue.with_within(OF_MESSAGES, |held| {
            let messages = &held.root.flow.messages;
            let mut next = match &last {
                None => messages.head(),
                Some(last) => messages.after(held, last.at()),
            };
            let mut reached = None;
            for _ in 0..STEPS {
                let at = next?;
                if !work(held, at) {
                    return None;
                }
                reached = next;
                next = messages.after(held, at);
            }
            let at = reached?;
            Some(Pinned::new(queue, Pin::set(held, at)))
        })?;
        match reached {
            None => return Ok(()),
            reached => last = reached,
        }
    }
}
