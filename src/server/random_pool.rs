//! Random identifiers, drawn from the kernel in one piece for many.

use crate::control::Identifiers;

/// Bytes drawn at once: the system call costs far more than the bytes.
const POOL: usize = 2048;

/// The random bytes of one process. It must be made after the process was forked, or two processes
/// would use the same bytes.
pub struct RandomPool {
    bytes: [u8; POOL],
    used: usize,
}

impl RandomPool {
    /// An empty pool, filled at first use.
    pub fn new() -> Self {
        Self {
            bytes: [0; POOL],
            used: POOL,
        }
    }
}

impl Default for RandomPool {
    fn default() -> Self {
        Self::new()
    }
}

impl Identifiers for RandomPool {
    fn random<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        if POOL - self.used < LENGTH {
            // The kernel's generator fails only where the system call does not exist, and then
            // waits in vain: there is nothing better to do than to try again.
            while getrandom::fill(&mut self.bytes).is_err() {
                std::thread::yield_now();
            }
            self.used = 0;
        }
        let mut random = [0; LENGTH];
        random.copy_from_slice(&self.bytes[self.used..self.used + LENGTH]);
        self.used += LENGTH;
        random
    }
}
