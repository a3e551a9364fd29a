//! The parameters as the documentation lists them.

use super::parameter::Group;
use super::table::{PARAMETERS, Parameter};
use super::values::Kind;

/// The parameters as Markdown: a heading and a table for each group.
pub fn markdown_table() -> String {
    let sections = Group::ALL.map(|group| {
        let rows = PARAMETERS.iter().filter(|parameter| parameter.group == group);
        let rows: String = rows.map(row).collect();
        let title = group.title();
        format!("### {title}\n\n| parameter | value | default | what it does |\n|---|---|---|---|\n{rows}")
    });
    sections.join("\n")
}

fn row(parameter: &Parameter) -> String {
    let kind = match parameter.kind() {
        Kind::Number(least, most) => format!("{least} to {most}"),
        Kind::List(item) => format!("list; each item {item}"),
        kind => kind.to_string(),
    };
    let default = match parameter.default {
        "" => "(empty)".to_owned(),
        default => format!("`{default}`"),
    };
    let (kind, help) = (kind.replace('|', "\\|"), parameter.help.replace('|', "\\|"));
    let name = parameter.name;
    format!("| `{name}` | {kind} | {default} | {help} |\n")
}

/// The parameters that need a queue, as words of a sentence.
pub fn queue_parameters() -> String {
    let names = PARAMETERS.iter().filter(|parameter| parameter.needs_queue);
    let names: Vec<_> = names
        .map(|parameter| format!("`{}`", parameter.name))
        .collect();
    names.join(", ")
}
