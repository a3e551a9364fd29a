//! `cimfctl` as an administrator runs it, and a store that looks on.

// Helpers of tests count as tests.
#![allow(clippy::unwrap_used)]

use cimf::control::{Addressing, Directory, Target};
use cimf::control::{Group, Reach};
use cimf::sip::uri::Uri;
use cimf::store::Store;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const HIKERS: &str = "sip:hikers@im.home1.net";
const NOBODY: u32 = 65534;

struct Rig {
    folder: tempfile::TempDir,
    db: PathBuf,
}

impl Rig {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("cimf.db");
        Self { folder, db }
    }

    fn new() -> Self {
        let rig = Self::empty();
        rig.done(&["init"]);
        rig
    }

    fn with_hikers() -> Self {
        let rig = Self::new();
        let add = ["group", "add", HIKERS];
        rig.done(
            &[
                &add[..],
                &["sip:ann@home1.net", "sip:bob@home1.net", "tel:+15551230003"],
            ]
            .concat(),
        );
        rig
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cimfctl"));
        command.arg("--db").arg(&self.db);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// Standard output of a command that succeeds.
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {complaint}");
        text(&output.stdout)
    }

    /// The one line that a refused command writes to standard error.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        complaint
    }

    /// Runs a command with `input` on its standard input.
    fn fed(&self, arguments: &[&str], input: &Path) -> Command {
        let mut command = self.command();
        command.args(arguments).stdin(File::open(input).unwrap());
        command
    }

    fn store(&self) -> Store {
        let addressing = Addressing {
            reach: Reach::Core { tls: false },
            same_number: true,
            domains: vec!["im.home1.net".to_owned()],
        };
        Store::new(&self.db, addressing, 100_000, 200_000)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn find(store: &mut Store, uri: &str) -> Option<Arc<Group>> {
    match Uri::parse(uri.as_bytes()).unwrap() {
        Uri::Sip(sip) => store.find(&sip).unwrap().map(|target| match target {
            Target::Group(group) => group,
            Target::Service(service) => panic!("{} is a service", service.uri),
        }),
        _ => panic!("{uri} is no SIP URI"),
    }
}

#[test]
fn a_group_is_added_shown_listed_and_deleted() {
    let rig = Rig::with_hikers();
    let added = rig.done(&[
        "group",
        "add",
        "sip:All@IM.home1.net",
        "--display-name",
        "All of us",
        "--no-pager-mode",
    ]);
    assert_eq!(added, "added sip:All@im.home1.net with 0 members\n");
    let shown = rig.done(&["group", "show", "SIP:hikers@IM.HOME1.NET"]);
    let (before, after) = shown.split_once("changed ").unwrap();
    assert_eq!(before, "group sip:hikers@im.home1.net\npager-mode 1\n");
    let (date, after) = after.split_once('\n').unwrap();
    assert!(httpdate::parse_http_date(date).unwrap().elapsed().unwrap() < Duration::from_secs(60));
    assert_eq!(
        after,
        "members 3\nmember sip:ann@home1.net\nmember sip:bob@home1.net\nmember tel:+15551230003\n"
    );
    assert_eq!(
        rig.done(&["group", "list"]),
        "sip:All@im.home1.net\t0\t0\tAll of us\nsip:hikers@im.home1.net\t3\t1\t\n"
    );
    assert_eq!(
        rig.done(&["group", "del", HIKERS]),
        "deleted sip:hikers@im.home1.net with 3 members\n"
    );
    assert!(
        rig.refused(&["group", "show", HIKERS])
            .contains("there is no group sip:hikers@im.home1.net")
    );
}

#[test]
fn members_are_added_and_deleted_by_equality() {
    // C-1, C-3.
    let rig = Rig::with_hikers();
    let complaint = rig.refused(&[
        "member",
        "add",
        HIKERS,
        "sip:cho@home2.net",
        "tel:+1-555-123-0003",
    ]);
    assert_eq!(
        complaint,
        "cimfctl: group sip:hikers@im.home1.net: tel:+1-555-123-0003 is already a member as tel:+15551230003; nothing was added, leave it out\n"
    );
    let added = rig.done(&["member", "add", HIKERS, "sip:cho@home2.net"]);
    assert_eq!(added, "added 1 member to sip:hikers@im.home1.net\n");
    let deleted = rig.done(&[
        "member",
        "del",
        HIKERS,
        "sip:%63ho@HOME2.net",
        "tel:+1-555-123-0003",
    ]);
    assert_eq!(
        deleted,
        "deleted sip:cho@home2.net\ndeleted tel:+15551230003\n"
    );
    let complaint = rig.refused(&["member", "del", HIKERS, "sip:cho@home2.net"]);
    assert!(
        complaint.contains("sip:cho@home2.net is no member; nothing was deleted"),
        "{complaint}"
    );
}

#[test]
fn members_come_from_standard_input_where_a_dash_stands() {
    let rig = Rig::with_hikers();
    let list = rig.folder.path().join("members.txt");
    fs::write(&list, "sip:cho@home2.net\n\n  sip:dee@home1.net\r\n").unwrap();
    let output = rig
        .fed(&["member", "add", HIKERS, "-"], &list)
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stdout),
        "added 2 members to sip:hikers@im.home1.net\n"
    );
    let output = rig
        .fed(&["group", "add", "sip:all@im.home1.net", "-"], &list)
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stdout),
        "added sip:all@im.home1.net with 2 members\n"
    );
    fs::write(&list, b"sip:\xff@h\n").unwrap();
    let output = rig
        .fed(&["member", "add", HIKERS, "-"], &list)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("cimfctl: standard input: "));
}

#[test]
fn the_limit_of_members_is_enforced() {
    // S-3.
    let rig = Rig::with_hikers();
    let complaint = rig.refused(&["member", "add", HIKERS, "sip:c@h", "--max-members", "3"]);
    assert!(
        complaint.contains("would have 4 members, and 3 are allowed"),
        "{complaint}"
    );
    let output = rig.run(&["group", "list", "--max-members", "0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("expected a number from 1 to 10000000"));
}

#[test]
fn a_wrong_command_line_is_exit_status_2_and_a_wrong_address_1() {
    let rig = Rig::new();
    assert_eq!(rig.run(&["group", "ad"]).status.code(), Some(2));
    assert_eq!(rig.run(&["member", "add", HIKERS]).status.code(), Some(2));
    for (uri, reason) in [
        (
            "hikers",
            "\"hikers\" is no address: URI: expected a scheme and a colon at byte 6",
        ),
        (
            "tel:+1555",
            "\"tel:+1555\" cannot be the address of a group or service: expected sip:USER@HOST",
        ),
        ("sip:a\nb@h", "\"sip:a\\nb@h\" is no address"),
    ] {
        let complaint = rig.refused(&["group", "add", uri]);
        assert!(complaint.contains(reason), "{complaint}");
    }
}

#[test]
fn help_has_an_example_for_every_command() {
    let rig = Rig::empty();
    for command in [
        &["--help"][..],
        &["init", "--help"],
        &["group", "add", "--help"],
        &["group", "del", "--help"],
        &["group", "show", "--help"],
        &["group", "list", "--help"],
        &["member", "add", "--help"],
        &["member", "del", "--help"],
        &["check", "--help"],
    ] {
        let help = rig.done(command);
        assert!(
            help.contains("Example") && help.contains("  cimfctl "),
            "{command:?}: {help}"
        );
    }
}

#[test]
fn init_makes_the_folder_and_a_second_init_changes_nothing() {
    let mut rig = Rig::empty();
    rig.db = rig.folder.path().join("a/b/cimf.db");
    let said = rig.done(&["init"]);
    let folder = rig.db.parent().unwrap();
    let (db, folder_shown) = (rig.db.display(), folder.display());
    assert_eq!(
        said,
        format!("{folder_shown}: folder created\n{db}: created\n")
    );
    assert_eq!(
        fs::metadata(folder).unwrap().permissions().mode() & 0o7007,
        0
    );
    let before = fs::read(&rig.db).unwrap();
    assert_eq!(
        rig.done(&["init"]),
        format!("{db}: up to date already, nothing was changed\n")
    );
    assert_eq!(fs::read(&rig.db).unwrap(), before);
}

#[test]
fn the_files_get_the_folders_owner_and_nobody_else_reads_them() {
    let rig = Rig::empty();
    if let Err(error) = chown(rig.folder.path(), Some(NOBODY), Some(NOBODY)) {
        println!("skipped: only root can give a folder away ({error})");
        return;
    }
    rig.done(&["init"]);
    // A reader keeps the log and its index in place.
    let mut store = rig.store();
    assert!(find(&mut store, HIKERS).is_none());
    rig.done(&["group", "add", HIKERS]);
    for name in ["cimf.db", "cimf.db-wal", "cimf.db-shm"] {
        let metadata = fs::metadata(rig.folder.path().join(name)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (NOBODY, NOBODY), "{name}");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o640, "{name}");
    }
    assert!(rig.done(&["check"]).contains("nothing to put right"));
    chown(&rig.db, Some(0), None).unwrap();
    let found = text(&rig.run(&["check"]).stdout);
    assert!(
        found.contains("expected the folder's owner 65534:65534, found 0:65534"),
        "{found}"
    );
}

#[test]
fn a_database_that_cannot_be_used_is_named_with_what_to_do() {
    let rig = Rig::empty();
    let db = rig.db.display().to_string();
    let init = format!("cimfctl --db {db} init");
    let complaint = rig.refused(&["group", "list"]);
    assert!(
        complaint.starts_with(&format!("cimfctl: {db}: ")) && complaint.contains(&init),
        "{complaint}"
    );
    fs::write(&rig.db, "no database ".repeat(100)).unwrap();
    for command in [
        &["init"][..],
        &["group", "list"],
        &["check"],
        &["member", "add", HIKERS, "sip:a@h"],
    ] {
        let complaint = rig.refused(command);
        assert!(
            complaint.contains("expected a database made by `cimfctl init`"),
            "{complaint}"
        );
    }
}

#[test]
fn check_names_members_that_get_no_message() {
    let rig = Rig::with_hikers();
    rig.done(&[
        "member",
        "add",
        HIKERS,
        "sips:eve@home1.net",
        "sip:+15551230003@home1.net;user=phone",
    ]);
    let good = rig.done(&["check"]);
    assert!(
        good.ends_with(": nothing to put right, 1 group, 5 members\n"),
        "{good}"
    );
    let output = rig.run(&[
        "check",
        "--domain",
        "im.home1.net,home1.net",
        "--route",
        "core",
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "cimfctl: 2 things are to be put right, see above\n"
    );
    let found = text(&output.stdout);
    for line in [
        "group sip:hikers@im.home1.net: member sips:eve@home1.net gets no message: a sips address needs a core_route over TLS",
        "group sip:hikers@im.home1.net: member tel:+15551230003 gets no message: the group has this address already",
    ] {
        assert!(found.lines().any(|found| found == line), "{found}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let rig = Rig::with_hikers();
    let list = rig.folder.path().join("members.txt");
    let members: Vec<String> = (0..20_000)
        .map(|n| format!("sip:member{n}@home1.net\n"))
        .collect();
    fs::write(&list, members.concat()).unwrap();
    assert!(
        rig.fed(&["member", "add", HIKERS, "-"], &list)
            .status()
            .unwrap()
            .success()
    );
    let mut command = rig.command();
    command
        .args(["group", "show", HIKERS])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(0), String::new())
    );
}

#[test]
fn a_change_by_another_process_is_seen_at_the_next_look_up() {
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    assert_eq!(find(&mut store, HIKERS).unwrap().members(), 3);
    rig.done(&["member", "del", HIKERS, "sip:bob@home1.net"]);
    assert_eq!(find(&mut store, HIKERS).unwrap().members(), 2);
    rig.done(&["group", "del", HIKERS]);
    assert!(find(&mut store, HIKERS).is_none());
    rig.done(&["group", "add", HIKERS, "sip:cho@home2.net"]);
    assert_eq!(find(&mut store, HIKERS).unwrap().members(), 1);
    assert_eq!(store.statistics().opened, 1);
}

#[test]
fn the_sqlite3_program_can_edit_copy_and_restore() {
    let rig = Rig::with_hikers();
    let copy = rig.folder.path().join("copy.db");
    let mut store = rig.store();
    let sqlite3 = |script: String| {
        let output = Command::new("sqlite3").arg(&rig.db).arg(script).output();
        let output = output.inspect_err(|error| println!("skipped: no sqlite3 program ({error})"));
        output.is_ok_and(|output| {
            assert_eq!(text(&output.stderr), "");
            true
        })
    };
    let insert =
        |name: &str| format!("INSERT INTO member SELECT id, 'sip:{name}@home2.net' FROM im_group");
    let mut members = || {
        let group = find(&mut store, HIKERS).unwrap();
        let members = (0..group.members() as u32).filter_map(|number| group.recipient(number));
        members.map(text).collect::<Vec<_>>().join(" ")
    };
    let three = "sip:ann@home1.net sip:bob@home1.net tel:+15551230003";
    assert_eq!(members(), three);
    if !sqlite3(format!(".backup {}", copy.display())) {
        return;
    }
    sqlite3(insert("cho"));
    assert_eq!(members(), three.replace(" tel", " sip:cho@home2.net tel"));
    // As many edits after the restore as were undone: not to be taken for what was undone.
    sqlite3(format!(".restore {}", copy.display()));
    sqlite3(insert("dee"));
    assert_eq!(members(), three.replace(" tel", " sip:dee@home2.net tel"));
}

#[test]
fn commands_that_run_at_once_wait_for_each_other() {
    let rig = Rig::with_hikers();
    let add = |number: u32| {
        let member = format!("sip:member{number}@home1.net");
        let mut command = rig.command();
        command.args(["member", "add", HIKERS, &member]);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    for round in 0..5 {
        let mut children: Vec<_> = (0..8).map(|number| add(round * 8 + number)).collect();
        assert!(
            children
                .iter_mut()
                .all(|child| child.wait().unwrap().success())
        );
    }
    assert_eq!(find(&mut rig.store(), HIKERS).unwrap().members(), 43);
}

#[test]
fn a_writer_that_is_killed_leaves_the_store_whole() {
    const KILLS: u32 = 10;
    let rig = Rig::with_hikers();
    let list = rig.folder.path().join("members.txt");
    let mut file = File::create(&list).unwrap();
    (0..5000).for_each(|n| writeln!(file, "sip:member{n}@home1.net").unwrap());
    let add = ["member", "add", HIKERS, "-"];
    let start = Instant::now();
    assert!(
        rig.fed(&add, &list)
            .stdout(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    let mut whole = start.elapsed();
    let mut store = rig.store();
    let mut killed = 0;
    for attempt in 0.. {
        assert!(
            attempt < 100,
            "the writer ended before it was killed again and again"
        );
        rig.done(&["group", "del", HIKERS]);
        rig.done(&["group", "add", HIKERS, "sip:ann@home1.net"]);
        let start = Instant::now();
        let mut child = rig.fed(&add, &list).stdout(Stdio::null()).spawn().unwrap();
        while start.elapsed() < whole * killed / KILLS {
            std::thread::sleep(whole / 50);
        }
        child.kill().unwrap();
        match child.wait().unwrap().signal() {
            Some(_) => killed += 1,
            // It was faster than the first; the next is to be killed earlier.
            None => whole = whole * 9 / 10,
        }
        let members = find(&mut store, HIKERS).unwrap().members();
        assert!(members == 1 || members == 5001, "{members} members");
        assert!(rig.done(&["check"]).contains("nothing to put right"));
        if killed == KILLS {
            break;
        }
    }
}
