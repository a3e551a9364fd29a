//! Replays the seed corpora of the fuzz targets, and all that they ever found, through the same functions.

#![allow(clippy::unwrap_used)]

#[path = "../fuzz/bodies.rs"]
mod bodies;
#[path = "../fuzz/whole/mod.rs"]
mod whole;

use std::path::Path;

/// The least number of seeds of a target: a folder that cannot be found must not pass.
const SEEDS: usize = 5;

fn replay(target: &str, body: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut replayed = 0;
    for folder in ["corpus", "findings"] {
        let Ok(inputs) = std::fs::read_dir(fuzz.join(folder).join(target)) else {
            continue;
        };
        for input in inputs {
            let bytes = std::fs::read(input.unwrap().path()).unwrap();
            body(&bytes);
            // Cut anywhere, an input is a new one.
            (0..bytes.len().min(2048)).for_each(|end| body(&bytes[..end]));
            replayed += 1;
        }
    }
    assert!(replayed >= SEEDS, "only {replayed} inputs of {target}");
}

#[test]
fn requests_are_replayed() {
    replay("message", bodies::message);
}

#[test]
fn uris_are_replayed() {
    replay("uri", bodies::uri);
}

#[test]
fn accept_contact_values_are_replayed() {
    replay("accept_contact", bodies::accept_contact);
}

#[test]
fn multipart_bodies_are_replayed() {
    replay("multipart", bodies::multipart);
}

#[test]
fn resource_lists_are_replayed() {
    replay("resource_list", bodies::resource_list);
}

#[test]
fn group_documents_are_replayed() {
    replay("group_document", bodies::group_document);
}

#[test]
fn whole_ways_are_replayed_and_composed_messages_keep_all_promises() {
    replay("whole", whole::whole);
    let replayed = whole::tally();
    let mut state = 7u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    for _ in 0..20_000 {
        let length = usize::from(random()) / 2;
        // A first byte that is no capital letter asks for a message made from the others.
        let choices: Vec<u8> = (0..length).map(|_| random()).collect();
        let first = random() % 7;
        whole::whole(&[&[first], &choices[..]].concat());
    }
    let tally = whole::tally() - replayed;
    // Promises about copies are kept easily where nothing is accepted.
    assert!(tally.accepted * 5 > tally.requests, "{tally:?}");
    assert!(tally.copies > 2 * tally.accepted, "{tally:?}");
    assert!(
        tally.with_hidden > 100 && tally.anonymous > 100,
        "{tally:?}"
    );
}
