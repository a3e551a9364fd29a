//! The process `cimf groups`, the same in every proxy: it carries out the commands about groups, one after the other, so
//! that no SIP worker waits for a database.

#![forbid(unsafe_code)]

use super::answer::{Answer, Fault};
use super::arguments::Arguments;
use super::command::{Command, Run};
use super::command_table::COMMANDS;
use super::errands::{Errands, Waiting};
use super::keeper::Keeper;
use crate::fanout::OwnProcess;
use crate::host::guard::guarded;
use crate::server::Server;
use serde_json::Value;
use std::io;
use std::time::Duration;

/// After how long without a command it lets go what it holds open.
const IDLE: Duration = Duration::from_secs(10);

/// How much less the processors are its than those of the processes that handle SIP: no message waits for a large set.
const NICENESS: i32 = 10;

/// Runs the process; returns only with an error. `later` answers a client for whom nobody waits: it gets what the errand
/// has for that, and the answer.
pub fn work(server: &Server, errands: &Errands, later: impl Fn(usize, &Answer)) -> String {
    if let Err(error) = errands.set_patience(IDLE) {
        return error.to_string();
    }
    // It only takes longer where the system refuses.
    let _ = rustix::process::nice(NICENESS);
    let mut keeper = Keeper::new(server);
    loop {
        if let Err(error) = next(server, errands, &mut keeper, &later) {
            log::error!("a command was not understood: {error}");
        }
        let counters = server.decider().counters();
        counters.note_processor_time(OwnProcess::Groups);
    }
}

fn next(
    server: &Server,
    errands: &Errands,
    keeper: &mut Keeper<'_>,
    later: &impl Fn(usize, &Answer),
) -> io::Result<()> {
    let Some((errand, waiting)) = errands.next()? else {
        keeper.rest();
        return Ok(());
    };
    let Some(command) = COMMANDS.get(errand.command) else {
        return Err(io::Error::other(format!(
            "there is no command {}",
            errand.command
        )));
    };
    if waiting.as_ref().is_some_and(Waiting::is_over) {
        log::warn!(
            "command {} is not begun: whoever gave it waits no longer",
            command.name
        );
        return Ok(());
    }
    let failed = Err(Fault::failed("internal error: see the proxy's log"));
    let answer = guarded(failed, || run(server, keeper, command, &errand.arguments));
    if let Some(waiting) = waiting {
        // Whoever has asked may have gone.
        let _ = waiting.answer(&answer);
    }
    if let Some(place) = errand.later {
        later(place, &answer);
    }
    Ok(())
}

fn run(server: &Server, keeper: &mut Keeper<'_>, command: &Command, given: &Arguments) -> Answer {
    let name = command.name;
    match command.run {
        Run::Here(run) => run(server, given),
        Run::Reads(run) => run(keeper, given),
        Run::Changes(run) => match run(keeper, given) {
            Ok(changed) => {
                if changed.is_new {
                    log::info!("command {name}: {}", in_words(&changed.answer));
                }
                Ok(changed.answer)
            }
            Err(fault) => {
                log::warn!("command {name} is refused: {fault}");
                Err(fault)
            }
        },
    }
}

/// The fields of an answer that say something.
fn in_words(answer: &Value) -> String {
    let fields = answer.as_object().into_iter().flatten();
    let telling = fields.filter(|(_, value)| value.as_u64() != Some(0));
    let words: Vec<_> = telling
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    words.join(" ")
}
