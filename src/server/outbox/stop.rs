//! The stop: what the ledger does not know yet when all other processes have ended.

#![forbid(unsafe_code)]

use super::Outbox;
use crate::fanout::{Outcome, UnderWay, milliseconds};
use crate::ledger::cluster::{ClusterLedger, ClusterPlace};
use crate::ledger::{CommitMode, Entry, Ledger, LedgerError, Reader};
use crate::server::away_pipe::{Keep, KeepReader};
use crate::server::away_rules::AwayPolicy;
use crate::server::note_file::NoteFile;
use crate::server::outcome_pipe::{OutcomeReader, outcome};
use std::borrow::Cow;
use std::time::SystemTime;

impl Outbox {
    /// Writes to disk all outcomes, reported or not, the ends of messages without recipients left, and the copies for
    /// members who are away that have not been reported yet. To be called when all other processes have ended.
    /// `member` gives the hash of the member with an address.
    pub fn keep_outcomes(&self, member: impl Fn(&[u8]) -> Option<u64>) -> Result<(), String> {
        if let Some((file, notes)) = self.ledger() {
            let mut writer = file.writer().map_err(|error| error.to_string())?;
            return self
                .bring_outcomes(&mut writer, notes, member)
                .map_err(|error| error.to_string());
        }
        let Some((place, notes)) = self.cluster() else {
            return Ok(());
        };
        if self.start().is_none() {
            // It has never promised anything.
            return Ok(());
        }
        // Nobody reads what is kept any more.
        let place = ClusterPlace {
            kept: None,
            ..place.clone()
        };
        let left = ClusterLedger::new(&place, self.start(), || {}).and_then(|mut writer| {
            writer.remember()?;
            self.bring_outcomes(&mut writer, notes, member)?;
            // Others go on with what is left.
            writer.leave()
        });
        left.map_err(|error| error.to_string())
    }

    fn bring_outcomes<L: Ledger>(
        &self,
        writer: &mut L,
        notes: &NoteFile,
        member: impl Fn(&[u8]) -> Option<u64>,
    ) -> Result<(), L::Error> {
        withdraw(writer, notes)?;
        let mut reader = OutcomeReader::new(&self.engine);
        reader.read();
        let mut keeping = KeepReader::new(&self.engine);
        keeping.read();
        let mut entries = keeping.entries();
        entries.extend(reader.entries());
        if !entries.is_empty() {
            writer.commit(&entries, CommitMode::Synced)?;
        }
        drop(entries);
        reader.is_committed();
        keeping.is_committed();
        let under_way = self.engine.under_way().unwrap_or_else(|blocked| {
            log::error!("{blocked}; the ledger is not told of the last outcomes");
            Vec::new()
        });
        let mut entries = Vec::new();
        for message in under_way {
            if message.kept() != 0 {
                entries.extend(kept_copy_delivered(&message));
            } else if self.is_durable {
                entries.extend(self.last_outcomes(&message));
            } else if let Some(away) = &self.away {
                let kept = self.keep_unreported(away, &message, &member, &mut keeping);
                if let Err(error) = kept {
                    log::error!(
                        "ledger: {error}; the copies of message {} are not kept",
                        message.number()
                    );
                }
            }
        }
        entries.extend(keeping.entries());
        if !entries.is_empty() {
            writer.commit(&entries, CommitMode::Synced)?;
        }
        notes.remove();
        Ok(())
    }

    /// The outcomes of a message of the ledger that the ledger does not know yet. Members who are away are left out: the next start
    /// sends to them again, with the same identifiers, and keeps what is not delivered then.
    fn last_outcomes(&self, message: &UnderWay<'_>) -> Option<Entry<'static>> {
        let id = message.ledger();
        let endings = self.settled(message);
        if endings.len() == message.recipients() {
            return Some(Entry::Finished { id });
        }
        let outcomes: Vec<_> = endings
            .into_iter()
            .map(|(number, ending)| outcome(number, ending))
            .collect();
        (!outcomes.is_empty()).then_some(Entry::Outcomes {
            id,
            outcomes: Cow::Owned(outcomes),
        })
    }

    /// Has the ended copies kept for members who are away, of a message that is only in memory.
    fn keep_unreported(
        &self,
        away: &AwayPolicy,
        message: &UnderWay<'_>,
        member: impl Fn(&[u8]) -> Option<u64>,
        keeping: &mut KeepReader<'_>,
    ) -> Result<(), LedgerError> {
        let Some((file, _)) = self.ledger() else {
            return Ok(());
        };
        let mut reader = file.reader()?;
        let now = milliseconds(SystemTime::now());
        let expires_at = away.until(message.expires_at(), now);
        if expires_at <= now || self.engine.away().figures().bytes >= away.settings.away_bytes {
            return Ok(());
        }
        let mut is_new = message.ledger() == 0;
        let ledger = match message.ledger() {
            0 => self.ledger_number(message.number()),
            ledger => ledger,
        };
        for (recipient, ending) in message.outcomes() {
            let (Outcome::Refused(code) | Outcome::Unreachable(code)) = ending else {
                continue;
            };
            let address = message.address(recipient);
            let Some(member) = address.and_then(&member).filter(|_| away.keeps(code)) else {
                continue;
            };
            let kept = reader.kept_of(member, usize::MAX >> 1)?;
            if kept
                .iter()
                .any(|kept| (kept.message, kept.recipient) == (ledger, recipient))
            {
                continue;
            }
            keeping.add(Keep {
                place: message.place(),
                ledger,
                is_new,
                recipient,
                code,
                member,
                kept_at: now,
                expires_at,
            });
            if is_new {
                message.enter_ledger(ledger);
            }
            is_new = false;
        }
        Ok(())
    }
}

/// The end of a kept copy that is under way, if it was delivered.
fn kept_copy_delivered(message: &UnderWay<'_>) -> Option<Entry<'static>> {
    let endings = message.outcomes();
    let mut endings = endings.iter().map(|(_, ending)| ending);
    let is_delivered = endings.any(|ending| matches!(ending, Outcome::Delivered(_)));
    is_delivered.then_some(Entry::KeptEnded {
        kept: message.kept().cast_signed(),
    })
}

/// Withdraws what a run has given up and not withdrawn.
pub(super) fn withdraw<L: Ledger>(writer: &mut L, notes: &NoteFile) -> Result<(), L::Error> {
    let given_up = notes.given_up();
    if given_up.is_empty() {
        return Ok(());
    }
    let withdrawn = given_up.iter().map(|&id| Entry::Withdrawn { id });
    writer.commit(&withdrawn.collect::<Vec<_>>(), CommitMode::Synced)?;
    notes.clear();
    log::warn!(
        "ledger: {} messages that were answered 503 are not sent",
        given_up.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::control::Own;
    use crate::fanout::{Counters, Origin, RecentTable};
    use crate::ledger::{KeptCopy, Promise};
    use crate::sample::{NOW, submission};
    use std::path::Path;
    use std::sync::Arc;

    fn outbox(folder: &Path) -> Outbox {
        outbox_with(folder, "journal")
    }

    fn outbox_with(folder: &Path, durability: &str) -> Outbox {
        let mut settings = Settings::new();
        settings.set("durability", durability).unwrap();
        settings.set("away", "keep").unwrap();
        let ledger = folder.join("ledger.db");
        settings.set("ledger", ledger.to_str().unwrap()).unwrap();
        let counters = Arc::new(Counters::new().unwrap());
        let outbox = Outbox::new(&settings, [7; 16], counters).unwrap();
        let recent = RecentTable::new(64, [7; 16]).unwrap();
        outbox.open_ledger(&recent, SystemTime::now()).unwrap();
        outbox
    }

    fn own() -> Vec<Own<'static>> {
        vec![
            Own::plain(b"sip:bob@home1.net"),
            Own::plain(b"sip:cho@home1.net"),
        ]
    }

    fn write(outbox: &Outbox, more: &[Entry<'_>], id: u64) {
        let promise = Entry::Promise(Box::new(Promise {
            id,
            promised: true,
            anonymous: false,
            submission: submission(),
            recipients: own(),
            request: None,
        }));
        let (file, _) = outbox.ledger().unwrap();
        let mut writer = file.writer().unwrap();
        writer.commit(&[promise], CommitMode::Synced).unwrap();
        writer.commit(more, CommitMode::Synced).unwrap();
    }

    #[test]
    fn copies_for_members_away_that_were_not_reported_before_the_stop_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = outbox(folder.path());
        let id = outbox.ledger_number(1);
        write(&outbox, &[], id);
        let origin = Origin {
            ledger: id,
            ..Origin::default()
        };
        let ended = [(0, Outcome::Refused(480)), (1, Outcome::Refused(403))];
        let engine = outbox.engine();
        let restored = engine.restore(&submission(), || own().into_iter(), origin, []);
        assert!(matches!(restored, Ok(Some(_))));
        for (_, ending) in ended {
            let attempt = engine.next(|| NOW).unwrap();
            let cookie = attempt.cookie();
            drop(attempt);
            engine.completed(cookie, ending.code().unwrap());
            engine.released(cookie);
        }
        outbox.keep_outcomes(|_| None).unwrap();
        let mut left = Vec::new();
        let mut reader = outbox.ledger().unwrap().0.reader().unwrap();
        reader
            .unfinished(&mut |message| left.push(message))
            .unwrap();
        let outcomes: Vec<_> = left
            .iter()
            .map(|message| message.outcomes.clone())
            .collect();
        assert_eq!(outcomes, [[outcome(1, Outcome::Refused(403))]]);
    }

    #[test]
    fn of_a_message_that_is_in_memory_alone_all_members_who_are_away_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = outbox_with(folder.path(), "none");
        let engine = outbox.engine();
        let restored = engine.restore(&submission(), || own().into_iter(), Origin::default(), []);
        assert!(matches!(restored, Ok(Some(_))));
        while let Some(attempt) = engine.next(|| NOW) {
            let cookie = attempt.cookie();
            drop(attempt);
            engine.completed(cookie, 480);
            engine.released(cookie);
        }
        let member = |address: &[u8]| Some(address.iter().map(|&byte| u64::from(byte)).sum());
        outbox.keep_outcomes(member).unwrap();
        let mut reader = outbox.ledger().unwrap().0.reader().unwrap();
        assert_eq!(reader.figures().unwrap().kept, 2);
    }

    #[test]
    fn no_number_of_a_message_with_kept_copies_is_given_again() {
        let folder = tempfile::tempdir().unwrap();
        let before = outbox(folder.path());
        let id = before.ledger_number(41);
        let kept = Entry::Kept(KeptCopy {
            message: id,
            recipient: 0,
            address_hash: 1,
            address: b"sip:bob@home1.net",
            code: 480,
            kept_at: NOW,
            expires_at: NOW + 1000,
        });
        write(&before, &[kept, Entry::Finished { id }], id);
        drop(before);
        let after = outbox(folder.path());
        let origin = Origin::default();
        let restored = after
            .engine()
            .restore(&submission(), || own().into_iter(), origin, []);
        assert_eq!(restored.unwrap(), Some((42, 2)));
    }
}
