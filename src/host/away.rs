//! Copies for members who are away, in the process that tells outcomes: which of those that ended are kept, which
//! are sent when their member registers, and which expire.
//!
//! ```text
//!   ended with one of away_codes ──► told to the ledger ──► committed: `kept`       ──► registered ──► sent again
//!                                          │                                                 ▲            │
//!                                          └─ not in time: `undelivered`                     └── away ────┤
//!                                                                         expired ◄── time ──┘            │
//!                                                                                    delivered ◄──────────┘
//! ```
//!
//! What came behind a copy that waits for the ledger is told behind it. A copy that is sent stays in the ledger until
//! it has been delivered: a crash in between repeats it with the same identifiers.

#![forbid(unsafe_code)]

use crate::control::Fork;
use crate::fanout::{
    Counter, EndedCopy, Event, NotRestored, Origin, Outcome, Submission, copy_of, milliseconds,
};
use crate::ledger::{Kept, KeptMessage, LedgerError, LedgerFile, Reader, SqliteReader};
use crate::server::{AwayPolicy, Keep, KeepWriter, Mark, Outbox, Server, Worker};
use crate::sip::text::Printable;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant, SystemTime};

/// Events that may wait for the ledger: behind them no others are asked for.
const MOST_HELD: usize = 4096;
/// Copies of one member that are in the queue at once: when half of them have ended, others follow them there, before
/// what has come since.
const TOGETHER: usize = 32;
/// How long copies are handed over before other things get their turn.
const SHARE: Duration = Duration::from_millis(100);
/// How often it is looked for copies that have expired, and how many of them at once.
const EXPIRY: Duration = Duration::from_secs(1);
const EXPIRED_AT_ONCE: usize = 512;
/// How often the log says that something cannot be kept or read.
const COMPLAIN: Duration = Duration::from_secs(10);
/// Marks the numbers under which kept copies are sent: no message has such a number.
const NOT_OF_A_MESSAGE: u64 = 1 << 62;
/// What a kept copy takes beside its texts.
const OVERHEAD: u64 = 64;

/// What becomes of an event.
#[derive(Debug)]
pub enum Turn<'s> {
    /// It is told now.
    Now(Event<'s>),
    /// It is told when the ledger has what came before it.
    Later,
    /// It is nobody's affair.
    Never,
}

/// A kept copy that has ended without having been sent.
#[derive(Debug)]
pub struct Ended(pub KeptMessage);

impl Ended {
    /// The number of the message.
    pub fn message(&self) -> u64 {
        Outbox::message_number(self.0.message.id)
    }

    /// The copy as it would have been sent.
    pub fn fork(&self) -> Option<Fork<'_>> {
        let own = self.0.recipient.get(0)?;
        Some(copy_of(
            &self.0.message.submission(),
            own,
            self.0.kept.recipient,
        ))
    }
}

/// Why a copy is not kept any longer without having been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Expired,
    PushedOut,
    Dropped,
    GroupDeleted,
}

/// An event that waits for the ledger, or for another one that does.
#[derive(Debug)]
struct Held<'s> {
    event: Event<'s>,
    waits: Option<Waits>,
}

/// What a copy that is to be kept waits for.
#[derive(Clone, Copy, Debug)]
struct Waits {
    mark: Mark,
    since: Instant,
    member: u64,
    /// Message and recipient.
    copy: (u64, u32),
    bytes: u64,
}

/// A copy that was told as undelivered, as the ledger was late. It has to stay until the ledger is done with it.
#[derive(Debug)]
struct Late<'s> {
    outcome: EndedCopy<'s>,
    mark: Mark,
    member: u64,
}

/// A member whose copies are being sent.
#[derive(Debug, Default)]
struct Delivery {
    /// The numbers of the messages that are under way.
    under_way: HashMap<i64, u64>,
    /// Whether more is to be handed over, in their turn.
    is_next: bool,
    /// Whether all has been handed over that was there.
    is_done: bool,
    /// Whether the member is away again.
    is_away: bool,
    /// Whether the member has registered once more meanwhile.
    asked_again: bool,
}

/// The state of the process as to members who are away.
pub struct Keeping<'s> {
    server: &'s Server,
    policy: &'s AwayPolicy,
    file: &'s LedgerFile,
    reader: Option<SqliteReader>,
    writer: KeepWriter<'s>,
    groups: Worker,
    held: VecDeque<Held<'s>>,
    late: Vec<Late<'s>>,
    /// Copies of each member that the ledger may not have yet, by message and recipient, and bytes of all.
    pending: HashMap<u64, Vec<(u64, u32)>>,
    pending_bytes: u64,
    /// How many of those copies each message has, by its number in the ledger.
    pending_of: HashMap<u64, usize>,
    /// Copies that have ended, as long as the ledger may still have them, and those whose mark is not known.
    ended: HashSet<i64>,
    ended_by: VecDeque<(Mark, i64)>,
    unmarked: Vec<i64>,
    deliveries: HashMap<u64, Delivery>,
    /// Copies of all of them that are under way.
    under_way: usize,
    /// Members whose copies are to be handed over next.
    next: VecDeque<u64>,
    /// What is to be told of copies that were not sent.
    told: Vec<Ended>,
    looked: Option<Instant>,
    complained: Option<Instant>,
}

impl<'s> Keeping<'s> {
    /// For the one process that tells outcomes, after it was forked; nothing where nothing is kept.
    pub fn new(server: &'s Server) -> Option<Self> {
        let outbox = server.outbox();
        let (file, _) = outbox.ledger()?;
        Some(Self {
            server,
            policy: outbox.away()?,
            file,
            reader: None,
            writer: KeepWriter::new(outbox.engine()),
            groups: server.worker(),
            held: VecDeque::new(),
            late: Vec::new(),
            pending: HashMap::new(),
            pending_bytes: 0,
            pending_of: HashMap::new(),
            ended: HashSet::new(),
            ended_by: VecDeque::new(),
            unmarked: Vec::new(),
            deliveries: HashMap::new(),
            under_way: 0,
            next: VecDeque::new(),
            told: Vec::new(),
            looked: None,
            complained: None,
        })
    }

    /// Whether so many events wait for the ledger that no others are to be asked for.
    pub fn is_full(&self) -> bool {
        self.held.len() >= MOST_HELD
    }

    /// What is due: copies that have expired, those that somebody drops, and those of members who have registered.
    pub fn round(&mut self) {
        let away = self.server.outbox().engine().away();
        if self.looked.is_none_or(|looked| looked.elapsed() >= EXPIRY) {
            self.looked = Some(Instant::now());
            self.expire();
        }
        for member in away.asked_to_drop() {
            self.drop_all(member);
        }
        for member in away.asked_for() {
            let delivery = self.deliveries.entry(member).or_default();
            delivery.is_done = false;
            match delivery.under_way.is_empty() {
                true => self.goes_next(member),
                false => delivery.asked_again = true,
            }
        }
        let started = Instant::now();
        while started.elapsed() < SHARE
            && let Some(member) = self.next.pop_front()
        {
            if !self.hand_over(member) {
                self.next.push_front(member);
                return;
            }
        }
    }

    /// Whether copies can be handed over at once.
    pub fn has_more(&self) -> bool {
        !self.next.is_empty() && self.has_room()
    }

    /// Says what becomes of an event.
    pub fn sort(&mut self, event: Event<'s>) -> Turn<'s> {
        let waits = match &event {
            Event::Ended(outcome) if outcome.kept() != 0 => {
                return match self.came_back(outcome) {
                    true => self.behind(event, None),
                    false => Turn::Never,
                };
            }
            Event::Finished(finished) if finished.kept() != 0 => return Turn::Never,
            Event::Ended(outcome) => self.keep(outcome),
            Event::Finished(_) => None,
        };
        self.behind(event, waits)
    }

    fn behind(&mut self, event: Event<'s>, waits: Option<Waits>) -> Turn<'s> {
        if waits.is_none() && self.held.is_empty() {
            return Turn::Now(event);
        }
        self.held.push_back(Held { event, waits });
        Turn::Later
    }

    /// Has a copy kept that has ended as that of somebody who is away, if it can be.
    fn keep(&mut self, outcome: &EndedCopy<'_>) -> Option<Waits> {
        let (Outcome::Refused(code) | Outcome::Unreachable(code)) = outcome.outcome else {
            return None;
        };
        if !self.policy.keeps(code) {
            return None;
        }
        let engine = self.server.outbox().engine();
        if engine.committer().is_down() {
            self.complain("the ledger cannot be written");
            return None;
        }
        let address = outcome.fork().recipient;
        let member = self.server.member(address)?;
        let now = milliseconds(SystemTime::now());
        let submission = outcome.submission();
        let expires_at = self.policy.until(submission.expires_at, now);
        if expires_at <= now {
            return None;
        }
        let bytes = self.bytes(outcome, &submission);
        if engine.away().figures().bytes + self.pending_bytes + bytes
            > self.policy.settings.away_bytes
        {
            self.complain("as many bytes are kept as may be (away_bytes)");
            return None;
        }
        if let Err(error) = self.make_room(member) {
            self.complain(&error.to_string());
            return None;
        }
        let is_new = outcome.ledger() == 0;
        let ledger = match outcome.ledger() {
            0 => self.server.outbox().ledger_number(outcome.message()),
            ledger => ledger,
        };
        let mark = self.writer.keep(Keep {
            place: outcome.place(),
            ledger,
            is_new,
            recipient: outcome.recipient(),
            code,
            member,
            kept_at: now,
            expires_at,
        });
        let Some(mark) = mark else {
            self.complain("too much is to be kept at once");
            return None;
        };
        outcome.enter_ledger(ledger);
        let copy = (ledger, outcome.recipient());
        self.pending.entry(member).or_default().push(copy);
        self.pending_bytes += bytes;
        *self.pending_of.entry(ledger).or_default() += 1;
        Some(Waits {
            mark,
            since: Instant::now(),
            member,
            copy,
            bytes,
        })
    }

    /// What a copy takes in the ledger: of a message that is kept for another member too its own bytes only.
    fn bytes(&self, outcome: &EndedCopy<'_>, submission: &Submission<'_>) -> u64 {
        let own = outcome.fork().recipient.len() as u64 + OVERHEAD;
        let is_there = outcome.ledger() != 0
            && (self.pending_of.contains_key(&outcome.ledger()) || outcome.is_kept_for_others());
        let shared = [
            submission.originator,
            submission.group,
            submission.from,
            submission.headers,
            submission.charging,
            submission.body,
        ];
        let shared = shared.iter().map(|text| text.len() as u64).sum::<u64>();
        own + if is_there { 0 } else { shared }
    }

    /// Makes room for one more copy of a member: the oldest goes.
    fn make_room(&mut self, member: u64) -> Result<(), LedgerError> {
        let most = u64::from(self.policy.settings.away_per_member);
        let pending = self.pending.get(&member).map_or(0, Vec::len) as u64;
        if self.reader()?.count_kept_of(member)? + pending < most {
            return Ok(());
        }
        let limit = most as usize + self.ended.len() + 1;
        let mut kept = self.reader()?.kept_of(member, limit)?;
        kept.retain(|kept| !self.ended.contains(&kept.id));
        // Some of those that wait may be in the ledger already.
        let is_new = |copy: &&(u64, u32)| {
            let mut kept = kept.iter();
            !kept.any(|kept| (kept.message, kept.recipient) == **copy)
        };
        let pending = self.pending.get(&member).into_iter().flatten();
        let pending = pending.filter(is_new).count() as u64;
        let too_many = (kept.len() as u64 + pending + 1).saturating_sub(most);
        kept.retain(|kept| !self.is_under_way(kept));
        for kept in kept.into_iter().take(too_many as usize) {
            self.end_unsent(&kept, Why::PushedOut)?;
        }
        Ok(())
    }

    fn is_under_way(&self, kept: &Kept) -> bool {
        let delivery = self.deliveries.get(&kept.address_hash);
        delivery.is_some_and(|delivery| delivery.under_way.contains_key(&kept.id))
    }

    fn reader(&mut self) -> Result<&mut SqliteReader, LedgerError> {
        match &mut self.reader {
            Some(reader) => Ok(reader),
            none => Ok(none.insert(self.file.reader()?)),
        }
    }

    /// A copy is not kept any longer.
    fn end(&mut self, kept: i64) {
        self.ended.insert(kept);
        self.unmarked.push(kept);
        self.writer.end(kept);
    }

    fn end_unsent(&mut self, kept: &Kept, why: Why) -> Result<(), LedgerError> {
        let Some(message) = self.reader()?.kept_message(kept.id)? else {
            self.end_lost(kept);
            return Ok(());
        };
        let what = match why {
            Why::Expired => "has expired",
            Why::PushedOut => "is pushed out by a newer one (away_per_member)",
            Why::Dropped => "is dropped by an administrator",
            Why::GroupDeleted => "is dropped, as the group is deleted",
        };
        let ended = Ended(message);
        log::info!(
            "message {}: the copy that is kept for <{}> of <{}> {what}",
            ended.message(),
            Printable(&kept.address),
            Printable(&ended.0.message.group),
        );
        self.server.counters().add(match why {
            Why::PushedOut => Counter::KeptPushedOut,
            Why::Expired | Why::Dropped | Why::GroupDeleted => Counter::KeptExpired,
        });
        self.end(kept.id);
        self.told.push(ended);
        Ok(())
    }

    /// A copy has no message any more that could be sent or told.
    fn end_lost(&mut self, kept: &Kept) {
        log::error!(
            "ledger: the copy that is kept for <{}> cannot be sent and is dropped: expected its message {} in {}, found \
             none that can be read: somebody has altered it",
            Printable(&kept.address),
            kept.message,
            self.file.path().display()
        );
        self.end(kept.id);
    }

    /// What is to be told of copies that were not sent.
    pub fn take_told(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.told)
    }

    /// The next event that waits no longer. Where its copy is kept, it says so; where the ledger was late, it comes
    /// back by [`Keeping::was_told`].
    pub fn next_held(&mut self) -> Option<(Event<'s>, Option<TooLate>)> {
        let ledger_timeout = self.server.outbox().ledger_timeout();
        let waits = self.held.front()?.waits;
        let is_kept = waits.is_some_and(|waits| self.writer.is_committed(waits.mark));
        if let Some(waits) = waits
            && !is_kept
            && waits.since.elapsed() < ledger_timeout
        {
            return None;
        }
        let Held { mut event, .. } = self.held.pop_front()?;
        let Some(waits) = waits else {
            return Some((event, None));
        };
        self.pending_bytes -= waits.bytes;
        let (message, _) = waits.copy;
        if let Some(count) = self.pending_of.get_mut(&message) {
            *count -= 1;
            if *count == 0 {
                self.pending_of.remove(&message);
            }
        }
        if let Some(pending) = self.pending.get_mut(&waits.member) {
            pending.retain(|&copy| copy != waits.copy);
            if pending.is_empty() {
                self.pending.remove(&waits.member);
            }
        }
        if !is_kept {
            self.complain("the ledger was not written in time (ledger_timeout)");
            return Some((event, Some(TooLate(waits))));
        }
        if let Event::Ended(outcome) = &mut event {
            outcome.is_kept();
        }
        Some((event, None))
    }

    /// Takes an outcome that was told as undelivered, though the ledger may still keep the copy: it is taken out again.
    pub fn was_told(&mut self, event: Event<'s>, TooLate(waits): TooLate) {
        if let Event::Ended(outcome) = event {
            self.late.push(Late {
                outcome,
                mark: waits.mark,
                member: waits.member,
            });
        }
    }

    /// Sees to it that the ledger reads what was written.
    pub fn flush(&mut self) {
        let mark = self.writer.flush();
        if let Some(mark) = mark {
            let unmarked = self.unmarked.drain(..);
            self.ended_by.extend(unmarked.map(|kept| (mark, kept)));
        }
        while let Some(&(mark, kept)) = self.ended_by.front()
            && self.writer.is_committed(mark)
        {
            self.ended.remove(&kept);
            self.ended_by.pop_front();
        }
        if self.late.is_empty() {
            return;
        }
        let writer = &self.writer;
        let is_settled = |late: &mut Late<'_>| writer.is_committed(late.mark);
        let settled: Vec<Late<'_>> = self.late.extract_if(.., is_settled).collect();
        for late in settled {
            let (ledger, recipient) = (late.outcome.ledger(), late.outcome.recipient());
            let found = self
                .reader()
                .and_then(|reader| reader.kept_of(late.member, usize::MAX >> 1));
            let is_it = |kept: &&Kept| kept.message == ledger && kept.recipient == recipient;
            match found {
                Ok(found) => {
                    if let Some(kept) = found.iter().find(is_it) {
                        self.end(kept.id);
                    }
                }
                Err(error) => {
                    self.complain(&error.to_string());
                    self.late.push(late);
                }
            }
        }
    }

    fn expire(&mut self) {
        if self.server.outbox().engine().away().figures().copies == 0 {
            return;
        }
        let now = milliseconds(SystemTime::now());
        let limit = EXPIRED_AT_ONCE + self.ended.len();
        let expired = self.reader().and_then(|reader| reader.expired(now, limit));
        self.end_all(expired, Why::Expired);
    }

    fn drop_all(&mut self, member: u64) {
        let kept = self
            .reader()
            .and_then(|reader| reader.kept_of(member, usize::MAX >> 1));
        self.end_all(kept, Why::Dropped);
    }

    fn end_all(&mut self, found: Result<Vec<Kept>, LedgerError>, why: Why) {
        let ended = found.and_then(|mut found| {
            found.retain(|kept| !self.ended.contains(&kept.id) && !self.is_under_way(kept));
            found.iter().try_for_each(|kept| self.end_unsent(kept, why))
        });
        if let Err(error) = ended {
            self.complain(&error.to_string());
        }
    }

    /// Has more of a member's copies handed over in their turn.
    fn goes_next(&mut self, member: u64) {
        let delivery = self.deliveries.entry(member).or_default();
        if !delivery.is_next {
            delivery.is_next = true;
            self.next.push_back(member);
        }
    }

    /// Hands over the oldest copies of a member who has registered. Says whether there is room for more of others.
    fn hand_over(&mut self, member: u64) -> bool {
        let done = self.hand_over_some(member);
        if let Err(error) = &done {
            self.complain(error);
        }
        let has_room = *done.as_ref().unwrap_or(&true);
        if has_room && let Some(delivery) = self.deliveries.get_mut(&member) {
            delivery.is_next = false;
            // After an error the member's next registration asks for it again.
            let is_over = delivery.is_done || delivery.is_away || done.is_err();
            match (delivery.under_way.is_empty(), is_over) {
                (true, true) => drop(self.deliveries.remove(&member)),
                (true, false) => self.goes_next(member),
                (false, _) => {}
            }
        }
        has_room
    }

    fn hand_over_some(&mut self, member: u64) -> Result<bool, String> {
        let delivery = self.deliveries.entry(member).or_default();
        let under_way = delivery.under_way.len();
        if delivery.is_away {
            return Ok(true);
        }
        let limit = TOGETHER + self.ended.len();
        let mut kept = self
            .reader()
            .and_then(|reader| reader.kept_of(member, limit))
            .map_err(|error| error.to_string())?;
        kept.retain(|kept| !self.ended.contains(&kept.id) && !self.is_under_way(kept));
        kept.truncate(TOGETHER - under_way.min(TOGETHER));
        let is_done = kept.is_empty();
        let now = milliseconds(SystemTime::now());
        for kept in kept {
            if !self.has_room() {
                return Ok(false);
            }
            if kept.expires_at <= now {
                self.end_unsent(&kept, Why::Expired)
                    .map_err(|error| error.to_string())?;
                continue;
            }
            let message = self
                .reader()
                .and_then(|reader| reader.kept_message(kept.id))
                .map_err(|error| error.to_string())?;
            let Some(message) = message else {
                self.end_lost(&kept);
                continue;
            };
            let group = &message.message.group;
            if !self.groups.has_group(group).map_err(|error| error.0)? {
                self.end_unsent(&kept, Why::GroupDeleted)
                    .map_err(|error| error.to_string())?;
                continue;
            }
            match self.send(&message) {
                Ok(number) => {
                    let delivery = self.deliveries.entry(member).or_default();
                    delivery.under_way.insert(kept.id, number);
                    self.under_way += 1;
                }
                Err(NotRestored::Damaged) => {
                    log::error!(
                        "ledger: the copy that is kept for <{}> cannot be sent and is dropped: it has no recipient",
                        Printable(&kept.address)
                    );
                    self.end(kept.id);
                }
                Err(NotRestored::NoMemory | NotRestored::Blocked(_)) => return Ok(false),
            }
        }
        if let Some(delivery) = self.deliveries.get_mut(&member) {
            delivery.is_done = is_done;
        }
        Ok(true)
    }

    /// Whether kept copies may take more of the queue: never so much that new messages find no room.
    fn has_room(&self) -> bool {
        let load = self.server.outbox().engine().load();
        load.memory_used < load.memory_free && self.under_way < self.policy.under_way()
    }

    /// Puts a kept copy into the queue; gives the number of the message that it makes.
    fn send(&self, kept: &KeptMessage) -> Result<u64, NotRestored> {
        let own = kept.recipient.get(0).ok_or(NotRestored::Damaged)?;
        let mut submission = kept.message.submission();
        submission.window = 1;
        let mut headers = Vec::new();
        if !has_date(submission.headers) && !has_date(own.headers) {
            let accepted = SystemTime::UNIX_EPOCH + Duration::from_millis(submission.accepted_at);
            headers.extend_from_slice(submission.headers);
            let date = format!("Date: {}\r\n", httpdate::fmt_http_date(accepted));
            headers.extend_from_slice(date.as_bytes());
            submission.headers = &headers;
        }
        let origin = Origin {
            number: Some(NOT_OF_A_MESSAGE | kept.kept.id.cast_unsigned()),
            ledger: kept.message.id,
            kept: kept.kept.id.cast_unsigned(),
            first: kept.kept.recipient,
        };
        let engine = self.server.outbox().engine();
        let restored = engine.restore(&submission, || std::iter::once(own), origin, None)?;
        restored
            .map(|(number, _)| number)
            .ok_or(NotRestored::Damaged)
    }

    /// A kept copy that was sent has ended; says whether that is to be told.
    fn came_back(&mut self, outcome: &EndedCopy<'_>) -> bool {
        let kept = outcome.kept().cast_signed();
        let Some(member) = self.server.member(outcome.fork().recipient) else {
            return true;
        };
        let stays = match outcome.outcome {
            Outcome::Delivered(_) => {
                self.server.counters().add(Counter::KeptDelivered);
                false
            }
            Outcome::Refused(code) | Outcome::Unreachable(code) => self.policy.keeps(code),
            // Of copies that expire the clock tells.
            Outcome::Skipped(_) | Outcome::Expired | Outcome::Kept(_) => true,
        };
        if !stays {
            self.end(kept);
        }
        let Some(delivery) = self.deliveries.get_mut(&member) else {
            return !stays;
        };
        if delivery.under_way.remove(&kept).is_some() {
            self.under_way -= 1;
        }
        // What has expired on its way says nothing of the member.
        let expires_at = outcome.submission().expires_at;
        let has_expired = outcome.outcome == Outcome::Expired
            && expires_at != 0
            && expires_at <= milliseconds(SystemTime::now());
        if stays && !has_expired && !delivery.is_away {
            delivery.is_away = true;
            let engine = self.server.outbox().engine();
            for &number in delivery.under_way.values() {
                // Told by the log; then it is tried as well.
                let _ = engine.cancel(number);
            }
        }
        let left = delivery.under_way.len();
        if left == 0 && (delivery.asked_again || delivery.is_away) {
            let asked_again = delivery.asked_again;
            let is_next = delivery.is_next;
            *delivery = Delivery {
                is_next,
                ..Delivery::default()
            };
            match asked_again || is_next {
                true => self.goes_next(member),
                false => drop(self.deliveries.remove(&member)),
            }
        } else if left <= TOGETHER / 2 && !delivery.is_away && !delivery.is_done {
            self.goes_next(member);
        } else if left == 0 {
            self.deliveries.remove(&member);
        }
        !stays
    }

    fn complain(&mut self, why: &str) {
        if self
            .complained
            .is_none_or(|last| last.elapsed() >= COMPLAIN)
        {
            self.complained = Some(Instant::now());
            log::error!(
                "copies for members who are away are not kept, or not sent when they register: {why}"
            );
        }
    }
}

/// An outcome that is told as undelivered, as the ledger was late.
#[derive(Clone, Copy, Debug)]
pub struct TooLate(Waits);

/// Whether there is a Date among header fields, each with its CRLF.
fn has_date(headers: &[u8]) -> bool {
    let mut lines = headers.split(|&byte| byte == b'\n');
    lines.any(|line| {
        let name = line.split(|byte| b": \t".contains(byte)).next();
        name.is_some_and(|name| name.eq_ignore_ascii_case(b"Date"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_found_however_it_is_written() {
        for headers in ["Date: x\r\n", "A: b\r\ndate\t:x\r\n", "DATE:x\r\nB: c\r\n"] {
            assert!(has_date(headers.as_bytes()), "{headers:?}");
        }
        for headers in [
            "",
            "Dated: x\r\n",
            "A: Date: x\r\n",
            "Subject: a\r\n Date: b\r\n",
        ] {
            assert!(!has_date(headers.as_bytes()), "{headers:?}");
        }
    }
}
