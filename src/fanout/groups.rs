//! How many messages of a group are under way. Only where there are several do their recipients stand in
//! member queues: one alone overtakes nobody.
//!
//! Groups that share a place in the table are taken for one. That costs some work, and changes nothing.

#![deny(unsafe_code)]

use super::layout::Message;
use super::lock::Held;
use super::shared_memory::{At, Link, Locked, shared};

shared! {
    /// A group: how many messages it has under way, and the one among them, if any, that is in no member queue yet.
    pub(super) struct Group {
        pub(super) messages: Locked<u32>,
        pub(super) alone: Link<Message>,
    }
}

/// The table: the number of messages, and the one among them, if any, that is in no member queue yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Groups(pub(super) usize);

impl Groups {
    /// Words of the table.
    pub(super) const WORDS: usize = 1 << 13;

    /// Forgets all messages.
    pub(super) fn clear(self, held: &Held<'_>) {
        for place in self.0..self.0 + Self::WORDS {
            let group: &Group = &held[At::word(place)];
            group.messages.set(held, 0);
            group.alone.set(held, None);
        }
    }

    pub(super) fn of<'h>(self, held: &'h Held<'_>, at: At<Message>) -> &'h Group {
        let hash = held[at].group.get();
        &held[At::word(self.0 + (hash >> 32) as usize % Self::WORDS)]
    }

    /// Counts a message whose recipients are put into member queues, if they are not yet.
    pub(super) fn count(self, held: &Held<'_>, at: At<Message>) {
        let group = self.of(held, at);
        group.messages.add(held, 1);
        group.alone.set(held, None);
    }

    /// All recipients of a message have ended.
    pub(super) fn leave(self, held: &Held<'_>, at: At<Message>) {
        let group = self.of(held, at);
        group.messages.subtract(held, 1);
        if group.alone.get() == Some(at) {
            group.alone.set(held, None);
        }
    }
}
