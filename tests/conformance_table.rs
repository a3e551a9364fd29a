//! docs/conformance.md against docs/requirements.md and the code: every requirement stands there once, and every file,
//! function and test that it names exists.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What the third column says where there is nothing to say.
const NOTHING: &str = "–";

/// All requirement ids.
fn ids() -> Vec<String> {
    let text = read("docs/requirements.md").expect("docs/requirements.md");
    let rows = rows(&text);
    let ids = rows.iter().filter_map(|row| row.get("id"));
    ids.map(|&id| id.to_owned()).collect()
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

/// What the page says of one requirement, in both tables of its section.
#[derive(Default)]
struct Entry<'t> {
    /// How often it stands in the table of what cimf does.
    told: usize,
    /// Whether it says where cimf differs from the source.
    differs: bool,
    /// Whether code has to be named: not for sampled cases.
    needs_code: bool,
    code: Vec<&'t str>,
    tests: Vec<&'t str>,
}

/// All requirements that the page names.
fn entries(text: &str) -> BTreeMap<&str, Entry<'_>> {
    let mut entries = BTreeMap::<&str, Entry>::new();
    for row in rows(text) {
        let entry = entries.entry(row["id"]).or_default();
        let places = |name| row.get(name).copied().into_iter().flat_map(quoted);
        entry.code.extend(places("code"));
        entry.tests.extend(places("test"));
        if let Some(differs) = row.get("where it differs") {
            entry.told += 1;
            entry.differs = ![NOTHING, ""].contains(differs);
        }
        entry.needs_code |= row.contains_key("what cimf does");
    }
    entries
}

/// Everything that is wrong with the document, and how many tests it names.
fn faults(text: &str) -> (Vec<String>, usize) {
    let tree = Tree::open();
    let mut faults = Vec::new();
    let mut tests = 0;
    let entries = entries(text);
    for (id, entry) in &entries {
        match entry.told {
            0 => faults.push(format!("{id} has places, but nothing says what cimf does")),
            1 => {}
            _ => faults.push(format!("{id} stands there twice")),
        }
        for (places, is_tests) in [(&entry.code, false), (&entry.tests, true)] {
            let is_needed = is_tests || entry.needs_code;
            if places.is_empty() && is_needed && !entry.differs {
                let what = if is_tests { "tests" } else { "code" };
                faults.push(format!("{id} has no {what} and does not say why"));
            }
            for place in places {
                let fault = tree.fault(place, is_tests);
                faults.extend(fault.map(|fault| format!("{id}: {fault}")));
                tests += usize::from(is_tests);
            }
        }
    }
    let wanted = ids();
    let missing = wanted
        .iter()
        .filter(|id| !entries.contains_key(id.as_str()));
    faults.extend(missing.map(|id| format!("{id} is missing")));
    let unknown = entries
        .keys()
        .filter(|id| !wanted.iter().any(|it| it == *id));
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
    let good = "`tests/conformance_table.rs::whatever_is_wrong_is_noticed`";
    for (id, code, test, expected) in [
        ("A-1", "`src/lib.rs`", good, "A-1 stands there twice"),
        ("Z-9", "`src/lib.rs`", good, "Z-9 is no requirement"),
        ("Z", "`src/nosuch.rs`", good, "src/nosuch.rs is no file"),
        ("Z", "`src/lib.rs::nosuch`", good, "has no fn nosuch"),
        ("Z", "", good, "Z has no code"),
        ("Z", "`src/lib.rs`", "", "Z has no tests"),
        (
            "Z",
            "`src/lib.rs`",
            "`tests/conformance_table.rs::faults`",
            "is no test",
        ),
        (
            "Z",
            "`src/lib.rs`",
            "`tests/conformance/checks.rs::accepted`",
            "is no test",
        ),
        ("Z", "`src/lib.rs`", "`src/lib.rs`", "names no test"),
    ] {
        let what = format!(
            "| id | what cimf does | where it differs |\n|---|---|---|\n| {id} | x | – |\n"
        );
        let places = format!("| id | code | test |\n|---|---|---|\n| {id} | {code} | {test} |\n");
        let worse = faults(&format!("{text}\n{what}\n{places}")).0;
        assert!(
            worse.iter().any(|fault| fault.contains(expected)),
            "{id} {code} {test}: {worse:?}"
        );
    }
    let fewer = text.replace("| M-11 |", "| M-10 |");
    let fewer = faults(&fewer).0;
    assert!(fewer.contains(&"M-11 is missing".to_owned()), "{fewer:?}");
    let untold = format!("{text}\n| id | test |\n|---|---|\n| Z | {good} |\n");
    let untold = faults(&untold).0;
    let expected = "Z has places, but nothing says what cimf does".to_owned();
    assert!(untold.contains(&expected), "{untold:?}");
}
