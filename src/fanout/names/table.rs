//! The table of names, in buckets by their hashes.

#![forbid(unsafe_code)]

use super::name::{self, Name};
use crate::fanout::lock::Held;
use crate::fanout::shared_memory::At;
use std::array::from_fn;

/// Buckets of the table.
const BUCKETS: usize = 1024;
/// Names of a bucket.
const BUCKET: usize = 8;
/// Names of the table.
pub(super) const NAMES: usize = BUCKETS * BUCKET;

/// Where the table starts.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Table(pub(super) usize);

impl Table {
    /// Words of the table.
    pub(super) const WORDS: usize = NAMES * name::WORDS;

    /// The entry with this number.
    pub(super) fn entry(self, index: u32) -> Option<At<Name>> {
        let index = index as usize;
        (index < NAMES).then(|| At::word(self.0 + index * name::WORDS))
    }

    /// The number of an entry.
    pub(super) fn index(self, entry: At<Name>) -> u32 {
        ((entry.to_word() - self.0) / name::WORDS) as u32
    }

    fn bucket(self, hash: u64) -> [At<Name>; BUCKET] {
        let first = (hash >> 32) as usize % BUCKETS * BUCKET;
        from_fn(|number| At::word(self.0 + (first + number) * name::WORDS))
    }

    /// The entry of a name.
    pub(in super::super) fn find(self, held: &Held<'_>, hash: u64) -> Option<At<Name>> {
        let mut bucket = self.bucket(hash).into_iter();
        bucket.find(|&entry| held[entry].is(hash))
    }

    /// Takes the entry of its bucket that was used least recently and is not needed now.
    pub(super) fn make(
        self,
        held: &Held<'_>,
        hash: u64,
        name: &[u8],
        now: u64,
    ) -> Option<At<Name>> {
        let is_free = |&entry: &At<Name>| !held[entry].has_waiting() && !held[entry].is_asked();
        let bucket = self.bucket(hash).into_iter().filter(is_free);
        let entry = bucket.min_by_key(|&entry| held[entry].used_at.get())?;
        held[entry].begin(held, hash, name, now);
        Some(entry)
    }

    /// Forgets all names.
    pub(super) fn clear(self, held: &Held<'_>) {
        let all = (0..NAMES as u32).filter_map(|index| self.entry(index));
        for entry in all.filter(|&entry| held[entry].use_number.get() != 0) {
            held[entry].reset(held);
        }
    }
}
