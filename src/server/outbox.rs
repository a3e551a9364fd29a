//! Accepted messages on their way: room for them, their journal, and what a restart takes up again.

use super::{StartError, pace};
use crate::config::Settings;
use crate::control::recent::RequestKey;
use crate::control::{Accepted, Identifiers, Reason, Refusal};
use crate::fanout::journal::{
    self, Figures, Journal, JournalError, Maintainer, Memory, Outcome, Unfinished, Writer,
};
use crate::fanout::{Counters, Ending, Engine, RecentTable, Submission, Ticket, milliseconds};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// Seconds after which a client may try again when the journal could not be written.
const RETRY_AFTER: u32 = 30;

/// The bits of a journal's number that are the message's number in the queue.
const LOW: u64 = u32::MAX as u64;

/// The messages on their way, in memory that all workers share and, if the administrator wants
/// that, on disk.
#[derive(Debug)]
pub struct Outbox {
    engine: Engine,
    /// Where the journal is to be, and what all processes know of it.
    place: Option<(PathBuf, Memory)>,
    journal: OnceLock<Opened>,
}

/// The journal of a proxy that has given up the rights of root, before it forks its workers.
#[derive(Debug)]
struct Opened {
    journal: Journal,
    /// What makes the numbers of this run unique among all runs whose messages are in the journal:
    /// the second of its start, or more.
    run: u64,
    /// The journal's numbers of the messages that were taken up again.
    taken_up: HashMap<u64, u64>,
}

impl Outbox {
    /// With nothing in it. To be made before the workers are forked.
    pub fn new(settings: &Settings, key: [u8; 16], counters: Arc<Counters>) -> io::Result<Self> {
        let place = match settings.durable {
            true => Some((settings.journal_dir.clone().into(), Memory::new()?)),
            false => None,
        };
        Ok(Self {
            engine: Engine::new(pace::limits(settings), key, counters)?,
            place,
            journal: OnceLock::new(),
        })
    }

    /// The queue in memory.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether messages are kept on disk.
    pub fn is_durable(&self) -> bool {
        self.place.is_some()
    }

    /// Whether somebody wants to be told of each recipient that has got a message. The journal always
    /// does.
    pub fn tell_delivered(&self, wanted: bool) {
        self.engine.tell_delivered(wanted || self.is_durable());
    }

    /// Opens the journal, if there is to be one, and takes up what the last run has left. To be done
    /// with the rights of the workers, before they are forked.
    pub fn open_journal(&self, recent: &RecentTable, now: SystemTime) -> Result<(), StartError> {
        let Some((directory, memory)) = &self.place else {
            return Ok(());
        };
        let (journal, recovered) =
            Journal::open_with(memory.clone(), directory, now).map_err(StartError::Journal)?;
        let mut taken_up = HashMap::new();
        let mut recipients = 0;
        let mut run = milliseconds(now) / 1000;
        for message in &recovered.messages {
            // Not given again as long as the message is in the journal, though it may not be sent.
            self.engine.skip_numbers(message.id & LOW);
            run = run.max((message.id >> 32) + 1);
            match self.take_up(message) {
                Ok(Some((number, left))) => {
                    recipients += left;
                    taken_up.insert(number, message.id);
                }
                // A crash came between its last outcome and its end.
                Ok(None) => journal
                    .writer()
                    .and_then(|mut writer| writer.finished(message.id))
                    .map_err(StartError::Journal)?,
                Err(why) => log::error!(
                    "journal: message {} stays in {} and is not sent in this run: {why}",
                    message.id & LOW,
                    directory.display()
                ),
            }
        }
        for (time, key) in &recovered.recent {
            let age = milliseconds(now).saturating_sub(*time);
            recent.restore(&key.borrow(), Duration::from_millis(age));
        }
        if !taken_up.is_empty() {
            let count = taken_up.len();
            log::warn!(
                "journal: {count} messages of the last run go on, with {recipients} recipients whose \
                 outcome is not known"
            );
        }
        let _ = self.journal.set(Opened {
            journal,
            run,
            taken_up,
        });
        Ok(())
    }

    /// Puts a message of the last run back into the queue; gives its number and how many recipients
    /// are left, or nothing if none are.
    fn take_up(&self, message: &Unfinished) -> Result<Option<(u64, usize)>, String> {
        let ended = message.outcomes.iter().filter_map(|outcome| {
            let ending = Ending::from_bytes(outcome.outcome, outcome.code)?;
            Some((outcome.recipient, ending))
        });
        let restored = self.engine.restore(&message.block, ended);
        restored.map_err(|error| error.to_string())
    }

    /// Takes room for a message, before its 202 (A.1, rows 9 and 13; S-5).
    pub fn reserve(
        &self,
        accepted: &Accepted,
        identifiers: &mut impl Identifiers,
        now: SystemTime,
    ) -> Result<Ticket<'_>, Box<Refusal>> {
        let submission = Submission::of(accepted, now, identifiers.random());
        let recipients = || Submission::recipients(accepted);
        let ticket = self
            .engine
            .reserve(&submission, recipients, self.engine.now());
        ticket.map_err(|no_room| Box::new(no_room.refusal(accepted)))
    }

    /// For each process that appends, after the fork; nothing where no journal is kept.
    pub fn writer(&self) -> Result<Option<Writer>, JournalError> {
        let opened = self.journal.get();
        opened.map(|opened| opened.journal.writer()).transpose()
    }

    /// For the one process that keeps the journal small.
    pub fn maintainer(&self) -> Result<Option<Maintainer>, JournalError> {
        let opened = self.journal.get();
        opened.map(|opened| opened.journal.maintainer()).transpose()
    }

    /// Brings to the disk all outcomes that there are, told or not, and the ends of messages without
    /// any left. To be done when all other processes have ended.
    pub fn keep_outcomes(&self) -> Result<(), JournalError> {
        let Some(mut writer) = self.writer()? else {
            return Ok(());
        };
        let under_way = self.engine.under_way().unwrap_or_else(|blocked| {
            log::error!("{blocked}; the journal is not told of the last outcomes");
            Vec::new()
        });
        for message in under_way {
            let id = self.journal_id(message.number());
            let endings = message.endings();
            if endings.len() == message.recipients() {
                writer.finished(id)?;
            } else if !endings.is_empty() {
                let outcomes = endings
                    .into_iter()
                    .map(|(number, ending)| outcome(number, ending));
                writer.outcomes(id, &outcomes.collect::<Vec<_>>())?;
            }
        }
        writer.sync()
    }

    /// What the journal has done, if there is one.
    pub fn journal_figures(&self) -> Option<Figures> {
        self.place.as_ref().map(|(_, memory)| memory.figures())
    }

    /// The journal's number of the message with this number in the queue.
    pub fn journal_id(&self, number: u64) -> u64 {
        let Some(opened) = self.journal.get() else {
            return number;
        };
        let taken_up = opened.taken_up.get(&number).copied();
        taken_up.unwrap_or(opened.run << 32 | number & LOW)
    }

    /// Brings a message to the disk, before its 202.
    pub fn store(
        &self,
        writer: &mut Writer,
        ticket: &Ticket<'_>,
        key: RequestKey<'_>,
        expires_at: Option<SystemTime>,
        now: SystemTime,
    ) -> Result<(), JournalError> {
        writer.accept(&journal::Accepted {
            id: self.journal_id(ticket.number()),
            time: milliseconds(now),
            expiry: expires_at.map_or(0, milliseconds),
            key,
            block: ticket.record(),
        })
    }
}

/// The refusal of a message that cannot be stored.
pub fn not_stored(accepted: &Accepted, error: &JournalError) -> Box<Refusal> {
    let detail = error.to_string();
    Box::new(Refusal::after_all(
        Reason::Journal,
        detail,
        accepted,
        RETRY_AFTER,
    ))
}

/// An outcome as the journal keeps it.
pub fn outcome(recipient: u32, ending: Ending) -> Outcome {
    let (outcome, code) = ending.to_bytes();
    Outcome {
        recipient,
        outcome,
        code,
    }
}
