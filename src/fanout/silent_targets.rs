//! Targets whose last attempt was not answered: they go last in each message. Bounded: a full bucket
//! forgets one, which costs that target's turn its patience once.

#![forbid(unsafe_code)]

use super::lock::Held;
use super::shared_memory::{At, Locked};

/// Buckets of the table.
const BUCKETS: usize = 1 << 13;
/// Targets of a bucket: one line of the processor's cache.
const BUCKET: usize = 8;

/// Where the table starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct SilentTargets(pub(super) usize);

impl SilentTargets {
    /// Words of the table.
    pub(super) const WORDS: usize = BUCKETS * BUCKET;

    /// The places in which a target can be; 0 is an empty one.
    fn places<'h>(self, held: &'h Held<'_>, hash: u64) -> &'h [Locked<u64>; BUCKET] {
        let bucket = (hash >> 32) as usize & (BUCKETS - 1);
        &held[At::word(self.0 + bucket * BUCKET)]
    }

    fn find<'h>(self, held: &'h Held<'_>, hash: u64) -> Option<&'h Locked<u64>> {
        if held.root.flow.silent_targets.get() == 0 {
            return None;
        }
        let mut places = self.places(held, hash).iter();
        places.find(|place| place.get() == hash | 1)
    }

    /// Whether the target's last attempt was not answered.
    #[inline]
    pub(super) fn has(self, held: &Held<'_>, hash: u64) -> bool {
        self.find(held, hash).is_some()
    }

    /// Notes whether the target has answered.
    #[inline]
    pub(super) fn note(self, held: &Held<'_>, hash: u64, answered: bool) {
        let count = &held.root.flow.silent_targets;
        match (self.find(held, hash), answered) {
            (Some(place), true) => {
                place.set(held, 0);
                count.subtract(held, 1);
            }
            (None, false) => {
                let places = self.places(held, hash);
                let empty = places.iter().find(|place| place.get() == 0);
                count.add(held, u64::from(empty.is_some()));
                let any = &places[hash as usize % BUCKET];
                empty.unwrap_or(any).set(held, hash | 1);
            }
            (Some(_), false) | (None, true) => {}
        }
    }
}
