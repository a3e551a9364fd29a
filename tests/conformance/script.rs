//! What scripts do around `cimf_handle()`.

use crate::checks::{Before, accepted, nothing_was_sent};
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::proxy::proxy;
use crate::support::rig::{BOB, HIKERS, Setup, TEL};
use std::time::Duration;

/// How long an answer is waited for that need not come.
const UNANSWERED: Duration = Duration::from_secs(5);

/// A script of the test's own, from the end of the head of `request_route` on.
pub fn setup(transport: Transport, script: &str) -> Setup {
    Setup::new(transport)
        .text("IDENTITY_MODE", "pai")
        .configuration(&format!("{}{script}", proxy().head()))
}

/// The configuration that the README shows for this proxy, with the test's own addresses.
pub fn the_smallest_configuration_works(transport: Transport) {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme
        .split_once(&format!("\n{} ([the manual]", proxy().name()))
        .expect("a configuration in the README");
    let lines = rest.lines().skip(1).skip_while(|line| line.is_empty());
    let shown: Vec<&str> = lines.map_while(|line| line.strip_prefix("    ")).collect();
    // Where it listens, and what the test asks it by; its last line says that it is alive.
    let head = proxy().head();
    let alive = head.lines().last().expect("a line about OPTIONS");
    let own = head.lines();
    let own = own.take_while(|line| *line != "loadmodule @CIMF_MODULE@");
    let own = own.filter(|line| !line.starts_with("modparam(\"proto_tcp\""));
    let own: Vec<&str> = own.filter(|line| !shown.contains(line)).collect();
    let configuration = format!("{}\n{}\n", own.join("\n"), shown.join("\n"))
        .replace(
            "loadmodule \"cimf.so\"",
            "loadmodule @CIMF_MODULE@\nmodparam(\"cimf\", \"db_url\", @DB_URL@)",
        )
        .replace(
            "\n    cimf_handle();",
            &format!("\n{alive}\n    cimf_handle();"),
        )
        .replace("\"tcp:192.0.2.7\"", "@TRUSTED_PEERS@")
        .replace("\"sip:192.0.2.7;transport=tcp\"", "@CORE_ROUTE@");
    assert!(!configuration.contains("192.0.2"), "{configuration}");
    let rig = Setup::new(transport).configuration(&configuration).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let request = Request::another(&client).sender("sip:dora@home1.net");
    assert_eq!(client.ask(&request).status(), 403);
}

/// RFC 3261 §8.2.6.2: a proxy that cannot read a field and tries again has those before it twice; an answer has not.
pub fn no_answer_has_a_via_twice(transport: Transport) {
    for times in 0..4 {
        let reads = "xlog(\"$hdr(Subject)\\n\"); ".repeat(times);
        let rig = setup(transport, &format!("{reads}cimf_handle(); }}")).start();
        let mut client = rig.client();
        let request = Request::another(&client)
            .with("Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-far")
            .with("X!: a token by RFC 3261 §25.1")
            .with("Subject: the trail");
        client.send(&request.bytes());
        let answers = match transport {
            Transport::Udp => client.fence_collecting(),
            // A proxy that cannot answer may close the connection.
            Transport::Tcp => Vec::from_iter(client.receive_bytes_within(UNANSWERED)),
        };
        for answer in answers {
            let answer = String::from_utf8_lossy(&answer);
            let vias = answer.lines().filter(|line| line.starts_with("Via: "));
            assert_eq!(vias.count(), 2, "{times}\n{answer}");
        }
    }
}

/// `t_newtran()` before `cimf_handle()` is no error, and its To tag is that of all answers.
pub fn a_transaction_that_the_script_has_made_is_used(transport: Transport) {
    let script = "cimf_retransmission(); t_newtran(); cimf_retransmission(); cimf_handle(); }";
    // tm knows it for as long as the case takes.
    let setup = setup(transport, script).number("TM_WT_TIMER", 30_000);
    let rig = setup.start();
    let mut client = rig.client();
    let request = Request::another(&client);
    let (answer, _) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let before = Before::of(&rig);
    client.send(&request.bytes());
    assert_eq!(client.receive(), answer, "the answer that was sent before");
    nothing_was_sent(&rig, &mut client, &before);
    rig.wait_for_counter("retransmissions", 1);
}

/// Headers and body: what a browser closes its WebSocket at.
pub fn a_script_asks_whether_a_request_is_utf8(transport: Transport) {
    let script = "if (cimf_is_utf8()) { sl_send_reply(488, \"Text\"); exit; }
        sl_send_reply(415, \"No Text\"); exit; }";
    let rig = setup(transport, script).start();
    let mut client = rig.client();
    for (body, status) in [("café".as_bytes(), 488), (b"caf\xe9", 415), (b"", 488)] {
        let request = Request::another(&client).with_body(body);
        client.send(&request.bytes());
        assert_eq!(client.receive().status(), status, "{body:?}");
    }
}

/// In the route for requests of the proxy's own the message is one of our forks.
pub fn elsewhere_than_in_request_route_a_message_is_not_ours(transport: Transport) {
    let elsewhere = proxy().local_route("cimf_handle();");
    let setup = setup(transport, &format!("cimf_handle(); }}\n{elsewhere}"));
    if !proxy().has_steps_elsewhere() {
        return does_not_start_with(&setup, "cimf_handle");
    }
    let rig = setup.start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_log("works in request_route only");
}

/// The route that sees each copy as it is sent knows whose it is.
pub fn the_route_of_a_copy_knows_its_group(transport: Transport) {
    let words = "xlog(\"a copy: $cimf(group) $cimf(originator) $cimf(recipient) $cimf(id)\\n\");";
    let route = proxy().local_route(words);
    let rig = setup(transport, &format!("cimf_handle(); }}\n{route}")).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    for recipient in [BOB, TEL] {
        rig.wait_for_log(&format!("a copy: {HIKERS} sip:ann@home1.net {recipient} 1"));
    }
}

/// OpenSIPS tells a function in a route that is not for it when it reads the script.
#[track_caller]
pub fn does_not_start_with(setup: &Setup, function: &str) {
    setup.provision();
    let (status, log) = setup.fails_to_start();
    assert!(!status.success(), "{status}");
    let words = format!("Command <{function}> cannot be used in the block");
    assert!(log.contains(&words), "no `{words}` in\n{log}");
}
