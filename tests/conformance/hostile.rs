//! Bytes from people who do not mean well. They get a 400, a "not ours" or silence, never a crash or a fork.

use crate::checks::{Before, forked, is_202, refused};
use crate::support::child::LOG;
use crate::support::client::{Client, Transport};
use crate::support::flow::{Request, unique};
use crate::support::proxy::proxy;
use crate::support::rig::{Rig, Setup};
use crate::support::sip::find;

/// Whether a message may be served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum May {
    /// Broken: never a fork.
    Never,
    /// Odd but legal, or a matter of taste: served or refused, but whole.
    BeServed,
}

fn lines(client: &Client) -> Vec<String> {
    let mark = unique();
    vec![
        "MESSAGE sip:hikers@im.home1.net SIP/2.0".to_owned(),
        format!(
            "Via: SIP/2.0/{} {};branch=z9hG4bK-{mark}",
            client.transport.in_via(),
            client.address
        ),
        "Max-Forwards: 68".to_owned(),
        "From: \"Ann\" <sip:ann@home1.net>;tag=9f2c".to_owned(),
        "To: <sip:hikers@im.home1.net>".to_owned(),
        format!("Call-ID: {mark}-ue7"),
        "CSeq: 41 MESSAGE".to_owned(),
        "P-Asserted-Identity: <sip:ann@home1.net>".to_owned(),
        "Accept-Contact: *;+g.oma.sip-im".to_owned(),
        "Content-Type: text/plain".to_owned(),
        "Content-Length: 2".to_owned(),
    ]
}

fn joined(lines: &[String], end: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = lines.join(end).into_bytes();
    bytes.extend_from_slice(end.repeat(2).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// A whole message with one line replaced; an empty line removes the header.
fn with_line(client: &Client, name: &str, line: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for own in lines(client) {
        if own.starts_with(name) {
            if !line.is_empty() {
                bytes.extend_from_slice(line);
                bytes.extend_from_slice(b"\r\n");
            }
        } else {
            bytes.extend_from_slice(own.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes.extend_from_slice(b"\r\nhi");
    bytes
}

/// The table: what it is, the bytes, and whether it may be served.
fn table(client: &Client) -> Vec<(String, Vec<u8>, May)> {
    let mut table = Vec::new();
    let mut add = |what: &str, bytes: Vec<u8>, may: May| table.push((what.to_owned(), bytes, may));
    let line = |name: &str, text: &str| with_line(client, name, text.as_bytes());
    let repeated = |text: &str, count: usize| {
        let mut all = lines(client);
        all.splice(2..2, std::iter::repeat_n(text.to_owned(), count));
        joined(&all, "\r\n", b"hi")
    };

    add("nothing but NULs", vec![0; 600], May::Never);
    add("nothing but 0xFF", vec![0xFF; 600], May::Never);
    add("only line ends", b"\r\n".repeat(300), May::Never);
    add(
        "only the request line",
        b"MESSAGE sip:hikers@im.home1.net SIP/2.0\r\n\r\n".to_vec(),
        May::Never,
    );
    add(
        "no final CRLF",
        joined(&lines(client), "\r\n", b"")[..joined(&lines(client), "\r\n", b"").len() - 2]
            .to_vec(),
        May::Never,
    );
    add(
        "bare CR as line end",
        joined(&lines(client), "\r", b"hi"),
        May::Never,
    );
    add(
        "NUL in the Request-URI",
        line("MESSAGE", "MESSAGE sip:hik\0ers@im.home1.net SIP/2.0"),
        May::Never,
    );
    add(
        "NUL in the From URI",
        line("From", "From: <sip:a\0nn@home1.net>;tag=9f2c"),
        May::BeServed,
    );
    add(
        "NUL in the identity",
        line("P-Asserted", "P-Asserted-Identity: <sip:a\0nn@home1.net>"),
        May::Never,
    );
    add(
        "NUL in the Call-ID",
        line("Call-ID", "Call-ID: a\0b"),
        May::BeServed,
    );
    add(
        "invalid UTF-8 in From",
        with_line(
            client,
            "From",
            b"From: \"\xC3\x28\xFF\" <sip:ann@home1.net>;tag=9f2c",
        ),
        May::BeServed,
    );
    add(
        "invalid UTF-8 in the user",
        with_line(
            client,
            "MESSAGE",
            b"MESSAGE sip:\xFF\xFE@im.home1.net SIP/2.0",
        ),
        May::Never,
    );
    add(
        "no SIP version",
        line("MESSAGE", "MESSAGE sip:hikers@im.home1.net"),
        May::Never,
    );
    add(
        "SIP/7.0",
        line("MESSAGE", "MESSAGE sip:hikers@im.home1.net SIP/7.0"),
        May::Never,
    );
    add(
        "two blanks in the request line",
        line("MESSAGE", "MESSAGE  sip:hikers@im.home1.net  SIP/2.0"),
        May::BeServed,
    );
    add(
        "angle brackets around the Request-URI",
        line("MESSAGE", "MESSAGE <sip:hikers@im.home1.net> SIP/2.0"),
        May::Never,
    );
    add(
        "a Request-URI without a host",
        line("MESSAGE", "MESSAGE sip:hikers@ SIP/2.0"),
        May::Never,
    );
    add(
        "a Request-URI without a scheme",
        line("MESSAGE", "MESSAGE hikers@im.home1.net SIP/2.0"),
        May::Never,
    );
    add(
        "a broken escape in the Request-URI",
        line("MESSAGE", "MESSAGE sip:hik%6zrs@im.home1.net SIP/2.0"),
        May::Never,
    );
    add(
        "a blank in the Request-URI",
        line("MESSAGE", "MESSAGE sip:hikers@im.home1.net; lr SIP/2.0"),
        May::Never,
    );
    for value in [
        "",
        "x",
        "-1",
        "99999999999999999999",
        "2, 2",
        "0x2",
        "2;a",
        "+2",
    ] {
        add(
            &format!("Content-Length {value:?}"),
            line("Content-Length", &format!("Content-Length: {value}")),
            May::Never,
        );
    }
    add(
        "Content-Length too long",
        line("Content-Length", "Content-Length: 3"),
        May::Never,
    );
    add(
        "two different Content-Lengths",
        {
            let mut all = lines(client);
            all.push("Content-Length: 1".to_owned());
            joined(&all, "\r\n", b"hi")
        },
        May::Never,
    );
    for value in [
        "",
        "MESSAGE",
        "41",
        "x MESSAGE",
        "-1 MESSAGE",
        "41 INVITE",
        "99999999999999999999 MESSAGE",
        "41MESSAGE",
    ] {
        add(
            &format!("CSeq {value:?}"),
            line("CSeq", &format!("CSeq: {value}")),
            May::Never,
        );
    }
    add("no CSeq", line("CSeq", ""), May::Never);
    for value in ["", "x", "-1", "68 hops", "99999999999999999999", "0x10"] {
        add(
            &format!("Max-Forwards {value:?}"),
            line("Max-Forwards", &format!("Max-Forwards: {value}")),
            May::Never,
        );
    }
    for value in [
        "",
        "<sip:ann@home1.net>",
        "<sip:ann@home1.net;tag=9f2c",
        "\"Ann <sip:ann@home1.net>;tag=9f2c",
        ";tag=9f2c",
        "<>;tag=9f2c",
    ] {
        add(
            &format!("From {value:?}"),
            line("From", &format!("From: {value}")),
            May::Never,
        );
    }
    add("no From", line("From", ""), May::Never);
    add(
        "two Froms",
        repeated("From: <sip:eve@home1.net>;tag=evil", 1),
        May::Never,
    );
    add("no To", line("To", ""), May::Never);
    add(
        "two Tos",
        repeated("To: <sip:eve@home1.net>", 1),
        May::Never,
    );
    add("an empty To", line("To", "To:"), May::Never);
    add("no Via", line("Via", ""), May::Never);
    add("an empty Via", line("Via", "Via:"), May::Never);
    add(
        "a Via without a host",
        line("Via", "Via: SIP/2.0/UDP ;branch=z9hG4bKx"),
        May::Never,
    );
    add("no Call-ID", line("Call-ID", ""), May::Never);
    add("an empty Call-ID", line("Call-ID", "Call-ID:"), May::Never);
    add(
        "a header without a colon",
        line("Content-Type", "Content-Type text/plain"),
        May::BeServed,
    );
    add(
        "a header without a name",
        line("Content-Type", ": text/plain"),
        May::BeServed,
    );
    add(
        "a first header that is folded",
        line("Via", " folded: from nowhere"),
        May::Never,
    );
    add(
        "an unterminated quote in Accept-Contact",
        line("Accept-Contact", "Accept-Contact: *;+g.oma.sip-im=\"TRUE"),
        May::Never,
    );
    add(
        "the tag only inside quotes",
        line(
            "Accept-Contact",
            "Accept-Contact: *;text=\";+g.oma.sip-im\"",
        ),
        May::Never,
    );
    add(
        "the tag twice in one value",
        line(
            "Accept-Contact",
            "Accept-Contact: *;+g.oma.sip-im;+g.oma.sip-im",
        ),
        May::Never,
    );
    add(
        "thirty values in Accept-Contact",
        line(
            "Accept-Contact",
            &format!("Accept-Contact: {}", ["*;+g.oma.sip-im"; 30].join(",")),
        ),
        May::Never,
    );
    add(
        "an identity that is no URI",
        line("P-Asserted", "P-Asserted-Identity: ann"),
        May::Never,
    );
    add(
        "an unclosed identity",
        line("P-Asserted", "P-Asserted-Identity: <sip:ann@home1.net"),
        May::Never,
    );
    add(
        "a thousand identities",
        line(
            "P-Asserted",
            &format!(
                "P-Asserted-Identity: {}",
                ["<sip:eve@home1.net>"; 1000].join(",")
            ),
        ),
        May::Never,
    );
    add(
        "contradictory Privacy",
        repeated("Privacy: none;id", 1),
        May::Never,
    );
    add(
        "a header of 50,000 bytes",
        repeated(&format!("X-Giant: {}", "a".repeat(50_000)), 1),
        May::BeServed,
    );
    add(
        "a header name of 50,000 bytes",
        repeated(&format!("{}: a", "a".repeat(50_000)), 1),
        May::BeServed,
    );
    add(
        "a display-name of 50,000 bytes",
        line(
            "From",
            &format!(
                "From: \"{}\" <sip:ann@home1.net>;tag=9f2c",
                "a".repeat(50_000)
            ),
        ),
        May::BeServed,
    );
    add(
        "a user of 50,000 bytes",
        line(
            "MESSAGE",
            &format!("MESSAGE sip:{}@im.home1.net SIP/2.0", "a".repeat(50_000)),
        ),
        May::Never,
    );
    add(
        "a Call-ID of 50,000 bytes",
        line("Call-ID", &format!("Call-ID: {}", "a".repeat(50_000))),
        May::BeServed,
    );
    add(
        "3,000 Via rows",
        repeated("v:SIP/2.0/UDP a", 3000),
        May::BeServed,
    );
    add("5,000 header rows", repeated("x: y", 5000), May::BeServed);
    add(
        "9,000 folds in one header",
        repeated(&format!("X-Folded: a{}", "\r\n b".repeat(9000)), 1),
        May::BeServed,
    );
    add(
        "20,000 parameters in From",
        line(
            "From",
            &format!("From: <sip:ann@home1.net>;tag=9f2c{}", ";a".repeat(20_000)),
        ),
        May::BeServed,
    );
    add(
        "20,000 commas in Accept-Contact",
        line(
            "Accept-Contact",
            &format!("Accept-Contact: {}*;+g.oma.sip-im", ",".repeat(20_000)),
        ),
        May::BeServed,
    );
    add(
        "20,000 backslashes in From",
        line(
            "From",
            &format!(
                "From: \"{}\" <sip:ann@home1.net>;tag=9f2c",
                "\\".repeat(20_000)
            ),
        ),
        May::BeServed,
    );
    add(
        "20,000 opening brackets in From",
        line(
            "From",
            &format!("From: {}sip:ann@home1.net>;tag=9f2c", "<".repeat(20_000)),
        ),
        May::BeServed,
    );
    table
}

/// Sends one message and returns what came back, whole answers or not. When it returns the single worker
/// is done with the message.
fn exchange(rig: &Rig, client: &mut Client, bytes: &[u8]) -> Vec<Vec<u8>> {
    if rig.transport == Transport::Udp {
        client.send(bytes);
        return client.fence_collecting();
    }
    // A broken message leaves a stream that nobody can read on: one connection for each.
    let mut connection = rig.client();
    // The proxy may have closed it before it has read all.
    let _ = connection.try_send(bytes);
    vec![Rig::finish(&mut connection)]
}

fn count_accepted(answers: &[Vec<u8>]) -> usize {
    answers
        .iter()
        .filter(|bytes| find(bytes, b"SIP/2.0 202 ").is_some())
        .count()
}

/// Bad input.
pub fn broken_messages_do_no_harm(transport: Transport) {
    let mut rig = Setup::new(transport).start();
    let mut client = rig.client();
    let pids =
        |rig: &Rig| -> Vec<u32> { rig.processes().into_iter().map(|(pid, _)| pid).collect() };
    let before = pids(&rig);
    let mut served = 0;

    for (what, bytes, may) in table(&client) {
        let accepted = count_accepted(&exchange(&rig, &mut client, &bytes));
        assert!(
            may == May::BeServed || accepted == 0,
            "{what}: answered 202"
        );
        served += accepted;
    }
    let flow = Request::another(&client).bytes();
    for length in 0..flow.len() {
        let accepted = count_accepted(&exchange(&rig, &mut client, &flow[..length]));
        assert_eq!(
            accepted, 0,
            "answered 202 to the first {length} bytes of flow 1"
        );
    }
    // And whole, so that the truncated ones were refused for what they lack.
    let whole = Request::another(&client).bytes();
    served += count_accepted(&exchange(&rig, &mut client, &whole));
    assert!(served > 0);

    assert_eq!(rig.counter("accepted"), served as u64);
    rig.wait_for_counter("forks_sent", 2 * served as u64);
    rig.core.wait_for(2 * served);
    // The first one's connection has been idle for long, and may be closed.
    rig.client().fence();
    assert_eq!(
        rig.core.count(),
        2 * served,
        "forks of what was answered 202, and no others"
    );
    assert_eq!(pids(&rig), before, "the same processes as before");
    rig.assert_healthy();
}

/// RFC 4475 3.1.1, told with MESSAGE: ugly, and legal to the last byte.
pub fn tortuous_but_legal_messages_are_served(transport: Transport) {
    let mut rig = Setup::new(transport).start();
    let mut client = rig.client();
    let mut expected = 0;
    for (what, bytes) in tortuous(&client) {
        let answers = exchange(&rig, &mut client, &bytes);
        let text: Vec<_> = answers
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes))
            .collect();
        assert_eq!(count_accepted(&answers), 1, "{what}: answered {text:?}");
        expected += 2;
        rig.core.wait_for(expected);
    }
    rig.wait_for_counter("forks_sent", expected as u64);
    assert!(
        rig.core
            .forks()
            .iter()
            .all(|fork| fork.message.body == b"hi")
    );
    rig.assert_healthy();
}

fn tortuous(client: &Client) -> Vec<(&'static str, Vec<u8>)> {
    let via = |mark: &str| {
        let (transport, address) = (client.transport.in_via(), client.address);
        format!("SIP / 2.0 /{transport}\r\n  {address};branch=z9hG4bK-{mark}")
    };
    let mark = unique();
    let short_tortuous = [
        "MESSAGE sip:hikers@im.home1.net;unknownparam=v SIP/2.0".to_owned(),
        "TO :\r\n <sip:hikers@im.home1.net>".to_owned(),
        "from   : \"J Rosenberg \\\\\\\"\"       <sip:ann@home1.net>\r\n  ;\r\n  tag = 98asjd8"
            .to_owned(),
        "MaX-fOrWaRdS: 0068".to_owned(),
        format!("Call-ID: {mark}.ndaksdj@192.0.2.1"),
        "Content-Length   : 2".to_owned(),
        // On one line: Kamailio reads no folded CSeq, so such a message never reaches a module.
        "cseq: 0009  MESSAGE".to_owned(),
        format!("Via  : {}", via(&mark)),
        "s :".to_owned(),
        "NewFangledHeader:   newfangled value\r\n continued newfangled value".to_owned(),
        "UnknownHeaderWithUnusualValue: ;;,,;;,;".to_owned(),
        "P-ASSERTED-IDENTITY :\r\n\t<sip:ann@home1.net>".to_owned(),
        "Content-Type: text/plain".to_owned(),
        "a :\r\n * ;\r\n +g.oma.sip-im".to_owned(),
    ];
    let everything_folded: Vec<String> = lines(client)
        .into_iter()
        .map(|line| {
            // Kamailio itself wants CSeq, and on a stream Content-Length, on one line.
            let plain = ["MESSAGE", "CSeq", "Content-Length"];
            if plain.iter().any(|start| line.starts_with(start)) {
                line
            } else {
                line.replacen(": ", ":\r\n ", 1)
            }
        })
        .collect();
    let names = [
        ("Via", "v"),
        ("From", "f"),
        ("To", "t"),
        ("Call-ID", "i"),
        ("Accept-Contact", "a"),
        ("Content-Type", "c"),
        ("Content-Length", "l"),
    ];
    let compact: Vec<String> = lines(client)
        .into_iter()
        .map(|line| {
            let short = names
                .iter()
                .find(|(long, _)| line.split(':').next() == Some(long));
            short.map_or(line.clone(), |(long, short)| line.replacen(long, short, 1))
        })
        .collect();
    vec![
        (
            "a short tortuous MESSAGE",
            joined(&short_tortuous, "\r\n", b"hi"),
        ),
        (
            "everything folded",
            joined(&everything_folded, "\r\n", b"hi"),
        ),
        ("compact names", joined(&compact, "\r\n", b"hi")),
        (
            "an escaped user",
            with_line(
                client,
                "MESSAGE",
                b"MESSAGE sip:%68ik%65rs@IM.HOME1.NET SIP/2.0",
            ),
        ),
        (
            "another case of the scheme",
            with_line(
                client,
                "MESSAGE",
                b"MESSAGE SIP:hikers@im.home1.net SIP/2.0",
            ),
        ),
        (
            "a quoted comma and semicolon",
            with_line(
                client,
                "From",
                b"From: \"Ann, <x>;tag=1\" <sip:ann@home1.net>;tag=9f2c",
            ),
        ),
        (
            "a From without brackets",
            with_line(client, "From", b"From: sip:ann@home1.net;tag=9f2c"),
        ),
        (
            "a tag with a list value",
            with_line(
                client,
                "Accept-Contact",
                b"Accept-Contact: *;+g.oma.sip-im=\"FALSE,TRUE\"",
            ),
        ),
    ]
}

/// S-2: what an attacker writes must not forge a line or move a terminal's cursor.
pub fn text_from_outside_reaches_the_log_only_escaped_and_cut(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let long = "z".repeat(2000);
    let hostile = [
        Request::another(&client).sender("sip:dora%0a%1b%5b31m@home1.net"),
        Request::another(&client)
            .set(
                "From",
                "\"\u{1b}[31mred\u{7}\u{8}\u{9b}\" <sip:dora@home1.net>;tag=9f2c",
            )
            .without("P-Asserted-Identity"),
        Request::another(&client).sender(&format!("sip:{long}@home1.net")),
        Request::another(&client)
            .set("From", &format!("\"{long}\" <sip:dora@home1.net>;tag=9f2c"))
            .set(
                "P-Asserted-Identity",
                &format!("\"{long}\u{1b}[2J\" <sip:dora@home1.net>"),
            ),
    ];
    for (request, code) in hostile.iter().zip([400, 403, 403, 403]) {
        refused(&rig, &mut client, request, code);
    }
    // A control character in an identity makes it no identity, in a group's name no group.
    let raw =
        Request::another(&client).set("P-Asserted-Identity", "<sip:do\u{1b}[31mra@home1.net>");
    client.send(&raw.bytes());
    let answer = client.receive().status();
    assert!(answer == 400 || answer == 403, "answered {answer}");
    client.fence();

    let log = std::fs::read(rig.folder().join(LOG)).expect("the log");
    let lines: Vec<&[u8]> = log
        .split(|byte| *byte == b'\n')
        .filter(|line| find(line, b"cimf").is_some())
        .collect();
    let refusals = lines
        .iter()
        .filter(|line| find(line, b"hikers").is_some() && find(line, b"refused 40").is_some());
    assert!(
        refusals.count() >= hostile.len(),
        "each refusal has its line, with group and code\n{}",
        rig.log()
    );
    for line in lines {
        let text = String::from_utf8_lossy(line);
        let plain = |letter: char| !letter.is_control() && letter != char::REPLACEMENT_CHARACTER;
        assert!(text.chars().all(plain), "unescaped: {text:?}");
        assert!(line.len() < 1000, "not cut: {text:?}");
    }
}

/// RFC 3261 §7.5: what the proxy passes over before a request, we pass over too, ours or not.
pub fn bytes_before_a_request_change_nothing(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    for prefix in proxy().passes_over() {
        let before = Before::of(&rig);
        let request = Request::another(&client);
        client.send(&[prefix.as_bytes(), &request.bytes()].concat());
        is_202(&client.receive(), &request);
        forked(&rig, &mut client, &before, 2);

        let request = Request::another(&client).replace("Accept-Contact", "Accept-Contact: *");
        client.send(&[prefix.as_bytes(), &request.bytes()].concat());
        let response = client.receive();
        assert_eq!(response.reason(), "Feature Tag Missing", "{prefix:?}");
    }
}
