//! The lease of this node, where several share a ledger: copies are sent only while it holds, so that nobody else sends
//! the same ones. And what is known of the other nodes.
//!
//! ```text
//!  until:     a time of CLOCK_BOOTTIME in milliseconds, u64::MAX where no lease is needed     written by the ledger process
//!  run:       which start of a node this is; 0 before the ledger has said so                  written by the ledger process
//!  token:     what only this start knows, before `run`                                        written by the ledger process
//!  drains:    whether new messages are refused                                                written by anybody
//!  version:   odd while `nodes` are written, and another one afterwards                       written by the ledger process
//! ```
//!
//! The clock goes on while the machine sleeps: whoever wakes up sends nothing before the lease is renewed. A virtual machine
//! that was halted from outside may not notice.

#![deny(unsafe_code)]

use super::clock::system_clock;
use super::shared_memory::{Mapped, shared};
use rustix::time::ClockId;
use std::io;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};
use std::time::Duration;

/// Bytes of a node's name.
pub const NODE_NAME: usize = 64;
/// The most nodes that are listed.
const MOST_NODES: usize = 64;
/// How often a list is read that is being written.
const TRIES: usize = 1000;
/// `until` where no lease is needed.
const ALWAYS: u64 = u64::MAX;

shared! {
    struct LeaseWords {
        until: AtomicU64,
        run: AtomicU64,
        drains: AtomicU64,
        version: AtomicU64,
        count: AtomicU64,
        token: AtomicU64,
        _rest_of_the_line: [AtomicU64; 2],
        nodes: [NodeWords; MOST_NODES],
    }

    struct NodeWords {
        name: [AtomicU64; NODE_NAME / 8],
        run: AtomicU64,
        /// When the lease runs out; 0 once it has.
        until: AtomicU64,
        drains: AtomicU64,
        unfinished: AtomicU64,
    }
}

/// The lease, which all processes read.
#[derive(Debug)]
pub struct NodeLease(Mapped<LeaseWords>);

/// A node, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeListed {
    /// Its name, up to [`NODE_NAME`] bytes of it.
    pub name: String,
    /// Which start of it.
    pub run: u64,
    /// For how long its lease holds; nothing once it has run out.
    pub lease: Option<Duration>,
    /// Whether it refuses new messages.
    pub drains: bool,
    /// Its messages that are not finished.
    pub unfinished: u64,
}

impl NodeLease {
    /// No lease is needed. To be made before the processes are forked.
    pub(super) fn new() -> io::Result<Self> {
        let lease = Self(Mapped::new()?);
        lease.0.until.store(ALWAYS, Relaxed);
        Ok(lease)
    }

    /// Nothing is sent from now on before [`NodeLease::hold`]. To be called before the processes are forked.
    pub fn require(&self) {
        self.0.until.store(0, Relaxed);
    }

    /// Whether copies may be sent now.
    #[inline]
    pub fn holds(&self) -> bool {
        let until = self.0.until.load(Acquire);
        until == ALWAYS || until > now()
    }

    /// For how long copies may be sent; nothing where no lease is needed.
    pub fn left(&self) -> Option<Duration> {
        match self.0.until.load(Acquire) {
            ALWAYS => None,
            until => Some(Duration::from_millis(until.saturating_sub(now()))),
        }
    }

    /// Copies may be sent for so long from `start` on, which [`boot_time`] gave.
    pub fn hold(&self, start: Duration, length: Duration) {
        let until = u64::try_from((start + length).as_millis()).unwrap_or(ALWAYS - 1);
        self.0.until.store(until, Release);
    }

    /// Nothing is sent from now on.
    pub fn end(&self) {
        self.0.until.store(0, Release);
    }

    /// Which start this is; 0 before the ledger has said so.
    pub fn run(&self) -> u64 {
        self.0.run.load(Acquire)
    }

    /// Number and token of this start, if the ledger has given them.
    pub fn start(&self) -> Option<(u64, u64)> {
        let run = Some(self.run()).filter(|&run| run != 0)?;
        Some((run, self.0.token.load(Relaxed)))
    }

    /// Notes which start this is.
    pub fn set_start(&self, run: u64, token: u64) {
        self.0.token.store(token, Relaxed);
        self.0.run.store(run, Release);
    }

    /// Whether new messages are refused, for maintenance.
    pub fn drains(&self) -> bool {
        self.0.drains.load(Acquire) != 0
    }

    /// Has new messages refused, or no longer; says whether they were before.
    pub fn drain(&self, drains: bool) -> bool {
        self.0.drains.swap(drains.into(), AcqRel) != 0
    }

    /// Lists the nodes, for the process that writes the ledger.
    pub fn note_nodes(&self, nodes: &[NodeListed]) {
        let words = &*self.0;
        // Odd, whatever a writer has left that failed.
        let version = words.version.load(Relaxed) | 1;
        words.version.store(version, Relaxed);
        fence(Release);
        for (words, node) in words.nodes.iter().zip(nodes) {
            let mut name = [0; NODE_NAME];
            let bytes = node.name.as_bytes();
            let length = bytes.len().min(NODE_NAME);
            name[..length].copy_from_slice(&bytes[..length]);
            let (parts, _) = name.as_chunks();
            for (word, &part) in words.name.iter().zip(parts) {
                word.store(u64::from_le_bytes(part), Relaxed);
            }
            words.run.store(node.run, Relaxed);
            let until = node
                .lease
                .map_or(0, |lease| now() + lease.as_millis() as u64);
            words.until.store(until, Relaxed);
            words.drains.store(node.drains.into(), Relaxed);
            words.unfinished.store(node.unfinished, Relaxed);
        }
        let count = nodes.len().min(MOST_NODES) as u64;
        words.count.store(count, Relaxed);
        words.version.store(version + 1, Release);
    }

    /// The nodes, as the ledger had them some seconds ago; nothing if they are never complete.
    pub fn nodes(&self) -> Option<Vec<NodeListed>> {
        (0..TRIES).find_map(|_| {
            let version = self.0.version.load(Acquire);
            let nodes = version.is_multiple_of(2).then(|| self.read_nodes())?;
            // All that was read has been read before the version is looked at again.
            fence(Acquire);
            (self.0.version.load(Relaxed) == version).then_some(nodes)
        })
    }

    fn read_nodes(&self) -> Vec<NodeListed> {
        let count = self.0.count.load(Relaxed) as usize;
        let now = now();
        let nodes = self.0.nodes.iter().take(count).map(|words| {
            let mut name = Vec::with_capacity(NODE_NAME);
            for word in &words.name {
                name.extend_from_slice(&word.load(Relaxed).to_le_bytes());
            }
            let end = name.iter().position(|&byte| byte == 0);
            name.truncate(end.unwrap_or(NODE_NAME));
            let left = words.until.load(Relaxed).saturating_sub(now);
            NodeListed {
                name: String::from_utf8_lossy(&name).into_owned(),
                run: words.run.load(Relaxed),
                lease: (left > 0).then(|| Duration::from_millis(left)),
                drains: words.drains.load(Relaxed) != 0,
                unfinished: words.unfinished.load(Relaxed),
            }
        });
        nodes.collect()
    }
}

/// The time since the machine was started, in which it may have slept.
pub fn boot_time() -> Duration {
    Duration::from_millis(now())
}

fn now() -> u64 {
    system_clock(ClockId::Boottime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_sent_only_while_a_lease_holds_that_is_needed() {
        let lease = NodeLease::new().unwrap();
        assert!(lease.holds() && lease.left().is_none());
        lease.require();
        assert!(!lease.holds());
        lease.hold(boot_time(), Duration::from_secs(60));
        assert!(lease.holds() && lease.left().unwrap() > Duration::from_secs(50));
        // Renewed late: it counts from when it was asked for.
        let asked = boot_time().saturating_sub(Duration::from_secs(2));
        lease.hold(asked, Duration::from_secs(1));
        assert!(!lease.holds());
        lease.hold(boot_time(), Duration::from_secs(60));
        lease.end();
        assert!(!lease.holds());
    }

    #[test]
    fn nodes_are_listed_as_they_were_noted() {
        let lease = NodeLease::new().unwrap();
        assert_eq!(lease.nodes(), Some(Vec::new()));
        let node = |name: &str, run, held| NodeListed {
            name: name.to_owned(),
            run,
            lease: held,
            drains: run == 2,
            unfinished: run * 100,
        };
        let listed = [node("a", 1, None), node(&"n".repeat(NODE_NAME), 2, None)];
        lease.note_nodes(&listed);
        assert_eq!(lease.nodes().unwrap(), listed);
        lease.note_nodes(&[node("b", 3, Some(Duration::from_secs(60)))]);
        let [ref b] = lease.nodes().unwrap()[..] else {
            panic!("not one node");
        };
        assert!(b.lease.unwrap() > Duration::from_secs(50), "{b:?}");
    }

    #[test]
    fn a_list_that_is_being_written_is_not_read() {
        let lease = NodeLease::new().unwrap();
        let nodes = |number: u64| {
            vec![
                NodeListed {
                    name: format!("node {number}"),
                    run: number,
                    lease: None,
                    drains: false,
                    unfinished: number,
                };
                20
            ]
        };
        std::thread::scope(|scope| {
            let writer =
                scope.spawn(|| (0..2000).for_each(|number| lease.note_nodes(&nodes(number))));
            while !writer.is_finished() {
                let found = lease.nodes().unwrap_or_default();
                if let Some(first) = found.first() {
                    assert_eq!(found, nodes(first.run));
                }
            }
        });
    }
}
