//! Messages that this node is sending and PostgreSQL has lost: they are written again, some at a time, so that everything else
//! has its turn in between.

#![forbid(unsafe_code)]

use crate::fanout::{Blocked, Counter, Engine, UnderWay};
use crate::ledger::Entry;
use crate::ledger::cluster::{ClusterError, ClusterLedger};
use crate::server::{Server, outcomes_again, promise_again};
use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// How many messages are written at once, if they have no more recipients than that.
const MESSAGES: usize = 50;
const RECIPIENTS: usize = 20_000;
/// After which time those are tried again that could not be written.
const PAUSE: Duration = Duration::from_secs(5);

/// The messages, by their numbers in the queue.
#[derive(Debug)]
pub struct LostMessages {
    numbers: VecDeque<u64>,
    /// How many are written at once: fewer after a failure.
    share: usize,
    not_before: Option<Instant>,
}

impl LostMessages {
    /// None is lost.
    pub fn new() -> Self {
        Self {
            numbers: VecDeque::new(),
            share: MESSAGES,
            not_before: None,
        }
    }

    /// These are lost.
    pub fn set(&mut self, numbers: impl Iterator<Item = u64>) {
        self.numbers = numbers.collect();
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// How long they may wait; nothing if there are none.
    pub fn due_in(&self) -> Option<Duration> {
        let wait = |at: Instant| at.saturating_duration_since(Instant::now());
        (!self.is_empty()).then(|| self.not_before.map_or(Duration::ZERO, wait))
    }

    /// Writes some again, and gives the numbers in the ledger of those that have ended meanwhile.
    ///
    /// What another node has accepted meanwhile is let go: its client had turned to that node.
    pub fn write_some(
        &mut self,
        server: &Server,
        ledger: &mut ClusterLedger,
    ) -> Result<Vec<u64>, Blocked> {
        let engine = server.outbox().engine();
        let lost = self.take_some(engine)?;
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        for message in &lost {
            // Its old number may be another start's where all was restored.
            message.enter_ledger(server.outbox().ledger_number(message.number()));
        }
        let mut entries: Vec<Entry<'_>> = lost.iter().map(promise_again).collect();
        entries.extend(
            lost.iter()
                .flat_map(|message| outcomes_again(server, message)),
        );
        match ledger.write_again(&entries) {
            Ok(answered) => {
                (self.share, self.not_before) = (MESSAGES, None);
                let (answered, written): (Vec<_>, Vec<_>) = lost
                    .iter()
                    .partition(|message| answered.contains(&message.ledger()));
                if !written.is_empty() {
                    log::error!(
                        "ledger: PostgreSQL did not know {} messages that this node has promised: it has lost its last \
                         transactions, or was restored. They were written again",
                        written.len()
                    );
                }
                if !answered.is_empty() {
                    log::warn!(
                        "ledger: {} messages that PostgreSQL had lost were accepted by other nodes meanwhile and are not sent here \
                         any more",
                        answered.len()
                    );
                }
                for message in answered {
                    engine.let_go(message.number())?;
                    server.decider().counters().add(Counter::TakenAway);
                }
                // Their ends may have been told under their old numbers.
                let ended = written.into_iter().filter(|message| message.is_done());
                Ok(ended.map(UnderWay::ledger).collect())
            }
            Err(error) => {
                self.put_back(&lost, &error);
                Ok(Vec::new())
            }
        }
    }

    /// The next messages, but for those that have ended.
    fn take_some<'e>(&mut self, engine: &'e Engine) -> Result<Vec<UnderWay<'e>>, Blocked> {
        let under_way = engine.under_way()?;
        let wanted: HashSet<u64> = self.numbers.iter().copied().take(self.share).collect();
        let is_wanted = |message: &UnderWay<'_>| {
            wanted.contains(&message.number()) && message.ledger() != 0 && !message.is_done()
        };
        let mut lost: Vec<_> = under_way.into_iter().filter(is_wanted).collect();
        let mut recipients = 0;
        let fits = lost.iter().take_while(|message| {
            recipients += message.recipients();
            recipients <= RECIPIENTS
        });
        // One alone may be larger.
        lost.truncate(fits.count().max(1));
        let taken: HashSet<u64> = lost.iter().map(UnderWay::number).collect();
        let is_left = |number: &u64| {
            !wanted.contains(number) || recipients > RECIPIENTS && !taken.contains(number)
        };
        self.numbers.retain(is_left);
        Ok(lost)
    }

    /// They are tried again later, and fewer at once. Whether some of it was written after all shows when PostgreSQL is asked
    /// by the next connection.
    fn put_back(&mut self, lost: &[UnderWay<'_>], error: &ClusterError) {
        log::error!(
            "ledger: {error}; {} messages that PostgreSQL has lost are sent from memory, and lost if this node is; trying again",
            lost.len()
        );
        self.numbers.extend(lost.iter().map(UnderWay::number));
        self.share = (self.share / 2).max(1);
        self.not_before = Some(Instant::now() + PAUSE);
    }
}
