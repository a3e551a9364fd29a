//! `cimfctl ledger …`.

use crate::failure::Failure;
use crate::json_shapes::{self, Form, JsonList};
use crate::shown_message::{Fate, fates, open_count};
use crate::streams::{confirm, counted, standard};
use cimf::config::{DbUrl, PostgresUrl, Settings};
use cimf::ledger::cluster;
use cimf::ledger::{
    CommitMode, Entry, Ledger, LedgerError, LedgerFile, Listed, Problem, Reader, Shown,
    SqliteReader,
};
use cimf::server::Outbox;
use clap::{Args, Subcommand};
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Show and drop accepted messages that are not finished, and copies kept for members who are away
///
/// Reading is safe while the proxy runs.
#[derive(Args)]
pub struct Options {
    /// The ledger, as in the proxy's parameter ledger [default: ledger.db in the folder of the
    /// database, or the one that nodes share in PostgreSQL]
    #[arg(long, global = true, value_name = "FILE")]
    ledger: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the messages in the ledger
    ///
    /// One line for each message, oldest first, with a tab between: its number, when it was accepted,
    /// originator, group or service, number of recipients, how many of them have no outcome yet, number
    /// of kept copies, bytes of the body; with --db postgres://… also the node that sends it. An originator who asked for anonymity is shown as
    /// "anonymous".
    #[command(
        after_help = "Example, those with kept copies:\n  cimfctl ledger list | awk -F '\t' '$7 > 0'"
    )]
    List {
        #[command(flatten)]
        form: Form,
    },
    /// Show a message and the outcome of each recipient
    ///
    /// One line for each property, its name first: message, log-number (what the proxy's log and $cimf(id)
    /// have for it), accepted, expires, originator, group, body, recipients, open (recipients without an
    /// outcome), kept (copies), then a line "recipient URI" for each, a tab and the outcome.
    #[command(after_help = "Examples:\n  cimfctl ledger show 8589934593\n  cimfctl ledger show 1")]
    Show {
        /// The message's number here or in the proxy's log
        #[arg(value_parser = number)]
        id: u64,
        #[command(flatten)]
        form: Form,
    },
    /// Drop a message with its kept copies
    ///
    /// It is sent to nobody any more, and no outcome is reported. Only while no proxy uses the ledger, or in PostgreSQL while
    /// the node of the message is away.
    #[command(after_help = "Example:\n  cimfctl ledger drop 8589934593")]
    Drop {
        /// The message's number here or in the proxy's log
        #[arg(value_parser = number)]
        id: u64,
    },
}

pub fn run(db: &DbUrl, options: Options) -> Result<(), Failure> {
    if let (None, DbUrl::Postgres(url)) = (&options.ledger, db) {
        return shared(url, options.command);
    }
    let path = options.ledger.unwrap_or_else(|| beside(db));
    // SQLite would parse a name that starts with "file:" as a URI.
    let path = std::path::absolute(&path)
        .map_err(|error| Failure::Unusable(format!("{}: {error}", path.display())))?;
    let open = || SqliteReader::open(&path).map_err(|error| absent(&path, error));
    match options.command {
        Command::List { form } => {
            let messages = open()?.list()?;
            list(messages.iter().map(|message| (message, None)), form)
        }
        Command::Show { id, form } => {
            let mut reader = open()?;
            let id = meant(id, path.display(), reader.list()?.iter())?;
            let shown = reader.show(id)?;
            let shown = shown.ok_or_else(|| missing(path.display(), id))?;
            Ok(show(&shown, form)?)
        }
        Command::Drop { id } => {
            let listed = open()?.list()?;
            drop(&path, meant(id, path.display(), listed.iter())?)
        }
    }
}

fn number(value: &str) -> Result<u64, String> {
    let expected = |_| "expected a number, such as 8589934593 or 1".to_owned();
    value.parse().map_err(expected)
}

/// The ledger that nodes share.
fn shared(url: &PostgresUrl, command: Command) -> Result<(), Failure> {
    match command {
        Command::List { form } => {
            let messages = cluster::list(url)?;
            let messages = messages.iter();
            list(
                messages.map(|(message, node)| (message, Some(node.as_str()))),
                form,
            )
        }
        Command::Show { id, form } => {
            let listed = cluster::list(url)?;
            let id = meant(id, url, listed.iter().map(|(message, _)| message))?;
            let shown = cluster::show(url, id)?;
            Ok(show(&shown.ok_or_else(|| missing(url, id))?, form)?)
        }
        Command::Drop { id } => {
            let listed = cluster::list(url)?;
            let id = meant(id, url, listed.iter().map(|(message, _)| message))?;
            let shown = cluster::show(url, id)?;
            let shown = shown.ok_or_else(|| missing(url, id))?;
            if !cluster::drop_message(url, id)? {
                return Err(Failure::Unusable(format!(
                    "{url}: a node is sending message {id}; tell it to stop (cimf.fanouts and cimf.cancel ID, by RPC or MI of that node, which `cimfctl ledger list` names); nothing was changed"
                )));
            }
            let recipients = counted(shown.recipients.len() as u64, "recipient");
            Ok(confirm(&format!("dropped {id} with {recipients}"))?)
        }
    }
}

/// The number in the ledger of the message that a number stands for: its own, or the one in the proxy's log, which
/// messages of several nodes may share.
fn meant<'a>(
    given: u64,
    ledger: impl fmt::Display,
    listed: impl Iterator<Item = &'a Listed>,
) -> Result<u64, Failure> {
    let numbers = listed.map(|message| message.id);
    let numbers: Vec<u64> = numbers
        .filter(|&id| id == given || Outbox::message_number(id) == given)
        .collect();
    match numbers.as_slice() {
        _ if numbers.contains(&given) => Ok(given),
        [one] => Ok(*one),
        [] => Err(missing(ledger, given)),
        several => {
            let several: Vec<_> = several.iter().map(u64::to_string).collect();
            Err(Failure::Unusable(format!(
                "{ledger}: message {given} of the log may be any of {}; give one of these, see `cimfctl ledger list`",
                several.join(" ")
            )))
        }
    }
}

/// Where the proxy has its ledger unless its parameters say otherwise.
fn beside(db: &DbUrl) -> PathBuf {
    let mut settings = Settings::new();
    settings.db_url = db.clone();
    settings.ledger()
}

/// Lists messages, each with the node that sends it if nodes share the ledger.
fn list<'a>(
    messages: impl IntoIterator<Item = (&'a Listed, Option<&'a str>)>,
    form: Form,
) -> Result<(), Failure> {
    let mut out = standard();
    if form.json {
        let mut list = JsonList::start(out)?;
        for (message, node) in messages {
            list.add(&json_shapes::listed(message, node))?;
        }
        return Ok(list.end()?);
    }
    for (message, node) in messages {
        let node = node.map(|node| format!("\t{node}")).unwrap_or_default();
        writeln!(out, "{}{node}", line(message))?;
    }
    Ok(out.flush()?)
}

fn line(message: &Listed) -> String {
    format!(
        "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
        message.id,
        date(message.accepted_at),
        message.originator.escape_ascii(),
        message.group.escape_ascii(),
        message.recipients,
        message.open,
        message.kept,
        message.body_bytes
    )
}

fn show(shown: &Shown, form: Form) -> io::Result<()> {
    if form.json {
        return json_shapes::print(&json_shapes::shown(shown));
    }
    let message = &shown.message;
    let expires = match message.expires_at {
        0 => "never".to_owned(),
        time => date(time),
    };
    let mut out = standard();
    writeln!(out, "message {}", message.id)?;
    writeln!(out, "log-number {}", Outbox::message_number(message.id))?;
    writeln!(out, "accepted {}", date(message.accepted_at))?;
    writeln!(out, "expires {expires}")?;
    writeln!(out, "originator {}", message.originator.escape_ascii())?;
    writeln!(out, "group {}", message.group.escape_ascii())?;
    writeln!(out, "body {} bytes", message.body.len())?;
    writeln!(out, "recipients {}", shown.recipients.len())?;
    writeln!(out, "open {}", open_count(shown))?;
    writeln!(out, "kept {}", shown.kept.len())?;
    fates(shown, |address, fate| {
        let became = match fate {
            Fate::Kept(kept) => format!("kept until {} ({})", date(kept.expires_at), kept.code),
            Fate::Outcome(outcome) => outcome.to_string(),
            Fate::Open => "no outcome yet".to_owned(),
            Fate::Ended => "ended".to_owned(),
        };
        writeln!(out, "recipient {}\t{became}", address.escape_ascii())
    })?;
    out.flush()
}

fn drop(path: &Path, id: u64) -> Result<(), Failure> {
    let file = LedgerFile::open_existing(path).map_err(|error| in_use(path, error))?;
    let shown = file.reader()?.show(id)?;
    let shown = shown.ok_or_else(|| missing(path.display(), id))?;
    file.writer()?
        .commit(&[Entry::Withdrawn { id }], CommitMode::Synced)?;
    let recipients = counted(shown.recipients.len() as u64, "recipient");
    let kept = match shown.kept.len() {
        1 => "1 kept copy".to_owned(),
        count => format!("{count} kept copies"),
    };
    Ok(confirm(&format!(
        "dropped {id} with {recipients} and {kept}"
    ))?)
}

fn absent(path: &Path, error: LedgerError) -> Failure {
    if error.problem != Problem::Missing {
        return error.into();
    }
    Failure::Unusable(format!(
        "{}: there is no such file; the proxy makes it with durability=journal or away=keep, and if its parameter ledger names another one, give that with --ledger FILE",
        path.display()
    ))
}

fn in_use(path: &Path, error: LedgerError) -> Failure {
    if error.problem != Problem::InUse {
        return error.into();
    }
    Failure::Unusable(format!(
        "{}: a proxy is using it; tell the proxy to drop the copies kept for an address (cimf.kept_drop ADDRESS, by RPC or MI), or stop it first; nothing was changed",
        path.display()
    ))
}

fn missing(ledger: impl fmt::Display, id: u64) -> Failure {
    Failure::Unusable(format!(
        "{ledger}: there is no message {id}; see `cimfctl ledger list`"
    ))
}

fn date(milliseconds: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds));
    // httpdate supports years up to 9999.
    let latest = Duration::from_secs(253_402_300_799);
    let time = time.filter(|&time| time <= UNIX_EPOCH + latest);
    time.map_or_else(
        || format!("{milliseconds} ms after 1970"),
        httpdate::fmt_http_date,
    )
}
