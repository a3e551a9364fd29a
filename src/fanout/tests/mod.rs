//! The engine's promises one by one, each in the file of what it is about; here what they share.

mod deferred;
mod ends;
mod names;
mod not_sent;
mod order;
mod patience;
mod proxy_memory;
mod recovery;
mod restore;
mod room;
mod shares;

use super::{Counters, Engine, Event, FreeMemory, Outcome, ProxyMemory, Submission};
use crate::config::Settings;
use crate::control::Own;
pub(super) use crate::sample::{NOW, submission};
use std::sync::Arc;

/// No limit that matters.
pub(super) fn limits() -> Settings {
    Settings {
        queue_memory: 1,
        queue_messages: 1000,
        forks_in_flight: 1000,
        patience: 2,
        target_order: true,
        target_queue: 100,
        queue_lifetime: 600,
        quota_originator: None,
        quota_group: None,
        rate: 0,
        ..Settings::new()
    }
}

pub(super) fn engine_with(limits: Settings) -> Engine {
    let engine = engine_of_no_proxy(limits);
    engine.leave_memory(ProxyMemory {
        free: Box::new(Plenty),
        whole: 1 << 40,
        reserve: 1 << 30,
        transaction: 10 << 10,
    });
    engine
}

/// Nobody has told it of the proxy's memory.
pub(super) fn engine_of_no_proxy(limits: Settings) -> Engine {
    Engine::new(limits, [7; 16], Arc::new(Counters::new().unwrap())).unwrap()
}

/// More than any test needs.
#[derive(Debug)]
struct Plenty;

impl FreeMemory for Plenty {
    fn bytes(&self) -> u64 {
        1 << 40
    }
}

pub(super) fn engine() -> Engine {
    engine_with(limits())
}

/// Accepts and starts a message; gives its number.
pub(super) fn start(engine: &Engine, names: &[&str]) -> u64 {
    start_as(engine, &submission(), names)
}

/// The same for a message of which at most `window` forks wait for their final responses at once.
pub(super) fn start_narrow(engine: &Engine, window: u32, names: &[&str]) -> u64 {
    let narrow = Submission {
        window,
        ..submission()
    };
    start_as(engine, &narrow, names)
}

pub(super) fn start_as(engine: &Engine, submission: &Submission<'_>, names: &[&str]) -> u64 {
    let own = || names.iter().map(|name| Own::plain(name.as_bytes()));
    engine.start(engine.reserve(submission, own, NOW).unwrap())
}

/// Sends the next fork; gives whom to, of which message, and its cookie.
pub(super) fn send(engine: &Engine) -> Option<(String, u64, u64)> {
    let attempt = engine.next(|| NOW)?;
    let recipient = String::from_utf8(attempt.fork().recipient.to_vec()).unwrap();
    Some((recipient, attempt.message(), attempt.cookie()))
}

pub(super) fn outcomes(engine: &Engine) -> Vec<Outcome> {
    let events = std::iter::from_fn(|| engine.next_event());
    let outcomes = events.filter_map(|event| match event {
        Event::Ended(outcome) => Some(outcome.outcome),
        Event::Finished(_) => None,
    });
    outcomes.collect()
}
