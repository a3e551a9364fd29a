//! What holds of every list, whatever its shape: K-5, X-5, A-9, U-4.

use super::list_tests::{Case, body, forks, list, whole};
use crate::config::BccMode;
use base64::Engine;
use proptest::prelude::*;
use rsip::headers::UntypedHeader;
use rsip::prelude::HeadersExt;

/// One entry of a list, before it is written.
#[derive(Clone, Debug)]
struct Listed {
    user: usize,
    spelling: usize,
    copy: usize,
    anonymize: usize,
}

/// Users from this number on are never anything but bcc.
const SECRET: usize = 4;

fn listed() -> impl Strategy<Value = Listed> {
    (0..8_usize, 0..8_usize, 0..6_usize, 0..5_usize).prop_map(
        |(user, spelling, copy, anonymize)| Listed {
            user,
            spelling,
            copy,
            anonymize,
        },
    )
}

impl Listed {
    fn name(&self) -> String {
        let kind = if self.user < SECRET { "open" } else { "hidden" };
        format!("{kind}{}", self.user)
    }

    /// How the address is written, and how it is sent to, unless nobody can.
    fn addresses(&self) -> (String, Option<String>) {
        let name = self.name();
        let first = name.as_bytes()[0];
        let same = |uri: String| (uri.clone(), Some(uri));
        match self.spelling {
            0 => same(format!("sip:{name}@home1.net")),
            1 => {
                let sent = format!("sip:{name}@HOME1.NET");
                (sent.replace("sip:", "SIP:"), Some(sent))
            }
            2 => same(format!("sip:%{first:02x}{}@home1.net", &name[1..])),
            3 => same(format!("sip:{name}@home1.net;x=1")),
            4 => {
                let sent = format!("sip:{name}@home1.net");
                (format!("{sent};method=INVITE?Subject={name}"), Some(sent))
            }
            5 => (format!("sip:{name}@127.0.0.1"), None),
            6 => (format!("im:{name}@home1.net"), None),
            _ => (format!("sip:{name} x@home1.net"), None),
        }
    }

    fn xml(&self) -> String {
        // The first three mean bcc.
        let copies = ["", "bcc", "other", "to", "cc", "to"];
        let most = if self.user < SECRET { copies.len() } else { 3 };
        let copy = match copies[self.copy % most] {
            "" => String::new(),
            copy => format!(" cp:copyControl=\"{copy}\""),
        };
        let anonymize = match ["", "true", "1", "false", "0"][self.anonymize] {
            "" => String::new(),
            value => format!(" cp:anonymize=\"{value}\""),
        };
        let (uri, _) = self.addresses();
        let name = self.name();
        format!(
            "<entry uri=\"{uri}\"{copy}{anonymize}><display-name>{name}</display-name></entry>\r\n"
        )
    }
}

/// A list part as it may stand in a body.
fn part(entries: &[Listed], shape: usize) -> String {
    let xml: String = entries.iter().map(Listed::xml).collect();
    let plain = list(&xml);
    let (head, document) = plain.split_once("\r\n\r\n").unwrap();
    match shape {
        0 => plain,
        1 => format!(
            "Content-Type: multipart/mixed;boundary=in\r\n\r\n{}",
            body("in", &["\r\na --in text", &plain])
        ),
        2 => format!(
            "Content-Type: multipart/mixed; boundary=\"o p\"\r\n\r\nhidden\r\n{}hidden",
            body("o p", &[&plain])
        ),
        3 => {
            let encoded = base64::engine::general_purpose::STANDARD.encode(document);
            format!("{head}\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}")
        }
        4 => list(&format!("<list><!-- hidden --><list>{xml}</list></list>")),
        _ => plain.replace(
            ": recipient-list",
            ":\r\n\tRECIPIENT-list; handling=\"required\"",
        ),
    }
}

fn case(lists: &[(Vec<Listed>, usize)], payloads: &[String]) -> Case {
    let payloads = payloads
        .iter()
        .map(|text| format!("Content-Type: text/plain\r\n\r\n{text}"));
    let forged = list("<entry uri=\"sip:hidden@home1.net\" cp:copyControl=\"to\"/>")
        .replace("recipient-list", "recipient-list-history");
    let lists = lists.iter().map(|(entries, shape)| part(entries, *shape));
    let parts: Vec<String> = lists.chain(payloads).chain([forged]).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let mut case = Case::new(&parts);
    case.body = [b"hidden\r\n", case.body.as_slice(), b"hidden"].concat();
    case
}

/// Who gets the message, as simply as it can be said: each user once, in the spelling that is first.
fn expected(lists: &[(Vec<Listed>, usize)]) -> Vec<String> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for entry in lists.iter().flat_map(|(entries, _)| entries) {
        let (_, Some(address)) = entry.addresses() else {
            continue;
        };
        if !found.iter().any(|(user, _)| *user == entry.user) {
            found.push((entry.user, address));
        }
    }
    found.into_iter().map(|(_, address)| address).collect()
}

fn shapes() -> impl Strategy<Value = Vec<(Vec<Listed>, usize)>> {
    let part = (proptest::collection::vec(listed(), 1..9), 0..6_usize);
    proptest::collection::vec(part, 1..4)
}

fn payloads() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("(\\PC|\r\n|--b1?x|\t){0,12}", 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_bcc_address_is_in_no_byte_of_any_fork_but_its_own_address_lines(
        lists in shapes(),
        payloads in payloads(),
    ) {
        // K-5, K-4; T 57.
        let case = case(&lists, &payloads);
        prop_assume!(!expected(&lists).is_empty());
        let accepted = case.accepted();
        for fork in forks(&accepted) {
            let own = String::from_utf8(fork.recipient.to_vec()).unwrap();
            let text = whole(&fork);
            let rest = text
                .replacen(&format!("MESSAGE {own} SIP/2.0\r\n"), "", 1)
                .replacen(&format!("\r\nTo: <{own}>\r\n"), "\r\n", 1);
            // The first letter may be escaped.
            prop_assert!(!rest.contains("idden"), "{text}");
        }
    }

    #[test]
    fn the_forks_together_are_all_that_the_lists_name_each_once(
        lists in shapes(),
        payloads in payloads(),
    ) {
        // A-9, C-1, U-2, X-5; T 44.
        let case = case(&lists, &payloads);
        let expected = expected(&lists);
        if expected.is_empty() {
            prop_assert_eq!(case.refused(), super::Reason::NobodyListed);
        } else {
            let accepted = case.accepted();
            let got: Vec<String> = forks(&accepted)
                .iter()
                .map(|fork| String::from_utf8(fork.recipient.to_vec()).unwrap())
                .collect();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn every_fork_is_read_back_by_a_parser_that_is_not_ours(
        lists in shapes(),
        payloads in payloads(),
        own_bcc: bool,
    ) {
        // A-12, U-4, K-5, U-9. Its URIs are read back as far as it can: it takes no escapes apart,
        // and a user with a dot for a host.
        prop_assume!(!expected(&lists).is_empty());
        let case = case(&lists, &payloads).settings(|settings| {
            settings.bcc_mode = match own_bcc {
                true => BccMode::OwnCopy,
                false => BccMode::Remove,
            };
            settings.uri_headers = vec!["Subject".to_owned()];
        });
        let accepted = case.accepted();
        for fork in forks(&accepted) {
            let address = String::from_utf8(fork.recipient.to_vec()).unwrap();
            let mut bytes = format!(
                "MESSAGE {address} SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKx\r\n"
            )
            .into_bytes();
            fork.write_headers(&mut bytes);
            bytes.extend_from_slice(b"\r\n");
            let body = fork.body();
            bytes.extend_from_slice(&body);
            let read = rsip::Request::try_from(bytes).unwrap();
            let call_id = String::from_utf8(fork.call_id.as_bytes().to_vec()).unwrap();
            let from_tag = String::from_utf8(fork.from_tag.as_bytes().to_vec()).unwrap();
            prop_assert_eq!(&read.method, &rsip::Method::Message);
            prop_assert_eq!(read.uri.to_string(), address.clone());
            prop_assert_eq!(
                read.from_header().unwrap().value(),
                format!("<sip:ann@home1.net>;tag={from_tag}")
            );
            prop_assert_eq!(read.to_header().unwrap().value(), format!("<{address}>"));
            prop_assert_eq!(read.call_id_header().unwrap().value(), call_id);
            prop_assert_eq!(read.cseq_header().unwrap().value(), "1 MESSAGE");
            let length = read.headers.iter().find_map(|header| match header {
                rsip::Header::ContentLength(length) => Some(length.value().to_owned()),
                _ => None,
            });
            prop_assert_eq!(length, Some(body.len().to_string()));
            prop_assert_eq!(read.body.as_slice(), &*body);
        }
    }
}
