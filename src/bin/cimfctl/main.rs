//! `cimfctl`: the administrator's command line.

#![forbid(unsafe_code)]
// A command line tool writes to both.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod address_list;
mod check;
mod columns;
mod command_line;
mod database_argument;
mod explain;
mod export;
mod failure;
mod group;
mod import;
mod import_imc;
mod init;
mod input;
mod json_shapes;
mod ledger;
mod member;
mod nodes;
mod parameters;
mod script;
mod service;
mod shown_message;
mod streams;
mod tense;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};
use command_line::{Command, CommandLine};
use database_argument::database;
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = CommandLine::command().get_matches();
    let cli = CommandLine::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let given = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
    if cli.quiet {
        streams::be_quiet();
    }
    // Not by clap, whose errors would show a password.
    let db = database(&cli.db).unwrap_or_else(|error| {
        let wrong =
            CommandLine::command().error(ErrorKind::ValueValidation, format!("--db: {error}"));
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
