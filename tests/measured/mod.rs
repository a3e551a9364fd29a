//! What an action takes of time and memory. Whoever uses this counts every allocation of the test
//! binary.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What the release build may take; without optimisation everything is slower.
pub const MOST_TIME: Duration =
    Duration::from_millis(if cfg!(debug_assertions) { 1000 } else { 50 });
pub const MOST_MEMORY: isize = 8 << 20;

struct Counting;

thread_local! {
    // Signed: what another thread took may be given back in this one.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn note(grown: usize, shrunk: usize) {
    let held = HELD.get() + grown as isize - shrunk as isize;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: everything is handed to the system's allocator; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(0, layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // A block that moves exists twice for a moment.
        note(size, 0);
        note(0, layout.size());
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `action` under both bounds. The best of up to twelve counts: the machine may be busy.
pub fn measured<T>(name: &str, mut action: impl FnMut() -> T) -> T {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock();
    let mut best = Duration::MAX;
    let mut result = None;
    let mut peak = 0;
    for _ in 0..12 {
        if best <= MOST_TIME {
            break;
        }
        drop(result.take());
        let before = HELD.get();
        PEAK.set(before);
        let start = Instant::now();
        result = Some(action());
        best = best.min(start.elapsed());
        peak = PEAK.get() - before;
    }
    println!("{name}: {best:?}, {} KiB", peak / 1024);
    drop(alone);
    assert!(best <= MOST_TIME, "{name} took {best:?}");
    assert!(peak <= MOST_MEMORY, "{name} took {peak} bytes");
    result.unwrap()
}
