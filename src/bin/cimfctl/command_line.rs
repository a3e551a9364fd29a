//! The command line: its options and commands, as clap reads and explains them.

#![forbid(unsafe_code)]

use crate::json_shapes::Form;
use crate::{check, explain, export, group, import, ledger, member, service};
use cimf::config::{PARAMETERS, Settings};
use clap::{Parser, Subcommand};

/// Manages the groups and services of the Controlling IM Function.
///
/// The proxy sees every change at the next message; nothing needs a restart or a reload. Each command
/// takes effect completely or not at all. Exit status: 0 done, 1 refused or failed (the reason is on
/// standard error and nothing was changed), 2 the command line is wrong.
#[derive(Parser)]
#[command(
    name = "cimfctl",
    version,
    after_help = "Example, on a fresh machine whose proxy runs as the user kamailio:
  install -d -o kamailio -g kamailio -m 0750 /var/lib/cimf
  cimfctl init
  cimfctl group add sip:hikers@im.home1.net sip:ann@home1.net sip:bob@home1.net tel:+15551230003
  cimfctl group show sip:hikers@im.home1.net
  cimfctl check"
)]
pub struct CommandLine {
    /// The groups: a SQLite file, or the value of the proxy's parameter db_url
    ///
    /// A password in the URL can be read by whoever lists processes: leave it out, and give it in the variable
    /// PGPASSWORD or a file such as ~/.pgpass.
    #[arg(long, global = true, value_name = "FILE|URL", default_value = default_database())]
    pub db: String,
    /// The most members a group may have, as in the proxy's parameter max_members
    #[arg(long, global = true, value_name = "N", default_value_t = Settings::new().max_members, value_parser = max_members)]
    pub max_members: u32,
    /// Print only what is asked for and errors, and no confirmations and notes: for scripts and cron
    #[arg(short, long, global = true)]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Create the database, or migrate an older one
    ///
    /// Creates the folder if it is missing. Run by root, a new file gets the folder's owner and group,
    /// so that the proxy's user can write it, and mode 0640. A current database is not changed.
    #[command(after_help = "Example:\n  cimfctl --db /var/lib/cimf/cimf.db init")]
    Init,
    /// Add, change, delete, show and list groups
    #[command(subcommand)]
    Group(group::Command),
    /// Add members to a group, set and delete them, and find the groups of somebody
    #[command(subcommand)]
    Member(member::Command),
    /// Add, delete and list services, whose messages carry their recipients
    #[command(subcommand)]
    Service(service::Command),
    /// Manage the addresses that have consented to get messages from a service
    #[command(subcommand)]
    Consent(service::Consent),
    Import(import::Options),
    Export(export::Options),
    Check(check::Options),
    Explain(explain::Options),
    Ledger(ledger::Options),
    /// List the nodes that share the ledger in PostgreSQL
    ///
    /// One line for each node that holds a lease, has messages left or was here within the last hour, with a tab between: its
    /// name, which start it is, the seconds for which its lease holds, or "left" after an orderly stop or "ran out", number of
    /// messages that it has promised and not finished, and "drains" if it takes no new ones.
    #[command(after_help = "Example:\n  cimfctl --db postgres://cimf@db1/groups nodes")]
    Nodes {
        #[command(flatten)]
        form: Form,
    },
}

fn default_database() -> &'static str {
    let mut parameters = PARAMETERS.iter();
    let found = parameters.find(|parameter| parameter.name == "db_url");
    let path = found.and_then(|parameter| parameter.default.strip_prefix("sqlite://"));
    path.unwrap_or_default()
}

fn max_members(value: &str) -> Result<u32, String> {
    let mut settings = Settings::new();
    let set = settings.set("max_members", value);
    set.map(|()| settings.max_members)
        .map_err(|error| format!("expected {}", error.expected))
}
