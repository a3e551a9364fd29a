//! Counts over all workers, for statistics.

#![forbid(unsafe_code)]

use super::shared_memory::SharedMemory;
use std::io;
use std::sync::atomic::Ordering::Relaxed;

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
    /// Transactions of forks that the transaction layer keeps in memory now.
    Transactions,
}

impl Counter {
    /// All counters with their names and what they count.
    pub const ALL: [(Self, &'static str, &'static str); 10] = [
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
            Self::Transactions,
            "transactions",
            "transactions of forks that tm keeps in memory now",
        ),
    ];
}

/// The counts of all workers together.
#[derive(Debug)]
pub struct Counters(SharedMemory);

impl Counters {
    /// All counts at 0. To be made before the workers are forked.
    pub fn new() -> io::Result<Self> {
        SharedMemory::new(Counter::ALL.len()).map(Self)
    }

    /// Counts one, and gives the count.
    pub fn add(&self, counter: Counter) -> u64 {
        let word = self.0.words().get(counter as usize);
        word.map_or(0, |word| word.fetch_add(1, Relaxed) + 1)
    }

    /// Counts one less.
    pub fn subtract(&self, counter: Counter) {
        if let Some(word) = self.0.words().get(counter as usize) {
            word.fetch_sub(1, Relaxed);
        }
    }

    /// The count.
    pub fn get(&self, counter: Counter) -> u64 {
        let word = self.0.words().get(counter as usize);
        word.map_or(0, |word| word.load(Relaxed))
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
