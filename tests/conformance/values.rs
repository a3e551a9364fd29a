//! Values as real clients write them, each a request of `tests/cases/` and of a kind: what cannot be misread is
//! read liberally and written strictly, and what can be read in two ways is refused.

use crate::checks::{Before, forked, is_202, nothing_was_sent, refused, sent, warning};
use crate::support::client::{Client, Transport};
use crate::support::core::{Answer, Fork};
use crate::support::flow::{Request, unique};
use crate::support::proxy::{leave_out, proxy};
use crate::support::rig::{ANN, BOB, Rig, Setup, TEL, until};
use crate::support::sip::Message;

const OTHERS: &str = "sip:others@im.home1.net";
/// A member whose user part needs an escape.
const STAR: &str = "sip:*21%23@home1.net";

/// A request of `tests/cases/`, as a message of its own.
fn case(client: &Client, name: &str) -> Request {
    let mark = unique();
    Request::from_case(&format!("{name}.sip"))
        .via(client, &mark)
        .set("Call-ID", &mark)
}

/// Sends a request that has to be answered 202 and copied to exactly these members.
#[track_caller]
fn served(
    rig: &Rig,
    client: &mut Client,
    request: &Request,
    members: &[&str],
) -> (Message, Vec<Fork>) {
    let (response, forks) = sent(rig, client, request, members.len());
    let mut reached: Vec<_> = forks
        .iter()
        .map(|fork| fork.message.request_uri())
        .collect();
    let mut members = members.to_vec();
    reached.sort_unstable();
    members.sort_unstable();
    assert_eq!(reached, members);
    (response, forks)
}

/// From of a copy without its tag.
fn from(fork: &Fork) -> &str {
    let value = fork.message.one("From");
    value.split_once(";tag=").map_or(value, |(from, _)| from)
}

/// RFC 3261 §19.1.1, table 1: From is one address, and says who sends and not how to get there.
pub fn from_is_one_address_and_no_way_to_get_there(transport: Transport) {
    let rig = Setup::new(transport)
        .text("FROM_MISMATCH", "reject")
        .start();
    let mut client = rig.client();
    for (name, written) in [
        ("200-from-with-port", "<sip:ann@home1.net>"),
        ("110c-semicolon-at-the-end-of-from", "<sip:ann@home1.net>"),
        (
            "114-password-in-from",
            "\"Bob\" <sip:ann@home1.net;user=phone>",
        ),
    ] {
        if name.contains("semicolon") && proxy().drops_unreadable_from() {
            leave_out("it drops a request whose From ends in a semicolon");
            continue;
        }
        let request = case(&client, name);
        let (_, forks) = served(&rig, &mut client, &request, &[BOB, TEL]);
        assert!(forks.iter().all(|fork| from(fork) == written), "{name}");
    }
    let port = |value: &str| case(&client, "200-from-with-port").set("From", value);
    let way =
        port("<sip:ann@home1.net:5070;transport=tcp;maddr=192.0.2.1;ttl=3;lr;method=INVITE>;tag=1");
    let stranger = port("<sip:dora@home1.net:5060>;tag=1");
    let boss = port("<sip:ann@home1.net>;x=1,\"Boss\" <sip:boss@home1.net>;tag=1");
    let (_, forks) = served(&rig, &mut client, &way, &[BOB, TEL]);
    assert!(forks.iter().all(|fork| from(fork) == "<sip:ann@home1.net>"));
    let response = refused(&rig, &mut client, &stranger, 403);
    assert_eq!(warning(&response), "From is not the originator");
    // The proxy may refuse it itself.
    refused_by_somebody(&rig, &mut client, &boss);
    assert!(!rig.log().contains("secret"));
}

/// The same of who is asserted, and of a From that is taken at its word.
pub fn who_somebody_is_is_an_address_of_record(transport: Transport) {
    let rig = Setup::new(transport)
        .number("TRUSTED_NEXT_HOP", 1)
        .group(OTHERS, &[STAR, BOB])
        .start();
    let mut client = rig.client();
    let request = case(&client, "200e-pai-with-port");
    served(&rig, &mut client, &request, &[BOB, TEL]);
    let request = case(&client, "13b-pai-tel-with-cpc-only");
    served(&rig, &mut client, &request, &[ANN, BOB]);
    let request = case(&client, "20b-hash-in-identity").group(OTHERS);
    let (_, forks) = served(&rig, &mut client, &request, &[BOB]);
    let asserted = forks[0].message.one("P-Asserted-Identity");
    assert_eq!(asserted, format!("<{STAR}>"));
    let request = case(&client, "20-hash-in-from-user");
    let (_, forks) = served(&rig, &mut client, &request, &[BOB, TEL]);
    assert!(forks.iter().all(|fork| from(fork) == format!("<{STAR}>")));

    let rig = Setup::new(transport)
        .text("IDENTITY_MODE", "none")
        .text("QUOTA_ORIGINATOR", "3/60")
        .start();
    let mut client = rig.client();
    // S-5: they are all of one sender, however they are spelt.
    for address in [
        "sip:ann@home1.net:5060",
        "sip:ann@home1.net;x=2",
        "sip:%61nn@HOME1.net;transport=udp",
    ] {
        let request =
            case(&client, "200-from-with-port").set("From", &format!("<{address}>;tag=1"));
        sent(&rig, &mut client, &request, 2);
    }
    let request =
        case(&client, "200-from-with-port").set("From", "<sip:an%6e@home1.net;x=4>;tag=1");
    refused(&rig, &mut client, &request, 480);
}

/// M-3: order and patience are those of a member, however groups spell the address.
pub fn one_member_under_two_spellings_gets_one_message_at_a_time(transport: Transport) {
    let bob = "sip:%62ob@home1.net;x=1";
    let rig = Setup::new(transport).group(OTHERS, &[ANN, bob]).start();
    rig.core.answer("bob", Answer::Held);
    let mut client = rig.client();
    let of_bob = |rig: &Rig| {
        let forks = rig.core.forks().into_iter();
        forks
            .filter(|fork| fork.message.request_uri().contains("ob@"))
            .count()
    };
    let request = Request::another(&client);
    client.send(&request.bytes());
    is_202(&client.receive(), &request);
    until(|| (of_bob(&rig) == 1).then_some(())).expect("a copy for bob");
    let request = Request::another(&client).group(OTHERS);
    client.send(&request.bytes());
    is_202(&client.receive(), &request);
    client.fence();
    rig.wait_for_gauge("in_flight", 1);
    assert_eq!((of_bob(&rig), rig.counter("waiting")), (1, 2));
    assert_eq!(rig.core.release("bob"), 1);
    until(|| (of_bob(&rig) == 2).then_some(())).expect("the second copy");
}

/// What cannot be misread is read.
pub fn what_cannot_be_misread_is_served(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    for name in [
        "110e-semicolon-at-the-end-of-accept-contact",
        "99-accept-contact-icsi-and-oma-values",
        "90b-empty-require",
        "70-transport-in-request-uri",
        "t04-escnull-to",
        "t23-trws",
    ] {
        let request = case(&client, name);
        served(&rig, &mut client, &request, &[BOB, TEL]);
    }
    for line in ["Privacy: none;", "Require: ,"] {
        let request = case(&client, "t23-trws").with(line);
        served(&rig, &mut client, &request, &[BOB, TEL]);
    }
    let another_port =
        case(&client, "70-transport-in-request-uri").request_uri("sip:hikers@im.home1.net:5070");
    refused(&rig, &mut client, &another_port, 404);
}

/// M-4, RFC 4475 §3.1.2.12: a Date is read folded, and one that cannot be read is none.
pub fn a_date_is_one_or_counts_as_absent(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = case(&client, "201-date-folded-with-expires");
    let before = Before::of(&rig);
    client.send(&request.bytes());
    assert_eq!(client.receive().status(), 202);
    for fork in forked(&rig, &mut client, &before, 2) {
        assert_eq!(fork.message.one("Date"), "Tue, 03 Feb 2026 10:11:12 GMT");
    }
    let request = case(&client, "21c-date-utc-with-expires");
    let (_, forks) = served(&rig, &mut client, &request, &[BOB, TEL]);
    for fork in forks {
        let date = fork.message.one("Date");
        assert!(date.ends_with(" GMT") && !date.contains("03 Feb"), "{date}");
    }
    rig.wait_for_log("Date is not copied");
}

/// N-4: what the standard has copied is not left out without a word.
pub fn what_is_not_copied_is_told(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = case(&client, "48b-icid-unquoted-at-sign");
    served(&rig, &mut client, &request, &[BOB, TEL]);
    let line = rig.wait_for_log("P-Charging-Vector is not copied");
    assert!(line.contains("found '@'"), "{line}");
    assert_eq!(
        rig.log().matches("P-Charging-Vector is not copied").count(),
        1
    );
}

/// RFC 3261 §7.3.1: what has one value stands once.
pub fn a_header_of_one_value_that_stands_twice_is_refused(transport: Transport) {
    let rig = Setup::new(transport)
        .text("COPY_HEADERS", "X-Ticket")
        .start();
    let mut client = rig.client();
    for name in [
        "203-imdn-behind-second-transfer-encoding",
        "204a-twice-Conversation-ID",
    ] {
        let request = case(&client, name);
        let response = refused(&rig, &mut client, &request, 400);
        assert_eq!(warning(&response), "Message not well formed", "{name}");
    }
    for line in [
        "Subject: a",
        "Priority: urgent",
        "Reply-To: <sip:ann@home1.net>",
        "Organization: a",
        "MIME-Version: 1.0",
        "Contribution-ID: a",
        "P-Asserted-Service: urn:urn-7:3gpp-service.ims.icsi.x",
        "Content-ID: <a@b>",
        "Content-Disposition: render",
        "X-Ticket: 1",
    ] {
        let twice = Request::another(&client).with(line).with(line);
        refused(&rig, &mut client, &twice, 400);
    }
    let list = "Call-Info: <http://home1.net/ann>";
    let twice = Request::another(&client).with(list).with(list);
    sent(&rig, &mut client, &twice, 2);
}

/// What the proxy has read and cimf cannot is refused and told, and never goes on as if it were no group
/// message; lines that end in two ways are such.
pub fn what_only_the_proxy_can_read_goes_no_further(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let plain = || Request::another(&client);
    for request in [
        plain().request_uri("sip:hik\u{e9}rs@im.home1.net"),
        plain().request_uri("sip:hikers@im.home1.net;x=\u{e9}"),
        plain().with("X-A: a\nX-B: b"),
        plain().with("X-A: a\n b"),
        plain().with("X-A: a\rX-B: b"),
    ] {
        refused_by_somebody(&rig, &mut client, &request);
    }
}

/// Sends a request that cimf refuses with 400, or the proxy for it: it may drop what it cannot read itself.
#[track_caller]
fn refused_by_somebody(rig: &Rig, client: &mut Client, request: &Request) {
    let before = Before::of(rig);
    let refused = rig.counter("refused");
    let mut connection = rig.client();
    let request = request.clone().via(&connection, &unique());
    connection.send(&request.bytes());
    let answers: Vec<_> = match rig.transport {
        Transport::Udp => connection.fence_collecting(),
        Transport::Tcp => vec![Rig::finish(&mut connection)],
    };
    let text: Vec<_> = answers
        .iter()
        .map(|bytes| String::from_utf8_lossy(bytes))
        .collect();
    nothing_was_sent(rig, client, &before);
    let is_ours = text
        .iter()
        .any(|text| text.contains("Message not well formed"));
    let of_proxy = |text: &str| text.is_empty() || text.starts_with("SIP/2.0 400 ");
    assert!(
        is_ours || text.iter().all(|text| of_proxy(text)),
        "{text:?}"
    );
    if is_ours {
        assert!(
            text.iter().any(|text| text.starts_with("SIP/2.0 400 ")),
            "{text:?}"
        );
        assert_eq!(rig.counter("refused"), refused + 1);
        rig.wait_for_log("Message not well formed");
    }
}
