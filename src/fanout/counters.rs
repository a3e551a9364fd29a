//! Counts over all workers, for statistics.

#![forbid(unsafe_code)]

use super::process::Process;
use super::shared_memory::SharedMemory;
use crate::control::Reason;
use std::io;
use std::sync::atomic::Ordering::Relaxed;

/// How many counts there are of each thing, so that two processes rarely write to the same line of the
/// processor's cache.
const SHARES: usize = 16;
/// Words of one share, whole lines of the cache.
const SHARE: usize = (Counter::ALL.len() + Reason::ALL.len()).next_multiple_of(8);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Messages answered 202 and sent to their groups.
    Accepted,
    /// Messages refused.
    Refused,
    /// Retransmissions of messages, answered again and not sent again.
    Retransmissions,
    /// Forks handed to the transaction layer.
    ForksSent,
    /// Forks that the transaction layer refused.
    ForksRefused,
    /// Forks answered with 2xx.
    ForksDelivered,
    /// Forks answered with 300 or more, or not at all (408).
    ForksFailed,
    /// Recipients that got no fork because their message was out of time before their turn came.
    ForksExpired,
    /// Recipients that got no fork for another reason.
    ForksSkipped,
    /// Look-ups of next hops' names that were in vain.
    NamesFailed,
    /// Kept copies that were delivered later.
    KeptDelivered,
    /// Kept copies that have expired, or whose group was deleted, or that somebody has dropped.
    KeptExpired,
    /// Kept copies that newer ones have pushed out.
    KeptPushedOut,
}

impl Counter {
    /// All counters with their names and what they count.
    pub const ALL: [(Self, &'static str, &'static str); 13] = [
        (Self::Accepted, "accepted", "messages answered 202"),
        (Self::Refused, "refused", "messages refused"),
        (
            Self::Retransmissions,
            "retransmissions",
            "retransmitted messages, answered again and not sent again",
        ),
        (Self::ForksSent, "forks_sent", "forks handed to tm"),
        (Self::ForksRefused, "forks_refused", "forks that tm refused"),
        (
            Self::ForksDelivered,
            "forks_delivered",
            "forks answered 2xx",
        ),
        (
            Self::ForksFailed,
            "forks_failed",
            "forks answered 300 or more, or not at all",
        ),
        (
            Self::ForksExpired,
            "forks_expired",
            "members not sent to before the message was out of time",
        ),
        (
            Self::ForksSkipped,
            "forks_skipped",
            "members not sent to, as too much waits for them or the message was cancelled",
        ),
        (
            Self::NamesFailed,
            "names_failed",
            "look-ups of next hops' names that failed",
        ),
        (
            Self::KeptDelivered,
            "kept_delivered",
            "kept copies that were delivered later",
        ),
        (
            Self::KeptExpired,
            "kept_expired",
            "kept copies that expired, were dropped, or were of a group that is deleted",
        ),
        (
            Self::KeptPushedOut,
            "kept_pushed_out",
            "kept copies that newer ones have pushed out (away_per_member)",
        ),
    ];
}

/// The counts of all workers together.
#[derive(Debug)]
pub struct Counters(SharedMemory);

impl Counters {
    /// All counts at 0. To be made before the workers are forked.
    pub fn new() -> io::Result<Self> {
        SharedMemory::new(SHARES * SHARE).map(Self)
    }

    /// Counts one.
    #[inline]
    pub fn add(&self, counter: Counter) {
        self.add_at(counter as usize);
    }

    /// Counts a refused message.
    pub fn add_refused(&self, reason: Reason) {
        self.add(Counter::Refused);
        self.add_at(Counter::ALL.len() + reason as usize);
    }

    /// How many messages were refused for this reason.
    pub fn refused(&self, reason: Reason) -> u64 {
        self.sum(Counter::ALL.len() + reason as usize)
    }

    /// The count.
    pub fn get(&self, counter: Counter) -> u64 {
        self.sum(counter as usize)
    }

    fn add_at(&self, index: usize) {
        let share = Process::this().id() as usize % SHARES;
        self.0.words()[share * SHARE + index].fetch_add(1, Relaxed);
    }

    fn sum(&self, index: usize) -> u64 {
        let counts = self.0.words().iter().skip(index).step_by(SHARE);
        counts.map(|count| count.load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_counters() {
        for (index, (counter, name, _)) in Counter::ALL.iter().enumerate() {
            assert_eq!(*counter as usize, index, "{name}");
        }
    }
}
