//! The kept copies as the process that reports outcomes sees them: those in the ledger, except those that have ended
//! since. The writer removes an ended copy from the ledger a moment later; until it has, the copy is skipped here.

#![forbid(unsafe_code)]

use crate::control::Fork;
use crate::fanout::Counter;
use crate::ledger::{Kept, KeptMessage, LedgerError, LedgerFile, Reader, SqliteReader};
use crate::server::{AwayPolicy, KeepWriter, Mark, Outbox, Server};
use crate::sip::text::Printable;
use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// A repeating problem with kept copies is logged once in this time.
const PROBLEM_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A kept copy that ended without being sent.
#[derive(Debug)]
pub struct EndedUnsent(pub KeptMessage);

impl EndedUnsent {
    /// The number of the message.
    pub fn message(&self) -> u64 {
        Outbox::message_number(self.0.message.id)
    }

    /// The copy as it would have been sent.
    pub fn fork(&self) -> Option<Fork<'_>> {
        let own = self.0.recipient.get(0)?;
        let copies = self.0.message.submission().copies();
        Some(copies.copy(self.0.kept.recipient, own))
    }
}

/// Why a kept copy ends without being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Expired,
    /// `away_per_member` newer copies are kept for the member.
    Displaced,
    /// An administrator dropped it.
    Dropped,
    GroupDeleted,
}

/// The kept copies, and what may be done with each.
pub(super) struct KeptCopies<'s> {
    pub(super) server: &'s Server,
    pub(super) policy: &'s AwayPolicy,
    pub(super) writer: KeepWriter<'s>,
    file: &'s LedgerFile,
    /// Opened at the first use.
    reader: Option<SqliteReader>,
    /// Copies that were submitted to the queue and have not ended, by their number in the ledger.
    submitted: HashSet<i64>,
    /// Copies that have ended, until the ledger no longer has them: each moves from `unmarked` to `marked` once its
    /// record is in the pipe, and leaves both when that mark is committed.
    ended: HashSet<i64>,
    marked: VecDeque<(Mark, i64)>,
    unmarked: Vec<i64>,
    /// Ended unsent, to be reported.
    unsent: Vec<EndedUnsent>,
    problem_logged: Option<Instant>,
}

impl<'s> KeptCopies<'s> {
    /// `None` unless `away=keep`.
    pub(super) fn new(server: &'s Server) -> Option<Self> {
        let outbox = server.outbox();
        let file = outbox.kept_file()?;
        Some(Self {
            server,
            policy: outbox.away()?,
            writer: KeepWriter::new(outbox.engine()),
            file,
            reader: None,
            submitted: HashSet::new(),
            ended: HashSet::new(),
            marked: VecDeque::new(),
            unmarked: Vec::new(),
            unsent: Vec::new(),
            problem_logged: None,
        })
    }

    pub(super) fn reader(&mut self) -> Result<&mut SqliteReader, LedgerError> {
        match &mut self.reader {
            Some(reader) => Ok(reader),
            none => Ok(none.insert(self.file.reader()?)),
        }
    }

    /// The oldest `most` copies of a member that have not ended, and more if the ledger has them at hand.
    pub(super) fn oldest_of(&mut self, member: u64, most: usize) -> Result<Vec<Kept>, LedgerError> {
        let limit = most.saturating_add(self.ended.len()).min(usize::MAX >> 1);
        let mut kept = self.reader()?.kept_of(member, limit)?;
        kept.retain(|kept| !self.ended.contains(&kept.id));
        Ok(kept)
    }

    /// Copies that expired before `now` (Unix time, ms), about `most` of them.
    pub(super) fn expired(&mut self, now: u64, most: usize) -> Result<Vec<Kept>, LedgerError> {
        let limit = most + self.ended.len();
        let mut kept = self.reader()?.expired(now, limit)?;
        kept.retain(|kept| !self.ended.contains(&kept.id));
        Ok(kept)
    }

    pub(super) fn is_submitted(&self, kept: i64) -> bool {
        self.submitted.contains(&kept)
    }

    /// How many copies are in the queue.
    pub(super) fn submitted(&self) -> usize {
        self.submitted.len()
    }

    pub(super) fn mark_submitted(&mut self, kept: i64) {
        self.submitted.insert(kept);
    }

    pub(super) fn unmark_submitted(&mut self, kept: i64) {
        self.submitted.remove(&kept);
    }

    /// Removes a copy from the ledger.
    pub(super) fn end(&mut self, kept: i64) {
        self.ended.insert(kept);
        self.unmarked.push(kept);
        self.writer.end(kept);
    }

    /// Removes a copy that was not sent, logs why, and has it reported.
    pub(super) fn end_unsent(&mut self, kept: &Kept, reason: Reason) -> Result<(), LedgerError> {
        let Some(message) = self.reader()?.kept_message(kept.id)? else {
            self.end_unreadable(kept);
            return Ok(());
        };
        let what = match reason {
            Reason::Expired => "expired",
            Reason::Displaced => "was displaced by a newer one (away_per_member)",
            Reason::Dropped => "was dropped by an administrator",
            Reason::GroupDeleted => "was dropped because its group was deleted",
        };
        let ended = EndedUnsent(message);
        log::info!(
            "message {}: the copy kept for <{}> of <{}> {what}",
            ended.message(),
            Printable(&kept.address),
            Printable(&ended.0.message.group),
        );
        self.server.decider().counters().add(match reason {
            Reason::Displaced => Counter::KeptPushedOut,
            Reason::Expired | Reason::Dropped | Reason::GroupDeleted => Counter::KeptExpired,
        });
        self.end(kept.id);
        self.unsent.push(ended);
        Ok(())
    }

    /// Removes a copy whose message cannot be read, so that it can be neither sent nor reported.
    pub(super) fn end_unreadable(&mut self, kept: &Kept) {
        log::error!(
            "ledger: dropping the copy kept for <{}>: expected its message {} in {}, found none that can be read: the \
             file was altered",
            Printable(&kept.address),
            kept.message,
            self.file.path().display()
        );
        self.end(kept.id);
    }

    /// Takes the copies that ended unsent, to report them.
    pub(super) fn take_unsent(&mut self) -> Vec<EndedUnsent> {
        std::mem::take(&mut self.unsent)
    }

    /// Writes what found no room in the pipe, and forgets ended copies that the ledger no longer has.
    pub(super) fn flush(&mut self) {
        if let Some(mark) = self.writer.flush() {
            let unmarked = self.unmarked.drain(..);
            self.marked.extend(unmarked.map(|kept| (mark, kept)));
        }
        while let Some(&(mark, kept)) = self.marked.front()
            && self.writer.is_committed(mark)
        {
            self.ended.remove(&kept);
            self.marked.pop_front();
        }
    }

    /// Logs a problem, unless one was logged a moment ago.
    pub(super) fn log_problem(&mut self, why: &str) {
        let last = self.problem_logged;
        if last.is_none_or(|last| last.elapsed() >= PROBLEM_LOG_INTERVAL) {
            self.problem_logged = Some(Instant::now());
            log::error!(
                "cannot keep copies for members who are away, or send them on registration: {why}"
            );
        }
    }
}
