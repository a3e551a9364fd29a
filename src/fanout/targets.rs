//! Who is being sent to now (M-3, RFC 3428 §8): one message to each target at a time. Those that come
//! meanwhile wait in their order.
//!
//! ```text
//!            occupy                    a copy ends, another waits (`keep`)
//!  not there ──────► sent to ─────────────────────────────────► kept for the next ◄───────┐
//!     ▲                 │  ▲                                          │  │                │ the copy ends
//!     │ a copy ends,    │  └────────── whom it is kept for goes ◄─────┘  │ another goes   │
//!     └─ nobody waits ◄─┘                                                └► sent to, who was
//!                                                                           kept is put off
//! ```
//!
//! | | `kept` | `put_off` |
//! |---|---|---|
//! | sent to | none | none |
//! | kept for the next | who is next | none, or who was put off |
//! | sent to by another one | none | who was put off, and is next |
//!
//! All words are changed with the lock. An entry stands in the chain of its hash, or among the free ones; while it is
//! in a chain it is one of the three.

#![deny(unsafe_code)]

use super::fair_share;
use super::lists::Queue;
use super::lock::Held;
use super::recipient::Recipient;
use super::shared_memory::{At, Link, Locked, shared};
use std::sync::atomic::AtomicU64;

shared! {
    /// A target that is being sent to, or kept for the next that waits.
    pub(super) struct Target {
        hash: Locked<u64>,
        /// Those that wait for it, and how many they are.
        queue: Queue,
        length: Locked<u32>,
        /// The number of the next entry of its chain, or of the next free one.
        next: Locked<u32>,
        /// For whom it is kept, and who was put off when another one took it.
        kept: Link<Recipient>,
        put_off: Link<Recipient>,
    }
}

/// Words of an entry.
const WORDS: usize = size_of::<Target>() / size_of::<AtomicU64>();
const _: () = assert!(WORDS == 4);
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

/// What became of the wish to send to a target.
pub(super) enum Occupied<'h> {
    /// It is yours.
    Yours,
    /// Another message is being sent to it.
    Busy(&'h Target),
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
            self.chain(held, chain as u64).set(held, 0);
        }
        held.root.hot.targets_free.set(held, 0);
        held.root.hot.targets_ever.set(held, 0);
    }

    /// Leads to the number of the first entry of a chain.
    fn chain<'h>(self, held: &'h Held<'_>, hash: u64) -> &'h Locked<u64> {
        &held[At::word(self.start + (hash as usize & (self.chains - 1)))]
    }

    fn at<'h>(self, held: &'h Held<'_>, number: u32) -> &'h Target {
        debug_assert!(number as usize <= self.entries);
        &held[At::word(self.start + self.chains + (number as usize - 1) * WORDS)]
    }

    /// The entry of a target.
    #[inline]
    pub(super) fn find<'h>(self, held: &'h Held<'_>, hash: u64) -> Option<&'h Target> {
        let mut number = self.chain(held, hash).get() as u32;
        while number != 0 {
            let target = self.at(held, number);
            if target.hash.get() == hash {
                return Some(target);
            }
            number = target.next.get();
        }
        None
    }

    /// Whether another target may be taken.
    pub(super) fn has_room(self, held: &Held<'_>) -> bool {
        let hot = &held.root.hot;
        hot.targets_free.get() != 0 || (hot.targets_ever.get() as usize) < self.entries
    }

    /// Takes a target, unless somebody has it.
    #[inline]
    pub(super) fn occupy<'h>(self, held: &'h Held<'_>, hash: u64) -> Occupied<'h> {
        if let Some(busy) = self.find(held, hash) {
            return Occupied::Busy(busy);
        }
        let hot = &held.root.hot;
        let number = match (hot.targets_free.get(), hot.targets_ever.get()) {
            (0, ever) if ever as usize == self.entries => return Occupied::NoRoom,
            (0, ever) => {
                hot.targets_ever.set(held, ever + 1);
                ever + 1
            }
            (free, _) => {
                hot.targets_free.set(held, self.at(held, free).next.get());
                free
            }
        };
        let (chain, target) = (self.chain(held, hash), self.at(held, number));
        target.hash.set(held, hash);
        target.queue.clear(held);
        target.kept.set(held, None);
        target.put_off.set(held, None);
        target.length.set(held, 0);
        target.next.set(held, chain.get() as u32);
        chain.set(held, number.into());
        Occupied::Yours
    }

    /// Gives up a target for which nobody waits.
    #[inline]
    pub(super) fn leave(self, held: &Held<'_>, hash: u64) {
        let chain = self.chain(held, hash);
        let mut before: Option<&Target> = None;
        let mut number = chain.get() as u32;
        while number != 0 {
            let target = self.at(held, number);
            let next = target.next.get();
            if target.hash.get() == hash {
                debug_assert!(!target.is_wanted());
                match before {
                    None => chain.set(held, next.into()),
                    Some(before) => before.next.set(held, next),
                }
                let free = &held.root.hot.targets_free;
                target.next.set(held, free.get());
                free.set(held, number);
                return;
            }
            before = Some(target);
            number = next;
        }
    }
}

impl Target {
    /// Lets a recipient wait, unless as many as may of those for whom `is_like_it` holds wait already: `most`, where
    /// others have not taken so much of the queue that it is less. Only where these may be too many they are counted.
    pub(super) fn wait(
        &self,
        held: &Held<'_>,
        entry: At<Recipient>,
        most: u32,
        is_like_it: impl Fn(At<Recipient>) -> bool,
    ) -> bool {
        let length = self.length.get();
        let most = u64::from(most);
        let size = fair_share::size_for(most);
        let free = size.saturating_sub(u64::from(length));
        let fits = |own| own < most && fair_share::fits(own, free, size);
        if !fits(u64::from(length)) {
            let alike = self.queue.iter(held).filter(|&other| is_like_it(other));
            if free == 0 || !fits(alike.count() as u64) {
                return false;
            }
        }
        self.length.add(held, 1);
        self.queue.push(held, entry);
        true
    }

    /// Lets a recipient wait before all others.
    pub(super) fn wait_first(&self, held: &Held<'_>, entry: At<Recipient>) {
        self.length.add(held, 1);
        self.queue.push_front(held, entry);
    }

    /// Lets a recipient wait behind one that does.
    pub(super) fn wait_behind(&self, held: &Held<'_>, before: At<Recipient>, entry: At<Recipient>) {
        self.length.add(held, 1);
        self.queue.push_behind(held, before, entry);
    }

    /// Those that wait, the one first that has waited longest.
    pub(super) fn waiting(&self, held: &Held<'_>) -> impl Iterator<Item = At<Recipient>> {
        self.queue.iter(held)
    }

    /// The recipient that has waited longest.
    #[inline]
    pub(super) fn next(&self, held: &Held<'_>) -> Option<At<Recipient>> {
        let entry = self.queue.pop(held)?;
        self.length.subtract(held, 1);
        Some(entry)
    }

    /// Takes out a recipient: the first that waits, or one that waits behind another.
    pub(super) fn leave_queue(
        &self,
        held: &Held<'_>,
        before: Option<At<Recipient>>,
        entry: At<Recipient>,
    ) {
        self.queue.remove(held, before, entry);
        self.length.subtract(held, 1);
    }

    /// Whether anybody waits, or was put off.
    #[inline]
    pub(super) fn is_wanted(&self) -> bool {
        let first = self.queue.head();
        first.or(self.kept.get()).or(self.put_off.get()).is_some()
    }

    /// For whom the target is kept.
    #[inline]
    pub(super) fn kept(&self) -> Option<At<Recipient>> {
        self.kept.get()
    }

    /// Who was put off when another one took it.
    #[inline]
    pub(super) fn put_off(&self) -> Option<At<Recipient>> {
        self.put_off.get()
    }

    /// Keeps the target for a recipient, or for none.
    #[inline]
    pub(super) fn keep(&self, held: &Held<'_>, kept: Option<At<Recipient>>) {
        self.kept.set(held, kept);
    }

    /// Puts a recipient off, or none.
    #[inline]
    pub(super) fn keep_put_off(&self, held: &Held<'_>, put_off: Option<At<Recipient>>) {
        self.put_off.set(held, put_off);
    }
}
