//! Names of next hops, and where they lead (RFC 3263). No process that handles requests asks a name
//! server: it looks here, and a copy whose name is not known yet waits here. One process of the
//! module's own asks, and writes what it has heard.
//!
//! A name is known from its first answer on. It is asked anew before its time is over, while it is in use;
//! if no answer comes, what was known serves for another hour. A name that nobody waits for makes room
//! for another one, the one that was used least recently first. The names for which copies of one
//! originator wait are bounded: with more, that originator's copies wait for each other.
//!
//! ```text
//!  an entry:   unused ── make ──► known or not ── no copy waits, not asked, another name needs room (make) ──┐
//!              (hash 0)              ▲                                                                       │
//!                                    └──── the next use, with a new `use_number`: late answers are stale ◄───┘
//!
//!  its question:  asked = 0 ── ask: at the end of the list ──► 1, in the list ── next ──► 1, being asked
//!                     ▲                                                                      │
//!                     └────────────────────────── was_asked: an answer, or none ◄────────────┘
//!
//!  a copy:        outside, by originator ── pop_outside: there is room ──► taken, and may wait at the name
//!                 at a name (`push`) ── pop: addresses are known, or it was in vain ──► taken
//!                 either ── take_out: its message sends nothing more ──► taken
//! ```
//!
//! A name for which copies wait has its bit in `waited`, and counts for one originator (`owner`).
//!
//! All words are changed with the lock. What is in the queues here has the place `AtName`.

#![deny(unsafe_code)]

mod name;
mod questions;
mod table;
mod waiting;
mod ways;

pub use name::LONGEST_NAME;
pub(super) use name::Name;
pub use questions::Question;
use questions::Questions;
use table::Table;
pub(super) use waiting::Place;
use waiting::Waiting;
use ways::Ways;

use super::lock::Held;

/// Where all of it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) questions: Questions,
    pub(super) waiting: Waiting,
    pub(super) table: Table,
    pub(super) ways: Ways,
}

impl Names {
    /// Words of all of it.
    pub(super) const WORDS: usize = Questions::WORDS + Waiting::WORDS + Table::WORDS + Ways::WORDS;

    /// What starts at this word.
    pub(super) fn new(start: usize) -> Self {
        let waiting = start + Questions::WORDS;
        let table = Table(waiting + Waiting::WORDS);
        Self {
            questions: Questions { start, table },
            waiting: Waiting {
                start: waiting,
                table,
            },
            table,
            ways: Ways {
                start: table.0 + Table::WORDS,
                table,
            },
        }
    }

    /// Forgets all names. Answers that are still to come are known as stale.
    pub(super) fn clear(self, held: &Held<'_>) {
        self.questions.clear(held);
        self.waiting.clear(held);
        self.table.clear(held);
    }
}
