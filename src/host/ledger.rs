//! The process `cimf ledger`, the same in every proxy: the only writer of the ledger. It commits all
//! messages that wait at the moment and the outcomes of others in one transaction, and notifies the
//! workers once that is on disk. While the ledger cannot be written it keeps the pending entries,
//! retries, and recovers by itself.

#![forbid(unsafe_code)]

use super::duties::{Duties, NoDuties};
use super::guard::guarded;
use super::node::NodeDuties;
use super::signals;
use crate::fanout::{
    Committer, Counters, Engine, GivenUp, KeptFigures, OwnProcess, Taken, Told, milliseconds,
};
use crate::ledger::cluster::ClusterLedger;
use crate::ledger::{CommitMode, Entry, Figures, Ledger};
use crate::server::{KeepReader, NoteFile, OutcomeReader, Server, promise};
use std::time::{Duration, Instant, SystemTime};

/// How long outcomes wait for a message to be committed with.
const GATHER: Duration = Duration::from_millis(50);
/// How often writing is retried while the ledger cannot be written.
const RETRY: Duration = Duration::from_millis(200);
/// The interval of maintenance and of the check for workers that have died; also the longest wait.
const TEND: Duration = Duration::from_secs(1);
/// The interval of the log line that the ledger still cannot be written.
const COMPLAIN: Duration = Duration::from_secs(10);

/// Runs the process; returns only with an error.
pub fn work(server: &'static Server) -> String {
    write_while(server, || true);
    // OpenSIPS starts this process even without a ledger.
    loop {
        std::thread::park();
    }
}

/// Writes the ledger, if there is one, as long as `goes_on` is true.
pub fn write_while(server: &Server, goes_on: impl Fn() -> bool) {
    if let Some((file, notes)) = server.outbox().ledger() {
        Life::new(server, notes, || file.writer(), NoDuties).go_on_while(goes_on);
    } else if let Some((place, notes)) = server.outbox().cluster() {
        let outbox = server.outbox();
        let open = || ClusterLedger::new(place, outbox.start(), signals::block);
        let duties = NodeDuties::new(server, place, notes);
        Life::new(server, notes, open, duties).go_on_while(goes_on);
    }
}

/// The state of the process.
struct Life<'e, L, O, D> {
    committer: Committer<'e>,
    /// Opens the ledger, for the first time or after a failure.
    open: O,
    ledger: Option<L>,
    duties: D,
    notes: &'e NoteFile,
    engine: &'e Engine,
    counters: &'e Counters,
    /// Whether messages wait for the ledger before their 202.
    is_durable: bool,
    outcomes: OutcomeReader<'e>,
    /// What is kept for members who are away.
    keeping: KeepReader<'e>,
    /// Since when there are uncommitted outcomes.
    waits_since: Option<Instant>,
    trouble: Option<Trouble>,
    tended: Option<Instant>,
}

/// The state while the ledger cannot be written.
struct Trouble {
    since: Instant,
    tried: Instant,
    logged: Instant,
}

impl<'e, L, O, D> Life<'e, L, O, D>
where
    L: Ledger,
    O: Fn() -> Result<L, L::Error>,
    D: Duties<L>,
{
    fn new(server: &'e Server, notes: &'e NoteFile, open: O, duties: D) -> Self {
        let engine = server.outbox().engine();
        Self {
            committer: engine.committer(),
            open,
            ledger: None,
            duties,
            notes,
            engine,
            counters: server.decider().counters(),
            is_durable: server.outbox().is_durable(),
            outcomes: OutcomeReader::new(engine),
            keeping: KeepReader::new(engine),
            waits_since: None,
            trouble: None,
            tended: None,
        }
    }

    fn go_on_while(mut self, goes_on: impl Fn() -> bool) {
        while goes_on() {
            let went_well = guarded(false, || {
                self.round();
                true
            });
            if !went_well {
                // The reason is in the log; waiting messages are answered 503.
                std::thread::sleep(RETRY);
            }
        }
    }

    /// Waits for work, and does it.
    fn round(&mut self) {
        self.committer.wait(self.patience());
        self.outcomes.read();
        // After the outcomes: a message is finished only after its copies.
        self.keeping.read();
        self.perform_duties();
        let keeps = !self.keeping.is_empty() && self.may_keep();
        if !self.outcomes.is_empty() || keeps {
            self.waits_since.get_or_insert_with(Instant::now);
        }
        let taken = self.committer.take();
        let given_up = self.committer.given_up();
        let is_down = self.committer.is_down();
        let has_waited = self
            .waits_since
            .is_some_and(|since| since.elapsed() >= GATHER);
        let may_try = self.may_try();
        let is_urgent = !given_up.is_empty() || keeps && self.keeping.is_urgent();
        if !taken.is_empty() || (may_try && (is_urgent || has_waited || is_down)) {
            self.commit(taken, given_up);
            // Also under continuous load.
            self.tend_each(2 * TEND);
        } else {
            self.tend_each(TEND);
        }
    }

    /// Does what is due beside writing.
    fn perform_duties(&mut self) {
        let is_due = self.duties.due_in().is_some_and(|left| left.is_zero());
        if !is_due && self.may_keep() || !self.may_try() {
            return;
        }
        let done = match &mut self.ledger {
            Some(ledger) => self.duties.perform(ledger),
            none => (self.open)().and_then(|ledger| self.duties.perform(none.insert(ledger))),
        };
        if let Err(error) = done {
            self.committer.set_down(true);
            self.complain(&error);
        }
    }

    /// Whether copies may be kept by the next commit.
    fn may_keep(&self) -> bool {
        let ledger = self.ledger.as_ref();
        ledger.is_none_or(|ledger| self.duties.may_keep(ledger))
    }

    /// Whether the ledger is tried now: while it cannot be written it is tried now and then.
    fn may_try(&self) -> bool {
        let trouble = self.trouble.as_ref();
        trouble.is_none_or(|trouble| trouble.tried.elapsed() >= RETRY)
    }

    fn patience(&self) -> Duration {
        let left = |since: Instant, most: Duration| most.saturating_sub(since.elapsed());
        if let Some(trouble) = &self.trouble {
            return left(trouble.tried, RETRY);
        }
        let patience = match (self.waits_since, self.tended) {
            (Some(since), _) => left(since, GATHER),
            (None, Some(tended)) => left(tended, TEND),
            (None, None) => Duration::ZERO,
        };
        self.duties
            .due_in()
            .map_or(patience, |due| patience.min(due))
    }

    fn commit(&mut self, taken: Vec<Taken<'_>>, given_up: Vec<GivenUp<'_>>) {
        let may_keep = self.may_keep();
        let keeps = may_keep && self.keeping.is_urgent();
        let is_urgent =
            !taken.is_empty() || !given_up.is_empty() || keeps || self.committer.is_down();
        let begin = Instant::now();
        let committed = self.write(&taken, &given_up, is_urgent, may_keep);
        match committed {
            Ok(Written {
                promises,
                answered,
                figures,
            }) => {
                self.note(figures);
                let was_down = is_urgent && self.committer.is_down();
                if was_down {
                    self.committer.set_down(false);
                }
                self.committer.count(promises);
                for taken in taken {
                    let told = match answered.contains(&taken.id()) {
                        true => Told::Answered,
                        false => Told::Committed,
                    };
                    taken.tell(told);
                }
                given_up
                    .into_iter()
                    .for_each(|given_up| given_up.end(self.notes));
                self.outcomes.is_committed();
                if may_keep {
                    self.keeping.is_committed();
                }
                if keeps {
                    // The outcome reporter waits for that.
                    self.engine.call_again();
                }
                self.waits_since = None;
                if was_down {
                    self.goes_on(begin.elapsed());
                }
            }
            Err(error) => {
                self.committer.set_down(true);
                taken.into_iter().for_each(|taken| taken.tell(Told::Failed));
                self.complain(&error);
            }
        }
    }

    fn note(&self, figures: Figures) {
        self.committer
            .note_size(figures.file_bytes, figures.unfinished);
        self.engine.away().note(KeptFigures {
            copies: figures.kept,
            bytes: figures.kept_bytes,
        });
    }

    /// Commits one transaction.
    fn write(
        &mut self,
        taken: &[Taken<'_>],
        given_up: &[GivenUp<'_>],
        is_urgent: bool,
        may_keep: bool,
    ) -> Result<Written, L::Error> {
        let ledger = match &mut self.ledger {
            Some(ledger) => ledger,
            none => none.insert((self.open)()?),
        };
        let withdrawn = given_up
            .iter()
            .map(|given_up| Entry::Withdrawn { id: given_up.id() });
        let mut entries: Vec<Entry<'_>> = withdrawn.collect();
        if may_keep {
            entries.extend(self.keeping.entries());
        }
        entries.extend(self.outcomes.entries());
        // Checked as late as possible: a message whose worker has stopped waiting is not written.
        let waiting = taken.iter().filter(|taken| !taken.is_given_up());
        let before = entries.len();
        entries.extend(waiting.filter_map(|taken| {
            let submission = taken.submission()?;
            Some(promise(taken.id(), submission, taken.recipients()))
        }));
        let promises = entries.len() - before;
        let answered = match (entries.is_empty(), is_urgent) {
            (true, _) => {
                ledger.probe()?;
                Vec::new()
            }
            (false, true) => ledger.commit(&entries, CommitMode::Synced)?,
            (false, false) => ledger.commit(&entries, CommitMode::Soon)?,
        };
        Ok(Written {
            promises: promises - answered.len(),
            answered,
            figures: ledger.figures(),
        })
    }

    fn tend_each(&mut self, pause: Duration) {
        if self.tended.is_some_and(|tended| tended.elapsed() < pause) {
            return;
        }
        self.tended = Some(Instant::now());
        self.counters.note_processor_time(OwnProcess::Ledger);
        self.committer.take_from_the_dead(self.notes);
        let now = milliseconds(SystemTime::now());
        let tended = match &mut self.ledger {
            Some(ledger) => ledger.tend(now),
            none => (self.open)().and_then(|ledger| none.insert(ledger).tend(now)),
        };
        match tended {
            Ok(figures) => self.note(figures),
            Err(error) => {
                self.committer.set_down(true);
                self.complain(&error);
            }
        }
    }

    fn complain(&mut self, error: &L::Error) {
        let now = Instant::now();
        let (what, since) = match self.is_durable {
            true if self.duties.due_in().is_some() => (
                "new messages are answered 503, and nothing is sent once this node has no lease (half of the parameter lease)",
                "new messages have been answered 503",
            ),
            true => (
                "new messages are answered 503, those accepted before are sent",
                "new messages have been answered 503",
            ),
            false => (
                "messages are sent, but no copies are kept for members who are away",
                "no copies have been kept for members who are away",
            ),
        };
        let trouble = self.trouble.get_or_insert_with(|| {
            log::error!(
                "ledger: {error}; {what}, which ends by itself once the ledger can be written"
            );
            Trouble {
                since: now,
                tried: now,
                logged: now,
            }
        });
        trouble.tried = now;
        if trouble.logged.elapsed() >= COMPLAIN {
            trouble.logged = now;
            let seconds = trouble.since.elapsed().as_secs();
            log::error!("ledger: {error}; {since} for {seconds} s");
        }
    }

    fn goes_on(&mut self, commit: Duration) {
        let commit = commit.as_millis();
        let what = match self.is_durable {
            true => "new messages are accepted",
            false => "copies are kept again for members who are away",
        };
        match self.trouble.take() {
            Some(trouble) => log::warn!(
                "ledger: it can be written again after {} ms: {what}",
                trouble.since.elapsed().as_millis()
            ),
            None => log::warn!(
                "ledger: it can be written again: {what}; those before were not committed in time \
                 (ledger_timeout), and the last commit took {commit} ms"
            ),
        }
    }
}

/// What a commit has done.
struct Written {
    /// How many messages it has promised.
    promises: usize,
    /// Those that another node has answered.
    answered: Vec<u64>,
    figures: Figures,
}
