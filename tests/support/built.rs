//! What cargo has built of the product, for tests and benches. Each uses a part of it.

#![allow(dead_code, clippy::expect_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Runs cimfctl, which has to succeed.
#[track_caller]
pub fn cimfctl(database: &Path, words: &[&str]) -> String {
    let output = cimfctl_output(database, words);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "cimfctl {words:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Runs cimfctl, however it ends.
pub fn cimfctl_output(database: &Path, words: &[&str]) -> Output {
    Command::new(program())
        .arg("--db")
        .arg(database)
        .args(words)
        .output()
        .expect("cimfctl")
}

/// Runs cimfctl with `input` on its standard input.
pub fn cimfctl_fed(database: &Path, words: &[&str], input: impl AsRef<[u8]>) -> Output {
    let mut child = Command::new(program())
        .arg("--db")
        .arg(database)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cimfctl");
    // A command that reads nothing may have ended already.
    let _ = child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input.as_ref());
    child.wait_with_output().expect("its end")
}

/// cimfctl: that of the profile that the tests were built with, or CIMF_CIMFCTL.
pub fn program() -> PathBuf {
    match std::env::var_os("CIMF_CIMFCTL") {
        Some(path) => path.into(),
        // Cargo builds it for the tests and says where; the benches, another package, look beside themselves.
        None => option_env!("CARGO_BIN_EXE_cimfctl")
            .map_or_else(|| newest("cimfctl", &[profile()]), PathBuf::from),
    }
}

/// The library: that of the profile that the tests were built with, or CIMF_LIBRARY.
pub fn library() -> PathBuf {
    match std::env::var_os("CIMF_LIBRARY") {
        Some(path) => path.into(),
        // Cargo builds into deps and links from there; the newer one is the one just built.
        None => newest("libcimf.so", &[profile(), profile().join("deps")]),
    }
}

/// The folder of the profile, such as target/release.
fn profile() -> PathBuf {
    let own = std::env::current_exe().expect("the path of this program");
    let deps = own.parent().expect("its folder");
    deps.parent().expect("the folder of the profile").to_owned()
}

fn newest(name: &str, folders: &[PathBuf]) -> PathBuf {
    let files = folders.iter().map(|folder| folder.join(name));
    let newest = files
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max();
    match newest {
        Some((_, path)) => path,
        None => panic!(
            "no {name} in {}: build it first, `cargo build --release`",
            profile().display()
        ),
    }
}
