//! `cimfctl nodes`.

use crate::failure::Failure;
use crate::json_shapes::{self, Form, JsonList};
use crate::streams::standard;
use cimf::config::DbUrl;
use cimf::ledger::cluster;
use std::io::Write;

pub fn run(db: &DbUrl, form: Form) -> Result<(), Failure> {
    let DbUrl::Postgres(url) = db else {
        return Err(Failure::Unusable(format!(
            "{db}: expected --db postgres://…, as only nodes with PostgreSQL share a ledger, found a file"
        )));
    };
    let nodes = cluster::nodes(url)?;
    let mut out = standard();
    if form.json {
        let mut list = JsonList::start(out)?;
        for node in &nodes {
            list.add(&json_shapes::node(node))?;
        }
        return Ok(list.end()?);
    }
    for node in nodes {
        let lease = match node.lease {
            Some(lease) => lease.as_secs().to_string(),
            None if node.has_left => "left".to_owned(),
            None => "ran out".to_owned(),
        };
        let drains = if node.drains { "\tdrains" } else { "" };
        let (name, run, unfinished) = (node.name, node.run, node.unfinished);
        writeln!(out, "{name}\t{run}\t{lease}\t{unfinished}{drains}")?;
    }
    Ok(out.flush()?)
}
