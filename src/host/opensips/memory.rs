//! How much of OpenSIPS's shared memory is free: its statistic `shmem:free_size`, with whatever memory manager.

use super::abi::{STAT_IS_FUNC, StatExport};
use super::version::EXPECTED;
use crate::fanout::FreeMemory;
use crate::host::symbol::{as_function, find};
use std::ffi::{CStr, c_ulong};

/// The most statistics that the table is searched for: it has six, and ends with a row of zeros.
const MOST: usize = 16;

/// How often it is read.
const READINGS: usize = 8;

/// `stat_function`; those of this table ignore their argument.
type Read = unsafe extern "C" fn(usize) -> c_ulong;

/// What reads the statistic.
#[derive(Debug)]
struct Statistic(Read);

impl FreeMemory for Statistic {
    /// OpenSIPS reads it without its lock. F_MALLOC counts its largest free piece as used for the moment in which it
    /// takes some of it, never the other way round: so the most of some readings is right.
    fn bytes(&self) -> u64 {
        let read = || {
            std::hint::spin_loop();
            // SAFETY: the function is that of a statistic, and ignores its argument.
            unsafe { (self.0)(0) }
        };
        (0..READINGS).map(|_| read()).max().unwrap_or_default()
    }
}

/// Finds the statistic by its name.
pub fn free() -> Result<Box<dyn FreeMemory>, String> {
    let table = find(c"shm_stats").ok_or_else(|| {
        format!(
            "OpenSIPS has no symbol shm_stats to ask for free shared memory: expected {EXPECTED}, built with STATISTICS"
        )
    })?;
    let table = table.cast::<StatExport>();
    for at in 0..MOST {
        // SAFETY: the table ends with a row of zeros, behind which nothing is read.
        let row = unsafe { &*table.add(at) };
        if row.name.is_null() {
            break;
        }
        // SAFETY: a name ends with NUL.
        let is_free = unsafe { CStr::from_ptr(row.name) } == c"free_size";
        if is_free && row.flags & STAT_IS_FUNC != 0 && !row.place.is_null() {
            // SAFETY: with this flag the place is a function, with the signature of those that read statistics.
            return Ok(Box::new(Statistic(unsafe { as_function(row.place) })));
        }
    }
    Err("OpenSIPS has no statistic shmem:free_size to ask for free shared memory".to_owned())
}
