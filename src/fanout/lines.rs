//! In which order the messages of a group get their turn at each member (M-3, RFC 3428 §8): that in which
//! they were started, however far each of them has come with its other recipients.
//!
//! A recipient stands in a line from the start of its message until its target is its own. A line has
//! all recipients whose groups and addresses have the same place in the table.

#![forbid(unsafe_code)]

use super::block::{Block, block_of};
use super::engine::{Engine, flag};
use super::layout::block;
use super::lists::Queue;
use super::lock::Held;
use super::recipient::{self, Place};
use super::targets::Occupied;

/// Words of the memory for messages for each line: no recipient takes less than five.
const SHARE: usize = 16;
/// Recipients that are put in line before others get the lock, or a turn.
const TOGETHER: usize = 4;

/// The table of lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    start: usize,
    /// A power of two.
    lines: usize,
}

/// Where somebody stands: in which line, behind whom (0 for nobody), and who it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    line: Queue,
    before: usize,
    pub(super) entry: usize,
}

impl Lines {
    /// A table for as many recipients as there can be in memory of this many words.
    pub(super) fn new(start: usize, memory: usize) -> Self {
        Self {
            start,
            lines: (memory / SHARE).next_power_of_two(),
        }
    }

    /// Words of the table.
    pub(super) fn words(self) -> usize {
        self.lines
    }

    /// Forgets all lines.
    pub(super) fn clear(self, held: &Held<'_>) {
        for line in 0..self.lines {
            if held.get(self.start + line) != 0 {
                held.set(self.start + line, 0);
            }
        }
    }

    fn line(self, hash: u64) -> Queue {
        Queue(self.start + ((hash >> 16) as usize & (self.lines - 1)))
    }
}

/// The first in a line for whom `is_meant` holds.
#[inline]
fn first(held: &Held<'_>, line: Queue, is_meant: impl Fn(usize) -> bool) -> Option<Stand> {
    let (mut before, mut next) = (0, line.head(held));
    while let Some(entry) = next {
        if is_meant(entry) {
            return Some(Stand {
                line,
                before,
                entry,
            });
        }
        before = entry;
        next = Some(recipient::link(held, entry) as usize).filter(|&entry| entry != 0);
    }
    None
}

impl Stand {
    /// Leaves the line.
    #[inline]
    pub(super) fn leave(self, held: &Held<'_>) {
        match self.before {
            0 => {
                self.line.pop(held);
            }
            before => self.line.remove_behind(held, before, self.entry),
        }
    }
}

impl Engine {
    /// Puts some recipients in line.
    pub(super) fn line_up(&self, held: &Held<'_>, at: usize) {
        let block = self.block(at);
        let (cursor, in_flight) = held.pair(at + block::CURSOR);
        let end = (cursor as usize + TOGETHER).min(block.count());
        for entry in (cursor as usize..end).map(|number| block.entry(number)) {
            if recipient::place(held, entry) == Place::Waiting {
                self.push_into_line(held, block, entry);
            }
        }
        held.set_pair(at + block::CURSOR, end as u32, in_flight);
        if end == block.count() {
            held.set_pair(at + block::CURSOR, 0, in_flight);
            self.go_on(held, at);
        }
    }

    /// Puts a recipient behind all others of its line.
    #[inline]
    pub(super) fn push_into_line(&self, held: &Held<'_>, block: Block<'_>, entry: usize) {
        let hash = self.hash(block.own(entry).address);
        self.line(block.at, hash).push(held, entry);
    }

    /// The line of a message's recipient, whose address has this hash.
    fn line(&self, at: usize, hash: u64) -> Queue {
        self.lines.line(hash ^ self.memory.get(at + block::LINE))
    }

    /// Where a recipient stands, if it does.
    pub(super) fn stand(&self, held: &Held<'_>, hash: u64, entry: usize) -> Option<Stand> {
        let line = self.line(block_of(&self.memory, entry), hash);
        first(held, line, |other| other == entry)
    }

    /// Where a recipient stands, if no earlier message of the group has the same target before it.
    pub(super) fn first_in_line(&self, held: &Held<'_>, hash: u64, entry: usize) -> Option<Stand> {
        let line = self.line(block_of(&self.memory, entry), hash);
        let first = first(held, line, self.like(entry));
        first.filter(|stand| stand.entry == entry)
    }

    /// Whether another recipient is the same member of the same group. Messages of different groups do
    /// not wait for each other's turn: a small group would wait for all of a large one.
    fn like(&self, entry: usize) -> impl Fn(usize) -> bool + '_ {
        let what = |entry| {
            let block = self.block(block_of(&self.memory, entry));
            (block.own(entry).address, block.texts()[1])
        };
        move |other| other == entry || what(other) == what(entry)
    }

    /// A recipient has left its line: those like it go on, up to the first whose own turn has not come.
    pub(super) fn let_follow(&self, held: &Held<'_>, hash: u64, left: usize) {
        let line = self.line(block_of(&self.memory, left), hash);
        while let Some(stand) = first(held, line, self.like(left)) {
            let entry = stand.entry;
            if recipient::place(held, entry) != Place::AtTarget {
                return;
            }
            let at = block_of(&self.memory, entry);
            if let Some(ending) = self.closing(held, at) {
                stand.leave(held);
                self.end(held, entry, ending);
                continue;
            }
            match self.take_target(held, hash, entry) {
                Occupied::Yours => {
                    stand.leave(held);
                    self.make_ready(held, entry);
                }
                Occupied::Busy(busy) => {
                    stand.leave(held);
                    self.wait_for_target(held, busy, entry);
                }
                Occupied::NoRoom => {
                    // It is looked at once more with those that were put off.
                    recipient::set_place(held, entry, Place::Waiting);
                    let (skipped, put_off) = held.pair(at + block::SKIPPED);
                    held.set_pair(at + block::SKIPPED, skipped, put_off + 1);
                    let flags = held.get(at + block::FLAGS);
                    held.set(at + block::FLAGS, flags & !flag::SECOND_PASS);
                    self.enter_turns(held, at);
                    return;
                }
            }
        }
    }
}
