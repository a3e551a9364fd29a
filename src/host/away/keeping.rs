//! Keeping copies: a copy that ended with one of `away_codes` goes to the ledger, and its outcome is reported as
//! `kept` once the ledger has committed it, or as `undelivered` after `ledger_timeout`. Later events are reported
//! after it, so that their order stays.

#![forbid(unsafe_code)]

use super::copies::{KeptCopies, Reason};
use crate::fanout::{EndedCopy, Event, Outcome, Submission, milliseconds};
use crate::ledger::{Kept, LedgerError, Reader};
use crate::server::{Keep, Mark};
use std::collections::{HashMap, VecDeque};
use std::time::{Instant, SystemTime};

/// Events that may wait for the ledger; beyond these no others are taken from the queue.
const MAX_WAITING: usize = 4096;
/// What a kept copy takes in the ledger beside its texts, in bytes.
const OVERHEAD_BYTES: u64 = 64;

/// When an event is reported.
#[derive(Debug)]
pub enum Reporting<'s> {
    /// At once.
    Now(Event<'s>),
    /// Once the ledger has what came before it.
    AfterLedger,
    /// Never: it concerns a kept copy that stays.
    Never,
}

/// An event that waits for its own commit, or for an earlier event that does.
#[derive(Debug)]
struct Waiting<'s> {
    event: Event<'s>,
    commit: Option<Commit>,
}

/// The commit that a copy waits for.
#[derive(Clone, Copy, Debug)]
struct Commit {
    mark: Mark,
    since: Instant,
    member: u64,
    /// Message and recipient.
    copy: (u64, u32),
    bytes: u64,
}

/// A copy whose outcome is reported as undelivered because the ledger was late.
#[derive(Clone, Copy, Debug)]
pub struct LateCommit(Commit);

/// A copy that was reported as undelivered because the ledger was late. It stays in the queue until the ledger is
/// done with it.
#[derive(Debug)]
struct Late<'s> {
    outcome: EndedCopy<'s>,
    mark: Mark,
    member: u64,
}

/// The copies on their way into the ledger, and the events behind them.
#[derive(Debug, Default)]
pub(super) struct Keeping<'s> {
    waiting: VecDeque<Waiting<'s>>,
    late: Vec<Late<'s>>,
    /// Uncommitted copies of each member, by message and recipient.
    pending: HashMap<u64, Vec<(u64, u32)>>,
    /// Bytes of all of them.
    pending_bytes: u64,
    /// Uncommitted copies of each message, by its number in the ledger.
    pending_of: HashMap<u64, usize>,
}

impl<'s> Keeping<'s> {
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    /// Takes an event of a message that is not made of a kept copy: keeps the copy if its member is away.
    pub(super) fn event(&mut self, copies: &mut KeptCopies<'s>, event: Event<'s>) -> Reporting<'s> {
        let commit = match &event {
            Event::Ended(outcome) => self.keep(copies, outcome),
            Event::Finished(_) => None,
        };
        self.enqueue(event, commit)
    }

    /// Reports an event in its order.
    pub(super) fn in_order(&mut self, event: Event<'s>) -> Reporting<'s> {
        self.enqueue(event, None)
    }

    fn enqueue(&mut self, event: Event<'s>, commit: Option<Commit>) -> Reporting<'s> {
        if commit.is_none() && self.waiting.is_empty() {
            return Reporting::Now(event);
        }
        self.waiting.push_back(Waiting { event, commit });
        Reporting::AfterLedger
    }

    /// Writes a copy to the ledger's pipe if it is to be kept and can be.
    fn keep(&mut self, copies: &mut KeptCopies<'s>, outcome: &EndedCopy<'_>) -> Option<Commit> {
        let (Outcome::Refused(code) | Outcome::Unreachable(code)) = outcome.outcome else {
            return None;
        };
        if !copies.policy.keeps(code) {
            return None;
        }
        let outbox = copies.server.outbox();
        let engine = outbox.engine();
        if engine.committer().is_down() {
            copies.log_problem("the ledger cannot be written");
            return None;
        }
        let address = outcome.fork().recipient;
        let member = copies.server.member(address)?;
        let now = milliseconds(SystemTime::now());
        let submission = outcome.submission();
        let expires_at = copies.policy.until(submission.expires_at, now);
        if expires_at <= now {
            return None;
        }
        let bytes = self.bytes(outcome, &submission);
        if engine.away().figures().bytes + self.pending_bytes + bytes
            > copies.policy.settings.away_bytes
        {
            copies.log_problem("the limit of kept bytes is reached (away_bytes)");
            return None;
        }
        if let Err(error) = self.make_room(copies, member) {
            copies.log_problem(&error.to_string());
            return None;
        }
        let is_new = outcome.ledger() == 0;
        let ledger = match outcome.ledger() {
            0 => outbox.ledger_number(outcome.message()),
            ledger => ledger,
        };
        let mark = copies.writer.keep(Keep {
            place: outcome.place(),
            ledger,
            is_new,
            recipient: outcome.recipient(),
            code,
            member,
            kept_at: now,
            expires_at,
        });
        let Some(mark) = mark else {
            copies.log_problem("too many copies to be kept at once");
            return None;
        };
        outcome.enter_ledger(ledger);
        let copy = (ledger, outcome.recipient());
        self.pending.entry(member).or_default().push(copy);
        self.pending_bytes += bytes;
        *self.pending_of.entry(ledger).or_default() += 1;
        Some(Commit {
            mark,
            since: Instant::now(),
            member,
            copy,
            bytes,
        })
    }

    /// What a copy takes in the ledger: its own bytes only if its message is kept for another member, too.
    fn bytes(&self, outcome: &EndedCopy<'_>, submission: &Submission<'_>) -> u64 {
        let own = outcome.fork().recipient.len() as u64 + OVERHEAD_BYTES;
        let is_there = outcome.ledger() != 0
            && (self.pending_of.contains_key(&outcome.ledger()) || outcome.is_kept_for_others());
        let shared = [
            submission.originator,
            submission.group,
            submission.from.text(),
            submission.headers,
            submission.charging,
            submission.body,
        ];
        let shared = shared.iter().map(|text| text.len() as u64).sum::<u64>();
        own + if is_there { 0 } else { shared }
    }

    /// Makes room for one more copy of a member: the oldest are displaced.
    fn make_room(&self, copies: &mut KeptCopies<'_>, member: u64) -> Result<(), LedgerError> {
        let most = u64::from(copies.policy.settings.away_per_member);
        let pending = self.pending.get(&member).map_or(0, Vec::len) as u64;
        if copies.reader()?.count_kept_of(member)? + pending < most {
            return Ok(());
        }
        let mut kept = copies.oldest_of(member, most as usize + 1)?;
        // Some that are pending here may be in the ledger already.
        let is_new = |copy: &&(u64, u32)| {
            let mut kept = kept.iter();
            !kept.any(|kept| (kept.message, kept.recipient) == **copy)
        };
        let pending = self.pending.get(&member).into_iter().flatten();
        let pending = pending.filter(is_new).count() as u64;
        let too_many = (kept.len() as u64 + pending + 1).saturating_sub(most);
        kept.retain(|kept| !copies.is_submitted(kept.id));
        for kept in kept.into_iter().take(too_many as usize) {
            copies.end_unsent(&kept, Reason::Displaced)?;
        }
        Ok(())
    }

    /// The next event that has waited long enough. If its copy was committed, it says so; if the ledger was late, it
    /// comes back by [`Keeping::late_reported`].
    pub(super) fn next_ready(
        &mut self,
        copies: &mut KeptCopies<'s>,
    ) -> Option<(Event<'s>, Option<LateCommit>)> {
        let ledger_timeout = copies.server.outbox().ledger_timeout();
        let commit = self.waiting.front()?.commit;
        let is_kept = commit.is_some_and(|commit| copies.writer.is_committed(commit.mark));
        if let Some(commit) = commit
            && !is_kept
            && commit.since.elapsed() < ledger_timeout
        {
            return None;
        }
        let Waiting { mut event, .. } = self.waiting.pop_front()?;
        let Some(commit) = commit else {
            return Some((event, None));
        };
        self.forget_pending(&commit);
        if !is_kept {
            copies.log_problem("the ledger was not written in time (ledger_timeout)");
            return Some((event, Some(LateCommit(commit))));
        }
        if let Event::Ended(outcome) = &mut event {
            outcome.is_kept();
        }
        Some((event, None))
    }

    fn forget_pending(&mut self, commit: &Commit) {
        self.pending_bytes -= commit.bytes;
        let (message, _) = commit.copy;
        if let Some(count) = self.pending_of.get_mut(&message) {
            *count -= 1;
            if *count == 0 {
                self.pending_of.remove(&message);
            }
        }
        if let Some(pending) = self.pending.get_mut(&commit.member) {
            pending.retain(|&copy| copy != commit.copy);
            if pending.is_empty() {
                self.pending.remove(&commit.member);
            }
        }
    }

    /// Takes an event that was reported as undelivered. The ledger may still keep its copy: it is removed then.
    pub(super) fn late_reported(&mut self, event: Event<'s>, LateCommit(commit): LateCommit) {
        if let Event::Ended(outcome) = event {
            self.late.push(Late {
                outcome,
                mark: commit.mark,
                member: commit.member,
            });
        }
    }

    /// Removes copies that the ledger committed after they had been reported as undelivered.
    pub(super) fn end_late(&mut self, copies: &mut KeptCopies<'_>) {
        if self.late.is_empty() {
            return;
        }
        let writer = &copies.writer;
        let is_settled = |late: &mut Late<'_>| writer.is_committed(late.mark);
        let settled: Vec<Late<'_>> = self.late.extract_if(.., is_settled).collect();
        for late in settled {
            let (ledger, recipient) = (late.outcome.ledger(), late.outcome.recipient());
            let is_it = |kept: &&Kept| kept.message == ledger && kept.recipient == recipient;
            match copies.oldest_of(late.member, usize::MAX) {
                Ok(found) => {
                    if let Some(kept) = found.iter().find(is_it) {
                        copies.end(kept.id);
                    }
                }
                Err(error) => {
                    copies.log_problem(&error.to_string());
                    self.late.push(late);
                }
            }
        }
    }
}
