//! `store-and-forward.cfg` as it stands, a registrar and proxy, attacked by strangers and by eve, who is a member of
//! nothing but has a password. A-7, I-1.

use crate::digest::{credentials, plain};
use crate::fanout_kept::{ITSELF, ask_as, contact, password, register, send, start, takes};
use crate::support::PATIENCE;
use crate::support::client::{Client, Transport, UNTRUSTED};
use crate::support::flow::{Request, unique};
use crate::support::rig::{BOB, HIKERS, Rig};
use crate::support::sip::Message;
use std::time::Duration;

const EVE: &str = "sip:eve@home1.net";

/// What makes a message look as if a trusted peer said it comes from ann: to eve herself, as a group message.
fn forged(client: &Client, to: &str) -> Request {
    Request::another(client)
        .group(to)
        .with("P-Preferred-Identity: <sip:ann@home1.net>")
        .with("Remote-Party-ID: <sip:ann@home1.net>;privacy=off")
        .with("P-Served-User: <sip:ann@home1.net>")
        .with("History-Info: <sip:ann@home1.net>;index=1")
        .with("Diversion: <sip:ann@home1.net>")
}

/// Names in what a device gets that only a trust domain may say.
#[track_caller]
fn claims_nothing(message: &Message) {
    for (name, value) in &message.headers {
        let name = name.to_ascii_lowercase();
        let is_claim = name.starts_with("p-")
            || [
                "remote-party-id",
                "diversion",
                "history-info",
                "route",
                "authorization",
            ]
            .contains(&name.as_str());
        assert!(!is_claim, "{name}: {value}\nin\n{message}");
    }
}

/// Eve registers the group, or the proxy, as her device and sends to herself what says that ann has sent it.
pub fn a_member_who_registers_the_group_speaks_as_nobody_else(transport: Transport) {
    let Some(rig) = start(transport) else {
        return;
    };
    let mut eve = rig.client_at(UNTRUSTED);
    let port = rig.address.port();
    for uri in [
        "sip:hikers@im.home1.net",
        "sip:hikers@IM.Home1.NET",
        "SIP:hikers@im.home1.net",
        "sips:hikers@im.home1.net",
        &format!("sip:hikers@im.home1.net:{port}"),
        "sip:hikers@im.home1.net;maddr=127.0.0.1;transport=udp",
        &format!("sip:hikers@127.0.0.1:{port}"),
        &format!("sip:127.0.0.1:{port};transport=tcp"),
        &format!("sip:hikers@{ITSELF}:{port}"),
        "sip:ann@home1.net",
        "sip:eve@home1.net",
        "tel:+15551230003",
        "mailto:eve@home1.net",
    ] {
        let request = register(&eve, "eve", &format!("<{uri}>"));
        let response = ask_as(&mut eve, &request, "eve");
        assert_eq!(response.status(), 403, "{uri}: {response}");
        // Nor behind a device of hers.
        let both = format!("{}, <{uri}>", contact(&eve, "eve"));
        let request = register(&eve, "eve", &both);
        let response = ask_as(&mut eve, &request, "eve");
        assert_eq!(response.status(), 403, "{uri}: {response}");
        let request = register(&eve, "eve", &contact(&eve, "eve")).with(&format!("m: <{uri}>"));
        let response = ask_as(&mut eve, &request, "eve");
        assert_eq!(response.status(), 403, "{uri}: {response}");
        is_not_heard_as_ann(&rig, &mut eve);
    }
}

/// What is sent to eve with ann's name on it reaches no group, and no device as anything of ann's.
#[track_caller]
fn is_not_heard_as_ann(rig: &Rig, client: &mut Client) {
    // With eve's password, without one, and with a password and eve's own From.
    let request = forged(client, EVE);
    let response = ask_as(client, &request, "eve");
    assert_eq!(response.status(), 403, "{response}");
    client.send(&forged(client, EVE).bytes());
    assert_eq!(client.receive().status(), 401);
    let request = forged(client, EVE).set("From", "<sip:eve@home1.net>;tag=1");
    let response = ask_as(client, &request, "eve");
    // Kept by msilo, as eve's own.
    assert_eq!(response.status(), 202, "{response}");
    assert_eq!(rig.counter("accepted"), 0);
}

/// Names and parameters that resolve to this machine or to another: the device is reached where it came from.
pub fn a_device_is_reached_where_it_registered_from_and_nowhere_else(transport: Transport) {
    let Some(rig) = start(transport) else {
        return;
    };
    let port = rig.address.port();
    let core = rig.core.port;
    for uri in [
        format!("sip:eve@localhost:{port}"),
        format!("sip:eve@localhost:{core}"),
        format!("sip:eve@127.0.0.1:{core}"),
        format!(
            "sip:eve@192.0.2.1;maddr=127.0.0.1;transport={}",
            transport.in_uri()
        ),
        format!("sip:hikers%40im.home1.net@127.0.0.1:{core}"),
    ] {
        let mut eve = rig.client_at(UNTRUSTED);
        let request = register(&eve, "eve", &format!("<{uri}>"));
        // Somewhere else is asked for by other means as well.
        let request = request.with(&format!("Path: <sip:127.0.0.1:{core};lr>"));
        let response = ask_as(&mut eve, &request, "eve");
        assert_eq!(response.status(), 200, "{uri}: {response}");
        let request = forged(&eve, EVE)
            .set("From", "<sip:eve@home1.net>;tag=1")
            .with(&format!(
                "Route: <sip:127.0.0.1:{core};lr>, <sip:127.0.0.1:{port};lr>"
            ));
        let mut sender = rig.client_at(UNTRUSTED);
        let request = request.via(&sender, &unique());
        let challenge = {
            sender.send(&request.bytes());
            sender.receive()
        };
        let line = credentials(
            challenge.one("WWW-Authenticate"),
            "MESSAGE",
            "eve",
            password("eve"),
            EVE,
        );
        let request = request
            .via(&sender, &unique())
            .set("CSeq", "8 MESSAGE")
            .with(&format!("Authorization: {line}"));
        sender.send(&request.bytes());
        let message = takes(&mut eve);
        claims_nothing(&message);
        let response = sender.receive_within(PATIENCE).expect("an answer");
        assert_eq!(response.status(), 200, "{response}");
        assert_eq!(rig.core.count(), 0, "{uri}");
        // That device is gone.
        let request = register(&eve, "eve", "*").set("Expires", "0");
        let response = ask_as(&mut eve, &request, "eve");
        assert_eq!(response.status(), 200, "{response}");
    }
    assert_eq!(rig.counter("accepted"), 0);
}

/// Strangers register nobody, and a member nobody else; nor do they get what is kept for others.
pub fn nobody_registers_another_members_device(transport: Transport) {
    let Some(rig) = start(transport) else {
        return;
    };
    let mut ann = rig.client();
    send(&mut ann, "For bob alone.");
    rig.wait_for_log(&format!("kept message 1 of {HIKERS} for {BOB}"));
    let mut eve = rig.client_at(UNTRUSTED);
    let request = register(&eve, "bob", &contact(&eve, "bob"));
    eve.send(&request.bytes());
    assert_eq!(eve.receive().status(), 401);
    let response = ask_as(&mut eve, &request, "eve");
    assert_eq!(response.status(), 403, "{response}");
    // By another header than To.
    let request = register(&eve, "eve", &contact(&eve, "eve"))
        .set("From", "<sip:bob@home1.net>;tag=2")
        .with("P-Asserted-Identity: <sip:bob@home1.net>");
    let response = ask_as(&mut eve, &request, "eve");
    assert_eq!(response.status(), 200, "{response}");
    eve.fence();
    // Kamailio misses /etc/protocols on a system without netbase, and does as well without.
    let is_error = |line: &&str| line.contains("ERROR") && !line.contains("TCP protocol number");
    assert_eq!(rig.log().lines().find(is_error), None);
}

/// A stranger relays nothing through this server, whatever Route and Request-URI say.
pub fn strangers_relay_nothing(transport: Transport) {
    let Some(rig) = start(transport) else {
        return;
    };
    let mut stranger = rig.client_at(UNTRUSTED);
    let core = rig.core.port;
    for uri in [
        format!("sip:bob@127.0.0.1:{core}"),
        format!("sip:bob@home1.net;maddr=127.0.0.1:{core}"),
        BOB.to_owned(),
        format!("sip:hikers@{ITSELF}"),
    ] {
        let request = forged(&stranger, &uri).with(&format!("Route: <sip:127.0.0.1:{core};lr>"));
        stranger.send(&request.bytes());
        let response = stranger.receive();
        assert_eq!(response.status(), 401, "{response}");
        for method in ["INVITE", "SUBSCRIBE", "PUBLISH"] {
            let mut request = request
                .clone()
                .set("CSeq", &format!("1 {method}"))
                .via(&stranger, &unique());
            request.start = request.start.replace("MESSAGE", method);
            stranger.send(&request.bytes());
            let response = stranger.receive();
            assert_eq!(response.status(), 404, "{response}");
        }
    }
    stranger.fence();
    assert_eq!(rig.core.count(), 0);
    assert_eq!(rig.counter("accepted"), 0);
}

/// What comes by the listener for ourselves goes to members only, and never to a group.
pub fn the_listener_for_ourselves_takes_no_group_message(transport: Transport) {
    let Some(rig) = start(transport) else {
        return;
    };
    let itself = (ITSELF, rig.address.port()).into();
    let mut local = Client::new(transport, ITSELF, itself).expect("a connection");
    local.send(&Request::another(&local).bytes());
    let response = local.receive();
    assert_eq!(response.status(), 404, "{response}");
    let request = register(&local, "bob", &contact(&local, "bob"));
    local.send(&request.bytes());
    assert_eq!(local.receive().status(), 404);
    assert_eq!(rig.counter("accepted"), 0);
}

/// A second message within the body of a first: what eve's datagram says about its length does not end it early on
/// the connection of bob's device, whose reader here takes nothing but one plain Content-Length.
pub fn nobody_ends_a_message_early(_: Transport) {
    let Some(rig) = start(Transport::Udp) else {
        return;
    };
    let mut bob = Client::new(Transport::Tcp, UNTRUSTED, rig.address).expect("a connection");
    let request = register(&bob, "bob", &contact(&bob, "bob"));
    let response = ask_as(&mut bob, &request, "bob");
    assert_eq!(response.status(), 200, "{response}");
    let forged = plain(&bob).group(BOB).bytes();
    let body = [b"hello".as_slice(), &forged].concat();
    let whole = body.len();
    let send = |body: &[u8], length: &str| {
        let mut eve = rig.client_at(UNTRUSTED);
        let request = plain(&eve)
            .group(BOB)
            .set("From", "<sip:eve@home1.net>;tag=1")
            .with_body(body)
            .replace("Content-Length", length);
        eve.send(&request.bytes());
        // Kamailio drops some without an answer.
        let challenge = eve.receive_within(Duration::from_secs(1))?;
        let line = credentials(
            challenge.all("WWW-Authenticate").first()?,
            "MESSAGE",
            "eve",
            password("eve"),
            BOB,
        );
        let request = request
            .via(&eve, &unique())
            .set("CSeq", "8 MESSAGE")
            .with(&format!("Authorization: {line}"));
        eve.send(&request.bytes());
        eve.receive_within(PATIENCE)
    };
    std::thread::scope(|scope| {
        let device = scope.spawn(|| {
            let mut messages = Vec::new();
            while messages
                .last()
                .is_none_or(|last: &Message| last.body != b"the end")
            {
                messages.push(takes(&mut bob));
            }
            messages
        });
        for length in [
            "Content-Length: 5".to_owned(),
            "l: 5".to_owned(),
            format!("Content-Length: {whole}\r\nContent-Length: 5"),
            format!("Content-Length: 5\r\nContent-Length: {whole}"),
            format!("Content-Length: {whole}\r\nl: 5"),
            format!("Content-Length:\r\n {whole}"),
            format!("Content-Length: {whole}\r\n 5"),
            format!("Content-Length: {whole}\r\nSubject: a\r\n Content-Length: 5"),
            format!("Subject: a\r\n\tl: 5\r\nContent-Length: {whole}"),
            format!("Subject: a\0\r\n Content-Length: 5\r\nContent-Length: {whole}"),
            "Subject: a\r\n Content-Length: 5".to_owned(),
        ] {
            send(&body, &length);
        }
        // What is right, a text about such lines too, comes as it was sent.
        let right = b"hello\r\n Content-Length: 2\r\n l: 1".as_slice();
        for (body, length) in [
            (right, "Content-Length: 32"),
            (right, "l: 32"),
            (right, "Subject: no length"),
            (b"the end", "Content-Length: 7"),
        ] {
            let response = send(body, length).expect("an answer");
            assert_eq!(response.status(), 200, "{length}: {response}");
        }
        let messages = device.join().expect("what bob's device takes");
        let whose = |message: &Message| message.one("From").contains(EVE);
        assert!(messages.iter().all(whose), "{messages:?}");
        let came = messages.iter().filter(|message| message.body == right);
        assert_eq!(came.count(), 3, "{messages:?}");
    });
}
