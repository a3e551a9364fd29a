//! `away=keep`: copies for members who are away are kept, and sent when they register.

mod crashes;
mod figures;
mod limits;
mod trouble;
mod unchanged;

pub use crashes::{
    a_stop_keeps_what_nobody_was_told_of,
    of_proxies_killed_while_keeping_and_delivering_none_loses_a_copy,
};
pub use figures::what_many_members_who_are_away_cost;
pub use limits::{
    a_copy_expires_with_its_message_or_its_time, a_full_ledger_keeps_what_it_has,
    a_message_that_many_miss_is_counted_once, one_more_than_may_be_pushes_out_the_oldest,
};
pub use trouble::{
    a_copy_that_expires_in_the_queue_holds_up_no_other,
    the_log_says_what_a_ledger_that_is_gone_means_here,
    what_somebody_has_altered_in_the_ledger_holds_up_no_other,
};
pub use unchanged::who_was_away_gets_what_an_online_member_got_byte_for_byte;

use crate::checks::sent;
use crate::rules::let_anybody_stay_anonymous;
use crate::script::setup;
use crate::support::client::{Client, Transport};
use crate::support::core::{Answer, Fork};
use crate::support::flow::{Request, unique};
use crate::support::proxy::{Figures, proxy};
use crate::support::rig::{BOB, HIKERS, Rig, Setup, TEL, until};
use std::collections::HashSet;

/// A proxy that keeps copies, with further parameters of cimf, and tells all there is to tell.
fn keeping(transport: Transport, parameters: &[(&str, &str)]) -> Setup {
    let value = |name| proxy().event_value(name);
    let register = r#"if ($rm == "REGISTER") {
        cimf_deliver("$tu");
        $var(found) = $rc;
        sl_send_reply("200", "Found $var(found)");
        exit;
    }
    cimf_handle(); exit; }
"#;
    let mut script = proxy().translated(register);
    for (name, value) in [("away", "keep"), ("identity_mode", "pai")]
        .iter()
        .chain(parameters)
    {
        script += &format!("modparam(\"cimf\", \"{name}\", \"{value}\")\n");
    }
    if proxy().name() == "Kamailio" {
        // Its buffer for messages by TCP has 4 KiB otherwise, and what a new connection may leave waiting 32.
        script += "tcp_rd_buf_size=131072\ntcp_conn_wq_max=1048576\n";
    }
    for event in ["kept", "expired", "delivered", "undelivered"] {
        let values = ["recipient", "code", "group", "originator", "id"].map(value);
        let text = format!("told {event}: {}|", values.join("|"));
        script += &proxy().event_route(event, &format!("xlog(\"L_NOTICE\", \"{text}\\n\");"));
    }
    setup(transport, &script).number("TM_FR_TIMER", 20_000)
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
    assert_eq!(answer.status(), 200, "{}", answer.start);
    let found = answer.reason().strip_prefix("Found ");
    let found = found.and_then(|found| found.parse().ok());
    found.unwrap_or_else(|| panic!("{}", answer.start))
}

/// Sends a message to the hikers while Bob is away; gives its copy for Bob, once that is kept.
#[track_caller]
fn missed(rig: &Rig, client: &mut Client, request: &Request) -> Fork {
    let kept = rig.counter("kept");
    let (_, forks) = sent(rig, client, request, 2);
    rig.wait_for_gauge("kept", kept + 1);
    of_bob(&forks).pop().expect("a copy for Bob")
}

fn of_bob(forks: &[Fork]) -> Vec<Fork> {
    let own = forks
        .iter()
        .filter(|fork| fork.message.request_uri() == BOB);
    own.cloned().collect()
}

/// Waits until the core has so many copies for Bob.
#[track_caller]
fn copies_of_bob(rig: &Rig, count: usize) -> Vec<Fork> {
    let found = until(|| {
        let copies = of_bob(&rig.core.forks());
        (copies.len() >= count).then_some(copies)
    });
    found.unwrap_or_else(|| panic!("{} copies for Bob", of_bob(&rig.core.forks()).len()))
}

fn bodies(forks: &[Fork]) -> Vec<String> {
    let body = |fork: &Fork| String::from_utf8_lossy(&fork.message.body).into_owned();
    forks.iter().map(body).collect()
}

fn numbered(client: &Client, number: usize) -> Request {
    Request::another(client).with_body(format!("message {number}").as_bytes())
}

/// What is kept, by the module's own command.
#[track_caller]
fn listed(rig: &Rig, member: Option<&str>) -> Vec<Figures> {
    rig.kept(member)
}

/// The events and the counters of a member who is away and comes back.
pub fn it_is_told_what_is_kept_and_what_becomes_of_it(transport: Transport) {
    let rig = keeping(transport, &[]).start();
    rig.core.answer("bob", Answer::Code(480));
    let mut client = rig.client();
    assert_eq!(register(&mut client, BOB), -1);
    let request = numbered(&client, 1);
    missed(&rig, &mut client, &request);
    let line = rig.wait_for_log("told kept:");
    let who = format!("{BOB}|480|{HIKERS}|sip:ann@home1.net|1|");
    assert!(line.contains(&who), "{line}");
    let line = rig.wait_for_log("is finished");
    assert!(line.contains("delivered=1 refused=0"), "{line}");
    assert!(line.contains("kept=1"), "{line}");
    assert!(rig.counter("kept_bytes") > 100);
    assert_eq!(register(&mut client, TEL), -1);
    rig.core.answer("bob", Answer::Code(200));
    // Another spelling of the same address.
    assert_eq!(register(&mut client, "sip:%62ob@HOME1.NET"), 1);
    rig.wait_for_counter("kept_delivered", 1);
    rig.wait_for_gauge("kept", 0);
    rig.wait_for_gauge("kept_bytes", 0);
    let told = format!("told delivered: {BOB}|200|{HIKERS}|sip:ann@home1.net|1|");
    rig.wait_for_log(&told);
    assert_eq!(register(&mut client, BOB), -1);
    assert!(!rig.log().contains("told undelivered"));
}

/// C-3: one number under two schemes is one member.
pub fn a_number_is_one_member_however_it_is_written(transport: Transport) {
    let rig = keeping(transport, &[]).start();
    rig.core.answer("+15551230003", Answer::Code(404));
    let mut client = rig.client();
    let request = Request::another(&client);
    sent(&rig, &mut client, &request, 2);
    rig.wait_for_gauge("kept", 1);
    rig.core.answer("+15551230003", Answer::Code(200));
    let as_sip = "sip:+1-555-123-0003@home1.net;user=phone";
    assert_eq!(register(&mut client, as_sip), 1);
    rig.wait_for_counter("kept_delivered", 1);
}

/// Only what `away_codes` name is kept, and without `away=keep` nothing is.
pub fn other_failures_are_not_kept(transport: Transport) {
    let rig = keeping(transport, &[("away_codes", "480")]).start();
    rig.core.answer("bob", Answer::Code(404));
    let mut client = rig.client();
    let request = Request::another(&client);
    sent(&rig, &mut client, &request, 2);
    rig.wait_for_log("told undelivered:");
    assert_eq!(rig.counter("kept"), 0);
    let rig = setup(transport, "cimf_handle(); exit; }\n").start();
    rig.core.answer("bob", Answer::Code(480));
    let mut client = rig.client();
    let request = Request::another(&client);
    sent(&rig, &mut client, &request, 2);
    rig.wait_for_log("did not receive it: answered 480");
    assert_eq!(rig.counter("kept"), 0);
    assert!(!rig.folder().join("ledger.db").exists());
}

/// M-3: oldest first, one after the other, before what comes later; and each once, however often the member registers.
pub fn what_was_kept_comes_in_order_and_once(transport: Transport) {
    let rig = keeping(transport, &[]).start();
    rig.core.answer("bob", Answer::Code(480));
    let mut client = rig.client();
    for number in 0..12 {
        // Of two senders in turn: each has turns of its own in the queue.
        let request = match number % 3 {
            0 => numbered(&client, number).sender("sip:+15551230003@home1.net;user=phone"),
            _ => numbered(&client, number),
        };
        let kept = rig.counter("kept");
        sent(&rig, &mut client, &request, 2);
        rig.wait_for_gauge("kept", kept + 1);
    }
    let before = of_bob(&rig.core.forks());
    rig.core.answer("bob", Answer::Held);
    let mut others: Vec<Client> = (0..3).map(|_| rig.client()).collect();
    for other in &mut others {
        assert_eq!(register(other, BOB), 1);
    }
    copies_of_bob(&rig, 13);
    // It comes while the first of those that were kept is under way.
    client.send(&numbered(&client, 12).bytes());
    assert_eq!(client.receive().status(), 202);
    for other in &mut others {
        assert_eq!(register(other, BOB), 1);
    }
    for count in 14..=25 {
        assert_eq!(rig.core.release("bob"), 1);
        copies_of_bob(&rig, count);
    }
    rig.core.release("bob");
    rig.wait_for_counter("kept_delivered", 12);
    rig.wait_for_gauge("kept", 0);
    client.fence();
    let copies = of_bob(&rig.core.forks()).split_off(12);
    let expected: Vec<String> = (0..=12).map(|number| format!("message {number}")).collect();
    assert_eq!(bodies(&copies), expected);
    for (copy, before) in copies.iter().zip(&before) {
        for name in ["Call-ID", "From", "CSeq"] {
            assert_eq!(copy.message.one(name), before.message.one(name));
        }
    }
}

/// Who is away again keeps what is left, and the rest is not tried in vain for long.
pub fn what_fails_again_stays(transport: Transport) {
    let rig = keeping(transport, &[]).start();
    rig.core.answer("bob", Answer::Code(480));
    let mut client = rig.client();
    for number in 0..10 {
        let request = numbered(&client, number);
        missed(&rig, &mut client, &request);
    }
    rig.core.answer("bob", Answer::Held);
    assert_eq!(register(&mut client, BOB), 1);
    copies_of_bob(&rig, 11);
    assert_eq!(rig.core.release("bob"), 1);
    copies_of_bob(&rig, 12);
    rig.core.answer("bob", Answer::Code(480));
    // The one under way gets no answer but this.
    assert_eq!(rig.core.release_with("bob", 480), 1);
    rig.wait_for_gauge("kept", 9);
    rig.wait_for_gauge("messages", 0);
    assert_eq!(rig.counter("kept_delivered"), 1);
    rig.core.answer("bob", Answer::Code(403));
    assert_eq!(register(&mut client, BOB), 1);
    // Another failure ends it.
    rig.wait_for_gauge("kept", 0);
    rig.wait_for_log("told undelivered:");
    let refused: HashSet<String> = bodies(&of_bob(&rig.core.forks())).into_iter().collect();
    assert_eq!(refused.len(), 10);
}

/// Who has left the group still gets what was kept before, unless the group is gone.
pub fn a_member_who_has_left_gets_it_and_that_of_a_deleted_group_goes(transport: Transport) {
    let others = "sip:others@im.home1.net";
    let ann = "sip:ann@home1.net";
    let rig = keeping(transport, &[]).group(others, &[ann, BOB]).start();
    rig.core.answer("bob", Answer::Code(410));
    let mut client = rig.client();
    let request = numbered(&client, 1);
    missed(&rig, &mut client, &request);
    let request = numbered(&client, 2).group(others);
    sent(&rig, &mut client, &request, 1);
    rig.wait_for_gauge("kept", 2);
    rig.cimfctl(&["member", "del", HIKERS, BOB]);
    rig.cimfctl(&["group", "del", others]);
    rig.core.answer("bob", Answer::Code(200));
    assert_eq!(register(&mut client, BOB), 1);
    rig.wait_for_gauge("kept", 0);
    rig.wait_for_counter("kept_delivered", 1);
    rig.wait_for_counter("kept_expired", 1);
    let line = rig.wait_for_log("told expired:");
    assert!(
        line.contains(&format!("{BOB}|410|{others}|{ann}|2|")),
        "{line}"
    );
    assert_eq!(
        bodies(&of_bob(&rig.core.forks()).split_off(2)),
        ["message 1"]
    );
}

/// What an administrator may ask and do, and that who wants to stay anonymous does.
pub fn the_administrator_sees_what_is_kept_and_may_drop_it(transport: Transport) {
    let rig = keeping(
        transport,
        &[("anonymity_policy", "group"), ("trusted_next_hop", "1")],
    )
    .start();
    let_anybody_stay_anonymous(&rig);
    rig.core.answer("bob", Answer::Code(480));
    let mut client = rig.client();
    let request = numbered(&client, 1);
    missed(&rig, &mut client, &request);
    let request = numbered(&client, 2).with("Privacy: id");
    missed(&rig, &mut client, &request);
    for member in [None, Some(BOB)] {
        let listed = listed(&rig, member);
        let of =
            |name: &str| -> Vec<&str> { listed.iter().map(|one| one[name].as_str()).collect() };
        assert_eq!(of("originator"), ["sip:ann@home1.net", "anonymous"]);
        assert_eq!(of("recipient"), [BOB, BOB]);
        assert_eq!(of("group"), [HIKERS, HIKERS]);
        assert_eq!(of("code"), ["480", "480"]);
        assert_eq!(of("id"), ["1", "2"]);
    }
    assert!(listed(&rig, Some(TEL)).is_empty());
    assert_eq!(rig.drop_kept("bob").map_err(|_| ()), Err(()));
    assert_eq!(rig.drop_kept(TEL), Ok(0));
    assert_eq!(rig.drop_kept(BOB), Ok(2));
    rig.wait_for_gauge("kept", 0);
    rig.wait_for_counter("kept_expired", 2);
    assert_eq!(register(&mut client, BOB), -1);
    let text = rig.wait_for_log("|anonymous|2|");
    assert!(text.contains("told expired"), "{text}");
}

/// Where nothing can be kept it is told as undelivered, and it goes on once there is a ledger again.
pub fn a_ledger_that_is_gone_keeps_nothing_and_holds_nobody_up(transport: Transport) {
    let rig = keeping(transport, &[]).start();
    rig.core.answer("bob", Answer::Code(480));
    let mut client = rig.client();
    let request = numbered(&client, 1);
    missed(&rig, &mut client, &request);
    let ledger = rig.folder().join("ledger.db");
    let aside = rig.folder().join("aside.db");
    std::fs::rename(&ledger, &aside).expect("moving the ledger");
    let request = numbered(&client, 2);
    sent(&rig, &mut client, &request, 2);
    rig.wait_for_log("told undelivered:");
    rig.wait_for_log("cannot keep copies for members who are away");
    std::fs::rename(&aside, &ledger).expect("moving it back");
    // It goes on as soon as that is noticed.
    until(|| {
        let request = numbered(&client, 4);
        sent(&rig, &mut client, &request, 2);
        rig.wait_for_gauge("messages", 0);
        (rig.counter("kept") == 2).then_some(())
    })
    .expect("a copy that is kept again");
    rig.core.answer("bob", Answer::Code(200));
    assert_eq!(register(&mut client, BOB), 1);
    rig.wait_for_gauge("kept", 0);
    let copies = bodies(&of_bob(&rig.core.forks()));
    let (_, got) = copies.split_at(copies.len() - 2);
    assert_eq!(got, ["message 1", "message 4"]);
}
