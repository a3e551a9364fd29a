//! The recipient-list-history part of a copy, which lists the visible recipients: RFC 5364 §4, RFC 5365
//! §7.3.
//!
//! Built from parsed URIs, without their headers, `method` and display names (K-6): nothing of a
//! sender's document is passed through verbatim. The entry that names a `bcc` recipient to themselves
//! is not part of the list that all copies share: it is inserted before [`END`] in their own copy.

use super::Uri;
use super::number::write_decimal;
use super::resource_list::CopyControl;
use super::uri::Form;

/// The header fields of the part (K-6), each with its line end.
pub const PART_HEADERS: &[u8] = b"Content-Type: application/resource-lists+xml\r\n\
    Content-Disposition: recipient-list-history; handling=optional\r\n";

/// The end of the document; a recipient's own entry is inserted before it (K-5).
pub const END: &[u8] = b"</list></resource-lists>";

/// The URI in place of recipients who are to be anonymised.
const ANONYMOUS: &[u8] = b"sip:anonymous@anonymous.invalid";

/// The visible recipients of one copy control value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visible<'a> {
    /// Recipients listed with their URI, in their order.
    pub named: &'a [Uri<'a>],
    /// How many more are listed as anonymous.
    pub anonymous: usize,
}

impl Visible<'_> {
    fn is_empty(&self) -> bool {
        self.named.is_empty() && self.anonymous == 0
    }

    fn write(&self, copy: CopyControl, out: &mut Vec<u8>) {
        for uri in self.named {
            write_uri(uri, copy, out);
            out.extend_from_slice(b"/>\r\n");
        }
        if self.anonymous > 0 {
            write_entry(ANONYMOUS, copy, out);
            out.extend_from_slice(b" cp:count=\"");
            write_decimal(self.anonymous, out);
            out.extend_from_slice(b"\"/>\r\n");
        }
    }
}

/// The contents of a history list.
#[derive(Clone, Copy, Debug, Default)]
pub struct History<'a> {
    /// Recipients addressed with `to`.
    pub to: Visible<'a>,
    /// Recipients addressed with `cc`.
    pub cc: Visible<'a>,
}

impl History<'_> {
    /// Whether no recipient is visible; the copy has no history part then (K-4).
    pub fn is_empty(&self) -> bool {
        self.to.is_empty() && self.cc.is_empty()
    }

    /// The whole body part with its header fields.
    pub fn part(&self) -> Vec<u8> {
        let entries = self.to.named.len() + self.cc.named.len() + 3;
        let mut out = Vec::with_capacity(512 + 64 * entries);
        out.extend_from_slice(PART_HEADERS);
        out.extend_from_slice(b"\r\n");
        self.write_document(&mut out);
        out
    }

    /// Appends the document, the content of the part.
    pub fn write_document(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
            <resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\" \
            xmlns:cp=\"urn:ietf:params:xml:ns:copycontrol\"><list>\r\n",
        );
        self.to.write(CopyControl::To, out);
        self.cc.write(CopyControl::Cc, out);
        out.extend_from_slice(END);
    }
}

/// Appends the entry that names a `bcc` recipient to themselves (K-5); `uri` is their address as
/// listed.
pub fn write_own_entry(uri: &[u8], out: &mut Vec<u8>) {
    write_entry(uri, CopyControl::Bcc, out);
    out.extend_from_slice(b"/>\r\n");
}

fn write_uri(uri: &Uri<'_>, copy: CopyControl, out: &mut Vec<u8>) {
    let mut text = Vec::with_capacity(64);
    uri.write(Form::RequestUri, &mut text);
    write_entry(&text, copy, out);
}

/// Appends an entry, left open for further attributes.
fn write_entry(uri: &[u8], copy: CopyControl, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<entry uri=\"");
    for &byte in uri {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            byte => out.push(byte),
        }
    }
    out.extend_from_slice(b"\" cp:copyControl=\"");
    out.extend_from_slice(copy.as_str().as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::multipart::write_parts;
    use crate::sip::resource_list::ResourceList;
    use proptest::prelude::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_body_of_flow_two_is_written_byte_for_byte() {
        // K-4, K-6; T 2, 57.
        let fork = include_bytes!("../../tests/flows/2-F3-fork-bob.sip");
        let fork = crate::sip::Request::read(fork).unwrap();
        let history = History {
            to: Visible {
                named: &[uri("sip:bob@home1.net")],
                anonymous: 0,
            },
            cc: Visible {
                named: &[],
                anonymous: 1,
            },
        };
        let text = b"Content-Type: text/plain;charset=UTF-8\r\n\r\nDraft is ready.";
        let mut body = Vec::new();
        write_parts(&[text, &history.part()], b"b2", &mut body).unwrap();
        assert_eq!(body, fork.body);
    }

    #[test]
    fn nobody_visible_means_no_history() {
        // K-4; T 56.
        assert!(History::default().is_empty());
        let cc = Visible {
            named: &[],
            anonymous: 1,
        };
        let to = Visible::default();
        assert!(!History { to, cc }.is_empty());
    }

    #[test]
    fn addresses_are_escaped_and_lose_headers_and_method() {
        // K-6.
        let named = [
            uri("sip:a&b'c@h;method=INVITE;x=y?subject=z"),
            uri("tel:+1-2"),
        ];
        let to = Visible {
            named: &named,
            anonymous: 0,
        };
        let mut out = Vec::new();
        let history = History {
            to,
            ..History::default()
        };
        history.write_document(&mut out);
        write_own_entry(b"sip:dee@h", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("<entry uri=\"sip:a&amp;b'c@h;x=y\" cp:copyControl=\"to\"/>\r\n"));
        assert!(text.contains("<entry uri=\"tel:+1-2\" cp:copyControl=\"to\"/>\r\n"));
        assert!(text.contains("<entry uri=\"sip:dee@h\" cp:copyControl=\"bcc\"/>\r\n"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            to in proptest::collection::vec("sip:[a-z&'+=,;?/%21]{1,8}@h(;[a-z]=[&:]{1,3})?", 0..5),
            cc in proptest::collection::vec("(tel:\\+[0-9]{3}|urn:[a-z&:']{1,9}|sips:h)", 0..5),
            anonymous in 0_usize..3,
        ) {
            let readable = |texts: &[String]| -> Vec<String> {
                let good = texts.iter().filter(|text| Uri::parse(text.as_bytes()).is_ok());
                good.cloned().collect()
            };
            let (to, cc) = (readable(&to), readable(&cc));
            let uris = |texts: &'_ [String]| texts.iter().map(|text| uri(text).print(Form::Whole)).collect::<Vec<_>>();
            let (to_text, cc_text) = (uris(&to), uris(&cc));
            let to: Vec<Uri<'_>> = to_text.iter().map(|text| uri(text)).collect();
            let cc: Vec<Uri<'_>> = cc_text.iter().map(|text| uri(text)).collect();
            let history = History {
                to: Visible { named: &to, anonymous },
                cc: Visible { named: &cc, anonymous: 0 },
                };
            let mut document = Vec::new();
            history.write_document(&mut document);
            let list = ResourceList::read(&document, 20).unwrap();
            let got: Vec<_> = list.entries.iter().map(|entry| (entry.uri.as_str(), entry.copy)).collect();
            let anonymous = (anonymous > 0).then_some("sip:anonymous@anonymous.invalid");
            let expected_to = to_text.iter().map(String::as_str).chain(anonymous);
            let expected_cc = cc_text.iter().map(String::as_str);
            let expected: Vec<_> = expected_to.map(|uri| (uri, CopyControl::To))
                .chain(expected_cc.map(|uri| (uri, CopyControl::Cc))).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
