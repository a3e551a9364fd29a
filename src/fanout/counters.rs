//! Counts over all workers, for statistics.
//!
//! ```text
//! share 0: counters | refused by reason | rest of the line      written by the processes whose id leads there,
//! share 1: …                                                    without a lock; each count only grows
//! gauges                                                        each written by one process, without a lock
//! ```

#![deny(unsafe_code)]

use super::clock::system_clock;
use super::process::Process;
use super::shared_memory::{Mapped, shared};
use rustix::time::ClockId;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// How many counts there are of each thing, so that two processes rarely write to the same line of the
/// processor's cache.
const SHARES: usize = 16;
/// The most reasons to refuse that are counted apart: the checks, the queue and the ledger have some fifty together.
pub const MOST_REASONS: usize = 64;
/// No message is on its way.
const NONE: u64 = u64::MAX;
/// Counts of a share.
const COUNTS: usize = Counter::ALL.len() + MOST_REASONS;

shared! {
    struct Shares {
        shares: [Share; SHARES],
        gauges: Gauges,
    }

    /// What one process each writes.
    struct Gauges {
        oldest: AtomicU64,
        processor_time: [AtomicU64; OwnProcess::ALL.len()],
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
    /// Of these, forks answered 3xx.
    Forks3xx,
    /// Forks answered 4xx.
    Forks4xx,
    /// Forks answered 5xx.
    Forks5xx,
    /// Forks answered 6xx.
    Forks6xx,
    /// Forks not answered in time.
    ForksTimedOut,
    /// Forks that could not be sent.
    ForksUnsent,
    /// Recipients that got no fork because their message was out of time before their turn came.
    ForksExpired,
    /// Recipients that got no fork for another reason.
    ForksSkipped,
    /// Messages whose recipients have all ended.
    Finished,
    /// Of these, messages that were finished within 100 ms after their 202.
    FinishedIn100Ms,
    /// Within a second.
    FinishedIn1S,
    /// Within ten seconds.
    FinishedIn10S,
    /// Within a minute.
    FinishedIn1Min,
    /// Within ten minutes.
    FinishedIn10Min,
    /// Milliseconds that all of them together have taken.
    FinishedMs,
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
    /// Those of finished messages by how long they took at most, in milliseconds.
    const FINISHED_WITHIN: [(u64, Self); 5] = [
        (100, Self::FinishedIn100Ms),
        (1_000, Self::FinishedIn1S),
        (10_000, Self::FinishedIn10S),
        (60_000, Self::FinishedIn1Min),
        (600_000, Self::FinishedIn10Min),
    ];

    /// All counters with their names and what they count.
    pub const ALL: [(Self, &'static str, &'static str); 29] = [
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
        (Self::Forks3xx, "forks_3xx", "of these, forks answered 3xx"),
        (Self::Forks4xx, "forks_4xx", "forks answered 4xx"),
        (Self::Forks5xx, "forks_5xx", "forks answered 5xx"),
        (Self::Forks6xx, "forks_6xx", "forks answered 6xx"),
        (
            Self::ForksTimedOut,
            "forks_timed_out",
            "forks not answered in time",
        ),
        (
            Self::ForksUnsent,
            "forks_unsent",
            "forks that could not be sent",
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
            Self::Finished,
            "finished",
            "messages whose recipients have all ended",
        ),
        (
            Self::FinishedIn100Ms,
            "finished_le_100ms",
            "of these, messages finished within 100 ms after their 202",
        ),
        (
            Self::FinishedIn1S,
            "finished_le_1s",
            "messages finished within a second, the faster ones included",
        ),
        (
            Self::FinishedIn10S,
            "finished_le_10s",
            "messages finished within ten seconds, likewise",
        ),
        (
            Self::FinishedIn1Min,
            "finished_le_1min",
            "messages finished within a minute, likewise",
        ),
        (
            Self::FinishedIn10Min,
            "finished_le_10min",
            "messages finished within ten minutes, likewise",
        ),
        (
            Self::FinishedMs,
            "finished_ms",
            "milliseconds from the 202 to the end of all finished messages together",
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

/// The processes of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum OwnProcess {
    /// Reports outcomes.
    Outcomes,
    /// Writes the ledger.
    Ledger,
    /// Asks name servers.
    Names,
    /// Follows PostgreSQL.
    Replica,
    /// Carries out commands about groups.
    Groups,
}

impl OwnProcess {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [
        Self::Outcomes,
        Self::Ledger,
        Self::Names,
        Self::Replica,
        Self::Groups,
    ];
}

/// The counts of all workers together.
#[derive(Debug)]
pub struct Counters(Mapped<Shares>);

impl Counters {
    /// All counts at 0. To be made before the workers are forked.
    pub fn new() -> io::Result<Self> {
        let counters = Mapped::new().map(Self)?;
        counters.note_oldest(None);
        Ok(counters)
    }

    /// Counts one.
    #[inline]
    pub fn add(&self, counter: Counter) {
        self.add_to(1, |share| &share.counters[counter as usize]);
    }

    /// Counts a message refused for the reason with this number in the table of answers, below [`MOST_REASONS`].
    pub fn add_refused(&self, reason: usize) {
        self.add(Counter::Refused);
        self.add_to(1, |share| &share.refused[reason]);
    }

    /// Counts a message that is finished, so many milliseconds after its 202.
    pub fn add_finished(&self, milliseconds: u64) {
        self.add(Counter::Finished);
        self.add_to(milliseconds, |share| {
            &share.counters[Counter::FinishedMs as usize]
        });
        for (most, counter) in Counter::FINISHED_WITHIN {
            if milliseconds <= most {
                self.add(counter);
            }
        }
    }

    /// Notes the time, by the engine's clock, of the 202 of the oldest message on its way; nothing if there is none.
    pub(super) fn note_oldest(&self, accepted_at: Option<u64>) {
        let oldest = accepted_at.unwrap_or(NONE);
        self.0.gauges.oldest.store(oldest, Relaxed);
    }

    /// The time of the 202 of the oldest message on its way, as it was half a second ago.
    pub fn oldest(&self) -> Option<u64> {
        let oldest = self.0.gauges.oldest.load(Relaxed);
        (oldest != NONE).then_some(oldest)
    }

    /// Notes how much of the processors' time this process has taken, which is one of the module's.
    pub fn note_processor_time(&self, process: OwnProcess) {
        let taken = system_clock(ClockId::ProcessCPUTime);
        self.0.gauges.processor_time[process as usize].store(taken, Relaxed);
    }

    /// How many milliseconds of the processors' time a process has taken.
    pub fn processor_time(&self, process: OwnProcess) -> u64 {
        self.0.gauges.processor_time[process as usize].load(Relaxed)
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
    fn add_to(&self, more: u64, count: impl Fn(&Share) -> &AtomicU64) {
        let share = &self.0.shares[Process::this().id() as usize % SHARES];
        count(share).fetch_add(more, Relaxed);
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
    fn a_finished_message_counts_for_each_bound_that_it_kept() {
        let counters = Counters::new().unwrap();
        for milliseconds in [0, 100, 101, 60_000, 700_000] {
            counters.add_finished(milliseconds);
        }
        let within = Counter::FINISHED_WITHIN.map(|(_, counter)| counters.get(counter));
        assert_eq!(within, [2, 3, 3, 4, 4]);
        assert_eq!(counters.get(Counter::Finished), 5);
        assert_eq!(counters.get(Counter::FinishedMs), 760_201);
    }

    #[test]
    fn the_table_stands_in_the_order_of_the_counters() {
        for (index, (counter, name, _)) in Counter::ALL.iter().enumerate() {
            assert_eq!(*counter as usize, index, "{name}");
        }
    }
}
