//! What is delivered late is what an online member got at once.

use super::{copies_of_bob, keeping, of_bob, register};
use crate::checks::sent;
use crate::rules::let_anybody_stay_anonymous;
use crate::support::client::{Client, TRUSTED, Transport};
use crate::support::core::{Answer, Fork};
use crate::support::flow::Request;
use crate::support::rig::{BOB, TEL};

const CPIM: &[u8] = b"From: <sip:ann@home1.net>\r\nTo: <sip:hikers@im.home1.net>\r\n\
    DateTime: 2026-11-28T10:00:00Z\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: 34jk324j\r\n\
    imdn.Disposition-Notification: positive-delivery, display\r\n\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\r\nat the hut\r\n";

const ALTERNATIVE: &[u8] = b"--b0\r\nContent-Type: text/plain\r\n\r\nat the hut\r\n--b0\r\n\
    Content-Type: text/html\r\n\r\n<b>at the hut</b>\r\n--b0--\r\n";

/// Messages of all kinds, and whether they have a Date.
fn messages(client: &Client, large: &Client) -> Vec<(Request, bool)> {
    let plain = |client: &Client| Request::another(client);
    let typed = |kind: &str, body: &[u8]| {
        let request = plain(client).set("Content-Type", kind);
        request.with_body(body)
    };
    let date = "Date: Sat, 28 Nov 2026 10:00:00 GMT";
    vec![
        (typed("message/cpim", CPIM), false),
        (
            typed("multipart/alternative;boundary=b0", ALTERNATIVE)
                .with("Content-Language: de")
                .with(date),
            true,
        ),
        (
            typed(
                "text/plain;charset=utf-8",
                "Gr\u{fc}\u{df}e\0\u{1f3d4}".as_bytes(),
            ),
            false,
        ),
        // Kamailio drops more than 32,767 bytes from 5.7.3 on (msg_recv_max_size).
        (plain(large).with_body(&[b'x'; 32_000]), false),
        (
            typed("text/plain", b"from nobody").with("Privacy: id"),
            false,
        ),
    ]
}

/// All of a copy but what belongs to the way and to the member.
fn rows(fork: &Fork, without_date: bool) -> Vec<(String, String)> {
    let own = ["via", "to", "call-id", "from", "p-charging-vector"];
    let rows = fork.message.headers.iter();
    let rows = rows.filter(|(name, _)| {
        let name = name.to_ascii_lowercase();
        !(own.contains(&name.as_str()) || without_date && name == "date")
    });
    rows.cloned().collect()
}

/// Issue: each kind of message, to a member who is away through a restart and registers then.
pub fn who_was_away_gets_what_an_online_member_got_byte_for_byte(transport: Transport) {
    let parameters = [
        ("anonymity_policy", "group"),
        ("trusted_next_hop", "1"),
        ("large_ok", "1"),
        ("away_bytes", "1M"),
    ];
    let mut rig = keeping(transport, &parameters).start();
    let_anybody_stay_anonymous(&rig);
    rig.core.answer("bob", Answer::Code(480));
    let mut client = rig.client();
    let mut large = Client::new(Transport::Tcp, TRUSTED, rig.address).expect("a connection");
    let mut online = Vec::new();
    let mut has_date = Vec::new();
    for (request, dated) in messages(&client, &large) {
        let kept = rig.counter("kept");
        let client = match request.body.len() > 2000 {
            true => &mut large,
            false => &mut client,
        };
        let (_, forks) = sent(&rig, client, &request, 2);
        let own = forks.iter().find(|fork| fork.message.request_uri() == TEL);
        online.push(own.expect("a copy for who is online").clone());
        has_date.push(dated);
        rig.wait_for_gauge("kept", kept + 1);
    }
    let before = of_bob(&rig.core.forks());
    rig.stop();
    rig.start_again();
    assert_eq!(rig.counter("kept"), 5);
    rig.core.answer("bob", Answer::Code(200));
    let mut client = rig.client();
    assert_eq!(register(&mut client, BOB), 1);
    let late = copies_of_bob(&rig, 10).split_off(5);
    rig.wait_for_gauge("kept", 0);
    for (number, late) in late.iter().enumerate() {
        let (online, before) = (&online[number], &before[number]);
        let dated = has_date[number];
        assert_eq!(late.message.body, online.message.body, "{number}");
        assert_eq!(rows(late, !dated), rows(online, false), "{number}");
        assert_eq!(late.message.all("Date").len(), 1, "{number}");
        assert_eq!(late.transport, online.transport, "{number}");
        for name in ["Call-ID", "From", "CSeq", "To", "P-Charging-Vector"] {
            let (late, before) = (late.message.one(name), before.message.one(name));
            assert_eq!(late, before, "{number}");
        }
    }
}
