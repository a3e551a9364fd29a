//! Kamailio's shared memory: how large it is, and how much of it is free. It tells the latter through `_shm_root`, the
//! table of functions of whichever manager it was started with (`-x`).

use super::version::EXPECTED;
use crate::fanout::FreeMemory;
use crate::host::symbol::{as_function, find};
use std::ffi::{CStr, c_ulong, c_void};

/// The word of `sr_shm_api_t` that points to the manager's memory (`mem_block`), in all versions.
pub const BLOCK: usize = 2;
/// The words that may be `xavailable`: the one until 5.7, the other since 5.8. The table has more in both.
pub const AVAILABLE: [usize; 2] = [14, 15];
/// What stands there, one for each manager that is known.
const KNOWN: [&CStr; 3] = [
    c"qm_shm_available",
    c"fm_shm_available",
    c"tlsf_shm_available",
];

/// `sr_mem_available_f`.
type Available = unsafe extern "C" fn(*mut c_void) -> c_ulong;

/// The function of the manager that is in use, and the memory that it is asked about.
#[derive(Debug)]
struct Manager {
    available: Available,
    block: *mut c_void,
}

// SAFETY: the memory is shared by all processes of Kamailio, and the function takes Kamailio's lock for it.
unsafe impl Send for Manager {}
// SAFETY: as above.
unsafe impl Sync for Manager {}

impl FreeMemory for Manager {
    fn bytes(&self) -> u64 {
        // SAFETY: the function is called with the memory that stood beside it in the table.
        unsafe { (self.available)(self.block) }
    }
}

/// The size of Kamailio's shared memory (`-m`).
pub fn size() -> Option<u64> {
    let place = find(c"shm_mem_size")?.cast::<c_ulong>();
    // SAFETY: the symbol is a variable of this type in all versions.
    Some(unsafe { *place })
}

/// Finds what tells how much is free. A function is only called if it is one of those that are known by name.
pub fn free() -> Result<Box<dyn FreeMemory>, String> {
    let table = find(c"_shm_root").ok_or_else(|| {
        format!(
            "Kamailio has no symbol _shm_root to ask for free shared memory; is this {EXPECTED}?"
        )
    })?;
    let table = table.cast::<*mut c_void>();
    // SAFETY: the table has at least 20 words in all versions, and is not changed after Kamailio's start.
    let word = |at: usize| unsafe { *table.add(at) };
    let known = KNOWN.map(find);
    let found = AVAILABLE
        .map(word)
        .into_iter()
        .find(|word| !word.is_null() && known.contains(&Some(*word)));
    let found = found.ok_or_else(|| {
        format!(
            "Kamailio's memory manager is none of qm, fm and tlsf (-x), or its table is not that of {EXPECTED}: it \
             cannot be asked for free shared memory"
        )
    })?;
    Ok(Box::new(Manager {
        // SAFETY: it is the function of one of these names, which have this signature in all versions.
        available: unsafe { as_function(found) },
        block: word(BLOCK),
    }))
}
