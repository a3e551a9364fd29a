//! How recipients end: with their copies, or, as their message sends nothing more, without.

#![forbid(unsafe_code)]

use super::block::block_of;
use super::counters::Counter;
use super::layout::{Message, flag};
use super::lock::Held;
use super::recipient::{Outcome, Recipient, RecipientState, SkipReason};
use super::scheduler::Scheduler;
use super::shared_memory::{At, Locked};
use std::sync::atomic::Ordering::Relaxed;

/// Recipients for which the lock is held, so that others get it in between.
const STEPS: usize = 32;

/// What counts failures of this kind alone.
fn kind_of_failure(outcome: Outcome) -> Option<Counter> {
    match outcome {
        Outcome::Refused(300..400) => Some(Counter::Forks3xx),
        Outcome::Refused(400..500) => Some(Counter::Forks4xx),
        Outcome::Refused(500..600) => Some(Counter::Forks5xx),
        Outcome::Refused(_) => Some(Counter::Forks6xx),
        Outcome::Unreachable(408) => Some(Counter::ForksTimedOut),
        Outcome::Unreachable(_) => Some(Counter::ForksUnsent),
        Outcome::Delivered(_) | Outcome::Expired | Outcome::Skipped(_) | Outcome::Kept(_) => None,
    }
}

impl Scheduler {
    /// Takes back what [`Scheduler::tally_up`] has counted.
    pub(super) fn tally_down(&self, held: &Held<'_>, at: At<Message>, outcome: Outcome) {
        held[at].tally(outcome).subtract(held, 1);
    }

    /// Ends a recipient that is in no queue, and queues its outcome for the report.
    pub(super) fn end(&self, held: &Held<'_>, entry: At<Recipient>, outcome: Outcome) {
        held[entry].end(held, outcome);
        let at = block_of(held.memory, entry);
        let counter = self.tally_up(held, at, outcome);
        self.counters.add(counter);
        if let Some(kind) = kind_of_failure(outcome) {
            self.counters.add(kind);
        }
        held.root.hot.waiting.subtract(held, 1);
        let (left, unreported) = (held[at].left.get(), held[at].unreported.get());
        if left == 1 && self.limits.target_order {
            self.groups.leave(held, at);
        }
        // The last one is reported in any case, and after it that the message is finished.
        if Self::is_unreported(held, outcome) && unreported > 1 {
            held[entry].set_reported(held);
            held[at].left.set(held, left - 1);
            held[at].unreported.set(held, unreported - 1);
            return;
        }
        held[at].left.set(held, left - 1);
        if held.root.flow.outcomes.push(held, entry) {
            held.notify.set(true);
        }
    }

    /// Whether nobody reads reports of recipients that have ended so.
    pub(super) fn is_unreported(held: &Held<'_>, outcome: Outcome) -> bool {
        matches!(outcome, Outcome::Delivered(_))
            && held.root.flow.delivered_unreported.load(Relaxed) != 0
    }

    /// Counts a recipient that has ended among those of its message.
    pub(super) fn tally_up(&self, held: &Held<'_>, at: At<Message>, outcome: Outcome) -> Counter {
        held[at].tally(outcome).add(held, 1);
        match outcome {
            Outcome::Delivered(_) => Counter::ForksDelivered,
            Outcome::Refused(_) | Outcome::Unreachable(_) | Outcome::Kept(_) => {
                Counter::ForksFailed
            }
            Outcome::Expired => Counter::ForksExpired,
            Outcome::Skipped(_) => Counter::ForksSkipped,
        }
    }

    /// How recipients of this message end without an attempt, if it sends nothing more.
    pub(super) fn closing(&self, held: &Held<'_>, at: At<Message>) -> Option<Outcome> {
        let flags = held[at].flags.get();
        (flags & flag::CLOSING != 0).then_some(match flags & flag::CANCELLED {
            0 => Outcome::Expired,
            _ => Outcome::Skipped(SkipReason::Cancelled),
        })
    }

    /// Lets a message send nothing more.
    pub(super) fn close(&self, held: &Held<'_>, at: At<Message>, why: u32) {
        let flags = held[at].flags.get();
        if flags & flag::CLOSING != 0 {
            return;
        }
        self.leave_lists(held, at);
        held[at].flags.set(
            held,
            held[at].flags.get() | flag::CLOSING | flag::IN_CLOSING | why,
        );
        held[at].cursor.set(held, 0);
        held.root.flow.closing.push(held, at);
        self.names.waiting.look_again(held);
        held.notify.set(true);
    }

    /// Lets a recipient that has come back to a message that sends nothing more be ended.
    pub(super) fn close_again(&self, held: &Held<'_>, at: At<Message>) {
        let flags = held[at].flags.get();
        if flags & (flag::CLOSING | flag::IN_CLOSING) == flag::CLOSING {
            held[at].flags.set(held, flags | flag::IN_CLOSING);
            held.root.flow.closing.push(held, at);
        }
    }

    /// Ends a recipient of a message that sends nothing more, unless it is in flight or waits for one
    /// that is.
    pub(super) fn close_one(&self, held: &Held<'_>, entry: At<Recipient>, outcome: Outcome) {
        let place = held[entry].state();
        if !matches!(place, RecipientState::Waiting | RecipientState::AtTarget) {
            return;
        }
        let block = held.block_of(entry);
        let hash = self.keys.of_address(block.own(entry).address);
        if let Some(position) = self.position(held, hash, entry) {
            position.leave(held);
            self.end(held, entry, outcome);
            self.let_follow(held, hash, entry);
        } else if place == RecipientState::Waiting {
            self.end(held, entry, outcome);
        }
    }

    /// Ends some of the recipients of messages that send nothing more; says whether there are others.
    pub(super) fn close_some(&self, held: &Held<'_>) -> bool {
        let Some(at) = held.root.flow.closing.head() else {
            return false;
        };
        let Some(outcome) = self.closing(held, at) else {
            return false;
        };
        let block = held.block(at);
        for _ in 0..STEPS {
            if let Some(entry) = held[at].ready.pop(held) {
                self.end(held, entry, outcome);
                self.leave_kept(held, self.keys.of_address(block.own(entry).address), entry);
                continue;
            }
            let cursor = held[at].cursor.get();
            if cursor as usize == block.count() {
                self.leave_lists(held, at);
                break;
            }
            held[at].cursor.set(held, cursor + 1);
            self.close_one(held, block.entry(cursor as usize), outcome);
        }
        true
    }
}

impl Message {
    /// Where it counts those of its recipients that have ended so.
    pub(super) fn tally(&self, outcome: Outcome) -> &Locked<u32> {
        match outcome {
            Outcome::Delivered(_) => &self.delivered,
            Outcome::Refused(_) => &self.refused,
            Outcome::Unreachable(_) => &self.unreachable,
            Outcome::Expired => &self.expired,
            Outcome::Skipped(_) => &self.skipped,
            Outcome::Kept(_) => &self.kept_for,
        }
    }
}
