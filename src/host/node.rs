//! What a node does that shares its ledger with others, in the process that writes it: it renews its lease, takes over what
//! lost nodes have left, and lets go what others have taken over.

#![forbid(unsafe_code)]

use super::duties::Duties;
use crate::fanout::{Blocked, Counter, Engine, NodeListed, NotRestored, boot_time, milliseconds};
use crate::ledger::cluster::{ClusterError, ClusterLedger, ClusterPlace, Renewal};
use crate::ledger::{CommitMode, Entry, Ledger, Unfinished};
use crate::server::{NoteFile, Server};
use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant, SystemTime};

/// The longest interval between two looks for what others have left.
const LOOK: Duration = Duration::from_secs(1);
/// How many messages are taken over at once, so that the others get their share.
const SHARE: usize = 20;
/// How often in one look.
const SHARES: usize = 5;
/// How often the nodes are listed.
const LIST: Duration = Duration::from_secs(2);
/// How long a transaction may be under way that PostgreSQL has not answered.
const STRAY: Duration = Duration::from_secs(60);

/// The duties of a node.
pub struct NodeDuties<'e> {
    server: &'e Server,
    engine: &'e Engine,
    notes: &'e NoteFile,
    lease: Duration,
    /// What the run before has given up and not withdrawn.
    given_up: Vec<u64>,
    performed: Option<Instant>,
    listed: Option<Instant>,
    /// Whether others may have taken over messages that are in the queue here.
    must_compare: bool,
    /// Messages that were taken over and have found no room yet.
    without_room: VecDeque<Unfinished>,
}

impl<'e> NodeDuties<'e> {
    /// Those of this node.
    pub fn new(server: &'e Server, place: &ClusterPlace, notes: &'e NoteFile) -> Self {
        Self {
            server,
            engine: server.outbox().engine(),
            notes,
            lease: place.lease,
            given_up: notes.given_up(),
            performed: None,
            listed: None,
            must_compare: false,
            without_room: VecDeque::new(),
        }
    }

    /// Renews the lease. Copies are sent for half of its length from now on: what is under way then has as long to end.
    fn renew(&mut self, ledger: &mut ClusterLedger) -> Result<(), ClusterError> {
        let node = self.engine.node();
        let start = boot_time();
        match ledger.renew(node.drains())? {
            Renewal::Held => {}
            Renewal::RanOut | Renewal::Anew => {
                node.end();
                self.must_compare = true;
            }
        }
        node.set_run(ledger.known_run().unwrap_or_default());
        if self.must_compare && !self.let_go(ledger)? {
            return Ok(());
        }
        self.must_compare = false;
        node.hold(start, self.lease / 2);
        Ok(())
    }

    /// Cancels what others have taken over; says whether that went well.
    fn let_go(&mut self, ledger: &mut ClusterLedger) -> Result<bool, ClusterError> {
        let own = ledger.own(u64::MAX)?;
        self.without_room
            .retain(|message| own.contains(&message.message.id));
        let gone = match self.cancel_others(&own) {
            Ok(gone) => gone,
            Err(blocked) => {
                log::error!(
                    "ledger: {blocked}; nothing is sent until it is known what others have taken over"
                );
                return Ok(false);
            }
        };
        if gone > 0 {
            let counters = self.server.decider().counters();
            (0..gone).for_each(|_| counters.add(Counter::TakenAway));
            log::warn!(
                "ledger: the lease of this node had run out: {gone} of its messages were taken over by other nodes and are \
                 not sent here any more"
            );
        }
        Ok(true)
    }

    fn cancel_others(&self, own: &HashSet<u64>) -> Result<usize, Blocked> {
        let mut gone = 0;
        for message in self.engine.under_way()? {
            let id = message.ledger();
            if id != 0 && !own.contains(&id) && self.engine.cancel(message.number())? {
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// Takes over what nodes have left whose lease has run out.
    fn take_over(&mut self, ledger: &mut ClusterLedger) -> Result<(), ClusterError> {
        let (mut messages, mut recipients) = (0, 0);
        for _ in 0..SHARES {
            if self.without_room.is_empty() {
                self.without_room.extend(ledger.take_over(SHARE)?);
            }
            let is_last = self.without_room.len() < SHARE;
            let (mut ended, mut is_full) = (Vec::new(), false);
            while let Some(message) = self.without_room.pop_front() {
                let id = message.message.id;
                match self.server.outbox().take_over(&message) {
                    Ok(Some(left)) => {
                        messages += 1;
                        recipients += left;
                    }
                    // Its node was lost between its last outcome and its end.
                    Ok(None) => ended.push(Entry::Finished { id }),
                    Err(NotRestored::Damaged) => log::error!(
                        "ledger: message {id} stays in PostgreSQL and is not sent: it has no recipients, or more than there can be"
                    ),
                    Err(NotRestored::NoMemory | NotRestored::Blocked(_)) => {
                        self.without_room.push_front(message);
                        is_full = true;
                        break;
                    }
                }
            }
            if !ended.is_empty() {
                ledger.commit(&ended, CommitMode::Soon)?;
            }
            if is_last || is_full {
                break;
            }
        }
        if messages > 0 {
            let counters = self.server.decider().counters();
            (0..messages).for_each(|_| counters.add(Counter::TakenOver));
            log::warn!(
                "ledger: {messages} messages of nodes that were lost or have left go on here, with {recipients} recipients \
                 whose outcome is not known"
            );
            self.engine.call_again();
        }
        Ok(())
    }

    /// Withdraws what was given up: by the run before, or when PostgreSQL did not answer in time.
    fn withdraw(&mut self, ledger: &mut ClusterLedger) -> Result<(), ClusterError> {
        if !self.given_up.is_empty() {
            ledger.withdraw(&self.given_up);
            ledger.commit(&[], CommitMode::Synced)?;
            self.notes.forget(&self.given_up);
            log::warn!(
                "ledger: {} messages that were answered 503 are not sent",
                self.given_up.len()
            );
            self.given_up.clear();
        }
        if ledger.may_have_strays(STRAY) {
            let before = milliseconds(SystemTime::now()).saturating_sub(STRAY.as_millis() as u64);
            let mut strays = ledger.own(before)?;
            let Ok(under_way) = self.engine.under_way() else {
                return Ok(());
            };
            for message in under_way {
                strays.remove(&message.ledger());
            }
            for message in &self.without_room {
                strays.remove(&message.message.id);
            }
            let strays: Vec<u64> = strays.into_iter().collect();
            ledger.withdraw(&strays);
        }
        Ok(())
    }

    fn list(&mut self, ledger: &mut ClusterLedger) -> Result<(), ClusterError> {
        if self.listed.is_some_and(|listed| listed.elapsed() < LIST) {
            return Ok(());
        }
        self.listed = Some(Instant::now());
        let nodes = ledger.nodes()?.into_iter().map(|node| NodeListed {
            name: node.name,
            run: node.run,
            lease: node.lease,
            drains: node.drains,
            unfinished: node.unfinished,
        });
        self.engine.node().note_nodes(&nodes.collect::<Vec<_>>());
        Ok(())
    }
}

impl Duties<ClusterLedger> for NodeDuties<'_> {
    fn due_in(&self) -> Option<Duration> {
        let interval = (self.lease / 5).min(LOOK);
        let elapsed = self.performed.map(|performed| performed.elapsed());
        Some(elapsed.map_or(Duration::ZERO, |elapsed| interval.saturating_sub(elapsed)))
    }

    fn perform(&mut self, ledger: &mut ClusterLedger) -> Result<(), ClusterError> {
        self.performed = Some(Instant::now());
        self.renew(ledger)?;
        self.withdraw(ledger)?;
        if self.engine.node().holds() && !self.engine.node().drains() {
            self.take_over(ledger)?;
        }
        self.list(ledger)
    }
}
