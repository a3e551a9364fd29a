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

/// Bits of a cookie that name the entry; the higher ones name the use.
const INDEX: u32 = 20;
const INDEX_MASK: u64 = (1 << INDEX) - 1;
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
        held.set_pair(cell.0 + WHO, entry as u32, held.process.to_bits());
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
        (word >> BITS == cookie >> INDEX && word & BITS_MASK != 0).then_some(cell)
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
        let number = held.get(cell.0) >> BITS;
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
