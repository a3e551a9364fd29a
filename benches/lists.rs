//! What the list of a message costs: finding the parts, reading the entries, writing body and
//! history. `cargo bench --package cimf-benches --bench lists`.

#![allow(missing_docs, clippy::unwrap_used)]

use cimf::sip::history_list::{History, Visible};
use cimf::sip::multipart::{parts, write_parts};
use cimf::sip::resource_list::{COPY_CONTROL, NAMESPACE, ResourceList};
use cimf::sip::{Request, Uri};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const FLOW_2: &[u8] = include_bytes!("../tests/flows/2-F1-message-in.sip");

fn lists(criterion: &mut Criterion) {
    let body = Request::read(FLOW_2).unwrap().body;
    let found = parts(body, b"b1", 1).unwrap();
    criterion.bench_function("parts of flow 2", |bench| {
        bench.iter(|| parts(black_box(body), b"b1", 1));
    });
    criterion.bench_function("list of flow 2", |bench| {
        bench.iter(|| ResourceList::read(black_box(found[1].content), 1000));
    });

    let uris: Vec<String> = (0..1000).map(|it| format!("sip:u{it}@home1.net")).collect();
    let entries = uris
        .iter()
        .map(|uri| format!("<entry uri='{uri}' cp:copyControl='to'/>\n"));
    let document = format!(
        "<resource-lists xmlns='{NAMESPACE}' xmlns:cp='{COPY_CONTROL}'><list>{}</list></resource-lists>",
        entries.collect::<String>()
    );
    assert_eq!(
        ResourceList::read(document.as_bytes(), 1000)
            .unwrap()
            .entries
            .len(),
        1000
    );
    criterion.bench_function("list of 1,000 entries", |bench| {
        bench.iter(|| ResourceList::read(black_box(document.as_bytes()), 1000));
    });

    let named: Vec<Uri<'_>> = uris[..100]
        .iter()
        .map(|uri| Uri::parse(uri.as_bytes()).unwrap())
        .collect();
    let to = Visible {
        named: &named,
        anonymous: 1,
    };
    criterion.bench_function("history of 100 and body", |bench| {
        bench.iter(|| {
            let history = History {
                to,
                ..History::default()
            }
            .part();
            let mut out = Vec::new();
            write_parts(
                &[found[0].bytes, &history],
                b"a-boundary-of-32-characters-12345",
                &mut out,
            )
            .unwrap();
            out
        });
    });
}

criterion_group!(benches, lists);
criterion_main!(benches);
