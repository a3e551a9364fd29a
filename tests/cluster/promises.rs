//! Nodes that share what they have promised (`durability=cluster`): what a lost one has accepted another one sends, and
//! nobody gets a message under two Call-IDs.

use crate::checks::refused;
use crate::json_fields::check_fields;
use crate::nodes::{hikers, node};
use crate::support::built::cimfctl;
use crate::support::client::Client;
use crate::support::core::{Answer, Fork};
use crate::support::flow::{Request, unique};
use crate::support::postgres::Postgres;
use crate::support::rig::{ANN, Rig, until};
use crate::support::sip::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// A group with many members.
pub const CREW: &str = "sip:crew@im.home1.net";
pub const MEMBERS: usize = 30;

/// The parameters of a node with this name, whose lease is short.
pub fn parameters(name: &str, more: &str) -> String {
    format!(
        "modparam(\"cimf\", \"durability\", \"cluster\")\nmodparam(\"cimf\", \"node\", \"{name}\")\n\
         modparam(\"cimf\", \"lease\", 2)\n{more}"
    )
}

pub fn start(postgres: &Postgres, name: &str) -> Rig {
    let rig = node(postgres, &parameters(name, "")).start_on_what_is_there();
    has_a_lease(&rig);
    rig
}

/// Waits until a node may promise something.
#[track_caller]
pub fn has_a_lease(rig: &Rig) {
    let leased = until(|| (rig.counter("lease") > 0).then_some(()));
    leased.unwrap_or_else(|| panic!("no lease: {}", rig.log()));
}

fn postgres() -> Postgres {
    let postgres = Postgres::start();
    postgres.init();
    hikers(&postgres);
    crew(&postgres, MEMBERS);
    postgres
}

/// The group with this many members, beside Ann.
pub fn crew(postgres: &Postgres, members: usize) {
    let url = postgres.url();
    let members: Vec<String> = (0..members)
        .map(|number| format!("sip:m{number}@home1.net"))
        .collect();
    let mut words = vec!["group", "add", CREW, ANN];
    words.extend(members.iter().map(String::as_str));
    cimfctl(Path::new(&url), &words);
}

/// A message of Ann's to the many.
pub fn to_crew(client: &Client) -> Request {
    Request::another(client).group(CREW)
}

#[track_caller]
pub fn is_accepted(client: &mut Client, request: &Request) -> Message {
    client.send(&request.bytes());
    let answer = client.receive();
    assert_eq!(answer.status(), 202, "{answer:?}");
    answer
}

/// Sends a message that is accepted.
#[track_caller]
pub fn sends(client: &mut Client, message: impl FnOnce(&Client) -> Request) {
    let request = message(client);
    is_accepted(client, &request);
}

/// What identifies a copy: its recipient, and Call-ID, From tag and CSeq.
pub fn identity(fork: &Fork) -> (String, [String; 3]) {
    let message = &fork.message;
    let values = ["Call-ID", "From", "CSeq"].map(|name| message.one(name).to_owned());
    (message.start.clone(), values)
}

/// Each recipient of these copies with all identities under which they were sent.
pub fn identities(forks: &[Fork]) -> BTreeMap<String, BTreeSet<[String; 3]>> {
    let mut found: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
    for fork in forks {
        let (recipient, values) = identity(fork);
        found.entry(recipient).or_default().insert(values);
    }
    found
}

/// Waits until this many members have a copy on one of the nodes, and nobody under two Call-IDs.
#[track_caller]
pub fn all_have_one(rigs: &[&Rig], count: usize) {
    let forks = || -> Vec<Fork> { rigs.iter().flat_map(|rig| rig.core.forks()).collect() };
    let complete = until(|| (identities(&forks()).len() == count).then_some(()));
    let found = identities(&forks());
    assert!(complete.is_some(), "{} of {count} have it", found.len());
    for (recipient, identities) in found {
        assert_eq!(identities.len(), 1, "{recipient}: {identities:?}");
    }
}

/// What the ledger has of messages that are not finished.
fn unfinished(postgres: &Postgres) -> String {
    postgres.psql("SELECT count(*) FROM cimf_ledger.message")
}

#[track_caller]
pub fn nothing_is_left(postgres: &Postgres) {
    let done = until(|| (unfinished(postgres) == "0").then_some(()));
    done.unwrap_or_else(|| panic!("{} messages are left", unfinished(postgres)));
}

#[test]
fn another_node_goes_on_with_what_a_lost_one_has_promised() {
    let postgres = postgres();
    let (mut lost, other) = (start(&postgres, "a"), start(&postgres, "b"));
    // Some have it, the others not before the node is lost.
    for number in 10..MEMBERS {
        lost.core.answer(&format!("m{number}@"), Answer::Held);
    }
    let mut client = lost.client();
    sends(&mut client, to_crew);
    lost.wait_for_counter("forks_delivered", 10);
    let known = || postgres.psql("SELECT count(*) FROM cimf_ledger.recipient_state");
    until(|| (known() == "1").then_some(())).expect("outcomes in PostgreSQL");
    lost.kill();
    let began = Instant::now();
    other.core.wait_for(MEMBERS - 10);
    assert!(began.elapsed() < Duration::from_secs(2 + 5));
    all_have_one(&[&lost, &other], MEMBERS);
    let first = identities(&other.core.forks());
    assert!(first.keys().all(|recipient| !recipient.contains("m3@")));
    nothing_is_left(&postgres);
    let log = other.wait_for_log("messages of the node a, which was lost or has left, go on here");
    assert!(
        log.contains("1 messages") && log.contains("with 20 recipients"),
        "{log}"
    );
    assert_eq!(other.counter("taken_over"), 1);
}

#[test]
fn what_a_node_leaves_at_its_stop_goes_on_at_once() {
    let postgres = postgres();
    let (mut stopped, other) = (start(&postgres, "a"), start(&postgres, "b"));
    for number in 10..MEMBERS {
        stopped.core.answer(&format!("m{number}@"), Answer::Held);
    }
    let mut client = stopped.client();
    sends(&mut client, to_crew);
    stopped.wait_for_counter("forks_delivered", 10);
    stopped.stop();
    other.core.wait_for(MEMBERS - 10);
    all_have_one(&[&stopped, &other], MEMBERS);
    assert_eq!(other.core.count(), MEMBERS - 10);
    nothing_is_left(&postgres);
    assert!(
        stopped.log().contains("goes on at another node"),
        "{}",
        stopped.log()
    );
}

#[test]
fn a_request_that_another_node_has_accepted_is_answered_and_not_sent_again() {
    let postgres = postgres();
    let nodes = [start(&postgres, "a"), start(&postgres, "b")];
    let mut clients = nodes.each_ref().map(Rig::client);
    let request = Request::another(&clients[0]);
    is_accepted(&mut clients[0], &request);
    nodes[0].core.wait_for(2);
    // The answer was lost, and the client tries the next server (RFC 3263 section 4.3).
    let again = request.clone().via(&clients[1], &unique());
    is_accepted(&mut clients[1], &again);
    is_accepted(&mut clients[1], &again);
    // Or the same one once more, on another path.
    let back = request.clone().via(&clients[0], &unique());
    is_accepted(&mut clients[0], &back);
    // The same in time: both at once.
    let third = Request::another(&clients[0]);
    let fourth = third.clone().via(&clients[1], &unique());
    for (client, request) in clients.iter_mut().zip([&third, &fourth]) {
        client.send(&request.bytes());
    }
    for client in &mut clients {
        assert_eq!(client.receive().status(), 202);
    }
    // Another body is another message, as is another originator's: a third node takes both.
    let third_node = start(&postgres, "c");
    let mut client = third_node.client();
    let other = request.clone().with_body(b"something else");
    let other = other.via(&client, &unique());
    is_accepted(&mut client, &other);
    third_node.core.wait_for(2);
    let of_bob = request
        .sender("sip:bob@home1.net")
        .set("Call-ID", &unique());
    let of_bob = of_bob.via(&client, &unique());
    is_accepted(&mut client, &of_bob);
    third_node.core.wait_for(4);
    let reached = || nodes[0].core.count() + nodes[1].core.count();
    nothing_is_left(&postgres);
    // Two of Ann's to two members each, one of them by either node.
    assert_eq!(reached(), 4);
}

#[test]
fn a_node_that_was_away_lets_go_what_others_have_taken_over() {
    let postgres = postgres();
    let (away, other) = (start(&postgres, "a"), start(&postgres, "b"));
    away.core.answer("home1.net", Answer::Held);
    let mut client = away.client();
    sends(&mut client, to_crew);
    away.core.wait_for(1);
    let group = away.main_process();
    // SAFETY: a plain system call on a group of processes.
    let send = |signal| unsafe { libc::kill(-group, signal) };
    assert_eq!(send(libc::SIGSTOP), 0);
    other.core.wait_for(MEMBERS);
    assert_eq!(send(libc::SIGCONT), 0);
    away.wait_for_log("were taken over by other nodes");
    let sent = away.core.count();
    away.core.answer("home1.net", Answer::Code(200));
    away.core.release("home1.net");
    // It ends without sending to anybody else.
    until(|| (away.counter("messages") == 0).then_some(())).expect("an end");
    assert_eq!(away.core.count(), sent);
    assert_eq!(away.counter("taken_away"), 1);
    all_have_one(&[&away, &other], MEMBERS);
    nothing_is_left(&postgres);
    // It has a lease again, and takes messages.
    has_a_lease(&away);
    sends(&mut client, to_crew);
    all_have_more(&away, sent + MEMBERS);
}

/// Waits until the core of a node has got this many copies.
#[track_caller]
fn all_have_more(rig: &Rig, count: usize) {
    rig.core.wait_for(count);
}

#[test]
fn without_postgresql_nothing_is_promised_and_after_half_of_the_lease_nothing_is_sent() {
    let mut postgres = postgres();
    let one_by_one = "modparam(\"cimf\", \"concurrency\", 1)\n";
    let rig = node(&postgres, &parameters("a", one_by_one)).start_on_what_is_there();
    has_a_lease(&rig);
    let mut client = rig.client();
    rig.core
        .answer("home1.net", Answer::Late(Duration::from_millis(200)));
    sends(&mut client, to_crew);
    rig.core.wait_for(2);
    postgres.kill();
    // The first within ledger_timeout, then at once.
    for most in [2000, 300] {
        let began = Instant::now();
        client.send(&Request::another(&client).bytes());
        let answer = client.receive();
        assert_eq!(answer.status(), 503);
        assert!(!answer.one("Retry-After").is_empty());
        let elapsed = began.elapsed();
        assert!(elapsed < Duration::from_millis(most), "{elapsed:?}");
    }
    until(|| (rig.counter("lease") == 0).then_some(())).expect("no lease");
    let sent = until(|| {
        let sent = rig.core.count();
        let more = rig.core.next_after(sent, Duration::from_millis(700));
        more.is_none().then_some(sent)
    });
    assert!(sent.expect("an end of sending") < MEMBERS);
    // What is not a message to a group goes on.
    client.fence();
    postgres.restart();
    all_have_more(&rig, MEMBERS);
    let accepts = || {
        client.send(&Request::another(&client).bytes());
        (client.receive().status() == 202).then_some(())
    };
    until(accepts).expect("202");
    nothing_is_left(&postgres);
    assert!(!rig.log().contains("s3cret"));
}

#[test]
fn a_node_starts_without_postgresql_and_promises_once_it_answers() {
    let mut postgres = postgres();
    let mut rig = start(&postgres, "a");
    rig.stop();
    postgres.kill();
    rig.start_again();
    rig.wait_for_log("messages are answered 503 until PostgreSQL answers");
    let mut client = rig.client();
    let request = Request::another(&client);
    refused(&rig, &mut client, &request, 503);
    postgres.restart();
    has_a_lease(&rig);
    let accepts = || {
        client.send(&Request::another(&client).bytes());
        (client.receive().status() == 202).then_some(())
    };
    until(accepts).expect("202");
}

#[test]
fn a_node_refuses_new_messages_before_maintenance() {
    let postgres = postgres();
    let nodes = [start(&postgres, "a"), start(&postgres, "b")];
    let mut client = nodes[0].client();
    nodes[0].core.answer("bob", Answer::Held);
    sends(&mut client, Request::another);
    nodes[0].core.wait_for(2);
    nodes[0].wait_for_counter("forks_delivered", 1);
    let left = nodes[0].drain(true);
    assert_eq!([&left["messages"], &left["waiting"]], ["1", "1"]);
    let request = Request::another(&client);
    let answer = refused(&nodes[0], &mut client, &request, 503);
    assert_eq!(answer.one("Retry-After"), "10");
    let drains = |rig: &Rig| {
        let nodes = rig.nodes().unwrap();
        let found = nodes
            .iter()
            .find(|node| node["node"] == "a" && node["drains"] == "1");
        found.map(|node| (node["unfinished"].clone(), node["lease"].clone()))
    };
    let (unfinished, lease) = until(|| drains(&nodes[1])).expect("a node that drains");
    assert_eq!(unfinished, "1");
    assert!(lease.parse::<u64>().unwrap() <= 2);
    let url = postgres.url();
    let listed = cimfctl(Path::new(&url), &["nodes"]);
    let lines: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(lines.len(), 2, "{listed}");
    let json = cimfctl(Path::new(&url), &["nodes", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    check_fields("nodes", &json);
    assert_eq!(
        (&json[0]["node"], &json[0]["drains"]),
        (&"a".into(), &true.into())
    );
    assert_eq!(
        (lines[0][0], lines[0][3], lines[0][4]),
        ("a", "1", "drains")
    );
    assert_eq!((lines[1][0], lines[1][3], lines[1].len()), ("b", "0", 4));
    nodes[0].core.release("bob");
    until(|| (nodes[0].drain(true)["messages"] == "0").then_some(())).expect("an end");
    nodes[0].drain(false);
    nodes[0].core.answer("bob", Answer::Code(200));
    sends(&mut client, Request::another);
}

#[test]
fn an_administrator_lists_what_nodes_have_promised() {
    let postgres = postgres();
    let mut rig = start(&postgres, "a");
    rig.core.answer("m1@", Answer::Held);
    let mut client = rig.client();
    sends(&mut client, to_crew);
    rig.wait_for_counter("forks_delivered", MEMBERS as u64 - 1);
    let url = postgres.url();
    let ctl = |words: &[&str]| cimfctl(Path::new(&url), words);
    let fields = || -> Vec<String> {
        let listed = ctl(&["ledger", "list"]);
        listed.trim_end().split('\t').map(str::to_owned).collect()
    };
    let fields = until(|| Some(fields()).filter(|fields| fields[5] == "1")).expect("one is open");
    assert_eq!(fields[2], "sip:ann@home1.net");
    assert_eq!([&fields[3], &fields[4], &fields[8]], [CREW, "30", "a"]);
    let shown = ctl(&["ledger", "show", &fields[0]]);
    assert!(
        shown.contains("recipient sip:m1@home1.net\tno outcome yet"),
        "{shown}"
    );
    assert!(
        shown.contains("recipient sip:m2@home1.net\tanswered 200"),
        "{shown}"
    );
    // All recipients stand there once for all messages of the group.
    sends(&mut client, to_crew);
    rig.core.wait_for(2 * MEMBERS - 1);
    assert_eq!(postgres.psql("SELECT count(*) FROM cimf_ledger.list"), "1");
    rig.kill();
    let gone = until(|| {
        let nodes = ctl(&["nodes"]);
        nodes.contains("ran out").then_some(())
    });
    gone.expect("a lease that has run out");
    let dropped = ctl(&["ledger", "drop", &fields[0]]);
    assert_eq!(
        dropped,
        format!("dropped {} with 30 recipients\n", fields[0])
    );
}

#[test]
fn what_the_ledger_of_nodes_needs_is_said_at_the_start() {
    let postgres = Postgres::start();
    let url = postgres.url();
    cimfctl(Path::new(&url), &["init"]);
    hikers(&postgres);
    let fails = || {
        let (status, log) = node(&postgres, &parameters("a", "")).fails_to_start();
        assert!(!status.success());
        log
    };
    postgres.psql("DROP SCHEMA cimf_ledger CASCADE");
    let log = fails();
    assert!(
        log.contains("durability=cluster") && log.contains("no tables of the ledger"),
        "{log}"
    );
    assert!(log.contains("init`"), "{log}");
    postgres.psql(
        "CREATE SCHEMA cimf_ledger; CREATE TABLE cimf_ledger.meta (version integer, key bytea);
        INSERT INTO cimf_ledger.meta VALUES (99, '0123456789abcdef')",
    );
    let log = fails();
    assert!(log.contains("found version 99: upgrade cimf"), "{log}");
}
