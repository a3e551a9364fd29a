//! Who has got a message when the proxy stops, and who is still to get it.

#![forbid(unsafe_code)]

use super::attempt::Pinned;
use super::engine::Engine;
use super::recipient::{self, Ending};

impl Engine {
    /// The addresses of the recipients of a message that have not ended, in their order.
    pub fn remaining(&self, message: u64) -> Vec<Vec<u8>> {
        let Some(pin) = self.find(message) else {
            return Vec::new();
        };
        let block = pin.block();
        let entries = (0..block.count()).map(|number| block.entry(number));
        let left = entries.filter(|&entry| self.ending(entry).is_none());
        left.map(|entry| block.own(entry).address.to_vec())
            .collect()
    }

    /// How those recipients of a message ended that have, by their numbers.
    pub fn endings(&self, message: u64) -> Vec<(u32, Ending)> {
        let Some(pin) = self.find(message) else {
            return Vec::new();
        };
        let block = pin.block();
        let ended = (0..block.count())
            .filter_map(|number| Some((number as u32, self.ending(block.entry(number))?)));
        ended.collect()
    }

    fn ending(&self, entry: usize) -> Option<Ending> {
        self.with(|held| recipient::ending(held, entry))
    }

    fn find(&self, message: u64) -> Option<Pinned<'_>> {
        let mut found = None;
        self.each_message(|held, at| {
            if self.block(at).number() != message {
                return true;
            }
            self.pin(held, at);
            found = Some(Pinned::new(self, at));
            false
        });
        found
    }
}
