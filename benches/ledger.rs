//! What a promise costs, on the disk of the target folder. Four workers bring messages of 1.5 KB to the disk and wait
//! for each, as for a 202; each message is finished right after. They hand over to one process.
//! `cargo bench --package cimf-benches --bench ledger -- --run` runs it.

// A bench that cannot be set up ends by panicking, and its result is what it prints.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout
)]

#[path = "../tests/support/sample.rs"]
mod sample;

use cimf::control::Own;
use cimf::control::request_memory::RequestKey;
use cimf::fanout::shared_memory::SharedMemory;
use cimf::fanout::{Submission, milliseconds};
use cimf::ledger::{CommitMode, Entry, Ledger, LedgerFile, Promise, RequestRecord};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

const WORKERS: usize = 4;
const TURNS: usize = 3;
const LONG: Duration = Duration::from_secs(5);
/// How long what nobody waits for may wait for a commit of others.
const LATEST: Duration = Duration::from_millis(50);
/// Words of each worker: how many messages, then the microseconds of each.
const WORDS: usize = 200_000;

fn main() {
    if !std::env::args().any(|argument| argument == "--run") {
        return;
    }
    for (name, pause) in [
        ("one message after the other", Duration::ZERO),
        ("a message each 20 ms and worker", Duration::from_millis(20)),
    ] {
        println!("{WORKERS} workers, {name}:");
        println!("          202 p50    p90    p99  p99.9 µs   messages/s   CPU µs a message");
        for _ in 0..TURNS {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            report(folder.path(), pause);
        }
    }
}

fn report(folder: &Path, pause: Duration) {
    let memory = SharedMemory::new(WORKERS * WORDS).unwrap();
    let before = cpu();
    ledger(folder, pause, &memory);
    let cpu = cpu() - before;
    let words = memory.words();
    let mut waits: Vec<u64> = (0..WORKERS)
        .flat_map(|worker| {
            let own = &words[worker * WORDS..(worker + 1) * WORDS];
            let count = own[0].load(Relaxed) as usize;
            own[1..=count].iter().map(|word| word.load(Relaxed))
        })
        .collect();
    waits.sort_unstable();
    let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize];
    println!(
        "         {:8} {:6} {:6} {:6}      {:8.0}   {:8.0}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        waits.len() as f64 / LONG.as_secs_f64(),
        cpu.as_micros() as f64 / waits.len() as f64
    );
}

/// What a worker does for as long as it is measured.
fn work(memory: &SharedMemory, worker: usize, pause: Duration, mut accept: impl FnMut(u64)) {
    let words = &memory.words()[worker * WORDS..(worker + 1) * WORDS];
    let begin = Instant::now();
    for number in 1..WORDS {
        let start = Instant::now();
        accept((number * WORKERS + worker) as u64);
        words[number].store(start.elapsed().as_micros() as u64, Relaxed);
        words[0].store(number as u64, Relaxed);
        if begin.elapsed() > LONG {
            break;
        }
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
}

fn key(call_id: &[u8]) -> RequestKey<'_> {
    RequestKey {
        from_tag: b"9f2c8a17",
        call_id,
        cseq: 41,
        via: b"SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK74b43",
    }
}

fn ledger(folder: &Path, pause: Duration, memory: &SharedMemory) {
    let file = LedgerFile::open(&folder.join("ledger.db")).unwrap();
    let (to_ledger, from_workers) = UnixDatagram::pair().unwrap();
    let answers: Vec<_> = (0..WORKERS)
        .map(|_| UnixDatagram::pair().unwrap())
        .collect();
    let ledger = fork(|| commit_for_all(&file, &from_workers, &answers));
    let workers = (0..WORKERS).map(|worker| {
        fork(|| {
            let tell = |kind: u8, id: u64| {
                let mut message = [kind, worker as u8, 0, 0, 0, 0, 0, 0, 0, 0];
                message[2..].copy_from_slice(&id.to_le_bytes());
                to_ledger.send(&message).unwrap();
            };
            work(memory, worker, pause, |id| {
                tell(0, id);
                answers[worker].0.recv(&mut [0]).unwrap();
                tell(1, id);
            });
        })
    });
    let workers: Vec<i32> = workers.collect();
    workers.into_iter().for_each(wait);
    end(ledger);
}

/// The process that commits all that waits.
fn commit_for_all(
    file: &LedgerFile,
    requests: &UnixDatagram,
    answers: &[(UnixDatagram, UnixDatagram)],
) {
    let mut ledger = file.writer().unwrap();
    let mut tended = Instant::now();
    // Who is finished, and since when the first of them waits: they go with the next commit, or alone.
    let mut finished = Vec::<u64>::new();
    let mut since = Instant::now();
    loop {
        let mut promised = Vec::new();
        let mut message = [0; 10];
        let left = LATEST.saturating_sub(since.elapsed());
        let patience = if finished.is_empty() { LATEST } else { left };
        let patience = patience.max(Duration::from_millis(1));
        requests.set_read_timeout(Some(patience)).unwrap();
        let mut received = requests.recv(&mut message).is_ok();
        // Nobody waits for those who are still on their way.
        requests.set_nonblocking(true).unwrap();
        while received {
            let id = message[2..].try_into().map(u64::from_le_bytes).unwrap();
            if message[0] == 0 {
                promised.push((message[1], id, format!("{id:032x}@192.0.2.7")));
            } else {
                if finished.is_empty() {
                    since = Instant::now();
                }
                finished.push(id);
            }
            received = requests.recv(&mut message).is_ok();
        }
        requests.set_nonblocking(false).unwrap();
        let how = match promised.is_empty() {
            false => CommitMode::Synced,
            true if !finished.is_empty() && since.elapsed() >= LATEST => CommitMode::Soon,
            true => continue,
        };
        let promises = promised
            .iter()
            .map(|(_, id, call_id)| Entry::Promise(Box::new(promise(*id, call_id.as_bytes()))));
        let ended = finished.drain(..).map(|id| Entry::Finished { id });
        let entries: Vec<Entry<'_>> = promises.chain(ended).collect();
        ledger.commit(&entries, how).unwrap();
        for (worker, ..) in &promised {
            answers[usize::from(*worker)].1.send(&[1]).unwrap();
        }
        if tended.elapsed() > Duration::from_secs(1) {
            ledger.tend(milliseconds(SystemTime::now())).unwrap();
            tended = Instant::now();
        }
    }
}

fn promise(id: u64, call_id: &[u8]) -> Promise<'_> {
    const RECIPIENTS: [&[u8]; 3] = [
        b"sip:bob@home1.net",
        b"tel:+15551230003",
        b"sip:carol@home1.net",
    ];
    Promise {
        id,
        promised: true,
        anonymous: false,
        submission: Submission {
            headers: &[b'h'; 300],
            body: &[b'b'; 1_000],
            accepted_at: milliseconds(SystemTime::now()),
            ..sample::submission()
        },
        recipients: RECIPIENTS.map(Own::plain).to_vec(),
        request: Some(RequestRecord {
            key: key(call_id),
            content: [9; 16],
        }),
    }
}

fn fork(work: impl FnOnce()) -> i32 {
    // SAFETY: this process has one thread, and the child leaves without unwinding into its caller.
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

fn wait(child: i32) {
    let mut status = 0;
    // SAFETY: the child is ours and is waited for once.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(!libc::WIFEXITED(status) || libc::WEXITSTATUS(status) == 0);
}

fn end(child: i32) {
    // SAFETY: the child is ours and has not been waited for.
    unsafe { libc::kill(child, libc::SIGKILL) };
    wait(child);
}

/// What all children that have ended took of the processors.
fn cpu() -> Duration {
    // SAFETY: a rusage of zeros is one, and it is only written by the call.
    let usage = unsafe {
        let mut usage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage), 0);
        usage
    };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}
