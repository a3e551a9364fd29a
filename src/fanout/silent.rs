//! Targets whose last attempt was not answered: they go last in each message. Bounded: a full bucket
//! forgets one, which costs that target's turn its patience once.

#![forbid(unsafe_code)]

use super::layout::SILENT;
use super::lock::Held;

/// Buckets of the table.
const BUCKETS: usize = 1 << 13;
/// Targets of a bucket: one line of the processor's cache.
const BUCKET: usize = 8;

/// Where the table starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silent(pub(super) usize);

impl Silent {
    /// Words of the table.
    pub(super) const WORDS: usize = BUCKETS * BUCKET;

    fn places(self, hash: u64) -> impl Iterator<Item = usize> {
        let bucket = (hash >> 32) as usize & (BUCKETS - 1);
        let start = self.0 + bucket * BUCKET;
        start..start + BUCKET
    }

    fn find(self, held: &Held<'_>, hash: u64) -> Option<usize> {
        if held.get(SILENT) == 0 {
            return None;
        }
        // 0 is an empty place.
        let mut places = self.places(hash);
        places.find(|&place| held.get(place) == hash | 1)
    }

    /// Whether the target's last attempt was not answered.
    #[inline]
    pub(super) fn has(self, held: &Held<'_>, hash: u64) -> bool {
        self.find(held, hash).is_some()
    }

    /// Notes whether the target has answered.
    #[inline]
    pub(super) fn note(self, held: &Held<'_>, hash: u64, answered: bool) {
        match (self.find(held, hash), answered) {
            (Some(place), true) => {
                held.set(place, 0);
                held.subtract(SILENT, 1);
            }
            (None, false) => {
                let empty = self.places(hash).find(|&place| held.get(place) == 0);
                let any = self.places(hash).nth(hash as usize % BUCKET);
                if let Some(place) = empty.or(any) {
                    held.add(SILENT, u64::from(empty.is_some()));
                    held.set(place, hash | 1);
                }
            }
            (Some(_), false) | (None, true) => {}
        }
    }
}
