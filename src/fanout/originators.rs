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
//! All of this is read and written with the lock. In turns and held back it is in one list with its `links`; idle it is in
//! none, and has no message that may send. The share is that of [`fair_share`](super::fair_share): a copy in flight is a
//! place of `forks_in_flight`, whether its recipient will answer or not. Who is held back waits in the list of those
//! with as many copies in flight; of these lists the first that is not empty is the first whose share grows, so that
//! nobody else has to be looked at. What the share is grows by two at most with each copy that lands, and nobody is put
//! into a list below it: so looking for that list costs a few steps for each copy.

#![forbid(unsafe_code)]

use super::layout::{Message, Originator};
use super::lists::{List, Turn};
use super::lock::Held;
use super::shared_memory::{At, Locked};
use std::sync::atomic::AtomicU64;

/// Words of an entry.
const WORDS: usize = size_of::<Originator>() / size_of::<AtomicU64>();
const _: () = assert!(WORDS == 6);

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
        for chain in 0..self.chains {
            self.chain(held, chain as u64).set(held, 0);
        }
        for own in 0..=self.window {
            self.list(held, own as u32).clear(held);
        }
        let (hot, flow) = (&held.root.hot, &held.root.flow);
        hot.turns.clear(held);
        hot.held_back.set(held, 0);
        hot.lowest_held_back.set(held, 0);
        flow.originators_free.set(held, 0);
        flow.originators_ever.set(held, 0);
    }

    /// Leads to the number of the first entry of a chain.
    fn chain<'h>(self, held: &'h Held<'_>, hash: u64) -> &'h Locked<u64> {
        &held[At::word(self.start + (hash as usize & (self.chains - 1)))]
    }

    fn at(self, number: u32) -> At<Originator> {
        At::word(self.start + self.chains + (number as usize - 1) * WORDS)
    }

    /// Those that are held back with this many copies in flight.
    fn list<'h>(self, held: &'h Held<'_>, in_flight: u32) -> &'h List<Originator, Turn> {
        &held[At::word(self.lists() + (in_flight as usize).min(self.window))]
    }

    /// A message of the originator whose address has this hash is under way from now on.
    pub(super) fn join(self, held: &Held<'_>, at: At<Message>, hash: u64) {
        let originator = self
            .find(held, hash)
            .unwrap_or_else(|| self.add(held, hash));
        held[originator].under_way.add(held, 1);
        held[at].originator.set(held, Some(originator));
    }

    fn find(self, held: &Held<'_>, hash: u64) -> Option<At<Originator>> {
        let mut number = self.chain(held, hash).get() as u32;
        while number != 0 {
            let at = self.at(number);
            if held[at].hash.get() == hash {
                return Some(at);
            }
            number = held[at].chain.get();
        }
        None
    }

    fn add(self, held: &Held<'_>, hash: u64) -> At<Originator> {
        let flow = &held.root.flow;
        let (free, ever) = (flow.originators_free.get(), flow.originators_ever.get());
        let number = match free {
            // More messages than `queue_messages` have been taken up again: two originators are taken for one.
            0 if ever as usize == self.chains => {
                return self.at((hash >> 32) as u32 % ever + 1);
            }
            0 => {
                flow.originators_ever.set(held, ever + 1);
                ever + 1
            }
            free => {
                let next = held[self.at(free)].chain.get();
                flow.originators_free.set(held, next);
                free
            }
        };
        let (chain, at) = (self.chain(held, hash), self.at(number));
        let originator = &held[at];
        originator.hash.set(held, hash);
        originator.messages.clear(held);
        originator.in_flight.set(held, 0);
        originator.under_way.set(held, 0);
        originator.links.forget(held);
        originator.silent.set(held, 0);
        originator.chain.set(held, chain.get() as u32);
        originator.state.set(held, IDLE);
        chain.set(held, number.into());
        at
    }

    /// A message, of which nothing is in flight, is not under way any more.
    pub(super) fn leave(self, held: &Held<'_>, at: At<Message>) {
        let own = Message::originator_at(held, at);
        let originator = &held[own];
        originator.under_way.subtract(held, 1);
        if originator.under_way.get() > 0 {
            return;
        }
        debug_assert_eq!(
            (originator.in_flight.get(), originator.state.get()),
            (0, IDLE)
        );
        let chain = self.chain(held, originator.hash.get());
        let mut before: Option<&Originator> = None;
        let mut number = chain.get() as u32;
        while number != 0 {
            let found = &held[self.at(number)];
            let next = found.chain.get();
            if self.at(number) == own {
                match before {
                    None => chain.set(held, next.into()),
                    Some(before) => before.chain.set(held, next),
                }
                let free = &held.root.flow.originators_free;
                originator.chain.set(held, free.get());
                free.set(held, number);
                return;
            }
            before = Some(found);
            number = next;
        }
    }

    /// Puts a message that may send among those of its originator, which takes its turns then.
    pub(super) fn enter(self, held: &Held<'_>, at: At<Message>) {
        let own = Message::originator_at(held, at);
        let originator = &held[own];
        originator.messages.push(held, at);
        if originator.state.get() == IDLE {
            originator.state.set(held, IN_TURNS);
            held.root.hot.turns.push(held, own);
        }
    }

    /// Takes out a message that may not send any more.
    pub(super) fn quit(self, held: &Held<'_>, at: At<Message>) {
        let own = Message::originator_at(held, at);
        let originator = &held[own];
        originator.messages.remove(held, at);
        if originator.messages.head().is_some() {
            return;
        }
        match originator.state.get() {
            IN_TURNS => held.root.hot.turns.remove(held, own),
            WAITS => self.let_go(held, own),
            _ => {}
        }
        originator.state.set(held, IDLE);
    }

    /// Lets an originator that takes its turns wait until its share is larger.
    pub(super) fn hold_back(self, held: &Held<'_>, at: At<Originator>) {
        let (hot, originator) = (&held.root.hot, &held[at]);
        debug_assert_eq!(originator.state.get(), IN_TURNS);
        hot.turns.remove(held, at);
        let own = originator.in_flight.get();
        self.list(held, own).push(held, at);
        originator.state.set(held, WAITS);
        let lowest = match hot.held_back.get() {
            0 => own,
            _ => hot.lowest_held_back.get().min(own),
        };
        hot.held_back.add(held, 1);
        hot.lowest_held_back.set(held, lowest);
    }

    /// Takes an originator out of the list of those that are held back like it.
    fn let_go(self, held: &Held<'_>, at: At<Originator>) {
        let own = held[at].in_flight.get();
        self.list(held, own).remove(held, at);
        let hot = &held.root.hot;
        hot.held_back.subtract(held, 1);
        if hot.held_back.get() == 0 {
            hot.lowest_held_back.set(held, 0);
        }
    }

    /// One that is held back takes its turns again.
    fn takes_turns(self, held: &Held<'_>, at: At<Originator>) {
        self.let_go(held, at);
        held[at].state.set(held, IN_TURNS);
        held.root.hot.turns.push(held, at);
    }

    /// Lets one of those that are held back take its turns again, if one may, and gives it: it has waited longer than
    /// those that took theirs meanwhile.
    pub(super) fn go_on(
        self,
        held: &Held<'_>,
        has_room: impl Fn(u32) -> bool,
    ) -> Option<At<Originator>> {
        let lowest = &held.root.hot.lowest_held_back;
        let mut own = lowest.get();
        while has_room(own) && own as usize <= self.window {
            if let Some(at) = self.list(held, own).head() {
                self.takes_turns(held, at);
                return Some(at);
            }
            own += 1;
            lowest.set(held, own);
        }
        None
    }

    /// One copy of a message is in flight that was not.
    #[inline]
    pub(super) fn take_off(held: &Held<'_>, at: At<Message>) {
        Message::originator_of(held, at).in_flight.add(held, 1);
    }

    /// One copy of a message is in flight no more.
    #[inline]
    pub(super) fn land(self, held: &Held<'_>, at: At<Message>) {
        let own = Message::originator_at(held, at);
        if held[own].is_held_back() {
            self.takes_turns(held, own);
        }
        held[own].in_flight.subtract(held, 1);
    }
}

impl Message {
    /// The originator of a message under way, and where it stands.
    #[inline]
    pub(super) fn originator_at(held: &Held<'_>, at: At<Self>) -> At<Originator> {
        let originator = held[at].originator.get();
        // Each message has one from its start on.
        originator.unwrap_or_else(|| unreachable!("message {at:?} has no originator"))
    }

    #[inline]
    pub(super) fn originator_of<'h>(held: &'h Held<'_>, at: At<Self>) -> &'h Originator {
        &held[Self::originator_at(held, at)]
    }
}

impl Originator {
    /// Whether it has something to send, but as many copies in flight as it may.
    pub(super) fn is_held_back(&self) -> bool {
        self.state.get() == WAITS
    }

    /// Gives its turn to the next originator, if it still takes turns and is not the only one.
    #[inline]
    pub(super) fn turn_is_over(held: &Held<'_>, at: At<Self>) {
        let turns = &held.root.hot.turns;
        if turns.after(held, at).is_some() {
            turns.remove(held, at);
            turns.push(held, at);
        }
    }
}
