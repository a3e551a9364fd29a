//! Accepted messages on their way: room for them, what is promised about them in the ledger, and what a restart takes
//! up again.

mod ledger_place;
mod start;
mod stop;

use super::away_rules::{self, AwayPolicy};
use super::note_file::NoteFile;
use super::{StartError, request_record};
use crate::config::{Durability, Settings};
use crate::control::{Accepted, Addressing, Identifiers, Recognised};
use crate::fanout::{
    Committed, Counters, Engine, NoRoom, NoRoomReason, NotCommitted, NotRestored, Origin, Outcome,
    PreviousRequests, Submission, Ticket, UnderWay,
};
use crate::ledger::cluster::{ClusterPlace, Run};
use crate::ledger::{LedgerFile, RequestRecord, Unfinished};
use ledger_place::LedgerPlace;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// Seconds after which a client may try again where a server is about to stop: another one takes the message before.
const RETRY_ELSEWHERE: u32 = 10;

/// The bits of a ledger's number that are the message's number in the queue.
const LOW: u64 = u32::MAX as u64;

/// The key of the hashes of what requests ask for, where nodes share a ledger: what writes that hashes once more, with the
/// key of all nodes, which no worker knows.
const KEY_OF_CLUSTER: [u8; 16] = [0; 16];

/// The messages on their way, in memory that all workers share and, if the administrator wants
/// that, on disk.
#[derive(Debug)]
pub struct Outbox {
    engine: Engine,
    /// Where the ledger is to be, if there is to be one.
    place: Option<LedgerPlace>,
    /// Whether what is accepted is in it before the 202.
    is_durable: bool,
    /// What is kept in it for members who are away, if anything is.
    away: Option<AwayPolicy>,
    /// How long a message waits for it.
    ledger_timeout: Duration,
    ledger: OnceLock<Opened>,
}

/// The ledger of a proxy that has given up the rights of root, before it forks its workers.
#[derive(Debug)]
struct Opened {
    /// The file; where PostgreSQL has the ledger, that of what is kept, if anything is.
    file: Option<LedgerFile>,
    /// Whether PostgreSQL has the ledger.
    is_shared: bool,
    notes: NoteFile,
    /// What the run before has given up and not withdrawn, where PostgreSQL has the ledger.
    given_up: Vec<u64>,
}

impl Opened {
    /// The key of the hashes of what requests ask for.
    fn key(&self) -> [u8; 16] {
        let file = self.file.as_ref().filter(|_| !self.is_shared);
        file.map_or(KEY_OF_CLUSTER, LedgerFile::key)
    }
}

impl Outbox {
    /// With nothing in it. To be made before the workers are forked.
    pub fn new(
        settings: &Settings,
        key: [u8; 16],
        counters: Arc<Counters>,
    ) -> Result<Self, StartError> {
        let away = AwayPolicy::of(settings);
        let place = LedgerPlace::of(settings)?;
        let engine = Engine::new(settings.clone(), key, counters).map_err(StartError::System)?;
        if let Some(LedgerPlace::Cluster(_)) = place {
            engine.node().require();
        }
        Ok(Self {
            engine,
            place,
            is_durable: settings.durability != Durability::None,
            away,
            ledger_timeout: settings.ledger_timeout,
            ledger: OnceLock::new(),
        })
    }

    /// The queue in memory.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether messages are on disk before their 202.
    pub fn is_durable(&self) -> bool {
        self.is_durable
    }

    /// Whether there is a ledger.
    pub fn has_ledger(&self) -> bool {
        self.place.is_some()
    }

    /// What is kept for members who are away, if anything is.
    pub fn away(&self) -> Option<&AwayPolicy> {
        self.away.as_ref()
    }

    /// How long a worker waits for the ledger.
    pub fn ledger_timeout(&self) -> Duration {
        self.ledger_timeout
    }

    /// The hash of the member with this address; `None` for what is no address, and without a ledger.
    pub fn member(&self, address: &[u8], addressing: &Addressing) -> Option<u64> {
        let opened = self.ledger.get()?;
        away_rules::member(address, addressing, opened.key())
    }

    /// The number that a message has in the ledger.
    pub fn ledger_number(&self, message: u64) -> u64 {
        let run = match self.ledger() {
            Some((file, _)) => file.run(),
            None => self.engine.node().run(),
        };
        run << 32 | message & LOW
    }

    /// The number of a message in the queue, by its number in the ledger.
    pub fn message_number(ledger: u64) -> u64 {
        ledger & LOW
    }

    /// Sets whether deliveries are reported too. With a durable ledger they always are.
    pub fn report_delivered(&self, wanted: bool) {
        self.engine.report_delivered(wanted || self.is_durable());
    }

    /// Puts a message of the last run back into the queue; gives its number and how many recipients
    /// are left, or nothing if none are.
    fn take_up(
        &self,
        message: &Unfinished,
        origin: Origin,
    ) -> Result<Option<(u64, usize)>, NotRestored> {
        let ended = message.outcomes.iter().filter_map(|outcome| {
            let ending = Outcome::from_bytes(outcome.outcome, outcome.code)?;
            Some((outcome.recipient, ending))
        });
        let submission = message.message.submission();
        let recipients = || message.recipients.iter();
        self.engine.restore(&submission, recipients, origin, ended)
    }

    /// Takes room for a message, before its 202 (A.1, rows 9 and 13; S-5).
    pub fn reserve(
        &self,
        accepted: &Accepted<'_>,
        message: &Recognised<'_>,
        identifiers: &mut impl Identifiers,
        now: SystemTime,
    ) -> Result<Ticket<'_>, NoRoom> {
        if self.engine.node().drains() {
            return Err(NoRoom {
                reason: NoRoomReason::Draining,
                retry_after: RETRY_ELSEWHERE,
            });
        }
        let request = self.request(accepted, message).unwrap_or_default();
        let submission = Submission::of(accepted, &request, now, identifiers.random());
        let recipients = || accepted.owns();
        self.engine
            .reserve(&submission, recipients, self.engine.now())
    }

    /// The request that a message came in, where there is a ledger: it is read again from the message for that.
    fn request(&self, accepted: &Accepted<'_>, message: &Recognised<'_>) -> Option<Vec<u8>> {
        let opened = self.ledger.get().filter(|_| self.is_durable)?;
        let key = opened.key();
        let content = PreviousRequests::hash(&key, &message.content(&accepted.originator));
        Some(request_record::encode(&RequestRecord {
            key: message.key()?,
            content,
        }))
    }

    /// Brings a message to the disk, before its 202, where that is wanted. Otherwise its room is given back.
    pub fn store<'o>(&'o self, ticket: Ticket<'o>) -> Result<Ticket<'o>, NotCommitted> {
        let Some(Opened { notes, .. }) = self.ledger.get().filter(|_| self.is_durable) else {
            return Ok(ticket);
        };
        if self.cluster().is_some() && self.start().is_none() {
            // Without the number of this start it would be another node's message.
            return Err(NotCommitted::Down);
        }
        let id = self.ledger_number(ticket.number());
        self.engine.commit(ticket, id, self.ledger_timeout, notes)
    }

    /// Withdraws a message that was stored and then not answered.
    pub fn withdraw(&self, ticket: Ticket<'_>) {
        let Some(Opened { notes, .. }) = self.ledger.get().filter(|_| self.is_durable) else {
            return;
        };
        let number = ticket.number();
        if !self.engine.withdraw_committed(ticket, notes) {
            log::error!(
                "ledger: message {number} was not answered, but cannot be withdrawn now: it is sent after the next start"
            );
        }
    }

    /// The file of the ledger and the notes of messages that were given up, for the process that writes.
    pub fn ledger(&self) -> Option<(&LedgerFile, &NoteFile)> {
        let opened = self.ledger.get().filter(|opened| !opened.is_shared)?;
        Some((opened.file.as_ref()?, &opened.notes))
    }

    /// The file of what is kept for members who are away, for all who read it.
    pub fn kept_file(&self) -> Option<&LedgerFile> {
        self.ledger.get()?.file.as_ref()
    }

    /// Whether this node, among those that share the ledger, sees to what is done by the clock for a kept copy.
    pub fn is_for_this_node(&self, kept: i64) -> bool {
        let node = self.engine.node();
        let nodes = node.nodes().unwrap_or_default();
        let mut live: Vec<u64> = nodes
            .iter()
            .filter(|node| node.lease.is_some())
            .map(|node| node.run)
            .collect();
        live.sort_unstable();
        match live.iter().position(|&run| run == node.run()) {
            Some(place) => kept.unsigned_abs() % live.len() as u64 == place as u64,
            // Alone, or not listed yet.
            None => live.is_empty(),
        }
    }

    /// The ledger that nodes share, likewise.
    pub fn cluster(&self) -> Option<(&ClusterPlace, &NoteFile)> {
        match &self.place {
            Some(LedgerPlace::Cluster(place)) => Some((place, &self.ledger.get()?.notes)),
            _ => None,
        }
    }

    /// Which start of a node this is, if it is known.
    pub fn start(&self) -> Option<Run> {
        let (number, token) = self.engine.node().start()?;
        Some(Run { number, token })
    }

    /// What the run before has given up and not withdrawn from the ledger that nodes share.
    pub fn given_up(&self) -> &[u64] {
        let opened = self.ledger.get();
        opened.map_or(&[], |opened| &opened.given_up)
    }

    /// Puts a message into the queue that another node has left; gives its number there and how many recipients are left, or
    /// nothing if none are.
    pub fn take_over(&self, message: &Unfinished) -> Result<Option<(u64, usize)>, NotRestored> {
        let origin = Origin {
            ledger: message.message.id,
            ..Origin::default()
        };
        self.take_up(message, origin)
    }

    /// How those recipients of a message ended for whom that is settled: no copy may be on its way to being kept.
    pub(super) fn settled(&self, message: &UnderWay<'_>) -> Vec<(u32, Outcome)> {
        let mut endings = message.outcomes();
        endings.retain(|(_, ending)| !self.would_be_kept(*ending));
        endings
    }

    /// Whether a copy that ends like this is kept, if it can be.
    fn would_be_kept(&self, ending: Outcome) -> bool {
        let (Outcome::Refused(code) | Outcome::Unreachable(code)) = ending else {
            return false;
        };
        self.away.as_ref().is_some_and(|away| away.keeps(code))
    }

    /// What the ledger has done, if there is one.
    pub fn committed(&self) -> Option<Committed> {
        self.has_ledger().then(|| self.engine.committed())
    }
}
