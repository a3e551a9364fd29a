//! One server, put together: the policy from the settings, the stored groups, what workers share,
//! and what each worker has of its own. Proxies and C programs both use it from here.

#![forbid(unsafe_code)]

mod pace;
mod policy;
mod random_pool;
mod start_error;

pub use policy::policy;
pub use random_pool::RandomPool;
pub use start_error::StartError;

use crate::config::Settings;
use crate::control::size::by_stream;
use crate::control::{
    Accepted, Answer, Decision, Inquiry, NotOurs, Observer, Policy, Reason, RecentRequests,
    Recognised, Source, Unobserved, World, recognise, recognise_observed,
};
use crate::fanout::{
    Counter, Counters, Engine, NoRoom, RecentTable, Submission, Ticket, milliseconds,
};
use crate::sip::Uri;
use crate::sip::text::Printable;
use crate::store::{Store, StoreError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// What all workers of a server have in common. It is made before they are forked.
#[derive(Debug)]
pub struct Server {
    policy: Policy,
    warnings: Vec<&'static str>,
    next_hop: String,
    stream_next_hop: String,
    database: PathBuf,
    max_members: u32,
    cache_members: u32,
    recent: RecentTable,
    counters: Arc<Counters>,
    engine: Engine,
}

impl Server {
    /// Checks the settings and the database, and makes the memory that workers share.
    pub fn open(settings: &Settings) -> Result<Self, StartError> {
        let policy = policy(settings)?;
        let warnings = policy::warnings(settings, &policy);
        for warning in &warnings {
            log::warn!("{warning}");
        }
        let database = Path::new(&settings.database);
        Store::check(database).map_err(StartError::Store)?;
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|error| StartError::System(error.into()))?;
        let recent = RecentTable::new(settings.recent_requests, key);
        let counters = Arc::new(Counters::new().map_err(StartError::System)?);
        let engine = Engine::new(pace::limits(settings), key, counters.clone());
        Ok(Self {
            policy,
            warnings,
            next_hop: settings.core_route.clone(),
            stream_next_hop: stream_next_hop(&settings.core_route),
            database: database.to_owned(),
            max_members: settings.max_members,
            cache_members: settings.cache_members,
            recent: recent.map_err(StartError::System)?,
            counters,
            engine: engine.map_err(StartError::System)?,
        })
    }

    /// What the administrator has decided.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the administrator should know of his settings; it has been logged.
    pub fn warnings(&self) -> &[&'static str] {
        &self.warnings
    }

    /// The name in Warning headers.
    pub fn server_name(&self) -> &str {
        &self.policy.server_name
    }

    /// The URI of the next hop, or empty where each member is sent to directly.
    pub fn next_hop(&self) -> &str {
        &self.next_hop
    }

    /// The URI of the next hop for messages that have to go by TCP or TLS (M-2), or empty where each
    /// member is sent to directly.
    pub fn stream_next_hop(&self) -> &str {
        &self.stream_next_hop
    }

    /// The counts of all workers.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The messages on their way.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Takes room and budgets for an accepted message, before it is answered (S-5). `seed` is random.
    pub fn reserve(
        &self,
        accepted: &Accepted,
        seed: [u8; 16],
        now: SystemTime,
    ) -> Result<Ticket<'_>, NoRoom> {
        let submission = Submission::of(accepted, seed);
        let recipients = || Submission::recipients(accepted);
        self.engine
            .reserve(&submission, recipients, milliseconds(now))
    }

    /// Whether a message is for this function at all (A.1, rows 1 and 2).
    pub fn recognise<'m>(&self, bytes: &'m [u8]) -> Result<Recognised<'m>, NotOurs> {
        recognise(&self.policy, bytes)
    }

    /// The same, for somebody who wants to know why.
    pub fn recognise_observed<'m>(
        &self,
        bytes: &'m [u8],
        observer: &mut impl Observer,
    ) -> Result<Recognised<'m>, NotOurs> {
        recognise_observed(&self.policy, bytes, observer)
    }

    /// The answer to a message that a decision asks for.
    pub fn answer(
        &self,
        message: &Recognised<'_>,
        decision: &Decision,
        source: &Source<'_>,
    ) -> Answer {
        message.answer(decision, &self.policy, source)
    }

    /// Whether an identity that the script gives may count.
    pub fn believes_script(&self) -> bool {
        self.policy.believed.proxy
    }

    /// Notes that an accepted message has been answered 202, counts and logs it: originator, group
    /// and count, never the payload (S-2). Returns the number of the message.
    pub fn answered(&self, accepted: &Accepted) -> u64 {
        self.recent.accept(accepted.receipt);
        let number = self.counters.add(Counter::Accepted);
        log::info!(
            "accepted message {number}: originator=<{}> group=<{}> recipients={} skipped={}",
            Printable(&accepted.originator),
            accepted.group.uri(),
            accepted.count(),
            accepted.group.skipped().len(),
        );
        number
    }

    /// Checks the database as at the start.
    pub fn check_database(&self) -> Result<(), StoreError> {
        Store::check(&self.database)
    }

    /// Leaves the database in one file, once all workers have ended.
    pub fn tidy_database(&self) -> Result<(), StoreError> {
        Store::tidy(&self.database)
    }

    /// What this process has of its own. To be made after it was forked.
    pub fn worker(&self) -> Worker {
        let addressing = self.policy.addressing.clone();
        Worker {
            groups: Store::new(
                &self.database,
                addressing,
                self.max_members,
                self.cache_members,
            )
            .with_nested(self.policy.access.nested),
            identifiers: RandomPool::new(),
        }
    }
}

/// The next hop by a transport that avoids congestion.
fn stream_next_hop(core_route: &str) -> String {
    match Uri::parse(core_route.as_bytes()) {
        Ok(Uri::Sip(route)) => by_stream(&route),
        _ => String::new(),
    }
}

/// What one process has of its own: its view of the groups, and its random identifiers.
pub struct Worker {
    groups: Store,
    /// The identifiers of this process.
    pub identifiers: RandomPool,
}

impl Worker {
    /// Runs the checks of a recognised message, counts the outcome and logs a refusal.
    pub fn decide(
        &mut self,
        server: &Server,
        message: &Recognised<'_>,
        source: &Source<'_>,
    ) -> Decision {
        let now = SystemTime::now();
        let decision = self.decide_observed(server, message, source, now, &mut Unobserved);
        match &decision {
            Decision::Refused(refusal) => {
                server.counters.add(Counter::Refused);
                let level = match refusal.reason {
                    Reason::Unavailable => log::Level::Error,
                    _ => log::Level::Info,
                };
                log::log!(level, "{refusal}");
            }
            Decision::Repeated => {
                server.counters.add(Counter::Retransmissions);
            }
            Decision::Accepted(_) => {}
        }
        decision
    }

    /// The answer to an OPTIONS about a group or service; `None` leaves the request to the script.
    pub fn describe(&mut self, server: &Server, bytes: &[u8]) -> Option<Answer> {
        let inquiry = Inquiry::read(&server.policy, bytes)?;
        let answer = inquiry.answer(&server.policy, &mut self.groups);
        answer.unwrap_or_else(|error| {
            log::error!("an OPTIONS is left to the script, as the groups cannot be read: {error}");
            None
        })
    }

    /// Runs the checks of a message that came at `now`; nothing is counted or logged.
    pub fn decide_observed(
        &mut self,
        server: &Server,
        message: &Recognised<'_>,
        source: &Source<'_>,
        now: SystemTime,
        observer: &mut impl Observer,
    ) -> Decision {
        let mut world = World {
            groups: &mut self.groups,
            recent: &server.recent,
            now,
        };
        message.decide_observed(&server.policy, source, &mut world, observer)
    }
}
