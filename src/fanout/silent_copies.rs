//! The look for copies that have become silent (`patience`). One process looks at all copies in flight some times a
//! second, without the lock; it notes when it has first seen each, and takes the lock for those alone that have become
//! silent. So a copy is never silent too early, whenever that process looks.

#![forbid(unsafe_code)]

use super::blocked::Blocked;
use super::held_up::HeldUp;
use super::layout::Transaction;
use super::lock::OF_MESSAGES;
use super::locked_queue::LockedQueue;
use super::patience::{Found, MOMENTS, OLD};

/// Copies for which the lock is held, so that others get it in between.
const STEPS: usize = 32;

/// Lets copies count as silent that are older than `patience`, and their messages go on; gives a message whose members
/// wait behind silent copies.
pub(super) fn look_for_silent(queue: &LockedQueue, now: u64) -> Option<HeldUp> {
    let patience = u64::from(queue.scheduler.limits.patience) * 1000;
    if patience == 0 || queue.root().hot.in_flight.get() == 0 {
        return None;
    }
    let moment = now * MOMENTS / patience;
    let transactions = queue.scheduler.transactions;
    let old = transactions.grown_old(&queue.memory, moment, OLD);
    // While a process keeps the lock from the others the log says so, and the next look does it.
    make_silent(queue, &old, moment).ok().flatten()
}

fn make_silent(
    queue: &LockedQueue,
    old: &[&Transaction],
    moment: u64,
) -> Result<Option<HeldUp>, Blocked> {
    let scheduler = &queue.scheduler;
    let mut found = Found::default();
    for transactions in old.chunks(STEPS) {
        queue.with_within(OF_MESSAGES, |held| {
            for transaction in transactions {
                scheduler.become_silent(held, transaction, moment, &mut found);
            }
        })?;
    }
    let held_up = found.held_up();
    if held_up.is_some() || found.originators.is_empty() {
        return Ok(held_up);
    }
    queue.with_within(OF_MESSAGES, |held| {
        scheduler.held_back_by_silent(held, &found.originators)
    })
}
