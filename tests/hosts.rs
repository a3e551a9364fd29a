//! Programs that load the library: one that is no proxy, and some that look like a Kamailio or an OpenSIPS in which
//! cimf cannot start. None of them crashes.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/built.rs"]
mod built;

use std::path::Path;
use std::process::Command;

/// What a program prints that was built with these definitions and loads the library.
fn loaded_by(definitions: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("host");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/host.c");
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-rdynamic"])
        .args(definitions)
        .arg("-o")
        .arg(&program)
        .arg(source)
        .arg("-ldl")
        .status();
    assert!(compiled.unwrap().success());
    let output = Command::new(program)
        .arg(built::library())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{definitions:?}: {text}");
    text
}

#[test]
fn a_program_that_is_no_proxy_loads_the_file_and_finds_it_inert() {
    assert_eq!(
        loaded_by(&[]),
        "exports: 0 words, Kamailio's version: unknown host\n"
    );
}

/// OpenSIPS's loader compares the version before it reads the tables, whose form it alone knows, and names both.
#[test]
fn an_opensips_of_an_unknown_version_is_told_for_which_we_are() {
    for (version, scm) in [("4.7.0", Some("-DSCM")), ("3.1.8", None)] {
        let claim = format!("-DCLAIM=\"opensips {version} (x86_64/linux)\"");
        let definitions: Vec<&str> = [claim.as_str()].into_iter().chain(scm).collect();
        let said = loaded_by(&definitions);
        let line = "name cimf, version for OpenSIPS 3.2 to 3.6 or 4.0, flags flags\nmismatch\n";
        assert!(said.ends_with(line), "{version}: {said}");
    }
}

#[test]
fn a_function_that_opensips_does_not_have_is_named_and_the_start_stops() {
    for (version, scm) in [("3.3.10", None), ("3.6.8", Some("-DSCM"))] {
        let claim = format!("-DCLAIM=\"opensips {version} (x86_64/linux)\"");
        let definitions: Vec<&str> = [claim.as_str()].into_iter().chain(scm).collect();
        let said = loaded_by(&definitions);
        let line = "ERROR:cimf: OpenSIPS has no symbol find_export; is this OpenSIPS 3.2 to 3.6 or 4.0?\n\
                    start: -1\n";
        assert!(said.ends_with(line), "{version}: {said}");
    }
}

/// Kamailio's loader compares the version before it reads the tables, and names both. What tm claims there is no reason
/// to claim the same.
#[test]
fn a_kamailio_of_an_unknown_version_is_told_for_which_we_are() {
    for version in ["6.2.0-dev0", "5.5.7", "5.4.9", "7.0.0", "six"] {
        let said = loaded_by(&[&format!("-DKAMAILIO=\"{version}\"")]);
        let line = "Kamailio's version: for Kamailio 5.6 to 5.8, 6.0 or 6.1\nname cimf, flags flags\nmismatch\n";
        assert!(said.ends_with(line), "{version}: {said}");
    }
}

/// Where the loader does not compare, the start does.
#[test]
fn a_kamailio_of_an_unknown_version_is_named_and_the_start_stops() {
    let said = loaded_by(&["-DKAMAILIO=\"6.2.0-dev0\"", "-DUNCHECKED"]);
    let line = "ERROR: cimf: this is Kamailio \"6.2.0-dev0\", whose structures are not known: expected Kamailio 5.6 \
                to 5.8, 6.0 or 6.1\nstart: -1\n";
    assert!(said.ends_with(line), "{said}");
}

#[test]
fn a_function_that_kamailio_does_not_have_is_named_and_the_start_stops() {
    for version in ["5.6.3", "6.1.0-rc1"] {
        let said = loaded_by(&[&format!("-DKAMAILIO=\"{version}\"")]);
        let line = "ERROR: cimf: Kamailio has no symbol find_export; is this Kamailio 5.6 to 5.8, 6.0 or 6.1?\n\
                    start: -1\n";
        assert!(said.ends_with(line), "{version}: {said}");
    }
}
