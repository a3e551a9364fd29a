//! What one message costs before the proxy sends it: reading flow 1 and deciding, the forks, and
//! the look whether the database has changed. `cargo bench --package cimf-benches --bench decision`.

// A bench that cannot be set up ends by panicking.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/support/built.rs"]
mod built;

use built::cimfctl;
use cimf::config::Settings;
use cimf::control::{
    Accepted, Decision, Directory, Policy, Source, Target, Transport, Unavailable, World, recognise,
};
use cimf::fanout::RecentTable;
use cimf::sip::{SipUri, Uri};
use cimf::store::Store;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::Path;
use std::time::SystemTime;

const FLOW_1: &[u8] = include_bytes!("../tests/flows/1-F1-message-in.sip");
const SIZES: [usize; 3] = [10, 100, 1000];

/// A group that is at hand, as a warm cache has it.
struct Warm(Target);

impl Directory for Warm {
    fn find(&mut self, _: &SipUri<'_>) -> Result<Option<Target>, Unavailable> {
        Ok(Some(self.0.clone()))
    }
}

/// The policy of an administrator's settings.
fn policy() -> Policy {
    let mut settings = Settings::new();
    for (name, value) in [
        ("domains", "im.home1.net,home1.net"),
        ("server_name", "imas.home1.net"),
        ("ioi", "home1.net"),
        ("trusted_peers", "tcp:127.0.0.0/8"),
        ("core_route", "sip:icscf.home1.net;transport=tcp"),
        ("trusted_next_hop", "1"),
    ] {
        settings.set(name, value).unwrap();
    }
    cimf::server::policy(&settings).unwrap()
}

/// A store with one group of `members`, ann among them.
fn store(folder: &Path, members: usize, policy: &Policy) -> Store {
    let database = folder.join(format!("{members}.db"));
    let members: Vec<String> = (1..members)
        .map(|number| format!("sip:member-{number}@home1.net"))
        .collect();
    let mut add = vec![
        "group",
        "add",
        "sip:hikers@im.home1.net",
        "sip:ann@home1.net",
    ];
    add.extend(members.iter().map(String::as_str));
    cimfctl(&database, &["init"]);
    cimfctl(&database, &add);
    Store::new(&database, policy.addressing.clone(), 100_000, 200_000)
}

struct Desk {
    policy: Policy,
    source: Source<'static>,
    recent: RecentTable,
}

impl Desk {
    fn decide(&self, groups: &mut impl Directory) -> Accepted<'_> {
        let message = recognise(&self.policy, black_box(FLOW_1)).unwrap();
        let mut world = World {
            groups,
            recent: &self.recent,
            now: SystemTime::now(),
            has_transaction: true,
        };
        match message.decide(&self.policy, &self.source, &mut world) {
            Decision::Accepted(accepted) => accepted,
            other => panic!("{other:?}"),
        }
    }
}

fn decision(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk {
        policy: policy(),
        source: Source {
            address: [127, 0, 0, 1].into(),
            transport: Transport::Tcp,
            identity: None,
        },
        recent: RecentTable::new(65536, [7; 16]).unwrap(),
    };
    let Ok(Uri::Sip(address)) = Uri::parse(b"sip:hikers@im.home1.net") else {
        unreachable!();
    };
    for members in SIZES {
        let mut store = store(folder.path(), members, &desk.policy);
        let mut warm = Warm(store.find(&address).unwrap().unwrap());

        let mut group = criterion.benchmark_group("decision");
        group.bench_function(BenchmarkId::new("read and decide", members), |bencher| {
            bencher.iter(|| desk.decide(&mut warm));
        });
        group.bench_function(BenchmarkId::new("unchanged database", members), |bencher| {
            bencher.iter(|| store.find(black_box(&address)).unwrap());
        });
        let accepted = desk.decide(&mut warm);
        group.throughput(Throughput::Elements(accepted.count() as u64));
        group.bench_function(BenchmarkId::new("forks", members), |bencher| {
            let mut text = Vec::with_capacity(1024);
            bencher.iter(|| {
                let copies = accepted.copies([7; 16]);
                for (number, own) in (0..).zip(accepted.owns()) {
                    text.clear();
                    copies.copy(number, own).write_headers(&mut text);
                    text.extend_from_slice(&accepted.body);
                    black_box(&text);
                }
            });
        });
        group.finish();
    }
}

criterion_group!(benches, decision);
criterion_main!(benches);
