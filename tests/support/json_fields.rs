//! What `--json` prints against what docs/cimfctl.md says of it.

use serde_json::Value;
use std::collections::BTreeSet;

/// Holds the fields of a command's JSON to its row in the manual.
#[track_caller]
pub fn check_fields(command: &str, value: &Value) {
    let start = format!("| `{command}` | ");
    let page = include_str!("../../docs/cimfctl.md");
    let row = page.lines().find_map(|line| line.strip_prefix(&start));
    let row = row.unwrap_or_else(|| panic!("docs/cimfctl.md has no row {start}"));
    let told = row.split('`').skip(1).step_by(2).map(str::to_owned);
    let mut found = BTreeSet::new();
    fields(value, &mut found);
    assert_eq!(found, told.collect(), "{command}");
    assert_eq!(value.is_array(), row.starts_with("array of"), "{command}");
}

/// The names of a JSON's fields, at all depths.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                found.insert(name.clone());
                fields(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}
