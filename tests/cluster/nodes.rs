//! Nodes that share one PostgreSQL: what changes there counts on each of them, and none of them waits for it.

use crate::checks::{accepted, refused};
use crate::support::built::cimfctl;
use crate::support::client::{Client, Transport};
use crate::support::flow::Request;
use crate::support::postgres::Postgres;
use crate::support::proxy::proxy;
use crate::support::rig::{ANN, BOB, HIKERS, Rig, Setup, TEL, until};
use std::path::Path;
use std::time::{Duration, Instant};

const CARL: &str = "sip:carl@home1.net";

/// The group of the conformance cases.
pub fn hikers(postgres: &Postgres) {
    let url = postgres.url();
    cimfctl(Path::new(&url), &["group", "add", HIKERS, ANN, BOB, TEL]);
}

/// A node whose groups are in this PostgreSQL.
pub fn node(postgres: &Postgres, parameters: &str) -> Setup {
    node_at(&postgres.url(), parameters)
}

/// A node whose groups are at this URL.
pub fn node_at(url: &str, parameters: &str) -> Setup {
    let script =
        "\n    cimf_handle();\n    if ($rc < 0) { sl_send_reply(\"404\", \"Not Found\"); }\n}\n";
    node_with(url, parameters, script)
}

/// A node with a script of its own.
pub fn node_with(url: &str, parameters: &str, script: &str) -> Setup {
    let setup = Setup::new(Transport::Udp).text("IDENTITY_MODE", "pai");
    let replica = setup.folder().join("replica.db");
    let head = proxy().head().replace(
        "modparam(\"cimf\", \"domains\"",
        &format!(
            "modparam(\"cimf\", \"replica\", \"{}\")\n{parameters}modparam(\"cimf\", \"domains\"",
            replica.display()
        ),
    );
    setup
        .text("DB_URL", url)
        .configuration(&format!("{head}{}", proxy().translated(script)))
}

fn postgres() -> Postgres {
    let postgres = Postgres::start();
    postgres.init();
    hikers(&postgres);
    postgres
}

/// Sends to the group until the members are these.
#[track_caller]
pub fn sees(rig: &Rig, client: &mut Client, members: &[&str]) {
    let found = until(|| {
        let before = rig.core.count();
        let sent = rig.counter("forks_sent");
        client.send(&Request::another(client).bytes());
        assert_eq!(client.receive().status(), 202);
        until(|| {
            (rig.counter("forks_sent") > sent && rig.counter("in_flight") == 0).then_some(())
        })?;
        let forks = &rig.core.forks()[before..];
        let mut reached: Vec<_> = forks
            .iter()
            .map(|fork| fork.message.start.clone())
            .collect();
        reached.sort();
        let mut expected: Vec<_> = members
            .iter()
            .map(|member| format!("MESSAGE {member} SIP/2.0"))
            .collect();
        expected.sort();
        (reached == expected).then_some(())
    });
    found.unwrap_or_else(|| panic!("no message went to exactly {members:?}"));
}

#[test]
fn a_change_counts_on_every_node() {
    let postgres = postgres();
    let nodes = [
        node(&postgres, "").start_on_what_is_there(),
        node(&postgres, "").start_on_what_is_there(),
    ];
    let mut clients = nodes.each_ref().map(Rig::client);
    for (rig, client) in nodes.iter().zip(&mut clients) {
        let request = Request::b0(client);
        accepted(rig, client, &request, &[BOB, TEL]);
    }
    postgres.psql(&format!(
        "INSERT INTO cimf.member SELECT id, '{CARL}' FROM cimf.im_group"
    ));
    for (rig, client) in nodes.iter().zip(&mut clients) {
        sees(rig, client, &[BOB, CARL, TEL]);
    }
    postgres.psql("DELETE FROM cimf.im_group");
    for (rig, client) in nodes.iter().zip(&mut clients) {
        let gone = || {
            client.send(&Request::another(client).bytes());
            (client.receive().status() == 404).then_some(())
        };
        until(gone).expect("404");
        let request = Request::another(client);
        refused(rig, client, &request, 404);
        assert!(!rig.log().contains("s3cret"));
    }
}

#[test]
fn a_node_goes_on_without_postgresql_and_starts_without_it() {
    let mut postgres = postgres();
    let mut rig = node(&postgres, "").start_on_what_is_there();
    let mut client = rig.client();
    let request = Request::b0(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    postgres.kill();
    rig.wait_for_log("the groups stay as they were");
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.stop();
    rig.start_again();
    rig.wait_for_log("starting with the replica");
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    postgres.restart();
    rig.wait_for_log("is followed again");
    postgres.psql(&format!("DELETE FROM cimf.member WHERE uri = '{BOB}'"));
    sees(&rig, &mut client, &[TEL]);
    assert!(!rig.log().contains("s3cret"));
}

#[test]
fn groups_that_are_too_old_are_answered_500() {
    let mut postgres = postgres();
    let old = "modparam(\"cimf\", \"groups_max_age\", 3)\n";
    let rig = node(&postgres, old).start_on_what_is_there();
    let mut client = rig.client();
    let request = Request::b0(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    assert!(rig.counter("groups_age") <= 3);
    postgres.kill();
    let refuses = || {
        client.send(&Request::another(&client).bytes());
        (client.receive().status() == 500).then_some(())
    };
    until(refuses).expect("500");
    let request = Request::another(&client);
    let response = refused(&rig, &mut client, &request, 500);
    assert!(!response.one("Retry-After").is_empty());
    assert!(rig.counter("groups_age") >= 3);
    postgres.restart();
    let accepts = || {
        client.send(&Request::another(&client).bytes());
        (client.receive().status() == 202).then_some(())
    };
    until(accepts).expect("202");
}

#[test]
fn without_replica_and_postgresql_there_is_no_start() {
    let mut postgres = Postgres::start();
    let setup = node(&postgres, "");
    let (status, log) = setup.fails_to_start();
    assert!(!status.success());
    assert!(log.contains("no tables of cimf; make them with"), "{log}");
    postgres.kill();
    let started = Instant::now();
    let (status, log) = setup.fails_to_start();
    assert!(!status.success() && started.elapsed() < Duration::from_secs(15));
    assert!(
        log.contains("cannot connect") && log.contains("there is no replica"),
        "{log}"
    );
    assert!(!log.contains("s3cret"));
}
