//! `store-and-forward.cfg` as it stands: messages for members out of reach are kept, and handed over when the
//! member registers; and what strangers and members try to make of it.

use crate::digest::{credentials, plain, write_users};
use crate::support::PATIENCE;
use crate::support::client::{Client, Transport, UNTRUSTED};
use crate::support::core::{Answer, respond};
use crate::support::flow::{Request, unique};
use crate::support::proxy::is_left_out_with_opensips;
use crate::support::rig::{BOB, HIKERS, Rig, Setup};
use crate::support::sip::Message;
use std::net::Ipv4Addr;
use std::path::Path;

/// Makes the store as the head of the configuration says.
fn make_store(folder: &Path) {
    let tables = Path::new("/usr/share/kamailio/dbtext/kamailio");
    std::fs::create_dir(folder).expect("a folder for the store");
    let read = |name: &str| {
        let path = tables.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!(
                "{}: {error}. Install Debian's kamailio package.",
                path.display()
            )
        })
    };
    let silo = read("silo")
        .replace("callid(string)", "callid(string,null)")
        .replace("status(int)", "status(int,null)");
    std::fs::write(folder.join("silo"), silo).expect("a table");
    std::fs::write(folder.join("version"), read("version")).expect("a table");
}

/// The address at which the proxy reaches itself.
const ITSELF: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const EVE: &str = "sip:eve@home1.net";

/// The sample at ports of the test's own; none with OpenSIPS, which has no such sample.
fn start(transport: Transport) -> Option<Rig> {
    if is_left_out_with_opensips(
        "msilo stores the message of a route, and a route for events has none",
    ) {
        return None;
    }
    let itself = format!("sip:{ITSELF}:@PORT@;transport={}", transport.in_uri());
    let setup = Setup::new(transport)
        .sample("store-and-forward.cfg")
        .without("TRUSTED_PEERS")
        .number("TM_FR_TIMER", 1000)
        .text("DOMAINS", "im.home1.net")
        .word("LISTEN_ITSELF_UDP", &format!("udp:{ITSELF}:@PORT@"))
        .word("LISTEN_ITSELF_TCP", &format!("tcp:{ITSELF}:@PORT@"))
        .text("ITSELF", &itself)
        .text("CORE_ROUTE", &itself);
    let store = setup.folder().join("store");
    make_store(&store);
    let users = write_users(setup.folder(), "");
    let store = format!("text://{}", store.display());
    Some(setup.text("STORE", &store).text("USERS", &users).start())
}

/// The passwords of [`write_users`].
fn password(user: &str) -> &'static str {
    match user {
        "ann" => "secret",
        "bob" => "other",
        _ => "third",
    }
}

/// Sends a request as a user, with the answer to the challenge that it meets.
#[track_caller]
fn ask_as(client: &mut Client, request: &Request, user: &str) -> Message {
    let request = request.clone().via(client, &unique());
    client.send(&request.bytes());
    let challenge = client.receive();
    if challenge.status() != 401 {
        return challenge;
    }
    let start = request.start.clone();
    let mut words = start.split(' ');
    let (method, uri) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let challenge = challenge.one("WWW-Authenticate");
    let line = credentials(challenge, method, user, password(user), uri);
    let request = request
        .set("CSeq", &format!("7 {method}"))
        .via(client, &unique())
        .with(&format!("Authorization: {line}"));
    client.send(&request.bytes());
    client.receive()
}

/// A REGISTER of a user's device.
fn register(client: &Client, user: &str, contact: &str) -> Request {
    let mark = unique();
    Request {
        start: "REGISTER sip:home1.net SIP/2.0".to_owned(),
        lines: vec![
            format!(
                "Via: SIP/2.0/{} {};branch=z9hG4bK-{mark}",
                client.transport.in_via(),
                client.address
            ),
            "Max-Forwards: 70".to_owned(),
            format!("From: <sip:{user}@home1.net>;tag={mark}"),
            format!("To: <sip:{user}@home1.net>"),
            format!("Call-ID: {mark}"),
            "CSeq: 6 REGISTER".to_owned(),
            format!("Contact: {contact}"),
            "Expires: 600".to_owned(),
            "Content-Length: 0".to_owned(),
        ],
        body: Vec::new(),
    }
}

/// Where the device says that it is.
fn contact(client: &Client, user: &str) -> String {
    let transport = client.transport.in_uri();
    format!("<sip:{user}@{};transport={transport}>", client.address)
}

/// A user registers this very client.
#[track_caller]
fn registers(client: &mut Client, user: &str) {
    let request = register(client, user, &contact(client, user));
    let response = ask_as(client, &request, user);
    assert_eq!(response.status(), 200, "{response}");
}

/// The next message that a device gets, which it answers.
#[track_caller]
fn takes(client: &mut Client) -> Message {
    let message = client.receive();
    assert_eq!(message.method(), "MESSAGE", "{message}");
    let response = respond(&message, &Answer::Code(200)).expect("a response");
    client.send(response.as_bytes());
    message
}

/// A message from ann to the group.
#[track_caller]
fn send(client: &mut Client, body: &str) {
    let mut request = plain(client).set("Content-Length", &body.len().to_string());
    request.body = body.as_bytes().to_vec();
    let response = ask_as(client, &request, "ann");
    assert_eq!(response.status(), 202, "{response}");
}

/// Outcomes: what a member missed.
pub fn what_a_member_missed_is_handed_over_when_he_registers(transport: Transport) {
    let Some(rig) = start(transport) else {
        return;
    };
    let mut ann = rig.client();
    let mut bob = rig.client_at(UNTRUSTED);
    send(&mut ann, "Trail closed.");
    rig.wait_for_log(&format!("kept message 1 of {HIKERS} for {BOB}"));

    registers(&mut bob, "bob");
    let copy = takes(&mut bob);
    assert!(
        copy.request_uri().contains(&bob.address.to_string()),
        "{copy}"
    );
    assert!(
        String::from_utf8_lossy(&copy.body).contains("Trail closed."),
        "{copy}"
    );
    assert!(copy.one("From").contains("ann@home1.net"), "{copy}");

    // Who is there gets it at once, and it is not kept.
    send(&mut ann, "Trail open.");
    let copy = takes(&mut bob);
    assert_eq!(copy.body, b"Trail open.");
    rig.wait_for_log(&format!("message 2 to <{HIKERS}> is finished: delivered=1"));

    // A device that does not answer.
    send(&mut ann, "Trail closed again.");
    rig.wait_for_log(&format!("kept message 3 of {HIKERS} for {BOB}"));
    let mut device = rig.client_at(UNTRUSTED);
    registers(&mut device, "bob");
    let copy = takes(&mut device);
    assert!(
        String::from_utf8_lossy(&copy.body).contains("Trail closed again."),
        "{copy}"
    );
    assert_eq!(rig.log().matches("kept message").count(), 2);
}

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
        &format!("sip:hikers@im.home1.net;maddr=127.0.0.1;transport=udp"),
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
    assert_eq!(response.status(), 480, "{response}");
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
    assert!(!rig.log().contains("ERROR"), "an error");
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
