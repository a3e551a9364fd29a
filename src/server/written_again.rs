//! What is written of a message under way that PostgreSQL has promised to have, and has lost: the message as it was promised,
//! and what has become of its recipients since.

#![forbid(unsafe_code)]

use super::Server;
use super::outcome_pipe::outcome;
use super::promise::promise;
use crate::fanout::{Outcome, UnderWay, milliseconds};
use crate::ledger::{Entry, KeptCopy};
use std::borrow::Cow;
use std::time::SystemTime;

/// The message as it was promised.
pub fn promise_again<'m>(message: &'m UnderWay<'_>) -> Entry<'m> {
    promise(message.ledger(), message.submission(), message.owns())
}

/// What has become of its recipients: outcomes, and the copies that are kept. An outcome for which a copy may be on its way to
/// being kept is left out; it comes with the copy.
pub fn outcomes_again<'m>(server: &Server, message: &'m UnderWay<'_>) -> Vec<Entry<'m>> {
    let outbox = server.outbox();
    let id = message.ledger();
    let endings = outbox.settled(message);
    let now = milliseconds(SystemTime::now());
    let kept = |&(recipient, ending): &(u32, Outcome)| {
        let Outcome::Kept(code) = ending else {
            return None;
        };
        let address = message.address(recipient)?;
        Some(Entry::Kept(KeptCopy {
            message: id,
            recipient,
            address_hash: server.member(address)?,
            address,
            code,
            kept_at: now,
            expires_at: outbox.away()?.until(message.expires_at(), now),
        }))
    };
    let mut entries: Vec<Entry<'m>> = endings.iter().filter_map(kept).collect();
    if !endings.is_empty() {
        let outcomes = endings
            .iter()
            .map(|&(recipient, ending)| outcome(recipient, ending));
        entries.push(Entry::Outcomes {
            id,
            outcomes: Cow::Owned(outcomes.collect()),
        });
    }
    entries
}
