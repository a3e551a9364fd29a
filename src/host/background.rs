//! The outcome reporter, which runs in a process of its own, the same in every proxy: periodic work,
//! and reporting of outcomes to the log, event routes and the ledger.
//!
//! Slow work belongs here and not where a response arrives: in Kamailio that may be the process that
//! runs all timers.

#![forbid(unsafe_code)]

use super::away::{Away, EndedUnsent, Reporting};
use super::failures::Failures;
use super::proxy::Sender;
use super::sending::pump;
use crate::control::Fork;
use crate::fanout::{EndedCopy, Event, Finished, Outcome, OwnProcess, Tally};
use crate::server::{Outbox, OutcomeWriter, Server};
use crate::sip::text::Printable;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often it looks for copies that have become silent; also the longest wait for an event.
pub const LOOK: Duration = Duration::from_millis(100);

/// The interval between log lines about the same parameter that makes members wait behind silent ones.
const HELD_UP: Duration = Duration::from_secs(60);

/// The interval of periodic work, and the longest time for events in one round.
const TICK: Duration = Duration::from_millis(500);

/// How long it lets events gather, so that a thousand outcomes do not cause a thousand rounds.
const REST: Duration = Duration::from_millis(20);

/// The most recipients named in the log line of a finished message.
const NAMED: usize = 20;

/// The kind of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A copy was answered 2xx.
    Delivered,
    /// The copy ended without being delivered.
    Undelivered,
    /// A recipient is away, and the copy is kept.
    Kept,
    /// A kept copy ended without being delivered.
    Expired,
    /// The last recipient of a message has an outcome.
    Finished,
}

/// A report about one recipient, or about a whole message.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    /// Its kind.
    pub kind: Kind,
    /// The number of the message.
    pub message: u64,
    source: Source<'a>,
}

/// What a report is about.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// A copy in the queue.
    Ended(&'a EndedCopy<'a>),
    /// A kept copy, from the ledger.
    Kept(&'a EndedUnsent),
    /// A whole message.
    Finished(&'a Finished<'a>),
}

impl<'a> Report<'a> {
    /// The outcome of the recipient.
    pub fn outcome(&self) -> Option<Outcome> {
        match self.source {
            Source::Ended(outcome) => Some(outcome.outcome),
            Source::Kept(ended) => Some(Outcome::Kept(ended.0.kept.code)),
            Source::Finished(_) => None,
        }
    }

    /// The address of the group or service.
    pub fn group(&self) -> &'a [u8] {
        match self.source {
            Source::Ended(outcome) => outcome.group(),
            Source::Kept(ended) => &ended.0.message.group,
            Source::Finished(finished) => finished.group(),
        }
    }

    /// The originator's address.
    pub fn originator(&self) -> &'a [u8] {
        match self.source {
            // The ledger does not know an originator who asked for anonymity.
            Source::Ended(outcome) if outcome.kept() != 0 && outcome.submission().anonymous => {
                b"anonymous"
            }
            Source::Ended(outcome) => outcome.originator(),
            Source::Kept(ended) => ended.0.message.originator_shown(),
            Source::Finished(finished) => finished.originator(),
        }
    }

    /// The copy as it was sent, or would have been; composed on demand.
    pub fn fork(&self) -> Option<Fork<'a>> {
        match self.source {
            Source::Ended(outcome) => Some(outcome.fork()),
            Source::Kept(ended) => ended.fork(),
            Source::Finished(_) => None,
        }
    }
}

/// The state of the outcome reporter between two rounds.
pub struct OutcomeReporter<'s> {
    server: &'s Server,
    /// The writer of outcomes for the ledger, if there is one.
    ledger: Option<OutcomeWriter<'s>>,
    /// Members who are away; `None` unless `away=keep`.
    away: Option<Away<'s>>,
    ticked: Option<Instant>,
    looked: Option<Instant>,
    /// When [`Self::look_for_silent`] last logged a parameter, by its name.
    held_up_logged: HashMap<&'static str, Instant>,
    failures: Failures,
}

impl<'s> OutcomeReporter<'s> {
    /// For the one process that reports outcomes, after it was forked.
    pub fn new(server: &'s Server) -> Self {
        let outbox = server.outbox();
        Self {
            server,
            ledger: outbox
                .has_ledger()
                .then(|| OutcomeWriter::new(outbox.engine())),
            away: Away::new(server),
            ticked: None,
            looked: None,
            held_up_logged: HashMap::new(),
            failures: Failures::new(Instant::now()),
        }
    }

    /// One round: periodic work, copies that may be sent, and events for half a second at most. Returns
    /// whether there are more events; if not, the caller waits.
    pub fn round(&mut self, sender: &mut impl Sender, mut run: impl FnMut(&Report<'_>)) -> bool {
        let engine = self.server.outbox().engine();
        if self.ticked.is_none_or(|ticked| ticked.elapsed() >= TICK) {
            self.ticked = Some(Instant::now());
            self.tick();
        }
        if let Some(away) = &mut self.away {
            away.round();
        }
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.looked = Some(Instant::now());
            self.look_for_silent();
        }
        pump(self.server, sender);
        // Logs the omitted recipients even if no other one fails.
        self.end_second();
        let started = Instant::now();
        // A slow event route must not delay periodic work and sending.
        while started.elapsed() < TICK && !self.away.as_ref().is_some_and(Away::is_full) {
            let Some(event) = engine.next_event() else {
                break;
            };
            if self.is_let_go(&event) {
                // The node that sends it now reports what becomes of it.
                continue;
            }
            let reporting = match &mut self.away {
                Some(away) => away.event(event),
                None => Reporting::Now(event),
            };
            if let Reporting::Now(event) = reporting {
                self.report(&event, &mut run);
            }
        }
        let is_late = started.elapsed() >= TICK;
        self.report_kept(&mut run);
        if let Some(ledger) = &mut self.ledger {
            ledger.flush();
        }
        is_late || self.away.as_ref().is_some_and(Away::has_more)
    }

    /// Reports what has waited for the ledger, and kept copies that ended unsent.
    fn report_kept(&mut self, run: &mut impl FnMut(&Report<'_>)) {
        while let Some((event, late)) = self.away.as_mut().and_then(Away::next_ready) {
            self.report(&event, run);
            if let (Some(late), Some(away)) = (late, &mut self.away) {
                away.late_reported(event, late);
            }
        }
        let Some(away) = &mut self.away else { return };
        away.flush();
        for ended in away.take_unsent() {
            run(&Report {
                kind: Kind::Expired,
                message: ended.message(),
                source: Source::Kept(&ended),
            });
        }
    }

    fn report(&mut self, event: &Event<'_>, run: &mut impl FnMut(&Report<'_>)) {
        match event {
            Event::Ended(outcome) => {
                // Kept copies and their outcomes are in the ledger already.
                let is_known = outcome.kept() != 0 || matches!(outcome.outcome, Outcome::Kept(_));
                if let Some(ledger) = &mut self.ledger
                    && self.server.outbox().is_durable()
                    && !is_known
                {
                    ledger.outcome(outcome.ledger(), outcome.recipient(), outcome.outcome);
                }
                let report = report_of_outcome(outcome);
                self.log(&report);
                run(&report);
            }
            Event::Finished(finished) => {
                if let Some(ledger) = &mut self.ledger
                    && finished.ledger() != 0
                {
                    ledger.finished(finished.ledger());
                }
                let engine = self.server.outbox().engine();
                let taken = engine.now().saturating_sub(finished.accepted_at());
                self.server.decider().counters().add_finished(taken);
                log_end(finished);
                run(&Report {
                    kind: Kind::Finished,
                    message: finished.message(),
                    source: Source::Finished(finished),
                });
            }
        }
    }

    /// Whether an event is about a message that another node has taken over: it is in this node's ledger no more.
    fn is_let_go(&self, event: &Event<'_>) -> bool {
        let ledger = match event {
            Event::Ended(outcome) => outcome.ledger(),
            Event::Finished(finished) => finished.ledger(),
        };
        ledger == 0 && self.server.outbox().cluster().is_some()
    }

    /// Waits for an event or periodic work, and lets events gather.
    pub fn wait(&self) {
        self.server.outbox().engine().wait(LOOK);
        std::thread::sleep(REST);
    }

    /// Lets events gather, if the proxy has done the waiting.
    pub fn gather(&self) {
        self.server.outbox().engine().wait(Duration::ZERO);
        std::thread::sleep(REST);
    }

    /// Wakes the proxy at once, if a round has left events.
    pub fn call_again(&self) {
        self.server.outbox().engine().call_again();
    }

    fn tick(&self) {
        let counters = self.server.decider().counters();
        counters.note_processor_time(OwnProcess::Outcomes);
        let engine = self.server.outbox().engine();
        engine.tick(engine.now());
    }

    /// Lets messages overtake silent copies; logs once a minute which parameter makes members wait.
    fn look_for_silent(&mut self) {
        let engine = self.server.outbox().engine();
        let Some(held_up) = engine.look_for_silent(engine.now()) else {
            return;
        };
        let parameter = held_up.bound.parameter();
        let logged = self.held_up_logged.get(parameter);
        if logged.is_none_or(|logged| logged.elapsed() >= HELD_UP) {
            self.held_up_logged.insert(parameter, Instant::now());
            log::warn!("{held_up}");
        }
    }

    /// Logs how many recipients were omitted, once a second is over.
    fn end_second(&mut self) {
        if let Some(left_out) = self.failures.end_second(Instant::now()) {
            log::info!("{left_out} more recipients did not receive their message");
        }
    }

    /// Logs a line for each failed recipient, within the limits of [`Failures`].
    fn log(&mut self, report: &Report<'_>) {
        let Some(ending) = report
            .outcome()
            .filter(|_| report.kind == Kind::Undelivered)
        else {
            return;
        };
        self.end_second();
        if self.failures.has_room(ending) {
            let recipient = report.fork().map_or(&b""[..], |fork| fork.recipient);
            let message = report.message;
            let (recipient, group) = (Printable(recipient), Printable(report.group()));
            log::info!(
                "message {message}: <{recipient}> of <{group}> did not receive it: {ending}"
            );
        }
    }
}

fn report_of_outcome<'o>(outcome: &'o EndedCopy<'o>) -> Report<'o> {
    Report {
        kind: match outcome.outcome {
            Outcome::Delivered(_) => Kind::Delivered,
            Outcome::Kept(_) => Kind::Kept,
            _ => Kind::Undelivered,
        },
        // A kept copy is reported with the original number of its message.
        message: match outcome.kept() {
            0 => outcome.message(),
            _ => Outbox::message_number(outcome.ledger()),
        },
        source: Source::Ended(outcome),
    }
}

/// Logs one line for each finished message: the number of recipients by outcome, and those to whom it
/// was not delivered. They are named here whatever was omitted before, those first to whom nothing was
/// sent.
fn log_end(finished: &Finished<'_>) {
    let Tally {
        delivered,
        refused,
        unreachable,
        expired,
        skipped,
        kept,
    } = finished.tally();
    log::info!(
        "message {} to <{}> is finished: delivered={delivered} refused={refused} \
         unreachable={unreachable} expired={expired} skipped={skipped}{}{}",
        finished.message(),
        Printable(finished.group()),
        match kept {
            0 => String::new(),
            kept => format!(" kept={kept}"),
        },
        names(finished),
    );
}

/// `; skipped: <a> <b>; refused: <c>; and 5 more`, or empty if the message was delivered to everybody.
fn names(finished: &Finished<'_>) -> String {
    let tally = finished.tally();
    let undelivered = (tally.ended() - tally.delivered - tally.kept) as usize;
    let mut text = String::new();
    let mut last = "";
    for (ending, address) in finished.undelivered(NAMED) {
        let kind = ending.kind();
        if kind != last {
            text += &format!("; {kind}:");
            last = kind;
        }
        text += &format!(" <{}>", Printable(address));
    }
    if undelivered > NAMED {
        text += &format!("; and {} more", undelivered - NAMED);
    }
    text
}

/// The copy as a complete request, for a proxy that parses it: with a Via, which every request needs.
pub fn request(fork: &Fork<'_>, server_name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024 + fork.body().len());
    let call_id = fork.call_id;
    let pieces: [&[u8]; 7] = [
        b"MESSAGE ",
        fork.recipient,
        b" SIP/2.0\r\nVia: SIP/2.0/UDP ",
        server_name.as_bytes(),
        b";branch=z9hG4bK-",
        call_id.as_bytes(),
        b"\r\n",
    ];
    for piece in pieces {
        bytes.extend_from_slice(piece);
    }
    fork.write_headers(&mut bytes);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&fork.body());
    bytes
}
