//! Counts over all workers, for statistics.
//!
//! ```text
//! share 0: counters | refused by reason | rest of the line      written by the processes whose id leads there,
//! share 1: …                                                    without a lock; each count only grows
//! ```

#![deny(unsafe_code)]

use super::process::Process;
use super::shared_memory::{Mapped, shared};
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// How many counts there are of each thing, so that two processes rarely write to the same line of the
/// processor's cache.
const SHARES: usize = 16;
/// The most reasons to refuse that are counted apart: the checks, the queue and the ledger have some fifty together.
pub const MOST_REASONS: usize = 64;
/// Counts of a share.
const COUNTS: usize = Counter::ALL.len() + MOST_REASONS;

shared! {
    struct Shares {
        shares: [Share; SHARES],
    }

    /// What some of the processes have counted, in whole lines of the cache.
    struct Share {
        counters: [AtomicU64; Counter::ALL.len()],
        refused: [AtomicU64; MOST_REASONS],
        _rest_of_the_line: [AtomicU64; COUNTS.next_multiple_of(8) - COUNTS],
    }
}

const _: () = assert!(size_of::<Share>().is_multiple_of(64));

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
    /// Messages that found no room in the memory of recent requests, so that a transaction was made for each.
    NotRemembered,
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
    /// Messages taken over from nodes that were lost.
    TakenOver,
    /// Messages that other nodes have taken over, as this one was away.
    TakenAway,
}

impl Counter {
    /// All counters with their names and what they count.
    pub const ALL: [(Self, &'static str, &'static str); 16] = [
        (Self::Accepted, "accepted", "messages answered 202"),
        (Self::Refused, "refused", "messages refused"),
        (
            Self::Retransmissions,
            "retransmissions",
            "retransmitted messages, answered again and not sent again",
        ),
        (
            Self::NotRemembered,
            "not_remembered",
            "messages that found no room among recent_requests and got a transaction",
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
        (
            Self::TakenOver,
            "taken_over",
            "messages taken over from nodes that were lost or have left",
        ),
        (
            Self::TakenAway,
            "taken_away",
            "messages that other nodes have taken over, as the lease of this one had run out",
        ),
    ];
}

/// The counts of all workers together.
#[derive(Debug)]
pub struct Counters(Mapped<Shares>);

impl Counters {
    /// All counts at 0. To be made before the workers are forked.
    pub fn new() -> io::Result<Self> {
        Mapped::new().map(Self)
    }

    /// Counts one.
    #[inline]
    pub fn add(&self, counter: Counter) {
        self.add_to(|share| &share.counters[counter as usize]);
    }

    /// Counts a message refused for the reason with this number in the table of answers, below [`MOST_REASONS`].
    pub fn add_refused(&self, reason: usize) {
        self.add(Counter::Refused);
        self.add_to(|share| &share.refused[reason]);
    }

    /// How many messages were refused for that reason.
    pub fn refused(&self, reason: usize) -> u64 {
        self.sum(|share| &share.refused[reason])
    }

    /// The count.
    pub fn get(&self, counter: Counter) -> u64 {
        self.sum(|share| &share.counters[counter as usize])
    }

    #[inline]
    fn add_to(&self, count: impl Fn(&Share) -> &AtomicU64) {
        let share = &self.0.shares[Process::this().id() as usize % SHARES];
        count(share).fetch_add(1, Relaxed);
    }

    fn sum(&self, count: impl Fn(&Share) -> &AtomicU64) -> u64 {
        let counts = self.0.shares.iter().map(count);
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
