//! The manual pages and completions as they are written.

// A test fails by panicking.
#![allow(clippy::unwrap_used)]
#![forbid(unsafe_code)]

use cimf::config::PARAMETERS;
use cimf::host::commands::COMMANDS;
use std::collections::BTreeMap;
use std::fs::{read_dir, read_to_string};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

fn written() -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_cimf-pages"));
    let status = program.arg("1.2.3").arg(folder.path()).status().unwrap();
    assert!(status.success(), "{status}");
    folder
}

/// The pages of a folder by their names, with hyphens as they are typed.
fn pages(folder: &Path) -> BTreeMap<String, String> {
    let files = read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let pages = files.map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, read_to_string(path).unwrap().replace("\\-", "-"))
    });
    pages.collect()
}

#[test]
fn cimf_7_has_every_parameter_with_its_default() {
    let folder = written();
    let page = pages(&folder.path().join("man/man7"))
        .remove("cimf.7")
        .unwrap();
    assert!(page.contains("cimf 1.2.3"), "{page:.200}");
    for parameter in PARAMETERS {
        let entry = page.split(&format!("\\fB{}\\fR\n", parameter.name)).nth(1);
        let entry = entry.unwrap_or_else(|| panic!("{} is not in cimf.7", parameter.name));
        let default = match parameter.default {
            "" => "Default: empty.".to_owned(),
            default => format!("Default: \\fB{default}\\fR."),
        };
        let entry = entry.split("\n.TP").next().unwrap();
        assert!(entry.contains(&default), "{}: {entry}", parameter.name);
    }
}

#[test]
fn cimf_7_has_every_command_of_the_proxy() {
    let folder = written();
    let page = pages(&folder.path().join("man/man7"))
        .remove("cimf.7")
        .unwrap();
    for command in &COMMANDS {
        assert!(page.contains(&format!("\\fB{command}\\fR\n")), "{command}");
    }
}

#[test]
fn every_command_that_a_page_names_has_its_page() {
    let folder = written();
    let pages = pages(&folder.path().join("man/man8"));
    let named: Vec<_> = pages
        .values()
        .flat_map(|page| page.lines())
        .filter(|line| line.starts_with("cimfctl-") && line.ends_with("(8)"))
        .collect();
    assert!(named.len() > 20, "only {named:?}");
    assert_eq!(named.len() + 1, pages.len(), "pages that no other names");
    for line in named {
        let name = line.replace("(8)", ".8");
        let page = pages
            .get(&name)
            .unwrap_or_else(|| panic!("{name} is missing"));
        assert!(
            page.contains("--db"),
            "{name} lacks the options of all commands"
        );
    }
    assert!(pages["cimfctl.8"].contains("1.2.3"));
}

#[test]
fn each_shell_completes_options_and_commands() {
    let folder = written();
    for file in [
        "bash-completion/completions/cimfctl.bash",
        "zsh/vendor-completions/_cimfctl",
        "fish/vendor_completions.d/cimfctl.fish",
    ] {
        let text = read_to_string(folder.path().join(file)).unwrap();
        for word in ["skip-existing", "explain"] {
            assert!(text.contains(word), "{file} does not know {word}");
        }
    }
}
