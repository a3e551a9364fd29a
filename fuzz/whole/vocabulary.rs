//! Header fields that may stand in a message, and what is known of them.

/// A header field that may stand in the message, and how it may read.
pub const OPTIONAL: [&str; 52] = [
    "Subject: Walk",
    "s: compact",
    "Subject: folded\r\n on a second line",
    "Subject: first\r\nSubject: second",
    "Priority: urgent",
    "Organization: OMA",
    "Call-Info: <http://home1.net/a>;purpose=icon",
    "Reply-To: <sip:ann@home1.net>",
    "In-Reply-To: 1@home1.net",
    "Expires: 600",
    "Expires: 600\r\nDate: Sun, 22 Nov 2026 16:00:00 UTC",
    "Date: Sun, 22 Nov 2026 16:00:00 GMT",
    "MIME-Version: 1.0",
    "Conversation-ID: c1",
    "Conversation-ID: c1\r\nConversation-ID: c2",
    "Contribution-ID: d1",
    "Content-Language: en",
    "Content-Disposition: render",
    "Max-Breadth: 7",
    "Supported: path",
    "X-Ticket: 1",
    "X-Ticket: a\tb\x7f",
    "Contact: <sip:zqnobody@zqnobody.example.net>;+sip.instance=\"<urn:uuid:zqnobody>\"",
    "P-Preferred-Identity: \"Boss\" <sip:zqnobody@home1.net>",
    "P-Served-User: <sip:zqnobody@home1.net>",
    "P-Access-Network-Info: 3GPP-UTRAN;zqnobody=1",
    "History-Info: <sip:zqnobody@home1.net>;index=1",
    "Geolocation: <cid:zqnobody@home1.net>",
    "Record-Route: <sip:zqnobody.example.net;lr>",
    "Route: <sip:zqnobody.example.net;lr>",
    "User-Agent: zqnobody/1",
    "Authorization: Digest username=\"zqnobody\", realm=\"home1.net\", response=\"0\"",
    "P-Charging-Vector: icid-value=abc;orig-ioi=home1.net",
    "P-Charging-Vector: icid-value=a@b",
    "P-Asserted-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel",
    "Resource-Priority: wps.0",
    "Require:",
    "Request-Disposition: no-fork",
    "Reject-Contact: *;automata",
    "x-Unknown: zqnobody",
    "Identity: \"zqnobody\"",
    "Session-ID: zqnobody",
    "Accept: text/plain;zqnobody=1",
    "Alert-Info: <http://zqnobody.example.net/>",
    "Subject: a\nP-Asserted-Identity: <sip:zqnobody@home1.net>",
    "Subject: a\rX-Ticket: zqnobody",
    "Subject: a\r\n\tX-Ticket: b",
    "Subject: a\0b",
    "Date: yesterday",
    "c: text/plain",
    "Content-Encoding: gzip",
    "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 8bit",
];

/// The same where they tell who the sender is, who may have asked for anonymity.
pub const TELLING: [&str; 16] = [
    "Content-Location: http://zqhost.example.net/",
    "Content-Base: http://zqhost.example.net/",
    "Content-Description: zqdisp at work",
    "Content-ID: <1@zqhost.example.net>",
    "Content-Other: zqorig",
    "Subject: from zqdisp",
    "Organization: zqdisp and Sons",
    "Call-Info: <http://zqhost.example.net/>",
    "Reply-To: <sip:zqorig@home1.net>",
    "In-Reply-To: 1@zqhost.example.net",
    "Conversation-ID: zqhost-1",
    "Contribution-ID: zqhost-2",
    "InReplyTo-Contribution-ID: zqhost-3",
    "Accept-Contact: *;+sip.instance=\"<urn:uuid:zqhost>\"",
    "Reject-Contact: *;+sip.instance=\"<urn:uuid:zqhost>\"",
    "Content-Features: (zqdisp)",
];

/// From, and the address of record that it names.
pub const FROM: [(&str, Option<&str>); 22] = [
    (
        "\"Zqdisp\" <sip:zqorig@home1.net>;tag=9f2c",
        Some("zqorig@home1.net"),
    ),
    ("<sip:zqorig@home1.net>;tag=9f2c", Some("zqorig@home1.net")),
    ("sip:zqorig@home1.net;tag=9f2c", Some("zqorig@home1.net")),
    (
        "Zqdisp There <sip:zqorig@home1.net>;tag=9f2c;epid=7",
        Some("zqorig@home1.net"),
    ),
    (
        "\"Zq\\\"disp, <x>\" <sip:zqorig@home1.net>;tag=9f2c",
        Some("zqorig@home1.net"),
    ),
    ("<tel:+1-555-777-0001>;tag=9f2c", Some("+15557770001")),
    (
        "<sip:zqorig@home1.net>;x=1,\"Boss\" <sip:zqboss@home1.net>;tag=1",
        None,
    ),
    (
        "<sip:zqorig@home1.net>;tag=1;x=1,<sip:zqboss@home1.net>",
        None,
    ),
    ("<sip:zqorig@home1.net>, <sip:zqboss@home1.net>;tag=1", None),
    (
        "\"a\" <sip:zqorig@home1.net> <sip:zqboss@home1.net>;tag=1",
        None,
    ),
    (
        "<sip:zqorig@home1.net>;x=\"<sip:zqboss@home1.net>\";tag=1",
        None,
    ),
    (
        "<sip:zqorig@home1.net>;x=<sip:zqboss@home1.net>;tag=1",
        None,
    ),
    (
        "\"Boss\" <sip:other@home1.net>;tag=1",
        Some("other@home1.net"),
    ),
    (
        "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1",
        Some("anonymous@anonymous.invalid"),
    ),
    (
        "<sip:zqorig@home1.net:5060;transport=tcp>;tag=9f2c",
        Some("zqorig@home1.net"),
    ),
    (
        "<sip:zqorig:zqpassword@home1.net>;tag=9f2c",
        Some("zqorig@home1.net"),
    ),
    (
        "<sip:zqorig@home1.net?Subject=zqnobody>;tag=9f2c",
        Some("zqorig@home1.net"),
    ),
    (
        "<sip:%7Aqorig@HOME1.net;x=1>;tag=9f2c;y",
        Some("zqorig@home1.net"),
    ),
    ("<sip:zqorig#1@home1.net>;tag=9f2c", None),
    (
        "\"Zqdisp\" <sip:zqorig@home1.net>;tag=9f2c;",
        Some("zqorig@home1.net"),
    ),
    (
        "\"Zqdisp\"\r\n <sip:zqorig@home1.net>\r\n ;tag=9f2c",
        Some("zqorig@home1.net"),
    ),
    ("<sip:zqorig@home1.net>;tag=9f2c;tag=2", None),
];

/// P-Asserted-Identity, and the addresses of record that count: the first of each scheme (I-2).
pub const ASSERTED: [(&str, &[&str]); 9] = [
    (
        "\"Zqdisp\" <sip:zqorig@home1.net>, <tel:+15557770001>",
        &["zqorig@home1.net", "+15557770001"],
    ),
    ("<sip:zqorig@home1.net>", &["zqorig@home1.net"]),
    ("sip:zqorig@home1.net", &["zqorig@home1.net"]),
    (
        "<tel:+15557770001>,\"Zqdisp\" <sip:zqorig@home1.net>",
        &["zqorig@home1.net", "+15557770001"],
    ),
    (
        "<sip:zqorig@home1.net>, <sip:zqboss@home1.net>",
        &["zqorig@home1.net"],
    ),
    ("<sip:zqorig@home1.net:5060;x=1>", &["zqorig@home1.net"]),
    (
        "\"Boss\\\", <sip:zqboss@home1.net>\" <sip:zqorig@home1.net>",
        &["zqorig@home1.net"],
    ),
    ("<sip:eve@home2.net>", &["eve@home2.net"]),
    ("<sip:ann@home1.net>", &["ann@home1.net"]),
];

pub const PRIVACY: [&str; 8] = [
    "id",
    "id;critical",
    "header",
    "user;header",
    "none",
    "session",
    "ID ;history",
    "none;",
];

pub const MULTIPART: [&str; 5] = [
    "multipart/alternative;boundary=b1",
    "multipart/related;boundary=b1",
    "multipart/mixed;boundary=b1",
    "multipart/signed;boundary=b1",
    "multipart/parallel;boundary=b1",
];
