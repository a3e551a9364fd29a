//! How many messages of a group are under way. Only where there are several do their recipients position in
//! lines: one alone overtakes nobody.
//!
//! Groups that share a place in the table are taken for one. That costs some lines, and changes nothing.

#![deny(unsafe_code)]

use super::engine::{Engine, flag};
use super::layout::Message;
use super::lock::Held;
use super::shared_memory::{At, Link, Locked, shared};

shared! {
    /// A group: how many messages it has under way, and the one among them, if any, that is in no line yet.
    pub(super) struct Group {
        messages: Locked<u32>,
        alone: Link<Message>,
    }
}

/// The table: the number of messages, and the one among them, if any, that is in no line yet.
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

    fn of<'h>(self, held: &'h Held<'_>, at: At<Message>) -> &'h Group {
        let hash = held[at].group.get();
        &held[At::word(self.0 + (hash >> 32) as usize % Self::WORDS)]
    }

    /// Counts a message whose recipients are put in line, if they are not yet.
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

    /// Whether no message is under way.
    #[cfg(test)]
    pub(super) fn are_empty(self, held: &Held<'_>) -> bool {
        (self.0..self.0 + Self::WORDS).all(|place| {
            let group: &Group = &held[At::word(place)];
            group.messages.get() == 0 && group.alone.get().is_none()
        })
    }
}

impl Engine {
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

    /// Lets the recipients of a message that was alone be put in line, before those of the next one.
    fn queue_before_others(&self, held: &Held<'_>, at: At<Message>) {
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

    /// Lets the recipients of a message be put in line before it takes turns.
    pub(super) fn begin_to_queue(&self, held: &Held<'_>, at: At<Message>) {
        let flags = &held[at].flags;
        flags.set(held, flags.get() | flag::QUEUED | flag::QUEUEING);
        held.root.flow.queueing.push(held, at);
    }
}
