//! Who is still to get a message when the proxy stops.

#![forbid(unsafe_code)]

use super::attempt::Pinned;
use super::engine::Engine;
use super::recipient;

impl Engine {
    /// The addresses of the recipients of a message that have not ended, in their order.
    pub fn remaining(&self, message: u64) -> Vec<Vec<u8>> {
        let mut found = None;
        self.each_message(|held, at| {
            if self.block(at).number() != message {
                return true;
            }
            self.pin(held, at);
            found = Some(Pinned::new(self, at));
            false
        });
        let Some(pin) = found else {
            return Vec::new();
        };
        let block = pin.block();
        let entries = (0..block.count()).map(|number| block.entry(number));
        let left =
            entries.filter(|&entry| self.with(|held| recipient::ending(held, entry).is_none()));
        left.map(|entry| block.own(entry).address.to_vec())
            .collect()
    }
}
