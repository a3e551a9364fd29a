//! What a journal says when the proxy starts: which messages were not finished.
//!
//! Nothing in a file can stop this. What is no record is skipped and noted. What matters is written
//! into new segments and synced before an old one goes, oldest first, so that a crash at any point
//! leaves all of it: the end of a message is never deleted before its beginning.

use super::entry::{Accepted, Entry, Outcome};
use super::error::JournalError;
use super::record::{Found, Mark, Records};
use super::segment::{self, Head, SEGMENT_BYTES};
use super::shared::Position;
use crate::control::recent::{MEMORY, RequestKey};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a journal said.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The messages that were accepted and not finished, by their ids.
    pub messages: Vec<Unfinished>,
    /// The transactions of the last 64·T1, with the time of each in milliseconds of Unix time.
    pub recent: Vec<(u64, TransactionKey)>,
    /// What could not be read and what became of it, one line each.
    pub notes: Vec<String>,
}

/// A message that was accepted and not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// As accepted.
    pub id: u64,
    /// As accepted.
    pub time: u64,
    /// As accepted.
    pub expiry: u64,
    /// As accepted.
    pub key: TransactionKey,
    /// As accepted.
    pub block: Vec<u8>,
    /// The outcomes that are known, at most one for each recipient.
    pub outcomes: Vec<Outcome>,
}

/// A [`RequestKey`] that owns its texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionKey {
    from_tag: Vec<u8>,
    call_id: Vec<u8>,
    cseq: u32,
    via: Vec<u8>,
}

impl TransactionKey {
    /// The key as the table of recent requests takes it.
    pub fn borrow(&self) -> RequestKey<'_> {
        RequestKey {
            from_tag: &self.from_tag,
            call_id: &self.call_id,
            cseq: self.cseq,
            via: &self.via,
        }
    }
}

impl From<&RequestKey<'_>> for TransactionKey {
    fn from(key: &RequestKey<'_>) -> Self {
        Self {
            from_tag: key.from_tag.to_vec(),
            call_id: key.call_id.to_vec(),
            cseq: key.cseq,
            via: key.via.to_vec(),
        }
    }
}

/// The records of all segments, put together. The order in which they come does not matter.
struct Ledger {
    /// Transactions from this time on are recent.
    recent_from: u64,
    recent: BTreeSet<(u64, TransactionKey)>,
    /// The transactions of messages, as those may be withdrawn.
    arrived: BTreeMap<u64, (u64, TransactionKey)>,
    accepted: BTreeMap<u64, Unfinished>,
    outcomes: BTreeMap<u64, BTreeMap<u32, Outcome>>,
    finished: HashSet<u64>,
    withdrawn: HashSet<u64>,
}

impl Ledger {
    fn new(now: SystemTime) -> Self {
        let recent_from = now
            .checked_sub(MEMORY)
            .and_then(|from| from.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |since| since.as_millis() as u64);
        Self {
            recent_from,
            recent: BTreeSet::new(),
            arrived: BTreeMap::new(),
            accepted: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            finished: HashSet::new(),
            withdrawn: HashSet::new(),
        }
    }

    fn note(&mut self, entry: Entry<'_>) {
        match entry {
            Entry::Accepted(accepted) => {
                if self.is_recent(accepted.time) && !self.withdrawn.contains(&accepted.id) {
                    let arrived = (accepted.time, (&accepted.key).into());
                    self.arrived.insert(accepted.id, arrived);
                }
                if !self.finished.contains(&accepted.id) {
                    self.accepted.insert(accepted.id, (&accepted).into());
                }
            }
            Entry::Outcomes { id, outcomes } => {
                if !self.finished.contains(&id) {
                    let known = self.outcomes.entry(id).or_default();
                    known.extend(outcomes.into_iter().map(|one| (one.recipient, one)));
                }
            }
            Entry::Finished { id } => self.finish(id),
            Entry::Withdrawn { id } => {
                self.withdrawn.insert(id);
                self.arrived.remove(&id);
                self.finish(id);
            }
            Entry::Recent { time, key } => {
                if self.is_recent(time) {
                    self.recent.insert((time, (&key).into()));
                }
            }
        }
    }

    fn finish(&mut self, id: u64) {
        self.finished.insert(id);
        self.accepted.remove(&id);
        self.outcomes.remove(&id);
    }

    fn is_recent(&self, time: u64) -> bool {
        time >= self.recent_from
    }

    fn close(mut self) -> Recovered {
        let messages = self.accepted.into_values().map(|mut message| {
            let outcomes = self.outcomes.remove(&message.id).unwrap_or_default();
            message.outcomes = outcomes.into_values().collect();
            message
        });
        self.recent.extend(self.arrived.into_values());
        Recovered {
            messages: messages.collect(),
            recent: self.recent.into_iter().collect(),
            notes: Vec::new(),
        }
    }
}

/// A segment that was read, and whether it is to be kept aside.
struct Read {
    mark: Mark,
    is_damaged: bool,
}

/// Reads all segments, writes what matters into new ones, and puts the old ones away. Returns what
/// was found, the first of the new segments, and the end of the last.
pub(super) fn recover(
    directory: &Path,
    now: SystemTime,
) -> Result<(Recovered, Mark, Position), JournalError> {
    let marks = list(directory)?;
    let mut ledger = Ledger::new(now);
    let mut notes = Vec::new();
    let mut contents = Vec::new();
    for &mark in &marks {
        contents.push(read(directory, mark, &mut ledger));
    }
    let old = judge(directory, contents, &mut notes);
    let mut recovered = ledger.close();
    let first = Mark {
        number: marks.iter().map(|mark| mark.number).max().unwrap_or(0) + 1,
        run: getrandom::u64()
            .map_err(|error| JournalError::io("make a segment in", directory)(error.into()))?,
    };
    let end = write(directory, first, &recovered)?;
    put_away(directory, old, &mut notes);
    recovered.notes = notes;
    Ok((recovered, first, end))
}

/// The segments in the directory in their order. Clears away what is left of half-made ones.
fn list(directory: &Path) -> Result<Vec<Mark>, JournalError> {
    let failed = |error| JournalError::io("list", directory)(error);
    let mut marks = Vec::new();
    for file in std::fs::read_dir(directory).map_err(failed)? {
        let name = file.map_err(failed)?.file_name();
        let name = name.to_string_lossy();
        marks.extend(segment::parse_name(&name));
        if segment::is_half_made(&name) {
            let _ = std::fs::remove_file(directory.join(&*name));
        }
    }
    marks.sort_by_key(|mark| (mark.number, mark.run));
    Ok(marks)
}

/// What was in a segment.
struct Contents {
    mark: Mark,
    /// Whether it has any record.
    has_records: bool,
    /// What is wrong with it, wherever it stands.
    damage: Vec<String>,
    /// Bytes behind the last record, and where they start.
    tail: Option<(usize, usize)>,
}

fn read(directory: &Path, mark: Mark, ledger: &mut Ledger) -> Contents {
    let path = directory.join(segment::name(mark));
    let mut contents = Contents {
        mark,
        has_records: false,
        damage: Vec::new(),
        tail: None,
    };
    let damage = &mut contents.damage;
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            damage.push(format!("cannot be read as a whole: {error}"));
            read_what_can_be_read(&path)
        }
    };
    let head = segment::read_head(&bytes, mark);
    if let Head::Foreign(version) = head {
        damage.push(format!(
            "is of format {version}, which this version of cimf cannot read"
        ));
        return contents;
    }
    let start = segment::HEAD.min(bytes.len());
    for found in Records::new(&bytes, start, mark) {
        match found {
            Found::Record { at, kind, payload } => {
                contents.has_records = true;
                match Entry::decode(kind, payload) {
                    Some(entry) => ledger.note(entry),
                    None => damage.push(format!(
                        "has a record of kind {kind} at byte {at} that this version of cimf \
                         cannot read"
                    )),
                }
            }
            Found::Damage { from, to } => damage.push(format!(
                "has {} bytes from byte {from} on that are no record: \
                 the messages or outcomes in them are lost",
                to - from
            )),
            Found::Tail { from } => contents.tail = Some((from, bytes.len() - from)),
        }
    }
    if head == Head::Damaged && contents.has_records {
        damage.push("has a damaged head, which costs nothing".to_owned());
    } else if head == Head::Damaged && !bytes.is_empty() {
        contents.tail = Some((0, bytes.len()));
    }
    contents
}

/// The bytes of a file of which some cannot be read: these are 0.
fn read_what_can_be_read(path: &Path) -> Vec<u8> {
    let Ok(file) = File::open(path) else {
        return Vec::new();
    };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    for (number, block) in bytes.chunks_mut(4096).enumerate() {
        if file.read_exact_at(block, number as u64 * 4096).is_err() {
            block.fill(0);
        }
    }
    bytes
}

/// Tells the torn end that a crash leaves from damage. A crash tears the last segment, or the one
/// before it if it came between the first record of the last and the last sync of that one.
fn judge(directory: &Path, contents: Vec<Contents>, notes: &mut Vec<String>) -> Vec<Read> {
    let last = contents.iter().rposition(|one| one.has_records);
    let torn_from = last.unwrap_or(0).saturating_sub(1);
    let judged = contents.into_iter().enumerate().map(|(index, one)| {
        let path = directory.join(segment::name(one.mark));
        let path = path.display();
        notes.extend(one.damage.iter().map(|text| format!("{path} {text}")));
        let mut is_damaged = !one.damage.is_empty();
        if let Some((from, length)) = one.tail {
            let place = format!("{path} has {length} bytes from byte {from} on");
            notes.push(if index >= torn_from {
                format!("{place} that a crash has cut short; nobody was told that they are safe")
            } else {
                is_damaged = true;
                format!("{place} that are no record: the messages or outcomes in them are lost")
            });
        }
        Read {
            mark: one.mark,
            is_damaged,
        }
    });
    judged.collect()
}

/// Writes all that matters into new segments and syncs them; returns the end of the last.
fn write(directory: &Path, first: Mark, recovered: &Recovered) -> Result<Position, JournalError> {
    let mut new = NewSegment::make(directory, first)?;
    for (time, key) in &recovered.recent {
        let key = key.borrow();
        new = new.put(&Entry::Recent { time: *time, key })?;
    }
    for message in &recovered.messages {
        new = new.put(&Entry::Accepted(message.into()))?;
        if !message.outcomes.is_empty() {
            let outcomes = message.outcomes.clone();
            let id = message.id;
            new = new.put(&Entry::Outcomes { id, outcomes })?;
        }
    }
    new.close()
}

/// A segment that is being written by one process alone.
struct NewSegment<'a> {
    directory: &'a Path,
    mark: Mark,
    file: BufWriter<File>,
    length: u64,
}

impl<'a> NewSegment<'a> {
    fn make(directory: &'a Path, mark: Mark) -> Result<Self, JournalError> {
        segment::make(directory, mark)?;
        let path = directory.join(segment::name(mark));
        let file = segment::open(directory, mark).map_err(JournalError::io("open", &path))?;
        Ok(Self {
            directory,
            mark,
            file: BufWriter::new(file),
            length: segment::HEAD as u64,
        })
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> JournalError + use<> {
        let path = self.directory.join(segment::name(self.mark));
        JournalError::io("write", &path)
    }

    /// Writes a record, and goes on with the next segment where that is due.
    fn put(mut self, entry: &Entry<'_>) -> Result<Self, JournalError> {
        let (encoded, block) = (entry.encode(), entry.block());
        let bytes = encoded.len() + block.len();
        let head = self.mark.head(entry.kind(), &[&encoded, block]);
        let head = head.ok_or(JournalError::TooLarge { bytes })?;
        for part in [&head[..], &encoded, block] {
            let written = self.file.write_all(part);
            written.map_err(self.failed())?;
            self.length += part.len() as u64;
        }
        if self.length < SEGMENT_BYTES {
            return Ok(self);
        }
        let (directory, run) = (self.directory, self.mark.run);
        let number = self.close()?.segment() + 1;
        Self::make(directory, Mark { number, run })
    }

    fn close(mut self) -> Result<Position, JournalError> {
        let synced = self.file.flush();
        let synced = synced.and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(self.failed())?;
        let end = Position::new(self.mark.number, self.length);
        end.ok_or_else(|| self.failed()(io::ErrorKind::FileTooLarge.into()))
    }
}

/// Deletes the old segments, or keeps them aside if they are damaged, oldest first.
fn put_away(directory: &Path, old: Vec<Read>, notes: &mut Vec<String>) {
    for Read { mark, is_damaged } in old {
        let done = if is_damaged {
            segment::set_aside(directory, mark).map(|aside| {
                notes.push(format!("the damaged file is kept as {}", aside.display()));
            })
        } else {
            segment::remove(directory, mark)
        };
        // Synced each time: later ones must not go before it. For the same reason it ends here if
        // one cannot go; they are all read again at the next start.
        let done = done.and_then(|()| segment::sync_directory(directory));
        if let Err(error) = done {
            notes.push(format!(
                "{error}; remove it by hand before the next start, or its messages may be sent again"
            ));
            return;
        }
    }
}

impl From<&Accepted<'_>> for Unfinished {
    fn from(accepted: &Accepted<'_>) -> Self {
        Self {
            id: accepted.id,
            time: accepted.time,
            expiry: accepted.expiry,
            key: (&accepted.key).into(),
            block: accepted.block.to_vec(),
            outcomes: Vec::new(),
        }
    }
}

impl<'a> From<&'a Unfinished> for Accepted<'a> {
    fn from(message: &'a Unfinished) -> Self {
        Self {
            id: message.id,
            time: message.time,
            expiry: message.expiry,
            key: message.key.borrow(),
            block: &message.block,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Journal;
    use super::*;
    use proptest::prelude::*;
    use std::path::PathBuf;
    use std::time::Duration;
    use tempfile::TempDir;

    const TIME: u64 = 1_800_000_000_000;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(TIME) + Duration::from_secs(seconds)
    }

    fn message<'a>(id: u64, call_id: &'a str, block: &'a [u8]) -> Accepted<'a> {
        Accepted {
            id,
            time: TIME,
            expiry: 0,
            key: RequestKey {
                from_tag: b"9f2c",
                call_id: call_id.as_bytes(),
                cseq: 41,
                via: b"SIP/2.0/UDP h;branch=z9hG4bK1",
            },
            block,
        }
    }

    fn open(directory: &Path, seconds: u64) -> (Journal, Recovered) {
        Journal::open(directory, at(seconds)).unwrap()
    }

    fn ids(recovered: &Recovered) -> Vec<u64> {
        recovered
            .messages
            .iter()
            .map(|message| message.id)
            .collect()
    }

    /// The only segment of a directory.
    fn segment_of(directory: &Path) -> PathBuf {
        let [mark] = list(directory).unwrap()[..] else {
            panic!("not one segment in {}", directory.display());
        };
        directory.join(segment::name(mark))
    }

    fn aside(directory: &Path) -> usize {
        let files = std::fs::read_dir(directory).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".damaged")).count()
    }

    /// Five messages, of which the second is finished and the third has an outcome; with the ends
    /// of all records.
    fn five() -> (TempDir, PathBuf, Vec<usize>) {
        let directory = tempfile::tempdir().unwrap();
        let (journal, _) = open(directory.path(), 0);
        let path = segment_of(directory.path());
        let length = || std::fs::metadata(&path).unwrap().len() as usize;
        let mut writer = journal.writer().unwrap();
        let mut ends = vec![length()];
        for id in 1..=5 {
            writer.accept(&message(id, "c", &[id as u8; 20])).unwrap();
            ends.push(length());
        }
        writer.finished(2).unwrap();
        ends.push(length());
        let outcome = Outcome {
            recipient: 7,
            outcome: 1,
            code: 200,
        };
        writer.outcomes(3, &[outcome]).unwrap();
        ends.push(length());
        writer.sync().unwrap();
        (directory, path, ends)
    }

    /// A directory with this one segment of five().
    fn with(name: &Path, bytes: &[u8]) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(name.file_name().unwrap()), bytes).unwrap();
        directory
    }

    #[test]
    fn what_was_not_finished_is_there_after_a_restart_and_after_the_next() {
        let (directory, ..) = five();
        for _ in 0..3 {
            let (_journal, recovered) = open(directory.path(), 1);
            assert_eq!(ids(&recovered), [1, 3, 4, 5]);
            assert_eq!(recovered.notes, [""; 0]);
            let third = &recovered.messages[1];
            assert_eq!(Accepted::from(third), message(3, "c", &[3; 20]));
            assert_eq!(
                third.outcomes,
                [Outcome {
                    recipient: 7,
                    outcome: 1,
                    code: 200
                }]
            );
        }
    }

    #[test]
    fn of_a_withdrawn_message_not_even_its_transaction_is_known() {
        // Its client was not answered: what it sends again is new.
        let directory = tempfile::tempdir().unwrap();
        let (journal, _) = open(directory.path(), 0);
        let mut writer = journal.writer().unwrap();
        writer.accept(&message(1, "withdrawn", b"block")).unwrap();
        writer.accept(&message(2, "finished", b"block")).unwrap();
        writer.withdrawn(1).unwrap();
        writer.finished(2).unwrap();
        writer.sync().unwrap();
        drop((writer, journal));
        for _ in 0..2 {
            let (_journal, recovered) = open(directory.path(), 1);
            assert_eq!(ids(&recovered), [0; 0]);
            let [(_, key)] = &recovered.recent[..] else {
                panic!("{:?}", recovered.recent);
            };
            assert_eq!(key.borrow().call_id, b"finished");
        }
    }

    #[test]
    fn a_journal_cut_anywhere_keeps_all_records_before_the_cut() {
        let (_directory, path, ends) = five();
        let bytes = std::fs::read(&path).unwrap();
        for cut in 0..=bytes.len() {
            let garbage = [&[][..], &[0xff; 100], b"garbage"][cut % 3];
            let torn = with(&path, &[&bytes[..cut], garbage].concat());
            let (_journal, recovered) = open(torn.path(), 1);
            let records = ends
                .iter()
                .filter(|&&end| end <= cut)
                .count()
                .saturating_sub(1);
            let mut expected: Vec<u64> = (1..=records.min(5) as u64).collect();
            expected.retain(|&id| id != 2 || records < 6);
            assert_eq!(ids(&recovered), expected, "cut at {cut}");
            assert_eq!(aside(torn.path()), 0, "cut at {cut}");
        }
    }

    #[test]
    fn a_wrong_byte_anywhere_costs_one_record_and_the_file_is_kept() {
        let (_directory, path, ends) = five();
        let bytes = std::fs::read(&path).unwrap();
        for place in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[place] ^= 0x20;
            let damaged = with(&path, &bytes);
            let (_journal, recovered) = open(damaged.path(), 1);
            let hit = ends.iter().filter(|&&end| end <= place).count();
            let mut expected = vec![1, 3, 4, 5];
            expected.retain(|&id| id != hit as u64);
            if hit == 6 {
                // The end of the second message is lost: it is sent again rather than forgotten.
                expected.insert(1, 2);
            }
            assert_eq!(ids(&recovered), expected, "wrong byte {place}");
            let outcomes: usize = recovered
                .messages
                .iter()
                .map(|one| one.outcomes.len())
                .sum();
            assert_eq!(
                outcomes,
                usize::from(hit != 3 && hit != 7),
                "wrong byte {place}"
            );
            // What is wrong behind all records looks as a torn end does.
            assert_eq!(
                aside(damaged.path()),
                usize::from(hit != 7),
                "wrong byte {place}"
            );
            assert!(!recovered.notes.is_empty());
        }
    }

    #[test]
    fn a_crash_during_recovery_loses_nothing_and_doubles_nothing() {
        let (directory, path, _) = five();
        let bytes = std::fs::read(&path).unwrap();
        let (journal, _) = open(directory.path(), 1);
        drop(journal);
        // The old segment is still there.
        std::fs::write(&path, bytes).unwrap();
        let (_journal, recovered) = open(directory.path(), 1);
        assert_eq!(ids(&recovered), [1, 3, 4, 5]);
        assert_eq!(recovered.recent.len(), 1);
    }

    #[test]
    fn a_segment_of_another_format_is_kept_and_the_proxy_starts() {
        let (directory, path, _) = five();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[8] = 2;
        let checksum = crc32c::crc32c(&bytes[..24]);
        bytes[24..28].copy_from_slice(&checksum.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        let (_journal, recovered) = open(directory.path(), 1);
        assert_eq!(ids(&recovered), [0; 0]);
        assert_eq!(aside(directory.path()), 1);
        assert!(
            recovered.notes[0].contains("is of format 2"),
            "{:?}",
            recovered.notes
        );
    }

    #[test]
    fn a_segment_that_cannot_be_read_is_kept_and_the_proxy_starts() {
        let directory = tempfile::tempdir().unwrap();
        let mark = Mark { number: 3, run: 1 };
        std::fs::create_dir(directory.path().join(segment::name(mark))).unwrap();
        let (_journal, recovered) = open(directory.path(), 1);
        assert_eq!(aside(directory.path()), 1);
        assert!(
            recovered.notes[0].contains("cannot be read"),
            "{:?}",
            recovered.notes
        );
    }

    #[test]
    fn transactions_are_known_for_64_t1_whether_finished_or_not() {
        let directory = tempfile::tempdir().unwrap();
        let (journal, _) = open(directory.path(), 0);
        let mut writer = journal.writer().unwrap();
        writer.accept(&message(1, "one", b"")).unwrap();
        writer.accept(&message(2, "two", b"")).unwrap();
        writer.finished(2).unwrap();
        drop((journal, writer));
        for (seconds, expected) in [(1, 2), (31, 2), (33, 0)] {
            let (_journal, recovered) = open(directory.path(), seconds);
            let call_ids = recovered.recent.iter().map(|(time, key)| {
                assert_eq!(*time, TIME);
                key.borrow().call_id.to_vec()
            });
            assert_eq!(call_ids.collect::<Vec<_>>(), [b"one", b"two"][..expected]);
        }
    }

    #[test]
    fn more_than_a_segment_is_written_to_several() {
        let directory = tempfile::tempdir().unwrap();
        let (journal, _) = open(directory.path(), 0);
        let mut writer = journal.writer().unwrap();
        let block = vec![1; 3 << 20];
        for id in 0..20 {
            writer.accept(&message(id, "c", &block)).unwrap();
        }
        drop((journal, writer));
        let (journal, recovered) = open(directory.path(), 1);
        assert_eq!(ids(&recovered), (0..20).collect::<Vec<_>>());
        assert_eq!(list(directory.path()).unwrap().len(), 4);
        let mut writer = journal.writer().unwrap();
        writer.accept(&message(20, "c", &block)).unwrap();
        drop((journal, writer));
        let (_journal, recovered) = open(directory.path(), 1);
        assert_eq!(ids(&recovered), (0..21).collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_in_its_segments_let_the_proxy_start(
            segments in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..4),
        ) {
            let directory = tempfile::tempdir().unwrap();
            for (number, bytes) in segments.iter().enumerate() {
                let mark = Mark { number: number as u32, run: 5 };
                std::fs::write(directory.path().join(segment::name(mark)), bytes).unwrap();
            }
            let (journal, recovered) = open(directory.path(), 0);
            prop_assert!(recovered.messages.is_empty());
            journal.writer().unwrap().accept(&message(1, "c", b"")).unwrap();
        }
    }
}
