//! One server, put together: what decides about a request ([`Decider`]: policy, groups, recent requests) and what sends
//! ([`Outbox`]: queue, ledger). A proxy has both; a C program and `cimfctl explain` decide only.

#![forbid(unsafe_code)]

mod away_pipe;
mod away_rules;
mod bounded_groups;
mod copy_mark;
mod decider;
mod next_hop;
mod note_file;
mod old_journal;
mod outbox;
mod outcome_pipe;
mod policy;
mod promise;
mod random_pool;
mod refused_by;
mod request_record;
mod resolver;
mod start_error;
mod written_again;

pub use away_pipe::{Keep, KeepReader, KeepWriter, Mark};
pub use away_rules::AwayPolicy;
pub use decider::{Decider, Worker};
pub use next_hop::{HopName, NextHop, NextHops};
pub use note_file::NoteFile;
pub use outbox::Outbox;
pub use outcome_pipe::{OutcomeReader, OutcomeWriter};
pub use policy::policy;
pub use promise::promise;
pub use random_pool::RandomPool;
pub use refused_by::RefusedBy;
pub use resolver::{Families, Led, Resolver};
pub use start_error::StartError;
pub use written_again::{outcomes_again, promise_again};

use crate::config::Settings;
use crate::control::{Accepted, Identifiers, Recognised, Refusal, Summary};
use crate::fanout::{NotCommitted, Ticket};
use crate::ledger::not_promised;
use std::time::SystemTime;

/// Why a message was not stored that has passed all checks.
#[derive(Debug)]
pub enum NotStored {
    /// It cannot be, and is refused.
    Refused(Box<Refusal<RefusedBy>>),
    /// Another node that shares the ledger has accepted the same request, and sends it.
    Answered,
}

/// What decides and what sends, for all workers of a proxy. It is made before they are forked.
#[derive(Debug)]
pub struct Server {
    decider: Decider,
    next_hops: NextHops,
    outbox: Outbox,
}

impl Server {
    /// Checks the settings and the database, and makes the memory that workers share.
    pub fn open(settings: &Settings) -> Result<Self, StartError> {
        let decider = Decider::open(settings)?;
        let outbox = Outbox::new(settings, decider::random_key()?, decider.shared_counters());
        Ok(Self {
            next_hops: NextHops::of(settings),
            outbox: outbox?,
            decider,
        })
    }

    /// What decides.
    pub fn decider(&self) -> &Decider {
        &self.decider
    }

    /// Where copies go.
    pub fn next_hops(&self) -> &NextHops {
        &self.next_hops
    }

    /// The messages on their way.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The hash of the member with this address, under which copies are kept for members who are away.
    pub fn member(&self, address: &[u8]) -> Option<u64> {
        let addressing = &self.decider.policy().addressing;
        self.outbox.member(address, addressing)
    }

    /// Brings all outcomes to the ledger, if there is one, when all other processes have ended.
    pub fn keep_outcomes(&self) -> Result<(), String> {
        self.outbox.keep_outcomes(|address| self.member(address))
    }

    /// Opens the ledger, if there is to be one, and takes up what the last run has left. To be done
    /// with the rights of the workers, before they are forked.
    pub fn open_ledger(&self) -> Result<(), StartError> {
        let recent = self.decider.recent();
        self.outbox.open_ledger(recent, SystemTime::now())
    }

    /// Takes room for an accepted message, before its 202; counts and logs the refusal where there is
    /// none (A.1, rows 9 and 13).
    pub fn reserve(
        &self,
        accepted: &Accepted<'_>,
        message: &Recognised<'_>,
        identifiers: &mut impl Identifiers,
    ) -> Result<Ticket<'_>, Box<Refusal<RefusedBy>>> {
        let now = SystemTime::now();
        let ticket = self.outbox.reserve(accepted, message, identifiers, now);
        ticket.map_err(|no_room| self.refused(no_room.refusal(&accepted.summary()).into()))
    }

    /// Brings a message to the disk, before its 202, where that is wanted; counts and logs why it is not.
    pub fn store<'s>(
        &'s self,
        accepted: &Summary,
        ticket: Ticket<'s>,
    ) -> Result<Ticket<'s>, NotStored> {
        self.outbox.store(ticket).map_err(|why| match why {
            NotCommitted::Answered => {
                self.decider.answered_elsewhere(accepted);
                NotStored::Answered
            }
            why => NotStored::Refused(self.refused(not_promised(accepted, why).into())),
        })
    }

    fn refused(&self, refusal: Refusal<RefusedBy>) -> Box<Refusal<RefusedBy>> {
        self.decider.refused(refusal.reason, &refusal);
        Box::new(refusal)
    }
}
