//! Memory that stays shared across `fork`, at one address in all processes: structures made of atomic words.

mod mapped;
mod mapping;
mod words;

pub(super) use mapped::{Mapped, MappedTable};
pub use mapping::SharedMemory;
pub(super) use mapping::{HasMemory, word_of_this_process};
pub(super) use words::{At, HasLock, IsUnpublished, Link, Locked, Shared, Written, shared};
