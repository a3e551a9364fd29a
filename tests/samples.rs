//! The parameters in the sample configurations are those of the table. `CIMF_BLESS=1` writes them anew.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use cimf::config::{Group, Needs, PARAMETERS, Parameter};
use std::fmt::Write;
use std::path::Path;

/// Columns of a comment.
const WIDTH: usize = 92;

/// What the samples set. Everything else has the default of the module until somebody takes a `#` away.
fn value(parameter: &Parameter) -> Option<&'static str> {
    match parameter.name {
        "db_url" | "trusted_peers" => Some(parameter.default),
        "domains" => Some("im.home1.net,home1.net"),
        "core_route" => Some("sip:127.0.0.1:5070;transport=tcp"),
        // A person writes fewer.
        "quota_originator" => Some("20/60"),
        _ => None,
    }
}

/// A value as a configuration spells it.
fn spelt(parameter: &Parameter, value: &str) -> String {
    match parameter.kind().is_number() {
        true => value.to_owned(),
        false => format!("\"{value}\""),
    }
}

/// The parameters of each group below its heading, each below its help.
fn grouped(
    parameters: impl Iterator<Item = &'static Parameter> + Clone,
    mut line: impl FnMut(&Parameter) -> String,
) -> String {
    let mut text = String::new();
    for group in Group::ALL {
        let title = format!("# ---- {} ", group.title());
        writeln!(text, "\n{title:-<WIDTH$}").unwrap();
        let parameters = parameters.clone().filter(|one| one.group == group);
        let mut count = 0;
        for parameter in parameters {
            let help = comment(parameter.help);
            write!(text, "\n{help}{}", line(parameter)).unwrap();
            count += 1;
        }
        assert!(count > 0, "nothing is in {group:?}");
    }
    text
}

fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = "#".to_owned();
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > WIDTH && line != "#" {
            writeln!(lines, "{line}").unwrap();
            line = "#".to_owned();
        }
        write!(line, " {word}").unwrap();
    }
    lines + &line + "\n"
}

fn upper(parameter: &Parameter) -> String {
    parameter.name.to_ascii_uppercase()
}

/// Kamailio's: definitions that another file or a command line can override.
fn kamailio_definitions() -> String {
    grouped(PARAMETERS.iter(), |parameter| {
        let name = upper(parameter);
        let set = value(parameter);
        let value = spelt(parameter, set.unwrap_or(parameter.default));
        let line = format!("#!trydef {name} {value}\n");
        match (parameter.name, set) {
            ("core_route", _) => format!("#!ifndef DIRECT\n{line}#!endif\n"),
            (_, Some(_)) => line,
            (_, None) => format!("#{line}"),
        }
    })
}

/// The parameters that have a definition.
fn kamailio_parameters() -> String {
    let lines = PARAMETERS.iter().map(|parameter| {
        let (name, define) = (parameter.name, upper(parameter));
        format!("#!ifdef {define}\nmodparam(\"cimf\", \"{name}\", {define})\n#!endif\n")
    });
    lines.collect()
}

fn opensips_parameters() -> String {
    let parameters = PARAMETERS.iter().filter(|one| one.needs != Needs::Kamailio);
    grouped(parameters, |parameter| {
        let set = value(parameter);
        let value = spelt(parameter, set.unwrap_or(parameter.default));
        let line = format!("modparam(\"cimf\", \"{}\", {value})\n", parameter.name);
        match set {
            Some(_) => line,
            None => format!("#{line}"),
        }
    })
}

/// `text` with `block` between the marks of `name`.
fn with_block(text: &str, name: &str, block: &str) -> String {
    let (open, close) = (format!("# <{name}>\n"), format!("# </{name}>"));
    let (before, rest) = text.split_once(&open).expect("the opening mark");
    let (_, after) = rest.split_once(&close).expect("the closing mark");
    format!("{before}{open}{block}{close}{after}")
}

#[test]
fn the_samples_have_the_parameters_of_the_table() {
    for (file, blocks) in [
        (
            "kamailio-config/cimf-route.cfg",
            vec![
                ("definitions", kamailio_definitions()),
                ("parameters", kamailio_parameters()),
            ],
        ),
        (
            "opensips-config/cimf-route.cfg",
            vec![("parameters", opensips_parameters())],
        ),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let kept = std::fs::read_to_string(&path).unwrap();
        let mut made = kept.clone();
        for (name, block) in blocks {
            made = with_block(&made, name, &block);
        }
        if std::env::var_os("CIMF_BLESS").is_some() {
            std::fs::write(&path, &made).unwrap();
            continue;
        }
        assert!(
            kept == made,
            "{file} differs from src/config/table.rs: run CIMF_BLESS=1 cargo test --test samples"
        );
    }
}
