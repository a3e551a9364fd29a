//! The writer: everything that waits goes into one transaction, within a bounded time.
//!
//! Where the answer to COMMIT is missing it is unknown whether PostgreSQL has the transaction. Its messages are not
//! promised then, and are withdrawn with the next one.

use super::batch::{Batch, States};
use super::cluster_error::ClusterError;
use super::recipient_lists::RecipientLists;
use super::rows;
use super::tables::connect_to_ledger;
use super::worker::{Failure, Worker};
use crate::config::PostgresUrl;
use crate::ledger::entry::{CommitMode, Entry};
use crate::ledger::{Figures, Ledger};
use crate::postgres::{Connection, PostgresError, single_threaded};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

/// How long PostgreSQL may take for a connection or an answer: longer than a new primary needs to be elected would not help,
/// as messages are refused meanwhile.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often old rows are deleted.
const SWEEP: Duration = Duration::from_secs(10);

/// Where the ledger is, and who uses it.
#[derive(Clone, Debug)]
pub struct ClusterPlace {
    /// The database.
    pub url: PostgresUrl,
    /// The name of this node.
    pub node: String,
    /// How long its lease is.
    pub lease: Duration,
}

/// The ledger for the process that writes. It connects when it is needed, and anew after a failure.
#[derive(Debug)]
pub struct ClusterLedger {
    pub(super) place: ClusterPlace,
    runtime: Runtime,
    connection: Option<Connection>,
    key: [u8; 16],
    /// The number of this start, once PostgreSQL has given one.
    pub(super) run: Option<u64>,
    lists: RecipientLists,
    /// The outcomes of the messages of this run; those that are not finished have a place here.
    pub(super) states: States,
    /// Promises of transactions that PostgreSQL may or may not have.
    doubtful: Vec<u64>,
    /// When there were some last that may have come to light after they were withdrawn.
    stray_since: Option<Instant>,
    swept: Option<Instant>,
}

impl ClusterLedger {
    /// A writer that has not connected yet; `run` is the number of the start that it goes on with, and `in_thread` is done
    /// first in each thread that it makes.
    ///
    /// # Errors
    ///
    /// The system has no room for it.
    pub fn new(
        place: &ClusterPlace,
        run: Option<u64>,
        in_thread: fn(),
    ) -> Result<Self, ClusterError> {
        Ok(Self {
            place: place.clone(),
            runtime: single_threaded(in_thread)?,
            connection: None,
            key: [0; 16],
            run,
            lists: RecipientLists::default(),
            states: States::new(),
            doubtful: Vec::new(),
            stray_since: None,
            swept: None,
        })
    }

    /// Has messages withdrawn with the next commit, of this start or one before.
    pub fn withdraw(&mut self, messages: &[u64]) {
        self.doubtful.extend_from_slice(messages);
    }

    /// Whether all that [`ClusterLedger::withdraw`] was told of is withdrawn.
    pub fn has_withdrawn(&self) -> bool {
        self.doubtful.is_empty()
    }

    /// Whether messages of this run may have come to light that nobody knows of, some time after PostgreSQL did not answer.
    pub fn may_have_strays(&mut self, after: Duration) -> bool {
        let is_time = self
            .stray_since
            .is_some_and(|since| since.elapsed() > after);
        if is_time {
            self.stray_since = None;
        }
        is_time
    }

    /// Does `task` with a connection, within [`PATIENCE`]. After a failure the next call connects anew.
    pub(super) fn with<T>(
        &mut self,
        action: &'static str,
        task: impl AsyncFnOnce(&Worker<'_>) -> Result<T, Failure>,
    ) -> Result<T, ClusterError> {
        let Self {
            place,
            runtime,
            connection,
            key,
            ..
        } = self;
        let url = &place.url;
        let work = async {
            let open = match connection.take() {
                Some(open) if !open.client.is_closed() => open,
                _ => {
                    let (open, found) = connect_to_ledger(url).await?;
                    *key = found;
                    open
                }
            };
            let worker = Worker {
                client: &open.client,
                key: *key,
                url,
            };
            let done = task(&worker).await.map_err(|failure| match failure {
                Failure::Postgres(error) => PostgresError::doing(url, action)(error).into(),
                Failure::Ledger(error) => error,
            })?;
            *connection = Some(open);
            Ok(done)
        };
        // A timer needs the runtime to begin.
        let done = runtime.block_on(async { timeout(PATIENCE, work).await });
        done.unwrap_or_else(|_| {
            Err(ClusterError::Postgres(PostgresError::Silent {
                url: url.to_string(),
                action,
                patience: PATIENCE,
            }))
        })
    }

    fn write(&mut self, entries: &[Entry<'_>], how: CommitMode) -> Result<Vec<u64>, ClusterError> {
        let run = self.run()?;
        let mut lists = std::mem::take(&mut self.lists);
        let mut states = std::mem::take(&mut self.states);
        let doubtful = self.doubtful.clone();
        let mut listed = Vec::new();
        let done = self.with("cannot write the ledger", async |worker| {
            let batch = Batch::of(entries, &doubtful, &worker.key, &mut lists);
            let unknown = batch.with_outcomes().filter(|id| !states.contains_key(id));
            let unknown: Vec<i64> = unknown.map(u64::cast_signed).collect();
            if !unknown.is_empty() {
                rows::load_states(worker, &unknown, &mut states).await?;
            }
            let written = batch.write(worker.client, run, &mut states, how).await?;
            listed.extend(batch.list_hashes().copied());
            let (answered, promised): (Vec<u64>, Vec<u64>) =
                batch.promised().partition(|id| !written.contains(id));
            for id in promised {
                states.entry(id).or_default();
            }
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
        (self.lists, self.states) = (lists, states);
        done
    }

    /// The number of this start, once PostgreSQL has given one.
    pub fn known_run(&self) -> Option<u64> {
        self.run
    }

    /// The number of this start.
    pub(super) fn run(&mut self) -> Result<u64, ClusterError> {
        match self.run {
            Some(run) => Ok(run),
            None => self.begin(),
        }
    }
}

impl Ledger for ClusterLedger {
    type Error = ClusterError;

    fn commit(&mut self, entries: &[Entry<'_>], how: CommitMode) -> Result<Vec<u64>, ClusterError> {
        let mut done = self.write(entries, how);
        let is_list_gone = |error: &ClusterError| match error {
            ClusterError::Postgres(error) => {
                error.state() == Some(&SqlState::FOREIGN_KEY_VIOLATION)
            }
            _ => false,
        };
        if done.as_ref().is_err_and(is_list_gone) {
            // Lists are written again.
            done = self.write(entries, how);
        }
        match &done {
            Ok(_) => self.doubtful.clear(),
            Err(error) => {
                let said =
                    matches!(error, ClusterError::Postgres(error) if error.state().is_some());
                if !said {
                    let promises = entries.iter().filter_map(|entry| match entry {
                        Entry::Promise(promise) => Some(promise.id),
                        _ => None,
                    });
                    self.doubtful.extend(promises);
                    self.stray_since = Some(Instant::now());
                }
            }
        }
        done
    }

    fn probe(&mut self) -> Result<(), ClusterError> {
        let run = self.run()?.cast_signed();
        self.commit(&[], CommitMode::Synced)?;
        // Without a change nobody would ask the standby.
        self.with("cannot write the ledger", async |worker| {
            let sql = "UPDATE cimf_ledger.node SET drains = drains WHERE run = $1";
            let done = worker.client.query_typed(sql, &[(&run, Type::INT8)]).await;
            Ok(done.map(drop)?)
        })
    }

    fn tend(&mut self, _now: u64) -> Result<Figures, ClusterError> {
        if self.swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
            self.run()?;
            self.with("cannot delete old rows of the ledger", async |worker| {
                rows::sweep(worker).await
            })?;
            self.swept = Some(Instant::now());
        }
        Ok(self.figures())
    }

    fn figures(&self) -> Figures {
        Figures {
            unfinished: self.states.len() as u64,
            ..Figures::default()
        }
    }
}
