//! In which order the messages of a group get their turn at each member (M-3, RFC 3428 §8): that in which
//! they were started, however far each of them has come with its other recipients.
//!
//! A recipient stands in a line from the start of its message until its target is its own. A line has
//! all recipients whose addresses have the same place in the table.

#![forbid(unsafe_code)]

use super::lists::Queue;
use super::lock::Held;
use super::recipient;

/// Words of the memory for messages for each line: no recipient takes less than five.
const SHARE: usize = 16;

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

    /// Puts a recipient behind all others of its line.
    #[inline]
    pub(super) fn push(self, held: &Held<'_>, hash: u64, entry: usize) {
        self.line(hash).push(held, entry);
    }

    /// Whether nobody stands where an address belongs.
    #[inline]
    pub(super) fn is_empty(self, held: &Held<'_>, hash: u64) -> bool {
        self.line(hash).head(held).is_none()
    }

    /// The first for whom `is_meant` holds.
    #[inline]
    pub(super) fn first(
        self,
        held: &Held<'_>,
        hash: u64,
        is_meant: impl Fn(usize) -> bool,
    ) -> Option<Stand> {
        let line = self.line(hash);
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
