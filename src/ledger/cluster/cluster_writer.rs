//! The writer: everything that waits goes into one transaction, within a bounded time.
//!
//! Where the answer to COMMIT is missing it is unknown whether PostgreSQL has the transaction. Its messages are not
//! promised then, and are withdrawn with the next one. It may come to light even later: some time after a failure the
//! writer looks for messages of its run that it does not know ([`ClusterLedger::recall`]).

use super::batch::{Batch, States};
use super::cluster_error::ClusterError;
use super::kept_mirror::KeptMirror;
use super::link::Link;
use super::recipient_lists::RecipientLists;
use super::rows;
use crate::config::PostgresUrl;
use crate::ledger::entry::{CommitMode, Entry};
use crate::ledger::{Figures, Ledger};
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

/// How often old rows are deleted, and how often it is said that they cannot be.
const SWEEP: Duration = Duration::from_secs(10);
/// How long after a failure a transaction may still come to light.
const SETTLED: Duration = Duration::from_secs(15);

/// Where the ledger is, and who uses it.
#[derive(Clone, Debug)]
pub struct ClusterPlace {
    /// The database.
    pub url: PostgresUrl,
    /// The name of this node.
    pub node: String,
    /// How long its lease is.
    pub lease: Duration,
    /// The file in which it follows what nodes keep for members who are away, if they do.
    pub kept: Option<PathBuf>,
}

/// Which start of a node this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its number, the upper half of the numbers of its messages.
    pub number: u64,
    /// What only this start knows.
    pub token: u64,
}

/// The ledger for the process that writes. It connects when it is needed, and anew after a failure.
#[derive(Debug)]
pub struct ClusterLedger {
    pub(super) place: ClusterPlace,
    pub(super) link: Link,
    /// Which start this is, once PostgreSQL has given a number.
    pub(super) run: Option<Run>,
    lists: RecipientLists,
    /// The outcomes of the messages of this run that are not finished, each of which has a place here.
    pub(super) states: States,
    /// The connection by which it was seen that PostgreSQL has the messages of this run: a new one may lead to another
    /// server, which lacks the last transactions.
    pub(super) compared: Option<u64>,
    /// What is to be withdrawn with the next commit.
    doubtful: Vec<u64>,
    /// What was withdrawn and may come to light all the same.
    pub(super) given_up: HashSet<u64>,
    /// When something failed last, of which it is unknown whether PostgreSQL has done it.
    pub(super) failed: Option<Instant>,
    swept: Option<Instant>,
    /// What is kept, for the other processes of this node.
    kept: Option<KeptMirror>,
}

impl ClusterLedger {
    /// A writer that has not connected yet; `run` is the start that it goes on with, and `in_thread` is done first in each
    /// thread that it makes.
    ///
    /// # Errors
    ///
    /// The system has no room for it.
    pub fn new(
        place: &ClusterPlace,
        run: Option<Run>,
        in_thread: fn(),
    ) -> Result<Self, ClusterError> {
        Ok(Self {
            place: place.clone(),
            link: Link::new(&place.url, &place.node, place.lease, in_thread)?,
            run,
            lists: RecipientLists::default(),
            states: States::new(),
            compared: None,
            doubtful: Vec::new(),
            given_up: HashSet::new(),
            failed: None,
            swept: None,
            kept: None,
        })
    }

    /// Takes over some of what nodes keep, or keep no longer, where this node needs to know; says whether there is more.
    pub fn follow_kept(&mut self) -> Result<bool, ClusterError> {
        self.open_kept()?;
        let Some(mirror) = &mut self.kept else {
            return Ok(false);
        };
        let action = "cannot read what is kept";
        self.link
            .with(action, async |worker| mirror.follow(worker).await)
    }

    /// Opens the file of what is kept, if there is one: it is known before PostgreSQL answers.
    fn open_kept(&mut self) -> Result<(), ClusterError> {
        if let (Some(path), None) = (&self.place.kept, &self.kept) {
            self.kept = Some(KeptMirror::open(path).map_err(ClusterError::Mirror)?);
        }
        Ok(())
    }

    /// Whether PostgreSQL has what this node has promised, as far as is known: [`ClusterLedger::whose`] was asked by the
    /// connection that there is.
    pub fn is_compared(&self) -> bool {
        self.link.age().is_some() && self.link.age() == self.compared
    }

    /// Writes messages again that PostgreSQL has lost, with all that has become of them since, in one transaction. Gives those
    /// that another node has answered meanwhile: they are not written.
    pub fn write_again(&mut self, entries: &[Entry<'_>]) -> Result<Vec<u64>, ClusterError> {
        // If the answer is missing the next connection shows whether it has them: they are not withdrawn.
        let written = self.write_with_lists(entries, CommitMode::Synced);
        if let Err(error) = &written {
            self.may_have_done(error);
        }
        written
    }

    /// Has messages withdrawn with the next commit, of this start or one before.
    pub fn withdraw(&mut self, messages: &[u64]) {
        self.doubtful.extend_from_slice(messages);
    }

    /// Whether all that [`ClusterLedger::withdraw`] was told of is withdrawn.
    pub fn has_withdrawn(&self) -> bool {
        self.doubtful.is_empty()
    }

    /// Notes that it is unknown whether something was done.
    pub(super) fn may_have_done(&mut self, error: &ClusterError) {
        if !error.is_refusal() {
            self.failed = Some(Instant::now());
        }
    }

    /// Whether it is time to look for what has come to light after a failure.
    pub fn must_recall(&self) -> bool {
        self.failed.is_some_and(|failed| failed.elapsed() > SETTLED)
    }

    /// Nothing can come to light any more.
    pub(super) fn has_recalled(&mut self) {
        self.failed = None;
        self.given_up.clear();
    }

    /// Writes all in one transaction, once more if lists are gone that were thought to be there.
    fn write_with_lists(
        &mut self,
        entries: &[Entry<'_>],
        how: CommitMode,
    ) -> Result<Vec<u64>, ClusterError> {
        let done = self.write(entries, how);
        match &done {
            Err(ClusterError::Postgres(error))
                if error.state() == Some(&SqlState::FOREIGN_KEY_VIOLATION) =>
            {
                self.write(entries, how)
            }
            _ => done,
        }
    }

    fn write(&mut self, entries: &[Entry<'_>], how: CommitMode) -> Result<Vec<u64>, ClusterError> {
        let run = self.run()?;
        let Self {
            link,
            lists,
            states,
            doubtful,
            given_up,
            compared,
            ..
        } = self;
        let compared = *compared;
        let (mut listed, mut kept_ended) = (Vec::new(), Vec::new());
        let done = link.with("cannot write the ledger", async |worker| {
            let batch = Batch::of(entries, doubtful, &worker.key, lists);
            if batch.keeps() && compared != Some(worker.age) {
                // A message that it has lost could have no copies kept, and nobody would see that.
                return Err(ClusterError::NotCompared {
                    url: worker.url.to_string(),
                }
                .into());
            }
            given_up.extend(batch.withdrawn());
            // Their outcomes may be written with them.
            let promised: Vec<u64> = batch.promised().collect();
            for &id in &promised {
                states.entry(id).or_default();
            }
            let written = batch.write(worker.client, run.number, states, how).await;
            let is_promised = |id: &u64| written.as_ref().is_ok_and(|written| written.contains(id));
            let answered: Vec<u64> = promised.into_iter().filter(|id| !is_promised(id)).collect();
            for id in &answered {
                states.remove(id);
            }
            written?;
            listed.extend(batch.list_hashes().copied());
            kept_ended = batch.kept_ended().to_vec();
            for id in batch.ended() {
                states.remove(&id);
            }
            Ok(answered)
        });
        match &done {
            Ok(_) => lists.are_written(listed.iter()),
            // A list that was thought to be there may be gone.
            Err(_) => lists.forget(),
        }
        if let (true, Some(mirror)) = (done.is_ok() && !kept_ended.is_empty(), &mut self.kept) {
            mirror.end(&kept_ended);
        }
        done
    }

    /// The start of this node, if PostgreSQL has given it a number.
    pub fn known_run(&self) -> Option<Run> {
        self.run
    }

    pub(super) fn run(&self) -> Result<Run, ClusterError> {
        self.run.ok_or_else(|| ClusterError::NoLease {
            url: self.place.url.to_string(),
        })
    }
}

impl Ledger for ClusterLedger {
    type Error = ClusterError;

    fn commit(&mut self, entries: &[Entry<'_>], how: CommitMode) -> Result<Vec<u64>, ClusterError> {
        let done = self.write_with_lists(entries, how);
        match &done {
            Ok(_) => self.doubtful.clear(),
            Err(error) if error.is_refusal() => {}
            Err(error) => {
                self.may_have_done(error);
                let promises = entries.iter().filter_map(|entry| match entry {
                    Entry::Promise(promise) => Some(promise.id),
                    _ => None,
                });
                self.doubtful.extend(promises);
            }
        }
        done
    }

    fn probe(&mut self) -> Result<(), ClusterError> {
        let run = self.run()?.number.cast_signed();
        self.commit(&[], CommitMode::Synced)?;
        // Without a change nobody would ask the standby.
        self.link.with("cannot write the ledger", async |worker| {
            let sql = "UPDATE cimf_ledger.node SET drains = drains WHERE run = $1";
            let done = worker.client.query_typed(sql, &[(&run, Type::INT8)]).await;
            Ok(done.map(drop)?)
        })
    }

    /// Old rows that cannot be deleted do no harm.
    fn tend(&mut self, _now: u64) -> Result<Figures, ClusterError> {
        if let Err(error) = self.open_kept() {
            log::warn!("ledger: {error}; trying again");
        }
        if self.run.is_some() && self.swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
            self.swept = Some(Instant::now());
            let action = "cannot delete old rows of the ledger";
            let swept = self
                .link
                .with(action, async |worker| rows::sweep(worker).await);
            if let Err(error) = swept {
                log::warn!("ledger: {error}; trying again");
            }
        }
        Ok(self.figures())
    }

    fn figures(&self) -> Figures {
        let kept = self.kept.as_ref().map(KeptMirror::figures);
        Figures {
            unfinished: self.states.len() as u64,
            ..kept.unwrap_or_default()
        }
    }
}
