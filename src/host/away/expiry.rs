//! Kept copies that end by the clock or by an administrator's command.

#![forbid(unsafe_code)]

use super::copies::{KeptCopies, Reason};
use crate::fanout::milliseconds;
use crate::ledger::{Kept, LedgerError};
use std::time::{Duration, Instant, SystemTime};

/// How often expired copies are looked for, and how many of them at once.
const INTERVAL: Duration = Duration::from_secs(1);
const BATCH: usize = 512;
/// How long an expired copy is left to the node that sees to it, in milliseconds.
const LEFT_TO_OTHERS: u64 = 60_000;

/// When expired copies were last looked for.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    checked: Option<Instant>,
}

impl Expiry {
    /// Ends what has expired and what administrators have dropped since.
    pub(super) fn round(&mut self, copies: &mut KeptCopies<'_>) {
        let checked = self.checked;
        if checked.is_none_or(|checked| checked.elapsed() >= INTERVAL) {
            self.checked = Some(Instant::now());
            end_expired(copies);
        }
        for member in copies.server.outbox().engine().away().asked_to_drop() {
            let kept = copies.oldest_of(member, usize::MAX);
            end_all(copies, kept, Reason::Dropped);
        }
    }
}

fn end_expired(copies: &mut KeptCopies<'_>) {
    if copies.server.outbox().engine().away().figures().copies == 0 {
        return;
    }
    let now = milliseconds(SystemTime::now());
    let expired = copies.expired(now, BATCH);
    let outbox = copies.server.outbox();
    let expired = expired.map(|mut expired| {
        // What nobody has seen to for long is everybody's.
        expired.retain(|kept| {
            outbox.is_for_this_node(kept.id) || kept.expires_at + LEFT_TO_OTHERS <= now
        });
        expired
    });
    end_all(copies, expired, Reason::Expired);
}

/// Ends all that were found, except those that are being sent.
fn end_all(copies: &mut KeptCopies<'_>, found: Result<Vec<Kept>, LedgerError>, reason: Reason) {
    let ended = found.and_then(|mut found| {
        found.retain(|kept| !copies.is_submitted(kept.id));
        found
            .iter()
            .try_for_each(|kept| copies.end_unsent(kept, reason))
    });
    if let Err(error) = ended {
        copies.log_problem(&error.to_string());
    }
}
