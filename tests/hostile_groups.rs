//! Group documents made to cost time or memory: none takes more than 50 ms or 8 MiB.
//!
//! This binary counts what each thread allocates, so nothing else may live in it.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod measured;

use cimf::store::document::{Document, XcapRoot};
use measured::{measured, measured_within};
use std::fs;

const NAMESPACES: &str =
    "xmlns='urn:oma:xml:poc:list-service' xmlns:cp='urn:ietf:params:xml:ns:common-policy'";

fn group(content: &str) -> String {
    format!(
        "<group {NAMESPACES}><list-service uri='sip:g@im.home1.net'>{content}</list-service></group>"
    )
}

/// `count` pieces, numbered where they say `#`.
fn many(count: usize, piece: &str) -> String {
    let pieces = (0..count).map(|number| piece.replace('#', &number.to_string()));
    pieces.collect()
}

fn refused(name: &str, document: &str, expected: &str) {
    let read = measured(name, || Document::read(document.as_bytes()));
    let error = read.unwrap_err().to_string();
    assert!(error.contains(expected), "{name}: {error}");
}

#[test]
fn hostile_group_documents_are_refused_within_bounds() {
    let entities =
        "<!DOCTYPE g [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><g>&b;</g>";
    refused("entities", entities, "no document type declaration");
    let deep = "elements at most 16 deep";
    refused("nested elements", &group(&"<a>".repeat(200_000)), deep);
    let declarations = group(&many(5_000, "<a xmlns:n#='u#'>"));
    refused("nested declarations", &declarations, deep);
    let lists = group(&"<list>".repeat(9));
    refused("nested lists", &lists, "lists at most 8 deep");
    let attributes = format!("<list{}/>", many(50_000, " a#='x'"));
    refused("attributes", &group(&attributes), "at most 32 attributes");
    let declared = format!("<group{}/>", many(50_000, " xmlns:n#='u#'"));
    refused("declarations", &declared, "at most 32 namespaces");
    let text = format!("<list>{}</list>", "x&amp;".repeat(100_000));
    refused("text in a list", &group(&text), "an element");
    for piece in ["<list/>", "<external anchor='a'/>", "<entry-ref ref='a'/>"] {
        let pieces = format!("<list>{}</list>", piece.repeat(150_000));
        refused(piece, &group(&pieces), "at most 1000 lists and references");
    }
}

#[test]
fn strange_group_documents_are_read_within_bounds() {
    for (name, content) in [
        ("unknown elements", "<x/>".repeat(20_000)),
        ("unknown attributes", "<x y='z'/>\n".repeat(10_000)),
        (
            "rules",
            format!("<cp:ruleset>{}</cp:ruleset>", "<cp:rule/>".repeat(20_000)),
        ),
        (
            "a long name",
            format!("<display-name>{}</display-name>", "&amp;".repeat(100_000)),
        ),
        (
            "members",
            format!("<list>{}</list>", "<entry uri='sip:a@h'/>".repeat(10_000)),
        ),
        ("lists", format!("<list>{}</list>", "<list/>".repeat(1_000))),
    ] {
        let document = group(&content);
        measured(name, || Document::read(document.as_bytes())).unwrap();
    }
}

#[test]
fn documents_that_lead_to_each_other_are_soon_given_up() {
    // each leads to all others, in a thousand spellings or by a thousand ways.
    for way in ["", "/~~/resource-lists/list[@name='#']/entry"] {
        let reference = format!("<external anchor=\"http://h#/resource-lists/DOCUMENT{way}\"/>");
        let references: String = (0..1_000)
            .map(|at| {
                let reference = reference.replace("DOCUMENT", &(at % 10).to_string());
                reference.replace('#', &at.to_string())
            })
            .collect();
        let lists = many(1_000, "<list name='#'><entry uri='sip:a@h'/></list>");
        let document = format!(
            "<resource-lists xmlns='urn:ietf:params:xml:ns:resource-lists'><list>{references}\
             <entry uri='sip:a@h'/></list>{lists}</resource-lists>"
        );
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("resource-lists")).unwrap();
        for name in 0..10 {
            let path = folder.path().join(format!("resource-lists/{name}"));
            fs::write(path, &document).unwrap();
        }
        // Ten files are read, each with a thousand lists by name: some forty times harmless bytes.
        let flat = measured_within(200.0, &format!("references by {way:?}"), || {
            let mut root = XcapRoot::open(folder.path()).unwrap();
            root.list_at("resource-lists/0", 100_000)
        });
        assert!(!flat.entries.is_empty() && flat.notes.len() <= 100);
    }
}
