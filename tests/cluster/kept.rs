//! Copies for members who are away, which the nodes keep together: whichever sees the registration delivers.

use crate::nodes::{hikers, node_with};
use crate::promises::{has_a_lease, identity, parameters};
use crate::support::client::Client;
use crate::support::core::Answer;
use crate::support::flow::{Request, unique};
use crate::support::postgres::Postgres;
use crate::support::proxy::proxy;
use crate::support::rig::{BOB, Rig, until};

/// The node with this name, which tells what becomes of kept copies.
pub fn start(postgres: &Postgres, name: &str, more: &str) -> Rig {
    let value = |name| proxy().event_value(name);
    let mut script = r#"
    if ($rm == "REGISTER") {
        cimf_deliver("$tu");
        $var(found) = $rc;
        sl_send_reply("200", "Found $var(found)");
        exit;
    }
    cimf_handle();
    if ($rc < 0) { sl_send_reply("404", "Not Found"); }
}
"#
    .to_owned();
    for event in ["kept", "expired"] {
        let text = format!("told {event}: {}", value("recipient"));
        let body = format!("xlog(\"L_NOTICE\", \"{text}\\n\");");
        script += &proxy().event_route(event, &body);
    }
    let more = format!("modparam(\"cimf\", \"away\", \"keep\")\n{more}");
    let rig =
        node_with(&postgres.url(), &parameters(name, &more), &script).start_on_what_is_there();
    has_a_lease(&rig);
    rig
}

fn postgres() -> Postgres {
    let postgres = Postgres::start();
    postgres.init();
    hikers(&postgres);
    postgres
}

/// A member registers; gives what `cimf_deliver()` said.
#[track_caller]
fn register(client: &mut Client, member: &str) -> i32 {
    let mark = unique();
    let mut request = Request::another(client)
        .via(client, &mark)
        .set("Call-ID", &mark)
        .set("CSeq", "1 REGISTER")
        .set("To", &format!("<{member}>"))
        .with_body(b"");
    request.start = "REGISTER sip:home1.net SIP/2.0".to_owned();
    client.send(&request.bytes());
    let answer = client.receive();
    let found = answer.reason().strip_prefix("Found ");
    let found = found.and_then(|found| found.parse().ok());
    found.unwrap_or_else(|| panic!("{}", answer.start))
}

/// Sends messages that Bob misses, until all these nodes know.
#[track_caller]
fn missed(rig: &Rig, all: &[&Rig], count: u64) {
    rig.core.answer("bob", Answer::Code(480));
    let before = rig.counter("kept");
    let mut client = rig.client();
    for _ in 0..count {
        client.send(&Request::another(&client).bytes());
        assert_eq!(client.receive().status(), 202);
    }
    for rig in all {
        rig.wait_for_gauge("kept", before + count);
    }
}

#[test]
fn whichever_node_sees_the_registration_delivers() {
    let postgres = postgres();
    let (keeps, sees) = (start(&postgres, "a", ""), start(&postgres, "b", ""));
    missed(&keeps, &[&keeps, &sees], 3);
    keeps.wait_for_log(&format!("told kept: {BOB}"));
    let mut client = sees.client();
    // Another spelling of the same address.
    assert_eq!(register(&mut client, "sip:%62ob@HOME1.NET"), 1);
    for rig in [&keeps, &sees] {
        rig.wait_for_gauge("kept", 0);
        rig.wait_for_gauge("kept_bytes", 0);
    }
    assert_eq!(
        [
            sees.counter("kept_delivered"),
            keeps.counter("kept_delivered")
        ],
        [3, 0]
    );
    // Under the identifiers of the copies that were kept.
    let of_bob = |rig: &Rig| {
        let copies = rig.core.forks().into_iter();
        let copies = copies.filter(|fork| fork.message.request_uri() == BOB);
        copies.map(|fork| identity(&fork)).collect::<Vec<_>>()
    };
    assert_eq!(of_bob(&sees), of_bob(&keeps));
    assert_eq!(register(&mut client, BOB), -1);
    let left = || postgres.psql("SELECT count(*) FROM cimf_ledger.message");
    until(|| (left() == "0").then_some(())).expect("nothing");
}

#[test]
fn a_member_who_registers_before_the_node_knows_gets_what_another_one_has_just_kept() {
    let postgres = postgres();
    let (keeps, sees) = (start(&postgres, "a", ""), start(&postgres, "b", ""));
    let mut client = sees.client();
    // Some find what is kept at once.
    let mut late = 0;
    for round in 1..=5 {
        missed(&keeps, &[], 1);
        let kept = || postgres.psql("SELECT count(*) FROM cimf_ledger.kept");
        until(|| (kept() == "1").then_some(())).expect("a copy");
        late += u64::from(register(&mut client, BOB) == -1);
        sees.wait_for_counter("kept_delivered", round);
    }
    assert!(late > 0, "each copy was known at the other node at once");
}

#[test]
fn what_a_lost_node_has_kept_is_delivered_by_others_and_after_a_restart() {
    let mut postgres = postgres();
    let (mut lost, mut sees) = (start(&postgres, "a", ""), start(&postgres, "b", ""));
    missed(&lost, &[&lost, &sees], 2);
    lost.kill();
    sees.stop();
    // What is kept is known before PostgreSQL answers, and delivered once it does.
    postgres.kill();
    sees.start_again();
    sees.wait_for_gauge("kept", 2);
    let mut client = sees.client();
    assert_eq!(register(&mut client, BOB), 1);
    postgres.restart();
    sees.wait_for_counter("kept_delivered", 2);
    sees.wait_for_gauge("kept", 0);
}

#[test]
fn one_node_tells_that_a_copy_has_expired_and_all_drop_it() {
    let postgres = postgres();
    let short = "modparam(\"cimf\", \"away_lifetime\", 2)\n";
    let nodes = [start(&postgres, "a", short), start(&postgres, "b", short)];
    missed(&nodes[0], &[&nodes[0]], 4);
    for rig in &nodes {
        until(|| (rig.counter("kept") == 0).then_some(())).expect("nothing is kept");
    }
    let expired = || {
        nodes
            .iter()
            .map(|rig| rig.counter("kept_expired"))
            .sum::<u64>()
    };
    until(|| (expired() >= 4).then_some(())).expect("all have expired");
    assert_eq!(expired(), 4);
    let told: usize = nodes
        .iter()
        .map(|rig| rig.log().matches("told expired: ").count())
        .sum();
    assert_eq!(told, 4);
}

#[test]
fn limits_and_commands_are_about_what_all_nodes_keep() {
    let postgres = postgres();
    let few = "modparam(\"cimf\", \"away_per_member\", 3)\n";
    let nodes = [start(&postgres, "a", few), start(&postgres, "b", few)];
    missed(&nodes[0], &[&nodes[0], &nodes[1]], 2);
    // One more than may be, of which the oldest goes.
    nodes[1].core.answer("bob", Answer::Code(480));
    let mut client = nodes[1].client();
    for _ in 0..2 {
        client.send(&Request::another(&client).bytes());
        assert_eq!(client.receive().status(), 202);
    }
    nodes[1].wait_for_counter("kept_pushed_out", 1);
    for rig in &nodes {
        rig.wait_for_gauge("kept", 3);
        assert_eq!(rig.kept(Some(BOB)).len(), 3);
    }
    assert_eq!(nodes[0].drop_kept(BOB), Ok(3));
    for rig in &nodes {
        rig.wait_for_gauge("kept", 0);
    }
    assert_eq!(postgres.psql("SELECT count(*) FROM cimf_ledger.kept"), "0");
}
