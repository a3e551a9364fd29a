//! No two files of one room use each other in a loop.

use super::imports::{Graph, graph};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The shortest circle through each file that is in one, without repeating a circle: `a.rs → b.rs (Name) → a.rs (Other)`.
pub fn circles(graph: &Graph, room: impl Fn(&str) -> String) -> Vec<String> {
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for start in graph.keys() {
        let Some(circle) = shortest(graph, start, &room) else {
            continue;
        };
        let files: BTreeSet<&str> = circle.iter().copied().collect();
        if told.insert(files) {
            found.push(described(graph, &circle));
        }
    }
    found
}

/// The files of the shortest way from `start` back to it, within its room.
fn shortest<'g>(
    graph: &'g Graph,
    start: &'g str,
    room: &impl Fn(&str) -> String,
) -> Option<Vec<&'g str>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(file) = waiting.pop_front() {
        for next in graph.get(file).into_iter().flat_map(BTreeMap::keys) {
            if room(next) != room(start) {
                continue;
            }
            if next == start {
                let mut way = vec![file];
                while let Some(before) = came_from.get(way[way.len() - 1]) {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(next.as_str()) {
                came_from.insert(next, file);
                waiting.push_back(next);
            }
        }
    }
    None
}

fn described(graph: &Graph, circle: &[&str]) -> String {
    let mut text = circle[0].to_owned();
    for (at, file) in circle.iter().enumerate() {
        let next = circle[(at + 1) % circle.len()];
        let names: Vec<&str> = graph[*file][next].iter().map(String::as_str).collect();
        text += &format!(" → {next} ({})", names.join(", "));
    }
    text
}

/// A room is a folder of `src/`.
fn folder(file: &str) -> String {
    file.split('/').next().unwrap_or_default().to_owned()
}

#[test]
fn no_two_files_of_a_room_use_each_other_in_a_loop() {
    let graph = graph(&super::files());
    let edges: usize = graph.values().map(BTreeMap::len).sum();
    assert!(edges > 500, "only {edges} uses found: is everything read?");
    let circles = circles(&graph, folder);
    assert!(
        circles.is_empty(),
        "files of one room use each other in a loop; move what both need into a file of its own:\n{}",
        circles.join("\n")
    );
}

fn of(sources: &[(&str, &str)]) -> Vec<String> {
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    let sources: Vec<_> = sources.iter().map(owned).collect();
    circles(&graph(&sources), folder)
}

const ROOM: (&str, &str) = (
    "room/mod.rs",
    "mod a; mod b; mod c; pub use a::A; pub use b::B; pub use c::*;",
);

#[test]
fn a_circle_is_found_through_a_re_export() {
    let found = of(&[
        ROOM,
        ("room/a.rs", "use super::B; pub struct A(B);"),
        (
            "room/b.rs",
            "pub struct B; fn f() { let _ = crate::room::A; }",
        ),
    ]);
    assert_eq!(found, ["room/a.rs → room/b.rs (B) → room/a.rs (A)"]);
}

#[test]
fn a_circle_of_three_is_found_through_globs_modules_and_macros() {
    let found = of(&[
        ROOM,
        (
            "room/a.rs",
            "use super::b; pub struct A; fn f() -> b::B { b::B }",
        ),
        ("room/b.rs", "use super::*; pub struct B; fn f() { g(C); }"),
        (
            "room/c.rs",
            "pub struct C; fn f() { println!(\"{}\", super::a::A::NAME); }",
        ),
    ]);
    assert_eq!(
        found,
        ["room/a.rs → room/b.rs (B) → room/c.rs (C) → room/a.rs (A)"]
    );
}

#[test]
fn a_file_that_defines_what_its_children_use_must_not_use_them() {
    let found = of(&[
        ("room/mod.rs", "mod a; pub struct Head(a::A);"),
        ("room/a.rs", "pub struct A; fn f(head: super::Head) {}"),
    ]);
    assert_eq!(found, ["room/a.rs → room/mod.rs (Head) → room/a.rs (A)"]);
}

#[test]
fn what_is_for_tests_only_and_other_rooms_do_not_count() {
    let found = of(&[
        ROOM,
        (
            "room/a.rs",
            "pub struct A; #[cfg(test)] mod tests { use super::super::B; } #[cfg(test)] fn f(b: super::B) {}",
        ),
        ("room/b.rs", "pub struct B(super::A, crate::other::O);"),
        (
            "other/mod.rs",
            "pub struct O; use crate::room::B; fn f(b: B) {}",
        ),
    ]);
    assert_eq!(found, [""; 0]);
}
