//! Proxy, peers and core at IPv6 addresses.

use crate::checks::{Before, accepted, are_those_of_flow_1, refused};
use crate::checks::{is_sent_by, nothing_was_sent, sent};
use crate::members::sends_directly;
use crate::script;
use crate::support::client::{Client, TRUSTED, Transport};
use crate::support::core::{Answer, Fork};
use crate::support::flow::Request;
use crate::support::proxy::proxy;
use crate::support::rig::{BOB, Setup, TEL};
use std::net::SocketAddr;

/// Flow 1, its retransmission, and how the copies end.
pub fn a_message_over_ipv6_is_sent_on_over_ipv6(transport: Transport) {
    let setup = Setup::new(transport).on_ipv6();
    let rig = setup
        .number("TRUSTED_NEXT_HOP", 1)
        .text("IOI", "home1.net")
        .start();
    assert!(rig.route.starts_with("<sip:[::1]:"), "{}", rig.route);
    rig.core.answer("bob", Answer::Code(486));
    let mut client = rig.client();
    let request = Request::b0(&client);
    let (answer, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    are_those_of_flow_1(&forks, &rig);
    have_come_from(&forks, rig.address, transport);
    rig.wait_for_log("is finished: delivered=1 refused=1 unreachable=0 expired=0 skipped=0");
    let before = Before::of(&rig);
    client.send(&request.bytes());
    assert_eq!(client.receive(), answer, "the answer that was sent before");
    nothing_was_sent(&rig, &mut client, &before);
    let dora = Request::another(&client).sender("sip:dora@home1.net");
    refused(&rig, &mut client, &dora, 403);
}

/// Copies have come over IPv6, and their Via says so.
#[track_caller]
fn have_come_from(forks: &[Fork], proxy: SocketAddr, transport: Transport) {
    for fork in forks {
        is_sent_by(&fork.message, transport.in_via(), proxy);
        assert_eq!(fork.transport, transport);
        assert_eq!(fork.from.ip(), proxy.ip());
    }
}

/// I-1: peers are told by IPv6 addresses, however written, blocks of them, and what carries their messages.
pub fn a_peer_is_trusted_by_its_ipv6_address(transport: Transport) {
    let (own, other) = match transport {
        Transport::Udp => ("udp", "tcp"),
        Transport::Tcp => ("tcp", "udp"),
    };
    let [own_transport, other_transport] = [own, other].map(|name| format!("{name}:::1"));
    for (peers, is_trusted) in [
        ("0:0:0:0:0:0:0:1", true),
        ("192.0.2.1,::/64", true),
        (&own_transport, true),
        (&other_transport, false),
        ("2001:db8::/32,::2", false),
        ("127.0.0.1,0.0.0.0/0", false),
    ] {
        let setup = Setup::new(transport).on_ipv6();
        let rig = setup.text("TRUSTED_PEERS", peers).start();
        let mut client = rig.client();
        let request = Request::another(&client);
        if is_trusted {
            accepted(&rig, &mut client, &request, &[BOB, TEL]);
        } else {
            refused(&rig, &mut client, &request, 403);
        }
    }
}

/// M-7: an address in a member's URI keeps its brackets.
pub fn a_member_at_an_ipv6_address_is_sent_to_there(transport: Transport) {
    let (rig, forks) = sends_directly(Setup::new(transport).on_ipv6(), "[::1]");
    have_come_from(&forks, rig.address, transport);
    rig.wait_for_log("is finished: delivered=2 refused=0 unreachable=0 expired=0 skipped=0");
}

/// Who comes over IPv4 reaches a core at an IPv6 address, from the listener that `core_socket` names.
pub fn a_message_over_ipv4_is_sent_on_over_ipv6(transport: Transport) {
    let mut lines = String::new();
    for line in proxy().head().lines() {
        if line.starts_with("loadmodule @CIMF_MODULE@") {
            lines += line;
            lines += "\nmodparam(\"cimf\", \"core_socket\", @CORE_SOCKET@)\n";
            continue;
        }
        lines += line;
        lines.push('\n');
        for listener in ["UDP", "TCP"] {
            let name = format!("@LISTEN_{listener}@");
            if line.ends_with(&name) {
                lines += &line.replace(&name, &format!("@{listener}_OF_IPV4@"));
                lines.push('\n');
            }
        }
    }
    let configuration = format!("{lines}cimf_handle(); }}\n");
    let rig = script::setup(transport, "")
        .configuration(&configuration)
        .on_ipv6()
        .text("TRUSTED_PEERS", "127.0.0.1")
        .word("UDP_OF_IPV4", "udp:127.0.0.1:@PORT@")
        .word("TCP_OF_IPV4", "tcp:127.0.0.1:@PORT@")
        .text("CORE_SOCKET", &format!("{}:@ADDRESS@", transport.in_uri()))
        .start();
    let proxy = SocketAddr::from((TRUSTED, rig.address.port()));
    let mut client = Client::new(transport, TRUSTED, proxy).expect("a connection");
    let request = Request::another(&client);
    let (_, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    have_come_from(&forks, rig.address, transport);
    // The peer at IPv6 is another one.
    let mut stranger = rig.client();
    let request = Request::another(&stranger);
    refused(&rig, &mut stranger, &request, 403);
}

/// Nobody listens there, or nobody answers: the copies end all the same.
pub fn a_silent_core_at_an_ipv6_address_is_unreachable(transport: Transport) {
    let setup = Setup::new(transport).on_ipv6();
    let rig = setup.number("TM_FR_TIMER", 2000).start();
    rig.core.answer("bob", Answer::Silence);
    let mut client = rig.client();
    let request = Request::another(&client);
    sent(&rig, &mut client, &request, 2);
    let told = "is finished: delivered=1 refused=0 unreachable=1 expired=0 skipped=0";
    rig.wait_for_log(told);
    if transport == Transport::Udp {
        assert!(rig.core.repeats() > 0, "no copy was sent again");
    }
}
