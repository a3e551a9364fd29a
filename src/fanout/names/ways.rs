//! To which address of which name the copy of each transaction is sent: from one that gives no answer the next copies
//! turn to another one (RFC 3263 §4.3).

#![forbid(unsafe_code)]

use super::name::{MOST_ADDRESSES, Name};
use super::table::{NAMES, Table};
use crate::fanout::lock::Held;
use crate::fanout::shared_memory::{At, Locked, SharedMemory};
use crate::fanout::transactions::{self, Transactions};

/// Bits of a way that say which address of which name it is.
const PLACE_MASK: u32 = u16::MAX as u32;
const _: () = assert!(NAMES * MOST_ADDRESSES <= PLACE_MASK as usize + 1);

/// Where the words are, one for each transaction.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Ways {
    pub(super) start: usize,
    pub(super) table: Table,
}

impl Ways {
    /// Words of them.
    pub(super) const WORDS: usize = transactions::MOST;

    fn word(self, memory: &SharedMemory, cookie: u64) -> &Locked<u64> {
        &memory[At::word(self.start + Transactions::index_of(cookie))]
    }

    /// The use of the transaction and, of the name, the use of its entry and which address is sent to.
    fn way(self, held: &Held<'_>, cookie: u64, entry: At<Name>) -> u64 {
        let name = &held[entry];
        let place = self.table.index(entry) * MOST_ADDRESSES as u32 + name.current();
        u64::from(Transactions::use_of(cookie)) << 32
            | u64::from(name.use_number.get() << 16 | place)
    }

    /// Notes to which address of a name a fork is sent.
    pub(in super::super) fn note(self, held: &Held<'_>, cookie: u64, entry: At<Name>) {
        let way = self.way(held, cookie, entry);
        self.word(held.memory, cookie).set(held, way);
    }

    /// Whether a fork is sent to an address of a name.
    pub(in super::super) fn is_noted(self, memory: &SharedMemory, cookie: u64) -> bool {
        Transactions::index_of(cookie) < transactions::MOST
            && self.word(memory, cookie).get() >> 32 == u64::from(Transactions::use_of(cookie))
    }

    /// Nobody has answered at the address that a fork was sent to: the next copies go to another one of the same
    /// name, if it has any.
    pub(in super::super) fn turn_from(self, held: &Held<'_>, cookie: u64) {
        let way = self.word(held.memory, cookie).get();
        let place = way as u32 & PLACE_MASK;
        let entry = self.table.entry(place / MOST_ADDRESSES as u32);
        let Some(entry) = entry.filter(|&entry| self.way(held, cookie, entry) == way) else {
            return;
        };
        held[entry].turn_from(held, place % MOST_ADDRESSES as u32);
    }
}
