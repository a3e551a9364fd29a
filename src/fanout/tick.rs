//! What is done by the clock: what has expired or was cancelled ends, what a process that died was about to send is
//! taken back, and the speed is measured.

#![forbid(unsafe_code)]

use super::blocked::Blocked;
use super::counters::Counter;
use super::lock::{Held, OF_MESSAGES};
use super::locked_queue::LockedQueue;
use super::resolving;
use super::scheduler::Scheduler;
use super::under_way::each_message;

/// What counts recipients that have ended.
const ENDED: [Counter; 4] = [
    Counter::ForksDelivered,
    Counter::ForksFailed,
    Counter::ForksExpired,
    Counter::ForksSkipped,
];
/// Milliseconds between two measurements of the speed.
const MEASURE: u64 = 1_000;

/// Does it all, or up to where a process keeps the lock from the others.
pub(super) fn tick(queue: &LockedQueue, now: u64) -> Result<(), Blocked> {
    let scheduler = &queue.scheduler;
    queue.with_within(OF_MESSAGES, |held| measure(held, scheduler, now))?;
    let mut oldest = None;
    each_message(queue, |held, at| {
        if oldest.is_none() {
            let block = held.block(at);
            oldest = (block.kept() == 0).then(|| held[at].by_clock(block.accepted_at()));
        }
        if held[at].has_expired(|| now) {
            scheduler.close(held, at, 0);
        }
        true
    })?;
    scheduler.counters.note_oldest(oldest);
    scheduler.copy_memory.log_if_short(&queue.memory, now);
    for transaction in scheduler.transactions.sending(&queue.memory) {
        queue.with_within(OF_MESSAGES, |held| {
            queue.recovery().take_back(held, transaction);
        })?;
    }
    while queue.with_within(OF_MESSAGES, |held| scheduler.close_some(held))? {}
    resolving::look_again(queue, now)
}

/// Measures how many recipients end in a second.
fn measure(held: &Held<'_>, scheduler: &Scheduler, now: u64) {
    let flow = &held.root.flow;
    let passed = now.saturating_sub(flow.measured_at.get());
    if passed < MEASURE {
        return;
    }
    let ended = ENDED.map(|counter| scheduler.counters.get(counter));
    let ended: u64 = ended.iter().sum();
    flow.speed
        .set(held, (ended - flow.measured.get()) * 1000 / passed);
    flow.measured.set(held, ended);
    flow.measured_at.set(held, now);
}
