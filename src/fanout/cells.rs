//! The proxy's transactions that our forks use: a table whose entries outlive the recipient, because
//! a transaction keeps its memory for some seconds after its final response.
//!
//! A cookie names an entry and which of its uses is meant, so that one that comes late or twice is
//! known as such.

#![forbid(unsafe_code)]

use super::layout::{CELL_LIMIT, CELLS_FREE, CELLS_USED};
use super::lock::Held;
use super::process::Process;
use super::shared_memory::SharedMemory;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// The most transactions that can be counted: tm takes 2.4 GB for as many.
pub const MOST: usize = 1 << 18;
/// Words of an entry: use and bits; the recipient and the process that sends, or the next free entry;
/// the hash of the target; what was left without the lock. No entry lies in two lines of the processor's
/// cache.
pub(super) const WORDS: usize = 4;
const WHO: usize = 1;
const TARGET: usize = 2;
const LEFT: usize = 3;

/// The fork has no final response.
pub(super) const IN_FLIGHT: u64 = 1;
/// The transaction has its memory.
pub(super) const HELD: u64 = 2;
/// The fork is being handed to the proxy.
pub(super) const SENDING: u64 = 4;
const BITS: u32 = 3;
const BITS_MASK: u64 = (1 << BITS) - 1;

// Above the bits and the number of the use.
/// The fork has had no final response for so long that it does not count against `concurrency` (`patience`).
const SILENT: u64 = 1 << (BITS + USE_BITS);
/// At which moment it was first seen in flight; 0 for not yet.
const SEEN: u32 = BITS + USE_BITS + 1;
/// How many moments there are before they are counted from the first again.
const MOMENTS: u64 = (1 << (u64::BITS - SEEN)) - 1;

/// Bits of a cookie that name the entry; the higher ones name the use.
const INDEX: u32 = 20;
const INDEX_MASK: u64 = (1 << INDEX) - 1;
const USE_BITS: u32 = u64::BITS - INDEX;
const USE_MASK: u64 = u64::MAX >> INDEX;

/// Where the table starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cells(pub(super) usize);

/// An entry in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell(usize);

impl Cells {
    /// Whether another transaction may be used.
    #[inline]
    pub(super) fn has_room(self, held: &Held<'_>) -> bool {
        held.get(CELLS_USED) < held.get(CELL_LIMIT)
    }

    /// An entry for a fork to this recipient, whose target has this hash; gives the cookie.
    #[inline]
    pub(super) fn allocate(self, held: &Held<'_>, entry: usize, hash: u64) -> u64 {
        let (free, ever) = held.pair(CELLS_FREE);
        let index = if free == 0 {
            held.set_pair(CELLS_FREE, 0, ever + 1);
            ever as usize
        } else {
            let index = free as usize - 1;
            let next = held.get(self.0 + index * WORDS + WHO) as u32;
            held.set_pair(CELLS_FREE, next, ever);
            index
        };
        let cell = Cell(self.0 + index * WORDS);
        let number = (((held.get(cell.0) >> BITS) + 1) & USE_MASK).max(1);
        held.claimed.set(cell.0 + WHO);
        held.set_pair(cell.0 + WHO, entry as u32, Process::this().to_bits());
        held.set(cell.0 + TARGET, hash);
        held.set(cell.0, number << BITS | IN_FLIGHT | HELD | SENDING);
        held.add(CELLS_USED, 1);
        number << INDEX | index as u64
    }

    /// The entry that a cookie means, unless that use of it is over.
    #[inline]
    pub(super) fn find(self, held: &Held<'_>, cookie: u64) -> Option<Cell> {
        self.find_in(held.memory, cookie)
    }

    /// The same without the lock, for who knows that the use is not over before he has said so.
    #[inline]
    pub(super) fn find_in(self, memory: &SharedMemory, cookie: u64) -> Option<Cell> {
        let index = Self::index_of(cookie);
        if index >= MOST {
            return None;
        }
        let cell = Cell(self.0 + index * WORDS);
        let word = memory.words()[cell.0].load(Acquire);
        let number = word >> BITS & USE_MASK;
        (number == cookie >> INDEX && word & BITS_MASK != 0).then_some(cell)
    }

    /// The number of the entry that a cookie means.
    #[inline]
    pub(super) fn index_of(cookie: u64) -> usize {
        (cookie & INDEX_MASK) as usize
    }

    /// Which use of it a cookie means, or as much of that as there is room for.
    pub(super) fn use_of(cookie: u64) -> u32 {
        (cookie >> INDEX) as u32
    }

    /// The entry with this number, and the cookie of its present use.
    pub(super) fn present(self, held: &Held<'_>, index: usize) -> (Cell, u64) {
        let cell = Cell(self.0 + index * WORDS);
        let number = held.get(cell.0) >> BITS & USE_MASK;
        (cell, number << INDEX | index as u64)
    }

    /// How many entries have ever been used.
    pub(super) fn ever(held: &Held<'_>) -> usize {
        (held.pair(CELLS_FREE).1 as usize).min(MOST)
    }

    /// The entries of forks that are being handed to the proxy.
    pub(super) fn sending(self, memory: &SharedMemory) -> Vec<Cell> {
        let ever = (memory.get(CELLS_FREE) >> 32) as usize;
        let cells = (0..ever.min(MOST)).map(|index| Cell(self.0 + index * WORDS));
        cells
            .filter(|cell| memory.get(cell.0) & SENDING != 0)
            .collect()
    }

    /// Looks at all forks in flight, without the lock: notes at which moment each was seen first, and gives those that
    /// were so many moments ago and do not count as silent yet.
    pub(super) fn grown_old(self, memory: &SharedMemory, moment: u64, age: u64) -> Vec<Cell> {
        let ever = (memory.get(CELLS_FREE) >> 32) as usize;
        let mut old = Vec::new();
        for cell in (0..ever.min(MOST)).map(|index| Cell(self.0 + index * WORDS)) {
            let word = memory.get(cell.0);
            if word & (IN_FLIGHT | SILENT) != IN_FLIGHT {
                continue;
            }
            if word >> SEEN == 0 {
                let seen = word | (moment % MOMENTS + 1) << SEEN;
                // Else it has changed meanwhile, and is seen the next time.
                let _ = memory.words()[cell.0].compare_exchange(word, seen, AcqRel, Acquire);
            } else if is_old(word, moment, age) {
                old.push(cell);
            }
        }
        old
    }

    /// The entry that a cookie of an attempt under way means.
    pub(super) fn of_attempt(self, cookie: u64) -> Cell {
        Cell(self.0 + (cookie & INDEX_MASK) as usize * WORDS)
    }

    /// Lists the free entries anew, once `look` has said which bits each entry in use keeps.
    pub(super) fn recover(self, held: &Held<'_>, mut look: impl FnMut(&Held<'_>, Cell) -> u64) {
        let (_, ever) = held.pair(CELLS_FREE);
        held.set_pair(CELLS_FREE, 0, ever);
        held.set(CELLS_USED, 0);
        for index in 0..ever as usize {
            let cell = Cell(self.0 + index * WORDS);
            held.add(CELLS_USED, 1);
            if held.get(cell.0) & BITS_MASK == 0 || look(held, cell) == 0 {
                self.free(held, cell);
            }
        }
    }

    /// Gives back an entry that has lost its last bit.
    pub(super) fn free(self, held: &Held<'_>, cell: Cell) {
        let index = (cell.0 - self.0) / WORDS;
        let (free, ever) = held.pair(CELLS_FREE);
        held.set(cell.0 + WHO, u64::from(free));
        held.set_pair(CELLS_FREE, index as u32 + 1, ever);
        held.subtract(CELLS_USED, 1);
    }
}

impl Cell {
    /// The recipient.
    #[inline]
    pub(super) fn entry(self, held: &Held<'_>) -> usize {
        held.pair(self.0 + WHO).0 as usize
    }

    /// The hash of the target.
    #[inline]
    pub(super) fn target(self, held: &Held<'_>) -> u64 {
        held.get(self.0 + TARGET)
    }

    /// The process that has sent or is sending.
    pub(super) fn process(self, held: &Held<'_>) -> Process {
        Process::from_bits(held.pair(self.0 + WHO).1)
    }

    /// Marks a fork as silent that was first seen in flight so many moments ago, and says whether it does not count as
    /// such yet. Only with the lock, and never twice for one use.
    pub(super) fn becomes_silent(self, held: &Held<'_>, moment: u64, age: u64) -> bool {
        let word = held.get(self.0);
        let becomes = word & (IN_FLIGHT | SILENT) == IN_FLIGHT && is_old(word, moment, age);
        if becomes {
            held.word(self.0).fetch_or(SILENT, AcqRel);
        }
        becomes
    }

    /// Whether a fork in flight counts as silent.
    #[inline]
    pub(super) fn is_silent(self, held: &Held<'_>) -> bool {
        held.get(self.0) & SILENT != 0
    }

    /// A fork counts as any other again.
    pub(super) fn is_silent_no_more(self, held: &Held<'_>) {
        held.word(self.0).fetch_and(!SILENT, AcqRel);
    }

    /// Takes bits away; gives the bits before.
    #[inline]
    pub(super) fn take(self, held: &Held<'_>, bits: u64) -> u64 {
        held.word(self.0).fetch_and(!bits, AcqRel) & BITS_MASK
    }

    /// Says that the fork was handed over, without the lock: only while the transaction has its memory,
    /// so that this is not the last bit. Says whether that was so.
    #[inline]
    pub(super) fn take_sending_if_held(self, memory: &SharedMemory) -> bool {
        let taken = |word| (word & HELD != 0).then_some(word & !SENDING);
        memory.words()[self.0]
            .fetch_update(AcqRel, Acquire, taken)
            .is_ok()
    }

    /// The word with the bits.
    pub(super) fn word(self) -> usize {
        self.0
    }

    /// The word with what was left.
    pub(super) fn left(self) -> usize {
        self.0 + LEFT
    }
}

/// Whether a fork was first seen so many moments before this one.
fn is_old(word: u64, moment: u64, age: u64) -> bool {
    let (seen, moment) = (word >> SEEN, moment % MOMENTS + 1);
    seen != 0 && (moment + MOMENTS - seen) % MOMENTS >= age
}
