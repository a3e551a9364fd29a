//! Bodies: with and without lists, whole and broken.

use super::compose::{Hidden, Message};
use super::encodings::{base64, quoted_printable};
use super::rig::SETTINGS;
use super::vocabulary::MULTIPART;

impl Message<'_> {
    /// A body; what tells of it goes to the head.
    pub fn body(&mut self) -> Vec<u8> {
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
                let id = b"--b1\r\nContent-ID: <zqhost@zqhost.example.net>\r\n\r\nhi\r\n--b1--\r\n";
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
        let user = format!("zqhid{number}x");
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
            format!("<entry uri=\"{uri}\"{copy}><display-name>zqnobody</display-name></entry>\r\n");
        match self.choices.below(8) {
            6 => format!("<list>{entry}</list>"),
            7 => format!("{entry}{entry}"),
            _ => entry,
        }
    }
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}
