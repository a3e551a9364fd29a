//! When the replica of the groups was last seen to be what PostgreSQL has.
//!
//! ```text
//! confirmed: a time of CLOCK_MONOTONIC in milliseconds; 0 before the first     written by the process that follows
//! ```

#![deny(unsafe_code)]

use super::clock::system_clock;
use super::shared_memory::{Mapped, shared};
use rustix::time::ClockId;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

shared! {
    struct Freshness {
        confirmed: AtomicU64,
    }
}

/// The age of the groups, which all processes read.
#[derive(Debug)]
pub struct GroupsAge(Mapped<Freshness>);

impl GroupsAge {
    /// Not confirmed yet. To be made before the processes are forked.
    pub fn new() -> io::Result<Self> {
        Mapped::new().map(Self)
    }

    /// The replica was what PostgreSQL has, so long ago.
    pub fn confirm(&self, ago: Duration) {
        let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        // 0 stands for no confirmation; a machine that has just started has seen nothing older.
        self.0
            .confirmed
            .store(now().saturating_sub(ago).max(1), Relaxed);
    }

    /// How long ago that was; nothing without a replica.
    pub fn get(&self) -> Option<Duration> {
        match self.0.confirmed.load(Relaxed) {
            0 => None,
            confirmed => Some(Duration::from_millis(now().saturating_sub(confirmed))),
        }
    }
}

/// The same clock in all processes, which nobody sets.
fn now() -> u64 {
    system_clock(ClockId::Monotonic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_begins_anew_with_each_confirmation() {
        let age = GroupsAge::new().unwrap();
        assert_eq!(age.get(), None);
        age.confirm(Duration::ZERO);
        let later = || age.get().unwrap() >= Duration::from_millis(20);
        while !later() {
            std::thread::sleep(Duration::from_millis(1));
        }
        age.confirm(Duration::ZERO);
        assert!(!later());
    }
}
