//! What each fuzz target does with its bytes. Shared with tests/corpus.rs, which replays the corpora.
//!
//! A target fails by panicking: in the code, or in what is asserted of its results here.

use cimf::sip::accept_contact::{FeatureTag, wish};
use cimf::sip::history_list::{History, Visible};
use cimf::sip::identity::AssertedIdentity;
use cimf::sip::media_type::{Disposition, MediaType};
use cimf::sip::multipart::{parts, write_parts};
use cimf::sip::resource_list::ResourceList;
use cimf::sip::transfer::decoded;
use cimf::sip::uri::Form;
use cimf::sip::{HeaderName, NameAddr, Request, Uri};
use cimf::store::document::{Document, Format, Written, flatten};

/// A whole request: its view, its addresses, its numbers, and its body if that is multipart.
pub fn message(data: &[u8]) {
    let Ok(request) = Request::read(data) else {
        return;
    };
    let _ = Uri::parse(request.uri);
    for header in request.headers() {
        let mut out = Vec::new();
        if cimf::sip::text::unfold("header", header.value, &mut out).is_ok() {
            assert!(!out.contains(&b'\r') && !out.contains(&b'\n') && !out.contains(&0));
        }
        match header.name {
            HeaderName::From | HeaderName::To => {
                let address = NameAddr::parse(header.name.as_str(), header.value);
                let _ = address.map(|address| address.tag().map(|_| ()));
            }
            HeaderName::CSeq => drop(cimf::sip::number::cseq(header.value)),
            HeaderName::ContentDisposition => drop(Disposition::parse(header.value)),
            _ => {}
        }
    }
    let _ = AssertedIdentity::parse(
        "P-Asserted-Identity",
        request.rows(HeaderName::PAssertedIdentity),
    );
    let media_type = request.value(HeaderName::ContentType).map(MediaType::parse);
    if let Some(Ok(media_type)) = media_type
        && let Ok(boundary) = media_type.boundary()
    {
        body(request.body, &boundary, 1);
    }
}

/// A URI and a second one behind a line feed: printing is stable, equality reflexive and symmetric.
pub fn uri(data: &[u8]) {
    let mut texts = data.splitn(2, |&byte| byte == b'\n');
    let first = texts.next().and_then(|text| Uri::parse(text).ok());
    let Some(first) = first else {
        return;
    };
    assert!(first.same(&first));
    for form in [Form::Whole, Form::RequestUri, Form::Provisioned] {
        let printed = first.print(form);
        assert!(
            printed.bytes().all(|byte| byte.is_ascii_graphic()),
            "{printed:?}"
        );
        match Uri::parse(printed.as_bytes()) {
            Ok(again) => assert_eq!(again.print(form), printed),
            Err(error) => panic!("{printed}: {error}"),
        }
    }
    if let Some(Ok(second)) = texts.next().map(Uri::parse) {
        assert_eq!(first.same(&second), second.same(&first));
    }
}

/// Accept-Contact, a row in each line.
pub fn accept_contact(data: &[u8]) {
    let rows = data.split(|&byte| byte == b'\n');
    if let Some(tag) = FeatureTag::parse("+g.oma.sip-im") {
        let _ = wish(rows, &tag);
    }
}

/// A group document: what is read of it is written so that the same is read again.
pub fn group_document(data: &[u8]) {
    let Ok(document) = Document::read(data) else {
        return;
    };
    for note in document.notes.iter() {
        assert!(!note.contains(char::is_control), "{note:?}");
    }
    for group in document.groups {
        let entries = |list| {
            let flat = flatten(list, None, usize::MAX - 1);
            let entries = flat.entries.into_iter();
            entries
                .map(|entry| (entry.uri, entry.display_name))
                .collect::<Vec<_>>()
        };
        let written = Written {
            uri: group.uri,
            display_name: group.display_name,
            members: entries(&group.list),
            ruleset: group.ruleset,
            max_participant_count: group.max_participant_count,
            invite_members: group.invite_members,
        };
        let format = Format::Groups;
        let text = format.head() + &format.group(&written) + format.tail();
        let again = match Document::read(text.as_bytes()) {
            Ok(again) => again.groups,
            // A list that names no group has no address to be written.
            Err(_) if written.uri.is_empty() => continue,
            Err(error) => panic!("{error}: {text}"),
        };
        let [again] = again.as_slice() else {
            panic!("{text}");
        };
        assert_eq!(again.uri, written.uri, "{text}");
        assert_eq!(again.display_name, written.display_name, "{text}");
        assert_eq!(entries(&again.list), written.members, "{text}");
        assert_eq!(again.ruleset, written.ruleset, "{text}");
        assert_eq!(again.max_participant_count, written.max_participant_count);
        assert_eq!(again.invite_members, written.invite_members);
    }
}

/// A boundary, a line feed and a body.
pub fn multipart(data: &[u8]) {
    let (boundary, rest) = match data.iter().position(|&byte| byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (&b"b"[..], data),
    };
    body(rest, boundary, 1);
}

fn body(text: &[u8], boundary: &[u8], depth: usize) {
    let Ok(found) = parts(text, boundary, depth) else {
        return;
    };
    for part in &found {
        assert_eq!(&text[part.extent.clone()], part.bytes);
        assert!(part.bytes.starts_with(part.head) && part.bytes.ends_with(part.content));
        let _ = part.headers.disposition.map(Disposition::parse);
        if let Ok(decoded) = decoded(part.headers.transfer_encoding, part.content, 4096) {
            assert!(decoded.len() <= 4096);
        }
        let media_type = part.headers.content_type.map(MediaType::parse);
        if let Some(Ok(media_type)) = media_type
            && let Ok(inner) = media_type.boundary()
        {
            body(part.content, &inner, depth + 1);
        }
    }
    // Kept parts come back byte for byte under another boundary.
    let kept: Vec<&[u8]> = found.iter().map(|part| part.bytes).collect();
    let mut written = Vec::new();
    if write_parts(&kept, b"fuzz-boundary", &mut written).is_ok() {
        let again = parts(&written, b"fuzz-boundary", depth);
        let again = again.map(|again| again.iter().map(|part| part.bytes.to_vec()).collect());
        assert_eq!(
            again,
            Ok(kept.iter().map(|part| part.to_vec()).collect::<Vec<_>>())
        );
    }
}

/// A resource list; those of its entries that are addresses come back from a history list.
pub fn resource_list(data: &[u8]) {
    let Ok(list) = ResourceList::read(data, 100) else {
        return;
    };
    assert!(list.entries.len() <= 100);
    assert!(list.entries.iter().all(|entry| !entry.uri.is_empty()));
    let uris = list
        .entries
        .iter()
        .map(|entry| Uri::parse(entry.uri.as_bytes()));
    let named: Vec<Uri<'_>> = uris.flatten().collect();
    let to = Visible {
        named: &named,
        anonymous: 0,
    };
    let mut document = Vec::new();
    let history = History {
        to,
        ..History::default()
    };
    history.write_document(&mut document);
    let again = ResourceList::read(&document, 100).map(|list| {
        let uris = list.entries.into_iter().map(|entry| entry.uri);
        uris.collect::<Vec<_>>()
    });
    let expected = named.iter().map(|uri| uri.print(Form::RequestUri));
    assert_eq!(again, Ok(expected.collect()));
}
