//! How many messages of a group are under way. Only where there are several do their recipients stand in
//! lines: one alone overtakes nobody.
//!
//! Groups that share a place in the table are taken for one. That costs some lines, and changes nothing.

#![forbid(unsafe_code)]

use super::engine::{Engine, flag};
use super::layout::{LINING, block};
use super::lock::Held;

/// The table: the number of messages, and the one among them, if any, that is in no line yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Groups(pub(super) usize);

impl Groups {
    /// Words of the table.
    pub(super) const WORDS: usize = 1 << 13;

    /// Forgets all messages.
    pub(super) fn clear(self, held: &Held<'_>) {
        for place in self.0..self.0 + Self::WORDS {
            held.set(place, 0);
        }
    }

    fn place(self, held: &Held<'_>, at: usize) -> usize {
        let hash = held.get(at + block::LINE);
        self.0 + (hash >> 32) as usize % Self::WORDS
    }

    /// Counts a message whose recipients are put in line, if they are not yet.
    pub(super) fn count(self, held: &Held<'_>, at: usize) {
        let place = self.place(held, at);
        let (messages, _) = held.pair(place);
        held.set_pair(place, messages + 1, 0);
    }

    /// All recipients of a message have ended.
    pub(super) fn leave(self, held: &Held<'_>, at: usize) {
        let place = self.place(held, at);
        let (messages, alone) = held.pair(place);
        let alone = if alone as usize == at { 0 } else { alone };
        held.set_pair(place, messages - 1, alone);
    }
}

impl Engine {
    /// A message is under way from now on. Says whether it is the only one of its group.
    pub(super) fn join_group(&self, held: &Held<'_>, at: usize) -> bool {
        let place = self.groups.place(held, at);
        let (messages, alone) = held.pair(place);
        if messages == 0 {
            held.set_pair(place, 1, at as u32);
            return true;
        }
        if alone != 0 {
            self.line_up_first(held, alone as usize);
        }
        self.groups.count(held, at);
        false
    }

    /// Lets the recipients of a message that was alone be put in line, before those of the next one.
    fn line_up_first(&self, held: &Held<'_>, at: usize) {
        let flags = held.get(at + block::FLAGS);
        let (cursor, in_flight) = held.pair(at + block::CURSOR);
        let (_, put_off) = held.pair(at + block::SKIPPED);
        let has_been_through = cursor as usize == self.block(at).count()
            && (put_off == 0 || flags & flag::SECOND_PASS != 0);
        if flags & flag::CLOSING != 0 || has_been_through {
            return;
        }
        self.leave_lists(held, at);
        held.set_pair(at + block::CURSOR, 0, in_flight);
        self.begin_to_line_up(held, at);
    }

    /// Lets the recipients of a message be put in line before it takes turns.
    pub(super) fn begin_to_line_up(&self, held: &Held<'_>, at: usize) {
        let flags = held.get(at + block::FLAGS);
        held.set(at + block::FLAGS, flags | flag::LINED | flag::LINING);
        LINING.push(held, at);
    }
}
