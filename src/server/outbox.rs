//! Accepted messages on their way: room for them, what is promised about them in the ledger, and what a restart takes
//! up again.

use super::away_pipe::{Keep, KeepReader};
use super::away_rules::{self, AwayPolicy};
use super::note_file::NoteFile;
use super::outcome_pipe::{OutcomeReader, outcome};
use super::{StartError, old_journal, request_record};
use crate::config::{Away, DbUrl, Durability, SettingError, Settings};
use crate::control::request_memory::MEMORY;
use crate::control::{Accepted, Addressing, Identifiers, Recognised};
use crate::fanout::{
    Committed, Counters, Engine, KeptFigures, NoRoom, NoRoomReason, NotCommitted, NotRestored,
    Origin, Outcome, PreviousRequests, RecentTable, Submission, Ticket, UnderWay, boot_time,
    milliseconds,
};
use crate::ledger::cluster::{ClusterLedger, ClusterPlace, KeptMirror, Run};
use crate::ledger::{
    CommitMode, Entry, Figures, Ledger, LedgerError, LedgerFile, Problem, Reader, RequestRecord,
    Unfinished,
};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// The file, beside the replica of the groups, in which a node follows what nodes keep for members who are away.
const KEPT: &str = "kept.db";

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

/// Where the ledger is.
#[derive(Debug)]
enum LedgerPlace {
    /// In a file of this node.
    File(PathBuf),
    /// In PostgreSQL, for all nodes.
    Cluster(Box<ClusterPlace>),
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
        let place = place(settings)?;
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

    /// Opens the ledger, if there is to be one, and takes up what the last run has left. To be done
    /// with the rights of the workers, before they are forked.
    pub fn open_ledger(&self, recent: &RecentTable, now: SystemTime) -> Result<(), StartError> {
        let opened = match &self.place {
            None => return Ok(()),
            Some(LedgerPlace::File(path)) => {
                if let Some(journal) = old_journal::find(path) {
                    return Err(StartError::OldJournal(journal));
                }
                self.open(path, recent, now).map_err(StartError::Ledger)?
            }
            Some(LedgerPlace::Cluster(place)) => {
                recent.share();
                self.join(place)?
            }
        };
        let _ = self.ledger.set(opened);
        Ok(())
    }

    /// Joins the nodes that share a ledger, with a lease of its own.
    fn join(&self, place: &ClusterPlace) -> Result<Opened, StartError> {
        let (node, start) = (self.engine.node(), boot_time());
        let begun = ClusterLedger::new(place, None, || {}).and_then(|mut ledger| ledger.begin());
        match begun {
            Ok(run) => {
                log::info!(
                    "ledger: this is start {} of the node {}, with a lease of {} s in {}",
                    run.number,
                    place.node,
                    place.lease.as_secs(),
                    place.url
                );
                node.set_start(run.number, run.token);
                node.hold(start, place.lease / 2);
            }
            Err(error) if error.may_pass() => {
                log::error!(
                    "ledger: {error}; starting without it: messages are answered 503 until PostgreSQL answers"
                );
                self.engine.committer().set_down(true);
            }
            Err(error) => return Err(StartError::Cluster(error)),
        }
        let notes = NoteFile::of_node(&place.node, &place.url.to_string());
        let notes = notes.map_err(|file| {
            let expected = format!(
                "another name for each proxy of this machine, as {file} is in use by one with the same"
            );
            SettingError::new("node", &place.node, expected)
        })?;
        let kept = place.kept.as_deref().map(|path| {
            let (file, figures) = kept_file(path)?;
            self.engine.away().note(KeptFigures {
                copies: figures.kept,
                bytes: figures.kept_bytes,
            });
            Ok(file)
        });
        Ok(Opened {
            file: kept.transpose().map_err(StartError::Kept)?,
            is_shared: true,
            given_up: notes.given_up(),
            notes,
        })
    }

    fn open(
        &self,
        path: &Path,
        recent: &RecentTable,
        now: SystemTime,
    ) -> Result<Opened, LedgerError> {
        let file = LedgerFile::open(path)?;
        let notes = NoteFile::of(path, file.key());
        let mut writer = file.writer()?;
        withdraw(&mut writer, &notes)?;
        let kept = writer.figures();
        self.engine.away().note(KeptFigures {
            copies: kept.kept,
            bytes: kept.kept_bytes,
        });
        let mut reader = file.reader()?;
        let mut left = Vec::new();
        reader.unfinished(&mut |message| left.push(message))?;
        // Not given again as long as the message is in the ledger, though it may not be sent.
        self.engine.skip_numbers(reader.last_number()?);
        let (mut messages, mut recipients, mut ended) = (0, 0, Vec::new());
        for message in &left {
            let id = message.message.id;
            let origin = Origin {
                number: Some(id & LOW),
                ledger: id,
                ..Origin::default()
            };
            match self.take_up(message, origin) {
                Ok(Some((_, left))) => {
                    messages += 1;
                    recipients += left;
                }
                // A crash came between its last outcome and its end.
                Ok(None) => ended.push(Entry::Finished { id }),
                Err(why) => log::error!(
                    "ledger: message {} stays in {} and is not sent in this run: {why}",
                    id & LOW,
                    path.display()
                ),
            }
        }
        if !ended.is_empty() {
            writer.commit(&ended, CommitMode::Soon)?;
        }
        let since = milliseconds(now).saturating_sub(MEMORY.as_millis() as u64);
        let requests = reader.requests(since)?;
        let requests = requests.iter().map(|request| {
            let age = milliseconds(now).saturating_sub(request.accepted_at);
            (request.key(), Duration::from_millis(age), request.content)
        });
        recent.restore(file.key(), requests);
        if messages > 0 {
            log::warn!(
                "ledger: {messages} messages of the last run go on, with {recipients} recipients whose \
                 outcome is not known"
            );
        }
        Ok(Opened {
            file: Some(file),
            is_shared: false,
            notes,
            given_up: Vec::new(),
        })
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

    /// Writes to disk all outcomes, reported or not, the ends of messages without recipients left, and the copies for
    /// members who are away that have not been reported yet. To be called when all other processes have ended.
    /// `member` gives the hash of the member with an address.
    pub fn keep_outcomes(&self, member: impl Fn(&[u8]) -> Option<u64>) -> Result<(), String> {
        if let Some((file, notes)) = self.ledger() {
            let mut writer = file.writer().map_err(|error| error.to_string())?;
            return self
                .bring_outcomes(&mut writer, notes, member)
                .map_err(|error| error.to_string());
        }
        let Some((place, notes)) = self.cluster() else {
            return Ok(());
        };
        if self.start().is_none() {
            // It has never promised anything.
            return Ok(());
        }
        // Nobody reads what is kept any more.
        let place = ClusterPlace {
            kept: None,
            ..place.clone()
        };
        let left = ClusterLedger::new(&place, self.start(), || {}).and_then(|mut writer| {
            writer.remember()?;
            self.bring_outcomes(&mut writer, notes, member)?;
            // Others go on with what is left.
            writer.leave()
        });
        left.map_err(|error| error.to_string())
    }

    fn bring_outcomes<L: Ledger>(
        &self,
        writer: &mut L,
        notes: &NoteFile,
        member: impl Fn(&[u8]) -> Option<u64>,
    ) -> Result<(), L::Error> {
        withdraw(writer, notes)?;
        let mut reader = OutcomeReader::new(&self.engine);
        reader.read();
        let mut keeping = KeepReader::new(&self.engine);
        keeping.read();
        let mut entries = keeping.entries();
        entries.extend(reader.entries());
        if !entries.is_empty() {
            writer.commit(&entries, CommitMode::Synced)?;
        }
        drop(entries);
        reader.is_committed();
        keeping.is_committed();
        let under_way = self.engine.under_way().unwrap_or_else(|blocked| {
            log::error!("{blocked}; the ledger is not told of the last outcomes");
            Vec::new()
        });
        let mut entries = Vec::new();
        for message in under_way {
            if message.kept() != 0 {
                entries.extend(kept_copy_delivered(&message));
            } else if self.is_durable {
                entries.extend(self.last_outcomes(&message));
            } else if let Some(away) = &self.away {
                let kept = self.keep_unreported(away, &message, &member, &mut keeping);
                if let Err(error) = kept {
                    log::error!(
                        "ledger: {error}; the copies of message {} are not kept",
                        message.number()
                    );
                }
            }
        }
        entries.extend(keeping.entries());
        if !entries.is_empty() {
            writer.commit(&entries, CommitMode::Synced)?;
        }
        notes.remove();
        Ok(())
    }

    /// The outcomes of a message of the ledger that the ledger does not know yet. Members who are away are left out: the next start
    /// sends to them again, with the same identifiers, and keeps what is not delivered then.
    fn last_outcomes(&self, message: &UnderWay<'_>) -> Option<Entry<'static>> {
        let id = message.ledger();
        let mut endings = message.outcomes();
        endings.retain(|(_, ending)| !self.would_be_kept(*ending));
        if endings.len() == message.recipients() {
            return Some(Entry::Finished { id });
        }
        let outcomes: Vec<_> = endings
            .into_iter()
            .map(|(number, ending)| outcome(number, ending))
            .collect();
        (!outcomes.is_empty()).then_some(Entry::Outcomes {
            id,
            outcomes: Cow::Owned(outcomes),
        })
    }

    /// Has the ended copies kept for members who are away, of a message that is only in memory.
    fn keep_unreported(
        &self,
        away: &AwayPolicy,
        message: &UnderWay<'_>,
        member: impl Fn(&[u8]) -> Option<u64>,
        keeping: &mut KeepReader<'_>,
    ) -> Result<(), LedgerError> {
        let Some((file, _)) = self.ledger() else {
            return Ok(());
        };
        let mut reader = file.reader()?;
        let now = milliseconds(SystemTime::now());
        let expires_at = away.until(message.expires_at(), now);
        if expires_at <= now || self.engine.away().figures().bytes >= away.settings.away_bytes {
            return Ok(());
        }
        let mut is_new = message.ledger() == 0;
        let ledger = match message.ledger() {
            0 => self.ledger_number(message.number()),
            ledger => ledger,
        };
        for (recipient, ending) in message.outcomes() {
            let (Outcome::Refused(code) | Outcome::Unreachable(code)) = ending else {
                continue;
            };
            let address = message.address(recipient);
            let Some(member) = address.and_then(&member).filter(|_| away.keeps(code)) else {
                continue;
            };
            let kept = reader.kept_of(member, usize::MAX >> 1)?;
            if kept
                .iter()
                .any(|kept| (kept.message, kept.recipient) == (ledger, recipient))
            {
                continue;
            }
            keeping.add(Keep {
                place: message.place(),
                ledger,
                is_new,
                recipient,
                code,
                member,
                kept_at: now,
                expires_at,
            });
            if is_new {
                message.enter_ledger(ledger);
            }
            is_new = false;
        }
        Ok(())
    }

    /// Whether a copy that ends like this is kept, if it can be.
    pub(super) fn would_be_kept(&self, ending: Outcome) -> bool {
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

/// The request that a message came in.
pub fn request_of<'a>(submission: &Submission<'a>) -> Option<RequestRecord<'a>> {
    request_record::decode(submission.request)
}

/// The end of a kept copy that is under way, if it was delivered.
fn kept_copy_delivered(message: &UnderWay<'_>) -> Option<Entry<'static>> {
    let endings = message.outcomes();
    let mut endings = endings.iter().map(|(_, ending)| ending);
    let is_delivered = endings.any(|ending| matches!(ending, Outcome::Delivered(_)));
    is_delivered.then_some(Entry::KeptEnded {
        kept: message.kept().cast_signed(),
    })
}

/// Where the ledger is to be, if there is to be one.
fn place(settings: &Settings) -> Result<Option<LedgerPlace>, StartError> {
    if settings.durability != Durability::Cluster {
        let has_file = settings.durability == Durability::Journal || settings.away == Away::Keep;
        return Ok(has_file.then(|| LedgerPlace::File(settings.ledger())));
    }
    let DbUrl::Postgres(url) = &settings.db_url else {
        let expected = "none or journal, as db_url is a file of this node alone: cluster needs db_url=postgres://…";
        return Err(SettingError::new("durability", "cluster", expected).into());
    };
    Ok(Some(LedgerPlace::Cluster(Box::new(ClusterPlace {
        url: (**url).clone(),
        node: settings.node(),
        lease: Duration::from_secs(settings.lease.into()),
        kept: (settings.away == Away::Keep).then(|| settings.replica.with_file_name(KEPT)),
    }))))
}

/// The file in which a node follows what nodes keep. PostgreSQL has all of it, so that one that is damaged, or of another
/// version, is made anew.
fn kept_file(path: &Path) -> Result<(LedgerFile, Figures), LedgerError> {
    let file = LedgerFile::open(path).or_else(|error| match error.problem {
        Problem::Corrupt(_) | Problem::Foreign | Problem::Newer(_) | Problem::LogAlone => {
            log::warn!("{error}: it only repeats what PostgreSQL has, and is made anew");
            for suffix in ["", "-wal", "-shm"] {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                // What cannot be removed is found by the next look.
                let _ = std::fs::remove_file(name);
            }
            LedgerFile::open(path)
        }
        _ => Err(error),
    })?;
    // What is kept no longer goes once PostgreSQL answers.
    let figures = KeptMirror::open(path)?.figures();
    Ok((file, figures))
}

/// Withdraws what a run has given up and not withdrawn.
fn withdraw<L: Ledger>(writer: &mut L, notes: &NoteFile) -> Result<(), L::Error> {
    let given_up = notes.given_up();
    if given_up.is_empty() {
        return Ok(());
    }
    let withdrawn = given_up.iter().map(|&id| Entry::Withdrawn { id });
    writer.commit(&withdrawn.collect::<Vec<_>>(), CommitMode::Synced)?;
    notes.clear();
    log::warn!(
        "ledger: {} messages that were answered 503 are not sent",
        given_up.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Own;
    use crate::ledger::{KeptCopy, Promise};
    use crate::sample::{NOW, submission};

    fn outbox(folder: &Path) -> Outbox {
        outbox_with(folder, "journal")
    }

    fn outbox_with(folder: &Path, durability: &str) -> Outbox {
        let mut settings = Settings::new();
        settings.set("durability", durability).unwrap();
        settings.set("away", "keep").unwrap();
        let ledger = folder.join("ledger.db");
        settings.set("ledger", ledger.to_str().unwrap()).unwrap();
        let counters = Arc::new(Counters::new().unwrap());
        let outbox = Outbox::new(&settings, [7; 16], counters).unwrap();
        let recent = RecentTable::new(64, [7; 16]).unwrap();
        outbox.open_ledger(&recent, SystemTime::now()).unwrap();
        outbox
    }

    fn own() -> Vec<Own<'static>> {
        vec![
            Own::plain(b"sip:bob@home1.net"),
            Own::plain(b"sip:cho@home1.net"),
        ]
    }

    fn write(outbox: &Outbox, more: &[Entry<'_>], id: u64) {
        let promise = Entry::Promise(Box::new(Promise {
            id,
            promised: true,
            anonymous: false,
            submission: submission(),
            recipients: own(),
            request: None,
        }));
        let (file, _) = outbox.ledger().unwrap();
        let mut writer = file.writer().unwrap();
        writer.commit(&[promise], CommitMode::Synced).unwrap();
        writer.commit(more, CommitMode::Synced).unwrap();
    }

    #[test]
    fn copies_for_members_away_that_were_not_reported_before_the_stop_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = outbox(folder.path());
        let id = outbox.ledger_number(1);
        write(&outbox, &[], id);
        let origin = Origin {
            ledger: id,
            ..Origin::default()
        };
        let ended = [(0, Outcome::Refused(480)), (1, Outcome::Refused(403))];
        let engine = outbox.engine();
        let restored = engine.restore(&submission(), || own().into_iter(), origin, []);
        assert!(matches!(restored, Ok(Some(_))));
        for (_, ending) in ended {
            let attempt = engine.next(|| NOW).unwrap();
            let cookie = attempt.cookie();
            drop(attempt);
            engine.completed(cookie, ending.code().unwrap());
            engine.released(cookie);
        }
        outbox.keep_outcomes(|_| None).unwrap();
        let mut left = Vec::new();
        let mut reader = outbox.ledger().unwrap().0.reader().unwrap();
        reader
            .unfinished(&mut |message| left.push(message))
            .unwrap();
        let outcomes: Vec<_> = left
            .iter()
            .map(|message| message.outcomes.clone())
            .collect();
        assert_eq!(outcomes, [[outcome(1, Outcome::Refused(403))]]);
    }

    #[test]
    fn of_a_message_that_is_in_memory_alone_all_members_who_are_away_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = outbox_with(folder.path(), "none");
        let engine = outbox.engine();
        let restored = engine.restore(&submission(), || own().into_iter(), Origin::default(), []);
        assert!(matches!(restored, Ok(Some(_))));
        while let Some(attempt) = engine.next(|| NOW) {
            let cookie = attempt.cookie();
            drop(attempt);
            engine.completed(cookie, 480);
            engine.released(cookie);
        }
        let member = |address: &[u8]| Some(address.iter().map(|&byte| u64::from(byte)).sum());
        outbox.keep_outcomes(member).unwrap();
        let mut reader = outbox.ledger().unwrap().0.reader().unwrap();
        assert_eq!(reader.figures().unwrap().kept, 2);
    }

    #[test]
    fn no_number_of_a_message_with_kept_copies_is_given_again() {
        let folder = tempfile::tempdir().unwrap();
        let before = outbox(folder.path());
        let id = before.ledger_number(41);
        let kept = Entry::Kept(KeptCopy {
            message: id,
            recipient: 0,
            address_hash: 1,
            address: b"sip:bob@home1.net",
            code: 480,
            kept_at: NOW,
            expires_at: NOW + 1000,
        });
        write(&before, &[kept, Entry::Finished { id }], id);
        drop(before);
        let after = outbox(folder.path());
        let origin = Origin::default();
        let restored = after
            .engine()
            .restore(&submission(), || own().into_iter(), origin, []);
        assert_eq!(restored.unwrap(), Some((42, 2)));
    }
}
