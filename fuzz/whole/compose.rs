//! A message made from choices, so that most are accepted and each way through the checks is taken; with what is
//! known of it: who its sender is, and which names no copy may have. All such names begin with `zq`.

use super::promises::{ORIGINATOR, occurrences};
use super::rig::{From, SETTINGS};

/// What is known of a message.
#[derive(Debug, Default)]
pub struct Known {
    /// The addresses of record of whoever sent it, by those who are believed.
    pub originator: Vec<String>,
    /// The address of record in From; nothing where that could be read in two ways.
    pub from: Option<String>,
    /// The address that it is sent to.
    pub group: &'static str,
    /// Whether it asks for anonymity.
    pub anonymous: bool,
    /// Recipients of whom no other may know.
    pub hidden: Vec<Hidden>,
    /// Values that the URI of an entry sets: for that recipient alone.
    pub own_values: Vec<Hidden>,
    /// Names that may be in no copy at all.
    pub never: Vec<&'static str>,
}

/// A text that only one recipient may find in their copy.
#[derive(Debug)]
pub struct Hidden {
    pub text: String,
    /// A part of that recipient's address.
    pub owner: String,
    /// Whether `bcc_mode=self` shows it to the recipient.
    pub is_bcc: bool,
}

/// A message on its way in.
#[derive(Debug)]
pub struct Composed {
    pub setting: usize,
    pub trusted: bool,
    pub identity: &'static str,
    pub bytes: Vec<u8>,
    /// Nothing for one whose bytes were changed at random.
    pub known: Option<Known>,
}

impl Composed {
    pub fn source(&self) -> From<'_> {
        From {
            trusted: self.trusted,
            identity: self.identity.as_bytes(),
        }
    }
}

/// Bytes as choices; when they end, the first of all.
struct Choices<'d>(&'d [u8]);

impl<'d> Choices<'d> {
    fn below(&mut self, count: usize) -> usize {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                usize::from(first) % count
            }
            None => 0,
        }
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// The first, mostly.
    fn mostly<T: Copy>(&mut self, choices: &[T]) -> T {
        if self.once_in(6) {
            self.of(choices)
        } else {
            choices[0]
        }
    }

    /// Often no; never when the bytes have ended.
    fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    fn bytes(&mut self, most: usize) -> &'d [u8] {
        let length = self.below(most + 1).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}

/// A header field that may stand in the message, and how it may read.
const OPTIONAL: [&str; 52] = [
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
    "Contact: <sip:zqnever@zqnever.example.net>;+sip.instance=\"<urn:uuid:zqnever>\"",
    "P-Preferred-Identity: \"Boss\" <sip:zqnever@home1.net>",
    "P-Served-User: <sip:zqnever@home1.net>",
    "P-Access-Network-Info: 3GPP-UTRAN;zqnever=1",
    "History-Info: <sip:zqnever@home1.net>;index=1",
    "Geolocation: <cid:zqnever@home1.net>",
    "Record-Route: <sip:zqnever.example.net;lr>",
    "Route: <sip:zqnever.example.net;lr>",
    "User-Agent: zqnever/1",
    "Authorization: Digest username=\"zqnever\", realm=\"home1.net\", response=\"0\"",
    "P-Charging-Vector: icid-value=abc;orig-ioi=home1.net",
    "P-Charging-Vector: icid-value=a@b",
    "P-Asserted-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel",
    "Resource-Priority: wps.0",
    "Require:",
    "Request-Disposition: no-fork",
    "Reject-Contact: *;automata",
    "x-Unknown: zqnever",
    "Identity: \"zqnever\"",
    "Session-ID: zqnever",
    "Accept: text/plain;zqnever=1",
    "Alert-Info: <http://zqnever.example.net/>",
    "Subject: a\nP-Asserted-Identity: <sip:zqnever@home1.net>",
    "Subject: a\rX-Ticket: zqnever",
    "Subject: a\r\n\tX-Ticket: b",
    "Subject: a\0b",
    "Date: yesterday",
    "c: text/plain",
    "Content-Encoding: gzip",
    "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 8bit",
];

/// The same where they tell who the sender is, who may have asked for anonymity.
const TELLING: [&str; 16] = [
    "Content-Location: http://zqpc.example.net/",
    "Content-Base: http://zqpc.example.net/",
    "Content-Description: zqdisp at work",
    "Content-ID: <1@zqpc.example.net>",
    "Content-Other: zqorig",
    "Subject: from zqdisp",
    "Organization: zqdisp and Sons",
    "Call-Info: <http://zqpc.example.net/>",
    "Reply-To: <sip:zqorig@home1.net>",
    "In-Reply-To: 1@zqpc.example.net",
    "Conversation-ID: zqpc-1",
    "Contribution-ID: zqpc-2",
    "InReplyTo-Contribution-ID: zqpc-3",
    "Accept-Contact: *;+sip.instance=\"<urn:uuid:zqpc>\"",
    "Reject-Contact: *;+sip.instance=\"<urn:uuid:zqpc>\"",
    "Content-Features: (zqdisp)",
];

/// From, and the address of record that it names.
const FROM: [(&str, Option<&str>); 22] = [
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
        "<sip:zqorig:zqpass@home1.net>;tag=9f2c",
        Some("zqorig@home1.net"),
    ),
    (
        "<sip:zqorig@home1.net?Subject=zqnever>;tag=9f2c",
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
const ASSERTED: [(&str, &[&str]); 9] = [
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

const PRIVACY: [&str; 8] = [
    "id",
    "id;critical",
    "header",
    "user;header",
    "none",
    "session",
    "ID ;history",
    "none;",
];

/// A request made from `data`.
pub fn compose(data: &[u8]) -> Composed {
    let mut choices = Choices(data);
    let setting = choices.below(SETTINGS.len());
    let mut message = Message {
        setting,
        choices,
        known: Known::default(),
        is_known: true,
        head: Vec::new(),
        free: Vec::new(),
        entries: 0,
    };
    let targets = [
        "sip:hikers@im.home1.net",
        "sip:listsvc@im.home1.net",
        "sip:open@im.home1.net",
        "sip:outer@im.home1.net",
        "sip:inner@im.home1.net",
        "sip:listsvc@im.home1.net;list=cid:l1@home1.net",
        "sip:HIKERS@im.home1.net",
        "sip:hikers@IM.home1.net:5060;transport=tcp",
        "sip:nobody@im.home1.net",
        "sip:hikers@home9.net",
    ];
    let target = match message.choices.below(16) {
        well_known @ 0..10 => targets[well_known % 4],
        _ => message.choices.of(&targets),
    };
    message.known.group = target;
    let (trusted, identity) = message.sender();
    message.line("Via: SIP/2.0/TCP zqpc.example.net:5060;branch=z9hG4bK@@@@@@@@".to_owned());
    message.line("Call-ID: @@@@@@@@@zqpc.example.net".to_owned());
    message.line("CSeq: 41 MESSAGE".to_owned());
    let to = message
        .choices
        .mostly(&["<>", "<>;x=1", "\"G, \\\"\" <>", "<sip:a%00b@h>"]);
    message.line(format!("To: {}", to.replace("<>", &format!("<{target}>"))));
    let hops = message.choices.mostly(&["68", "1", "255", "0", "256"]);
    message.line(format!("Max-Forwards: {hops}"));
    let tag = message.choices.mostly(&[
        "*;+g.oma.sip-im",
        "*;+g.oma.sip-im",
        "*;audio, *;+G.OMA.SIP-IM;require",
        "*;+g.oma.sip-im\r\nAccept-Contact: *;mobility=fixed;explicit",
        "*;+g.oma.sip-im;",
        "*;x=\"<\", *;+g.oma.sip-im",
    ]);
    message.line(format!("Accept-Contact: {tag}"));
    message.line("Require: recipient-list-message".to_owned());
    message.known.never = vec!["zqnever", "zqpass", "zqforged"];
    message.privacy();
    message.others();
    let body = message.body();
    message.line(format!("Content-Length: {}", body.len()));
    let start = format!("MESSAGE {target} SIP/2.0\r\n");
    let mut bytes = [start.as_bytes(), &message.head, b"\r\n", &body].concat();
    if message.choices.once_in(16) {
        // Any bytes may be other ones: then nothing is known of it.
        message.is_known = false;
        while let [high, low, byte, rest @ ..] = message.choices.0 {
            let at = usize::from(*high) << 8 | usize::from(*low);
            let at = at % bytes.len();
            bytes[at] = *byte;
            message.choices.0 = rest;
        }
    }
    Composed {
        setting,
        trusted,
        identity,
        bytes,
        known: (message.is_known && !message.names_somebody()).then_some(message.known),
    }
}

struct Message<'d> {
    setting: usize,
    choices: Choices<'d>,
    known: Known,
    is_known: bool,
    head: Vec<u8>,
    /// All bytes that came as they are.
    free: Vec<u8>,
    entries: usize,
}

impl Message<'_> {
    fn line(&mut self, line: String) {
        self.head.extend_from_slice(line.as_bytes());
        self.head.extend_from_slice(b"\r\n");
    }

    /// Whether a name that is looked for stands among the free bytes, which a fuzzer guesses soon.
    fn names_somebody(&self) -> bool {
        let known = &self.known;
        let hidden = known.hidden.iter().chain(&known.own_values);
        let names = known.never.iter().chain(&ORIGINATOR).copied();
        let mut names = names.chain(hidden.map(|hidden| hidden.text.as_str()));
        names.any(|name| occurrences(&self.free, name) > 0)
    }

    /// Bytes as they come. A line end among them would make header fields of which nothing is known.
    fn free(&mut self) -> Vec<u8> {
        let free = self.choices.bytes(40).to_vec();
        self.free.extend_from_slice(&free);
        self.is_known &= !free.iter().any(|byte| b"\r\n\"<>\\%".contains(byte));
        free
    }

    /// Where it comes from, From, and who is said to be the sender.
    fn sender(&mut self) -> (bool, &'static str) {
        let trusted = !self.choices.once_in(12);
        let identity = match self.choices.below(3) {
            0 => "sip:zqorig@home1.net",
            1 => "",
            _ => "sip:ann@home1.net",
        };
        let asserted = self.choices.mostly(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let given = ASSERTED.get(asserted).filter(|_| trusted);
        self.known.originator = match given {
            Some((_, counts)) => counts.iter().map(|&it| it.to_owned()).collect(),
            None if SETTINGS[self.setting].believes_script && !identity.is_empty() => {
                vec![identity[4..].to_owned()]
            }
            None => Vec::new(),
        };
        if let Some((asserted, _)) = ASSERTED.get(asserted) {
            self.head.extend_from_slice(b"P-Asserted-Identity: ");
            self.head.extend_from_slice(asserted.as_bytes());
            self.head.extend_from_slice(b"\r\n");
        }
        let head = std::mem::take(&mut self.head);
        let (from, names) = if self.choices.once_in(3) {
            self.choices.of(&FROM)
        } else {
            FROM[0]
        };
        self.known.from = names.map(str::to_owned);
        self.known.anonymous = from.contains("anonymous.invalid");
        self.line(format!("From: {from}"));
        if self.choices.once_in(12) {
            // In a display name, or in a parameter.
            self.head.truncate(self.head.len() - 2);
            let free = self.free();
            let shape = self.choices.below(2);
            self.head = match shape {
                0 => [
                    b"From: \"",
                    &free[..],
                    b"\" <sip:zqorig@home1.net>;tag=1\r\n",
                ]
                .concat(),
                _ => [&self.head[..], b";p=", &free, b"\r\n"].concat(),
            };
            self.known.from = None;
            self.known.anonymous = false;
        }
        self.head.extend_from_slice(&head);
        (trusted, identity)
    }

    fn privacy(&mut self) {
        let rare = if SETTINGS[self.setting].grants_anonymity {
            2
        } else {
            8
        };
        if self.choices.once_in(rare) {
            let privacy = self.choices.of(&PRIVACY);
            self.line(format!("Privacy: {privacy}"));
            let wish = privacy.to_lowercase();
            self.known.anonymous |= ["id", "user", "header", "critical"]
                .iter()
                .any(|it| wish.contains(it));
        }
    }

    fn others(&mut self) {
        for _ in 0..self.choices.below(4) {
            let field = self.choices.of(&OPTIONAL);
            self.line(field.to_owned());
        }
        for _ in 0..self.choices.below(3) {
            let field = self.choices.of(&TELLING);
            self.line(field.to_owned());
        }
        if self.choices.once_in(6) {
            let name = self.choices.of(&[
                "Subject",
                "X-Ticket",
                "Content-Other",
                "Organization",
                "Reply-To",
                "Date",
            ]);
            let free = self.free();
            self.head.extend_from_slice(name.as_bytes());
            self.head.extend_from_slice(b": ");
            self.head.extend_from_slice(&free);
            self.head.extend_from_slice(b"\r\n");
        }
    }

    /// A body; what tells of it goes to the head.
    fn body(&mut self) -> Vec<u8> {
        // Where a group takes no list, one in it is seldom worth a message.
        let rare = if SETTINGS[self.setting].takes_lists {
            2
        } else {
            6
        };
        let lists = self.known.group.contains("listsvc") || self.choices.once_in(rare);
        if lists {
            return self.with_list();
        }
        let text = b"--b1\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b1--\r\n";
        let (kind, body): (&str, Vec<u8>) = match self.choices.below(13) {
            0..5 => ("text/plain", b"Trail closed.".to_vec()),
            5 => {
                let body = self.choices.bytes(60).to_vec();
                self.free.extend_from_slice(&body);
                ("text/plain", body)
            }
            6 => ("multipart/mixed;boundary=b1", text.to_vec()),
            7 => {
                let id = b"--b1\r\nContent-ID: <zqpc@zqpc.example.net>\r\n\r\nhi\r\n--b1--\r\n";
                ("multipart/related;boundary=b1", id.to_vec())
            }
            8 => {
                let kind = self.choices.of(&[
                    "message/sipfrag",
                    "message/sip",
                    "message/rfc822",
                    "Message/CPIM",
                ]);
                (
                    kind,
                    b"From: zqdisp <sip:zqorig@home1.net>\r\n\r\nhi".to_vec(),
                )
            }
            9 => {
                let body = "--b1\r\nContent-Type: message/sipfrag\r\n\r\nFrom: <sip:zqorig@home1.net>\r\n--b1--\r\n";
                ("multipart/mixed;boundary=b1", body.as_bytes().to_vec())
            }
            10 => {
                let body = "--b1\r\n\r\nhi\r\n--b1\r\nContent-Disposition: recipient-list-history\r\n\
                            Content-Type: application/resource-lists+xml\r\n\r\n<zqforged/>\r\n--b1--\r\n";
                (self.choices.of(&MULTIPART), body.as_bytes().to_vec())
            }
            11 => {
                let body = "--b1\r\nContent-Type: multipart/alternative;boundary=b2\r\n\r\n--b2\r\n\
                            Content-Disposition: recipient-list-history\r\n\r\n<zqforged/>\r\n--b2--\r\n--b1--\r\n";
                ("multipart/mixed;boundary=b1", body.as_bytes().to_vec())
            }
            _ => {
                self.line("Content-Disposition: render".to_owned());
                ("text/plain;charset=UTF-8", Vec::new())
            }
        };
        self.line(format!("Content-Type: {kind}"));
        body
    }

    /// A body with one list or more, whole or broken.
    fn with_list(&mut self) -> Vec<u8> {
        let list = self.list();
        let encoding = match self.choices.below(8) {
            6 => "Content-Transfer-Encoding: quoted-printable\r\n",
            7 => "Content-Transfer-Encoding: base64\r\n",
            _ => "",
        };
        let list = match encoding.len() {
            0 => list,
            length if length < 40 => base64(&list).into_bytes(),
            _ => quoted_printable(&list).into_bytes(),
        };
        let list = [
            b"Content-Type: application/resource-lists+xml\r\nContent-ID: <l1@home1.net>\r\n",
            encoding.as_bytes(),
            b"Content-Disposition: recipient-list\r\n\r\n",
            &list,
        ]
        .concat();
        let text = b"Content-Type: text/plain\r\n\r\nDraft is ready.";
        let parts = |parts: &[&[u8]]| -> Vec<u8> {
            let mut body = Vec::new();
            for part in parts {
                body.extend_from_slice(b"--b1\r\n");
                body.extend_from_slice(part);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"--b1--\r\n");
            body
        };
        let shape = self.choices.below(32);
        let whole = parts(&[&text[..], &list]);
        let replaced = |from: &[u8], to: &[u8]| replace(&whole, from, to);
        let mut kind = "multipart/mixed;boundary=b1";
        let body = match shape {
            0..6 => whole,
            6 => parts(&[&list[..], &text[..]]),
            7 => {
                let inner = replace(&whole, b"--b1", b"--b2");
                parts(&[&[
                    b"Content-Type: multipart/mixed;boundary=b2\r\n\r\n",
                    &inner[..],
                ]
                .concat()])
            }
            8 => {
                let at = list
                    .windows(4)
                    .position(|end| end == b"\r\n\r\n")
                    .unwrap_or_default();
                self.head.extend_from_slice(&list[..at + 2]);
                return list[at + 4..].to_vec();
            }
            9 => {
                kind = self.choices.of(&MULTIPART);
                whole
            }
            // No closing delimiter.
            10 => replaced(b"--b1--\r\n", b""),
            11 => replaced(b"--b1--\r\n", b"--b1\r\n"),
            // A broken header of a part.
            12 => replaced(b"Content-Type: text/plain\r\n", b"no header\r\n"),
            13 => replaced(b"Content-ID: <l1", b": <l1"),
            // Two dispositions.
            14 => replaced(
                b"Content-Disposition: recipient-list\r\n",
                b"Content-Disposition: render\r\nContent-Disposition: recipient-list\r\n",
            ),
            15 => {
                kind = "multipart/mixed";
                whole
            }
            16 => {
                kind = "multipart/mixed;boundary=b2;boundary=b1";
                whole
            }
            17 => replaced(b"\r\n--b1", b"\r--b1"),
            18 => replaced(b"\r\n--b1", b"\n--b1"),
            19 => replaced(b"--b1--\r\n", b"--b1--\r\nepilogue"),
            20 => [b"preamble\r\n", &whole[..]].concat(),
            21 => parts(&[&text[..], &list, &list]),
            22 => {
                kind = self.choices.of(&[
                    "Multipart/Mixed; Boundary=\"b1\"",
                    "multipart/mixed ;x=\"boundary=b9\"; boundary=b1",
                    "multipart / mixed;boundary=b1",
                    "multipart/mixed\r\n ;boundary=b1;",
                    "multipart/x-new;boundary=b1",
                    "multipart/mixed;boundary=\"b\\1\"",
                ]);
                whole
            }
            24 => {
                let inner = replace(&whole, b"--b1", b"--b2");
                let head = b"Content-Type: multipart/alternative;boundary=b2\r\n\r\n";
                parts(&[&text[..], &[&head[..], &inner].concat()])
            }
            25 => replaced(
                b"Content-ID: <l1",
                b"Content-Encoding: gzip\r\nContent-ID: <l1",
            ),
            26 => replaced(b"application/resource-lists+xml", b"text/csv"),
            23 => {
                let forged = b"Content-Disposition: recipient-list-history\r\n\r\n<zqforged/>";
                parts(&[&text[..], &list, &forged[..]])
            }
            _ => whole,
        };
        self.line(format!("Content-Type: {kind}"));
        body
    }

    fn list(&mut self) -> Vec<u8> {
        let mut list = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<resource-lists \
             xmlns=\"urn:ietf:params:xml:ns:resource-lists\" xmlns:cp=\"urn:ietf:params:xml:ns:copycontrol\"><list>\r\n"
            .to_owned();
        for _ in 0..1 + self.choices.below(5) {
            list += &self.entry();
        }
        list += "</list></resource-lists>";
        let mut list = list.into_bytes();
        if self.choices.once_in(12) {
            let at = self.choices.below(list.len().min(256));
            let free = self.free();
            list.splice(at..at, free);
            self.is_known = false;
        }
        list
    }

    fn entry(&mut self) -> String {
        self.entries += 1;
        let number = self.entries;
        let copy = self.choices.of(&[
            " cp:copyControl=\"to\"",
            " cp:copyControl=\"cc\"",
            " cp:copyControl=\"bcc\"",
            "",
            " cp:copyControl=\"to\" cp:anonymize=\"true\"",
            " cp:copyControl=\"cc\" cp:anonymize=\"1\"",
            " copyControl=\"to\"",
            " cp:copyControl=\"new\"",
        ]);
        let is_visible = copy.contains(" cp:copyControl=\"to\"") || copy.contains("\"cc\"");
        let is_bcc = !is_visible;
        let user = format!("zqh{number}x");
        let shape = self.choices.below(16);
        let mut owner = user.clone();
        let mut spelling = String::new();
        let uri = match shape {
            0..6 => format!("sip:{user}@home1.net"),
            6 => format!("sip:{user}@home2.net;x=1"),
            7 => {
                owner = format!("+1555900{number}00{number}");
                format!("tel:{owner}")
            }
            8 => {
                owner = format!("+1555900{number}00{number}");
                spelling = format!("+1-555-900-{number}00{number}");
                format!("tel:{spelling}")
            }
            9 => format!("sip:{}@home1.net", user.replace('q', "%71")),
            10 => {
                let value = format!("zqu{number}x");
                self.known.own_values.push(Hidden {
                    text: value.clone(),
                    owner: user.clone(),
                    is_bcc,
                });
                format!("sip:{user}@home1.net?Subject={value}&amp;Priority=urgent")
            }
            11 => {
                let free = self.free();
                self.is_known &= free.iter().all(u8::is_ascii_alphanumeric);
                let free = String::from_utf8_lossy(&free).into_owned();
                format!("sip:{user}@home1.net;x={free}")
            }
            12 => return format!("<entry uri=\"sip:hikers@im.home1.net\"{copy}/>\r\n"),
            13 => return format!("<entry uri=\"mailto:{user}@home1.net\"{copy}/>\r\n"),
            14 => return format!("<entry uri=\"sip:{user}@127.0.0.1\"{copy}/>\r\n"),
            _ => {
                let known = [
                    "sip:bob@home1.net",
                    "sip:%62ob@HOME1.net",
                    "sip:zqorig@home1.net",
                    "tel:+15551230003",
                ];
                return format!("<entry uri=\"{}\"{copy}/>\r\n", self.choices.of(&known));
            }
        };
        if is_bcc || copy.contains("anonymize") {
            let texts = [owner.clone(), spelling];
            for text in texts.into_iter().filter(|text| !text.is_empty()) {
                self.known.hidden.push(Hidden {
                    text,
                    owner: owner.clone(),
                    is_bcc,
                });
            }
        }
        let entry =
            format!("<entry uri=\"{uri}\"{copy}><display-name>zqnever</display-name></entry>\r\n");
        match self.choices.below(8) {
            6 => format!("<list>{entry}</list>"),
            7 => format!("{entry}{entry}"),
            _ => entry,
        }
    }
}

const MULTIPART: [&str; 5] = [
    "multipart/alternative;boundary=b1",
    "multipart/related;boundary=b1",
    "multipart/mixed;boundary=b1",
    "multipart/signed;boundary=b1",
    "multipart/parallel;boundary=b1",
];

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|part| part == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

pub fn base64(text: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.chunks(3) {
        let bits = three
            .iter()
            .fold(0u32, |bits, &byte| bits << 8 | u32::from(byte));
        let bits = bits << (8 * (3 - three.len()));
        for place in 0..4 {
            let known = place <= three.len();
            let character = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if known { char::from(character) } else { '=' });
        }
    }
    out
}

fn quoted_printable(text: &[u8]) -> String {
    let mut out = String::new();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        for piece in line.chunks(20) {
            piece.iter().for_each(|byte| out += &format!("={byte:02X}"));
            out += "=\r\n";
        }
        out += "=0D=0A=\r\n";
    }
    out
}
