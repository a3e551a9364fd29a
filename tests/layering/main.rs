//! The layers keep to themselves: who imports whom, and where unsafe code may stand.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod circles;
mod imports;

use cimf::config::PARAMETERS;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each room with the rooms it may use, as the map in ARCHITECTURE.md shows them.
const LAYERS: [(&str, &[&str]); 11] = [
    ("sip", &[]),
    ("config", &["sip"]),
    ("control", &["sip", "config"]),
    ("postgres", &["config"]),
    ("store", &["sip", "config", "control", "postgres"]),
    ("fanout", &["sip", "config", "control"]),
    (
        "ledger",
        &["sip", "config", "control", "postgres", "fanout"],
    ),
    (
        "server",
        &["sip", "control", "store", "fanout", "config", "ledger"],
    ),
    (
        "capi",
        &["sip", "control", "store", "fanout", "config", "server"],
    ),
    (
        "host",
        &[
            "sip", "control", "postgres", "store", "fanout", "config", "ledger", "server",
        ],
    ),
    (
        "bin",
        &[
            "sip", "control", "store", "fanout", "config", "ledger", "server",
        ],
    ),
];

/// The files and folders in which unsafe code may stand.
const UNSAFE_ROOMS: [&str; 5] = [
    "capi/",
    "host/",
    // The memory, and the messages in it: who reads their bytes, and when, is known there alone.
    "fanout/shared_memory/",
    "fanout/block.rs",
    // SQLite's own memory: it is mapped as long as a connection is open.
    "store/wal_index.rs",
];

/// The files below `src/` as they are: name and text.
fn files() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    let read = paths.into_iter().map(|path| {
        let name = path
            .strip_prefix(&root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        (name, std::fs::read_to_string(&path).unwrap())
    });
    read.collect()
}

fn sources() -> Vec<(String, String)> {
    let files = files().into_iter();
    files
        .map(|(name, text)| (name, without_comments(&text)))
        .collect()
}

fn without_comments(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// The sources without what is compiled for tests only.
fn without_tests(sources: Vec<(String, String)>) -> Vec<(String, String)> {
    let marked = |text: &str| -> Vec<String> {
        let declared = text.split("#[cfg(test)]\nmod ").skip(1);
        let names = declared.filter_map(|rest| Some(rest.split_once(';')?.0));
        // One with a body is cut off below.
        let names = names.filter(|name| !name.contains('{'));
        names.map(str::to_owned).collect()
    };
    let mut tests = Vec::new();
    for (name, text) in &sources {
        let path = name.strip_suffix("/mod.rs");
        let folder = path.unwrap_or(name.trim_end_matches(".rs"));
        tests.extend(
            marked(text)
                .iter()
                .map(|module| format!("{folder}/{module}")),
        );
    }
    assert!(tests.len() > 5, "only {tests:?} are tests");
    let is_test = |name: &str| {
        let mut tests = tests.iter().filter_map(|test| name.strip_prefix(test));
        tests.any(|rest| rest == ".rs" || rest.starts_with('/'))
    };
    let kept = sources.into_iter().filter(|(name, _)| !is_test(name));
    let cut = kept.map(|(name, text)| {
        let inline = text.find("#[cfg(test)]\nmod tests {");
        let text = inline.map_or(text.as_str(), |at| &text[..at]).to_owned();
        (name, text)
    });
    cut.collect()
}

fn room(name: &str) -> &str {
    name.split(['/', '.']).next().unwrap()
}

/// The rooms that a text names behind `crate::` or `cimf::`.
fn imports(text: &str) -> BTreeSet<String> {
    let pieces = ["crate::", "cimf::"]
        .into_iter()
        .flat_map(|prefix| text.split(prefix).skip(1));
    let names = pieces.flat_map(|piece| {
        let piece = piece.trim_start();
        let group = piece
            .strip_prefix('{')
            .and_then(|rest| rest.split('}').next());
        let paths: Vec<&str> = group.map_or(vec![piece], |group| group.split(',').collect());
        paths.into_iter().map(|path| {
            let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
            path.trim().chars().take_while(is_name).collect::<String>()
        })
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_room_imports_only_what_it_may() {
    let mut checked = 0;
    for (name, text) in sources() {
        let room = room(&name);
        if room == "lib" {
            continue;
        }
        let layer = LAYERS.iter().find(|(layer, _)| *layer == room);
        let (_, allowed) = layer.unwrap_or_else(|| panic!("src/{name} is in no room of the map"));
        for import in imports(&text) {
            let is_room = LAYERS.iter().any(|(layer, _)| *layer == import);
            let is_own = import == room;
            assert!(
                !is_room || is_own || allowed.contains(&import.as_str()),
                "src/{name} imports {import}, but {room} may use only {allowed:?}"
            );
            checked += usize::from(is_room && !is_own);
        }
    }
    assert!(
        checked > 30,
        "only {checked} imports found: has the spelling changed?"
    );
}

/// Greps lead from the table to what is decided by a parameter: it has no second name.
#[test]
fn every_parameter_is_read_under_its_own_name() {
    let sources = without_tests(sources());
    let others = sources.iter().filter(|(name, _)| room(name) != "config");
    let in_one_line = |text: &str| {
        let words: Vec<_> = text.split_whitespace().collect();
        words.join(" ").replace(" .", ".")
    };
    let others: Vec<String> = others.map(|(_, text)| in_one_line(text)).collect();
    for parameter in PARAMETERS {
        let reads = ["settings", "limits"].map(|of| format!("{of}.{}", parameter.name));
        let is_read = |text: &String| {
            let mut rests = reads.iter().flat_map(|read| text.split(read).skip(1));
            rests.any(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
        };
        assert!(
            others.iter().any(is_read),
            "nobody outside of src/config reads one of {reads:?}"
        );
    }
}

#[test]
fn the_adapters_of_the_proxies_do_not_know_each_other() {
    for (name, text) in sources() {
        for (own, other) in [("kamailio", "opensips"), ("opensips", "kamailio")] {
            let is_adapter = name.starts_with(&format!("host/{own}/"));
            assert!(
                !is_adapter || !text.contains(&format!("{other}::")),
                "{name} uses {other}"
            );
        }
    }
}

#[test]
fn unsafe_code_stands_in_its_rooms_only() {
    let mut found = 0;
    for (name, text) in sources() {
        let may = UNSAFE_ROOMS.iter().any(|room| name.starts_with(room));
        let has = [
            "unsafe {",
            "unsafe fn",
            "unsafe impl",
            "unsafe extern",
            "unsafe(",
            "extern \"C\"",
        ]
        .iter()
        .any(|word| text.contains(word));
        assert!(may || !has, "src/{name} has unsafe code or extern \"C\"");
        found += usize::from(has);
    }
    assert!(
        found > 5,
        "only {found} files with unsafe code found: has the spelling changed?"
    );
}

#[test]
fn every_reason_for_unsafe_code_says_what_is_promised() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut reasons = 0;
    for (name, _) in sources() {
        let text = std::fs::read_to_string(root.join(&name)).unwrap();
        for line in text.lines() {
            let says_nothing = ["caller promises", "Kamailio promises", "OpenSIPS promises"]
                .iter()
                .any(|words| line.contains(words));
            assert!(!says_nothing, "src/{name}: {}", line.trim());
            reasons += usize::from(line.contains("SAFETY: "));
        }
    }
    assert!(reasons > 100, "only {reasons} reasons found");
}

/// The files whose first lines hold for a file: its own, and those of the modules around it.
fn around(name: &str) -> Vec<String> {
    let mut found = vec![name.to_owned()];
    let mut folder = name;
    while let Some((outer, _)) = folder.rsplit_once('/') {
        let files = ["mod.rs", "main.rs"].map(|file| format!("{outer}/{file}"));
        found.extend(files);
        found.push(format!("{outer}.rs"));
        folder = outer;
    }
    found
}

#[test]
fn every_other_room_forbids_unsafe_code() {
    let sources = without_tests(sources());
    let says = |name: &str, word: &str| {
        let line = format!("#![{word}(unsafe_code)]");
        let mut sources = sources.iter();
        sources.any(|(other, text)| other == name && text.contains(&line))
    };
    let may = |name: &str| UNSAFE_ROOMS.iter().any(|room| name.starts_with(room));
    let others = sources.iter().filter(|(name, _)| !may(name));
    let mut checked = 0;
    for (name, text) in others {
        // What stands around a room with unsafe code cannot forbid it: `lib.rs`, and `mod.rs` of a room's folder.
        let folder = name.strip_suffix("mod.rs");
        let is_around =
            |room: &str| name == "lib.rs" || folder.is_some_and(|folder| room.starts_with(folder));
        if UNSAFE_ROOMS.iter().any(|room| is_around(room)) {
            continue;
        }
        // What `shared!` makes of a structure is allowed by it alone, which a module around it must not forbid.
        let has_structures = |(other, text): &(String, String)| {
            let is_within = folder.is_some_and(|folder| other.starts_with(folder));
            (other == name || is_within) && text.contains("\nshared! {")
        };
        match sources.iter().any(has_structures) {
            true => assert!(says(name, "deny"), "src/{name} does not deny unsafe code"),
            false => assert!(
                around(name).iter().any(|file| says(file, "forbid")),
                "neither src/{name} nor a module around it forbids unsafe code"
            ),
        }
        assert!(!text.contains("allow(unsafe_code)"), "src/{name} allows it");
        checked += 1;
    }
    assert!(checked > 100, "only {checked} files found");
}

#[test]
fn the_map_of_the_rooms_is_that_of_this_test() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let page = std::fs::read_to_string(path).unwrap();
    for (room, uses) in LAYERS {
        let start = match room {
            "bin" => "| `src/bin/cimfctl/` |".to_owned(),
            room => format!("| `src/{room}/` |"),
        };
        let row = page.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("ARCHITECTURE.md has no row {start}"));
        let cell = row.trim_end_matches(" |").rsplit("| ").next();
        let told: BTreeSet<_> = cell.unwrap().split(", ").filter(|it| *it != "–").collect();
        assert_eq!(
            told,
            uses.iter().copied().collect(),
            "{start} in ARCHITECTURE.md"
        );
    }
}
