//! The manual against the tree: links lead somewhere, names in backticks exist, requirement ids are explained, and the
//! catalogue of log lines is that of the sources.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use cimf::host::commands::COMMANDS;
use cimf::host::figures::figures;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;
use std::path::{Component, Path, PathBuf};

/// What names a file of the project rather than anybody else's.
const ENDINGS: [&str; 9] = [
    ".rs", ".cfg", ".sh", ".md", ".toml", ".h", ".py", ".lua", ".sql",
];

/// Names of others that the manual speaks of and nothing in the tree uses.
const OF_OTHERS: [&str; 9] = [
    "WITH_JSONRPC",
    "WITH_MULTIDOMAIN",
    "auth_check",
    "event_subscribe",
    "get_or_try_init",
    "once_cell",
    "receive_buf_size",
    "sngrep",
    "t_suspend",
];

/// What the manual may name.
struct Tree {
    /// The text of every page, by its path from the root.
    pages: BTreeMap<PathBuf, String>,
    /// Every file that is no page, with its text if it is one.
    files: BTreeMap<PathBuf, String>,
    /// Every word of those files, and the names of the statistics and commands.
    words: BTreeSet<String>,
    /// The ids of docs/requirements.md.
    ids: BTreeSet<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Tree {
    fn read() -> Self {
        let mut files = BTreeMap::new();
        walk(root(), &mut files);
        let (pages, mut files): (BTreeMap<_, _>, BTreeMap<_, _>) = files
            .into_iter()
            .partition(|(path, _)| path.extension().is_some_and(|it| it == "md"));
        // What this test makes up to be wrong is no name.
        files.insert("tests/manual.rs".into(), String::new());
        let mut words: BTreeSet<String> = files
            .values()
            .flat_map(|text| text.split(|c: char| !is_word(c)))
            .map(str::to_owned)
            .collect();
        words.extend(figures().map(|(_, name, _)| name));
        words.extend(
            COMMANDS
                .iter()
                .map(|command| format!("cimf_{}", command.name)),
        );
        for name in OF_OTHERS {
            assert!(words.insert(name.to_owned()), "{name} is in the tree");
        }
        let requirements = &pages[Path::new("docs/requirements.md")];
        let rows = requirements
            .lines()
            .filter_map(|line| line.strip_prefix("| "));
        let ids = rows.filter_map(|row| row.split(" |").next());
        let ids = ids.map(str::to_owned).collect();
        Self {
            pages,
            files,
            words,
            ids,
        }
    }

    fn sources(&self) -> impl Iterator<Item = (&Path, &str)> {
        let files = self.files.iter();
        let files = files.map(|(path, text)| (path.as_path(), text.as_str()));
        files.filter(|(path, _)| path.starts_with("src") && !path.ends_with("tests.rs"))
    }

    /// Everything that is wrong with a page.
    fn faults(&self, page: &Path, text: &str) -> Vec<String> {
        let prose = prose(text);
        let (plain, spans) = without_spans(&prose);
        let links = links(&plain).filter_map(|link| self.dead(page, link));
        let names = spans.iter().filter_map(|span| self.unknown(span));
        let own = own_names(text).filter(|name| !self.words.contains(*name));
        let own = own.map(|name| format!("{name} is known nowhere"));
        let ids = ids(&prose);
        let ids = ids.filter(|id| !self.ids.contains(*id));
        let ids = ids.map(|id| format!("{id} is no requirement"));
        let faults: BTreeSet<_> = links.chain(names).chain(own).chain(ids).collect();
        faults
            .into_iter()
            .map(|fault| format!("{}: {fault}", page.display()))
            .collect()
    }

    /// What is wrong with a link.
    fn dead(&self, page: &Path, link: &str) -> Option<String> {
        if link.starts_with("https://") {
            return None;
        }
        let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
        let path = match target {
            "" => page.to_owned(),
            _ => joined(page, target),
        };
        if !self.pages.contains_key(&path) && !root().join(&path).exists() {
            return Some(format!("the link {link} leads to no file"));
        }
        let headings = self.pages.get(&path).map(|text| headings(text));
        let is_there = anchor.is_empty() || headings.is_some_and(|them| them.contains(anchor));
        (!is_there).then(|| format!("the link {link} leads to no heading"))
    }

    /// What is wrong with what stands in backticks: with a file, a function in it, or a name.
    fn unknown(&self, span: &str) -> Option<String> {
        if let Some((path, function)) = span.split_once(".rs::") {
            let path = format!("{path}.rs");
            let text = self.files.get(Path::new(&path));
            let Some(text) = text else {
                return Some(format!("{path} is no file"));
            };
            let is_there = [format!("fn {function}("), format!("fn {function}<")];
            let is_there = is_there.iter().any(|start| text.contains(start));
            return (!is_there).then(|| format!("{path} has no fn {function}"));
        }
        // A whole path is a file of the system's.
        let is_path =
            !span.starts_with('/') && span.chars().all(|c| is_word(c) || ".-/".contains(c));
        let first = span.split('/').next().unwrap_or_default();
        let is_ours = span.contains('/')
            && !first.is_empty()
            && first != "target"
            && root().join(first).exists();
        if is_path && (is_ours || ENDINGS.iter().any(|ending| span.ends_with(ending))) {
            let named = Path::new(span);
            let mut all = self.files.keys().chain(self.pages.keys());
            // A file may be named without its folder.
            let is_there = all.any(|path| path.ends_with(named) || path.starts_with(named));
            return (!is_there).then(|| format!("{span} is no file"));
        }
        let name = span.split(['=', '(']).next().unwrap_or_default();
        let name = name.strip_prefix("cimf.").unwrap_or(name);
        let name = name.strip_prefix("cimf:").unwrap_or(name);
        let is_name = name.len() > 2
            && name.chars().all(is_word)
            && name.contains(|c: char| c.is_ascii_alphabetic());
        (is_name && !self.words.contains(name)).then(|| format!("{name} is known nowhere"))
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// All text files of the project below a folder, but for what is built, downloaded or recorded.
fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_other = ["target", "node_modules", ".git", "Cargo.lock"].contains(&name.as_str());
        if is_other || path.ends_with("fuzz/corpus") {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else {
            let text = read_to_string(&path).unwrap_or_default();
            found.insert(path.strip_prefix(root()).unwrap().to_owned(), text);
        }
    }
}

/// A page without its code blocks.
fn prose(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("    "));
    lines.collect::<Vec<_>>().join("\n")
}

/// A text without what stands in backticks, and that.
fn without_spans(text: &str) -> (String, Vec<&str>) {
    let (mut plain, mut spans) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(start) = rest.find('`') {
        plain += &rest[..start];
        rest = &rest[start..];
        let ticks = rest.len() - rest.trim_start_matches('`').len();
        let (mark, after) = rest.split_at(ticks);
        let Some(end) = after.find(mark) else {
            panic!("backticks without an end: {:.60}", rest);
        };
        spans.push(after[..end].trim());
        rest = &after[end + ticks..];
    }
    (plain + rest, spans)
}

fn links(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.split("](").skip(1);
    ends.filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link)
}

/// The names of cimf's own commands, counters, events and functions, in code blocks too.
fn own_names(text: &str) -> impl Iterator<Item = &str> {
    let starts = text
        .match_indices("cimf")
        .chain(text.match_indices("E_CIMF_"));
    starts.filter_map(|(at, start)| {
        // Not the place in a link, which has its own check.
        let (before, rest) = text.split_at(at);
        let (_, after) = rest.split_at(start.len());
        let end = |text: &str| text.find(|c| !is_word(c)).unwrap_or(text.len());
        let name = match after.strip_prefix(['.', ':']) {
            Some(part) => &part[..end(part)],
            None if start.ends_with('_') || after.starts_with('_') => &rest[..end(rest)],
            None => "",
        };
        (name.len() > 2 && !before.ends_with('#')).then_some(name)
    })
}

/// Where a link of a page leads, from the root.
fn joined(page: &Path, target: &str) -> PathBuf {
    let mut path = page.parent().unwrap().to_owned();
    for component in Path::new(target).components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            other => path.push(other),
        }
    }
    path
}

/// The names that a page's headings have in links.
fn headings(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let titles = prose.lines().filter(|line| line.starts_with('#'));
    let titles = titles.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    titles
        .map(|title| title.chars().filter(kept).collect::<String>())
        .map(|title| title.replace(' ', "-"))
        .collect()
}

/// What looks like the id of a requirement, such as A-7 or A.1 row 3.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let digits = |from: usize| {
        let rest = text[from..].bytes();
        from + rest.take_while(u8::is_ascii_digit).count()
    };
    let starts = text.match_indices([
        'A', 'U', 'K', 'X', 'M', 'F', 'I', 'H', 'C', 'S', 'G', 'N', 'R',
    ]);
    starts.filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| is_word(c) || "-.+/%".contains(c)) {
            return None;
        }
        let rest = &text[at..];
        let from = match (rest.starts_with("A.1 row "), rest.as_bytes().get(1)) {
            (true, _) => at + "A.1 row ".len(),
            (_, Some(b'-')) => at + 2,
            _ => return None,
        };
        let to = digits(from);
        let after = text[to..].chars().next();
        let is_id = to > from && to - from <= 2 && !after.is_some_and(|c| is_word(c) || c == '-');
        is_id.then(|| &text[at..to])
    })
}

#[test]
fn links_lead_somewhere_and_names_exist() {
    let tree = Tree::read();
    // The changelog speaks of names that are no more.
    let pages = tree.pages.iter();
    let pages = pages.filter(|(page, _)| !page.ends_with("CHANGELOG.md"));
    let faults: Vec<_> = pages
        .flat_map(|(page, text)| tree.faults(page, text))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for name in OF_OTHERS {
        let mut pages = tree.pages.values();
        assert!(
            pages.any(|text| text.contains(name)),
            "no page names {name}"
        );
    }
}

#[test]
fn every_page_is_reached_from_the_readme() {
    let tree = Tree::read();
    let mut reached = BTreeSet::new();
    let mut waiting = vec![PathBuf::from("README.md")];
    while let Some(page) = waiting.pop() {
        let Some(text) = tree.pages.get(&page) else {
            continue;
        };
        if reached.insert(page.clone()) {
            let prose = prose(text);
            let (plain, _) = without_spans(&prose);
            let targets = links(&plain).filter_map(|link| link.split('#').next());
            waiting.extend(targets.map(|target| joined(&page, target)));
        }
    }
    let lost: Vec<_> = tree
        .pages
        .keys()
        .filter(|page| !reached.contains(*page))
        .collect();
    assert!(lost.is_empty(), "nothing leads to {lost:?}");
}

#[test]
fn the_code_speaks_of_pages_and_requirements_that_exist() {
    let tree = Tree::read();
    let mut faults = Vec::new();
    let mut named = BTreeSet::new();
    for (path, text) in &tree.files {
        let pages = text.split("docs/").skip(1);
        for page in pages.filter_map(|rest| rest.split_once(".md")) {
            let page = format!("docs/{}.md", page.0);
            if page.chars().all(|c| is_word(c) || "./-".contains(c))
                && !tree.pages.contains_key(Path::new(&page))
            {
                faults.push(format!("{}: {page} is no page", path.display()));
            }
        }
        if path.extension().is_some_and(|it| it == "rs") {
            let unknown = ids(text).filter(|id| !tree.ids.contains(*id));
            faults.extend(unknown.map(|id| format!("{}: {id} is no requirement", path.display())));
            named.extend(ids(text));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(named.len() > 80, "only {named:?} are named");
}

/// A text of the code as the catalogue has it: `…` for what differs.
fn as_catalogued(literal: &str) -> String {
    let mut text = String::new();
    let mut rest = literal;
    while let Some((before, after)) = rest.split_once('{') {
        text += before;
        if !text.ends_with('…') {
            text.push('…');
        }
        rest = after.split_once('}').expect("the end of a place").1;
    }
    text + rest
}

/// A source with its long texts in one line each.
fn in_one_line(source: &str) -> String {
    let mut pieces = source.split("\\\n");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.trim_start())
}

/// The level of each heading of the catalogue.
const LEVELS: [(&str, &str); 3] = [
    ("### Errors", "log::error!("),
    ("### Warnings", "log::warn!("),
    ("### Information", "log::info!("),
];

/// The lines that a source logs at a level, as far as they are one text of their own.
fn logged(source: &str, at: &str) -> Vec<String> {
    let calls = source.split(at).skip(1);
    let texts = calls.filter_map(|call| {
        let text = call.trim_start().strip_prefix('"')?;
        let mut escaped = false;
        let end = text.find(|c: char| {
            let is_end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            is_end
        })?;
        Some(as_catalogued(&text[..end].replace("\\\"", "\"")))
    });
    texts
        .filter(|text| text.contains(|c: char| c.is_ascii_alphabetic()))
        .collect()
}

/// What is wrong with the catalogue of log lines in a page.
fn log_faults(tree: &Tree, page: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let sources: Vec<_> = tree.sources().map(|(_, text)| in_one_line(text)).collect();
    for (heading, at) in LEVELS {
        let (_, section) = page.split_once(&format!("{heading}\n")).expect(heading);
        let section = section.split("\n### ").next().unwrap_or_default();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let cells = rows.filter_map(|row| row.split_once("` | "));
        let catalogued: BTreeSet<_> = cells
            .map(|(cell, _)| cell.trim_matches([' ', '`']).to_owned())
            .collect();
        let all: BTreeSet<_> = sources.iter().flat_map(|text| logged(text, at)).collect();
        assert!(!all.is_empty(), "nothing is logged by {at}");
        let missing = all.difference(&catalogued);
        faults.extend(missing.map(|line| format!("{heading} lacks `{line}`")));
        // Others are put together from several texts; each has to be in the code.
        for line in catalogued.difference(&all) {
            let pieces = line.split('…').filter(|piece| piece.trim().len() > 3);
            let mut pieces = pieces.peekable();
            let is_there = pieces.peek().is_some()
                && pieces.all(|piece| sources.iter().any(|text| text.contains(piece)));
            if !is_there {
                faults.push(format!("{heading}: nobody logs `{line}`"));
            }
        }
    }
    faults
}

#[test]
fn the_catalogue_has_the_log_lines_of_the_code() {
    let tree = Tree::read();
    let page = &tree.pages[Path::new("docs/operations.md")];
    let faults = log_faults(&tree, page);
    assert!(
        faults.is_empty(),
        "docs/operations.md:\n{}",
        faults.join("\n")
    );
}

#[test]
fn whatever_is_wrong_is_noticed() {
    let tree = Tree::read();
    let page = Path::new("docs/operations.md");
    for (text, expected) in [
        ("[x](nosuch.md)", "leads to no file"),
        ("[x](groups.md#nosuch)", "leads to no heading"),
        ("[x](#nosuch)", "leads to no heading"),
        ("`src/nosuch.rs`", "src/nosuch.rs is no file"),
        ("`nosuch.cfg`", "nosuch.cfg is no file"),
        ("`src/lib.rs::nosuch`", "src/lib.rs has no fn nosuch"),
        (
            "`no_such_setting_at_all=1`",
            "no_such_setting_at_all is known nowhere",
        ),
        ("`cimf_no_such()`", "cimf_no_such is known nowhere"),
        ("`cimf.no_such_counter`", "no_such_counter is known nowhere"),
        (
            "    kamcmd cimf.no_such_command",
            "no_such_command is known nowhere",
        ),
        ("    E_CIMF_NOSUCH", "E_CIMF_NOSUCH is known nowhere"),
        ("(A-99)", "A-99 is no requirement"),
        ("A.1 row 15", "A.1 row 15 is no requirement"),
    ] {
        let faults = tree.faults(page, text);
        assert!(
            matches!(faults.as_slice(), [fault] if fault.ends_with(expected)),
            "{text}: {faults:?}"
        );
    }
    let good =
        "[x](groups.md#services) `small-site.cfg` `src/lib.rs` `pager_mode=0` UTF-8 `20/60` A-7";
    assert_eq!(tree.faults(page, good), Vec::<String>::new());
    let catalogue = &tree.pages[page];
    let line = "the lock of the queue is free again";
    let faults = log_faults(&tree, &catalogue.replace(line, "the lock is forged"));
    assert_eq!(faults.len(), 2, "{faults:?}");
}
