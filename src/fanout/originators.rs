//! Who has messages under way. Turns are taken among originators first, and among the messages of each then, so that
//! who sends many messages, or messages to many, keeps nobody else waiting.
//!
//! ```text
//!         a message of it may send            its turn, but its share is full
//!   idle ──────────────────────────► in turns ──────────────────────────────► held back
//!    ▲  ▲     none of them may any more  │  ▲    a copy of it has landed, or      │  │
//!    │  └────────────────────────────────┘  └────────────────────────────────────┘  │
//!    └──────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! All of this is read and written with the lock. The share is that of [`share`](super::share): a copy in flight is a
//! place of `forks_in_flight`, whether its recipient will answer or not. Who is held back waits in the list of those
//! with as many copies in flight; of these lists the first that is not empty is the first whose share grows, so that
//! nobody else has to be looked at. What the share is grows by two at most with each copy that lands, and nobody is put
//! into a list below it: so looking for that list costs a few steps for each copy.

#![forbid(unsafe_code)]

use super::layout::originator::{CHAIN, HASH, IN_FLIGHT, LINKS, MESSAGES, SILENT, WORDS};
use super::layout::{HELD_BACK, ORIGINATORS_FREE, TURNS, block};
use super::lists::BlockList;
use super::lock::Held;

/// Nothing of it may be sent.
const IDLE: u32 = 0;
/// It takes its turns.
const IN_TURNS: u32 = 1;
/// It has something to send, but has as many copies in flight as it may.
const WAITS: u32 = 2;

/// The table: first words that each lead to a chain of entries, then the entries, then the lists of those that are
/// held back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Originators {
    start: usize,
    /// A power of two.
    chains: usize,
    /// The most copies in flight.
    window: usize,
}

/// One originator that has messages under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Originator(pub(super) usize);

impl Originators {
    /// A table for at least `entries` originators, and `window` copies in flight.
    pub(super) fn new(start: usize, entries: usize, window: usize) -> Self {
        Self {
            start: start.next_multiple_of(WORDS),
            chains: entries.next_power_of_two(),
            window,
        }
    }

    /// The first word behind the table.
    pub(super) fn end(self) -> usize {
        self.lists() + self.window + 1
    }

    fn lists(self) -> usize {
        self.start + self.chains * (1 + WORDS)
    }

    /// Forgets all originators.
    pub(super) fn clear(self, held: &Held<'_>) {
        let lists = self.lists()..self.end();
        for word in (self.start..self.start + self.chains).chain(lists) {
            held.set(word, 0);
        }
        for word in [TURNS.anchor, HELD_BACK, ORIGINATORS_FREE] {
            held.set(word, 0);
        }
    }

    fn chain(self, hash: u64) -> usize {
        self.start + (hash as usize & (self.chains - 1))
    }

    fn at(self, number: u32) -> usize {
        self.start + self.chains + (number as usize - 1) * WORDS
    }

    /// Those that are held back with this many copies in flight.
    fn list(self, in_flight: u32) -> BlockList {
        BlockList {
            anchor: self.lists() + (in_flight as usize).min(self.window),
            link: LINKS,
        }
    }

    /// A message of the originator whose address has this hash is under way from now on.
    pub(super) fn join(self, held: &Held<'_>, at: usize, hash: u64) {
        let entry = self
            .find(held, hash)
            .unwrap_or_else(|| self.add(held, hash));
        let (in_flight, messages) = held.pair(entry + IN_FLIGHT);
        held.set_pair(entry + IN_FLIGHT, in_flight, messages + 1);
        held.set(at + block::ORIGINATOR, entry as u64);
    }

    fn find(self, held: &Held<'_>, hash: u64) -> Option<usize> {
        let mut number = held.get(self.chain(hash)) as u32;
        while number != 0 {
            let entry = self.at(number);
            if held.get(entry + HASH) == hash {
                return Some(entry);
            }
            number = held.pair(entry + CHAIN).0;
        }
        None
    }

    fn add(self, held: &Held<'_>, hash: u64) -> usize {
        let (free, ever) = held.pair(ORIGINATORS_FREE);
        let number = match free {
            // More messages than `queue_messages` have been taken up again: two originators are taken for one.
            0 if ever as usize == self.chains => {
                return self.at((hash >> 32) as u32 % ever + 1);
            }
            0 => {
                held.set_pair(ORIGINATORS_FREE, 0, ever + 1);
                ever + 1
            }
            free => {
                held.set_pair(ORIGINATORS_FREE, held.pair(self.at(free) + CHAIN).0, ever);
                free
            }
        };
        let (chain, entry) = (self.chain(hash), self.at(number));
        held.set(entry + HASH, hash);
        for word in [MESSAGES, IN_FLIGHT, LINKS, SILENT] {
            held.set(entry + word, 0);
        }
        held.set_pair(entry + CHAIN, held.get(chain) as u32, IDLE);
        held.set(chain, u64::from(number));
        entry
    }

    /// A message, of which nothing is in flight, is not under way any more.
    pub(super) fn leave(self, held: &Held<'_>, at: usize) {
        let Originator(entry) = Originator::of(held, at);
        let (in_flight, messages) = held.pair(entry + IN_FLIGHT);
        held.set_pair(entry + IN_FLIGHT, in_flight, messages - 1);
        if messages > 1 {
            return;
        }
        let chain = self.chain(held.get(entry + HASH));
        let mut before = None;
        let mut number = held.get(chain) as u32;
        while number != 0 {
            let (next, _) = held.pair(self.at(number) + CHAIN);
            if self.at(number) == entry {
                match before {
                    None => held.set(chain, u64::from(next)),
                    Some(before) => {
                        let (_, state) = held.pair(before + CHAIN);
                        held.set_pair(before + CHAIN, next, state);
                    }
                }
                let (free, ever) = held.pair(ORIGINATORS_FREE);
                held.set_pair(entry + CHAIN, free, IDLE);
                held.set_pair(ORIGINATORS_FREE, number, ever);
                return;
            }
            before = Some(self.at(number));
            number = next;
        }
    }

    /// Puts a message that may send among those of its originator, which takes its turns then.
    pub(super) fn enter(self, held: &Held<'_>, at: usize) {
        let originator = Originator::of(held, at);
        originator.messages().push(held, at);
        if originator.state(held) == IDLE {
            originator.set_state(held, IN_TURNS);
            TURNS.push(held, originator.0);
        }
    }

    /// Takes out a message that may not send any more.
    pub(super) fn quit(self, held: &Held<'_>, at: usize) {
        let originator = Originator::of(held, at);
        originator.messages().remove(held, at);
        if originator.messages().head(held).is_some() {
            return;
        }
        match originator.state(held) {
            IN_TURNS => TURNS.remove(held, originator.0),
            WAITS => self.let_go(held, originator),
            _ => {}
        }
        originator.set_state(held, IDLE);
    }

    /// Lets an originator that takes its turns wait until its share is larger.
    pub(super) fn hold_back(self, held: &Held<'_>, originator: Originator) {
        TURNS.remove(held, originator.0);
        let own = originator.in_flight(held);
        self.list(own).push(held, originator.0);
        originator.set_state(held, WAITS);
        let (count, lowest) = held.pair(HELD_BACK);
        let lowest = if count == 0 { own } else { lowest.min(own) };
        held.set_pair(HELD_BACK, count + 1, lowest);
    }

    /// Takes an originator out of the list of those that are held back like it.
    fn let_go(self, held: &Held<'_>, originator: Originator) {
        self.list(originator.in_flight(held))
            .remove(held, originator.0);
        let (count, lowest) = held.pair(HELD_BACK);
        let lowest = if count == 1 { 0 } else { lowest };
        held.set_pair(HELD_BACK, count - 1, lowest);
    }

    /// Lets one of those that are held back take its turns again, if one may, and gives it: it has waited longer than
    /// those that took theirs meanwhile.
    pub(super) fn go_on(
        self,
        held: &Held<'_>,
        has_room: impl Fn(u32) -> bool,
    ) -> Option<Originator> {
        let (count, lowest) = held.pair(HELD_BACK);
        let mut own = lowest;
        while has_room(own) && own as usize <= self.window {
            if let Some(entry) = self.list(own).head(held) {
                let originator = Originator(entry);
                self.let_go(held, originator);
                originator.set_state(held, IN_TURNS);
                TURNS.push(held, entry);
                return Some(originator);
            }
            own += 1;
            held.set_pair(HELD_BACK, count, own);
        }
        None
    }

    /// One copy of a message is in flight that was not.
    #[inline]
    pub(super) fn take_off(held: &Held<'_>, at: usize) {
        held.add(Originator::of(held, at).0 + IN_FLIGHT, 1);
    }

    /// One copy of a message is in flight no more.
    #[inline]
    pub(super) fn land(self, held: &Held<'_>, at: usize) {
        let originator = Originator::of(held, at);
        if originator.state(held) == WAITS {
            self.let_go(held, originator);
            originator.set_state(held, IN_TURNS);
            TURNS.push(held, originator.0);
        }
        held.subtract(originator.0 + IN_FLIGHT, 1);
    }
}

impl Originator {
    /// That of a message under way.
    #[inline]
    pub(super) fn of(held: &Held<'_>, at: usize) -> Self {
        Self(held.get(at + block::ORIGINATOR) as usize)
    }

    /// Its messages that may send.
    #[inline]
    pub(super) fn messages(self) -> BlockList {
        BlockList {
            anchor: self.0 + MESSAGES,
            link: 0,
        }
    }

    /// How many of its copies are in flight.
    #[inline]
    pub(super) fn in_flight(self, held: &Held<'_>) -> u32 {
        held.pair(self.0 + IN_FLIGHT).0
    }

    /// How many of its copies in flight are silent.
    pub(super) fn silent(self, held: &Held<'_>) -> u64 {
        held.get(self.0 + SILENT)
    }

    /// One of its copies in flight is silent that was not.
    pub(super) fn one_more_is_silent(self, held: &Held<'_>) {
        held.add(self.0 + SILENT, 1);
    }

    /// One of its copies that were silent is in flight no more.
    pub(super) fn one_less_is_silent(self, held: &Held<'_>) {
        held.subtract(self.0 + SILENT, 1);
    }

    /// Whether it has something to send, but as many copies in flight as it may.
    pub(super) fn is_held_back(self, held: &Held<'_>) -> bool {
        self.state(held) == WAITS
    }

    /// Gives its turn to the next originator, if it still takes turns and is not the only one.
    #[inline]
    pub(super) fn turn_is_over(self, held: &Held<'_>) {
        if TURNS.after(held, self.0).is_some() {
            TURNS.remove(held, self.0);
            TURNS.push(held, self.0);
        }
    }

    #[inline]
    fn state(self, held: &Held<'_>) -> u32 {
        held.pair(self.0 + CHAIN).1
    }

    fn set_state(self, held: &Held<'_>, state: u32) {
        let (next, _) = held.pair(self.0 + CHAIN);
        held.set_pair(self.0 + CHAIN, next, state);
    }
}
