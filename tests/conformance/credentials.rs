//! `digest.cfg` as it stands, attacked by eve, who has an account: whatever else she writes beside her credentials, she
//! is eve. A-7, I-4.
//!
//! From is copied here (`from_mismatch`), so that nothing but the authenticated identity decides who may send and whom
//! the copies assert.

use crate::checks::{Before, nothing_was_sent, sent};
use crate::digest::{authorization, challenged, plain, setup};
use crate::support::client::{Client, Transport, UNTRUSTED};
use crate::support::flow::{Request, unique};
use crate::support::proxy::is_left_out_with_opensips;
use crate::support::rig::Rig;

/// A group of eve's.
const CLIMBERS: &str = "sip:climbers@im.home1.net";
/// A group of others.
const HIKERS: &str = "sip:hikers@im.home1.net";
/// A group with a member of another domain, who shares ann's name.
const GUESTS: &str = "sip:guests@im.home1.net";
/// How many get a copy of what a member sends to it.
const OTHERS: usize = 1;

/// Users whose names are made to be taken for something else, as a table of db_text has them.
const STRANGE: [&str; 10] = [
    "ann;x",
    "ann?x=",
    "ann,",
    "<ann",
    "ann>",
    "ann%40home1.net",
    "sip\\:ann",
    "\"ann",
    "ann ",
    "müller",
];

fn rig(transport: Transport) -> Rig {
    let strange: String = STRANGE
        .iter()
        .map(|name| format!("{name}:home1.net:strange\n"))
        .collect();
    setup(transport, &strange)
        .text("FROM_MISMATCH", "copy")
        .group(CLIMBERS, &["sip:eve@home1.net", "sip:bob@home1.net"])
        .group(
            GUESTS,
            &[
                "sip:eve@home2.net",
                "sip:ann@home2.net",
                "sip:bob@home1.net",
            ],
        )
        .start()
}

/// A message to a group, and the answer of a user to a challenge for it.
#[track_caller]
fn message(
    rig: &Rig,
    client: &mut Client,
    group: &str,
    user: &str,
    password: &str,
) -> (Request, String) {
    let request = plain(client).group(group);
    let challenge = challenged(rig, client, &request);
    let line = authorization(&challenge, user, password, group);
    (again(client, request), line)
}

/// The request as a client sends it after a challenge.
fn again(client: &Client, request: Request) -> Request {
    request.set("CSeq", "43 MESSAGE").via(client, &unique())
}

/// Credentials that nobody has checked.
fn claimed(user: &str, realm: &str) -> String {
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"6543\", uri=\"sip:x\", qop=auth, nc=00000001, \
         cnonce=\"c\", response=\"00000000000000000000000000000000\""
    )
}

/// The message is accepted, and its copies say that this user has sent it.
#[track_caller]
fn comes_from(rig: &Rig, client: &mut Client, request: &Request, user: &str) {
    let (_, forks) = sent(rig, client, request, OTHERS);
    for fork in &forks {
        assert_eq!(fork.message.one("P-Asserted-Identity"), format!("<{user}>"));
    }
}

/// The message is answered with one of these codes, and nobody gets it.
#[track_caller]
fn is_refused(rig: &Rig, client: &mut Client, request: &Request, codes: &[u16]) {
    let before = Before::of(rig);
    let response = client.ask(request);
    assert!(
        codes.contains(&response.status()),
        "expected {codes:?} for\n{}\nfound\n{response}",
        String::from_utf8_lossy(&request.bytes())
    );
    nothing_was_sent(rig, client, &before);
}

/// Both orders of two lines.
fn both_orders(request: &Request, first: &str, second: &str) -> [Request; 2] {
    [
        request.clone().with(first).with(second),
        request.clone().with(second).with(first),
    ]
}

/// Eve's password beside a Proxy-Authorization that says ann.
pub fn an_unchecked_header_beside_the_credentials_names_nobody(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client_at(UNTRUSTED);
    for order in 0..2 {
        let proxy = format!("Proxy-Authorization: {}", claimed("ann", "home1.net"));
        // To a group of which eve is no member and ann is one.
        let (request, line) = message(&rig, &mut client, HIKERS, "eve", "third");
        let request = &both_orders(&request, &format!("Authorization: {line}"), &proxy)[order];
        is_refused(&rig, &mut client, request, &[403]);
        // To a group of her own.
        let (request, line) = message(&rig, &mut client, CLIMBERS, "eve", "third");
        let request = &both_orders(&request, &format!("Authorization: {line}"), &proxy)[order];
        comes_from(&rig, &mut client, request, "sip:eve@home1.net");
    }
}

/// The unchecked header says another realm: nobody becomes a member of that.
pub fn another_realm_beside_the_credentials_makes_no_member_of_it(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client_at(UNTRUSTED);
    for name in ["Proxy-Authorization", "Authorization"] {
        for order in 0..2 {
            let other = format!("{name}: {}", claimed("eve", "home2.net"));
            let (request, line) = message(&rig, &mut client, GUESTS, "eve", "third");
            let request = &both_orders(&request, &format!("Authorization: {line}"), &other)[order];
            // OpenSIPS stops at a header of another realm: a new challenge.
            is_refused(&rig, &mut client, request, &[401, 403]);
        }
    }
}

/// Two Authorization headers of our realm: the first one counts, and only if its password is right.
pub fn a_second_authorization_names_nobody(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client_at(UNTRUSTED);
    let bob = format!("Authorization: {}", claimed("bob", "home1.net"));
    let (request, line) = message(&rig, &mut client, CLIMBERS, "eve", "third");
    let eve = format!("Authorization: {line}");
    is_refused(
        &rig,
        &mut client,
        &both_orders(&request, &bob, &eve)[0],
        &[401],
    );
    let (request, line) = message(&rig, &mut client, CLIMBERS, "eve", "third");
    let eve = format!("Authorization: {line}");
    comes_from(
        &rig,
        &mut client,
        &both_orders(&request, &eve, &bob)[0],
        "sip:eve@home1.net",
    );
}

/// Bob with a wrong password, then eve with hers, and the other way round, on one connection and one worker.
pub fn a_check_that_failed_leaves_no_user_behind(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client_at(UNTRUSTED);
    let (request, line) = message(&rig, &mut client, CLIMBERS, "bob", "guess");
    is_refused(
        &rig,
        &mut client,
        &request.with(&format!("Authorization: {line}")),
        &[401],
    );
    let (request, line) = message(&rig, &mut client, CLIMBERS, "eve", "third");
    comes_from(
        &rig,
        &mut client,
        &request.with(&format!("Authorization: {line}")),
        "sip:eve@home1.net",
    );
    let (request, line) = message(&rig, &mut client, CLIMBERS, "bob", "guess");
    is_refused(
        &rig,
        &mut client,
        &request.with(&format!("Authorization: {line}")),
        &[401],
    );
    // Nor does the user of the last message count for the next one.
    let request = plain(&client).group(CLIMBERS);
    is_refused(&rig, &mut client, &request, &[401]);
}

/// The realm is compared without regard to case; the user's address has it as the script writes it.
pub fn the_realm_in_another_case_is_the_same_user(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client_at(UNTRUSTED);
    let (request, line) = message(&rig, &mut client, CLIMBERS, "eve", "third");
    let line = line.replace("realm=\"home1.net\"", "realm=\"HOME1.Net\"");
    comes_from(
        &rig,
        &mut client,
        &request.with(&format!("Authorization: {line}")),
        "sip:eve@home1.net",
    );
}

/// What eve has sent once, or somebody has heard, sends no other message.
pub fn credentials_work_for_one_message(transport: Transport) {
    if is_left_out_with_opensips(
        "it knows used nonces from nonce_expire seconds after its start on only",
    ) {
        return;
    }
    let rig = rig(transport);
    let mut client = rig.client_at(UNTRUSTED);
    let (request, line) = message(&rig, &mut client, CLIMBERS, "eve", "third");
    let request = request.with(&format!("Authorization: {line}"));
    comes_from(&rig, &mut client, &request, "sip:eve@home1.net");
    for from in ["<sip:eve@home1.net>;tag=2", "<sip:bob@home1.net>;tag=3"] {
        let replayed = request
            .clone()
            .set("From", from)
            .set("Call-ID", &unique())
            .via(&client, &unique());
        is_refused(&rig, &mut client, &replayed, &[401]);
    }
}

/// `eve@home1.net` is eve; `ann@home2.net` has a password of her own, and is nobody in our realm.
pub fn a_username_with_a_domain_is_the_user_of_that_domain(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client_at(UNTRUSTED);
    let (request, line) = message(&rig, &mut client, CLIMBERS, "eve@home1.net", "third");
    comes_from(
        &rig,
        &mut client,
        &request.with(&format!("Authorization: {line}")),
        "sip:eve@home1.net",
    );
    for (user, password, code) in [
        // Right, and of another domain.
        ("ann@home2.net", "fourth", 403),
        // Another user's password, or no such user.
        ("ann@home2.net", "secret", 401),
        ("ann", "fourth", 401),
        ("bob@home1.net", "third", 401),
        ("eve@home2.net", "third", 401),
        ("eve@ann@home1.net", "third", 401),
        ("eve@home1.net;x", "third", 401),
        ("eve@home1.net>", "third", 401),
    ] {
        for group in [HIKERS, GUESTS] {
            let (request, line) = message(&rig, &mut client, group, user, password);
            is_refused(
                &rig,
                &mut client,
                &request.with(&format!("Authorization: {line}")),
                &[code],
            );
        }
    }
}

/// Users with names made of what separates the parts of an address: their passwords are right, and they are no
/// members. Nobody becomes ann.
pub fn no_username_turns_into_another_address(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client_at(UNTRUSTED);
    for name in STRANGE {
        let name = name.replace("\\:", ":");
        let (request, line) = message(&rig, &mut client, HIKERS, &name, "strange");
        // Some of them cannot stand in the header at all.
        let request = request.with(&format!("Authorization: {line}"));
        is_refused(&rig, &mut client, &request, &[400, 401, 403]);
    }
}
