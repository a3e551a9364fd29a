//! What a node does that shares its ledger with others, in the process that writes it: it renews its lease, takes over what
//! lost nodes have left, and lets go what others have taken over.
//!
//! Each call does one thing beside renewing the lease, so that this is renewed in time however slow PostgreSQL is.

#![forbid(unsafe_code)]

use super::duties::Duties;
use super::lost_messages::LostMessages;
use crate::fanout::{Blocked, Counter, Engine, KeptFigures, NodeListed, NotRestored, boot_time};
use crate::ledger::cluster::{ClusterError, ClusterLedger, ClusterPlace, Renewal};
use crate::ledger::{CommitMode, Entry, Ledger, Unfinished};
use crate::server::{NoteFile, Outbox, Server};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The longest interval between two looks for what others have left.
const LOOK: Duration = Duration::from_secs(1);
/// How many messages are taken over at once, so that the others get their share.
const SHARE: usize = 50;
/// How often the nodes are listed.
const LIST: Duration = Duration::from_secs(2);
/// How often it is looked what others keep for members who are away.
const FOLLOW: Duration = Duration::from_millis(200);
/// The interval of log lines about what fails and does no harm at once.
const COMPLAIN: Duration = Duration::from_secs(60);

/// The duties of a node.
pub struct NodeDuties<'e> {
    server: &'e Server,
    engine: &'e Engine,
    notes: &'e NoteFile,
    lease: Duration,
    /// Whether copies are kept for members who are away.
    follows: bool,
    /// What the run before has given up and not withdrawn.
    given_up: Vec<u64>,
    renewed: Option<Instant>,
    /// Since when the lease has held without a gap.
    holds_since: Option<Instant>,
    looked: Option<Instant>,
    listed: Option<Instant>,
    followed: Option<Instant>,
    complained: Option<Instant>,
    /// Whether others may have taken over messages that are in the queue here.
    must_compare: bool,
    lost: LostMessages,
    /// Whose messages were taken over last: a node, by its name.
    left_by: String,
    /// Messages that were taken over and have found no room yet.
    without_room: VecDeque<Unfinished>,
    /// Messages that were taken over and have ended, and whose end is not written yet.
    ended: Vec<u64>,
    /// Whether something is left to be done at once.
    has_more: bool,
}

/// A message in the queue.
struct Here {
    /// Its number in the ledger, and that in the queue.
    ledger: u64,
    number: u64,
    seed: [u8; 16],
}

impl<'e> NodeDuties<'e> {
    /// Those of this node.
    pub fn new(server: &'e Server, place: &ClusterPlace, notes: &'e NoteFile) -> Self {
        Self {
            server,
            engine: server.outbox().engine(),
            notes,
            lease: place.lease,
            follows: place.kept.is_some(),
            given_up: server.outbox().given_up().to_vec(),
            renewed: None,
            holds_since: None,
            looked: None,
            listed: None,
            followed: None,
            complained: None,
            must_compare: false,
            lost: LostMessages::new(),
            left_by: String::new(),
            without_room: VecDeque::new(),
            ended: Vec::new(),
            has_more: false,
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
                self.holds_since = None;
            }
        }
        if let Some(run) = ledger.known_run() {
            node.set_start(run.number, run.token);
        }
        self.renewed = Some(Instant::now());
        self.must_compare |= !ledger.is_compared();
        if self.must_compare && !self.let_go(ledger)? {
            return Ok(());
        }
        self.must_compare = false;
        self.holds_since.get_or_insert_with(Instant::now);
        node.hold(start, self.lease / 2);
        Ok(())
    }

    /// Lets go what others have taken over, and finds what PostgreSQL has lost; says whether that went well.
    fn let_go(&mut self, ledger: &mut ClusterLedger) -> Result<bool, ClusterError> {
        let here = match self.here() {
            Ok(here) => here,
            Err(blocked) => return Ok(is_blocked(blocked)),
        };
        let waiting = self.without_room.iter();
        let waiting = waiting.map(|message| (message.message.id, message.message.seed));
        let asked = here.iter().map(|here| (here.ledger, here.seed));
        let asked: Vec<_> = asked.chain(waiting).collect();
        let whose = ledger.whose(&asked)?;
        let unknown = whose.unknown.iter().filter_map(|&place| here.get(place));
        self.lost.set(unknown.map(|here| here.number));
        let mut gone = 0;
        for &place in &whose.taken {
            let Some(here) = here.get(place) else {
                let (id, _) = asked[place];
                self.without_room.retain(|message| message.message.id != id);
                continue;
            };
            match self.engine.let_go(here.number) {
                Ok(true) => gone += 1,
                Ok(false) => {}
                Err(blocked) => {
                    // Asked again with the next renewal.
                    return Ok(is_blocked(blocked));
                }
            }
        }
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

    /// The messages in the queue that are in the ledger.
    fn here(&self) -> Result<Vec<Here>, Blocked> {
        let under_way = self.engine.under_way()?;
        // Of a kept copy all nodes know.
        let promised = under_way
            .iter()
            .filter(|message| message.ledger() != 0 && message.kept() == 0);
        let here = promised.map(|message| Here {
            ledger: message.ledger(),
            number: message.number(),
            seed: message.submission().seed,
        });
        Ok(here.collect())
    }

    /// Takes over what nodes have left whose lease has run out; says whether there may be more. A node that was away itself
    /// lets the others renew their leases first, which have all run out when PostgreSQL was away for long.
    fn take_over(&mut self, ledger: &mut ClusterLedger) -> Result<bool, ClusterError> {
        let is_calm = self
            .holds_since
            .is_some_and(|since| since.elapsed() >= self.lease);
        if self.without_room.is_empty() {
            let taken = ledger.take_over(SHARE, !is_calm)?;
            self.left_by = taken.node;
            self.without_room.extend(taken.messages);
        }
        let may_be_more = self.without_room.len() >= SHARE;
        Ok(self.put_into_queue() && may_be_more)
    }

    /// Puts messages that were taken over into the queue; says whether all have found room.
    fn put_into_queue(&mut self) -> bool {
        let (mut messages, mut recipients, mut has_room) = (0, 0, true);
        while let Some(message) = self.without_room.pop_front() {
            let id = message.message.id;
            match self.server.outbox().take_over(&message) {
                Ok(Some((number, left))) => {
                    log::info!(
                        "ledger: message {} of start {} goes on here as message {number}",
                        Outbox::message_number(id),
                        id >> 32
                    );
                    messages += 1;
                    recipients += left;
                }
                // Its node was lost between its last outcome and its end.
                Ok(None) => self.ended.push(id),
                Err(NotRestored::Damaged) => log::error!(
                    "ledger: message {id} stays in PostgreSQL and is not sent: it has no recipients, or more than there can be"
                ),
                Err(NotRestored::NoMemory | NotRestored::Blocked(_)) => {
                    self.without_room.push_front(message);
                    has_room = false;
                    break;
                }
            }
        }
        if messages > 0 {
            let counters = self.server.decider().counters();
            (0..messages).for_each(|_| counters.add(Counter::TakenOver));
            let whose = match self.left_by.as_str() {
                "" => "nodes that are not there any more".to_owned(),
                node => format!("the node {node}, which was lost or has left,"),
            };
            log::warn!(
                "ledger: {messages} messages of {whose} go on here, with {recipients} recipients whose outcome is not known"
            );
            self.engine.call_again();
        }
        has_room
    }

    /// Does one thing that may wait; says whether there is more to do at once.
    fn do_one(&mut self, ledger: &mut ClusterLedger) -> Result<bool, ClusterError> {
        if self.lost.due_in().is_some_and(|wait| wait.is_zero()) {
            match self.lost.write_some(self.server, ledger) {
                Ok(ended) => self.ended.extend(ended),
                Err(blocked) => log::error!(
                    "ledger: {blocked}; messages that PostgreSQL has lost are written again later"
                ),
            }
            return Ok(true);
        }
        if !self.given_up.is_empty() {
            ledger.withdraw(&self.given_up);
            ledger.commit(&[], CommitMode::Synced)?;
            self.notes.forget(&self.given_up);
            log::warn!(
                "ledger: {} messages that were answered 503 are not sent",
                self.given_up.len()
            );
            self.given_up.clear();
            return Ok(true);
        }
        if ledger.must_recall() {
            self.left_by.clear();
            self.without_room.extend(ledger.recall()?);
            self.put_into_queue();
            return Ok(true);
        }
        if !self.ended.is_empty() {
            let ended = self.ended.iter().map(|&id| Entry::Finished { id });
            ledger.commit(&ended.collect::<Vec<_>>(), CommitMode::Soon)?;
            self.ended.clear();
            return Ok(true);
        }
        let node = self.engine.node();
        let has_looked = self.looked.is_some_and(|looked| looked.elapsed() < LOOK);
        if !has_looked {
            self.looked = Some(Instant::now());
            if node.holds() && !node.drains() && self.take_over(ledger)? {
                self.looked = None;
                return Ok(true);
            }
        }
        if self.follows
            && self
                .followed
                .is_none_or(|followed| followed.elapsed() >= FOLLOW)
        {
            self.followed = Some(Instant::now());
            if ledger.follow_kept()? {
                self.followed = None;
            }
            let figures = ledger.figures();
            self.engine.away().note(KeptFigures {
                copies: figures.kept,
                bytes: figures.kept_bytes,
            });
            return Ok(true);
        }
        if self.listed.is_none_or(|listed| listed.elapsed() >= LIST) {
            self.listed = Some(Instant::now());
            self.list(ledger)?;
        }
        Ok(false)
    }

    fn list(&self, ledger: &mut ClusterLedger) -> Result<(), ClusterError> {
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

    fn renew_if_due(&mut self, ledger: &mut ClusterLedger) -> Result<(), ClusterError> {
        if self.renewal_due_in().is_zero() || !ledger.is_compared() {
            self.renew(ledger)
                .inspect_err(|_| self.holds_since = None)?;
        }
        Ok(())
    }

    /// How long the renewal may wait; none does before there is a lease.
    fn renewal_due_in(&self) -> Duration {
        let elapsed = self.renewed.map(|renewed| renewed.elapsed());
        elapsed.map_or(Duration::ZERO, |elapsed| {
            (self.lease / 5).saturating_sub(elapsed)
        })
    }
}

/// Says that it is not known what others have taken over; so that has not gone well.
fn is_blocked(blocked: Blocked) -> bool {
    log::error!("ledger: {blocked}; nothing is sent until it is known what others have taken over");
    false
}

impl Duties<ClusterLedger> for NodeDuties<'_> {
    fn due_in(&self) -> Option<Duration> {
        if self.has_more {
            return Some(Duration::ZERO);
        }
        let looked = self.looked.map(|looked| looked.elapsed());
        let look = looked.map_or(Duration::ZERO, |elapsed| LOOK.saturating_sub(elapsed));
        let due = self.renewal_due_in().min(look);
        let followed = self.followed.map(|followed| followed.elapsed());
        let follow = followed.map_or(Duration::ZERO, |elapsed| FOLLOW.saturating_sub(elapsed));
        let due = if self.follows { due.min(follow) } else { due };
        Some(self.lost.due_in().map_or(due, |lost| due.min(lost)))
    }

    fn may_keep(&self, ledger: &ClusterLedger) -> bool {
        ledger.is_compared() && self.lost.is_empty()
    }

    fn perform(&mut self, ledger: &mut ClusterLedger) -> Result<(), ClusterError> {
        self.renew_if_due(ledger)?;
        let done = self.do_one(ledger);
        self.has_more = matches!(done, Ok(true));
        if let Err(error) = done
            && self.complained.is_none_or(|at| at.elapsed() >= COMPLAIN)
        {
            // New messages do not depend on it.
            self.complained = Some(Instant::now());
            log::warn!("ledger: {error}; trying again");
        }
        Ok(())
    }
}
