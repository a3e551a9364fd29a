//! A worker that is stopped while it has the lock of the queue, as one that a debugger has attached to.

use crate::fanout_breadth::{group, with_group};
use crate::support::client::{Client, Transport};
use crate::support::flow::Request;
use crate::support::rig::{Rig, Setup};
use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

const MEMBERS: usize = 200;
const WORKERS: i64 = 4;
/// Messages under way at a time.
const AT_ONCE: usize = 6;
/// The lock's word has the process id of its holder in so many bits (src/fanout/process.rs).
const ID_BITS: u32 = 22;
/// Stopping workers over and over finds one with the lock within a second or two.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn signal(process: u32, signal: libc::c_int) {
    // SAFETY: it is a process of a proxy which the rig has started and not waited for.
    let result = unsafe { libc::kill(process.cast_signed(), signal) };
    assert_eq!(result, 0);
}

/// Goes on even if the case fails: a proxy whose worker is stopped would not end.
pub struct GoesOn(pub u32);

impl Drop for GoesOn {
    fn drop(&mut self) {
        signal(self.0, libc::SIGCONT);
    }
}

/// Ends the senders even if the case fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn is_stopped(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a worker");
    let state = stat.rsplit_once(')').map(|(_, state)| state.trim_start());
    state.is_some_and(|state| state.starts_with('T'))
}

/// The addresses of the memory that the proxy shares, in a worker.
fn shared_memory(process: u32) -> Vec<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).expect("its memory map");
    let shared = maps.lines().filter(|line| line.contains("rw-s"));
    let starts = shared.filter_map(|line| u64::from_str_radix(line.split('-').next()?, 16).ok());
    starts.collect()
}

/// Whether a stopped worker has the lock, which is the first word of its memory.
fn has_lock(process: u32, memory: &File, shared: &[u64]) -> bool {
    shared.iter().any(|&start| {
        let mut word = [0; 4];
        let is_read = memory.read_exact_at(&mut word, start).is_ok();
        let (holder, mask) = (u32::from_le_bytes(word), (1 << ID_BITS) - 1);
        is_read && holder & mask == process && holder >> ID_BITS != 0
    })
}

/// Stops workers one after the other, each for a moment, until one is stopped with the lock.
#[track_caller]
fn stopped_with_lock(rig: &Rig) -> GoesOn {
    let workers: Vec<_> = rig
        .udp_workers()
        .into_iter()
        .map(|process| {
            let memory = File::open(format!("/proc/{process}/mem")).expect("its memory");
            (process, memory, shared_memory(process))
        })
        .collect();
    let begin = Instant::now();
    for (process, memory, shared) in workers.iter().cycle() {
        signal(*process, libc::SIGSTOP);
        let stopped = GoesOn(*process);
        while !is_stopped(*process) {
            std::hint::spin_loop();
        }
        if has_lock(*process, memory, shared) {
            return stopped;
        }
        drop(stopped);
        assert!(
            begin.elapsed() < PATIENCE,
            "no worker was stopped with the lock"
        );
        std::thread::sleep(Duration::from_micros(300));
    }
    unreachable!("there are workers")
}

fn message(client: &Client) -> Request {
    Request::another(client).group(&group(MEMBERS))
}

/// Sends messages until it is told to stop, a few at a time, and counts those that are accepted. All others
/// are answered 503.
fn send_until(rig: &Rig, is_over: &AtomicBool, accepted: &AtomicUsize) {
    let mut client = rig.client();
    while !is_over.load(SeqCst) {
        if accepted.load(SeqCst) * MEMBERS > rig.core.count() + AT_ONCE * MEMBERS {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        let request = message(&client);
        match client.ask(&request).status() {
            202 => {
                accepted.fetch_add(1, SeqCst);
            }
            code => assert_eq!(code, 503),
        }
    }
}

/// A.1 row 13, A-10: whoever needs the lock waits a bounded time; nothing is lost and nothing sent twice.
pub fn a_worker_that_is_stopped_with_the_lock_stops_nobody(transport: Transport) {
    let setup = Setup::new(transport).number("CHILDREN", WORKERS);
    let rig = with_group(setup, MEMBERS).start();
    let (is_over, accepted) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        for _ in 0..2 {
            scope.spawn(|| send_until(&rig, &is_over, &accepted));
        }
        let mut client = rig.client();
        for _ in 0..3 {
            let stopped = stopped_with_lock(&rig);
            let process = stopped.0;
            let request = message(&client);
            let begin = Instant::now();
            let answer = client.ask(&request);
            let passed = begin.elapsed();
            assert_eq!(answer.status(), 503, "{answer}");
            assert!(answer.one("Retry-After") == "10", "{answer}");
            assert!(passed < Duration::from_secs(2), "{passed:?}");
            rig.wait_for_log(&format!("process {process} has held the lock of the queue"));
            let begin = Instant::now();
            let text = rig.cancel("999999").expect_err("who keeps the lock");
            let passed = begin.elapsed();
            let said = format!("process {process} has held the lock of the queue");
            assert!(text.contains("503") && text.contains(&said), "{text}");
            assert!(passed < Duration::from_secs(2), "{passed:?}");
            assert!(rig.stats().contains_key("waiting"));
            drop(stopped);
            let begin = Instant::now();
            while client.ask(&message(&client)).status() != 202 {
                assert!(begin.elapsed() < PATIENCE, "nothing is accepted any more");
            }
            accepted.fetch_add(1, SeqCst);
        }
    });
    let accepted = accepted.into_inner();
    let total = accepted * MEMBERS;
    rig.wait_for_counter("forks_delivered", total as u64);
    rig.wait_for_gauge("messages", 0);
    rig.wait_for_gauge("in_flight", 0);
    assert_eq!(rig.counter("accepted"), accepted as u64);
    let forks = rig.core.forks();
    assert_eq!(forks.len(), total);
    let ids: HashSet<_> = forks
        .iter()
        .map(|fork| fork.message.one("Call-ID"))
        .collect();
    assert_eq!(ids.len(), total, "a copy was sent twice");
    rig.wait_for_log("the lock of the queue is free again");
}
