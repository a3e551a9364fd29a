//! What workers, the process that tells outcomes and the one that writes the ledger know together of members who
//! are away: how much is kept, who has registered, and what is to be kept.
//!
//! None of it is under the lock of the queue: a registration never waits for one.

#![forbid(unsafe_code)]

use super::pipe::Pipe;
use super::shared_memory::SharedMemory;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// How many members may have registered that nobody has looked at yet.
const REGISTERED: usize = 8192;
/// How many members may be waiting for what is kept for them to be dropped.
const DROPPED: usize = 64;

/// The words before the sets.
mod word {
    pub const COPIES: usize = 0;
    pub const BYTES: usize = 1;
    pub const SETS: usize = 8;
}

/// Made before the workers are forked.
#[derive(Debug)]
pub struct Away {
    memory: SharedMemory,
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
        let words = word::SETS + Set::words(REGISTERED) + Set::words(DROPPED);
        Ok(Self {
            memory: SharedMemory::new(words)?,
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
            copies: self.memory.get(word::COPIES),
            bytes: self.memory.get(word::BYTES),
        }
    }

    /// Notes how much is kept, for the process that writes the ledger.
    pub fn note(&self, figures: KeptFigures) {
        self.memory.set(word::COPIES, figures.copies);
        self.memory.set(word::BYTES, figures.bytes);
    }

    fn registered(&self) -> Set<'_> {
        Set(&self.memory.words()[word::SETS..][..Set::words(REGISTERED)])
    }

    fn dropped(&self) -> Set<'_> {
        let start = word::SETS + Set::words(REGISTERED);
        Set(&self.memory.words()[start..][..Set::words(DROPPED)])
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

/// Hashes that anybody puts in without a lock, and one process takes out. The first word says whether there are any.
#[derive(Clone, Copy)]
struct Set<'a>(&'a [AtomicU64]);

impl Set<'_> {
    const fn words(most: usize) -> usize {
        most + 1
    }

    fn put(self, hash: u64) -> bool {
        // 0 is a free place.
        let hash = hash.max(1);
        let Some((any, places)) = self.0.split_first() else {
            return false;
        };
        let start = hash as usize % places.len();
        let (before, after) = places.split_at(start);
        let is_in = after.iter().chain(before).any(|place| {
            place.load(Relaxed) == hash
                || match place.compare_exchange(0, hash, AcqRel, Acquire) {
                    Ok(_) => true,
                    Err(found) => found == hash,
                }
        });
        any.store(1, Release);
        is_in
    }

    fn take(self) -> Vec<u64> {
        let Some((any, places)) = self.0.split_first() else {
            return Vec::new();
        };
        if any.swap(0, AcqRel) == 0 {
            return Vec::new();
        }
        let filled = places.iter().filter(|place| place.load(Acquire) != 0);
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
        let away = Away::new().unwrap();
        let mut taken = HashSet::new();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|worker| {
                    let away = &away;
                    scope.spawn(move || {
                        (1..20_000).for_each(|number| while !away.ask_for(worker << 32 | number) {})
                    })
                })
                .collect();
            while !workers.iter().all(|worker| worker.is_finished()) {
                taken.extend(away.asked_for());
            }
        });
        taken.extend(away.asked_for());
        assert_eq!(taken.len(), 4 * 19_999);
    }
}
