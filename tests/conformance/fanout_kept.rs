//! `store-and-forward.cfg` as it stands: messages for members out of reach are kept, group messages by cimf and those
//! from one person to another by msilo, and handed over when the member registers. What strangers and members try to
//! make of it is in `registrar.rs`.

use crate::digest::{credentials, plain, write_users};
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
pub const ITSELF: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// The sample at ports of the test's own; none with OpenSIPS, which has no such sample.
pub fn start(transport: Transport) -> Option<Rig> {
    if is_left_out_with_opensips(
        "the sample is for Kamailio; small-site.cfg keeps group messages in both",
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
pub fn password(user: &str) -> &'static str {
    match user {
        "ann" => "secret",
        "bob" => "other",
        _ => "third",
    }
}

/// Sends a request as a user, with the answer to the challenge that it meets.
#[track_caller]
pub fn ask_as(client: &mut Client, request: &Request, user: &str) -> Message {
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
pub fn register(client: &Client, user: &str, contact: &str) -> Request {
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
pub fn contact(client: &Client, user: &str) -> String {
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
pub fn takes(client: &mut Client) -> Message {
    let message = client.receive();
    assert_eq!(message.method(), "MESSAGE", "{message}");
    let response = respond(&message, &Answer::Code(200)).expect("a response");
    client.send(response.as_bytes());
    message
}

/// A message from ann to the group.
#[track_caller]
pub fn send(client: &mut Client, body: &str) {
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
    assert_eq!(copy.body, b"Trail closed.");
    assert!(copy.one("From").contains("ann@home1.net"), "{copy}");
    copy.one("Date");

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
    let kept = format!("of {HIKERS} for {BOB}");
    assert_eq!(rig.log().matches(&kept).count(), 2);
    // The number is never there.
    rig.wait_for_gauge("kept", 3);
    assert_eq!(rig.counter("kept_delivered"), 2);

    // From one person to another it is msilo that keeps it.
    let mut request = plain(&ann).group("sip:eve@home1.net");
    request.body = b"For eve alone.".to_vec();
    let request = request.set("Content-Length", "14");
    let response = ask_as(&mut ann, &request, "ann");
    assert_eq!(response.status(), 202, "{response}");
    let mut eve = rig.client_at(UNTRUSTED);
    registers(&mut eve, "eve");
    let copy = takes(&mut eve);
    let text = String::from_utf8_lossy(&copy.body).into_owned();
    assert!(text.contains("For eve alone."), "{copy}");
}
