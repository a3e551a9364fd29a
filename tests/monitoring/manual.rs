//! Blocks of docs/monitoring.md.

/// The block behind the comment with this name, without its indentation.
#[track_caller]
pub fn block(name: &str) -> String {
    let manual = std::fs::read_to_string("docs/monitoring.md").expect("the manual");
    let (_, rest) = manual
        .split_once(&format!("<!-- {name} -->\n\n"))
        .unwrap_or_else(|| panic!("docs/monitoring.md has no block {name}"));
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
