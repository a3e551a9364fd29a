//! The memory that is left to the proxy, against a proxy whose copies come back at any time, or never.

use super::{NOW, engine_of_no_proxy, limits, outcomes, start, start_as, submission};
use crate::config::Settings;
use crate::fanout::{Engine, FreeMemory, Outcome, ProxyMemory, Submission};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

const WHOLE: u64 = 4_000_000;
const RESERVE: u64 = 1_000_000;
const TRANSACTION: u64 = 10_000;
/// What a copy takes when it comes back.
const SECOND: u64 = 15_000;
const BOTH: u64 = TRANSACTION + SECOND;

/// The shared memory of a proxy, and how often it was asked how much is free.
#[derive(Clone, Debug)]
struct Proxy(Arc<[AtomicU64; 2]>);

impl Proxy {
    fn new() -> Self {
        Self(Arc::new([AtomicU64::new(WHOLE), AtomicU64::new(0)]))
    }

    fn free(&self) -> u64 {
        self.0[0].load(Relaxed)
    }

    fn set(&self, free: u64) {
        self.0[0].store(free, Relaxed);
    }

    fn take(&self, bytes: u64) {
        self.set(self.free().saturating_sub(bytes));
    }

    fn asked(&self) -> u64 {
        self.0[1].load(Relaxed)
    }

    fn engine(&self, reserve: u64) -> Engine {
        let engine = engine_of_no_proxy(Settings {
            queue_memory: 4,
            ..limits()
        });
        engine.leave_memory(ProxyMemory {
            free: Box::new(self.clone()),
            whole: WHOLE,
            reserve,
            transaction: TRANSACTION,
        });
        engine
    }
}

impl FreeMemory for Proxy {
    fn bytes(&self) -> u64 {
        self.0[1].fetch_add(1, Relaxed);
        self.free()
    }
}

fn members(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("sip:m{number}@h"))
        .collect()
}

/// So many copies of many originators, as one alone leaves most of the memory to others.
fn start_wide(engine: &Engine, count: usize) {
    let members = members(count);
    let members: Vec<_> = members.iter().map(String::as_str).collect();
    for (number, members) in members.chunks(count.div_ceil(30)).enumerate() {
        let originator = format!("sip:o{number}@h");
        let wide = Submission {
            originator: originator.as_bytes(),
            window: 1000,
            ..submission()
        };
        start_as(engine, &wide, members);
    }
}

/// A small generator, so that a failure comes again.
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 16) as usize
}

#[test]
fn whatever_copies_take_between_two_answers_the_reserve_is_left_alone() {
    const MEMBERS: usize = 900;
    for seed in 1..40 {
        let (mut state, proxy) = (seed * 0x9e37_79b9, Proxy::new());
        let engine = proxy.engine(RESERVE);
        start_wide(&engine, MEMBERS);
        let mut now = NOW;
        // Copies on their way, those that have come back, and the memory of those that are over.
        let (mut out, mut back, mut over) = (Vec::new(), Vec::new(), Vec::new());
        let (mut delivered, mut least, mut most_out) = (0, WHOLE, 0);
        let (mut steps, mut phase) = (0, 0);
        while delivered < MEMBERS {
            steps += 1;
            assert!(steps < 200_000, "{delivered} of {MEMBERS} delivered");
            let any = |list: &Vec<_>, state: &mut u64| match list.len() {
                0 => None,
                length => Some(random(state) % length),
            };
            // For a while it is mostly the same that happens: many start, or many come back.
            if random(&mut state).is_multiple_of(100) {
                phase = random(&mut state) % 6;
            }
            let happens = match random(&mut state) % 8 {
                0 => random(&mut state) % 6,
                _ => phase,
            };
            match happens {
                0 => now += 1 + random(&mut state) as u64 % 12,
                1 => {
                    if let Some(attempt) = engine.next(|| now) {
                        proxy.take(TRANSACTION);
                        out.push(attempt.cookie());
                    }
                }
                2 => {
                    if let Some(index) = any(&out, &mut state) {
                        proxy.take(SECOND);
                        back.push(out.swap_remove(index));
                    }
                }
                3 => {
                    if let Some(index) = any(&back, &mut state) {
                        let cookie = back.swap_remove(index);
                        engine.completed(cookie, 200);
                        over.push((cookie, BOTH));
                        delivered += 1;
                    }
                }
                4 => {
                    // It goes to somebody elsewhere.
                    if let Some(index) = any(&out, &mut state).filter(|_| seed % 2 == 0) {
                        let cookie = out.swap_remove(index);
                        engine.completed(cookie, 200);
                        over.push((cookie, TRANSACTION));
                        delivered += 1;
                    }
                }
                _ => {
                    for (cookie, bytes) in over.drain(..over.len() / 2) {
                        engine.released(cookie);
                        proxy.set(proxy.free() + bytes);
                    }
                    if out.is_empty() && back.is_empty() {
                        for (cookie, bytes) in over.drain(..) {
                            engine.released(cookie);
                            proxy.set(proxy.free() + bytes);
                        }
                    }
                }
            }
            least = least.min(proxy.free());
            most_out = most_out.max(out.len() + back.len());
        }
        // One copy may go beyond by what it is charged with.
        assert!(least + BOTH + 1_000 >= RESERVE, "{seed}: {least} free");
        assert!(most_out > 60, "{seed}: only {most_out} copies at once");
        assert_eq!(engine.queue.root().flow.owed.get(), 0);
        assert_eq!(outcomes(&engine).len(), MEMBERS);
    }
}

#[test]
fn all_copies_that_may_start_at_once_leave_the_reserve_alone() {
    let proxy = Proxy::new();
    let engine = proxy.engine(RESERVE);
    start_wide(&engine, 900);
    // Nobody asks again meanwhile, and they come back only when all have started.
    let started = std::iter::from_fn(|| engine.next(|| NOW)).count() as u64;
    assert!(started >= 100, "{started} copies");
    let taken = started * BOTH;
    assert!(taken <= WHOLE - RESERVE + BOTH, "{taken} bytes");
    assert_eq!(engine.load().in_flight, started);
}

#[test]
fn who_sends_to_the_silent_leaves_memory_for_others() {
    let proxy = Proxy::new();
    let engine = proxy.engine(RESERVE);
    let mut now = NOW;
    let mut send_all = |originator: &[u8], host: &str| {
        let wide = Submission {
            originator,
            window: 1000,
            ..submission()
        };
        let members: Vec<_> = (0..300).map(|n| format!("sip:m{n}@{host}")).collect();
        let members: Vec<_> = members.iter().map(String::as_str).collect();
        start_as(&engine, &wide, &members);
        let mut sent = 0;
        for _ in 0..100 {
            now += 20;
            while let Some(attempt) = engine.next(|| now) {
                assert_eq!(attempt.parties()[0], originator);
                proxy.take(TRANSACTION);
                sent += 1;
            }
        }
        sent
    };
    let sent = [&b"sip:ann@h"[..], b"sip:bob@h", b"sip:cho@h", b"sip:dan@h"].map(|originator| {
        let host = String::from_utf8(originator[4..7].to_vec()).unwrap();
        send_all(originator, &host)
    });
    // Each had room for many at once though nobody before has got an answer.
    assert!(sent.iter().all(|&sent| sent >= 4), "{sent:?}");
    assert!(sent[0] >= 40, "{sent:?}");
}

#[test]
fn a_long_message_is_charged_for_its_length() {
    let count = |body: &[u8]| {
        let engine = Proxy::new().engine(RESERVE);
        let long = Submission {
            window: 1000,
            body,
            ..submission()
        };
        let members = members(900);
        let members: Vec<_> = members.iter().map(String::as_str).collect();
        start_as(&engine, &long, &members);
        std::iter::from_fn(|| engine.next(|| NOW)).count()
    };
    assert_eq!(count(&[b'x'; 60_000]), 6);
    assert!(count(b"hi") > 40);
}

#[test]
fn something_goes_on_however_little_is_free() {
    let proxy = Proxy::new();
    let engine = proxy.engine(RESERVE);
    proxy.set(0);
    start_wide(&engine, 10);
    // A sixteenth of the reserve has room for two.
    let now = NOW + 1_000;
    let mut first: Vec<_> = std::iter::from_fn(|| engine.next(|| now))
        .map(|attempt| attempt.cookie())
        .collect();
    assert_eq!(first.len(), 2);
    let mut sent = 2;
    while let Some(cookie) = first.pop() {
        // Not before the memory of one that is over has been given back.
        engine.completed(cookie, 200);
        assert!(engine.next(|| now).is_none());
        engine.released(cookie);
        if let Some(attempt) = engine.next(|| now) {
            sent += 1;
            first.push(attempt.cookie());
        }
    }
    assert_eq!(sent, 10);
    assert_eq!(outcomes(&engine), [Outcome::Delivered(200); 10]);
}

#[test]
fn the_proxy_is_asked_every_ten_milliseconds_at_most() {
    let proxy = Proxy::new();
    let engine = proxy.engine(RESERVE);
    start_wide(&engine, 900);
    let before = proxy.asked();
    for step in 0..1_000 {
        // A tenth of a millisecond each.
        if let Some(attempt) = engine.next(|| NOW + step / 10) {
            let cookie = attempt.cookie();
            drop(attempt);
            engine.completed_then_next(cookie, 200, || NOW + step / 10);
            engine.released(cookie);
        }
    }
    assert_eq!(proxy.asked() - before, 10);
    // With nothing to send nobody asks.
    let engine = proxy.engine(RESERVE);
    let before = proxy.asked();
    assert!(engine.next(|| NOW).is_none());
    assert_eq!(proxy.asked(), before);
}

#[test]
fn what_is_owed_is_counted_again_after_a_death() {
    let engine = Proxy::new().engine(RESERVE);
    start(&engine, &["sip:a@h", "sip:b@h", "sip:c@h"]);
    let cookies: Vec<_> = std::iter::from_fn(|| engine.next(|| NOW))
        .map(|attempt| attempt.cookie())
        .collect();
    let owed = engine.queue.root().flow.owed.get();
    assert!(owed > 3 * BOTH);
    engine.queue.with(|held| engine.queue.recover(held));
    assert_eq!(engine.queue.root().flow.owed.get(), owed);
    for cookie in cookies {
        engine.completed(cookie, 200);
    }
    assert_eq!(engine.queue.root().flow.owed.get(), 0);
    assert!(engine.queue.root().flow.landed.get() >= owed);
}
