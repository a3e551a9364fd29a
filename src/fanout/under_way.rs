//! Who has got which message when the proxy stops, and who is still to get it.

#![forbid(unsafe_code)]

use super::engine::Engine;
use super::lock::Blocked;
use super::pin::Pin;
use super::pinned::Pinned;
use super::recipient::{Outcome, Recipient};
use super::shared_memory::At;

/// A message that is under way. It keeps its memory as long as this is there.
#[derive(Debug)]
pub struct UnderWay<'e> {
    engine: &'e Engine,
    pin: Pinned<'e>,
}

impl Engine {
    /// The messages that are under way, oldest first.
    pub fn under_way(&self) -> Result<Vec<UnderWay<'_>>, Blocked> {
        let mut found = Vec::new();
        self.each_message(|held, at| {
            found.push(UnderWay {
                engine: self,
                pin: Pinned::new(self, Pin::set(held, at)),
            });
            true
        })?;
        Ok(found)
    }
}

impl UnderWay<'_> {
    /// The number of the message.
    pub fn number(&self) -> u64 {
        self.pin.block().number()
    }

    /// The ledger's number of the message; 0 if it is in none.
    pub fn ledger(&self) -> u64 {
        self.pin.block().ledger()
    }

    /// The ledger's number of the kept copy that is sent; 0 if it is none.
    pub fn kept(&self) -> u64 {
        self.pin.block().kept()
    }

    /// The URI of the group or service.
    pub fn group(&self) -> &[u8] {
        self.pin.block().texts()[1]
    }

    /// Where the message is in the queue, as [`Engine::in_queue`] takes it.
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
        self.engine.memory[entry].outcome()
    }
}
