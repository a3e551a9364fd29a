//! The side of the process that asks name servers: it takes the questions, and says what was answered. The copies that
//! wait for a name then go on, or end (`naming`).

#![forbid(unsafe_code)]

use super::blocked::Blocked;
use super::counters::Counter;
use super::lock::{OF_CALLBACKS, OF_MESSAGES};
use super::locked_queue::LockedQueue;
use super::names::Question;
use std::net::SocketAddr;
use std::time::Duration;

/// Copies for which the lock is held, so that others get it in between.
const STEPS: u64 = 32;
/// How long an answer counts, whatever it says.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(3600);
/// For how long what was known serves when no name server answers any more (RFC 8767 §5).
const STALE: u64 = 3_600_000;
/// Milliseconds until a look-up that was in vain is tried again: as many at first, and twice as many each
/// time, up to the last.
const FIRST_AGAIN: u64 = 1_000;
const LAST_AGAIN: u64 = 30_000;

/// Why a look-up was in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotResolved {
    /// The name server says that the name leads nowhere.
    LeadsNowhere,
    /// No name server gave an answer.
    NoAnswer,
}

/// The next name to be asked.
pub(super) fn next_question(queue: &LockedQueue) -> Option<Question> {
    queue.with(|held| queue.scheduler.names.questions.next(held))
}

/// A name leads to these addresses, best first, for so long.
pub(super) fn name_leads(
    queue: &LockedQueue,
    question: &Question,
    addresses: &[SocketAddr],
    time_to_live: Duration,
    now: u64,
) {
    let scheduler = &queue.scheduler;
    let questions = scheduler.names.questions;
    let time = time_to_live.clamp(SHORTEST, LONGEST).as_millis() as u64;
    let learnt = queue.with(|held| {
        let entry = questions.entry(held, question)?;
        held[entry].learn(held, addresses, now + time / 5 * 4, now + time + STALE);
        questions.was_asked(held, entry);
        Some(entry)
    });
    if let Some(entry) = learnt {
        while queue.with(|held| scheduler.let_some_go(held, entry, now)) {}
    }
}

/// A name could not be resolved; gives when it is to be asked again.
pub(super) fn name_fails(
    queue: &LockedQueue,
    question: &Question,
    why: NotResolved,
    now: u64,
) -> Option<u64> {
    let scheduler = &queue.scheduler;
    let questions = scheduler.names.questions;
    scheduler.counters.add(Counter::NamesFailed);
    let lifetime = u64::from(scheduler.limits.queue_lifetime) * 1000;
    let (again, mut left) = queue.with(|held| {
        let entry = questions.entry(held, question)?;
        if why == NotResolved::LeadsNowhere {
            held[entry].forget(held);
        }
        let failures = held[entry].fail(held, now).min(16);
        let pause = (FIRST_AGAIN << (failures - 1)).min(LAST_AGAIN.min(lifetime));
        held[entry].ask_not_before(held, now + pause);
        Some((now + pause, held[entry].length()))
    })?;
    // Each is looked at once: those that stay go to the end of the queue.
    while left > 0 {
        let steps = left.min(STEPS);
        left -= steps;
        queue.with(|held| {
            if let Some(entry) = questions.entry(held, question) {
                scheduler.end_overdue(held, entry, steps, now);
            }
        });
    }
    queue.with(|held| {
        let entry = questions.entry(held, question)?;
        let has_waiting = held[entry].has_waiting();
        if !has_waiting {
            questions.was_asked(held, entry);
        }
        has_waiting.then_some(again)
    })
}

/// The next hop of a fork in flight has given no answer of its own, or could not be reached.
pub(super) fn next_hop_failed(queue: &LockedQueue, cookie: u64) {
    let ways = queue.scheduler.names.ways;
    // Mostly it is no name, and the lock is not needed. If another process keeps that, there is another failure to
    // learn from.
    if ways.is_noted(&queue.memory, cookie) {
        let _ = queue.with_within(OF_CALLBACKS, |held| ways.turn_from(held, cookie));
    }
}

/// What is done by the clock: ends those that wait in vain for a name, as their message sends nothing
/// more, and lets those go on for which there was no room.
pub(super) fn look_again(queue: &LockedQueue, now: u64) -> Result<(), Blocked> {
    let scheduler = &queue.scheduler;
    let (waiting, questions) = (scheduler.names.waiting, scheduler.names.questions);
    if !queue.with_within(OF_MESSAGES, |held| waiting.takes_a_look(held))? {
        return Ok(());
    }
    let mut is_new = false;
    for entry in queue.with_within(OF_MESSAGES, |held| waiting.names(held))? {
        let is_known = queue.with_within(OF_MESSAGES, |held| {
            if !held[entry].has_waiting() {
                return false;
            }
            scheduler.end_closing_at(held, entry);
            let is_known = held[entry].is_known(now);
            is_new |= !is_known && held[entry].has_waiting() && questions.ask(held, entry);
            is_known
        })?;
        if is_known {
            while queue.with_within(OF_MESSAGES, |held| scheduler.let_some_go(held, entry, now))? {}
        }
    }
    if is_new {
        queue.resolver.wake();
    }
    if !queue.with_within(OF_MESSAGES, |held| waiting.has_outside(held))? {
        return Ok(());
    }
    for owner in waiting.owners() {
        queue.with_within(OF_MESSAGES, |held| scheduler.let_go_outside(held, owner))?;
    }
    Ok(())
}
