//! One turn of one contender: messages out, forks counted, processor time before and after.

use crate::options::Options;
use crate::proxy::Proxy;
use crate::receiver::Receiver;
use crate::sender::{Batch, Pace, STANDSTILL, Sender};
use std::time::Duration;

/// How long tm may need to forget what is over, `wt_timer` not counted.
const DRAINED: Duration = Duration::from_secs(60);

/// The load: the same receiver and sender for all.
pub struct Load {
    pub receiver: Receiver,
    pub sender: Sender,
}

/// What one turn has shown.
#[derive(Clone, Debug)]
pub struct Turn {
    pub refused: usize,
    /// Messages without any final answer.
    pub unanswered: usize,
    pub received: u64,
    /// Recipients of accepted messages that never got theirs.
    pub lost: u64,
    /// Retransmissions that the receiver saw.
    pub repeated: u64,
    /// From the first message to the last fork.
    pub duration: Duration,
    /// Of all processes of the proxy, until tm has forgotten everything.
    pub processor_time: Duration,
    pub p50: Duration,
    pub p99: Duration,
}

impl Turn {
    pub fn recipients_per_second(&self) -> f64 {
        self.received as f64 / self.duration.as_secs_f64()
    }

    /// Microseconds of processor time for each recipient.
    pub fn cost(&self) -> f64 {
        self.processor_time.as_secs_f64() * 1e6 / self.received as f64
    }

    /// Everything arrived, and once.
    pub fn is_clean(&self) -> bool {
        self.repeated == 0 && self.lost == 0 && self.refused == 0 && self.unanswered == 0
    }
}

impl Load {
    pub fn new() -> Self {
        Self {
            receiver: Receiver::start(),
            sender: Sender::new(),
        }
    }

    /// The highest speed: `recipients` in all, so many under way at a time.
    pub fn flat_out(&mut self, proxy: &Proxy, options: &Options, size: usize) -> Turn {
        let outstanding = options.outstanding.saturating_sub(size);
        let messages = options.recipients.div_ceil(size);
        self.turn(
            proxy,
            options,
            size,
            messages,
            Pace::Outstanding(outstanding),
        )
    }

    /// So many recipients a second for the time that the options say.
    pub fn at_rate(&mut self, proxy: &Proxy, options: &Options, size: usize, rate: f64) -> Turn {
        let messages_per_second = rate / size as f64;
        let messages = messages_per_second * options.rate_seconds;
        let messages = (messages.ceil() as usize).max(3);
        self.turn(
            proxy,
            options,
            size,
            messages,
            Pace::Rate(messages_per_second),
        )
    }

    pub fn turn(
        &mut self,
        proxy: &Proxy,
        options: &Options,
        size: usize,
        messages: usize,
        pace: Pace,
    ) -> Turn {
        let batch = Batch {
            size,
            groups: options.groups_of(size),
            messages,
            pace,
            standstill: STANDSTILL,
        };
        self.receiver.reset();
        let before = proxy.processor_time();
        let outcome = self.sender.send(proxy.address(), &batch, &self.receiver);
        let last = self.receiver.last();
        let patience = DRAINED + Duration::from_millis(options.wt_timer.into());
        assert!(
            proxy.drain(patience),
            "tm still has transactions after {patience:?}"
        );
        let processor_time = proxy.processor_time() - before;
        let (received, repeated) = (self.receiver.received(), self.receiver.repeated());
        assert!(
            received > 0,
            "nothing arrived: {} messages accepted, {} refused",
            outcome.accepted,
            outcome.refused
        );
        let percentile = |percent: usize| {
            let index = (outcome.latencies.len() * percent / 100).min(outcome.latencies.len() - 1);
            outcome.latencies[index]
        };
        Turn {
            refused: outcome.refused,
            unanswered: messages - outcome.accepted - outcome.refused,
            received,
            lost: ((outcome.accepted * size) as u64).saturating_sub(received),
            repeated,
            duration: last.saturating_duration_since(outcome.begin),
            processor_time,
            p50: percentile(50),
            p99: percentile(99),
        }
    }
}
