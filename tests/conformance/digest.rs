//! Digest mode with the proxy's own authentication, run from its sample digest.cfg: T 28 and T 32. What attackers
//! with an account make of their credentials is in `credentials.rs`.

use crate::checks::{Before, accepted, nothing_was_sent, refused, warning};
use crate::support::client::{Client, Transport, UNTRUSTED};
use crate::support::flow::{Request, unique};
use crate::support::proxy::{is_left_out_with_opensips, proxy};
use crate::support::rig::{BOB, Rig, Setup, TEL};
use crate::support::sip::Message;
use md5::{Digest, Md5};
use std::path::Path;

pub const REALM: &str = "home1.net";

/// The users ann, bob and eve, and one of another domain.
const USERS: &str =
    "ann:home1.net:secret\nbob:home1.net:other\neve:home1.net:third\nann:home2.net:fourth\n";

fn rig(transport: Transport) -> Rig {
    setup(transport, "").start()
}

/// The sample as it stands, with more users, each a line of the table.
pub fn setup(transport: Transport, more_users: &str) -> Setup {
    let setup = Setup::new(transport)
        .sample("digest.cfg")
        .without("TRUSTED_PEERS")
        .number("TRUSTED_NEXT_HOP", 1);
    let users = write_users(setup.folder(), more_users);
    setup.text("USERS", &users)
}

/// Makes the table of users as the head of the sample says; gives its URL.
pub fn write_users(folder: &Path, more: &str) -> String {
    let users = folder.join("users");
    std::fs::create_dir(&users).expect("a folder for the users");
    let write = |name: &str, text: &str| {
        std::fs::write(users.join(name), text).expect("a file of users");
    };
    // What auth_db of each proxy asks for.
    let version = match proxy().name() {
        "OpenSIPS" => 8,
        _ => 7,
    };
    write(
        "version",
        &format!("table_name(string) table_version(int)\nsubscriber:{version}\n"),
    );
    let columns = "username(string) domain(string) password(string)";
    write("subscriber", &format!("{columns}\n{USERS}{more}"));
    format!("text://{}", users.display())
}

/// B0 as a client without a core sends it.
pub fn plain(client: &Client) -> Request {
    Request::another(client)
        .without("P-Asserted-Identity")
        .without("P-Charging-Vector")
}

/// The parameter of a challenge.
fn parameter<'a>(challenge: &'a str, name: &str) -> &'a str {
    let start = challenge.split_once(&format!("{name}=\"")).expect(name).1;
    start.split('"').next().unwrap_or_default()
}

#[track_caller]
pub fn challenged(rig: &Rig, client: &mut Client, request: &Request) -> String {
    let before = Before::of(rig);
    let response: Message = client.ask(request);
    assert_eq!(response.status(), 401, "{response}");
    let challenge = response.one("WWW-Authenticate").to_owned();
    assert_eq!(parameter(&challenge, "realm"), REALM);
    nothing_was_sent(rig, client, &before);
    challenge
}

/// The answer to a challenge, for a MESSAGE.
pub fn authorization(challenge: &str, user: &str, password: &str, uri: &str) -> String {
    credentials(challenge, "MESSAGE", user, password, uri)
}

/// RFC 2617 with qop=auth.
pub fn credentials(challenge: &str, method: &str, user: &str, password: &str, uri: &str) -> String {
    let hash = |text: String| {
        let bytes = Md5::digest(text.as_bytes());
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>()
    };
    let nonce = parameter(challenge, "nonce");
    let ha1 = hash(format!("{user}:{REALM}:{password}"));
    let ha2 = hash(format!("{method}:{uri}"));
    let response = hash(format!("{ha1}:{nonce}:00000001:cnonce:auth:{ha2}"));
    format!(
        "Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{uri}\", qop=auth, \
         nc=00000001, cnonce=\"cnonce\", response=\"{response}\""
    )
}

/// The request with credentials that answer a challenge of its own.
#[track_caller]
fn with_password(rig: &Rig, client: &mut Client, user: &str, password: &str) -> Request {
    let first = plain(client);
    let challenge = challenged(rig, client, &first);
    let uri = first.start.split(' ').nth(1).unwrap_or_default().to_owned();
    let line = authorization(&challenge, user, password, &uri);
    let branch = unique();
    first
        .set("CSeq", "42 MESSAGE")
        .via(client, &branch)
        .with(&format!("Authorization: {line}"))
}

/// T 28: no, wrong and right credentials; U-10: none of them in the forks.
pub fn t28_only_the_right_password_sends_a_message(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client_at(UNTRUSTED);
    let wrong = with_password(&rig, &mut client, "ann", "guess");
    challenged(&rig, &mut client, &wrong);

    let right = with_password(&rig, &mut client, "ann", "secret");
    let (_, forks) = accepted(&rig, &mut client, &right, &[BOB, TEL]);
    for fork in &forks {
        assert!(!fork.message.has("Authorization"), "{}", fork.message);
        assert_eq!(
            fork.message.one("P-Asserted-Identity"),
            "<sip:ann@home1.net>"
        );
    }
    // What was heard on the wire does not send another message.
    if is_left_out_with_opensips(
        "it knows used nonces from nonce_expire seconds after its start on only",
    ) {
        return;
    }
    let replayed = right.set("Call-ID", &unique()).via(&client, &unique());
    challenged(&rig, &mut client, &replayed);
}

/// an Authorization that nobody has checked, and a P-Asserted-Identity, are nothing here.
pub fn an_identity_without_password_is_challenged(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let request = Request::another(&client);
    challenged(&rig, &mut client, &request);
    let claimed = plain(&client).with(&format!(
        "Authorization: Digest username=\"ann\", realm=\"{REALM}\", nonce=\"x\", \
         uri=\"sip:hikers@im.home1.net\", response=\"0\""
    ));
    challenged(&rig, &mut client, &claimed);
}

/// T 32, I-4.
pub fn t32_ann_with_her_password_cannot_write_as_bob(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client_at(UNTRUSTED);
    let request = with_password(&rig, &mut client, "ann", "secret")
        .set("From", "<sip:bob@home1.net>;tag=9f2c");
    let response = refused(&rig, &mut client, &request, 403);
    assert_eq!(warning(&response), "From is not the originator");
}

/// H-3: a retransmission of an accepted message is answered 202 again, not challenged.
pub fn a_retransmission_with_a_used_nonce_is_answered_again(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client_at(UNTRUSTED);
    let request = with_password(&rig, &mut client, "ann", "secret");
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let before = Before::of(&rig);
    client.send(&request.bytes());
    assert_eq!(client.receive().status(), 202);
    nothing_was_sent(&rig, &mut client, &before);
}
