//! Blocks of the manual. Each user of this file needs a part of it.

#![allow(dead_code)]

/// The block of docs/monitoring.md behind the comment with this name, without its indentation.
#[track_caller]
pub fn block(name: &str) -> String {
    block_of("docs/monitoring.md", name)
}

/// The same of another page.
#[track_caller]
pub fn block_of(page: &str, name: &str) -> String {
    let manual = std::fs::read_to_string(page).expect("the manual");
    let (_, rest) = manual
        .split_once(&format!("<!-- {name} -->\n\n"))
        .unwrap_or_else(|| panic!("{page} has no block {name}"));
    let lines = rest.lines();
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with("    "));
    // A command to be typed is no line of a configuration.
    let lines = lines.take_while(|line| !line.starts_with("    curl"));
    lines
        .map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line)))
        .collect()
}

/// What stands before the routes, and the routes.
pub fn both(block: &str) -> [String; 2] {
    let (lines, routes) = match block.find("event_route[") {
        Some(place) => block.split_at(place),
        None => (block, ""),
    };
    [lines, routes].map(str::to_owned)
}
