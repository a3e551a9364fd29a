//! What workers, the process that tells outcomes and the one that writes the ledger know together of members who
//! are away: how much is kept, who has registered, and what is to be kept.
//!
//! None of it is under the lock of the queue: a registration never waits for one.
//!
//! ```text
//!  a place of a set:   0, free ── any process, by compare and exchange ──► hash of a member
//!                        ▲                                                 │
//!                        └─── the ledger process, by swap ◄────────────────┘
//!
//!  `any` of a set:     0 ── whoever has put a hash in ──► 1 ── the ledger process, before it looks ──► 0
//!  copies, bytes:      written by the ledger process alone
//! ```
//!
//! `any` is set after the hash stands in its place, and cleared before the places are looked at: none is overlooked.

#![deny(unsafe_code)]

use super::pipe::Pipe;
use super::shared_memory::{Mapped, shared};
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// How many members may have registered that nobody has looked at yet.
const REGISTERED: usize = 8192;
/// How many members may be waiting for what is kept for them to be dropped.
const DROPPED: usize = 64;

shared! {
    struct Words {
        copies: AtomicU64,
        bytes: AtomicU64,
        _rest_of_the_line: [AtomicU64; 6],
        any_registered: AtomicU64,
        registered: [AtomicU64; REGISTERED],
        any_dropped: AtomicU64,
        dropped: [AtomicU64; DROPPED],
    }
}

/// Made before the workers are forked.
#[derive(Debug)]
pub struct Away {
    words: Mapped<Words>,
    pipe: Pipe,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptFigures {
    /// Copies.
    pub copies: u64,
    /// Bytes of them, each message once.
    pub bytes: u64,
}

impl Away {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            words: Mapped::new()?,
            pipe: Pipe::new()?,
        })
    }

    /// What goes to the process that writes the ledger.
    pub fn pipe(&self) -> &Pipe {
        &self.pipe
    }

    /// How much is kept.
    pub fn figures(&self) -> KeptFigures {
        KeptFigures {
            copies: self.words.copies.load(Relaxed),
            bytes: self.words.bytes.load(Relaxed),
        }
    }

    /// Notes how much is kept, for the process that writes the ledger.
    pub fn note(&self, figures: KeptFigures) {
        self.words.copies.store(figures.copies, Relaxed);
        self.words.bytes.store(figures.bytes, Relaxed);
    }

    fn registered(&self) -> Set<'_> {
        Set {
            any: &self.words.any_registered,
            places: &self.words.registered,
        }
    }

    fn dropped(&self) -> Set<'_> {
        Set {
            any: &self.words.any_dropped,
            places: &self.words.dropped,
        }
    }

    /// Asks for what is kept for a member, by the hash of their address; says whether there was room for that.
    pub fn ask_for(&self, member: u64) -> bool {
        self.registered().put(member)
    }

    /// Asks for what is kept for a member to be dropped; says whether there was room for that.
    pub fn ask_to_drop(&self, member: u64) -> bool {
        self.dropped().put(member)
    }

    /// The members whose copies were asked for.
    pub fn asked_for(&self) -> Vec<u64> {
        self.registered().take()
    }

    /// The members whose copies are to be dropped.
    pub fn asked_to_drop(&self) -> Vec<u64> {
        self.dropped().take()
    }
}

/// Hashes that anybody puts in without a lock, and one process takes out.
#[derive(Clone, Copy)]
struct Set<'a> {
    /// Whether there may be any.
    any: &'a AtomicU64,
    places: &'a [AtomicU64],
}

impl Set<'_> {
    fn put(self, hash: u64) -> bool {
        // 0 is a free place.
        let hash = hash.max(1);
        let start = hash as usize % self.places.len();
        let (before, after) = self.places.split_at(start);
        let is_in = after.iter().chain(before).any(|place| {
            place.load(Relaxed) == hash
                || match place.compare_exchange(0, hash, AcqRel, Acquire) {
                    Ok(_) => true,
                    Err(found) => found == hash,
                }
        });
        self.any.store(1, Release);
        is_in
    }

    fn take(self) -> Vec<u64> {
        if self.any.swap(0, AcqRel) == 0 {
            return Vec::new();
        }
        let filled = self.places.iter().filter(|place| place.load(Acquire) != 0);
        filled.map(|place| place.swap(0, AcqRel)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_member_who_registers_twice_is_asked_for_once() {
        let away = Away::new().unwrap();
        assert!(away.asked_for().is_empty());
        for hash in [7, 7 + REGISTERED as u64, 7, u64::MAX] {
            assert!(away.ask_for(hash));
        }
        let asked: HashSet<u64> = away.asked_for().into_iter().collect();
        assert_eq!(asked, [7, 7 + REGISTERED as u64, u64::MAX].into());
        assert!(away.asked_for().is_empty() && away.asked_to_drop().is_empty());
    }

    #[test]
    fn a_full_set_says_so_and_loses_nobody() {
        let away = Away::new().unwrap();
        let fits = (1..=2 * DROPPED as u64).filter(|&hash| away.ask_to_drop(hash));
        assert_eq!(fits.count(), DROPPED);
        assert!(away.ask_to_drop(1));
        assert_eq!(away.asked_to_drop().len(), DROPPED);
        assert!(away.ask_to_drop(1000));
    }

    #[test]
    fn whoever_registers_while_others_are_taken_out_is_taken_out_too() {
        let members = if cfg!(miri) { 50 } else { 20_000 };
        let away = Away::new().unwrap();
        let mut taken = HashSet::new();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|worker| {
                    let away = &away;
                    scope.spawn(move || {
                        (0..members)
                            .for_each(|number| while !away.ask_for((worker << 32 | number) + 1) {})
                    })
                })
                .collect();
            while !workers.iter().all(|worker| worker.is_finished()) {
                taken.extend(away.asked_for());
            }
        });
        taken.extend(away.asked_for());
        assert_eq!(taken.len(), 4 * members as usize);
    }
}
