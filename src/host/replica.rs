//! The process `cimf replica`, the same in every proxy: it keeps the replica of PostgreSQL's groups up to date. It alone
//! waits for that network; workers read the replica.

#![forbid(unsafe_code)]

use super::signals;
use crate::config::{DbUrl, PostgresUrl, Settings};
use crate::fanout::OwnProcess;
use crate::postgres::single_threaded;
use crate::server::Server;
use crate::store::postgres::{Follower, Round, age, replicate, replicate_within};
use futures_util::FutureExt;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often PostgreSQL is tried again while it is away.
const RETRY: Duration = Duration::from_secs(1);
/// How long the start waits for PostgreSQL where there is a replica of before.
const START: Duration = Duration::from_secs(10);
/// The interval of the log line that it is still away.
const COMPLAIN: Duration = Duration::from_secs(60);

/// Makes the replica, if there is to be one, before anything reads it; gives how old it is then. Where PostgreSQL is away a
/// replica of before will do, and where it is slow the process goes on with that.
///
/// # Errors
///
/// PostgreSQL cannot be read, and there is no replica yet.
pub fn prepare(settings: &Settings) -> Result<Option<Duration>, String> {
    let DbUrl::Postgres(url) = &settings.db_url else {
        return Ok(None);
    };
    let path = settings.groups();
    let age = age(path);
    let done = match age {
        Some(_) => replicate_within(url, path, START),
        None => replicate(url, path),
    };
    match (done, age) {
        (Ok(round), _) => {
            log_round(url, path, round);
            Ok(Some(Duration::ZERO))
        }
        (Err(error), Some(age)) => {
            log::error!(
                "db_url: {error}; starting with the replica {}, which is {} s old",
                path.display(),
                age.as_secs()
            );
            Ok(Some(age))
        }
        (Err(error), None) => Err(format!(
            "parameter db_url: {error}; there is no replica {} of this version to start with",
            path.display()
        )),
    }
}

/// Runs the process; returns only with an error.
pub fn work(server: &'static Server) -> String {
    let settings = &server.decider().policy().settings;
    let DbUrl::Postgres(url) = &settings.db_url else {
        // OpenSIPS starts this process even without PostgreSQL.
        loop {
            std::thread::park();
        }
    };
    // Its threads, which ask the system for addresses of names, leave the proxy's signals to the process.
    let worked = single_threaded(signals::block)
        .map(|runtime| runtime.block_on(follow(server, url, settings.groups())));
    match worked {
        Ok(never) => match never {},
        Err(error) => error.to_string(),
    }
}

async fn follow(server: &Server, url: &PostgresUrl, path: &Path) -> Infallible {
    let settings = &server.decider().policy().settings;
    let new = || match settings.groups_max_age {
        0 => Follower::new(url.clone(), path),
        // So that groups are never too old just because nobody has looked.
        most => Follower::new(url.clone(), path).with_pause(Duration::from_secs(most.into()) / 4),
    };
    let mut follower = new();
    let mut trouble: Option<(Instant, Instant)> = None;
    loop {
        let counters = server.decider().counters();
        counters.note_processor_time(OwnProcess::Replica);
        let began = Instant::now();
        let round = AssertUnwindSafe(follower.round()).catch_unwind().await;
        match round {
            Ok(Ok(round)) => {
                if round != Round::Ahead {
                    // What came while it was read is not in it.
                    server.decider().groups_age().confirm(began.elapsed());
                }
                if let Some((since, _)) = trouble.take() {
                    let away = since.elapsed().as_secs();
                    log::warn!("replica: {url} is followed again after {away} s");
                }
                log_round(url, path, round);
                follower.wait().await;
            }
            Ok(Err(error)) => {
                complain(&mut trouble, &error.to_string());
                tokio::time::sleep(RETRY).await;
            }
            Err(_) => {
                // The panic is logged.
                complain(&mut trouble, "following PostgreSQL failed");
                follower = new();
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Logs the first failure and then one each minute. `trouble` is since when, and when it was logged.
fn complain(trouble: &mut Option<(Instant, Instant)>, error: &str) {
    let now = Instant::now();
    let (_, logged) = match trouble {
        Some(trouble) if now - trouble.1 < COMPLAIN => return,
        Some(trouble) => trouble,
        None => trouble.insert((now, now)),
    };
    *logged = now;
    log::error!("replica: {error}; the groups stay as they were, trying again each second");
}

fn log_round(url: &PostgresUrl, path: &Path, round: Round) {
    let path = path.display();
    match round {
        Round::Unchanged | Round::Ahead => {}
        Round::Changed(count) => log::debug!("replica: {count} groups and services have changed"),
        Round::Copied(reason, groups, memberships) => log::warn!(
            "replica: {groups} groups with {memberships} memberships copied from {url} to {path}: {reason}"
        ),
    }
}
