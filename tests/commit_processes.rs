//! The hand-over to the process that writes the ledger, in real processes (S-5): each that waits is told, in time, and
//! one that dies or is stopped holds nobody up.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/forked.rs"]
mod forked;
#[path = "support/sample.rs"]
mod sample;

use cimf::config::Settings;
use cimf::control::Own;
use cimf::fanout::shared_memory::SharedMemory;
use cimf::fanout::{Counters, Engine, NotCommitted, Notes, SLOTS, Submission, Ticket, Told};
use forked::{fork, wait_for};
use sample::{NOW, submission};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the workers wait that are to wait in vain.
const SHORT: Duration = Duration::from_millis(100);
const WORKERS: u64 = 4;

/// Notes in memory that all processes share.
struct SharedNotes(SharedMemory);

impl SharedNotes {
    fn new() -> Self {
        Self(SharedMemory::new(SLOTS).unwrap())
    }

    fn all(&self) -> Vec<u64> {
        let notes = self.0.words().iter().map(|word| word.load(SeqCst));
        notes.filter(|&id| id != 0).collect()
    }
}

impl Notes for SharedNotes {
    fn note(&self, place: usize, id: u64) {
        self.0.words()[place].store(id, SeqCst);
    }
}

fn engine() -> Engine {
    let limits = Settings {
        queue_memory: 1,
        queue_messages: 1000,
        forks_in_flight: 20,
        patience: 0,
        target_order: true,
        target_queue: 1000,
        queue_lifetime: 600,
        quota_originator: None,
        quota_group: None,
        rate: 0,
        ..Settings::new()
    };
    Engine::new(limits, [7; 16], Arc::new(Counters::new().unwrap())).unwrap()
}

fn reserve<'e>(engine: &'e Engine, body: &str) -> Ticket<'e> {
    let submission = Submission {
        body: body.as_bytes(),
        request: b"the request",
        ..submission()
    };
    let own = || [Own::plain(b"sip:a@h"), Own::plain(b"sip:b@h")].into_iter();
    engine.reserve(&submission, own, NOW).unwrap()
}

/// Hands a message over with this number, of which its body tells too; without a wish to send it.
fn commit(
    engine: &Engine,
    notes: &SharedNotes,
    id: u64,
    patience: Duration,
) -> Result<(), NotCommitted> {
    let ticket = reserve(engine, &format!("message {id}"));
    engine.commit(ticket, id, patience, notes).map(drop)
}

fn kill(child: libc::pid_t) {
    // SAFETY: the child is ours and was not waited for.
    unsafe { libc::kill(child, libc::SIGKILL) };
    wait_for(child);
}

/// Asks again and again until there is an answer.
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
}

/// Withdraws all that was given up.
fn withdraw(engine: &Engine, notes: &SharedNotes) -> Vec<u64> {
    let given_up = engine.committer().given_up().into_iter();
    let ids = given_up.map(|given_up| {
        let id = given_up.id();
        given_up.end(notes);
        id
    });
    ids.collect()
}

/// Fails unless nothing is left of anything.
#[track_caller]
fn is_idle(engine: &Engine, notes: &SharedNotes) {
    assert!(engine.committer().take().is_empty());
    assert!(engine.committer().given_up().is_empty());
    assert!(notes.all().is_empty());
    let load = engine.load();
    assert_eq!((load.messages, load.memory_used), (0, 0));
}

#[test]
fn all_that_wait_at_once_are_read_whole_and_told() {
    const MESSAGES: u64 = 500;
    let (engine, notes) = (engine(), SharedNotes::new());
    let workers = (0..WORKERS).map(|worker| {
        fork(|| {
            for message in 0..MESSAGES {
                let id = (worker + 1) << 32 | message;
                assert_eq!(commit(&engine, &notes, id, PATIENCE), Ok(()));
            }
        })
    });
    let workers: Vec<_> = workers.collect();
    let committer = engine.committer();
    let (mut committed, mut together) = (Vec::new(), 0);
    let begin = Instant::now();
    while committed.len() as u64 != WORKERS * MESSAGES {
        assert!(begin.elapsed() < PATIENCE, "{}", committed.len());
        committer.wait(Duration::from_millis(100));
        let taken = committer.take();
        together = together.max(taken.len());
        for taken in taken {
            let submission = taken.submission().unwrap();
            let body = format!("message {}", taken.id());
            assert_eq!(submission.body, body.as_bytes());
            assert_eq!(submission.request, b"the request");
            let recipients = taken.recipients().map(|own| own.address);
            assert!(recipients.eq([b"sip:a@h", b"sip:b@h"]));
            assert!(!taken.is_given_up());
            committed.push(taken.id());
            taken.tell(Told::Committed);
        }
    }
    for worker in workers {
        assert_eq!(wait_for(worker), 0, "a worker failed");
    }
    committed.sort_unstable();
    committed.dedup();
    assert_eq!(committed.len() as u64, WORKERS * MESSAGES);
    assert!(together > 1, "none were committed together");
    is_idle(&engine, &notes);
}

#[test]
fn whoever_waits_in_vain_is_never_read_and_all_others_are_refused_at_once() {
    let (engine, notes) = (engine(), SharedNotes::new());
    let begin = Instant::now();
    let late = commit(&engine, &notes, 1, SHORT);
    assert_eq!(late, Err(NotCommitted::Late(SHORT)));
    assert!(begin.elapsed() >= SHORT);
    assert!(engine.committer().is_down());
    let begin = Instant::now();
    assert_eq!(
        commit(&engine, &notes, 2, PATIENCE),
        Err(NotCommitted::Down)
    );
    assert!(begin.elapsed() < SHORT);
    is_idle(&engine, &notes);
    // Until a commit has succeeded.
    engine.committer().set_down(false);
    let worker = fork(|| assert_eq!(commit(&engine, &notes, 3, PATIENCE), Ok(())));
    let taken = until(|| engine.committer().take().pop());
    assert_eq!(taken.id(), 3);
    taken.tell(Told::Committed);
    assert_eq!(wait_for(worker), 0);
    is_idle(&engine, &notes);
}

#[test]
fn what_was_given_up_in_the_middle_of_a_commit_is_noted_until_it_is_withdrawn() {
    let (engine, notes) = (engine(), SharedNotes::new());
    let worker = fork(|| {
        let late = commit(&engine, &notes, 7, SHORT);
        assert_eq!(late, Err(NotCommitted::Late(SHORT)));
        // By the time of the answer.
        assert_eq!(notes.all(), [7]);
    });
    let taken = until(|| engine.committer().take().pop());
    assert!(!taken.is_given_up());
    assert_eq!(wait_for(worker), 0);
    assert!(taken.is_given_up() && engine.committer().is_down());
    // Nobody else gets its memory while it may be read.
    assert_eq!(taken.submission().unwrap().body, b"message 7");
    assert_eq!(engine.load().messages, 1);
    taken.tell(Told::Committed);
    assert_eq!(withdraw(&engine, &notes), [7]);
    is_idle(&engine, &notes);
}

#[test]
fn a_commit_that_fails_is_told_at_once_and_its_messages_are_withdrawn() {
    let (engine, notes) = (engine(), SharedNotes::new());
    let worker = fork(|| {
        let failed = commit(&engine, &notes, 8, PATIENCE);
        assert_eq!(failed, Err(NotCommitted::Failed));
        assert_eq!(notes.all(), [8]);
    });
    let taken = until(|| engine.committer().take().pop());
    taken.tell(Told::Failed);
    assert_eq!(wait_for(worker), 0);
    assert_eq!(withdraw(&engine, &notes), [8]);
    is_idle(&engine, &notes);
}

#[test]
fn a_message_that_was_committed_and_not_answered_is_withdrawn() {
    let (engine, notes) = (engine(), SharedNotes::new());
    let worker = fork(|| {
        let ticket = reserve(&engine, "not answered");
        let ticket = engine.commit(ticket, 9, PATIENCE, &notes).unwrap();
        assert!(engine.withdraw_committed(ticket, &notes));
    });
    until(|| engine.committer().take().pop()).tell(Told::Committed);
    assert_eq!(wait_for(worker), 0);
    assert_eq!(notes.all(), [9]);
    assert_eq!(withdraw(&engine, &notes), [9]);
    is_idle(&engine, &notes);
}

#[test]
fn when_the_ledger_process_dies_everybody_is_refused() {
    let (engine, notes) = (engine(), SharedNotes::new());
    let taken = SharedMemory::new(1).unwrap();
    let ledger = fork(|| {
        let _taken = until(|| engine.committer().take().pop());
        taken.words()[0].store(1, SeqCst);
        loop {
            std::thread::park();
        }
    });
    let worker = fork(|| {
        let late = commit(&engine, &notes, 5, SHORT);
        assert_eq!(late, Err(NotCommitted::Late(SHORT)));
    });
    until(|| (taken.words()[0].load(SeqCst) != 0).then_some(()));
    kill(ledger);
    assert_eq!(wait_for(worker), 0);
    assert_eq!(notes.all(), [5], "for the next start");
    assert_eq!(
        commit(&engine, &notes, 6, PATIENCE),
        Err(NotCommitted::Down)
    );
}

#[test]
fn a_worker_that_dies_while_it_waits_leaves_its_message_to_be_withdrawn() {
    let (engine, notes) = (engine(), SharedNotes::new());
    let (engine, notes) = (&engine, &notes);
    let committer = engine.committer();
    let wait = |id| fork(move || assert!(commit(engine, notes, id, PATIENCE).is_ok()));
    // Before anybody has read it, and while it is being committed.
    let used = |count| until(|| (engine.load().messages == count).then_some(()));
    let early = wait(21);
    used(1);
    std::thread::sleep(SHORT);
    kill(early);
    committer.take_from_the_dead(notes);
    assert!(committer.take().is_empty());
    assert_eq!(withdraw(engine, notes), [21]);
    let late = wait(22);
    let taken = until(|| committer.take().pop());
    kill(late);
    committer.take_from_the_dead(notes);
    assert!(withdraw(engine, notes).is_empty(), "it is being committed");
    taken.tell(Told::Committed);
    committer.take_from_the_dead(notes);
    assert_eq!(notes.all(), [22]);
    assert_eq!(withdraw(engine, notes), [22]);
    is_idle(engine, notes);
}

#[test]
fn workers_that_are_killed_at_any_moment_hold_nobody_up_and_leave_no_slot() {
    const KILLS: u64 = 200;
    let (engine, notes) = (engine(), SharedNotes::new());
    let over = SharedMemory::new(1).unwrap();
    let ledger = fork(|| {
        let committer = engine.committer();
        while over.words()[0].load(SeqCst) == 0 {
            committer.wait(Duration::from_millis(5));
            let given_up = committer.given_up();
            let taken = committer.take();
            for taken in taken {
                assert!(taken.submission().unwrap().body.starts_with(b"message "));
                taken.tell(Told::Committed);
            }
            given_up
                .into_iter()
                .for_each(|given_up| given_up.end(&notes));
            committer.take_from_the_dead(&notes);
        }
        while !withdraw(&engine, &notes).is_empty() {
            committer.take_from_the_dead(&notes);
        }
    });
    for round in 0..KILLS {
        let busy = fork(|| {
            for id in 0.. {
                let _ = commit(&engine, &notes, round << 32 | id, PATIENCE);
            }
        });
        std::thread::sleep(Duration::from_micros(500 + round * 7919 % 1500));
        kill(busy);
        let begin = Instant::now();
        let id = u64::MAX >> 1;
        assert_eq!(commit(&engine, &notes, id, PATIENCE), Ok(()), "{round}");
        assert!(begin.elapsed() < Duration::from_secs(1));
    }
    over.words()[0].store(1, SeqCst);
    assert_eq!(wait_for(ledger), 0, "the ledger process failed");
    engine.committer().take_from_the_dead(&notes);
    withdraw(&engine, &notes);
    assert!(notes.all().is_empty());
    // Only a message that a dead process was preparing keeps its memory.
    assert!(engine.load().messages <= KILLS, "{:?}", engine.load());
}
