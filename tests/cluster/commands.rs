//! `cimfctl` does with PostgreSQL what it does with a file, in the same words.

use crate::both::Both;
use crate::support::built::{cimfctl_output, program};
use crate::support::postgres::Postgres;
use std::path::Path;
use std::process::Command;

#[test]
fn every_command_does_the_same() {
    let both = Both::new();
    both.run("init");
    for words in [
        "group add sip:hikers@IM.home1.net sip:ann@home1.net sip:bob@home1.net tel:+15551230003",
        "group add sip:hikers@im.home1.net",
        "group add sip:cooks@im.home1.net sip:hikers@im.home1.net",
        "group add sip:nobody@im.home1.net",
        "group add mailto:a@b",
        "member add sip:hikers@im.home1.net sip:cho@home1.net sip:dan@home1.net",
        "member add sip:hikers@im.home1.net sip:ANN@home1.net sip:ann@HOME1.net",
        "member add sip:hikers@im.home1.net sip:cooks@im.home1.net",
        "member add sip:none@im.home1.net sip:cho@home1.net",
        "member add --name Eve sip:hikers@im.home1.net sip:eve@home1.net",
        "member del sip:hikers@im.home1.net tel:+1-555-123-0003",
        "member del sip:hikers@im.home1.net sip:zoe@home1.net",
        "group list",
        "group del sip:nobody@im.home1.net",
        "group del sip:nobody@im.home1.net",
        "service add sip:lists@im.home1.net",
        "service add sip:cooks@im.home1.net",
        "service list",
        "consent add sip:lists@im.home1.net sip:ann@home1.net sip:bob@home1.net",
        "consent add sip:lists@im.home1.net sip:Ann@home1.net sip:bob@HOME1.net",
        "consent del sip:lists@im.home1.net sip:bob@home1.net",
        "consent list sip:lists@im.home1.net",
        "check --domain im.home1.net",
        "check --domain home1.net",
        "service del sip:lists@im.home1.net",
        "--max-members 2 member add sip:cooks@im.home1.net sip:a@home1.net sip:b@home1.net",
        "export",
        "export sip:cooks@im.home1.net",
    ] {
        both.run(words);
    }
    assert!(
        both.run("group show sip:hikers@im.home1.net")
            .contains("sip:eve@home1.net")
    );
    // What was never there would have been the same on both, too.
    assert_eq!(both.postgres.psql("SELECT count(*) FROM cimf.member"), "7");
}

#[test]
fn an_export_comes_back_as_it_was() {
    let both = Both::new();
    both.run("group add sip:hikers@im.home1.net sip:ann@home1.net sip:bob@home1.net");
    both.run("member name sip:hikers@im.home1.net sip:ann@home1.net Ann");
    let document = both.run("export sip:hikers@im.home1.net");
    let file = both.path("hikers.xml");
    std::fs::write(&file, &document).unwrap();
    both.run("member del sip:hikers@im.home1.net sip:ann@home1.net");
    both.run("member add sip:hikers@im.home1.net sip:zoe@home1.net");
    both.run_words(&["import", &file]);
    assert_eq!(both.run("export sip:hikers@im.home1.net"), document);
    both.run("group del sip:hikers@im.home1.net");
    both.run_words(&["import", &file]);
    assert_eq!(both.run("export sip:hikers@im.home1.net"), document);
}

#[test]
fn the_password_may_be_elsewhere() {
    let postgres = Postgres::start();
    let url = postgres.url().replace(":s3cret", "");
    let init = |command: &mut Command| {
        let output = command.args(["--db", &url, "init"]).output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let plain = || {
        let mut command = Command::new(program());
        command
            .env_remove("PGPASSWORD")
            .env_remove("PGPASSFILE")
            .env("HOME", "/nonexistent");
        command
    };
    let (done, complained) = init(&mut plain());
    assert!(!done && complained.contains("password"), "{complained}");
    assert_eq!(
        init(plain().env("PGPASSWORD", "s3cret")),
        (true, String::new())
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".pgpass");
    std::fs::write(&file, "127.0.0.1:*:groups:cimf:s3cret\n").unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&file, mode(0o600)).unwrap();
    assert!(init(plain().env("HOME", folder.path())).0);
    assert!(init(plain().env("PGPASSFILE", &file)).0);
}

#[test]
fn no_error_shows_a_password() {
    for db in [
        "postgres://cimf:s3cret@db/groups?sslmode=on",
        "postgres:/cimf:s3cret@db/groups",
        "postgres://cimf@db/groups?password=p@s3cret&sslmode=on",
        "mysql://cimf:s3cret@db/groups",
    ] {
        let output = cimfctl_output(Path::new(db), &["group", "list"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && !said.is_empty());
        // What is no URL is the name of a file, which is shown.
        assert!(!said.contains("s3cret") || !db.contains("://"), "{said}");
    }
}

#[test]
fn a_replica_is_not_edited_and_no_groups_are_overwritten() {
    let both = Both::new();
    let replica = both.folder.path().join("replica.db");
    let message = both.path("message.sip");
    std::fs::copy(
        crate::support::flow::in_project("tests/flows").join("1-F1-message-in.sip"),
        &message,
    )
    .unwrap();
    let explain = |replica: &Path| {
        let output = Command::new(program())
            .args([
                "explain",
                &message,
                "--set",
                "domains=im.home1.net",
                "--set",
                "core_route=sip:core.home1.net",
            ])
            .args(["--set", &format!("db_url={}", both.postgres.url())])
            .args(["--set", &format!("replica={}", replica.display())])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    };
    both.run("group add sip:hikers@im.home1.net sip:ann@home1.net sip:bob@home1.net");
    let explained = explain(&replica);
    assert!(explained.contains("postgres://cimf:***@"), "{explained}");
    assert!(!replica.exists());
    let url = both.postgres.read_url();
    cimf::store::postgres::replicate(&url, &replica).unwrap();
    let output = cimfctl_output(&replica, &["group", "add", "sip:new@im.home1.net"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("this is a replica of PostgreSQL"),
        "{said}"
    );
    // The file of a node that had its groups to itself.
    let error = cimf::store::postgres::replicate(&url, &both.file())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a database with groups of its own"),
        "{error}"
    );
    assert!(both.run("group list").contains("hikers"));
}
