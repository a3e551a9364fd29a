//! The C interface, used by a program compiled as C and as C++, and run under valgrind.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/built.rs"]
mod built;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn library_folder() -> PathBuf {
    built::library().parent().unwrap().to_owned()
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; tests/run.sh installs what the tests need")
    });
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    output
}

fn database(folder: &Path) -> PathBuf {
    let database = folder.join("cimf.db");
    for words in [
        &["init"][..],
        &[
            "group",
            "add",
            "sip:hikers@im.home1.net",
            "sip:ann@home1.net",
            "sip:bob@home1.net",
            "tel:+15551230003",
        ],
        &["service", "add", "sip:listsvc@im.home1.net"],
    ] {
        run(Command::new(built::program())
            .arg("--db")
            .arg(&database)
            .args(words));
    }
    database
}

fn compile(compiler: &[&str], folder: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = folder.join(compiler[0]);
    run(Command::new(compiler[0])
        .args(&compiler[1..])
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-I"])
        .arg(root.join("include"))
        .arg("-o")
        .arg(&program)
        .arg(root.join("tests/c/flow_one.c"))
        .arg("-L")
        .arg(library_folder())
        .arg("-lcimf"));
    program
}

/// The messages that a run of the program prints: the answer, then the forks.
fn printed(program: &mut Command, folder: &Path, database: &Path, flow: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = run(program
        .arg(database)
        .arg(root.join("tests/flows").join(flow))
        .env("LD_LIBRARY_PATH", library_folder())
        .current_dir(folder));
    let text = String::from_utf8(output.stdout).unwrap();
    let messages = text.split_terminator("\n--\n").map(str::to_owned);
    messages.collect()
}

/// The lines of a message without what varies: header fields sorted, identifiers removed, then the
/// body.
fn comparable(message: &str) -> Vec<String> {
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<String> = head
        .split("\r\n")
        .filter(|line| !line.starts_with("Call-ID:"))
        .map(|line| {
            let end = line.find(";tag=").or(line.find(";branch="));
            let line = &line[..end.unwrap_or(line.len())];
            match line.split_once(": icid-value=") {
                Some((name, value)) => {
                    let networks = value.find(';').map_or("", |at| &value[at..]);
                    format!("{name}: icid-value=varies{networks}")
                }
                None => line.to_owned(),
            }
        })
        .collect();
    lines.sort();
    lines.push(body.to_owned());
    lines
}

fn flow(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flows");
    std::fs::read_to_string(path.join(name)).unwrap()
}

#[test]
fn a_c_program_and_a_cpp_program_print_the_forks_of_flow_1() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path());
    for compiler in [&["cc", "-std=c99"][..], &["c++", "-x", "c++", "-std=c++11"]] {
        let program = compile(compiler, folder.path());
        let mut program = Command::new(program);
        let messages = printed(
            &mut program,
            folder.path(),
            &database,
            "1-F1-message-in.sip",
        );
        let charging = flow("1-F2-202.sip");
        let mut charging = charging.split("\r\n");
        let charging = charging.find(|line| line.starts_with("P-Charging-Vector:"));
        let answer = format!(
            "SIP/2.0 202 Accepted\r\n{}\r\n(60 forks at once)\r\n",
            charging.unwrap()
        );
        assert_eq!(messages[0], answer);
        let forks: Vec<_> = messages[1..].iter().map(|fork| comparable(fork)).collect();
        let wanted = ["1-F3-fork-bob.sip", "1-F4-fork-tel.sip"];
        assert_eq!(forks, wanted.map(|name| comparable(&flow(name))));
    }
}

#[test]
fn a_refusal_reaches_the_c_program_with_its_warning() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path());
    let mut program = Command::new(compile(&["cc"], folder.path()));
    let messages = printed(
        &mut program,
        folder.path(),
        &database,
        "3-F1-message-in.sip",
    );
    let wanted =
        "SIP/2.0 403 Forbidden\r\nWarning: 399 imas.home1.net \"Anonymity not allowed\"\r\n";
    assert_eq!(messages, [wanted]);
}

#[test]
fn a_large_list_message_reaches_the_c_program_with_each_fork_its_own_body() {
    // K-5, M-2.
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path());
    let mut program = Command::new(compile(&["cc"], folder.path()));
    let small = flow("2-F1-message-in.sip");
    let text = "x".repeat(1400);
    let large = small.replace("Draft is ready.", &text);
    let large = large.replace("Content-Length: 529", "Content-Length: 1914");
    let file = folder.path().join("large.sip");
    std::fs::write(&file, large).unwrap();
    let file = file.to_string_lossy();
    let messages = printed(&mut program, folder.path(), &database, &file);
    assert!(messages[0].contains("by TCP or TLS"), "{}", messages[0]);
    let entry = "<entry uri=\"sip:dee@home1.net\" cp:copyControl=\"bcc\"/>";
    for (fork, member) in messages[1..].iter().zip(["bob", "cho", "dee"]) {
        assert!(fork.starts_with(&format!("MESSAGE sip:{member}@")) && fork.contains(&text));
        let (head, body) = fork.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())));
        assert_eq!(body.contains(entry), member == "dee", "{fork}");
    }
    assert_eq!(messages.len(), 4);
}

#[test]
fn the_c_program_runs_clean_under_valgrind() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path());
    let program = compile(&["cc"], folder.path());
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--quiet", "--error-exitcode=9", "--leak-check=full"])
        // Not "possible": hash tables are pointed to in their middle.
        .args(["--errors-for-leak-kinds=definite,indirect"])
        .arg(program);
    let messages = printed(
        &mut valgrind,
        folder.path(),
        &database,
        "1-F1-message-in.sip",
    );
    assert_eq!(messages.len(), 3);
}

#[test]
fn the_example_in_the_manual_compiles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/c-api.md")).unwrap();
    let example = page.lines().filter_map(|line| line.strip_prefix("    "));
    let example: String = example.map(|line| format!("{line}\n")).collect();
    assert!(example.contains("cimf_server_decide("), "{example}");
    let program = format!(
        "#include <err.h>\n#include <stddef.h>\n#include \"cimf.h\"\n\
         void example(const uint8_t *bytes, size_t length)\n{{\n{example}}}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("example.c");
    std::fs::write(&source, program).unwrap();
    run(Command::new("cc")
        .args([
            "-std=gnu11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-fsyntax-only",
            "-I",
        ])
        .arg(root.join("include"))
        .arg(source));
}
