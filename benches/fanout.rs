//! What the engine costs beside the proxy's own work, by the size of the message: room for it, the time from
//! its start to its first fork, and for each of its forks the turn, the final response and the release.
//! `cargo bench --package cimf-benches --bench fanout`.

// A bench that cannot be set up ends by panicking.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/support/sample.rs"]
mod sample;

use cimf::config::Settings;
use cimf::control::{FromHeader, Own};
use cimf::fanout::{Counters, Engine, Event, FreeMemory, ProxyMemory, Submission};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sample::NOW;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SIZES: [usize; 3] = [10, 1_000, 20_000];

fn engine() -> Engine {
    let limits = Settings {
        queue_memory: 64,
        queue_messages: 10_000,
        forks_in_flight: 10_000,
        patience: 2,
        target_order: true,
        target_queue: 100,
        queue_lifetime: 600,
        quota_originator: None,
        quota_group: None,
        rate: 0,
        ..Settings::new()
    };
    let engine = Engine::new(limits, [7; 16], Arc::new(Counters::new().unwrap())).unwrap();
    engine.leave_memory(ProxyMemory {
        free: Box::new(Plenty),
        whole: 1 << 40,
        reserve: 1 << 30,
        transaction: 10 << 10,
    });
    engine
}

/// As much memory as a proxy never has.
#[derive(Debug)]
struct Plenty;

impl FreeMemory for Plenty {
    fn bytes(&self) -> u64 {
        1 << 40
    }
}

fn submission() -> Submission<'static> {
    Submission {
        from: FromHeader::of(b"\"Ann\" <sip:ann@home1.net>"),
        headers: b"Max-Forwards: 67\r\nRoute: <sip:icscf.home1.net;transport=tcp;lr>\r\n",
        body: b"Trail closed. Meet at the gate.",
        ..sample::submission()
    }
}

/// Sends all that can be sent, 60 forks at a time, and reads the outcomes.
fn drain(engine: &Engine) -> usize {
    let mut sent = 0;
    let mut cookies = Vec::with_capacity(60);
    loop {
        while let Some(attempt) = engine.next(|| NOW) {
            black_box(attempt.fork());
            cookies.push(attempt.cookie());
        }
        sent += cookies.len();
        if cookies.is_empty() {
            return sent;
        }
        for cookie in cookies.drain(..) {
            engine.completed(cookie, 200);
            engine.released(cookie);
        }
        while let Some(event) = engine.next_event() {
            if let Event::Ended(outcome) = event {
                black_box(outcome.outcome);
            }
        }
    }
}

fn fanout(criterion: &mut Criterion) {
    for size in SIZES {
        let names: Vec<String> = (0..size)
            .map(|number| format!("sip:member-{number}@home1.net"))
            .collect();
        let own = || names.iter().map(|name| Own::plain(name.as_bytes()));
        let engine = engine();
        let reserve = || engine.reserve(&submission(), own, NOW).unwrap();
        let mut group = criterion.benchmark_group(format!("fanout of {size}"));
        group.throughput(Throughput::Elements(size as u64));
        group.sample_size(if size > 10_000 { 20 } else { 100 });
        group.bench_function("room", |bencher| {
            bencher.iter(|| drop(reserve()));
        });
        group.bench_function("from the start to the first fork", |bencher| {
            bencher.iter_custom(|times| {
                let mut passed = Duration::ZERO;
                for _ in 0..times {
                    let ticket = reserve();
                    let begin = Instant::now();
                    engine.start(ticket);
                    let attempt = engine.next(|| NOW).unwrap();
                    passed += begin.elapsed();
                    let cookie = attempt.cookie();
                    drop(attempt);
                    engine.completed(cookie, 200);
                    engine.released(cookie);
                    assert_eq!(drain(&engine), size - 1);
                }
                passed
            });
        });
        group.bench_function("its forks", |bencher| {
            bencher.iter_batched(
                || engine.start(reserve()),
                |_| assert_eq!(drain(&engine), size),
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, fanout);
criterion_main!(benches);
