//! `cimfctl`: the administrator's command line.

#![forbid(unsafe_code)]
// A command line tool writes to both.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod address_list;
mod check;
mod database_argument;
mod explain;
mod export;
mod failure;
mod group;
mod import;
mod import_imc;
mod init;
mod json_shapes;
mod ledger;
mod member;
mod nodes;
mod parameters;
mod script;
mod service;
mod shown_message;
mod streams;

use cimf::config::{PARAMETERS, Settings};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use database_argument::database;
use failure::Failure;
use json_shapes::Form;
use std::process::ExitCode;

/// Manages the groups and services of the Controlling IM Function.
///
/// The proxy sees every change at the next message; nothing needs a restart or a reload. Each command
/// takes effect completely or not at all. Exit status: 0 done, 1 refused or failed (the reason is on
/// standard error and nothing was changed), 2 the command line is wrong.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example, on a fresh machine whose proxy runs as the user kamailio:
  install -d -o kamailio -g kamailio -m 0750 /var/lib/cimf
  cimfctl init
  cimfctl group add sip:hikers@im.home1.net sip:ann@home1.net sip:bob@home1.net tel:+15551230003
  cimfctl group show sip:hikers@im.home1.net
  cimfctl check"
)]
struct Cli {
    /// The groups: a SQLite file, or the value of the proxy's parameter db_url
    ///
    /// A password in the URL can be read by whoever lists processes: leave it out, and give it in the variable
    /// PGPASSWORD or a file such as ~/.pgpass.
    #[arg(long, global = true, value_name = "FILE|URL", default_value = default_database())]
    db: String,
    /// The most members a group may have, as in the proxy's parameter max_members
    #[arg(long, global = true, value_name = "N", default_value_t = Settings::new().max_members, value_parser = max_members)]
    max_members: u32,
    /// Print only what is asked for and errors, and no confirmations and notes: for scripts and cron
    #[arg(short, long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let given = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
    if cli.quiet {
        streams::be_quiet();
    }
    // Not by clap, whose errors would show a password.
    let db = database(&cli.db).unwrap_or_else(|error| {
        let wrong = Cli::command().error(ErrorKind::ValueValidation, format!("--db: {error}"));
        wrong.exit()
    });
    let given_db = given("db").then_some(&db);
    let given_max_members = given("max_members").then_some(cli.max_members);
    let done = match cli.command {
        Command::Init => init::run(&db),
        Command::Group(command) => group::run(&db, cli.max_members, command),
        Command::Member(command) => member::run(&db, cli.max_members, command),
        Command::Service(command) => service::run(&db, cli.max_members, command),
        Command::Consent(command) => service::consent(&db, cli.max_members, command),
        Command::Import(options) => import::run(&db, cli.max_members, options),
        Command::Export(options) => export::run(&db, cli.max_members, options),
        Command::Check(options) => check::run(given_db, given_max_members, &options),
        Command::Explain(options) => explain::run(given_db, given_max_members, &options),
        Command::Ledger(options) => ledger::run(&db, options),
        Command::Nodes { form } => nodes::run(&db, form),
    };
    match done {
        // The reader of the output has closed it, as `head` does.
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.to_string().lines().for_each(streams::complain);
            ExitCode::FAILURE
        }
    }
}
