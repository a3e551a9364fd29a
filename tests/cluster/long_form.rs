//! Nodes and servers that are lost: once, and in the long form over and over, with figures for docs/cluster.md. By one command:
//! `cargo test --release --test cluster -- --ignored --nocapture --test-threads=1 long_form`. `ROUNDS=N` makes all of
//! them shorter or longer.

use crate::nodes::{hikers, node_at};
use crate::promises::{CREW, crew, has_a_lease, identity, parameters};
use crate::support::client::Client;
use crate::support::core::Answer;
use crate::support::flow::{Request, unique};
use crate::support::postgres::Postgres;
use crate::support::rig::{Rig, until};
use crate::wire::Wire;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Members of the group.
const MEMBERS: usize = 100;
/// The lease of the nodes.
const LEASE: Duration = Duration::from_secs(2);
/// What may come on top of it before everybody has a message.
const GRACE: Duration = Duration::from_secs(5);

/// Senders of a hundred messages a second.
const SENDERS: u64 = 20;

fn rounds(usual: usize) -> usize {
    let asked = std::env::var("ROUNDS").ok();
    asked
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(usual)
}

/// Some number below `end`, another one each time.
fn random(end: u64) -> u64 {
    let mark = unique();
    let sum = mark.bytes().fold(7u64, |sum, byte| {
        sum.wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(byte.into())
    });
    (sum >> 33) % end
}

fn start(url: &str, name: &str) -> Rig {
    // Half of the members answer late, so that there is a middle of a message.
    let few = "modparam(\"cimf\", \"concurrency\", 20)\n";
    let rig = node_at(url, &parameters(name, few)).start_on_what_is_there();
    rig.core
        .answer("home1.net", Answer::Late(Duration::from_millis(10)));
    has_a_lease(&rig);
    rig
}

/// A message that was answered 202, and when.
struct Promised {
    text: String,
    at: Instant,
}

/// Sends a message of its own, with as many tries as it takes; gives it once it was accepted.
fn promise(client: &mut Client) -> Option<Promised> {
    let text = unique();
    let request = Request::another(client)
        .group(CREW)
        .with_body(text.as_bytes());
    client.send(&request.bytes());
    let answer = client.receive_within(Duration::from_secs(3))?;
    (answer.status() == 202).then(|| Promised {
        text,
        at: Instant::now(),
    })
}

/// What all members have got, by the text of the message.
#[derive(Default)]
struct Got {
    /// How many copies of each node have been looked at.
    seen: Vec<usize>,
    by_text: BTreeMap<String, BTreeMap<String, BTreeSet<[String; 3]>>>,
    copies: usize,
}

impl Got {
    fn look(&mut self, rigs: &[Rig]) {
        self.seen.resize(rigs.len(), 0);
        for (rig, seen) in rigs.iter().zip(&mut self.seen) {
            while let Some(fork) = rig.core.next_after(*seen, Duration::ZERO) {
                *seen += 1;
                self.copies += 1;
                let (recipient, values) = identity(&fork);
                let text = String::from_utf8(fork.message.body.clone()).unwrap();
                let recipients = self.by_text.entry(text).or_default();
                recipients.entry(recipient).or_default().insert(values);
            }
        }
    }

    fn missing(&self, promised: &Promised) -> usize {
        let got = self.by_text.get(&promised.text);
        MEMBERS - got.map_or(0, BTreeMap::len)
    }

    /// How many members have got a message under two Call-IDs.
    fn twice(&self) -> usize {
        let recipients = self.by_text.values().flat_map(BTreeMap::values);
        recipients.filter(|identities| identities.len() > 1).count()
    }

    /// Waits until all of these are with everybody; gives how long that took after `since`.
    #[track_caller]
    fn wait_for(
        &mut self,
        rigs: &[Rig],
        promised: &[Promised],
        since: Instant,
        most: Duration,
    ) -> Duration {
        loop {
            self.look(rigs);
            let missing: usize = promised.iter().map(|promised| self.missing(promised)).sum();
            let elapsed = since.elapsed();
            if missing == 0 {
                return elapsed;
            }
            assert!(
                elapsed < most,
                "{missing} recipients of {} messages are missing after {elapsed:?}",
                promised.len()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64();
    println!(
        "{what}: p50 {:.2} s, p99 {:.2} s, longest {:.2} s",
        at(50),
        at(99),
        at(100)
    );
}

#[test]
#[ignore = "the long form: twenty minutes"]
fn long_form_nodes_that_are_lost_with_their_disk() {
    nodes_that_are_lost(rounds(200));
}

#[test]
fn short_form_nodes_that_are_lost_with_their_disk() {
    nodes_that_are_lost(1);
}

fn nodes_that_are_lost(rounds: usize) {
    let postgres = Postgres::start();
    postgres.init();
    hikers(&postgres);
    crew(&postgres, MEMBERS);
    let mut rigs = ["a", "b", "c"].map(|name| start(&postgres.url(), name));
    let (mut got, mut times, mut count) = (Got::default(), Vec::new(), 0);
    for round in 0..rounds {
        let lost = round % rigs.len();
        let mut promised = Vec::new();
        let mut clients: Vec<_> = rigs.iter().map(Rig::client).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            let messages = if number == lost { 3 } else { 1 };
            promised.extend((0..messages).map(|_| promise(client).expect("202")));
        }
        std::thread::sleep(Duration::from_millis(random(60)));
        rigs[lost].kill();
        let since = Instant::now();
        for suffix in ["", "-wal", "-shm"] {
            let file = rigs[lost].folder().join(format!("replica.db{suffix}"));
            let _ = std::fs::remove_file(file);
        }
        count += promised.len();
        times.push(got.wait_for(&rigs, &promised, since, LEASE + GRACE));
        assert_eq!(got.twice(), 0, "round {round}");
        rigs[lost].start_again();
        has_a_lease(&rigs[lost]);
    }
    println!(
        "{count} messages to {MEMBERS}, {} copies for {} recipients",
        got.copies,
        count * MEMBERS
    );
    print("everybody has it after a node was lost", times);
}

#[test]
#[ignore = "the long form: some minutes"]
fn long_form_primaries_that_are_lost() {
    primaries_that_are_lost(rounds(50));
}

#[test]
fn short_form_primaries_that_are_lost() {
    primaries_that_are_lost(1);
}

fn primaries_that_are_lost(rounds: usize) {
    let mut primary = Postgres::start();
    primary.init();
    hikers(&primary);
    crew(&primary, MEMBERS);
    let mut standby = primary.standby();
    primary.needs_standby();
    let wires = [Wire::to(primary.port()), Wire::to(standby.port())];
    let url = format!(
        "postgres://cimf:s3cret@127.0.0.1:{},127.0.0.1:{}/groups?target_session_attrs=read-write",
        wires[0].port, wires[1].port
    );
    let rigs = ["a", "b"].map(|name| start(&url, name));
    let (mut got, mut times, mut count, mut refused) = (Got::default(), Vec::new(), 0, 0);
    for round in 0..rounds {
        let goes_on = AtomicBool::new(true);
        let since = std::thread::scope(|scope| {
            let senders: Vec<_> = rigs
                .iter()
                .map(|rig| {
                    let goes_on = &goes_on;
                    scope.spawn(move || {
                        let (mut client, mut promised, mut refused) = (rig.client(), Vec::new(), 0);
                        while goes_on.load(Relaxed) {
                            match promise(&mut client) {
                                Some(message) => promised.push(message),
                                None => {
                                    refused += 1;
                                    client = rig.client();
                                }
                            }
                            std::thread::sleep(Duration::from_millis(20));
                        }
                        (promised, refused)
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(300 + random(200)));
            primary.kill();
            standby.promote();
            let lost = Instant::now();
            std::mem::swap(&mut primary, &mut standby);
            standby = primary.standby();
            wires[round % 2].lead_to(standby.port());
            // Promised again, once the new standby has it too.
            let rig = &rigs[round % 2];
            let mut client = rig.client();
            let last = until(|| promise(&mut client)).expect("a promise after the loss");
            times.push(lost.elapsed());
            goes_on.store(false, Relaxed);
            let mut promised = vec![last];
            for sender in senders {
                let (more, no) = sender.join().unwrap();
                promised.extend(more);
                refused += no;
            }
            count += promised.len();
            let since = promised.iter().map(|promised| promised.at).max();
            let since = since.unwrap_or_else(Instant::now);
            got.wait_for(
                &rigs,
                &promised,
                since,
                LEASE + GRACE + Duration::from_secs(10),
            );
            since
        });
        assert!(since.elapsed() < Duration::from_secs(60));
        assert_eq!(got.twice(), 0, "round {round}");
    }
    println!("{count} messages to {MEMBERS} accepted, {refused} refused or not answered");
    print(
        "messages are accepted again, with a new standby made in between",
        times,
    );
}

#[test]
#[ignore = "the long form: some minutes"]
fn long_form_nodes_that_are_cut_off() {
    nodes_that_are_cut_off(rounds(50));
}

#[test]
fn short_form_nodes_that_are_cut_off() {
    nodes_that_are_cut_off(1);
}

fn nodes_that_are_cut_off(rounds: usize) {
    let postgres = Postgres::start();
    postgres.init();
    hikers(&postgres);
    crew(&postgres, MEMBERS);
    let wire = Wire::to(postgres.port());
    let through_wire = format!("postgres://cimf:s3cret@127.0.0.1:{}/groups", wire.port);
    let rigs = [start(&through_wire, "a"), start(&postgres.url(), "b")];
    let (mut got, mut stops, mut times) = (Got::default(), Vec::new(), Vec::new());
    for round in 0..rounds {
        // So slow that it cannot be over before the lease is.
        rigs[0]
            .core
            .answer("home1.net", Answer::Late(Duration::from_millis(600)));
        let mut client = rigs[0].client();
        let promised = [
            // A lease that it has again comes a moment before its messages are promised again.
            until(|| promise(&mut client)).expect("202"),
            promise(&mut client).expect("202"),
        ];
        std::thread::sleep(Duration::from_millis(random(100)));
        wire.cut();
        let since = Instant::now();
        got.look(&rigs);
        // When it sends its last one.
        let (mut seen, mut last) = (rigs[0].core.count(), since);
        while rigs[0].core.next_after(seen, LEASE).is_some() {
            (seen, last) = (rigs[0].core.count(), Instant::now());
        }
        let stopped = last.duration_since(since);
        assert!(
            stopped < LEASE,
            "round {round}: it has sent after {stopped:?}"
        );
        stops.push(stopped);
        times.push(got.wait_for(&rigs, &promised, since, LEASE + GRACE));
        assert_eq!(got.twice(), 0, "round {round}");
        wire.mend();
        has_a_lease(&rigs[0]);
        until(|| (rigs[0].counter("messages") == 0).then_some(())).expect("an end");
        got.look(&rigs);
        assert_eq!(got.twice(), 0, "round {round}, after it came back");
    }
    print("the last copy of a node that is cut off", stops);
    print("everybody has it after a node was cut off", times);
}

#[test]
#[ignore = "the long form: a minute"]
fn long_form_clients_that_fail_over() {
    let postgres = Postgres::start();
    postgres.init();
    hikers(&postgres);
    crew(&postgres, MEMBERS);
    let rigs = ["a", "b"].map(|name| start(&postgres.url(), name));
    let mut got = Got::default();
    let mut clients = rigs.each_ref().map(Rig::client);
    let mut promised = Vec::new();
    for round in 0..rounds(500) {
        let text = unique();
        let first = Request::another(&clients[0])
            .group(CREW)
            .with_body(text.as_bytes());
        let second = first.clone().via(&clients[1], &unique());
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            let request = [&first, &second][which];
            clients[which].send(&request.bytes());
            std::thread::sleep(Duration::from_micros(random(4000)));
        }
        for client in &mut clients {
            assert_eq!(client.receive().status(), 202, "round {round}");
        }
        promised.push(Promised {
            text,
            at: Instant::now(),
        });
        got.wait_for(
            &rigs,
            &promised[promised.len() - 1..],
            Instant::now(),
            GRACE,
        );
    }
    got.look(&rigs);
    assert_eq!(got.twice(), 0);
    assert_eq!(got.copies, promised.len() * MEMBERS);
    println!(
        "{} requests at two nodes each: {} copies",
        promised.len(),
        got.copies
    );
}

#[test]
#[ignore = "the long form: two minutes"]
fn long_form_postgresql_that_swallows_everything() {
    let postgres = Postgres::start();
    postgres.init();
    hikers(&postgres);
    let wire = Wire::to(postgres.port());
    let url = format!("postgres://cimf:s3cret@127.0.0.1:{}/groups", wire.port);
    let rig = node_at(&url, &parameters("a", ""))
        .workers(8)
        .start_on_what_is_there();
    has_a_lease(&rig);
    let goes_on = AtomicBool::new(true);
    let length = Duration::from_secs(rounds(120) as u64);
    let (times, answers) = std::thread::scope(|scope| {
        // A hundred messages to a group each second, from more senders than there are workers.
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut answers = BTreeMap::new();
                    let mut client = rig.client();
                    while goes_on.load(Relaxed) {
                        let began = Instant::now();
                        client.send(&Request::another(&client).bytes());
                        let answer = client.receive_within(Duration::from_secs(5));
                        let status = answer.map_or(0, |answer| answer.status());
                        *answers.entry(status).or_insert(0) += 1;
                        let pause = Duration::from_millis(10 * SENDERS);
                        std::thread::sleep(pause.saturating_sub(began.elapsed()));
                    }
                    answers
                })
            })
            .collect();
        std::thread::sleep(Duration::from_secs(1));
        wire.cut();
        let (mut client, mut times) = (rig.client(), Vec::new());
        let began = Instant::now();
        while began.elapsed() < length {
            // A request that is not for a group; it passes the same workers.
            let request = Request::another(&client).group("sip:zoe@home1.net");
            let sent = Instant::now();
            client.send(&request.bytes());
            let answer = client.receive_within(Duration::from_secs(5));
            assert_eq!(answer.expect("an answer").status(), 404);
            times.push(sent.elapsed());
            std::thread::sleep(Duration::from_millis(10).saturating_sub(sent.elapsed()));
        }
        goes_on.store(false, Relaxed);
        let mut answers = BTreeMap::new();
        for sender in senders {
            for (status, count) in sender.join().unwrap() {
                *answers.entry(status).or_insert(0) += count;
            }
        }
        (times, answers)
    });
    wire.mend();
    println!("messages to groups by their answers: {answers:?}");
    let slow = times
        .iter()
        .filter(|&&time| time >= Duration::from_millis(50))
        .count();
    println!(
        "{} others, of which {slow} took 50 ms or longer",
        times.len()
    );
    print("others beside a PostgreSQL that swallows everything", times);
}
