//! Figures and lists of messages in progress for administrators, the same in every proxy.

#![forbid(unsafe_code)]

use crate::config::{Durability, Settings};
use crate::control::{RefusalReason, Row};
use crate::fanout::Committed;
use crate::fanout::{Counter, Fanout, KeptFigures, Load, OwnProcess, UnderWay};
use crate::server::{RefusedBy, Server};
use crate::sip::text::Printable;
use std::fmt::Write;

/// The seconds since a message was accepted.
pub fn age(server: &Server, fanout: &Fanout) -> u64 {
    let now = server.outbox().engine().now();
    now.saturating_sub(fanout.accepted_at) / 1000
}

/// The number of recipients of a message in each state, by the name of the state.
pub fn states(fanout: &Fanout) -> [(&'static str, u64); 9] {
    let tally = fanout.tally;
    let waiting = fanout.recipients - tally.ended() - fanout.in_flight;
    [
        ("recipients", u64::from(fanout.recipients)),
        ("in_flight", u64::from(fanout.in_flight)),
        ("silent", u64::from(fanout.silent)),
        ("waiting", u64::from(waiting)),
        ("delivered", u64::from(tally.delivered)),
        (
            "failed",
            u64::from(tally.refused) + u64::from(tally.unreachable),
        ),
        ("expired", u64::from(tally.expired)),
        ("skipped", u64::from(tally.skipped)),
        ("kept", u64::from(tally.kept)),
    ]
}

/// A statistic.
#[derive(Clone, Copy, Debug)]
pub enum Figure {
    /// A count since the start.
    Count(Counter),
    /// The number of messages refused for a reason.
    Refused(RefusedBy),
    /// A current value.
    Now(Reading),
    /// A figure of copies kept for members who are away.
    Kept(KeptReading),
    /// A figure of the ledger; 0 if there is none.
    Ledger(LedgerReading),
    /// The seconds since the 202 of the oldest message on its way; 0 if there is none.
    Oldest,
    /// The milliseconds of the processors' time that a process of the module has taken.
    ProcessorTime(OwnProcess),
    /// A parameter that limits another figure.
    Limit(Limit),
    /// The age of the replica in seconds; 0 if there is none.
    GroupsAge,
    /// The seconds for which this node may send; 0 if it needs no lease.
    Lease,
}

/// Reads a figure of the queue.
type Reading = fn(&Load) -> u64;

/// Reads a figure of kept copies.
type KeptReading = fn(KeptFigures) -> u64;

/// Reads a limit.
type Limit = fn(&Settings) -> u64;

/// Limits: name, description, reader.
const LIMITS: [(&str, &str, Limit); 4] = [
    (
        "limit_queue_messages",
        "the limit of messages (queue_messages)",
        |settings| settings.queue_messages.into(),
    ),
    (
        "limit_queue_memory",
        "the limit of memory_used in bytes (queue_memory)",
        |settings| u64::from(settings.queue_memory) << 20,
    ),
    (
        "limit_forks_in_flight",
        "the limit of in_flight (forks_in_flight)",
        |settings| settings.forks_in_flight.into(),
    ),
    (
        "limit_away_bytes",
        "the limit of kept_bytes (away_bytes)",
        |settings| settings.away_bytes,
    ),
];

/// Processes of the module: name of the figure, description.
const PROCESSES: [(OwnProcess, &str, &str); 5] = [
    (
        OwnProcess::Outcomes,
        "cpu_ms_outcomes",
        "milliseconds of the processors' time that the process cimf has taken",
    ),
    (
        OwnProcess::Ledger,
        "cpu_ms_ledger",
        "the same of the process cimf ledger; 0 without a ledger",
    ),
    (
        OwnProcess::Names,
        "cpu_ms_names",
        "the same of the process cimf names",
    ),
    (
        OwnProcess::Replica,
        "cpu_ms_replica",
        "the same of the process cimf replica; 0 without PostgreSQL",
    ),
    (
        OwnProcess::Groups,
        "cpu_ms_groups",
        "the same of the process cimf groups",
    ),
];

/// Figures of kept copies: name, description, reader.
const KEPT: [(&str, &str, KeptReading); 2] = [
    (
        "kept",
        "copies that are kept for members who are away",
        |figures| figures.copies,
    ),
    (
        "kept_bytes",
        "bytes of them in the ledger, each message once",
        |figures| figures.bytes,
    ),
];

/// Reads a figure of the ledger.
type LedgerReading = fn(&Committed) -> u64;

/// Figures of the ledger: name, description, reader.
const LEDGER: [(&str, &str, LedgerReading); 4] = [
    (
        "ledger_stored",
        "messages brought to the disk before their 202",
        |committed| committed.stored,
    ),
    (
        "ledger_commits",
        "commits to the ledger, each for all that waited",
        |committed| committed.commits,
    ),
    ("ledger_bytes", "bytes of the ledger's files", |committed| {
        committed.bytes
    }),
    (
        "ledger_unfinished",
        "messages in the ledger that are not finished",
        |committed| committed.unfinished,
    ),
];

/// Figures of the queue: name, description, reader.
const NOW: [(&str, &str, Reading); 10] = [
    ("messages", "messages on their way", |load| load.messages),
    ("waiting", "recipients that have not ended", |load| {
        load.waiting
    }),
    ("in_flight", "forks without a final response", |load| {
        load.in_flight
    }),
    (
        "silent",
        "forks in flight without a final response for longer than patience",
        |load| load.silent,
    ),
    (
        "transactions",
        "transactions of forks that tm keeps in memory",
        |load| load.transactions,
    ),
    (
        "names_asked",
        "names of next hops that are being asked",
        |load| load.names_asked,
    ),
    (
        "waiting_for_names",
        "recipients that wait for the name of their next hop",
        |load| load.waiting_for_names,
    ),
    ("memory_used", "bytes of queue_memory in use", |load| {
        load.memory_used
    }),
    (
        "proxy_memory_free",
        "free bytes of the proxy's shared memory; 0 with memory_reserve=0",
        |load| load.proxy_memory_free,
    ),
    (
        "proxy_memory_reserve",
        "bytes of it that copies leave to the proxy itself",
        |load| load.proxy_memory_reserve,
    ),
];

/// All figures with their names and descriptions.
pub fn figures() -> impl Iterator<Item = (Figure, String, String)> {
    let one = |figure, name: &str, text: &str| (figure, name.to_owned(), text.to_owned());
    let counts = Counter::ALL.into_iter();
    let counts = counts.map(move |(counter, name, text)| one(Figure::Count(counter), name, text));
    let refused = RefusedBy::all().map(|reason| {
        let Row { code, warning, .. } = reason.row();
        let text = format!("messages refused with {code}: {warning}");
        (Figure::Refused(reason), refused_name(reason), text)
    });
    let now = NOW.into_iter();
    let now = now.map(move |(name, text, read)| one(Figure::Now(read), name, text));
    let kept = KEPT.into_iter();
    let kept = kept.map(move |(name, text, read)| one(Figure::Kept(read), name, text));
    let ledger = LEDGER.into_iter();
    let ledger = ledger.map(move |(name, text, read)| one(Figure::Ledger(read), name, text));
    let limits = LIMITS.into_iter();
    let limits = limits.map(move |(name, text, read)| one(Figure::Limit(read), name, text));
    let processes = PROCESSES.into_iter();
    let processes =
        processes.map(move |(process, name, text)| one(Figure::ProcessorTime(process), name, text));
    let others = [
        one(
            Figure::Oldest,
            "oldest",
            "seconds since the 202 of the oldest message on its way",
        ),
        one(
            Figure::GroupsAge,
            "groups_age",
            "seconds since the replica of the groups was what PostgreSQL has; 0 without one",
        ),
        one(
            Figure::Lease,
            "lease",
            "seconds for which this node may send if it cannot renew its lease; 0 without durability=cluster",
        ),
    ];
    let all = counts.chain(refused).chain(now).chain(kept).chain(ledger);
    all.chain(others).chain(limits).chain(processes)
}

/// `refused_unknown_group` for `UnknownGroup`.
fn refused_name(reason: RefusedBy) -> String {
    let mut name = "refused".to_owned();
    for letter in reason.row().name.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

impl Figure {
    /// The current value.
    pub fn read(self, server: &Server) -> u64 {
        match self {
            Self::Count(counter) => server.decider().counters().get(counter),
            Self::Refused(reason) => server.decider().counters().refused(reason.number()),
            Self::Now(read) => read(&server.outbox().engine().load()),
            Self::Kept(read) => read(server.outbox().engine().away().figures()),
            Self::Ledger(read) => server.outbox().committed().map_or(0, |done| read(&done)),
            Self::Oldest => {
                let oldest = server.decider().counters().oldest();
                let now = server.outbox().engine().now();
                oldest.map_or(0, |oldest| now.saturating_sub(oldest) / 1000)
            }
            Self::ProcessorTime(process) => server.decider().counters().processor_time(process),
            Self::Limit(read) => read(&server.decider().policy().settings),
            Self::GroupsAge => groups_age(server),
            Self::Lease => {
                let left = server.outbox().engine().node().left();
                left.map_or(0, |left| left.as_millis().div_ceil(1000) as u64)
            }
        }
    }
}

/// The age of the replica in seconds; 0 without one.
fn groups_age(server: &Server) -> u64 {
    let age = server.decider().groups_age().get();
    age.map_or(0, |age| age.as_secs())
}

/// The most messages, and the most recipients of each, that a stop names: it must neither take long nor
/// fill the disk.
const NAMED_MESSAGES: usize = 20;
const NAMED_RECIPIENTS: usize = 20;

/// Recipients per line: proxies truncate log lines at about a thousand bytes.
const NAMES_A_LINE: usize = 8;

/// Logs what a stop leaves unfinished: messages and their recipients without an outcome, a limited
/// number at level `warning`, all at `debug`. Outcomes that are not in the ledger yet are written to
/// it, if there is one.
pub fn log_unfinished(server: &Server) {
    if let Err(error) = server.keep_outcomes() {
        log::error!(
            "ledger: {error}; recipients that have received a message may receive it again"
        );
    }
    let [one, several] = future(server);
    let under_way = match server.outbox().engine().under_way() {
        Ok(under_way) => under_way,
        Err(blocked) => {
            log::error!("{blocked}; unfinished messages cannot be listed");
            return;
        }
    };
    let mut messages = 0;
    let mut recipients = 0;
    for message in &under_way {
        let left = message.remaining();
        // A kept copy being sent remains in the ledger.
        if left.is_empty() || message.kept() != 0 {
            continue;
        }
        messages += 1;
        let named = match messages <= NAMED_MESSAGES {
            true => left.len().min(NAMED_RECIPIENTS),
            false => 0,
        };
        if messages > NAMED_MESSAGES {
            recipients += left.len();
        }
        log_names(message, &left, named, one);
    }
    let more = messages.saturating_sub(NAMED_MESSAGES);
    if more > 0 {
        log::warn!(
            "{more} more messages with {recipients} recipients are not finished and {several}; a stop with the log at \
             debug level names them all"
        );
    }
}

/// What becomes of a message that a stop leaves, and of several.
fn future(server: &Server) -> [&'static str; 2] {
    match server.decider().policy().settings.durability {
        Durability::None => ["is lost (durability=none)", "are lost (durability=none)"],
        Durability::Journal => [
            "is resumed at the next start",
            "are resumed at the next start",
        ],
        Durability::Cluster => ["goes on at another node", "go on at other nodes"],
    }
}

/// Logs the first recipients of a message as warnings, with the number of the others, which are named
/// at level `debug`.
fn log_names(message: &UnderWay<'_>, left: &[&[u8]], named: usize, what: &str) {
    let (number, group) = (message.number(), Printable(message.group()));
    let line = |names: &[&[u8]]| {
        let names = names.iter().map(|uri| format!("<{}>", Printable(uri)));
        let names = names.collect::<Vec<_>>().join(" ");
        format!(
            "message {number} to <{group}> is not finished and {what}; without outcome: {names}"
        )
    };
    let (named, others) = left.split_at(named);
    let mut lines = named.chunks(NAMES_A_LINE).map(line).collect::<Vec<_>>();
    if let Some(last) = lines.last_mut().filter(|_| !others.is_empty()) {
        let _ = write!(
            last,
            " and {} more recipients; a stop with the log at debug level names them all",
            others.len()
        );
    }
    for line in lines {
        log::warn!("{line}");
    }
    if log::log_enabled!(log::Level::Debug) {
        for names in others.chunks(NAMES_A_LINE) {
            log::debug!("{}", line(names));
        }
    }
}
