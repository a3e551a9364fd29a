//! The clock by which all is counted that begins and ends within one run of the proxy. Nobody sets it:
//! a system's clock that is put right must not end what waits, nor make anybody wait.

#![forbid(unsafe_code)]

use rustix::time::{ClockId, clock_gettime};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds of Unix time, for what outlives the proxy and what messages say.
pub fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// Milliseconds of one of the system's clocks that nobody sets.
pub(super) fn system_clock(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

/// A clock that starts with the time of the system's, and then goes on by itself. All processes that
/// are forked afterwards read the same from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
    time: u64,
}

impl Clock {
    /// Starts it.
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            time: milliseconds(SystemTime::now()),
        }
    }

    /// Milliseconds.
    #[inline]
    pub(super) fn now(self) -> u64 {
        self.time + self.start.elapsed().as_millis() as u64
    }
}
