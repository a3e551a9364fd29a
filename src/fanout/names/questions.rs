//! The names that are to be asked, in a list, and those that are being asked.

#![deny(unsafe_code)]

use super::name::Name;
use super::table::Table;
use crate::fanout::lock::Held;
use crate::fanout::shared_memory::{At, Locked, SharedMemory, shared};
use std::sync::atomic::AtomicU64;

shared! {
    struct Words {
        /// The numbers of the first and the last name to be asked, from 1 on.
        first: Locked<u32>,
        last: Locked<u32>,
        /// Names that are to be asked or are being asked.
        asked: Locked<u64>,
        _rest_of_the_line: [AtomicU64; 6],
    }
}

/// A name to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    index: u32,
    use_number: u32,
    owner: u32,
    not_before: u64,
    name: Vec<u8>,
}

impl Question {
    /// The name, as it was given.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// A number of the originator whose copies wait for the name; a few may share one.
    pub fn owner(&self) -> u32 {
        self.owner
    }

    /// The millisecond of the engine's clock before which it is not to be asked.
    pub fn not_before(&self) -> u64 {
        self.not_before
    }
}

/// Where the list is.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Questions {
    pub(super) start: usize,
    pub(super) table: Table,
}

impl Questions {
    /// Words of the list.
    pub(super) const WORDS: usize = size_of::<Words>() / size_of::<AtomicU64>();

    fn words(self, memory: &SharedMemory) -> &Words {
        &memory[At::word(self.start)]
    }

    /// Names that are to be asked or are being asked.
    pub(in super::super) fn asked(self, memory: &SharedMemory) -> u64 {
        self.words(memory).asked.get()
    }

    /// Lets the name be asked; says whether it was not being asked.
    pub(in super::super) fn ask(self, held: &Held<'_>, entry: At<Name>) -> bool {
        let (list, name) = (self.words(held.memory), &held[entry]);
        if name.is_asked() {
            return false;
        }
        name.asked.set(held, 1);
        list.asked.add(held, 1);
        name.next.set(held, 0);
        let number = self.table.index(entry) + 1;
        match self.of_number(list.last.get()) {
            None => list.first.set(held, number),
            Some(last) => held[last].next.set(held, number),
        }
        list.last.set(held, number);
        true
    }

    /// Takes the next name to be asked.
    pub(in super::super) fn next(self, held: &Held<'_>) -> Option<Question> {
        let list = self.words(held.memory);
        let entry = self.of_number(list.first.get())?;
        let name = &held[entry];
        let next = name.next.get();
        list.first.set(held, next);
        if next == 0 {
            list.last.set(held, 0);
        }
        name.next.set(held, 0);
        Some(Question {
            index: self.table.index(entry),
            use_number: name.use_number.get(),
            owner: name.owner.get(),
            not_before: name.ask_at.get(),
            name: name.text(),
        })
    }

    fn of_number(self, number: u32) -> Option<At<Name>> {
        self.table.entry(number.checked_sub(1)?)
    }

    /// The entry that a question was about, unless it is over.
    pub(in super::super) fn entry(self, held: &Held<'_>, question: &Question) -> Option<At<Name>> {
        let entry = self.table.entry(question.index)?;
        let name = &held[entry];
        let is_asked = name.use_number.get() == question.use_number && name.is_asked();
        is_asked.then_some(entry)
    }

    /// The name is not asked any more.
    pub(in super::super) fn was_asked(self, held: &Held<'_>, entry: At<Name>) {
        held[entry].asked.set(held, 0);
        self.words(held.memory).asked.subtract(held, 1);
    }

    /// Forgets the list; the names are forgotten with the table.
    pub(super) fn clear(self, held: &Held<'_>) {
        let list = self.words(held.memory);
        list.first.set(held, 0);
        list.last.set(held, 0);
        list.asked.set(held, 0);
    }
}
