//! How long a sender waits for the 202: by the size of the group, and to small groups while a large one is being
//! sent to. The proxy runs from its small sample: Kamailio, or the OpenSIPS that `CIMF_OPENSIPS` names.
//! `cargo bench --package cimf-benches --bench latency -- --run` runs it.

// A bench that cannot be set up ends by panicking, and its result is what it prints.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[path = "../peers/receiver.rs"]
#[allow(dead_code)]
mod receiver;
mod sender;
#[path = "../../tests/support/mod.rs"]
mod support;

use receiver::Receiver;
use sender::{Sender, Shot};
use std::time::{Duration, Instant};
use support::client::Transport;
use support::rig::{ANN, Rig, Setup};

const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 20_000];
/// Small groups of ten members, each with members of its own.
const SMALL_GROUPS: usize = 50;
/// Messages a second to the small groups, all together.
const SMALL_RATE: u32 = 50;
/// How long the small groups are measured, once with the large one and once without.
const MEASURED: Duration = Duration::from_secs(10);
const ROUNDS: usize = 3;
/// Enough that each of the four workers has read the group.
const WARM_UP: usize = 16;
/// How long the copies of a message may take.
const LONG: Duration = Duration::from_secs(120);

fn main() {
    if !std::env::args().any(|word| word == "--run") {
        println!("latency: run cargo bench --package cimf-benches --bench latency -- --run");
        return;
    }
    let receiver = Receiver::start();
    let rig = start(&receiver);
    let mut bench = Bench {
        rig,
        receiver,
        sender: Sender::new(),
        expected: 0,
    };
    bench.receiver.reset();
    bench.by_size();
    bench.beside_a_large_group();
}

fn start(receiver: &Receiver) -> Rig {
    let mut setup = Setup::new(Transport::Udp)
        .shared_memory(512)
        .number("CHILDREN", 4)
        .text("CORE_ROUTE", &format!("{};transport=udp", receiver.uri()));
    let sizes = SIZES.iter().map(|&size| (format!("of{size}"), size));
    let small = (0..SMALL_GROUPS).map(|number| (format!("small{number}"), 10));
    for (name, size) in sizes.chain(small) {
        let members: Vec<_> = (0..size)
            .map(|number| format!("sip:m{number}.{name}@home1.net"))
            .collect();
        let mut uris = vec![ANN];
        uris.extend(members.iter().map(String::as_str));
        setup = setup.group(&format!("sip:{name}@im.home1.net"), &uris);
    }
    setup.start()
}

struct Bench {
    rig: Rig,
    receiver: Receiver,
    sender: Sender,
    /// Copies that the receiver has to have got in the end.
    expected: u64,
}

impl Bench {
    /// Sends what is due when, and gives how long each message waited for its 202, ascending, by kind of group.
    fn send(&mut self, shots: &[Shot], kind: &str) -> Vec<Duration> {
        let answers = self.sender.send(self.rig.address, shots);
        let mut latencies = Vec::new();
        for (shot, answer) in shots.iter().zip(&answers) {
            let Some((code, latency)) = answer else {
                continue;
            };
            assert_eq!(*code, 202, "the answer to a message to {}", shot.group);
            self.expected += shot.members as u64;
            if shot.group.starts_with(kind) {
                latencies.push(*latency);
            }
        }
        latencies.sort_unstable();
        latencies
    }

    /// Waits until all copies have arrived.
    fn drain(&self) {
        let deadline = Instant::now() + LONG;
        while self.receiver.received() < self.expected {
            let received = self.receiver.received();
            assert!(
                Instant::now() < deadline,
                "{received} copies of {} arrived",
                self.expected
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn by_size(&mut self) {
        println!("| members | 202, p50 | p99 | longest | first message to the group | messages |");
        println!("|---|---|---|---|---|---|");
        for size in SIZES {
            let group = format!("of{size}");
            let shot = Shot::at_once(&group, size);
            let mut first = Duration::ZERO;
            for _ in 0..WARM_UP {
                let latency = self.send(std::slice::from_ref(&shot), &group);
                first = first.max(latency.last().copied().unwrap_or_default());
                self.drain();
            }
            let messages = (200_000 / size).clamp(20, 300);
            let mut latencies = Vec::new();
            for _ in 0..messages {
                latencies.extend(self.send(std::slice::from_ref(&shot), &group));
                self.drain();
            }
            latencies.sort_unstable();
            println!(
                "| {size} | {} | {} | {} | {} | {messages} |",
                shown(percentile(&latencies, 50)),
                shown(percentile(&latencies, 99)),
                shown(percentile(&latencies, 100)),
                shown(first),
            );
        }
    }

    fn beside_a_large_group(&mut self) {
        let small = || {
            let count = SMALL_RATE * MEASURED.as_secs() as u32;
            (0..count).map(|number| Shot {
                due: Duration::from_secs(1) * number / SMALL_RATE,
                group: format!("small{}", number as usize % SMALL_GROUPS),
                members: 10,
            })
        };
        let large = (0..MEASURED.as_secs()).map(|second| Shot {
            due: Duration::from_secs(second),
            group: "of10000".to_owned(),
            members: 10_000,
        });
        let alone: Vec<_> = small().collect();
        let mut together: Vec<_> = small().chain(large).collect();
        together.sort_by_key(|shot| shot.due);
        // Each worker reads each group once.
        for _ in 0..WARM_UP {
            let at_once: Vec<_> = small().take(SMALL_GROUPS).collect();
            self.send(&at_once, "small");
        }
        self.drain();
        println!();
        println!("| 202 of groups of 10, {SMALL_RATE} a second | p50 | p99 | answered |");
        println!("|---|---|---|---|");
        let mut all = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (shots, latencies) in [&alone, &together].into_iter().zip(&mut all) {
                let found = self.send(shots, "small");
                self.drain();
                latencies.extend(found);
            }
        }
        let names = ["alone", "beside 10,000 members at one message a second"];
        for (name, latencies) in names.iter().zip(&mut all) {
            latencies.sort_unstable();
            println!(
                "| {name} | {} | {} | {} of {} |",
                shown(percentile(latencies, 50)),
                shown(percentile(latencies, 99)),
                latencies.len(),
                ROUNDS * alone.len(),
            );
        }
        let [without, with] = all.map(|latencies| percentile(&latencies, 99).as_secs_f64());
        println!(
            "\np99 beside the large group: {:.2} of that without it.",
            with / without
        );
        println!(
            "Retransmissions that the receiver saw: {}.",
            self.receiver.repeated()
        );
    }
}

fn percentile(ascending: &[Duration], percent: usize) -> Duration {
    let index = (ascending.len() * percent / 100).min(ascending.len() - 1);
    ascending[index]
}

fn shown(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}
