//! docs/conformance.md against the code: every requirement stands there once, and every file, function and test
//! that it names exists.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;

/// All requirement ids: what stands before the number, and the numbers.
const IDS: [(&str, &[RangeInclusive<u32>]); 15] = [
    ("A.1 row ", &[1..=14]),
    ("A-", &[1..=15]),
    ("U-", &[1..=13]),
    ("K-", &[1..=7]),
    ("X-", &[1..=5]),
    ("M-", &[1..=11]),
    ("F-", &[1..=6]),
    ("I-", &[1..=7]),
    ("H-", &[1..=5]),
    ("C-", &[1..=3]),
    ("S-", &[1..=10]),
    ("G-", &[1..=5]),
    ("N-", &[1..=9]),
    ("R-", &[1..=2]),
    // The numbers of the sampled cases are names, with gaps.
    (
        "T ",
        &[
            1..=11,
            13..=13,
            17..=18,
            21..=29,
            32..=33,
            35..=36,
            38..=44,
            49..=49,
            51..=54,
            56..=57,
            61..=61,
            63..=64,
            66..=67,
            70..=70,
            72..=73,
            75..=76,
            82..=84,
            86..=91,
            93..=94,
            96..=96,
            100..=102,
            104..=106,
            108..=112,
            120..=127,
        ],
    ),
];

/// What the last column says where there is nothing to say.
const NOTHING: &str = "–";

fn ids() -> Vec<String> {
    let of = |(start, ranges): (&'static str, &'static [RangeInclusive<u32>])| {
        let numbers = ranges.iter().cloned().flatten();
        numbers.map(move |number| format!("{start}{number}"))
    };
    IDS.into_iter().flat_map(of).collect()
}

/// A row of a table: its cells by the names of their columns.
type Row<'t> = BTreeMap<&'t str, &'t str>;

fn cells(line: &str) -> Vec<&str> {
    let inner = line
        .strip_prefix('|')
        .and_then(|line| line.strip_suffix('|'));
    inner.map_or_else(Vec::new, |inner| inner.split('|').map(str::trim).collect())
}

/// All rows of all tables, but for those that say what the columns are.
fn rows(text: &str) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let mut columns = Vec::new();
    for line in text.lines() {
        match cells(line).as_slice() {
            [] => columns.clear(),
            [first, ..] if first.starts_with("---") => {}
            cells if columns.is_empty() => columns = cells.to_vec(),
            cells => rows.push(columns.iter().copied().zip(cells.iter().copied()).collect()),
        }
    }
    rows
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The sources that the table may name.
struct Tree {
    cases: BTreeSet<(String, String)>,
}

impl Tree {
    fn open() -> Self {
        let main = read("tests/conformance/main.rs").expect("the list of cases");
        let list = main.split_once("\ncases! {").expect("the list of cases").1;
        let mut cases = BTreeSet::new();
        let mut file = None;
        for word in list.split([' ', '\n', ',']).filter(|word| !word.is_empty()) {
            match (word.split_once("::{"), file) {
                (Some((name, _)), _) => file = Some(name),
                (None, Some(name)) if word.starts_with(|c: char| c.is_ascii_lowercase()) => {
                    cases.insert((name.to_owned(), word.to_owned()));
                }
                _ => {}
            }
        }
        Self { cases }
    }

    /// What is wrong with a place, `FILE` or `FILE::FUNCTION`.
    fn fault(&self, place: &str, must_be_test: bool) -> Option<String> {
        let (path, function) = match place.split_once("::") {
            Some((path, function)) => (path, Some(function)),
            None => (place, None),
        };
        let Some(source) = read(path) else {
            return Some(format!("{path} is no file"));
        };
        let Some(function) = function else {
            return must_be_test.then(|| format!("{place} names no test"));
        };
        let Some(line) = line_of(&source, function) else {
            return Some(format!("{path} has no fn {function}"));
        };
        let case = path.strip_prefix("tests/conformance/");
        let case = case.and_then(|file| file.strip_suffix(".rs"));
        // The cases of a folder are listed under its name.
        let case = case.map(|file| file.split_once('/').map_or(file, |(folder, _)| folder));
        let is_test = match case {
            Some(file) => self.cases.contains(&(file.to_owned(), function.to_owned())),
            None => false,
        } || has_test_attribute(&source, line);
        (must_be_test && !is_test).then(|| format!("{place} is no test"))
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

fn line_of(source: &str, function: &str) -> Option<usize> {
    source.lines().position(|line| {
        let name = line.split_once("fn ").map_or("", |(_, rest)| rest);
        let rest = name.strip_prefix(function);
        rest.is_some_and(|rest| rest.starts_with(['(', '<']))
    })
}

/// Whether `#[test]` is one of the attributes above a line.
fn has_test_attribute(source: &str, line: usize) -> bool {
    let lines: Vec<&str> = source.lines().take(line).map(str::trim).collect();
    let above = lines.iter().rev();
    let mut attributes = above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    attributes.any(|line| *line == "#[test]")
}

/// Everything that is wrong with the document, and how many tests it names.
fn faults(text: &str) -> (Vec<String>, usize) {
    let tree = Tree::open();
    let mut faults = Vec::new();
    let mut tests = 0;
    let mut seen = BTreeSet::new();
    let rows = rows(text);
    for row in &rows {
        let id = row["id"];
        if !seen.insert(id) {
            faults.push(format!("{id} stands there twice"));
        }
        let cell = |name| row.get(name).copied();
        let deviation = cell("deviation").unwrap_or_default();
        for (column, is_tests) in [("code", false), ("tests", true)] {
            let places: Vec<&str> = cell(column).into_iter().flat_map(quoted).collect();
            if places.is_empty() && cell(column).is_some() && [NOTHING, ""].contains(&deviation) {
                faults.push(format!("{id} has no {column} and does not say why"));
            }
            for place in places {
                let fault = tree.fault(place, is_tests);
                faults.extend(fault.map(|fault| format!("{id}: {fault}")));
                tests += usize::from(is_tests);
            }
        }
    }
    let wanted = ids();
    let missing = wanted.iter().filter(|id| !seen.contains(id.as_str()));
    faults.extend(missing.map(|id| format!("{id} is missing")));
    let unknown = seen.iter().filter(|id| !wanted.iter().any(|it| it == *id));
    faults.extend(unknown.map(|id| format!("{id} is no requirement")));
    let prose = text.lines().filter(|line| !line.starts_with('|'));
    for place in prose
        .flat_map(quoted)
        .filter(|place| place.ends_with(".rs"))
    {
        faults.extend(tree.fault(place, false));
    }
    (faults, tests)
}

#[test]
fn every_requirement_names_code_and_tests_that_exist() {
    let text = read("docs/conformance.md").expect("docs/conformance.md");
    let (faults, tests) = faults(&text);
    assert!(
        faults.is_empty(),
        "docs/conformance.md:\n{}",
        faults.join("\n")
    );
    assert!(tests > ids().len(), "only {tests} tests are named");
}

#[test]
fn whatever_is_wrong_is_noticed() {
    let text = read("docs/conformance.md").expect("docs/conformance.md");
    let head = "| id | what | code | tests | deviation |\n|---|---|---|---|---|\n";
    let good = "`tests/conformance_table.rs::whatever_is_wrong_is_noticed`";
    for (row, expected) in [
        (
            format!("| A-1 | x | `src/lib.rs` | {good} | – |"),
            "A-1 stands there twice",
        ),
        (
            format!("| A-99 | x | `src/lib.rs` | {good} | – |"),
            "A-99 is no requirement",
        ),
        (
            format!("| Z | x | `src/nosuch.rs` | {good} | – |"),
            "src/nosuch.rs is no file",
        ),
        (
            format!("| Z | x | `src/lib.rs::nosuch` | {good} | – |"),
            "has no fn nosuch",
        ),
        (format!("| Z | x | – | {good} | – |"), "Z has no code"),
        (
            "| Z | x | `src/lib.rs` | – | – |".to_owned(),
            "Z has no tests",
        ),
        (
            "| Z | x | `src/lib.rs` | `tests/conformance_table.rs::faults` | – |".to_owned(),
            "is no test",
        ),
        (
            "| Z | x | `src/lib.rs` | `tests/conformance/checks.rs::accepted` | – |".to_owned(),
            "is no test",
        ),
        (
            "| Z | x | `src/lib.rs` | `src/lib.rs` | – |".to_owned(),
            "names no test",
        ),
    ] {
        let worse = faults(&format!("{text}\n{head}{row}\n")).0;
        assert!(
            worse.iter().any(|fault| fault.contains(expected)),
            "{row}: {worse:?}"
        );
    }
    let fewer = text.replace("| M-11 |", "| M-10 |");
    let fewer = faults(&fewer).0;
    assert!(fewer.contains(&"M-11 is missing".to_owned()), "{fewer:?}");
}
