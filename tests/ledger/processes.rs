//! Processes that are forked, killed and waited for.

#[path = "../support/forked.rs"]
mod forked;

pub use forked::fork;
use forked::wait_for;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// For each test as long as it runs: a child must not be forked while another thread has a lock of SQLite.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn kill(child: i32) {
    // SAFETY: the child is ours and has not been waited for.
    unsafe { libc::kill(child, libc::SIGKILL) };
}

/// Waits for a child and returns its exit status, -1 if it was killed.
pub fn wait(child: i32) -> i32 {
    let status = wait_for(child);
    if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        -1
    }
}

/// A small generator, so that a failure can be repeated by its round.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }
}
