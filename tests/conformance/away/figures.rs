//! What many members who are away cost, for the manual. Not a test: it takes a minute, and says what it has found.
//!
//!     cargo test --release --test conformance -- --ignored --nocapture figures::what_many_members_who_are_away_cost

use super::{keeping, numbered, register};
use crate::support::client::{Client, Transport};
use crate::support::core::Answer;
use crate::support::flow::{Request, unique};
use crate::support::rig::{BOB, Rig, TEL};
use cimf::ledger::{Reader, SqliteReader};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const MEMBERS: usize = 1000;
const MESSAGES: usize = 100;
const GROUP: &str = "sip:many@im.home1.net";
const STORM: usize = 5000;
/// REGISTERs that wait for their answers at once.
const WINDOW: usize = 64;

fn member(number: usize) -> String {
    format!("sip:away{number}@home1.net")
}

/// Waits for as long as a large fan-out takes.
#[track_caller]
fn wait_for(rig: &Rig, name: &str, value: u64) {
    let end = Instant::now() + Duration::from_secs(300);
    while rig.counter(name) != value {
        assert!(Instant::now() < end, "{name} is {}", rig.counter(name));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Kilobytes that all processes of the proxy have for themselves, and their shares of what they share.
fn memory(rig: &Rig) -> u64 {
    let of = |(process, _): (u32, String)| {
        let path = format!("/proc/{process}/smaps_rollup");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        kilobytes
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(0)
    };
    rig.processes().into_iter().map(of).sum()
}

/// Milliseconds, of the 202s of a sender who sends all the time while `work` runs.
fn answers_during(rig: &Rig, work: impl FnOnce()) -> [f64; 2] {
    let stop = AtomicBool::new(false);
    let mut times = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut client = rig.client();
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let request = numbered(&client, times.len());
                let begin = Instant::now();
                client.send(&request.bytes());
                assert_eq!(client.receive().status(), 202);
                times.push(begin.elapsed().as_secs_f64() * 1000.0);
                std::thread::sleep(Duration::from_millis(2));
            }
            times
        });
        work();
        stop.store(true, Ordering::Relaxed);
        sender.join().expect("a sender")
    });
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    [at(0.5), at(0.99)]
}

/// As many REGISTERs as a storm has, as fast as they are answered.
fn storm(rig: &Rig, address: impl Fn(usize) -> String) -> Duration {
    let begin = Instant::now();
    let mut client = rig.client();
    let send = |client: &mut Client, number: usize| {
        let mark = unique();
        let mut request = Request::another(client)
            .via(client, &mark)
            .set("Call-ID", &mark)
            .set("CSeq", "1 REGISTER")
            .set("To", &format!("<{}>", address(number)))
            .with_body(b"");
        request.start = "REGISTER sip:home1.net SIP/2.0".to_owned();
        client.send(&request.bytes());
    };
    for number in 0..STORM {
        send(&mut client, number);
        if number >= WINDOW {
            assert_eq!(client.receive().status(), 200);
        }
    }
    for _ in 0..WINDOW {
        assert_eq!(client.receive().status(), 200);
    }
    begin.elapsed()
}

pub fn what_many_members_who_are_away_cost(transport: Transport) {
    let members: Vec<String> = (0..MEMBERS).map(member).collect();
    let mut group = vec!["sip:ann@home1.net"];
    group.extend(members.iter().map(String::as_str));
    let parameters = [
        ("away_bytes", "1G"),
        ("concurrency", "1000"),
        ("max_breadth", "0"),
    ];
    let mut rig = keeping(transport, &parameters)
        .workers(4)
        .group(GROUP, &group)
        .start();
    rig.core.only_count();
    rig.core.answer("away", Answer::Code(480));
    let mut client = rig.client();
    println!("before: {} KiB of memory", memory(&rig));
    let begin = Instant::now();
    for number in 0..MESSAGES {
        let request = numbered(&client, number).group(GROUP);
        client.send(&request.bytes());
        assert_eq!(client.receive().status(), 202);
        wait_for(&rig, "messages", 0);
    }
    let kept = (MEMBERS * MESSAGES) as u64;
    wait_for(&rig, "kept", kept);
    println!(
        "{kept} copies kept in {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    println!("memory: {} KiB", memory(&rig));
    println!(
        "kept_bytes {}, ledger_bytes {}",
        rig.counter("kept_bytes"),
        rig.counter("ledger_bytes")
    );

    let mut reader = SqliteReader::open(&rig.folder().join("ledger.db")).expect("the ledger");
    let begin = Instant::now();
    for number in 0..10_000u64 {
        let _ = reader
            .is_kept(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .expect("a look");
    }
    println!(
        "one look into the ledger: {:.1} µs",
        begin.elapsed().as_secs_f64() * 100.0
    );
    rig.stop();
    let begin = Instant::now();
    rig.start_again();
    println!(
        "after a restart, which took {:.2} s: {} KiB of memory, ledger_bytes {}",
        begin.elapsed().as_secs_f64(),
        memory(&rig),
        rig.counter("ledger_bytes")
    );
    let mut client = rig.client();
    rig.core.answer("away", Answer::Code(200));
    for (what, address) in [("nothing", TEL.to_owned()), ("100 copies", member(1))] {
        let begin = Instant::now();
        register(&mut client, &address);
        let took = begin.elapsed().as_secs_f64() * 1000.0;
        println!("REGISTER with {what} kept: {took:.2} ms");
    }
    let begin = Instant::now();
    wait_for(&rig, "kept_delivered", 100);
    println!(
        "100 copies delivered in {:.2} s",
        begin.elapsed().as_secs_f64()
    );

    // Every tenth of those who register has something.
    let quiet = answers_during(&rig, || std::thread::sleep(Duration::from_secs(5)));
    let nobody = answers_during(&rig, || {
        for _ in 0..5 {
            let took = storm(&rig, |number| format!("sip:online{number}@home1.net"));
            println!(
                "a storm of {STORM} with nothing kept: {:.2} s",
                took.as_secs_f64()
            );
        }
    });
    rig.core
        .answer("away", Answer::Late(Duration::from_millis(5)));
    let tenth = answers_during(&rig, || {
        let took = storm(&rig, |number| match number % 10 {
            0 => member(2 + number / 10),
            _ => format!("sip:online{number}@home1.net"),
        });
        println!(
            "a storm of {STORM}, one in ten with 100 copies kept: {:.2} s",
            took.as_secs_f64()
        );
        std::thread::sleep(Duration::from_secs(5));
    });
    for (what, [p50, p99]) in [
        ("quiet", quiet),
        ("storm, nothing kept", nobody),
        ("storm, one in ten", tenth),
    ] {
        println!("202, {what}: p50 {p50:.2} ms, p99 {p99:.2} ms");
    }
    let begin = Instant::now();
    wait_for(&rig, "kept", kept - 100 * 501);
    println!("all delivered {:.1} s later", begin.elapsed().as_secs_f64());
    register(&mut client, BOB);
}
