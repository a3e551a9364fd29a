//! `cimfctl ledger …`.

use crate::failure::Failure;
use crate::streams::{counted, say, standard};
use cimf::config::{DbUrl, PostgresUrl, Settings};
use cimf::fanout::Outcome;
use cimf::ledger::cluster;
use cimf::ledger::{
    CommitMode, Entry, Kept, Ledger, LedgerError, LedgerFile, Listed, Problem, Reader, Shown,
    SqliteReader,
};
use clap::{Args, Subcommand};
use std::collections::HashMap;
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
    List,
    /// Show a message and the outcome of each recipient
    ///
    /// One line for each property, its name first: message, accepted, expires, originator, group, body,
    /// recipients, open (recipients without an outcome), kept (copies), then a line "recipient URI" for
    /// each, a tab and the outcome.
    #[command(after_help = "Example:\n  cimfctl ledger show 8589934593")]
    Show {
        /// The message's number
        id: u64,
    },
    /// Drop a message with its kept copies
    ///
    /// It is sent to nobody any more, and no outcome is reported. Only while no proxy uses the ledger, or in PostgreSQL while
    /// the node of the message is away.
    #[command(after_help = "Example:\n  cimfctl ledger drop 8589934593")]
    Drop {
        /// The message's number
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
    match options.command {
        Command::List => list(&path),
        Command::Show { id } => {
            let shown = SqliteReader::open(&path)?.show(id)?;
            Ok(show(&shown.ok_or_else(|| missing(path.display(), id))?)?)
        }
        Command::Drop { id } => drop(&path, id),
    }
}

/// The ledger that nodes share.
fn shared(url: &PostgresUrl, command: Command) -> Result<(), Failure> {
    match command {
        Command::List => {
            let mut out = standard();
            for (message, node) in cluster::list(url)? {
                writeln!(out, "{}\t{node}", line(&message))?;
            }
            Ok(out.flush()?)
        }
        Command::Show { id } => {
            let shown = cluster::show(url, id)?;
            Ok(show(&shown.ok_or_else(|| missing(url, id))?)?)
        }
        Command::Drop { id } => {
            let shown = cluster::show(url, id)?;
            let shown = shown.ok_or_else(|| missing(url, id))?;
            if !cluster::drop_message(url, id)? {
                return Err(Failure::Unusable(format!(
                    "{url}: a node is sending message {id}; tell it to stop (cimf.fanouts and cimf.cancel ID, by RPC or MI of that node, which `cimfctl ledger list` names); nothing was changed"
                )));
            }
            let recipients = counted(shown.recipients.len() as u64, "recipient");
            Ok(say(&format!("dropped {id} with {recipients}"))?)
        }
    }
}

/// Where the proxy has its ledger unless its parameters say otherwise.
fn beside(db: &DbUrl) -> PathBuf {
    let mut settings = Settings::new();
    settings.db_url = db.clone();
    settings.ledger()
}

fn list(path: &Path) -> Result<(), Failure> {
    let messages = SqliteReader::open(path)?.list()?;
    let mut out = standard();
    for message in messages {
        writeln!(out, "{}", line(&message))?;
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

fn show(shown: &Shown) -> io::Result<()> {
    let Shown {
        message,
        recipients,
        outcomes,
        kept,
    } = shown;
    let expires = match message.expires_at {
        0 => "never".to_owned(),
        time => date(time),
    };
    let kept: HashMap<u32, &Kept> = kept.iter().map(|kept| (kept.recipient, kept)).collect();
    let outcomes: HashMap<u32, _> = outcomes
        .iter()
        .map(|outcome| (outcome.recipient, outcome))
        .collect();
    let is_open = message.promised && message.finished_at.is_none();
    let open = recipients.len().saturating_sub(outcomes.len());
    let mut out = standard();
    writeln!(out, "message {}", message.id)?;
    writeln!(out, "accepted {}", date(message.accepted_at))?;
    writeln!(out, "expires {expires}")?;
    writeln!(out, "originator {}", message.originator.escape_ascii())?;
    writeln!(out, "group {}", message.group.escape_ascii())?;
    writeln!(out, "body {} bytes", message.body.len())?;
    writeln!(out, "recipients {}", recipients.len())?;
    writeln!(out, "open {}", if is_open { open } else { 0 })?;
    writeln!(out, "kept {}", kept.len())?;
    for (number, recipient) in (0..).zip(recipients.iter()) {
        let ending = outcomes
            .get(&number)
            .and_then(|outcome| Outcome::from_bytes(outcome.outcome, outcome.code));
        let became = match (kept.get(&number), ending) {
            (Some(kept), _) => format!("kept until {} ({})", date(kept.expires_at), kept.code),
            (None, Some(ending)) => ending.to_string(),
            (None, None) if is_open => "no outcome yet".to_owned(),
            (None, None) => "ended".to_owned(),
        };
        let address = recipient.address.escape_ascii();
        writeln!(out, "recipient {address}\t{became}")?;
    }
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
    Ok(say(&format!("dropped {id} with {recipients} and {kept}"))?)
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
