//! The tables of the manual are those of the code. `CIMF_BLESS=1` writes them anew.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use cimf::config::{Group, Kind, Needs, PARAMETERS, Parameter};
use cimf::control::reason_table::phrase;
use cimf::control::{RefusalReason, Row};
use cimf::host::commands::{COMMANDS, Kind as Occurs};
use cimf::host::figures::{Figure, figures};
use cimf::server::RefusedBy;
use std::collections::BTreeSet;
use std::path::Path;

/// The parameters as Markdown: a heading and a table for each group.
fn parameters() -> String {
    let sections = Group::ALL.map(|group| {
        let rows = PARAMETERS.iter().filter(|parameter| parameter.group == group);
        let rows: String = rows.map(parameter_row).collect();
        let title = group.title();
        format!("### {title}\n\n| parameter | value | default | what it does |\n|---|---|---|---|\n{rows}")
    });
    sections.join("\n")
}

fn parameter_row(parameter: &Parameter) -> String {
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

/// The parameters that a C program does not have, as words of a sentence.
fn queue_parameters() -> String {
    let names = PARAMETERS
        .iter()
        .filter(|parameter| parameter.needs != Needs::Nothing);
    let names: Vec<_> = names
        .map(|parameter| format!("`{}`", parameter.name))
        .collect();
    names.join(", ")
}

fn refusals() -> String {
    let mut table =
        "| answer | Warning | meaning | requirement | counter |\n|---|---|---|---|---|\n"
            .to_owned();
    for reason in RefusedBy::all() {
        let Row {
            code,
            requirement,
            warning,
            meaning,
            ..
        } = reason.row();
        let phrase = phrase(code);
        let mut figures = figures();
        let counter =
            figures.find(|(figure, ..)| matches!(figure, Figure::Refused(it) if *it == reason));
        let (_, counter, _) = counter.expect("a counter for each reason");
        table +=
            &format!("| {code} {phrase} | {warning} | {meaning} | {requirement} | `{counter}` |\n");
    }
    table
}

/// The counters, with what a proxy puts before their names.
fn counters(before: &str) -> String {
    let mut table = "| counter | counts |\n|---|---|\n".to_owned();
    // One for each reason to refuse would repeat the table of refusals.
    let figures = figures().filter(|(figure, ..)| !matches!(figure, Figure::Refused(_)));
    for (_, name, what) in figures {
        table += &format!("| `{before}{name}` | {what} |\n");
    }
    table
}

/// The commands as Kamailio has them.
fn commands_of_kamailio() -> String {
    let rows = COMMANDS
        .iter()
        .map(|command| format!("| `kamcmd cimf.{command}` | {} |\n", command.help));
    format!(
        "| command | what it does |\n|---|---|\n{}",
        rows.collect::<String>()
    )
}

/// The commands as OpenSIPS has them, with the names of their parameters.
fn commands_of_opensips() -> String {
    let rows = COMMANDS.iter().map(|command| {
        let parameters = command
            .parameters
            .iter()
            .map(|parameter| match parameter.kind {
                Occurs::Optional => format!(" [{}=...]", parameter.name),
                Occurs::Needed | Occurs::Several => format!(" {}=...", parameter.name),
            });
        let parameters: String = parameters.collect();
        let (name, help) = (command.name, command.help);
        format!("| `opensips-cli -x mi cimf_{name}{parameters}` | {help} |\n")
    });
    format!(
        "| command | what it does |\n|---|---|\n{}",
        rows.collect::<String>()
    )
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
    let mut differing = Vec::new();
    for (page, name, table) in [
        ("docs/parameters.md", "parameters", parameters()),
        ("docs/refusals.md", "refusals", refusals()),
        ("docs/kamailio.md", "commands", commands_of_kamailio()),
        ("docs/opensips.md", "commands", commands_of_opensips()),
        ("docs/kamailio.md", "counters", counters("cimf.")),
        ("docs/opensips.md", "counters", counters("cimf:")),
        (
            "docs/c-api.md",
            "queue-parameters",
            format!("{}\n", queue_parameters()),
        ),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let kept = std::fs::read_to_string(&path).unwrap();
        let made = with_table(&kept, name, &table);
        if std::env::var_os("CIMF_BLESS").is_some() {
            std::fs::write(&path, &made).unwrap();
        } else if kept != made {
            differing.push(page);
        }
    }
    assert!(
        differing.is_empty(),
        "{} differ from the code: run CIMF_BLESS=1 cargo test --test readme",
        differing.join(", ")
    );
}

/// The two numbers of a version, such as `5.6` or `5.6.3`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The versions of a proxy that README claims, as ranges such as `5.6 to 5.8, 6.0 and 6.1`.
fn claimed(readme: &str, proxy: &str) -> Vec<((u32, u32), (u32, u32))> {
    let start = format!("{proxy} ");
    let claims = readme
        .lines()
        .find(|line| line.starts_with("Kamailio ") && line.contains("; OpenSIPS "))
        .expect("the line of the versions");
    let claim = claims
        .split(';')
        .find_map(|it| it.trim().strip_prefix(&start));
    let claim = claim.expect("this proxy").replace(" and ", ", ");
    let claim = claim.split(" (").next().unwrap();
    let ranges = claim.split(", ").map(|range| {
        let (first, last) = range.split_once(" to ").unwrap_or((range, range));
        (version(first).unwrap(), version(last).unwrap())
    });
    ranges.collect()
}

/// The versions of a proxy in the table that tests/matrix.sh has printed: rows of five cells, of which the third is how
/// many cases have passed.
fn run(versions: &str, proxy: &str) -> BTreeSet<(u32, u32)> {
    let rows = versions.lines().filter_map(|line| {
        let cells = line.strip_prefix('|')?.strip_suffix('|')?.split('|');
        let [name, _, passed, _, _] = cells.map(str::trim).collect::<Vec<_>>()[..] else {
            return None;
        };
        passed.parse::<u32>().ok()?;
        version(name.strip_prefix(proxy)?)
    });
    rows.collect()
}

#[test]
fn the_versions_that_are_claimed_have_been_run() {
    let readme = include_str!("../README.md");
    let versions = include_str!("../docs/versions.md");
    for proxy in ["Kamailio", "OpenSIPS"] {
        let (claimed, run) = (claimed(readme, proxy), run(versions, proxy));
        for &(first, last) in &claimed {
            assert!(
                run.contains(&first) && run.contains(&last),
                "{proxy} {first:?} to {last:?} is claimed, and {run:?} were run"
            );
        }
        let others = run.iter().find(|it| {
            !claimed
                .iter()
                .any(|(first, last)| (first..=last).contains(it))
        });
        assert_eq!(others, None, "{proxy}: run, and not claimed");
    }
}

#[test]
fn the_packages_depend_on_the_versions_that_are_claimed() {
    let readme = include_str!("../README.md");
    for (proxy, package, control) in [
        (
            "Kamailio",
            "kamailio",
            include_str!("../packaging/control/kamailio-cimf-module"),
        ),
        (
            "OpenSIPS",
            "opensips",
            include_str!("../packaging/control/opensips-cimf-module"),
        ),
    ] {
        let claimed = claimed(readme, proxy);
        let ((major, minor), (last, newest)) = (claimed[0].0, claimed[claimed.len() - 1].1);
        let range = format!(
            "{package} (>= {major}.{minor}), {package} (<< {last}.{})",
            newest + 1
        );
        assert!(control.contains(&range), "{package}: expected `{range}`");
    }
}
