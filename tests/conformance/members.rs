//! Who gets what: the forks of an accepted message.

use crate::checks::{ACCEPT_CONTACT, accepted, are_those_of_flow_1, forked, is_202, refused};
use crate::support::client::Transport;
use crate::support::core::Fork;
use crate::support::flow::{Request, file};
use crate::support::rig::{ANN, BOB, EMPTY, Rig, SOLO, Setup, TEL};
use crate::support::sip::Message;

///
pub fn t01_b0_is_answered_202_and_forked_to_bob_and_tel(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client);
    let (_, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    assert!(forks.iter().all(|fork| fork.message.request_uri() != ANN));
    assert!(
        forks.iter().all(|fork| fork.transport == transport),
        "by the transport of core_route"
    );
    rig.wait_for_counter("forks_delivered", 2);
    assert_eq!(rig.counter("forks_failed"), 0);
    assert_eq!(rig.counter("forks_refused"), 0);
}

/// U-4, U-5, H-1, I-3, N-4: flow 1 itself. Identifiers and addresses vary, and the proxy may name itself.
pub fn t01_the_forks_are_those_of_flow_1_header_by_header_and_byte_by_byte(transport: Transport) {
    let rig = Setup::new(transport)
        .number("TRUSTED_NEXT_HOP", 1)
        .text("IOI", "home1.net")
        .start();
    let mut client = rig.client();
    let request = Request::b0(&client);
    let (response, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let expected = Message::read(&file("1-F2-202.sip")).expect("1-F2-202.sip");
    assert_eq!(response.start, expected.start);
    assert_eq!(
        response.one("P-Charging-Vector"),
        expected.one("P-Charging-Vector")
    );
    are_those_of_flow_1(&forks, &rig);
}

///
pub fn t03_a_fork_has_exactly_one_accept_contact(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client)
        .with("Accept-Contact: *;audio;require")
        .with("Reject-Contact: *;automata");
    let (_, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    for fork in forks {
        assert_eq!(fork.message.all("Accept-Contact"), [ACCEPT_CONTACT]);
        assert!(!fork.message.has("Reject-Contact"));
    }
}

/// U-4: and so are the forks of the next message.
pub fn t04_every_fork_is_a_request_of_its_own(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    for _ in 0..3 {
        let request = Request::another(&client);
        accepted(&rig, &mut client, &request, &[BOB, TEL]);
    }
    let forks = rig.core.forks();
    let distinct = |value: fn(&Message) -> &str| {
        forks
            .iter()
            .map(|fork| value(&fork.message))
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    };
    assert_eq!(forks.len(), 6);
    assert_eq!(distinct(|message| message.one("Call-ID")), 6);
    assert_eq!(distinct(|message| message.tag("From").unwrap_or("")), 6);
    assert_eq!(distinct(|message| message.branch()), 6);
}

/// A.1 row 11.
pub fn t41_a_group_without_recipients_is_refused(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    for group in [EMPTY, SOLO] {
        let request = Request::another(&client).group(group);
        refused(&rig, &mut client, &request, 403);
    }
}

/// U-5, A.1 row 3.
pub fn t88_max_forwards_is_copied_and_decremented(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let zero = Request::another(&client).set("Max-Forwards", "0");
    refused(&rig, &mut client, &zero, 483);
    let one = Request::another(&client).set("Max-Forwards", "1");
    let absent = Request::another(&client).without("Max-Forwards");
    let usual = Request::another(&client);
    for (request, expected) in [(one, "0"), (absent, "70"), (usual, "67")] {
        let (_, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
        for fork in forks {
            assert_eq!(fork.message.one("Max-Forwards"), expected);
        }
    }
}

/// M-1.
pub fn t96_a_contact_is_tolerated_and_not_copied(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client).with(&format!("Contact: <sip:ann@{}>", client.address));
    let (response, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    assert!(!response.has("Contact"));
    assert!(forks.iter().all(|fork| !fork.message.has("Contact")));
}

/// M-10.
pub fn a_body_of_any_bytes_is_copied_unchanged(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let bodies: [Vec<u8>; 4] = [
        (0..=255).collect(),
        b"\r\n\r\nMESSAGE sip:x@y SIP/2.0\r\n\r\n".to_vec(),
        vec![0],
        "Grüße\n\n\n".as_bytes().to_vec(),
    ];
    for body in bodies {
        let mut request = Request::another(&client)
            .set("Content-Type", "application/octet-stream")
            .set("Content-Length", &body.len().to_string());
        request.body = body;
        accepted(&rig, &mut client, &request, &[BOB, TEL]);
    }
}

/// A-12 (4): with `direct=1`, and only then, a fork goes where the member's URI says.
pub fn direct_sends_to_the_members_own_address(transport: Transport) {
    sends_directly(Setup::new(transport), "127.0.0.1");
}

/// Sends to two members at the core's own address, which has this IP address; gives their copies.
#[track_caller]
pub fn sends_directly(setup: Setup, ip: &str) -> (Rig, Vec<Fork>) {
    let setup = setup.without("CORE_ROUTE").number("DIRECT", 1);
    let port = setup.core_port();
    let address = format!("{ip}:{port};transport={}", setup.transport.in_uri());
    let (dan, eve) = (format!("sip:dan@{address}"), format!("sip:eve@{address}"));
    let rig = setup
        .group("sip:near@im.home1.net", &[ANN, &dan, &eve])
        .start();
    let mut client = rig.client();
    let request = Request::b0(&client).group("sip:near@im.home1.net");
    let before = crate::checks::Before::of(&rig);
    client.send(&request.bytes());
    is_202(&client.receive(), &request);
    let forks = forked(&rig, &mut client, &before, 2);
    let mut reached: Vec<&str> = forks
        .iter()
        .map(|fork| fork.message.request_uri())
        .collect();
    reached.sort_unstable();
    assert_eq!(reached, [dan.as_str(), eve.as_str()]);
    for fork in &forks {
        assert!(!fork.message.has("Route"));
        assert_eq!(fork.message.one("Accept-Contact"), ACCEPT_CONTACT);
        assert!(fork.message.body == request.body);
    }
    (rig, forks)
}

/// A-9, C-2: equality is not transitive, so several members may be the originator.
pub fn the_originator_is_left_out_in_every_spelling(transport: Transport) {
    let rig = Setup::new(transport)
        .group(
            "sip:twins@im.home1.net",
            &["sip:ann@home1.net;x=1", "sip:ann@home1.net;x=2", BOB],
        )
        .start();
    let mut client = rig.client();
    let request = Request::b0(&client).group("sip:twins@im.home1.net");
    accepted(&rig, &mut client, &request, &[BOB]);
}

/// A-11, H-1, H-2, M-4: a request that carries one of everything.
pub fn what_may_be_copied_is_and_what_may_not_is_not(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let lines = [
        "Subject: the trail",
        "Priority: urgent",
        "Expires: 3600",
        "Reply-To: <sip:ann@home1.net>",
        "In-Reply-To: a@b",
        "Organization: OMA",
        "Call-Info: <http://home1.net/ann>;purpose=info",
        "MIME-Version: 1.0",
        "Conversation-ID: c1",
        "Contribution-ID: d1",
        "InReplyTo-Contribution-ID: e1",
        "Privacy: none",
        "Record-Route: <sip:scscf1.home1.net;lr>",
        "Record-Route: <sip:pcscf1.home1.net;lr>",
        "Contact: <sip:ann@192.0.2.1>",
        "Allow: MESSAGE",
        "P-Access-Network-Info: 3GPP-E-UTRAN-FDD",
        "History-Info: <sip:hikers@im.home1.net>;index=1",
        "Session-ID: f81d4fae",
        "User-Agent: ue",
    ];
    let request = lines
        .iter()
        .fold(Request::b0(&client), |request, line| request.with(line));
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}
