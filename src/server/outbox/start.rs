//! The start: where the ledger is, and what a run before has left in it.

#![forbid(unsafe_code)]

use super::ledger_place::LedgerPlace;
use super::stop::withdraw;
use super::{LOW, Opened, Outbox};
use crate::config::SettingError;
use crate::control::request_memory::MEMORY;
use crate::fanout::{KeptFigures, Origin, RecentTable, boot_time, milliseconds};
use crate::ledger::cluster::{ClusterLedger, ClusterPlace, KeptMirror};
use crate::ledger::{CommitMode, Entry, Figures, Ledger, LedgerError, LedgerFile, Problem, Reader};
use crate::server::note_file::NoteFile;
use crate::server::{StartError, old_journal};
use std::path::Path;
use std::time::{Duration, SystemTime};

impl Outbox {
    /// Opens the ledger, if there is to be one, and takes up what the last run has left. To be done
    /// with the rights of the workers, before they are forked.
    pub fn open_ledger(&self, recent: &RecentTable, now: SystemTime) -> Result<(), StartError> {
        let opened = match &self.place {
            None => return Ok(()),
            Some(LedgerPlace::File(path)) => {
                if let Some(journal) = old_journal::find(path) {
                    return Err(StartError::OldJournal(journal));
                }
                self.open(path, recent, now).map_err(StartError::Ledger)?
            }
            Some(LedgerPlace::Cluster(place)) => {
                recent.share();
                self.join(place)?
            }
        };
        let _ = self.ledger.set(opened);
        Ok(())
    }

    /// Joins the nodes that share a ledger, with a lease of its own.
    fn join(&self, place: &ClusterPlace) -> Result<Opened, StartError> {
        let (node, start) = (self.engine.node(), boot_time());
        let begun = ClusterLedger::new(place, None, || {}).and_then(|mut ledger| ledger.begin());
        match begun {
            Ok(run) => {
                log::info!(
                    "ledger: this is start {} of the node {}, with a lease of {} s in {}",
                    run.number,
                    place.node,
                    place.lease.as_secs(),
                    place.url
                );
                node.set_start(run.number, run.token);
                node.hold(start, place.lease / 2);
            }
            Err(error) if error.may_pass() => {
                log::error!(
                    "ledger: {error}; starting without it: messages are answered 503 until PostgreSQL answers"
                );
                self.engine.committer().set_down(true);
            }
            Err(error) => return Err(StartError::Cluster(error)),
        }
        let notes = NoteFile::of_node(&place.node, &place.url.to_string());
        let notes = notes.map_err(|file| {
            let expected = format!(
                "another name for each proxy of this machine, as {file} is in use by one with the same"
            );
            SettingError::new("node", &place.node, expected)
        })?;
        let kept = place.kept.as_deref().map(|path| {
            let (file, figures) = kept_file(path)?;
            self.engine.away().note(KeptFigures {
                copies: figures.kept,
                bytes: figures.kept_bytes,
            });
            Ok(file)
        });
        Ok(Opened {
            file: kept.transpose().map_err(StartError::Kept)?,
            is_shared: true,
            given_up: notes.given_up(),
            notes,
        })
    }

    fn open(
        &self,
        path: &Path,
        recent: &RecentTable,
        now: SystemTime,
    ) -> Result<Opened, LedgerError> {
        let file = LedgerFile::open(path)?;
        let notes = NoteFile::of(path, file.key());
        let mut writer = file.writer()?;
        withdraw(&mut writer, &notes)?;
        let kept = writer.figures();
        self.engine.away().note(KeptFigures {
            copies: kept.kept,
            bytes: kept.kept_bytes,
        });
        let mut reader = file.reader()?;
        let mut left = Vec::new();
        reader.unfinished(&mut |message| left.push(message))?;
        // Not given again as long as the message is in the ledger, though it may not be sent.
        self.engine.skip_numbers(reader.last_number()?);
        let (mut messages, mut recipients, mut ended) = (0, 0, Vec::new());
        for message in &left {
            let id = message.message.id;
            let origin = Origin {
                number: Some(id & LOW),
                ledger: id,
                ..Origin::default()
            };
            match self.take_up(message, origin) {
                Ok(Some((_, left))) => {
                    messages += 1;
                    recipients += left;
                }
                // A crash came between its last outcome and its end.
                Ok(None) => ended.push(Entry::Finished { id }),
                Err(why) => log::error!(
                    "ledger: message {} stays in {} and is not sent in this run: {why}",
                    id & LOW,
                    path.display()
                ),
            }
        }
        if !ended.is_empty() {
            writer.commit(&ended, CommitMode::Soon)?;
        }
        let since = milliseconds(now).saturating_sub(MEMORY.as_millis() as u64);
        let requests = reader.requests(since)?;
        let requests = requests.iter().map(|request| {
            let age = milliseconds(now).saturating_sub(request.accepted_at);
            (request.key(), Duration::from_millis(age), request.content)
        });
        recent.restore(file.key(), requests);
        if messages > 0 {
            log::warn!(
                "ledger: {messages} messages of the last run go on, with {recipients} recipients whose \
                 outcome is not known"
            );
        }
        Ok(Opened {
            file: Some(file),
            is_shared: false,
            notes,
            given_up: Vec::new(),
        })
    }
}

/// The file in which a node follows what nodes keep. PostgreSQL has all of it, so that one that is damaged, or of another
/// version, is made anew.
fn kept_file(path: &Path) -> Result<(LedgerFile, Figures), LedgerError> {
    let file = LedgerFile::open(path).or_else(|error| match error.problem {
        Problem::Corrupt(_) | Problem::Foreign | Problem::Newer(_) | Problem::LogAlone => {
            log::warn!("{error}: it only repeats what PostgreSQL has, and is made anew");
            for suffix in ["", "-wal", "-shm"] {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                // What cannot be removed is found by the next look.
                let _ = std::fs::remove_file(name);
            }
            LedgerFile::open(path)
        }
        _ => Err(error),
    })?;
    // What is kept no longer goes once PostgreSQL answers.
    let figures = KeptMirror::open(path)?.figures();
    Ok((file, figures))
}
