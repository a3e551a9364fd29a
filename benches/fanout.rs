//! What the engine costs beside the proxy's own work: room for a message of 1,000 recipients, and for
//! each of its forks the turn, the final response and the release. `cargo bench --bench fanout`.

// A bench that cannot be set up ends by panicking.
#![allow(missing_docs, clippy::unwrap_used)]

use cimf::fanout::{Counters, Engine, Event, Limits, Own, Submission};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;

const NOW: u64 = 1_800_000_000_000;
const RECIPIENTS: usize = 1_000;

fn engine() -> Engine {
    let limits = Limits {
        memory: 64,
        messages: 10_000,
        concurrency: 60,
        max_breadth: 60,
        forks_in_flight: 10_000,
        target_order: true,
        target_queue: 100,
        queue_lifetime: 600,
        quota_originator: None,
        quota_group: None,
        rate: 0,
    };
    Engine::new(limits, [7; 16], Arc::new(Counters::new().unwrap())).unwrap()
}

fn submission() -> Submission<'static> {
    Submission {
        originator: b"sip:ann@home1.net",
        group: b"sip:hikers@im.home1.net",
        from: b"\"Ann\" <sip:ann@home1.net>",
        headers: b"Max-Forwards: 67\r\nRoute: <sip:icscf.home1.net;transport=tcp;lr>\r\n",
        charging: b"",
        body: b"Trail closed. Meet at the gate.",
        entry_at: 0,
        needs_stream: false,
        max_breadth: None,
        accepted_at: NOW,
        expires_at: 0,
        seed: [9; 16],
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
                black_box(outcome.ending);
            }
        }
    }
}

fn fanout(criterion: &mut Criterion) {
    let names: Vec<String> = (0..RECIPIENTS)
        .map(|number| format!("sip:member-{number}@home1.net"))
        .collect();
    let own = || names.iter().map(|name| Own::plain(name.as_bytes()));
    let engine = engine();
    let mut group = criterion.benchmark_group("fanout");
    group.throughput(Throughput::Elements(RECIPIENTS as u64));
    group.bench_function("room for a message of 1000", |bencher| {
        bencher.iter(|| drop(engine.reserve(&submission(), own, NOW).unwrap()));
    });
    group.bench_function("its forks", |bencher| {
        let start = || engine.start(engine.reserve(&submission(), own, NOW).unwrap());
        bencher.iter_batched(
            start,
            |_| assert_eq!(drain(&engine), RECIPIENTS),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, fanout);
criterion_main!(benches);
