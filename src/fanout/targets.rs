//! Who is being sent to now (M-3, RFC 3428 §8): one message to each target at a time. Those that come
//! meanwhile wait in their order.

#![forbid(unsafe_code)]

use super::layout::TARGETS_FREE;
use super::lists::Queue;
use super::lock::Held;
use super::share;

/// Words of an entry: hash, the queue of those that wait, how many they are and the next entry, and for whom the target
/// is kept and who was put off.
const WORDS: usize = 4;
const QUEUE: usize = 1;
const LENGTH: usize = 2;
const KEPT: usize = 3;
/// Words of the memory for messages for each target: no recipient takes less than five.
const SHARE: usize = 16;

/// The table: first words that each lead to a chain of entries, then the entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Targets {
    start: usize,
    /// A power of two.
    chains: usize,
    entries: usize,
}

/// A target that is being sent to, or kept for the next that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Busy(usize);

/// What became of the wish to send to a target.
pub(super) enum Occupied {
    /// It is yours.
    Yours,
    /// Another message is being sent to it.
    Busy(Busy),
    /// The table is full.
    NoRoom,
}

impl Targets {
    /// A table for `at_once` copies in flight, and messages in memory of so many words. A target is kept for each
    /// recipient that is ready, too, and whoever wishes can have many of those: were there room for few, there would
    /// be none for others.
    pub(super) fn new(start: usize, at_once: usize, memory: usize) -> Self {
        Self {
            start,
            chains: (8 * at_once).next_power_of_two(),
            entries: (2 * at_once).max(memory / SHARE),
        }
    }

    /// The first word behind the table.
    pub(super) fn end(self) -> usize {
        self.start + self.chains + self.entries * WORDS
    }

    /// Forgets all targets.
    pub(super) fn clear(self, held: &Held<'_>) {
        for chain in 0..self.chains {
            held.set(self.start + chain, 0);
        }
        held.set(TARGETS_FREE, 0);
    }

    fn chain(self, hash: u64) -> usize {
        self.start + (hash as usize & (self.chains - 1))
    }

    fn at(self, number: u32) -> usize {
        self.start + self.chains + (number as usize - 1) * WORDS
    }

    /// The entry of a target.
    #[inline]
    pub(super) fn find(self, held: &Held<'_>, hash: u64) -> Option<Busy> {
        let mut number = held.get(self.chain(hash)) as u32;
        while number != 0 {
            let entry = self.at(number);
            if held.get(entry) == hash {
                return Some(Busy(entry));
            }
            number = held.pair(entry + LENGTH).1;
        }
        None
    }

    /// Whether another target may be taken.
    pub(super) fn has_room(self, held: &Held<'_>) -> bool {
        let (free, ever) = held.pair(TARGETS_FREE);
        free != 0 || (ever as usize) < self.entries
    }

    /// Takes a target, unless somebody has it.
    #[inline]
    pub(super) fn occupy(self, held: &Held<'_>, hash: u64) -> Occupied {
        if let Some(busy) = self.find(held, hash) {
            return Occupied::Busy(busy);
        }
        let (free, ever) = held.pair(TARGETS_FREE);
        let number = match free {
            0 if ever as usize == self.entries => return Occupied::NoRoom,
            0 => {
                held.set_pair(TARGETS_FREE, 0, ever + 1);
                ever + 1
            }
            free => {
                let (_, next) = held.pair(self.at(free) + LENGTH);
                held.set_pair(TARGETS_FREE, next, ever);
                free
            }
        };
        let (chain, entry) = (self.chain(hash), self.at(number));
        held.set(entry, hash);
        held.set(entry + QUEUE, 0);
        held.set(entry + KEPT, 0);
        held.set_pair(entry + LENGTH, 0, held.get(chain) as u32);
        held.set(chain, u64::from(number));
        Occupied::Yours
    }

    /// Gives up a target for which nobody waits.
    #[inline]
    pub(super) fn leave(self, held: &Held<'_>, hash: u64) {
        let chain = self.chain(hash);
        let mut before = None;
        let mut number = held.get(chain) as u32;
        while number != 0 {
            let entry = self.at(number);
            let (_, next) = held.pair(entry + LENGTH);
            if held.get(entry) == hash {
                match before {
                    None => held.set(chain, u64::from(next)),
                    Some(before) => {
                        let (length, _) = held.pair(before + LENGTH);
                        held.set_pair(before + LENGTH, length, next);
                    }
                }
                let (free, ever) = held.pair(TARGETS_FREE);
                held.set_pair(entry + LENGTH, 0, free);
                held.set_pair(TARGETS_FREE, number, ever);
                return;
            }
            before = Some(entry);
            number = next;
        }
    }
}

impl Busy {
    /// Lets a recipient wait, unless as many as may of those for whom `is_like_it` holds wait already: `most`, where
    /// others have not taken so much of the queue that it is less. Only where these may be too many they are counted.
    pub(super) fn wait(
        self,
        held: &Held<'_>,
        entry: usize,
        most: u32,
        is_like_it: impl Fn(usize) -> bool,
    ) -> bool {
        let (length, next) = held.pair(self.0 + LENGTH);
        let queue = Queue(self.0 + QUEUE);
        let most = u64::from(most);
        let size = share::size_for(most);
        let free = size.saturating_sub(u64::from(length));
        let fits = |own| own < most && share::fits(own, free, size);
        if !fits(u64::from(length)) {
            let alike = queue.iter(held).filter(|&other| is_like_it(other));
            if free == 0 || !fits(alike.count() as u64) {
                return false;
            }
        }
        held.set_pair(self.0 + LENGTH, length + 1, next);
        queue.push(held, entry);
        true
    }

    /// Lets a recipient wait before all others.
    pub(super) fn wait_first(self, held: &Held<'_>, entry: usize) {
        let (length, next) = held.pair(self.0 + LENGTH);
        held.set_pair(self.0 + LENGTH, length + 1, next);
        Queue(self.0 + QUEUE).push_front(held, entry);
    }

    /// Lets a recipient wait behind one that does.
    pub(super) fn wait_behind(self, held: &Held<'_>, before: usize, entry: usize) {
        let (length, next) = held.pair(self.0 + LENGTH);
        held.set_pair(self.0 + LENGTH, length + 1, next);
        Queue(self.0 + QUEUE).push_behind(held, before, entry);
    }

    /// Those that wait, the one first that has waited longest.
    pub(super) fn waiting(self, held: &Held<'_>) -> impl Iterator<Item = usize> {
        Queue(self.0 + QUEUE).iter(held)
    }

    /// The recipient that has waited longest.
    #[inline]
    pub(super) fn next(self, held: &Held<'_>) -> Option<usize> {
        let entry = Queue(self.0 + QUEUE).pop(held)?;
        self.shorten(held);
        Some(entry)
    }

    /// Takes out a recipient that waits behind another one, or, if that is 0, as the first.
    pub(super) fn leave_queue(self, held: &Held<'_>, before: usize, entry: usize) {
        let queue = Queue(self.0 + QUEUE);
        match before {
            0 => drop(queue.pop(held)),
            before => queue.remove_behind(held, before, entry),
        }
        self.shorten(held);
    }

    fn shorten(self, held: &Held<'_>) {
        let (length, next) = held.pair(self.0 + LENGTH);
        held.set_pair(self.0 + LENGTH, length - 1, next);
    }

    /// Whether anybody waits, or was put off.
    #[inline]
    pub(super) fn is_wanted(self, held: &Held<'_>) -> bool {
        held.get(self.0 + QUEUE) | held.get(self.0 + KEPT) != 0
    }

    /// For whom the target is kept, and who was put off when another one took it; 0 for nobody.
    #[inline]
    pub(super) fn kept(self, held: &Held<'_>) -> (usize, usize) {
        let (kept, put_off) = held.pair(self.0 + KEPT);
        (kept as usize, put_off as usize)
    }

    /// Changes these.
    #[inline]
    pub(super) fn keep(self, held: &Held<'_>, kept: usize, put_off: usize) {
        held.set_pair(self.0 + KEPT, kept as u32, put_off as u32);
    }
}
