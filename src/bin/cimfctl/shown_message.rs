//! A message of the ledger with what became of each recipient.

use cimf::fanout::Outcome;
use cimf::ledger::{Kept, Shown};
use std::collections::HashMap;

/// What is known of a recipient.
pub enum Fate<'a> {
    /// The copy is kept.
    Kept(&'a Kept),
    /// This became of it.
    Outcome(Outcome),
    /// Nothing yet.
    Open,
    /// Nothing, and nothing will.
    Ended,
}

/// Whether the message still has recipients to whom something will happen.
fn is_open(shown: &Shown) -> bool {
    shown.message.promised && shown.message.finished_at.is_none()
}

/// How many recipients have no outcome yet.
pub fn open_count(shown: &Shown) -> usize {
    match is_open(shown) {
        true => shown.recipients.len().saturating_sub(shown.outcomes.len()),
        false => 0,
    }
}

/// Passes each recipient's address and fate to `each`, in their order.
pub fn fates<E>(
    shown: &Shown,
    mut each: impl FnMut(&[u8], Fate<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let kept = shown.kept.iter().map(|kept| (kept.recipient, kept));
    let kept: HashMap<u32, &Kept> = kept.collect();
    let outcomes = shown.outcomes.iter();
    let outcomes: HashMap<u32, _> = outcomes.map(|it| (it.recipient, it)).collect();
    for (number, recipient) in (0..).zip(shown.recipients.iter()) {
        let outcome = outcomes.get(&number);
        let outcome = outcome.and_then(|it| Outcome::from_bytes(it.outcome, it.code));
        let fate = match (kept.get(&number), outcome) {
            (Some(kept), _) => Fate::Kept(kept),
            (None, Some(outcome)) => Fate::Outcome(outcome),
            (None, None) if is_open(shown) => Fate::Open,
            (None, None) => Fate::Ended,
        };
        each(recipient.address, fate)?;
    }
    Ok(())
}
