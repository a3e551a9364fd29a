//! A message made from choices, so that most are accepted and each way through the checks is taken; with what is
//! known of it: who its sender is, and which names no copy may have. All such names begin with `zq`, and have a letter
//! that no random identifier has.

use super::promises::ORIGINATOR;
use super::rig::{From, SETTINGS};
use super::traces::Traces;
use super::vocabulary::{ASSERTED, FROM, OPTIONAL, PRIVACY, TELLING};

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
pub struct Choices<'d>(&'d [u8]);

impl<'d> Choices<'d> {
    pub fn below(&mut self, count: usize) -> usize {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                usize::from(first) % count
            }
            None => 0,
        }
    }

    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// The first, mostly.
    pub fn mostly<T: Copy>(&mut self, choices: &[T]) -> T {
        if self.once_in(6) {
            self.of(choices)
        } else {
            choices[0]
        }
    }

    /// Often no; never when the bytes have ended.
    pub fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    pub fn bytes(&mut self, most: usize) -> &'d [u8] {
        let length = self.below(most + 1).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}

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
    message.line("Via: SIP/2.0/TCP zqhost.example.net:5060;branch=z9hG4bK@@@@@@@@".to_owned());
    message.line("Call-ID: @@@@@@@@@zqhost.example.net".to_owned());
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
    let is_untagged = SETTINGS[setting].serves_phones && message.choices.once_in(2);
    if !is_untagged {
        message.line(format!("Accept-Contact: {tag}"));
    }
    message.line("Require: recipient-list-message".to_owned());
    message.known.never = vec!["zqnobody", "zqpassword", "zqforged"];
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

/// A message that is being written.
pub struct Message<'d> {
    pub setting: usize,
    pub choices: Choices<'d>,
    pub known: Known,
    pub is_known: bool,
    pub head: Vec<u8>,
    /// All bytes that came as they are.
    pub free: Vec<u8>,
    pub entries: usize,
}

impl Message<'_> {
    pub fn line(&mut self, line: String) {
        self.head.extend_from_slice(line.as_bytes());
        self.head.extend_from_slice(b"\r\n");
    }

    /// Whether a name that is looked for stands among the free bytes, which a fuzzer guesses soon.
    fn names_somebody(&self) -> bool {
        let known = &self.known;
        let hidden = known.hidden.iter().chain(&known.own_values);
        let names = known.never.iter().chain(&ORIGINATOR).copied();
        let mut names = names.chain(hidden.map(|hidden| hidden.text.as_str()));
        let free = Traces::of(&self.free);
        names.any(|name| free.count(name) > 0)
    }

    /// Bytes as they come. A line end among them would make header fields of which nothing is known.
    pub fn free(&mut self) -> Vec<u8> {
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
}
