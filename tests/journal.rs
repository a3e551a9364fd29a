//! The journal under real processes: killed at any moment, none of what it said is safe is lost.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use cimf::control::recent::RequestKey;
use cimf::fanout::journal::{Accepted, Journal, Outcome, Recovered, SEGMENT_BYTES};
use cimf::fanout::shared_memory::SharedMemory;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant, SystemTime};

/// Runs `work` in a forked child, which ends with it.
fn fork(work: impl FnOnce()) -> i32 {
    // SAFETY: the child does its work, which takes no lock that another thread of this process may
    // hold, and leaves without unwinding into the test.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            libc::_exit(i32::from(done.is_err()));
        }
        child
    }
}

fn kill(child: i32) {
    // SAFETY: the child is ours and has not been waited for.
    unsafe { libc::kill(child, libc::SIGKILL) };
}

/// Waits for a child and returns its exit status, -1 if it was killed.
fn wait(child: i32) -> i32 {
    let mut status = 0;
    // SAFETY: the child is ours and is waited for once.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        -1
    }
}

fn open(directory: &Path) -> (Journal, Recovered) {
    Journal::open(directory, SystemTime::now()).unwrap()
}

fn message(id: u64, block: &[u8]) -> Accepted<'_> {
    Accepted {
        id,
        time: 1,
        expiry: 0,
        key: RequestKey {
            from_tag: b"9f2c",
            call_id: b"3b7a@client",
            cseq: 41,
            via: b"SIP/2.0/UDP h;branch=z9hG4bK1",
        },
        block,
    }
}

/// Bytes that only the message of this id has.
fn block(id: u64) -> Vec<u8> {
    let length = match id % 16 {
        0 => 150_000,
        other => 100 + 40 * other as usize,
    };
    id.to_le_bytes().into_iter().cycle().take(length).collect()
}

/// A small generator, so that a failure can be repeated by its round.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

const WORKERS: u64 = 4;

/// The words that a worker shares with the test: the last id that was safe, the last that it was
/// about to finish, the last whose outcome was written and then synced.
const WORDS: u64 = 3;

/// What a worker does until it is killed: each third message is finished, each other has an outcome.
fn work(journal: &Journal, memory: &SharedMemory, worker: u64) {
    let word = |word: u64| &memory.words()[(worker * WORDS + word) as usize];
    let mut writer = journal.writer().unwrap();
    for number in 1.. {
        let id = worker << 32 | number;
        writer.accept(&message(id, &block(id))).unwrap();
        word(0).store(number, SeqCst);
        if number % 3 == 0 {
            word(1).store(number, SeqCst);
            writer.finished(id).unwrap();
        } else {
            let outcome = Outcome {
                recipient: 9,
                outcome: 1,
                code: 200,
            };
            writer.outcomes(id, &[outcome]).unwrap();
            if number % 8 == 0 {
                writer.sync().unwrap();
                word(2).store(number, SeqCst);
            }
        }
    }
}

/// The segments of a directory with their numbers.
fn segments(directory: &Path) -> BTreeMap<u32, PathBuf> {
    let files = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap());
    let numbered = files.filter_map(|file| {
        let name = file.file_name().into_string().unwrap();
        let number = name.strip_prefix("segment-")?.get(..10)?.parse().ok()?;
        name.ends_with(".journal").then_some((number, file.path()))
    });
    numbered.collect()
}

/// What becomes of the bytes that were not synced.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Nothing,
    Cut,
    Zeros,
    Garbage,
}

/// Takes away from a journal what no sync has brought to the disk.
fn lose(directory: &Path, segment: u32, synced: u64, loss: Loss) {
    for (&number, path) in segments(directory).range(segment..) {
        let kept = if number == segment { synced } else { 0 };
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let length = file.metadata().unwrap().len();
        let rest = length.saturating_sub(kept) as usize;
        match loss {
            Loss::Nothing => {}
            Loss::Cut => file.set_len(kept).unwrap(),
            Loss::Zeros => file.write_all_at(&vec![0; rest], kept).unwrap(),
            Loss::Garbage => {
                let garbage: Vec<u8> = (0..rest).map(|byte| (byte * 31) as u8).collect();
                file.write_all_at(&garbage, kept).unwrap();
            }
        }
    }
}

#[test]
fn of_100_proxies_killed_at_any_moment_none_forgets_what_was_safe() {
    let start = Instant::now();
    let mut dice = Dice(2026);
    let (mut safe, mut rotated) = (0, 0);
    for round in 0..100 {
        let directory = tempfile::tempdir().unwrap();
        let (journal, _) = open(directory.path());
        let memory = SharedMemory::new((WORKERS * WORDS) as usize).unwrap();
        if dice.roll(2) == 0 {
            // So that the segment is soon full.
            let large = vec![0; SEGMENT_BYTES as usize - 10_000];
            let mut writer = journal.writer().unwrap();
            writer.accept(&message(0, &large)).unwrap();
            writer.finished(0).unwrap();
        }
        let workers = (0..WORKERS).map(|worker| fork(|| work(&journal, &memory, worker)));
        let mut children: Vec<i32> = workers.collect();
        // Deletes what is finished as if each call came 40 seconds after the last.
        children.push(fork(|| {
            let mut maintainer = journal.maintainer().unwrap();
            let mut now = Instant::now();
            loop {
                maintainer.maintain(now).unwrap();
                now += Duration::from_secs(40);
                std::thread::sleep(Duration::from_millis(2));
            }
        }));
        std::thread::sleep(Duration::from_micros(dice.roll(120_000)));
        children.iter().for_each(|&child| kill(child));
        let statuses = children.into_iter().map(wait);
        assert!(
            statuses.into_iter().all(|status| status == -1),
            "round {round}: one failed by itself"
        );

        let figures = journal.figures();
        assert!(figures.longest_wait <= 2, "round {round}: {figures:?}");
        rotated += u32::from(figures.synced.segment() > 1);
        drop(journal);
        let loss = [Loss::Nothing, Loss::Cut, Loss::Zeros, Loss::Garbage][round % 4];
        lose(
            directory.path(),
            figures.synced.segment(),
            figures.synced.byte(),
            loss,
        );

        let (_journal, recovered) = open(directory.path());
        let found: BTreeMap<_, _> = recovered.messages.iter().map(|one| (one.id, one)).collect();
        for worker in 0..WORKERS {
            let word = |word| memory.words()[(worker * WORDS + word) as usize].load(SeqCst);
            let told = format!("round {round}, {loss:?}, worker {worker}");
            for number in (1..=word(0)).filter(|number| number % 3 != 0) {
                let id = worker << 32 | number;
                let message = found.get(&id);
                let message = message.unwrap_or_else(|| panic!("{told}: {number} is lost"));
                assert_eq!(message.block, block(id), "{told}");
                let has_outcome = !message.outcomes.is_empty();
                assert!(
                    has_outcome || number > word(2),
                    "{told}: outcome of {number} is lost"
                );
                safe += 1;
            }
            // What was safely finished before the last sync of this worker does not come back.
            for number in (1..=word(1)).filter(|number| number % 3 == 0 && *number < word(0)) {
                let id = worker << 32 | number;
                assert!(!found.contains_key(&id), "{told}: {number} was finished");
            }
        }
    }
    println!(
        "{safe} safe messages, {rotated} rounds with several segments, {:?}",
        start.elapsed()
    );
    assert!(safe > 1_000, "only {safe} messages were safe");
    assert!(
        rotated > 5,
        "only {rotated} rounds had more than one segment"
    );
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn many_processes_share_a_sync_and_none_waits_for_more_than_two() {
    const PROCESSES: u64 = 8;
    const COMMITS: u64 = 400;
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path());
    let children = (0..PROCESSES).map(|process| {
        fork(|| {
            let mut writer = journal.writer().unwrap();
            for number in 0..COMMITS {
                writer
                    .accept(&message(process << 32 | number, b"block"))
                    .unwrap();
            }
        })
    });
    let children: Vec<i32> = children.collect();
    assert!(children.into_iter().all(|child| wait(child) == 0));
    let figures = journal.figures();
    println!("{figures:?}");
    assert_eq!(figures.commits, PROCESSES * COMMITS);
    assert!(figures.syncs * 4 < figures.commits * 3, "{figures:?}");
    assert!((1..=2).contains(&figures.longest_wait), "{figures:?}");
    drop(journal);
    assert_eq!(
        open(directory.path()).1.messages.len() as u64,
        PROCESSES * COMMITS
    );
}

#[test]
fn a_process_that_dies_while_it_leads_holds_nobody_up() {
    let mut dice = Dice(7);
    for round in 0..40 {
        let directory = tempfile::tempdir().unwrap();
        let (journal, _) = open(directory.path());
        let children = (0..4).map(|process| {
            fork(|| {
                let mut writer = journal.writer().unwrap();
                // The first never comes to an end.
                let numbers = 0..if process == 0 { u64::MAX } else { 100 };
                for number in numbers {
                    writer
                        .accept(&message(process << 32 | number, b"block"))
                        .unwrap();
                }
            })
        });
        let children: Vec<i32> = children.collect();
        std::thread::sleep(Duration::from_micros(dice.roll(15_000)));
        let start = Instant::now();
        kill(children[0]);
        for &child in &children[1..] {
            assert_eq!(wait(child), 0);
        }
        assert_eq!(wait(children[0]), -1);
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "round {round}: {:?}",
            start.elapsed()
        );
        assert!(journal.figures().longest_wait <= 2);
    }
}

#[test]
fn a_writer_that_is_used_after_a_fork_takes_part_on_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path());
    let mut writer = journal.writer().unwrap();
    writer.accept(&message(0, b"block")).unwrap();
    let children = (1..5).map(|process| {
        let writer = &mut writer;
        fork(move || {
            for number in 0..200 {
                writer
                    .accept(&message(process << 32 | number, b"block"))
                    .unwrap();
            }
        })
    });
    let children: Vec<i32> = children.collect();
    assert!(children.into_iter().all(|child| wait(child) == 0));
    assert!(journal.figures().longest_wait <= 2);
    drop((journal, writer));
    assert_eq!(open(directory.path()).1.messages.len(), 801);
}

#[test]
fn a_full_disk_is_an_error_and_room_makes_it_work_again() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path());
    let child = fork(|| {
        let limit = |bytes| {
            let limit = libc::rlimit {
                rlim_cur: bytes,
                rlim_max: libc::RLIM_INFINITY,
            };
            // SAFETY: the signal is only ignored and the limit read from a local.
            unsafe {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
            }
        };
        let mut writer = journal.writer().unwrap();
        writer.accept(&message(1, b"block")).unwrap();
        limit(2_000);
        // The first is written in part, the second not at all.
        for id in [2, 3] {
            let error = writer
                .accept(&message(id, &[7; 3_000]))
                .unwrap_err()
                .to_string();
            assert!(error.starts_with("cannot append to "), "{error}");
        }
        limit(libc::RLIM_INFINITY);
        writer.accept(&message(4, &[7; 3_000])).unwrap();
    });
    assert_eq!(wait(child), 0);
    drop(journal);
    let (_journal, recovered) = open(directory.path());
    let ids: Vec<_> = recovered.messages.iter().map(|one| one.id).collect();
    assert_eq!(ids, [1, 4]);
}

/// Opens the journal in a child that stays until it is killed; returns when it has it.
fn hold(directory: &Path, also: impl FnOnce()) -> i32 {
    let child = fork(|| {
        let (journal, _) = open(directory);
        also();
        File::create(directory.join("ready")).unwrap();
        std::thread::sleep(Duration::from_secs(600));
        drop(journal);
    });
    let start = Instant::now();
    while !directory.join("ready").exists() {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

#[test]
fn of_two_proxies_on_one_directory_the_second_is_told_of_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let first = hold(directory.path(), || ());
    let error = Journal::open(directory.path(), SystemTime::now())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("is in use by process {first}: ")),
        "{error}"
    );
    kill(first);
    wait(first);
    open(directory.path());
}

#[test]
fn a_worker_that_outlives_its_proxy_keeps_the_next_one_out() {
    let directory = tempfile::tempdir().unwrap();
    let memory = SharedMemory::new(1).unwrap();
    let first = hold(directory.path(), || {
        let worker = fork(|| std::thread::sleep(Duration::from_secs(600)));
        memory.words()[0].store(worker as u64, SeqCst);
    });
    kill(first);
    wait(first);
    let error = Journal::open(directory.path(), SystemTime::now())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("that proxy {first} has left behind")),
        "{error}"
    );
    // Not our child any more: nobody waits for it but init.
    kill(memory.words()[0].load(SeqCst) as i32);
    open(directory.path());
}
