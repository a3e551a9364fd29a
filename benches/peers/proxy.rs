//! One running proxy and what it uses.

use crate::support::proxy::proxy;
use crate::support::rig::Rig;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A running proxy with all groups in it.
pub struct Proxy {
    rig: Rig,
    /// Whether cimf is in it.
    has_cimf: bool,
    /// All its processes with what they do.
    processes: Vec<(u32, String)>,
}

/// What a proxy has in memory.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Shared memory used, with what the allocator needs for itself, in bytes.
    pub shared: u64,
    /// Transactions that tm has.
    pub transactions: u64,
    /// Those among them that are over and wait for `wt_timer`.
    pub waiting: u64,
    /// Queue memory of the contender's own, if it tells of any.
    pub own: Option<u64>,
}

impl Proxy {
    pub fn new(rig: Rig, has_cimf: bool) -> Self {
        let processes = rig.processes();
        Self {
            rig,
            has_cimf,
            processes,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.rig.address
    }

    pub fn processes(&self) -> &[(u32, String)] {
        &self.processes
    }

    /// Processor time of all processes until now. `utime` and `stime` of /proc/PID/stat are this same clock in
    /// steps of 10 ms, which is too coarse for ten processes.
    pub fn processor_time(&self) -> Duration {
        let nanoseconds = self.processes.iter().map(|(pid, _)| {
            let path = format!("/proc/{pid}/schedstat");
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{path}: {error}; has it crashed?"));
            let first: Option<u64> = text.split(' ').next().and_then(|word| word.parse().ok());
            first.unwrap_or_else(|| panic!("{path} is {text:?}"))
        });
        Duration::from_nanos(nanoseconds.sum::<u64>())
    }

    pub fn memory(&self) -> Memory {
        let folder = self.rig.folder();
        Memory {
            shared: proxy().shared_memory_used(folder),
            transactions: proxy().transactions(folder),
            waiting: proxy().transactions_over(folder),
            own: self.own_memory(),
        }
    }

    /// What the module's own statistics say about memory used.
    fn own_memory(&self) -> Option<u64> {
        let statistics = self.has_cimf.then(|| self.rig.statistics())?;
        statistics.get("memory_used")?.parse().ok()
    }

    /// Waits until tm has forgotten all transactions; says whether it did.
    pub fn drain(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            if proxy().transactions(self.rig.folder()) == 0 {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            // Each look costs the proxy some processor time.
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn stop(mut self) {
        self.rig.stop();
    }
}
