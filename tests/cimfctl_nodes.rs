//! `cimfctl nodes`: what it says of a node that runs, is lost and is stopped.

// Helpers of tests count as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "support/json_fields.rs"]
mod json_fields;
#[path = "support/mod.rs"]
#[allow(unused_imports)]
mod support;

use cimf::ledger::cluster::{ClusterLedger, ClusterPlace};
use json_fields::check_fields;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use support::built::cimfctl;
use support::child::until;
use support::postgres::Postgres;

/// The lines of the nodes, by their columns.
fn nodes(postgres: &Postgres) -> Vec<Vec<String>> {
    let said = cimfctl(Path::new(&postgres.url()), &["nodes"]);
    let columns = |line: &str| line.split('\t').map(str::to_owned).collect();
    said.lines().map(columns).collect()
}

fn json(postgres: &Postgres) -> Value {
    let said = cimfctl(Path::new(&postgres.url()), &["nodes", "--json"]);
    serde_json::from_str(&said).expect("JSON")
}

fn place(postgres: &Postgres, lease: Duration) -> ClusterPlace {
    ClusterPlace {
        url: postgres.read_url(),
        node: "im1".to_owned(),
        lease,
        kept: None,
    }
}

#[test]
fn a_node_that_runs_is_stopped_and_is_lost() {
    let postgres = Postgres::start();
    postgres.init();
    assert_eq!(nodes(&postgres).len(), 0);

    let lease = Duration::from_secs(300);
    let mut node = ClusterLedger::new(&place(&postgres, lease), None, || {}).unwrap();
    let run = node.begin().unwrap().number.to_string();
    let line = &nodes(&postgres)[0];
    assert_eq!(
        (&line[0], &line[1], &line[3]),
        (&"im1".into(), &run, &"0".into())
    );
    let seconds: u64 = line[2].parse().expect("seconds");
    assert!((1..=300).contains(&seconds), "{line:?}");
    let found = json(&postgres);
    check_fields("nodes", &found);
    assert_eq!(found[0]["left"], false);
    assert!(found[0]["lease_seconds"].is_u64(), "{found}");

    node.leave().unwrap();
    assert_eq!(nodes(&postgres)[0][2], "left");
    let found = json(&postgres);
    assert_eq!(
        (&found[0]["left"], &found[0]["lease_seconds"]),
        (&true.into(), &Value::Null)
    );

    // Its next start, which is lost.
    let lease = Duration::from_millis(300);
    let mut node = ClusterLedger::new(&place(&postgres, lease), None, || {}).unwrap();
    node.begin().unwrap();
    until(|| (nodes(&postgres)[0][2] == "ran out").then_some(())).expect("a lease that ran out");
    assert_eq!(json(&postgres)[0]["left"], false);
}
