//! What rules, services and nested groups cost: reading a group from the database, asking whether
//! somebody may send, and a message to a group with groups in it. `cargo bench --package cimf-benches --bench rules`.

// A bench that cannot be set up ends by panicking.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/support/built.rs"]
mod built;

use built::cimfctl;
use cimf::config::{Nested, Settings};
use cimf::control::{Addressing, Asker, Directory, Group, NextHopCapabilities, Target};
use cimf::server::Server;
use cimf::sip::Uri;
use cimf::sip::identity::AssertedIdentity;
use cimf::store::Store;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

fn addressing() -> Addressing {
    Addressing {
        next_hop: NextHopCapabilities::Core { tls: false },
        same_number: true,
        tel_domain: None,
        domains: vec!["im.home1.net".to_owned(), "home1.net".to_owned()],
    }
}

/// Rules that ask for `ones` addresses and something of everything.
fn rules(ones: usize) -> String {
    let ones = (0..ones).map(|at| format!("<cp:one id='sip:one-{at}@home2.net'/>"));
    let rule = |id: &str, conditions: &str| {
        format!(
            "<cp:rule id='{id}'><cp:conditions>{conditions}</cp:conditions><cp:actions>\
             <allow-initiate-conference>true</allow-initiate-conference></cp:actions></cp:rule>"
        )
    };
    let identity = format!("<cp:identity>{}</cp:identity>", ones.collect::<String>());
    let validity = "<cp:validity><cp:from>2020-01-01T00:00:00Z</cp:from>\
                    <cp:until>2030-01-01T00:00:00Z</cp:until></cp:validity>";
    let many = "<cp:identity><cp:many domain='home1.net'>\
                <cp:except id='sip:eve@home1.net'/></cp:many></cp:identity>";
    rule("a", &identity) + &rule("b", validity) + &rule("c", many)
}

/// Groups of 20: without rules, with three rules, with three rules of 1,000 addresses; and one
/// with two others in it.
fn provision(folder: &Path) -> std::path::PathBuf {
    let database = folder.join("cimf.db");
    cimfctl(&database, &["init"]);
    let group = |user: &str, rules: &str, nested: &[&str]| {
        let people = (1..20).map(|at| format!("<entry uri='sip:{user}-{at}@home1.net'/>"));
        let nested = nested.iter();
        let nested = nested.map(|user| format!("<entry uri='sip:{user}@im.home1.net'/>"));
        let entries: String = people.chain(nested).collect();
        let document = format!(
            "<group xmlns='urn:oma:xml:poc:list-service' \
             xmlns:cp='urn:ietf:params:xml:ns:common-policy'>\
             <list-service uri='sip:{user}@im.home1.net'><list><entry uri='sip:ann@home1.net'/>\
             {entries}</list>{rules}</list-service></group>"
        );
        let file = folder.join("group.xml");
        std::fs::write(&file, document).unwrap();
        cimfctl(&database, &["import", &file.display().to_string()]);
    };
    let ruleset = |ones| format!("<cp:ruleset>{}</cp:ruleset>", rules(ones));
    group("plain", "", &[]);
    group("ruled", &ruleset(1), &[]);
    group("listed", &ruleset(1000), &[]);
    group("outer", "", &["plain", "ruled"]);
    database
}

fn group(store: &mut Store, user: &str) -> Arc<Group> {
    let uri = format!("sip:{user}@im.home1.net");
    match Uri::parse(uri.as_bytes()).unwrap() {
        Uri::Sip(sip) => match store.find(&sip).unwrap() {
            Some(Target::Group(group)) => group,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn costs(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let database = provision(folder.path());
    let ruled = ["plain", "ruled", "listed"];

    // A cache of one keeps nothing: each look-up reads the group.
    let mut cold = Store::new(&database, addressing(), 100_000, 1);
    for user in ruled {
        let name = format!("read from the database/{user}");
        criterion.bench_function(&name, |bencher| {
            bencher.iter(|| group(&mut cold, black_box(user)))
        });
    }

    let mut settings = Settings::new();
    for (name, value) in [
        ("domains", "im.home1.net,home1.net"),
        ("core_route", "sip:icscf.home1.net"),
        ("db_url", &format!("sqlite://{}", database.display())),
    ] {
        settings.set(name, value).unwrap();
    }
    let server = Server::open(&settings).unwrap();
    let row = b"\"Ann\" <sip:ann@home1.net>, <tel:+15551230001>";
    let identity =
        AssertedIdentity::parse("P-Asserted-Identity", std::iter::once(&row[..])).unwrap();
    let asker = Asker {
        identity: &identity,
        anonymous: false,
        now: SystemTime::now(),
    };
    let mut warm = Store::new(&database, addressing(), 100_000, 200_000);
    for user in ruled {
        let group = group(&mut warm, user);
        criterion.bench_function(&format!("may they send/{user}"), |bencher| {
            bencher.iter(|| {
                let permissions = group.permissions(black_box(&asker), server.decider().policy());
                assert!(permissions.send);
            })
        });
    }

    let mut expanding =
        Store::new(&database, addressing(), 100_000, 200_000).with_nested(Nested::Expand);
    let parts = |store: &mut Store| ["outer", "plain", "ruled"].map(|user| group(store, user));
    criterion.bench_function("three groups as one/known", |bencher| {
        bencher.iter(|| {
            let parts = parts(&mut expanding);
            expanding.union(&parts, &[], &addressing())
        })
    });
    let parts = parts(&mut expanding);
    criterion.bench_function("three groups as one/anew", |bencher| {
        bencher.iter(|| Group::union(black_box(&parts), &[], &addressing()))
    });
}

criterion_group!(benches, costs);
criterion_main!(benches);
