//! Groups in PostgreSQL, against Debian's PostgreSQL and a real proxy: a replica that follows it, and nodes that share it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/both.rs"]
#[allow(dead_code)]
mod both;

#[path = "../support/json_fields.rs"]
mod json_fields;

#[path = "../support/sample.rs"]
mod sample;

#[path = "../conformance/checks.rs"]
#[allow(dead_code)]
mod checks;

mod balancer;
mod commands;
mod far_core;
mod figures;
mod kept;
mod long_form;
mod long_roads;
mod lost_promises;
mod management;
mod measure;
mod million_groups;
mod nodes;
mod pooler;
mod promise_cost;
mod promises;
mod replica;
mod roads;
mod shared_ledger;
mod wire;
