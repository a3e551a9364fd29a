//! How one process appends records and gets them to the disk.
//!
//! Appending takes no lock. A record that was written while the segment was replaced is written
//! again to the next one: the segment is replaced first and synced for the last time then, so a
//! record whose segment was still the current one after the write is in that sync.
//!
//! Of those who wait for a sync, one leads: it holds an exclusive lock on a file, which the kernel
//! takes from a process that dies. The others sleep on a shared word until its turn is over. A
//! record written before a sync began is in it, and whoever is left over leads the next: nobody
//! waits for more than two.

use super::entry::{Accepted, Entry, Outcome};
use super::error::JournalError;
use super::segment::{self, SEGMENT_BYTES};
use super::shared::{Position, Shared};
use smallvec::SmallVec;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The file whose lock is the leadership.
const LEADER: &str = "leader.lock";

/// How long one sleeps before looking whether the leader is still there.
const PATIENCE: Duration = Duration::from_millis(20);

/// The journal of one process, to be made after the fork.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    /// The process that has opened the files. In a child of it they would be shared with it, and
    /// with them the leadership.
    process: u32,
    leader: File,
    current: Option<(u32, File)>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, JournalError> {
        let leader = open_leader(&shared)?;
        Ok(Self {
            shared,
            process: std::process::id(),
            leader,
            current: None,
        })
    }

    /// Writes that a message is accepted, and returns when that is on disk. After an error it must
    /// not be answered 202; a crash will not bring it back unless that cannot be written either.
    pub fn accept(&mut self, accepted: &Accepted<'_>) -> Result<(), JournalError> {
        let position = self.write(&Entry::Accepted(*accepted))?;
        let synced = self.sync_to(position);
        if synced.is_ok() {
            self.shared.count_stored();
        } else {
            // It may reach the disk all the same. A failure of this is logged where it happens.
            let _ = self.withdrawn(accepted.id);
        }
        synced
    }

    /// Writes outcomes of a message; they reach the disk with the next sync.
    pub fn outcomes(&mut self, id: u64, outcomes: &[Outcome]) -> Result<(), JournalError> {
        let outcomes = outcomes.to_vec();
        self.write(&Entry::Outcomes { id, outcomes }).map(drop)
    }

    /// Writes that nothing is left to do for a message; it reaches the disk with the next sync.
    pub fn finished(&mut self, id: u64) -> Result<(), JournalError> {
        self.write(&Entry::Finished { id }).map(drop)
    }

    /// Writes that a message was not answered 202 after all; it reaches the disk with the next sync.
    pub fn withdrawn(&mut self, id: u64) -> Result<(), JournalError> {
        self.write(&Entry::Withdrawn { id }).map(drop)
    }

    pub(super) fn write(&mut self, entry: &Entry<'_>) -> Result<Position, JournalError> {
        self.append(entry.kind(), &[&entry.encode(), entry.block()])
    }

    /// Appends a record whose bytes are `parts`, one behind the other. It is on disk only after
    /// [`Self::sync_to`]. At most 1,000 parts.
    pub fn append(&mut self, kind: u8, parts: &[&[u8]]) -> Result<Position, JournalError> {
        let appended = self.append_quietly(kind, parts);
        if let Err(error) = &appended {
            self.complain(error);
        }
        appended
    }

    fn append_quietly(&mut self, kind: u8, parts: &[&[u8]]) -> Result<Position, JournalError> {
        self.notice_fork()?;
        let bytes = parts.iter().map(|part| part.len()).sum();
        loop {
            let number = self.usable_segment()?;
            let head = self.shared.mark(number).head(kind, parts);
            let head = head.ok_or(JournalError::TooLarge { bytes })?;
            let slices = [&head[..]].into_iter().chain(parts.iter().copied());
            let slices: SmallVec<[IoSlice<'_>; 4]> = slices.map(IoSlice::new).collect();
            let written = self
                .file(number)
                .and_then(|file| write_whole(file, &slices));
            let end = written.map_err(JournalError::io("append to", &self.path(number)))?;
            if self.shared.current() == number {
                return Position::new(number, end).ok_or(JournalError::TooLarge { bytes });
            }
        }
    }

    /// Returns when all records up to `position` are on disk. After an error this one may be lost.
    pub fn sync_to(&mut self, position: Position) -> Result<(), JournalError> {
        self.notice_fork()?;
        let before = self.shared.rounds();
        loop {
            let turn = self.shared.turn();
            match self.shared.verdict(position) {
                Some(true) => {
                    self.shared.count_commit(position, before);
                    return Ok(());
                }
                Some(false) => {
                    return Err(self.not_synced());
                }
                None => {}
            }
            match self.leader.try_lock() {
                Ok(()) => self.lead(|writer| {
                    // A round may have ended since it was looked.
                    if writer.shared.verdict(position).is_none() {
                        writer.round();
                    }
                })?,
                Err(TryLockError::WouldBlock) => self.shared.wait(turn, PATIENCE),
                Err(TryLockError::Error(source)) => {
                    return Err(JournalError::io("lock", &self.leader_path())(source));
                }
            }
        }
    }

    /// Brings all to the disk that has been appended so far.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.notice_fork()?;
        let number = self.shared.current();
        let length = self
            .file(number)
            .and_then(|file| Ok(file.metadata()?.len()));
        let length = length.map_err(JournalError::io("open", &self.path(number)))?;
        Position::new(number, length).map_or(Ok(()), |end| self.sync_to(end))
    }

    /// Does `work` as the leader, whose lock is held, and gives the leadership up.
    fn lead<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Result<T, JournalError> {
        let done = work(self);
        let unlocked = self.leader.unlock();
        // After the lock: those who wake must find it free.
        self.shared.end_turn();
        unlocked.map_err(JournalError::io("unlock", &self.leader_path()))?;
        Ok(done)
    }

    /// Syncs all that is appended, or gives up the segment that cannot be synced. For the leader only.
    fn round(&mut self) {
        if self.is_full() && self.shared.may_advance() {
            self.advance_or_complain();
        }
        // More than one if the segment was just replaced, or if a leader died after that.
        for number in self.shared.synced().segment()..=self.shared.current() {
            if self.shared.is_given_up(number) {
                continue;
            }
            match self.sync_segment(number) {
                Ok(end) => self.shared.set_synced(end),
                Err(error) => {
                    self.shared.give_up(number, &error);
                    let path = self.path(number);
                    self.complain(&JournalError::io("sync", &path)(error));
                }
            }
        }
        if self.shared.is_given_up(self.shared.current()) && self.shared.may_advance() {
            self.advance_or_complain();
        }
        self.shared.end_round();
    }

    fn sync_segment(&mut self, number: u32) -> io::Result<Position> {
        let file = self.file(number)?;
        // Before the sync: what is written during it may not be in it.
        let end = file.metadata()?.len();
        file.sync_data()?;
        self.shared.count_sync();
        Position::new(number, end).ok_or_else(|| io::ErrorKind::FileTooLarge.into())
    }

    fn is_full(&mut self) -> bool {
        let file = self.file(self.shared.current());
        let length = file.and_then(|file| Ok(file.metadata()?.len()));
        length.is_ok_and(|length| length >= SEGMENT_BYTES)
    }

    /// Lets records go to a new segment. For the leader only.
    fn advance(&mut self) -> Result<(), JournalError> {
        let next = self.shared.current() + 1;
        if self.shared.spare() < next {
            let made = segment::make(&self.shared.directory, self.shared.mark(next));
            made.inspect_err(|_| self.shared.note_failure())?;
            self.shared.set_spare(next);
        }
        self.shared.set_current(next);
        Ok(())
    }

    fn advance_or_complain(&mut self) {
        if let Err(error) = self.advance() {
            self.complain(&error);
        }
    }

    fn complain(&self, error: &JournalError) {
        if self.shared.may_complain() {
            log::error!("journal: {error}");
        }
    }

    /// The segment to append to. If it was given up and could not be replaced then, it is now.
    fn usable_segment(&mut self) -> Result<u32, JournalError> {
        if self.shared.is_given_up(self.shared.current()) {
            let locked = self.leader.lock();
            locked.map_err(JournalError::io("lock", &self.leader_path()))?;
            self.lead(|writer| {
                let shared = &writer.shared;
                if !shared.is_given_up(shared.current()) {
                    return Ok(());
                }
                if !shared.may_advance() {
                    return Err(writer.not_synced());
                }
                writer.advance()
            })??;
        }
        Ok(self.shared.current())
    }

    fn not_synced(&self) -> JournalError {
        JournalError::NotSynced {
            directory: self.shared.directory.clone(),
            source: self.shared.error(),
        }
    }

    /// This process's own opening of a segment.
    fn file(&mut self, number: u32) -> io::Result<&File> {
        let kept = self.current.take().filter(|(open, _)| *open == number);
        let file = match kept {
            Some((_, file)) => file,
            None => segment::open(&self.shared.directory, self.shared.mark(number))?,
        };
        Ok(&self.current.insert((number, file)).1)
    }

    /// Opens all files anew in a child of the process that made this.
    fn notice_fork(&mut self) -> Result<(), JournalError> {
        if self.process != std::process::id() {
            *self = Self::new(self.shared.clone())?;
        }
        Ok(())
    }

    fn path(&self, number: u32) -> PathBuf {
        let name = segment::name(self.shared.mark(number));
        self.shared.directory.join(name)
    }

    fn leader_path(&self) -> PathBuf {
        self.shared.directory.join(LEADER)
    }
}

fn open_leader(shared: &Shared) -> Result<File, JournalError> {
    let path = shared.directory.join(LEADER);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(&path).map_err(JournalError::io("open", &path))
}

/// Writes all slices at once behind all that is there, and returns where they end.
fn write_whole(mut file: &File, slices: &[IoSlice<'_>]) -> io::Result<u64> {
    let whole: usize = slices.iter().map(|slice| slice.len()).sum();
    loop {
        match file.write_vectored(slices) {
            Ok(written) if written == whole => return file.stream_position(),
            // The rest would stand behind records of others. The reader skips such a piece.
            Ok(written) => {
                let text = format!("only {written} of {whole} bytes fit: is the disk full?");
                return Err(io::Error::new(io::ErrorKind::StorageFull, text));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Journal;
    use super::*;
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::time::SystemTime;

    fn journal() -> (tempfile::TempDir, Journal) {
        let directory = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(directory.path(), SystemTime::now()).unwrap();
        (directory, journal)
    }

    fn finished(directory: &tempfile::TempDir) -> usize {
        let mut found = 0;
        for file in std::fs::read_dir(directory.path()).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            let Some(mark) = segment::parse_name(&name) else {
                continue;
            };
            let bytes = std::fs::read(file.path()).unwrap();
            let records = super::super::Records::new(&bytes, segment::HEAD, mark);
            found += records.count();
        }
        found
    }

    #[test]
    fn a_position_is_synced_by_the_sync_of_a_later_one() {
        let (_directory, journal) = journal();
        let (mut one, mut two) = (journal.writer().unwrap(), journal.writer().unwrap());
        let first = one.append(3, &[b"first"]).unwrap();
        let second = two.append(3, &[b"sec", b"ond"]).unwrap();
        assert!(first < second);
        assert!(journal.figures().synced < first);
        two.sync_to(second).unwrap();
        one.sync_to(first).unwrap();
        let figures = journal.figures();
        assert_eq!(figures.synced, second);
        assert_eq!((figures.syncs, figures.commits), (1, 2));
    }

    #[test]
    fn a_failed_sync_is_an_error_to_all_who_wait_and_the_next_segment_works() {
        let (directory, journal) = journal();
        let (mut one, mut two) = (journal.writer().unwrap(), journal.writer().unwrap());
        let safe = one.append(3, &[b"safe"]).unwrap();
        one.sync_to(safe).unwrap();
        let lost = one.append(3, &[b"lost"]).unwrap();
        let also = two.append(3, &[b"also lost"]).unwrap();
        // A file that cannot be synced.
        one.current = Some((lost.segment(), File::open("/dev/null").unwrap()));
        let error = one.sync_to(lost).unwrap_err().to_string();
        assert!(
            error.contains("could not be synced: Invalid argument"),
            "{error}"
        );
        two.sync_to(also).unwrap_err();
        two.sync_to(lost).unwrap_err();
        two.sync_to(safe).unwrap();
        for writer in [&mut one, &mut two] {
            let next = writer.append(3, &[b"next"]).unwrap();
            assert!(next.segment() > lost.segment());
            writer.sync_to(next).unwrap();
            writer.sync_to(lost).unwrap_err();
        }
        assert_eq!(finished(&directory), 5);
    }

    #[test]
    fn without_a_next_segment_nothing_is_taken_until_there_is_one() {
        let (directory, journal) = journal();
        let mut writer = journal.writer().unwrap();
        let lost = writer.append(3, &[b"lost"]).unwrap();
        writer.current = Some((lost.segment(), File::open("/dev/null").unwrap()));
        // Where the next one would be made.
        let mark = journal.shared.mark(lost.segment() + 1);
        let name = format!("{}.{}.new", segment::name(mark), std::process::id());
        let obstacle = directory.path().join(name);
        std::fs::create_dir(&obstacle).unwrap();
        writer.sync_to(lost).unwrap_err();
        for _ in 0..3 {
            writer.append(3, &[b"refused"]).unwrap_err();
        }
        std::fs::remove_dir(&obstacle).unwrap();
        std::thread::sleep(Duration::from_millis(150));
        let next = writer.append(3, &[b"next"]).unwrap();
        writer.sync_to(next).unwrap();
    }

    #[test]
    fn a_leader_that_died_between_two_segments_leaves_nothing_unsynced() {
        let (_directory, journal) = journal();
        let mut writer = journal.writer().unwrap();
        let first = writer.append(3, &[b"first"]).unwrap();
        // It has replaced the segment and died before it synced the last one.
        writer.advance().unwrap();
        let second = writer.append(3, &[b"second"]).unwrap();
        assert!(second.segment() > first.segment());
        assert_eq!(journal.shared.verdict(first), None);
        writer.sync_to(second).unwrap();
        assert_eq!(journal.figures().syncs, 2);
        writer.sync_to(first).unwrap();
    }

    #[test]
    fn a_segment_is_followed_by_the_next_at_its_size() {
        let (_directory, journal) = journal();
        let mut writer = journal.writer().unwrap();
        let block = vec![0; 1 << 20];
        let positions = (0..40).map(|_| {
            let position = writer.append(1, &[&block]).unwrap();
            writer.sync_to(position).unwrap();
            position
        });
        let positions: Vec<_> = positions.collect();
        assert!(positions.is_sorted());
        let numbers: Vec<_> = positions.iter().map(|one| one.segment()).collect();
        assert_eq!(
            (numbers[0], numbers[15], numbers[16], numbers[39]),
            (1, 1, 2, 3)
        );
    }

    #[test]
    fn a_record_that_comes_too_late_for_its_segment_is_written_to_the_next() {
        const REPLACEMENTS: usize = 400;
        let (_directory, journal) = journal();
        let done = AtomicBool::new(false);
        let append = || {
            let mut writer = journal.writer().unwrap();
            let mut positions = Vec::new();
            while !done.load(Relaxed) {
                positions.push(writer.append(3, &[b"record"]).unwrap());
            }
            positions
        };
        // The length of each segment once it was replaced: what is later is in no sync of it.
        let replace = || {
            let mut writer = journal.writer().unwrap();
            let lengths = (0..REPLACEMENTS).map(|_| {
                let number = journal.shared.current();
                writer.file(number).unwrap();
                writer.lead(Writer::advance).unwrap().unwrap();
                let length = writer.file(number).unwrap().metadata().unwrap().len();
                (number, length)
            });
            let lengths: HashMap<u32, u64> = lengths.collect();
            done.store(true, Relaxed);
            lengths
        };
        let (positions, lengths) = std::thread::scope(|scope| {
            let threads = [(); 3].map(|()| scope.spawn(append));
            let lengths = replace();
            let positions = threads.map(|thread| thread.join().unwrap());
            (positions.concat(), lengths)
        });
        for position in &positions {
            let length = lengths.get(&position.segment());
            assert!(
                length.is_none_or(|&length| position.byte() <= length),
                "{position:?}"
            );
        }
        assert!(positions.len() > REPLACEMENTS);
    }
}
