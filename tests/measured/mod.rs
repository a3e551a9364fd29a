//! What an action takes of time and memory. Whoever uses this counts every allocation of the test
//! binary.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How many times as long as [`harmless`] an action may take. Most take up to ten times as long; what grows with the square
/// of a document, thousands of times.
pub const MOST_TIMES: f64 = 40.0;
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

/// What a document of the largest size costs that is only looked at byte by byte, as fast as this machine is now.
pub fn harmless() -> Duration {
    let bytes = std::hint::black_box(vec![b'a'; 8 << 20]);
    let start = Instant::now();
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    std::hint::black_box(hasher.finish());
    start.elapsed()
}

/// Runs `action` under both bounds.
pub fn measured<T>(name: &str, action: impl FnMut() -> T) -> T {
    measured_within(MOST_TIMES, name, action)
}

/// The same with another bound for its time. The best of up to twelve counts: the machine may be busy.
pub fn measured_within<T>(most_times: f64, name: &str, mut action: impl FnMut() -> T) -> T {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock();
    let mut best = f64::MAX;
    let mut result = None;
    let mut peak = 0;
    for _ in 0..12 {
        if best <= most_times {
            break;
        }
        drop(result.take());
        let harmless = harmless();
        let before = HELD.get();
        PEAK.set(before);
        let start = Instant::now();
        result = Some(action());
        best = best.min(start.elapsed().div_duration_f64(harmless));
        peak = PEAK.get() - before;
    }
    println!("{name}: {best:.2} times, {} KiB", peak / 1024);
    drop(alone);
    assert!(
        best <= most_times,
        "{name} took {best:.0} times as long as harmless bytes, expected {most_times} at most"
    );
    assert!(peak <= MOST_MEMORY, "{name} took {peak} bytes");
    result.unwrap()
}
