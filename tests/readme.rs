//! The tables of the README are those of the code. `CIMF_BLESS=1` writes them anew.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use cimf::config::{markdown_table, queue_parameters};
use cimf::control::Reason;
use cimf::control::refusal::phrase;
use cimf::host::overview::{Figure, figures};
use std::path::Path;

fn refusals() -> String {
    let mut table = "| answer | Warning | meaning |\n|---|---|---|\n".to_owned();
    for reason in Reason::ALL {
        let (code, warning) = (reason.code(), reason.warning());
        let (phrase, meaning) = (phrase(code), reason.meaning());
        table += &format!("| {code} {phrase} | {warning} | {meaning} |\n");
    }
    table
}

fn counters() -> String {
    let mut table = "| counter | counts |\n|---|---|\n".to_owned();
    // One for each reason to refuse would repeat the table of refusals.
    let figures = figures().filter(|(figure, ..)| !matches!(figure, Figure::Refused(_)));
    for (_, name, what) in figures {
        table += &format!("| `cimf.{name}` | {what} |\n");
    }
    table
}

/// `text` with `table` between the marks of `name`.
fn with_table(text: &str, name: &str, table: &str) -> String {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&open).expect("the opening mark");
    let (_, after) = rest.split_once(&close).expect("the closing mark");
    format!("{before}{open}{table}{close}{after}")
}

#[test]
fn the_tables_are_those_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let kept = std::fs::read_to_string(&path).unwrap();
    let made = with_table(&kept, "parameters", &markdown_table());
    let made = with_table(&made, "refusals", &refusals());
    let made = with_table(&made, "counters", &counters());
    let of_queue = format!("{}\n", queue_parameters());
    let made = with_table(&made, "queue-parameters", &of_queue);
    if std::env::var_os("CIMF_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
        return;
    }
    assert!(
        kept == made,
        "README.md differs from the code: run CIMF_BLESS=1 cargo test --test readme"
    );
}
