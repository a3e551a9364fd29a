//! What every accepted and every refused message has to satisfy, whatever else its case is about.

use crate::support::client::Client;
use crate::support::core::Fork;
use crate::support::flow::{Request, compare_fork, file};
use crate::support::rig::{Rig, SERVER_NAME};
use crate::support::sip::{Message, find};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// The one Accept-Contact of a fork.
pub const ACCEPT_CONTACT: &str = "*;+g.oma.sip-im;require;explicit";

/// What a fork may take over from its message, beside the content (H-1).
const COPIED: [&str; 12] = [
    "subject",
    "priority",
    "expires",
    "date",
    "reply-to",
    "in-reply-to",
    "organization",
    "call-info",
    "mime-version",
    "conversation-id",
    "contribution-id",
    "inreplyto-contribution-id",
];

/// What every answer may have.
const OF_ANSWERS: [&str; 8] = [
    "via",
    "from",
    "to",
    "call-id",
    "cseq",
    "content-length",
    "server",
    "p-charging-vector",
];

/// What a refusal may have beside that.
const OF_REFUSALS: [&str; 9] = [
    "warning",
    "retry-after",
    "unsupported",
    "require",
    "permission-missing",
    "p-refused-uri-list",
    "accept",
    "accept-encoding",
    "accept-language",
];

/// What stays inside the trust domain (N-6, N-7).
const INSIDE: [&str; 5] = [
    "privacy",
    "p-charging-vector",
    "p-charging-function-addresses",
    "p-asserted-service",
    "resource-priority",
];

/// What the outside saw before a request was sent.
pub struct Before {
    forks: usize,
    sent: u64,
    accepted: u64,
    refused: u64,
}

impl Before {
    #[track_caller]
    pub fn of(rig: &Rig) -> Before {
        Before {
            forks: rig.core.count(),
            sent: rig.counter("forks_sent"),
            accepted: rig.counter("accepted"),
            refused: rig.counter("refused"),
        }
    }
}

/// The forks are those that flow 1 shows, header by header and byte by byte.
pub fn are_those_of_flow_1(forks: &[Fork], rig: &Rig) {
    for name in ["1-F3-fork-bob.sip", "1-F4-fork-tel.sip"] {
        let expected = Message::read(&file(name)).expect(name);
        let fork = forks
            .iter()
            .map(|fork| &fork.message)
            .find(|fork| fork.start == expected.start)
            .expect(name);
        compare_fork(fork, &expected, &rig.route).expect(name);
    }
}

/// Sends a request that has to be answered 202 and forked to exactly these members, and checks U-4, A-11 and
/// A-12 on the way.
#[track_caller]
pub fn accepted(
    rig: &Rig,
    client: &mut Client,
    request: &Request,
    members: &[&str],
) -> (Message, Vec<Fork>) {
    let before = Before::of(rig);
    client.send(&request.bytes());
    let response = client.receive();
    is_202(&response, request);
    let forks = forked(rig, client, &before, members.len());
    assert_eq!(
        rig.counter("accepted"),
        before.accepted + 1,
        "counter accepted"
    );
    assert_eq!(rig.counter("refused"), before.refused, "counter refused");
    are_forks(rig, &forks, request, members);
    (response, forks)
}

/// Sends a request that has to be answered 202 and forked to this many; for cases whose forks are not the usual
/// ones. Nothing of the forks is checked.
#[track_caller]
pub fn sent(
    rig: &Rig,
    client: &mut Client,
    request: &Request,
    count: usize,
) -> (Message, Vec<Fork>) {
    let before = Before::of(rig);
    client.send(&request.bytes());
    let response = client.receive();
    is_202(&response, request);
    let forks = forked(rig, client, &before, count);
    (response, forks)
}

/// Waits for the forks of one message, and makes sure that there are no more than that and no second answer.
#[track_caller]
pub fn forked(rig: &Rig, client: &mut Client, before: &Before, count: usize) -> Vec<Fork> {
    let forks = rig.core.wait_for(before.forks + count);
    rig.wait_for_counter("forks_sent", before.sent + count as u64);
    client.fence();
    assert_eq!(
        rig.counter("forks_sent"),
        before.sent + count as u64,
        "counter forks_sent"
    );
    assert_eq!(rig.core.count(), before.forks + count, "forks that arrived");
    forks[before.forks..].to_vec()
}

/// Sends a request that cimf has to refuse with this code; checks that nothing was sent (S-1).
#[track_caller]
pub fn refused(rig: &Rig, client: &mut Client, request: &Request, code: u16) -> Message {
    let before = Before::of(rig);
    client.send(&request.bytes());
    let response = client.receive();
    is_refusal(&response, request, code);
    nothing_was_sent(rig, client, &before);
    assert_eq!(
        rig.counter("refused"),
        before.refused + 1,
        "counter refused"
    );
    assert_eq!(rig.counter("accepted"), before.accepted, "counter accepted");
    response
}

/// Sends a request that is not cimf's: the configuration goes on and answers by itself.
#[track_caller]
pub fn not_ours(rig: &Rig, client: &mut Client, request: &Request, code: u16, reason: &str) {
    let before = Before::of(rig);
    client.send(&request.bytes());
    let response = client.receive();
    assert_eq!(
        (response.status(), response.reason()),
        (code, reason),
        "\n{response}"
    );
    assert!(
        !response.has("Warning"),
        "the module's own refusal:\n{response}"
    );
    nothing_was_sent(rig, client, &before);
    assert_eq!(rig.counter("refused"), before.refused, "counter refused");
    assert_eq!(rig.counter("accepted"), before.accepted, "counter accepted");
}

/// No fork left since `before`. The OPTIONS that comes back first has passed the same worker, so a fork
/// would have been counted, and sent, by then.
#[track_caller]
pub fn nothing_was_sent(rig: &Rig, client: &mut Client, before: &Before) {
    client.fence();
    assert_eq!(
        rig.counter("forks_sent"),
        before.sent,
        "counter forks_sent after a refusal"
    );
    assert_eq!(
        rig.core.count(),
        before.forks,
        "forks that arrived after a refusal"
    );
}

/// the only 202 there is.
#[track_caller]
pub fn is_202(response: &Message, request: &Request) {
    assert_eq!(response.start, "SIP/2.0 202 Accepted", "\n{response}");
    answers(response, request);
    only_these(response, &OF_ANSWERS);
}

/// An error answer: fixed Warning of ours (S-9), no body (S-10).
#[track_caller]
pub fn is_refusal(response: &Message, request: &Request, code: u16) {
    assert_eq!(response.status(), code, "\n{response}");
    answers(response, request);
    warning(response);
    only_these(response, &[&OF_ANSWERS[..], &OF_REFUSALS].concat());
}

/// The text of the Warning header, which has to be there once and be ours.
#[track_caller]
pub fn warning(response: &Message) -> &str {
    let value = response.one("Warning");
    let text = value
        .strip_prefix(&format!("399 {SERVER_NAME} \""))
        .and_then(|rest| rest.strip_suffix('"'));
    match text {
        Some(text) if !text.is_empty() && !text.contains(['"', '\\']) => text,
        _ => panic!("expected `399 {SERVER_NAME} \"text\"`, found `{value}`"),
    }
}

/// What a response repeats from its request, a To tag of its own, and no body.
#[track_caller]
fn answers(response: &Message, request: &Request) {
    let via = response.one("Via");
    assert!(via.starts_with(request.value("Via")), "Via {via}");
    for name in ["From", "Call-ID", "CSeq"] {
        assert_eq!(response.one(name), request.value(name), "{name}");
    }
    let to = request.value("To");
    if to.contains(";tag=") {
        assert_eq!(response.one("To"), to, "To");
    } else {
        let tag = response
            .one("To")
            .strip_prefix(to)
            .and_then(|rest| rest.strip_prefix(";tag="));
        assert!(
            tag.is_some_and(|tag| !tag.is_empty()),
            "To {}",
            response.one("To")
        );
    }
    assert_eq!(response.one("Content-Length"), "0");
    assert!(response.body.is_empty());
}

#[track_caller]
fn only_these(message: &Message, names: &[&str]) {
    for (name, value) in &message.headers {
        assert!(
            names.contains(&name.to_ascii_lowercase().as_str()),
            "unexpected header {name}: {value}\nin\n{message}"
        );
    }
}

/// U-4 and A-12, for all forks of one message.
#[track_caller]
pub fn are_forks(rig: &Rig, forks: &[Fork], request: &Request, members: &[&str]) {
    let reached: BTreeSet<&str> = forks
        .iter()
        .map(|fork| fork.message.request_uri())
        .collect();
    assert_eq!(reached, members.iter().copied().collect(), "who got a copy");
    assert_eq!(forks.len(), members.len(), "one copy each");
    for fork in forks {
        is_fork(rig, fork, request);
    }
    for (what, values) in [
        (
            "Call-ID",
            forks
                .iter()
                .map(|fork| fork.message.one("Call-ID"))
                .collect::<BTreeSet<_>>(),
        ),
        (
            "From tag",
            forks
                .iter()
                .filter_map(|fork| fork.message.tag("From"))
                .collect(),
        ),
        (
            "branch",
            forks.iter().map(|fork| fork.message.branch()).collect(),
        ),
    ] {
        assert_eq!(
            values.len(),
            forks.len(),
            "every fork has its own {what}: {values:?}"
        );
    }
}

/// The Via of a request is the proxy's own. An IPv6 address has several spellings (OpenSIPS writes all of it).
#[track_caller]
pub fn is_sent_by(message: &Message, transport: &str, address: SocketAddr) {
    let via = message.one("Via");
    let rest = via.strip_prefix(&format!("SIP/2.0/{transport} "));
    let found = rest.and_then(|rest| rest.split_once(";branch=z9hG4bK"));
    let found = found.and_then(|(found, _)| found.parse().ok());
    assert_eq!(found, Some(address), "{transport} in Via {via}");
}

#[track_caller]
fn is_fork(rig: &Rig, fork: &Fork, request: &Request) {
    let message = &fork.message;
    assert_eq!(message.method(), "MESSAGE");

    // where it goes, and what it asks for.
    assert_eq!(
        message.one("Route"),
        rig.route,
        "the core route and nothing else"
    );
    assert_eq!(message.one("Accept-Contact"), ACCEPT_CONTACT);

    // U-4: a request of our own, not a relayed one.
    assert_eq!(
        message.one("To"),
        format!("<{}>", message.request_uri()),
        "To is the recipient"
    );
    assert_eq!(message.one("CSeq"), "1 MESSAGE");
    let usual = (fork.transport.in_via(), rig.address);
    let (transport, address) = rig.sent_by.unwrap_or(usual);
    is_sent_by(message, transport, address);
    assert_ne!(message.branch(), request_branch(request));
    let own_tag = message.tag("From").expect("a From tag");
    let (from, tag) = request
        .value("From")
        .split_once(";tag=")
        .expect("a From tag in the request");
    assert_eq!(
        message.one("From"),
        format!("{from};tag={own_tag}"),
        "From is the sender's"
    );
    assert_ne!(own_tag, tag, "the From tag is our own");
    let call_id = request.value("Call-ID");
    assert!(
        !message.one("Call-ID").contains(call_id),
        "the Call-ID tells the sender's"
    );

    // U-5, N-9, I-3 and M-1.
    assert_eq!(
        message.all("P-Asserted-Identity").is_empty(),
        !rig.trusted_next_hop,
        "identity only to a trusted next hop"
    );
    let own = [
        "via",
        "max-forwards",
        "max-breadth",
        "route",
        "from",
        "to",
        "call-id",
        "cseq",
    ];
    let others = [
        "p-asserted-identity",
        "accept-contact",
        "content-type",
        "content-length",
        "user-agent",
    ];
    let inside: &[&str] = if rig.trusted_next_hop { &INSIDE } else { &[] };
    only_these(message, &[&own[..], &others, &COPIED, inside].concat());

    // H-1: copied as they came, and only Date may come of itself (M-4).
    for name in COPIED {
        if request.has(name) {
            assert_eq!(message.one(name), request.value(name), "{name}");
        } else {
            let dated = name == "date" && request.has("expires");
            assert!(dated || !message.has(name), "{name}");
        }
    }

    // M-10.
    assert_eq!(message.one("Content-Type"), request.value("Content-Type"));
    assert!(
        message.body == request.body,
        "the body is the sender's, byte for byte"
    );
    assert!(find(message.to_string().as_bytes(), call_id.as_bytes()).is_none());
}

fn request_branch(request: &Request) -> &str {
    request
        .value("Via")
        .split_once(";branch=")
        .map_or("", |(_, branch)| branch)
}
