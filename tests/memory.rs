//! A worker's memory over a long time: 200,000 messages leave it as large as 20,000 did.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[path = "support/mod.rs"]
mod support;

use std::time::{Duration, Instant};
use support::client::{Client, Transport};
use support::flow::{Request, unique};
use support::rig::{Rig, Setup};

const MESSAGES: usize = 200_000;
const WARM_UP: usize = 20_000;

/// Messages without their 202 yet: enough to keep the worker busy, too few to overrun its socket.
const WINDOW: usize = 32;

/// How often the sender looks at tm, and how many transactions it leaves there: 10 KB of shared memory each,
/// for as long as `wt_timer`. A sender without regard runs any proxy out of memory.
const ROUND: usize = 2_000;
const TRANSACTIONS: u64 = 15_000;

/// What may come and go: SQLite's page cache, a buffer that grew to the largest message. One leaked byte a
/// message would be 176 KB.
const ALLOWED: u64 = 128 * 1024;

/// Far beyond what it takes (35 s on two idle cores).
const LIMIT: Duration = Duration::from_secs(600);

#[test]
fn memory_of_a_worker_does_not_grow_over_200_000_messages() {
    let rig = Setup::new(Transport::Udp)
        .shared_memory(512)
        // All messages go to the same two members: in order they would wait for each other.
        .number("TARGET_ORDER", 0)
        .start();
    rig.core.only_count();
    let mut client = rig.client();
    let start = Instant::now();

    let mut sender = Sender::new(&mut client);
    for _ in 0..WARM_UP / ROUND {
        rig.wait_until_tm_holds_at_most(TRANSACTIONS);
        sender.send(ROUND, start);
    }
    let warm = private_memory(&rig);
    for _ in WARM_UP / ROUND..MESSAGES / ROUND {
        rig.wait_until_tm_holds_at_most(TRANSACTIONS);
        sender.send(ROUND, start);
    }
    let end = private_memory(&rig);

    println!(
        "private memory of the worker: {warm} bytes after {WARM_UP} messages, {end} after {MESSAGES}, in {:?}",
        start.elapsed()
    );
    assert_eq!(rig.counter("accepted"), MESSAGES as u64);
    rig.wait_for_counter("forks_sent", 2 * MESSAGES as u64);
    rig.wait_for_counter("forks_delivered", 2 * MESSAGES as u64);
    assert!(
        end <= warm + ALLOWED,
        "the worker grew from {warm} to {end} bytes"
    );
}

/// Sends flow 1 over and over, with a Call-ID and a branch of its own each time.
struct Sender<'a> {
    client: &'a mut Client,
    before: String,
    between: String,
    after: Vec<u8>,
    sent: usize,
    answered: usize,
}

impl<'a> Sender<'a> {
    fn new(client: &'a mut Client) -> Sender<'a> {
        let mark = "NUMBER-OF-THE-MESSAGE";
        let request = Request::b0(client)
            .via(client, mark)
            .set("Call-ID", &format!("{mark}-{}", unique()));
        let bytes = request.bytes();
        let text = String::from_utf8(bytes).expect("flow 1 in UTF-8");
        let parts: Vec<&str> = text.split(mark).collect();
        let [before, between, after] = parts[..] else {
            panic!("branch and Call-ID and no more")
        };
        let (before, between, after) = (
            before.to_owned(),
            between.to_owned(),
            after.as_bytes().to_vec(),
        );
        Sender {
            client,
            before,
            between,
            after,
            sent: 0,
            answered: 0,
        }
    }

    fn send(&mut self, count: usize, start: Instant) {
        let target = self.sent + count;
        while self.answered < target {
            assert!(
                start.elapsed() < LIMIT,
                "only {} messages in {:?}",
                self.answered,
                start.elapsed()
            );
            if self.sent < target && self.sent - self.answered < WINDOW {
                let number = self.sent;
                let mut bytes =
                    format!("{}{number}{}{number}", self.before, self.between).into_bytes();
                bytes.extend_from_slice(&self.after);
                self.client.send(&bytes);
                self.sent += 1;
            } else {
                let response = self.client.receive();
                assert_eq!(
                    response.status(),
                    202,
                    "message {}:\n{response}",
                    self.answered
                );
                self.answered += 1;
            }
        }
    }
}

/// The anonymous memory of the one UDP worker. What tm and the module share with other workers is not in it.
fn private_memory(rig: &Rig) -> u64 {
    let workers = rig.udp_workers();
    let [worker] = workers[..] else {
        panic!("{} workers", workers.len())
    };
    let status =
        std::fs::read_to_string(format!("/proc/{worker}/status")).expect("the worker's status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .expect("RssAnon");
    let kilobytes: u64 = line
        .trim()
        .trim_end_matches("kB")
        .trim()
        .parse()
        .expect("a size");
    kilobytes * 1024
}
