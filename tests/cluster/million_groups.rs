//! What very many groups take, for docs/cluster.md: `cargo test --release --test cluster -- --ignored --nocapture
//! a_million_groups`. They fail only where nothing happens at all. `IM_GROUPS=N` makes them smaller
//! (`GROUPS` is a word of the shell's own).

use super::figures::{milliseconds, print, print_memory, size, wait_for_copies};
use super::nodes::node;
use crate::support::client::Client;
use crate::support::flow::Request;
use crate::support::postgres::Postgres;
use crate::support::rig::{Rig, until};
use cimf::store::postgres::replicate;
use std::path::Path;
use std::time::{Duration, Instant};

/// The members of the large group, with the sender.
const LARGE: usize = 100_000;
const ALL: &str = "sip:all@im.home1.net";
/// Messages to small groups, each to another one.
const MESSAGES: usize = 1000;
/// Starts of a node, and messages to the large group.
const TIMES: usize = 5;

/// Runs something that is worth a line.
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = work();
    println!("{what}: {:.2} s", began.elapsed().as_secs_f64());
    result
}

/// A PostgreSQL with a million groups of ten members, and one large group.
fn provision() -> Postgres {
    let groups = size("IM_GROUPS", 1_000_000);
    let postgres = Postgres::start();
    postgres.init();
    let made = |what: &str, sql: &str| timed(what, || postgres.psql(sql));
    made(
        &format!("{groups} groups into PostgreSQL"),
        &format!(
            "INSERT INTO cimf.im_group (uri)
             SELECT 'sip:g' || n || '@im.home1.net' FROM generate_series(1, {groups}) n"
        ),
    );
    made(
        "ten members for each",
        "INSERT INTO cimf.member SELECT id, 'sip:m' || (id * 7 + n) % 3000000 || '@home1.net'
         FROM cimf.im_group, generate_series(1, 10) n",
    );
    made(
        &format!("one group of {LARGE}"),
        &format!(
            "INSERT INTO cimf.im_group (uri) VALUES ('{ALL}');
             INSERT INTO cimf.member SELECT id, 'sip:a' || n || '@home1.net'
             FROM cimf.im_group, generate_series(1, {LARGE}) n WHERE uri = '{ALL}'"
        ),
    );
    let size = postgres.psql("SELECT pg_size_pretty(pg_database_size('groups'))");
    println!("PostgreSQL's size: {size}");
    postgres
}

fn follow(postgres: &Postgres, replica: &Path, what: &str) {
    let round = timed(what, || replicate(&postgres.read_url(), replica).unwrap());
    println!("  {round:?}");
}

#[test]
#[ignore = "a measurement: some minutes"]
fn how_long_a_million_groups_take() {
    let postgres = provision();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replica.db");
    let follow = |what: &str| follow(&postgres, &file, what);
    follow("first copy");
    let bytes = file.metadata().unwrap().len();
    println!("replica: {} MB", bytes >> 20);
    follow("nothing new");
    postgres.psql("DELETE FROM cimf.member WHERE uri = 'sip:m42@home1.net'");
    follow("one address out of its groups");
    postgres.psql("UPDATE cimf.im_group SET display_name = 'x' WHERE id % 10 = 0");
    follow("a tenth of all groups renamed");
}

#[test]
#[ignore = "a measurement: some minutes"]
fn what_a_million_groups_take() {
    let postgres = provision();
    let chosen = some_groups(&postgres);
    // What TIMES fan-outs to the large group need of the proxy, so that they do not wait for its memory.
    let setup = node(&postgres, "maxbuffer=4194304\n")
        .workers(4)
        .shared_memory(1024);
    let replica = setup.folder().join("replica.db");
    follow(&postgres, &replica, "first copy");
    println!("replica: {} MB", replica.metadata().unwrap().len() >> 20);
    let mut rig = timed("first start with that replica", || {
        setup.start_on_what_is_there()
    });
    let mut times = Vec::new();
    for _ in 0..TIMES {
        timed("an orderly stop", || rig.stop());
        let began = Instant::now();
        rig.start_again();
        times.push(began.elapsed());
    }
    print("further starts", times);
    rig.core.only_count();
    print_memory("after the start", &rig);
    to_small_groups(&rig, &chosen);
    print_memory("after that", &rig);
    to_the_large_group(&rig);
    print_memory("after that", &rig);
    for name in ["forks_failed", "forks_skipped", "forks_refused"] {
        println!("{name}: {}", rig.counter(name));
    }
    rig.stop();
}

/// Some of the small groups in no order, each with one of its members.
fn some_groups(postgres: &Postgres) -> Vec<(String, String)> {
    let found = postgres.psql(&format!(
        "SELECT uri, (SELECT uri FROM cimf.member WHERE group_id = id LIMIT 1)
         FROM cimf.im_group WHERE uri <> '{ALL}' ORDER BY random() LIMIT {MESSAGES}"
    ));
    let rows = found.lines().filter_map(|row| row.split_once('|'));
    let chosen: Vec<_> = rows
        .map(|(group, member)| (group.to_owned(), member.to_owned()))
        .collect();
    assert!(!chosen.is_empty());
    chosen
}

/// Sends a message, which has to be accepted; gives how long that took.
#[track_caller]
fn accepted(client: &mut Client, group: &str, sender: &str) -> Duration {
    let request = Request::another(client).group(group).sender(sender).bytes();
    let began = Instant::now();
    client.send(&request);
    let answer = client.receive();
    let time = began.elapsed();
    assert_eq!(answer.status(), 202, "{group}: {answer:?}");
    time
}

fn all_are_delivered(rig: &Rig) {
    let over = || (rig.counter("messages") == 0).then_some(());
    until(over).expect("an end of all messages");
}

fn to_small_groups(rig: &Rig, chosen: &[(String, String)]) {
    let mut client = rig.client();
    let mut times = Vec::new();
    for (number, (group, member)) in chosen.iter().enumerate() {
        times.push(accepted(&mut client, group, member));
        // The others of the group, before the next message.
        wait_for_copies((number + 1) * 9, || rig.core.count());
    }
    println!(
        "messages to as many groups, each read for the first time: {}",
        times.len()
    );
    print("  202", times);
    all_are_delivered(rig);
}

fn to_the_large_group(rig: &Rig) {
    let mut client = rig.client();
    for number in 1..=TIMES {
        let before = rig.core.count();
        let began = Instant::now();
        let answered = accepted(&mut client, ALL, "sip:a1@home1.net");
        wait_for_copies(before + LARGE - 1, || rig.core.count());
        let reached = began.elapsed().as_secs_f64();
        println!(
            "message {number} to {LARGE}: 202 after {:.1} ms, the last copy after {reached:.2} s, {:.0} copies a second",
            milliseconds(answered),
            (LARGE - 1) as f64 / reached
        );
        all_are_delivered(rig);
        let more = rig.core.count() - before - (LARGE - 1);
        println!("  sent again: {more}");
    }
}
