//! What decides about a request: the policy from the settings, the stored groups, and the requests that came lately.
//! It has no queue and no ledger: `cimfctl explain` and a C program need nothing else.

#![forbid(unsafe_code)]

use super::bounded_groups::BoundedGroups;
use super::copy_mark::CopyMark;
use super::policy;
use super::refused_by::RefusedBy;
use super::{RandomPool, StartError};
use crate::config::{CoreSocket, Settings};
use crate::control::{
    Answer, Arrival, Decision, Directory, Ended, Inquiry, NotOurs, Observer, Policy, Receipt,
    RecentRequests, Recognised, Refusal, RefusalReason, Source, Summary, Unavailable, Undecided,
    Unobserved, World, recognise_observed,
};
use crate::fanout::{Counter, Counters, GroupsAge, RecentTable};
use crate::sip::Uri;
use crate::sip::text::Printable;
use crate::store::{Store, StoreError};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What all processes that decide have in common. It is made before they are forked.
#[derive(Debug)]
pub struct Decider {
    policy: Policy,
    warnings: Vec<&'static str>,
    copy_mark: Option<CopyMark>,
    recent: RecentTable,
    counters: Arc<Counters>,
    groups_age: Arc<GroupsAge>,
}

impl Decider {
    /// Checks the settings and the database, and makes the memory in which processes remember requests.
    pub fn open(settings: &Settings) -> Result<Self, StartError> {
        let mut policy = policy::policy(settings)?;
        let warnings = policy::warnings(settings, &policy);
        for warning in &warnings {
            log::warn!("{warning}");
        }
        let database = settings.groups();
        Store::check(database).map_err(StartError::Store)?;
        let mut copy_mark = None;
        if settings.copy_mark {
            let mark = CopyMark::new(Store::copy_mark(database).map_err(StartError::Store)?);
            mark.add_to_route(&mut policy)?;
            copy_mark = Some(mark);
        }
        let recent = RecentTable::new(settings.recent_requests, random_key()?);
        let counters = Arc::new(Counters::new().map_err(StartError::System)?);
        Ok(Self {
            policy,
            warnings,
            copy_mark,
            recent: recent.map_err(StartError::System)?,
            counters,
            groups_age: Arc::new(GroupsAge::new().map_err(StartError::System)?),
        })
    }

    /// The requests that came lately.
    pub(super) fn recent(&self) -> &RecentTable {
        &self.recent
    }

    /// The counts of all processes, to be shared with a queue.
    pub(super) fn shared_counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// What the administrator has decided.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Warnings about the settings, which have been logged.
    pub fn warnings(&self) -> &[&'static str] {
        &self.warnings
    }

    /// The name in Warning headers.
    pub fn server_name(&self) -> &str {
        self.policy.settings.server_name()
    }

    /// The listener from which copies leave; nothing where the proxy chooses.
    pub fn core_socket(&self) -> Option<&CoreSocket> {
        self.policy.settings.core_socket.as_ref()
    }

    /// The mark of copies; nothing where they have none (`copy_mark`).
    pub fn copy_mark(&self) -> Option<&CopyMark> {
        self.copy_mark.as_ref()
    }

    /// The counts of all workers.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// When the replica of the groups was last seen to be what PostgreSQL has.
    pub fn groups_age(&self) -> &GroupsAge {
        &self.groups_age
    }

    /// The answer to a message that a decision asks for.
    pub fn answer(
        &self,
        message: &Recognised<'_>,
        decision: &Decision<'_>,
        source: &Source<'_>,
    ) -> Answer {
        let headers = message.headers_of_answers(&self.policy, source);
        decision.answer(self.server_name(), &headers)
    }

    /// Whether an identity that the script gives may count.
    pub fn believes_script(&self) -> bool {
        self.policy.settings.identity_mode.believes_script()
    }

    /// Counts a decision, and logs a refusal.
    pub fn note(&self, decision: &Decision<'_>) {
        match decision {
            Decision::Refused(refusal) => self.refused(RefusedBy::Checks(refusal.reason), refusal),
            Decision::Retransmission | Decision::Undecided(Undecided::InHand) => {
                self.counters.add(Counter::Retransmissions);
            }
            Decision::Accepted(_)
            | Decision::Ended(_)
            | Decision::Undecided(Undecided::RefusedBefore | Undecided::NoRoom) => {}
        }
    }

    /// What is known of a request that has no server transaction, before its sender is authenticated: nothing where it
    /// may be new.
    pub fn arrival(&self, message: &Recognised<'_>) -> Option<Decision<'static>> {
        match self.recent.arrive(&message.key()?) {
            Arrival::Retransmission => Some(Decision::Retransmission),
            Arrival::InHand(_) => Some(Decision::Undecided(Undecided::InHand)),
            _ => None,
        }
    }

    /// Notes that a request without a transaction is not accepted.
    pub fn not_accepted(&self, receipt: Receipt) {
        self.recent.refuse(receipt);
    }

    /// Counts and logs a refusal.
    pub(super) fn refused<R: RefusalReason>(&self, reason: RefusedBy, refusal: &Refusal<R>) {
        self.counters.add_refused(reason.number());
        log::log!(reason.log_level(), "{refusal}");
    }

    /// Notes that the accepted message with this number has been answered 202, counts and logs it:
    /// originator, group and count, never the payload (S-2). Without a number it is how many there
    /// were.
    pub fn answered(&self, accepted: &Summary, number: Option<u64>) {
        self.recent.accept(accepted.receipt);
        self.counters.add(Counter::Accepted);
        let number = number.unwrap_or_else(|| self.counters.get(Counter::Accepted));
        log::info!(
            "accepted message {number}: originator=<{}> group=<{}> recipients={} skipped={}",
            Printable(&accepted.originator),
            accepted.group.uri(),
            accepted.count,
            accepted.group.skipped().len(),
        );
    }

    /// Notes that another node has accepted the same request, which is answered 202 here as well.
    pub(super) fn answered_elsewhere(&self, accepted: &Summary) {
        self.recent.accept(accepted.receipt);
        self.counters.add(Counter::Retransmissions);
        log::info!(
            "another node has accepted this message already: originator=<{}> group=<{}>; it is answered 202 and not \
             sent again",
            Printable(&accepted.originator),
            accepted.group.uri(),
        );
    }

    /// Notes that a message which goes nowhere has been answered 202, and logs it.
    pub fn ended(&self, ended: &Ended) {
        self.recent.accept(ended.receipt);
        log::info!(
            "a {} from <{}> to <{}> is answered 202 and goes no further",
            ended.what,
            Printable(&ended.originator),
            Printable(ended.group.as_bytes()),
        );
    }

    /// Checks the database as at the start.
    pub fn check_database(&self) -> Result<(), StoreError> {
        Store::check(self.policy.settings.groups())
    }

    /// Leaves the database in one file, once all workers have ended.
    pub fn tidy_database(&self) -> Result<(), StoreError> {
        Store::tidy(self.policy.settings.groups())
    }

    /// What this process has of its own. To be made after it was forked.
    pub fn worker(&self) -> Worker {
        let settings = &self.policy.settings;
        let store = Store::new(
            settings.groups(),
            self.policy.addressing.clone(),
            settings.max_members,
            settings.cache_members,
        );
        let is_bound = settings.groups_max_age > 0 && settings.has_replica();
        let bound = is_bound.then(|| {
            let most = Duration::from_secs(settings.groups_max_age.into());
            (self.groups_age.clone(), most)
        });
        Worker {
            groups: BoundedGroups::new(store.with_nested(settings.nested), bound),
            identifiers: RandomPool::new(),
        }
    }
}

/// Bytes that nobody outside can guess, for a table whose places depend on what came from outside.
pub(super) fn random_key() -> Result<[u8; 16], StartError> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|error| StartError::System(error.into()))?;
    Ok(key)
}

/// What one process has of its own: its view of the groups, and its random identifiers.
pub struct Worker {
    groups: BoundedGroups,
    /// The identifiers of this process.
    pub identifiers: RandomPool,
}

impl Worker {
    /// Whether a message is for this function at all (A.1, rows 1 and 2; ). Nothing is counted
    /// or remembered.
    pub fn recognise<'m>(
        &mut self,
        decider: &Decider,
        bytes: &'m [u8],
        source: &Source<'_>,
    ) -> Result<Recognised<'m>, NotOurs> {
        let now = SystemTime::now();
        self.recognise_observed(decider, bytes, source, now, &mut Unobserved)
    }

    /// The same for a message that came at `now`, for somebody who wants to know why.
    pub fn recognise_observed<'m>(
        &mut self,
        decider: &Decider,
        bytes: &'m [u8],
        source: &Source<'_>,
        now: SystemTime,
        observer: &mut impl Observer,
    ) -> Result<Recognised<'m>, NotOurs> {
        let policy = &decider.policy;
        let message = recognise_observed(policy, bytes, observer)?;
        message.claim(policy, source, &mut self.groups, now, observer)?;
        Ok(message)
    }

    /// Runs the checks of a recognised message, counts the outcome and logs a refusal.
    pub fn decide<'m>(
        &mut self,
        decider: &Decider,
        message: &Recognised<'m>,
        source: &Source<'_>,
    ) -> Decision<'m> {
        let now = SystemTime::now();
        let decision = self.decide_observed(decider, message, source, now, &mut Unobserved);
        decider.note(&decision);
        decision
    }

    /// Runs the checks of a recognised message, which has a server transaction or not; nothing is counted or logged.
    pub fn judge<'m>(
        &mut self,
        decider: &Decider,
        message: &Recognised<'m>,
        source: &Source<'_>,
        has_transaction: bool,
    ) -> Decision<'m> {
        let mut world = self.world(decider, SystemTime::now(), has_transaction);
        message.decide(&decider.policy, source, &mut world)
    }

    /// Whether there is a group or service with this address.
    pub fn has_group(&mut self, address: &[u8]) -> Result<bool, Unavailable> {
        match Uri::parse(address) {
            Ok(Uri::Sip(uri)) => self.groups.find(&uri).map(|found| found.is_some()),
            _ => Ok(false),
        }
    }

    /// The answer to an OPTIONS about a group or service; `None` leaves the request to the script.
    pub fn describe(&mut self, decider: &Decider, bytes: &[u8]) -> Option<Answer> {
        let inquiry = Inquiry::read(&decider.policy, bytes)?;
        let answer = inquiry.answer(&decider.policy, &mut self.groups);
        answer.unwrap_or_else(|error| {
            log::error!("an OPTIONS is left to the script, as the groups cannot be read: {error}");
            None
        })
    }

    fn world<'w>(
        &'w mut self,
        decider: &'w Decider,
        now: SystemTime,
        has_transaction: bool,
    ) -> World<'w, BoundedGroups, RecentTable> {
        World {
            groups: &mut self.groups,
            recent: &decider.recent,
            now,
            has_transaction,
        }
    }

    /// Runs the checks of a message that came at `now`; nothing is counted or logged.
    pub fn decide_observed<'m>(
        &mut self,
        decider: &Decider,
        message: &Recognised<'m>,
        source: &Source<'_>,
        now: SystemTime,
        observer: &mut impl Observer,
    ) -> Decision<'m> {
        let mut world = self.world(decider, now, true);
        message.decide_observed(&decider.policy, source, &mut world, observer)
    }
}
