//! The process `cimf replica`, the same in every proxy: it keeps the replica of PostgreSQL's groups up to date. It alone
//! waits for that network; workers read the replica.

#![forbid(unsafe_code)]

use super::signals;
use crate::config::{DbUrl, PostgresUrl, Settings};
use crate::server::Server;
use crate::store::postgres::{Follower, Round, SourceError, has_groups, replicate};
use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How often PostgreSQL is tried again while it is away.
const RETRY: Duration = Duration::from_secs(1);
/// The interval of the log line that it is still away.
const COMPLAIN: Duration = Duration::from_secs(60);

/// Makes the replica, if there is to be one, before anything reads it; says whether it is what PostgreSQL has now. Where
/// PostgreSQL is away a replica of before will do.
///
/// # Errors
///
/// PostgreSQL cannot be read, and there is no replica yet.
pub fn prepare(settings: &Settings) -> Result<bool, String> {
    let DbUrl::Postgres(url) = &settings.db_url else {
        return Ok(false);
    };
    let path = settings.groups();
    match replicate(url, path) {
        Ok(round) => {
            log_round(url, path, round);
            Ok(true)
        }
        Err(error) if has_groups(path) => {
            log::error!(
                "db_url: {error}; starting with the replica {} as it was left",
                path.display()
            );
            Ok(false)
        }
        Err(error) => Err(format!(
            "parameter db_url: {error}; there is no replica {} to start with",
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
    let worked = runtime().map(|runtime| runtime.block_on(follow(server, url, settings.groups())));
    match worked {
        Ok(never) => match never {},
        Err(error) => error.to_string(),
    }
}

/// A runtime whose threads, which ask the system for addresses of names, leave the proxy's signals to the process.
fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_start(signals::block)
        .build()
}

async fn follow(server: &Server, url: &PostgresUrl, path: &Path) -> Infallible {
    let mut follower = Follower::new(url.clone(), path);
    let mut trouble = None;
    loop {
        match follower.round().await {
            Ok(round) => {
                server.decider().groups_age().confirm();
                if let Some((since, _)) = trouble.take() {
                    let since: Instant = since;
                    let away = since.elapsed().as_secs();
                    log::warn!("replica: {url} is followed again after {away} s");
                }
                log_round(url, path, round);
                follower.wait().await;
            }
            Err(error) => {
                complain(&mut trouble, &error);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Logs the first failure and then one each minute. `trouble` is since when, and when it was logged.
fn complain(trouble: &mut Option<(Instant, Instant)>, error: &SourceError) {
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
        Round::Unchanged => {}
        Round::Changed(count) => log::debug!("replica: {count} groups and services have changed"),
        Round::Copied(reason, groups, memberships) => log::warn!(
            "replica: {groups} groups with {memberships} memberships copied from {url} to {path}: {reason}"
        ),
    }
}
