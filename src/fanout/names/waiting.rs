//! The copies that wait for names, or for room in the table of names.

#![deny(unsafe_code)]

use super::name::Name;
use super::table::{NAMES, Table};
use crate::fanout::lists::Queue;
use crate::fanout::lock::Held;
use crate::fanout::recipient::Recipient;
use crate::fanout::shared_memory::{At, Locked, SharedMemory, shared};
use std::sync::atomic::AtomicU64;

/// Originators whose names are counted apart from each other; others that share a number share its bound.
const OWNERS: usize = 256;
/// The most names for which copies of one originator wait.
const SHARE: u64 = (NAMES / 8) as u64;
/// Bits of a word.
const BITS: usize = u64::BITS as usize;

shared! {
    struct Words {
        /// Copies that wait for a name.
        waiting: Locked<u64>,
        /// Copies that wait for room in the table.
        outside: Locked<u64>,
        /// Set when the clock has something to do here: a message that sends nothing more may have copies in the
        /// queues, or there was no room for a copy that may go on.
        look: Locked<u64>,
        _rest_of_the_line: [AtomicU64; 5],
        /// For which names copies wait, a bit each: these are looked at by the clock.
        waited: [Locked<u64>; NAMES / BITS],
        owners: [Owner; OWNERS],
    }

    /// An originator, or several that share a number.
    struct Owner {
        /// For how many names its copies wait.
        names: Locked<u64>,
        /// Its copies for which there is no room.
        outside: Queue,
    }
}

/// Where a copy waits.
#[derive(Clone, Copy)]
pub(in super::super) enum Place {
    /// At its name.
    At(At<Name>),
    /// For room in the table, by the number of its originator.
    Outside(u32),
}

/// Where the words of it are.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Waiting {
    pub(super) start: usize,
    pub(super) table: Table,
}

impl Waiting {
    /// Words of it.
    pub(super) const WORDS: usize = size_of::<Words>() / size_of::<AtomicU64>();

    fn words(self, memory: &SharedMemory) -> &Words {
        &memory[At::word(self.start)]
    }

    fn owner<'h>(self, held: &'h Held<'_>, owner: u32) -> &'h Owner {
        &self.words(held.memory).owners[owner as usize % OWNERS]
    }

    /// All originators' numbers.
    pub(in super::super) fn owners(self) -> std::ops::Range<u32> {
        0..OWNERS as u32
    }

    /// How many copies wait.
    pub(in super::super) fn copies(self, memory: &SharedMemory) -> u64 {
        self.words(memory).waiting.get()
    }

    /// The names for which copies wait.
    pub(in super::super) fn names(self, held: &Held<'_>) -> Vec<At<Name>> {
        let words = self.words(held.memory).waited.iter().map(Locked::get);
        let words = words.enumerate().filter(|(_, bits)| *bits != 0);
        let indices = words.flat_map(|(word, bits)| {
            let set = (0..BITS).filter(move |bit| bits >> bit & 1 != 0);
            set.map(move |bit| (word * BITS + bit) as u32)
        });
        indices
            .filter_map(|index| self.table.entry(index))
            .collect()
    }

    /// Where a copy of this originator is to wait for a name, for which an entry is made if there is room.
    pub(in super::super) fn place(
        self,
        held: &Held<'_>,
        hash: u64,
        name: &[u8],
        owner: u32,
        now: u64,
    ) -> Place {
        let found = self.table.find(held, hash);
        if let Some(entry) = found.filter(|&entry| held[entry].has_waiting()) {
            return Place::At(entry);
        }
        // Its own number of the originator, so that it gets its room back.
        let has_share = self.owner(held, owner).names.get() < SHARE;
        let make = || found.or_else(|| self.table.make(held, hash, name, now));
        let Some(entry) = has_share.then(make).flatten() else {
            return Place::Outside(owner);
        };
        held[entry].owner.set(held, owner % OWNERS as u32);
        Place::At(entry)
    }

    /// Lets a copy wait.
    pub(in super::super) fn push(
        self,
        held: &Held<'_>,
        place: Place,
        copy: At<Recipient>,
        now: u64,
    ) {
        self.words(held.memory).waiting.add(held, 1);
        match place {
            Place::At(entry) => {
                self.has_come(held, entry);
                held[entry].queue.push(held, copy);
                held[entry].length.add(held, 1);
                held[entry].used_at.set(held, now);
            }
            Place::Outside(owner) => {
                self.words(held.memory).outside.add(held, 1);
                self.owner(held, owner).outside.push(held, copy);
            }
        }
    }

    /// Takes the copy that has waited longest for a name.
    pub(in super::super) fn pop(self, held: &Held<'_>, entry: At<Name>) -> Option<At<Recipient>> {
        let copy = held[entry].queue.pop(held)?;
        self.have_left(held, entry, 1);
        Some(copy)
    }

    /// Takes those copies out that are not to wait for a name any more.
    pub(in super::super) fn take_out(
        self,
        held: &Held<'_>,
        entry: At<Name>,
        leaves: impl Fn(At<Recipient>) -> bool,
    ) -> Vec<At<Recipient>> {
        let mut left = Vec::new();
        held[entry].queue.take_out(held, leaves, &mut left);
        if !left.is_empty() {
            self.have_left(held, entry, left.len() as u64);
        }
        left
    }

    /// Takes a copy that has waited for room, if there may be some for it now.
    pub(in super::super) fn pop_outside(
        self,
        held: &Held<'_>,
        owner: u32,
    ) -> Option<At<Recipient>> {
        let owner = self.owner(held, owner);
        if owner.names.get() >= SHARE {
            return None;
        }
        let copy = owner.outside.pop(held)?;
        self.have_left_outside(held, 1);
        Some(copy)
    }

    /// Takes those copies out that are not to wait for room any more.
    pub(in super::super) fn take_out_outside(
        self,
        held: &Held<'_>,
        owner: u32,
        leaves: impl Fn(At<Recipient>) -> bool,
    ) -> Vec<At<Recipient>> {
        let mut left = Vec::new();
        let outside = &self.owner(held, owner).outside;
        outside.take_out(held, leaves, &mut left);
        self.have_left_outside(held, left.len() as u64);
        left
    }

    fn waited<'h>(self, held: &'h Held<'_>, entry: At<Name>) -> (&'h Locked<u64>, u64) {
        let index = self.table.index(entry) as usize;
        let word = &self.words(held.memory).waited[index / BITS];
        (word, 1 << (index % BITS))
    }

    /// A copy is about to wait for a name.
    fn has_come(self, held: &Held<'_>, entry: At<Name>) {
        if !held[entry].has_waiting() {
            let owner = self.owner(held, held[entry].owner.get());
            owner.names.add(held, 1);
            let (word, bit) = self.waited(held, entry);
            word.set(held, word.get() | bit);
        }
    }

    /// So many copies have left the queue of a name.
    fn have_left(self, held: &Held<'_>, entry: At<Name>, copies: u64) {
        let words = self.words(held.memory);
        held[entry].length.subtract(held, copies);
        words.waiting.subtract(held, copies);
        if held[entry].has_waiting() {
            return;
        }
        let (word, bit) = self.waited(held, entry);
        word.set(held, word.get() & !bit);
        let owner = self.owner(held, held[entry].owner.get());
        owner.names.subtract(held, 1);
        if words.outside.get() != 0 {
            words.look.set(held, 1);
            held.notify.set(true);
        }
    }

    fn have_left_outside(self, held: &Held<'_>, copies: u64) {
        let words = self.words(held.memory);
        words.outside.subtract(held, copies);
        words.waiting.subtract(held, copies);
    }

    /// A message sends nothing more: its copies here are to be ended.
    pub(in super::super) fn look_again(self, held: &Held<'_>) {
        let words = self.words(held.memory);
        if words.waiting.get() != 0 {
            words.look.set(held, 1);
        }
    }

    /// Whether the clock has something to do here, once.
    pub(in super::super) fn takes_a_look(self, held: &Held<'_>) -> bool {
        let look = &self.words(held.memory).look;
        let is_wanted = look.get() != 0;
        if is_wanted {
            look.set(held, 0);
        }
        is_wanted
    }

    /// Whether copies wait for room in the table.
    pub(in super::super) fn has_outside(self, held: &Held<'_>) -> bool {
        self.words(held.memory).outside.get() != 0
    }

    /// Forgets who waits; the queues of the names are forgotten with the table.
    pub(super) fn clear(self, held: &Held<'_>) {
        let words = self.words(held.memory);
        let counts = [&words.waiting, &words.outside, &words.look];
        for word in words.waited.iter().chain(counts) {
            word.set(held, 0);
        }
        for owner in &words.owners {
            owner.names.set(held, 0);
            owner.outside.clear(held);
        }
    }
}
