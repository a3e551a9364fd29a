//! A ledger that is killed while it commits for many, and whose power is cut then.

use super::messages::{body, delivered, kept, open, promise, unfinished};
use super::power::{LOSSES, cut, has_synced};
use super::processes::{Dice, alone, fork, kill, wait};
use cimf::fanout::shared_memory::SharedMemory;
use cimf::ledger::{CommitMode, Entry, Ledger, LedgerFile, Reader};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const ROUNDS: usize = 300;
/// How long a loaded machine may take until the first message is safe.
const GENEROUS: Duration = Duration::from_secs(30);

/// The words that the process that commits shares with the test.
const SAFE: usize = 0;
/// The last whose outcome, kept copy or end was synced.
const SAFELY_ENDED: usize = 1;
/// The last that it was about to finish.
const ENDING: usize = 2;
/// The log when the last synced commit had returned: which it was, as it begins anew now and then, in the upper half,
/// and its frames in the lower. They are one word, as a kill may come between any two.
const LOG: usize = 3;

/// What becomes of a message: each third is finished, each third is kept for a member, each third has an outcome.
fn fate<'a>(number: u64) -> Entry<'a> {
    match number % 3 {
        0 => Entry::Finished { id: number },
        1 => kept(number),
        _ => delivered(number),
    }
}

/// Commits for one to four messages at a time until it is killed.
fn commit(file: &LedgerFile, memory: &SharedMemory, seed: u64) {
    let word = |word: usize| &memory.words()[word];
    let mut dice = Dice(seed);
    let mut ledger = file.writer().unwrap();
    let frames = Connection::open(file.path()).unwrap();
    let frames = || {
        let sql = "PRAGMA wal_checkpoint(NOOP)";
        let count = frames.query_row(sql, [], |row| row.get::<_, i64>(1));
        count.unwrap().unsigned_abs()
    };
    let (mut number, mut ended) = (0, 0);
    loop {
        let count = 1 + dice.roll(4);
        let bodies: Vec<(u64, Vec<u8>)> = (number + 1..=number + count)
            .map(|id| (id, body(id)))
            .collect();
        let promises = bodies.iter().map(|(id, body)| promise(*id, body));
        // What happened to those before goes with them, or alone and without a sync.
        let alone = dice.roll(3) == 0;
        let fates = (ended + 1..=number).map(fate);
        word(ENDING).store(number, SeqCst);
        has_synced();
        if alone {
            let entries: Vec<Entry<'_>> = fates.collect();
            ledger.commit(&entries, CommitMode::Soon).unwrap();
            has_synced();
            let entries: Vec<Entry<'_>> = promises.collect();
            ledger.commit(&entries, CommitMode::Synced).unwrap();
        } else {
            let entries: Vec<Entry<'_>> = promises.chain(fates).collect();
            ledger.commit(&entries, CommitMode::Synced).unwrap();
        }
        ended = number;
        number += count;
        // A crash between these is one in the commit, whose promises nobody was told of.
        if has_synced() {
            word(LOG).store(log_of(file.path()) << 32 | frames(), SeqCst);
        }
        word(SAFELY_ENDED).store(ended, SeqCst);
        word(SAFE).store(number, SeqCst);
        if dice.roll(8) == 0 {
            // Twice, so that the log is brought into the file; it begins anew with the next commit then.
            for _ in 0..2 {
                ledger.tend(1_700_000_000_000).unwrap();
            }
        }
    }
}

/// Reads as the other processes of the proxy do.
fn look(file: &LedgerFile) {
    let mut reader = file.reader().unwrap();
    loop {
        let mut last = 0;
        for kept in reader.kept_of(1, 10).unwrap() {
            assert!(kept.message > last && kept.message % 3 == 1);
            last = kept.message;
            let found = reader.kept_message(kept.id).unwrap().unwrap();
            assert_eq!(found.message.body, body(kept.message));
        }
        reader.figures().unwrap();
    }
}

fn wait_until_one_is_safe(memory: &SharedMemory) {
    let start = Instant::now();
    while memory.words()[SAFE].load(SeqCst) == 0 {
        assert!(start.elapsed() < GENEROUS, "no message was safe in time");
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn of_300_ledgers_killed_at_any_moment_none_forgets_what_was_safe() {
    let _alone = alone();
    let start = Instant::now();
    let mut dice = Dice(2026);
    let (mut safe, mut cut_bytes, mut spoilt_pages, mut anew) = (0, 0, 0, 0);
    for round in 0..ROUNDS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let memory = SharedMemory::new(4).unwrap();
        let file = open(&path);
        let seed = dice.roll(1 << 30);
        let children = [fork(|| commit(&file, &memory, seed)), fork(|| look(&file))];
        // Some are killed while they begin, with nothing that is safe yet.
        if round % 11 > 0 {
            wait_until_one_is_safe(&memory);
        }
        std::thread::sleep(Duration::from_micros(dice.roll(60_000)));
        children.iter().for_each(|&child| kill(child));
        for child in children {
            assert_eq!(wait(child), -1, "round {round}: one failed by itself");
        }
        drop(file);
        let word = |word: usize| memory.words()[word].load(SeqCst);
        let loss = LOSSES[round % LOSSES.len()];
        // If the log has begun anew since the frames were counted, all that was safe is in the file.
        let (log, frames) = (word(LOG) >> 32, word(LOG) & u64::from(u32::MAX));
        let is_same = log_of(&path) == log;
        let frames = if is_same { frames } else { 0 };
        anew += u64::from(!is_same);
        let (bytes, pages) = cut(&path, frames, loss, &mut dice);
        cut_bytes += bytes;
        spoilt_pages += pages;

        let told = format!("round {round}, {loss:?}, {frames} frames");
        let file = open(&path);
        let found: BTreeMap<u64, _> = unfinished(&file)
            .into_iter()
            .map(|one| (one.message.id, one))
            .collect();
        let mut reader = file.reader().unwrap();
        let kept: Vec<u64> = reader
            .kept_of(1, usize::MAX >> 1)
            .unwrap()
            .iter()
            .map(|kept| kept.message)
            .collect();
        for number in 1..=word(SAFE) {
            let (is_safely_ended, is_ending) =
                (number <= word(SAFELY_ENDED), number <= word(ENDING));
            let Some(message) = found.get(&number) else {
                let may_be_finished = number % 3 == 0 && is_ending;
                assert!(may_be_finished, "{told}: {number} is lost");
                continue;
            };
            assert_eq!(message.message.body, body(number), "{told}");
            if is_safely_ended {
                let is_there = match number % 3 {
                    0 => false,
                    1 => kept.contains(&number),
                    _ => message.outcomes.len() == 1,
                };
                assert!(is_there, "{told}: what became of {number} is lost");
            }
            safe += 1;
        }
        assert!(kept.is_sorted_by(|one, other| one < other), "{told}");
        // It goes on.
        let mut ledger = file.writer().unwrap();
        let next = 1 << 40;
        ledger
            .commit(&[promise(next, b"next")], CommitMode::Synced)
            .unwrap();
    }
    println!(
        "{safe} safe messages, {cut_bytes} bytes of logs cut, {spoilt_pages} pages of files spoilt, {anew} logs begun \
         anew, {:?}",
        start.elapsed()
    );
    assert!(safe > 250, "only {safe} messages were safe");
    assert!(cut_bytes > 100_000, "only {cut_bytes} bytes were cut");
    assert!(spoilt_pages > 100, "only {spoilt_pages} pages were spoilt");
}

/// The first salt in the head of the log, which is one more each time that it begins anew.
fn log_of(path: &Path) -> u64 {
    // SQLite has no lock on the log, so that it may be opened and closed.
    let log = std::fs::read(path.with_extension("db-wal")).unwrap_or_default();
    let salt = log.get(16..20).and_then(|salt| salt.try_into().ok());
    salt.map_or(0, |salt| u64::from(u32::from_be_bytes(salt)))
}
