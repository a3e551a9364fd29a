//! `cimfctl` as an administrator runs it, and a store that looks on.

// Helpers of tests count as tests.
#![allow(clippy::unwrap_used)]

#[path = "support/built.rs"]
mod built;

use cimf::control::{Addressing, Directory, Target};
use cimf::control::{Group, NextHopCapabilities};
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
        let mut command = Command::new(built::program());
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
            next_hop: NextHopCapabilities::Core { tls: false },
            same_number: true,
            tel_domain: None,
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
            Target::UriListService(service) => panic!("{} is a service", service.uri),
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
        "cimfctl: group sip:hikers@im.home1.net: tel:+1-555-123-0003 is already a member as tel:+15551230003; nothing was added, omit it\n"
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
        complaint.contains("sip:cho@home2.net is not a member; nothing was deleted"),
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
            "\"hikers\" is not an address: URI: expected a scheme and a colon at byte 6",
        ),
        (
            "tel:+1555",
            "\"tel:+1555\" cannot be the address of a group or service: expected sip:USER@HOST",
        ),
        ("sip:a\nb@h", "\"sip:a\\nb@h\" is not an address"),
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
        &["group", "set", "--help"],
        &["group", "rename", "--help"],
        &["member", "add", "--help"],
        &["member", "del", "--help"],
        &["member", "set", "--help"],
        &["member", "find", "--help"],
        &["member", "name", "--help"],
        &["service", "add", "--help"],
        &["service", "del", "--help"],
        &["service", "list", "--help"],
        &["consent", "add", "--help"],
        &["consent", "del", "--help"],
        &["consent", "list", "--help"],
        &["import", "--help"],
        &["export", "--help"],
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
        format!("{db}: up to date already, nothing changed\n")
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
    assert!(rig.done(&["check"]).contains("no problems found"));
    chown(&rig.db, Some(0), None).unwrap();
    let found = text(&rig.run(&["check"]).stdout);
    assert!(
        found.contains("expected the folder's owner 65534:65534, found 0:65534"),
        "{found}"
    );
}

#[test]
fn the_database_may_be_named_as_the_proxys_parameter_names_it() {
    let rig = Rig::with_hikers();
    let url = format!("sqlite://{}", rig.db.display());
    let mut command = Command::new(built::program());
    let output = command.args(["--db", &url, "group", "list"]).output();
    let output = output.unwrap();
    assert_eq!(text(&output.stderr), "");
    assert!(text(&output.stdout).contains(HIKERS));
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
        good.ends_with(": no problems found, 1 group, 5 members\n"),
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
        "cimfctl: 2 problems found, see above\n"
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
fn the_whole_database_is_looked_over_as_the_proxy_sees_it() {
    // C-3, H-4, M-7.
    let rig = Rig::with_hikers();
    rig.done(&[
        "member",
        "add",
        HIKERS,
        "sip:+15551230003@home1.net;user=phone",
    ]);
    rig.done(&["group", "add", "sip:all@im.home1.net", HIKERS, "tel:+1-555"]);
    let same = "group sip:hikers@im.home1.net: member tel:+15551230003 gets no message: the group has this address already";
    let number = "group sip:all@im.home1.net: member tel:+1-555 gets no message: a tel address needs a core_route";
    let nested = "group sip:all@im.home1.net: member sip:hikers@im.home1.net gets no message: it is a group or service of this server, and those are no members";
    let domains = "domains=im.home1.net,home1.net";
    let core = ["core_route=sip:core.home1.net", "trusted_peers=10.0.0.1"];
    let direct = ["direct=1", "nested=expand"];
    let converted = [
        "identity_mode=digest",
        "core_route=sip:c",
        "tel_mode=convert",
        "tel_domain=home1.net",
    ];
    for (set, expected) in [
        (&core[..], &[nested, same][..]),
        (&converted[..], &[nested, same][..]),
        (
            &["core_route=sip:c", "nested=expand", "same_number=0"][..],
            &[][..],
        ),
        (&direct[..], &[number, same][..]),
    ] {
        let config = rig.file(
            "kamailio.cfg",
            &set.iter().map(|set| set.split_once('=').unwrap()).fold(
                String::new(),
                |text, (name, value)| {
                    text + &format!("modparam(\"cimf\", \"{name}\", \"{value}\")\n")
                },
            ),
        );
        let mut by_set = vec!["check", "--set", domains];
        by_set.extend(set.iter().flat_map(|set| ["--set", set]));
        let by_config = ["check", "--config", &config, "--set", domains];
        for arguments in [&by_set[..], &by_config] {
            let found = text(&rig.run(arguments).stdout);
            let found: Vec<&str> = found
                .lines()
                .filter(|line| line.starts_with("group"))
                .collect();
            assert_eq!(found, expected, "{arguments:?}");
        }
    }
    let output = rig.run(&["check", "--set", "domains=home1.net"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("core_route"), "{output:?}");
    let both = rig.run(&["check", "--domain", "home1.net", "--set", "direct=1"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn check_finds_groups_and_services_that_no_message_can_match() {
    // A-3, A-6.
    let rig = Rig::with_hikers();
    rig.done(&["group", "add", "sip:climbers@gone.net", "sip:ann@home1.net"]);
    rig.done(&["group", "add", "sip:all@IM.home1.net:5080"]);
    rig.done(&["service", "add", "sip:listsvc@gone.net"]);
    rig.done(&["service", "add", LIST]);
    let found = |arguments: &[&str]| {
        let output = rig.run(&[&["check"], arguments].concat());
        let lines = text(&output.stdout);
        (
            output.status.code(),
            lines.lines().map(str::to_owned).collect::<Vec<_>>(),
        )
    };
    // Nobody has said which domains the proxy serves.
    let (status, lines) = found(&[]);
    assert_eq!(status, Some(0));
    assert!(lines[0].starts_with(
        "not checked whether the groups and services are in the proxy's domains; name those with --config FILE"
    ));
    assert_eq!(lines.len(), 2, "{lines:?}");
    let config = rig.file(
        "kamailio.cfg",
        "modparam(\"cimf\", \"domains\", \"im.home1.net,home1.net\")\nmodparam(\"cimf\", \"core_route\", \"sip:c\")\n",
    );
    let wanted = |word: &str, uri: &str| {
        format!(
            "{word} {uri}: no message reaches it: gone.net is not one of the proxy's domains (im.home1.net, home1.net); add it to `domains`, or add the {word} again under one of them and delete this one with `cimfctl {word} del`"
        )
    };
    let outside = [
        wanted("service", "sip:listsvc@gone.net"),
        wanted("group", "sip:climbers@gone.net"),
    ];
    for arguments in [
        &["--config", config.as_str()][..],
        &[
            "--set",
            "domains=im.home1.net,home1.net",
            "--set",
            "core_route=sip:c",
        ],
        &["--domain", "im.home1.net,home1.net"],
    ] {
        assert_eq!(
            found(arguments),
            (Some(1), outside.to_vec()),
            "{arguments:?}"
        );
    }
    let all = ["--domain", "im.home1.net,GONE.net"];
    assert_eq!(found(&all).0, Some(0));
    // What only SQL can make: other spellings, of somebody else's address and of a free one, and no address.
    let database = rusqlite::Connection::open(&rig.db).unwrap();
    let sql = "INSERT INTO im_group (id, uri) VALUES (101, 'sip:%68ikers@im.home1.net'),
        (102, 'sip:%6F''connor@im.home1.net'), (103, 'sip:a@im.home1.net:0')";
    database.execute_batch(sql).unwrap();
    let (status, lines) = found(&all);
    assert_eq!(status, Some(1));
    for line in [
        "group sip:%68ikers@im.home1.net: expected the canonical form sip:hikers@im.home1.net: messages to that address reach another one; move what is missing there to it, and delete this one with `DELETE FROM im_group WHERE id = 101` in sqlite3",
        "group sip:%6F\\'connor@im.home1.net: expected the canonical form sip:o'connor@im.home1.net: no message reaches it as it is; change it with `UPDATE im_group SET uri = 'sip:o''connor@im.home1.net' WHERE id = 102` in sqlite3",
    ] {
        assert!(lines.contains(&line.to_owned()), "{line}\n{lines:#?}");
    }
    let starts = |start: &str| lines.iter().any(|line| line.starts_with(start));
    assert!(
        starts("group sip:a@im.home1.net:0: no message reaches it: "),
        "{lines:#?}"
    );
    // What is advised helps.
    database
        .execute_batch(
            "DELETE FROM im_group WHERE id = 101;
         UPDATE im_group SET uri = 'sip:o''connor@im.home1.net' WHERE id = 102;
         DELETE FROM im_group WHERE id = 103",
        )
        .unwrap();
    assert_eq!(found(&all).0, Some(0));
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
        assert!(rig.done(&["check"]).contains("no problems found"));
        if killed == KILLS {
            break;
        }
    }
}

const LIST: &str = "sip:listsvc@im.home1.net";

#[test]
fn a_service_and_its_consents_are_kept() {
    // A-5, U-12.
    let rig = Rig::with_hikers();
    assert_eq!(
        rig.done(&["service", "add", "SIP:listsvc@IM.home1.net;x=1"]),
        "added service sip:listsvc@im.home1.net\n"
    );
    rig.done(&["service", "add", "sip:off@im.home1.net", "--no-pager-mode"]);
    assert_eq!(
        rig.done(&["consent", "add", LIST, "sip:cho@home2.net", "tel:+1-555"]),
        "added 2 consents to sip:listsvc@im.home1.net\n"
    );
    assert_eq!(
        rig.done(&[
            "consent",
            "add",
            LIST,
            "sip:%63ho@home2.net",
            "sip:dee@home1.net"
        ]),
        "added 1 consent to sip:listsvc@im.home1.net\n"
    );
    assert_eq!(
        rig.done(&["service", "list"]),
        "sip:listsvc@im.home1.net\t3\t1\nsip:off@im.home1.net\t0\t0\n"
    );
    assert_eq!(
        rig.done(&["consent", "list", LIST]),
        "sip:cho@home2.net\nsip:dee@home1.net\ntel:+1-555\n"
    );
    assert_eq!(
        rig.done(&["consent", "del", LIST, "tel:+1555"]),
        "deleted tel:+1-555\n"
    );
    let complaint = rig.refused(&["consent", "del", LIST, "sip:dee@home1.net", "tel:+1555"]);
    assert!(
        complaint.contains(
            "service sip:listsvc@im.home1.net: tel:+1555 has not consented; nothing was deleted"
        ),
        "{complaint}"
    );
    assert!(
        rig.done(&["check"])
            .ends_with("1 group, 3 members, 2 services\n")
    );
    for (arguments, reason) in [
        (
            ["service", "add", HIKERS],
            "is a group, and a service needs an address of its own",
        ),
        (
            ["service", "add", LIST],
            "the service sip:listsvc@im.home1.net exists already",
        ),
        (
            ["group", "add", LIST],
            "is a service, and a group needs an address of its own",
        ),
        (
            ["consent", "list", HIKERS],
            "there is no service sip:hikers@im.home1.net",
        ),
        (["service", "del", "sip:x@h"], "there is no service sip:x@h"),
    ] {
        let complaint = rig.refused(&arguments);
        assert!(complaint.contains(reason), "{complaint}");
    }
    let note = rig.run(&["member", "add", HIKERS, LIST]);
    assert!(text(&note.stderr).contains("is a group or service here"));
    assert_eq!(
        rig.done(&["service", "del", LIST]),
        "deleted service sip:listsvc@im.home1.net with 2 consents\n"
    );
}

/// A group document with something of everything, and something that cannot be kept.
const DOCUMENT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<group xmlns="urn:oma:xml:poc:list-service" xmlns:cr="urn:ietf:params:xml:ns:common-policy"
       xmlns:ocr="urn:oma:xml:xdm:common-policy">
  <list-service uri="sip:Walkers@IM.home1.net">
    <display-name>Walkers &amp; co</display-name>
    <list>
      <entry uri="sip:ann@home1.net"><display-name>Ann</display-name></entry>
      <entry uri="mailto:bob@home1.net"/>
      <entry uri="SIP:ann@HOME1.net"/>
      <entry uri="tel:+1-555"/>
      <entry uri="sip:hikers@im.home1.net"/>
      <external anchor="http://xcap/resource-lists/users/sip:ann@home1.net/index/~~/resource-lists/list%5b@name=%22f%22%5d"/>
    </list>
    <invite-members>false</invite-members>
    <max-participant-count>5</max-participant-count>
    <cr:ruleset>
      <cr:rule id="1">
        <cr:conditions>
          <cr:identity><cr:many domain="home1.net"><cr:except id="sip:eve@home1.net"/></cr:many></cr:identity>
          <cr:validity><cr:from>2020-01-01T00:00:00Z</cr:from><cr:until>2030-01-01T00:00:00Z</cr:until></cr:validity>
        </cr:conditions>
        <cr:actions><allow-initiate-conference>true</allow-initiate-conference></cr:actions>
      </cr:rule>
      <cr:rule id="2">
        <cr:conditions>
          <ocr:external-list><ocr:entry anc="resource-lists/users/sip:ann@home1.net/index"/></ocr:external-list>
        </cr:conditions>
        <cr:actions><allow-anonymity>true</allow-anonymity></cr:actions>
      </cr:rule>
    </cr:ruleset>
    <search xmlns="urn:x">no</search>
  </list-service>
</group>
"#;

const INDEX: &str = r#"<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">
<list name="f"><entry uri="sip:cho@home2.net"><display-name>Cho</display-name></entry></list>
<list><entry uri="sip:dee@home1.net"/></list>
</resource-lists>"#;

const WALKERS: &str = "sip:Walkers@im.home1.net";

impl Rig {
    /// What is stored of the lists that rules name: their addresses and entries.
    fn listed(&self) -> Vec<(String, String)> {
        let database = rusqlite::Connection::open(&self.db).unwrap();
        let sql = "SELECT anchor, uri FROM rule_list ORDER BY 1, 2";
        let mut select = database.prepare(sql).unwrap();
        let rows = select
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// Writes a file of the rig and returns its name.
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }
}

#[test]
fn an_export_that_is_refused_writes_nothing() {
    let rig = Rig::with_hikers();
    for format in [&["export"][..], &["export", "--lists"]] {
        let output = rig.run(&[format, &["sip:nope@im.home1.net"]].concat());
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stdout), "");
        let nothing = Rig::new().done(format);
        assert!(nothing.starts_with("<?xml "), "{nothing}");
    }
}

#[test]
fn a_tree_of_documents_is_exported_and_imported_again() {
    // G-2.
    let rig = Rig::with_hikers();
    let friends = "http://h/xcap/resource-lists/users/sip:ann@home1.net/index/~~/resource-lists/list%5b@name=%22f%22%5d";
    let first = "resource-lists/users/sip:ann@home1.net/index/~~/resource-lists/list[1]";
    let rule = format!(
        "<cr:rule id=\"3\"><cr:conditions><ocr:external-list><ocr:entry anc=\"{friends}\"/></ocr:external-list></cr:conditions></cr:rule></cr:ruleset>"
    );
    let document = DOCUMENT.replace("</cr:ruleset>", &rule);
    let file = rig.file("walkers.xml", &document);
    rig.file("xcap/resource-lists/users/sip:ann@home1.net/index", INDEX);
    let folder = |name: &str| rig.folder.path().join(name).display().to_string();
    rig.done(&["import", &file, "--xcap-root", &folder("xcap")]);
    let exported = rig.run(&["export", "--xcap-root", &folder("tree")]);
    assert_eq!(text(&exported.stderr), "");
    assert!(exported.status.success() && exported.stdout.is_empty());
    let other = Rig::new();
    let imported = other.run(&["import", "--xcap-root", &folder("tree")]);
    assert_eq!(
        text(&imported.stdout),
        "added sip:Walkers@im.home1.net with 4 members\nadded sip:hikers@im.home1.net with 3 members\n"
    );
    assert!(!text(&imported.stderr).contains("list"), "{imported:?}");
    assert_eq!(other.done(&["export"]), rig.done(&["export"]));
    assert_eq!(other.listed(), rig.listed());
    assert_eq!(rig.listed().len(), 3);
    // What is there would be imported as well.
    let again = rig.run(&["export", "--xcap-root", &folder("tree")]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("not empty"), "{again:?}");
    // A list that is told by its number cannot be where that leads to; it is named.
    let file = rig.file("walkers.xml", &document.replace(friends, first));
    rig.done(&["import", &file, "--xcap-root", &folder("xcap")]);
    let exported = rig.run(&["export", "--xcap-root", &folder("other")]);
    let said = text(&exported.stderr);
    assert!(exported.status.success());
    assert!(said.contains(first) && said.lines().count() == 1, "{said}");
}

#[test]
fn what_was_imported_is_exported_and_imported_again() {
    // G-1 to G-5, X-3.
    let rig = Rig::with_hikers();
    let file = rig.file("walkers.xml", DOCUMENT);
    rig.file("xcap/resource-lists/users/sip:ann@home1.net/index", INDEX);
    let folder = rig.folder.path().join("xcap").display().to_string();
    let imported = rig.run(&["import", &file, "--xcap-root", &folder]);
    assert_eq!(
        text(&imported.stdout),
        "added sip:Walkers@im.home1.net with 4 members\n"
    );
    let said = text(&imported.stderr);
    let expected = [
        format!("note: {file}: line 31: element search in list-service is left out"),
        format!("note: {file}: line 8: entry is left out: \"mailto:bob@home1.net\" cannot be sent to: expected a sip, sips or tel address"),
        format!("note: {file}: line 9: entry is left out: SIP:ann@HOME1.net is the address sip:ann@home1.net again"),
        "note: sip:hikers@im.home1.net is a group or service here: as a member it gets no message, unless it is a group and the proxy's parameter is nested=expand".to_owned(),
    ];
    let lines: Vec<&str> = said.lines().collect();
    let expected = expected.map(|line| format!("cimfctl: {line}"));
    assert_eq!(lines, expected);

    let exported = rig.run(&["export", WALKERS]);
    assert_eq!(
        text(&exported.stderr),
        "cimfctl: note: group sip:Walkers@im.home1.net: the entries of the lists that its rules name are left out; --xcap-root writes them too\n"
    );
    let first = text(&exported.stdout);
    for piece in [
        "<list-service uri=\"sip:Walkers@im.home1.net\">",
        "<display-name>Walkers &amp; co</display-name>",
        "<entry uri=\"sip:ann@home1.net\"><display-name>Ann</display-name></entry>",
        "<entry uri=\"sip:cho@home2.net\"><display-name>Cho</display-name></entry>",
        "<entry uri=\"tel:+1-555\"/>",
        "<invite-members>false</invite-members>",
        "<max-participant-count>5</max-participant-count>",
        "<cp:except id=\"sip:eve@home1.net\"/>",
        "<cp:until>2030-01-01T00:00:00Z</cp:until>",
        "<ocp:entry anc=\"resource-lists/users/sip:ann@home1.net/index\"/>",
        "<ls:allow-anonymity>true</ls:allow-anonymity>",
    ] {
        assert!(first.contains(piece), "{piece}: {first}");
    }
    // Into another database, and back into the same: the same document comes out.
    let again = rig.file("again.xml", &first);
    let other = Rig::new();
    let imported = other.run(&["import", &again]);
    assert_eq!(
        text(&imported.stdout),
        "added sip:Walkers@im.home1.net with 4 members\n"
    );
    assert!(text(&imported.stderr).contains("is not looked up without --xcap-root"));
    assert_eq!(other.done(&["export"]), first);
    assert_eq!(
        rig.done(&["import", &again]),
        "replaced sip:Walkers@im.home1.net with 4 members\n"
    );
    let exported = rig.run(&["export", WALKERS]);
    assert_eq!(text(&exported.stdout), first);
    // There, who is in the list of the rule has been kept.
    assert!(text(&exported.stderr).contains("the entries of the lists"));
}

#[test]
fn an_import_replaces_members_and_keeps_what_it_does_not_speak_of() {
    let rig = Rig::with_hikers();
    let file = rig.file("walkers.xml", DOCUMENT);
    rig.run(&["import", &file]);
    let list = rig.file(
        "list.xml",
        r#"<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">
        <list name="sip:Walkers@im.home1.net"><entry uri="sip:eve@home1.net"/></list>
        <list name="a"><entry uri="sip:ann@home1.net"/></list><list><entry uri="sip:fay@home1.net"/></list>
        </resource-lists>"#,
    );
    let complaint = rig.refused(&["import", &list]);
    assert!(
        complaint.ends_with(&format!("{list}: line 3: the list does not name a group; name one with --group URI; nothing was changed\n")),
        "{complaint}"
    );
    assert_eq!(
        rig.done(&["import", &list, "--group", HIKERS]),
        "replaced sip:Walkers@im.home1.net with 1 member\nreplaced sip:hikers@im.home1.net with 2 members\n"
    );
    let exported = rig.run(&["export"]);
    let exported = text(&exported.stdout);
    assert!(
        exported.contains("<entry uri=\"sip:eve@home1.net\"/>"),
        "{exported}"
    );
    assert!(!exported.contains("bob"), "{exported}");
    assert!(
        exported.contains("Walkers &amp; co")
            && exported.contains("sip:eve@home1.net\"/>\n    </list>")
    );
    assert!(exported.contains("<cp:rule id=\"1\">"), "{exported}");
}

#[test]
fn resource_lists_are_written_and_read() {
    let rig = Rig::with_hikers();
    rig.done(&[
        "group",
        "add",
        "sip:all@im.home1.net",
        "--display-name",
        "All",
        "--no-pager-mode",
    ]);
    let exported = rig.run(&["export", "--lists"]);
    assert_eq!(
        text(&exported.stderr),
        "cimfctl: note: group sip:all@im.home1.net: pager-mode 0 is left out: where the group is imported, it accepts messages\n"
    );
    let file = rig.file("lists.xml", &text(&exported.stdout));
    let other = Rig::new();
    assert_eq!(
        text(
            &other
                .fed(&["import", "-"], Path::new(&file))
                .output()
                .unwrap()
                .stdout
        ),
        "added sip:all@im.home1.net with 0 members\nadded sip:hikers@im.home1.net with 3 members\n"
    );
    assert_eq!(other.done(&["export", "--lists"]), text(&exported.stdout));
}

#[test]
fn a_tree_of_documents_is_imported_as_xcap_has_it() {
    // G-2.
    let rig = Rig::new();
    let xcap = rig.folder.path().join("xcap").display().to_string();
    fs::create_dir(&xcap).unwrap();
    let complaint = rig.refused(&["import", "--xcap-root", &xcap]);
    assert!(complaint.contains("no group documents"), "{complaint}");
    let group = |user: &str| {
        format!(
            "<group xmlns='urn:oma:xml:poc:list-service'><list-service uri='sip:{user}@im.home1.net'><list><external anchor='https://xcap.home1.net/x/resource-lists/users/a/index'/></list></list-service></group>"
        )
    };
    rig.file(
        "xcap/org.openmobilealliance.groups/global/byGroupID/sip%3Aa%40im.home1.net",
        &group("a"),
    );
    rig.file(
        "xcap/org.openmobilealliance.poc-groups/users/sip:ann@home1.net/b",
        &group("b"),
    );
    rig.file("xcap/resource-lists/users/a/index", INDEX);
    assert_eq!(
        rig.done(&["import", "--xcap-root", &xcap]),
        "added sip:a@im.home1.net with 2 members\nadded sip:b@im.home1.net with 2 members\n"
    );
}

#[test]
fn an_import_is_all_or_nothing_and_says_what_is_wrong_where() {
    let rig = Rig::with_hikers();
    let good = rig.file("good.xml", DOCUMENT);
    let bad = rig.file(
        "bad.xml",
        &DOCUMENT.replace("max-participant-count>5", "max-participant-count>x"),
    );
    let latin = rig.file("latin.xml", "");
    let (head, tail) = DOCUMENT.split_once("count>5").unwrap();
    fs::write(
        &latin,
        [head.as_bytes(), b"count>\xfc", tail.as_bytes()].concat(),
    )
    .unwrap();
    let before = rig.done(&["group", "list"]);
    let output = rig.run(&["import", &good, &bad]);
    assert_eq!(output.status.code(), Some(1));
    let complaint = text(&output.stderr);
    assert!(
        complaint.ends_with(&format!(
            "cimfctl: {bad}: line 15: expected a number, found `x`; nothing was changed\n"
        )),
        "{complaint}"
    );
    for (file, reason) in [
        (
            rig.file(
                "entity.xml",
                "<!DOCTYPE g [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><g>&a;</g>",
            ),
            "no document type declaration",
        ),
        (
            rig.folder.path().join("nosuch").display().to_string(),
            "there is no such file; check the path",
        ),
        (
            rig.folder.path().display().to_string(),
            "expected a file, found a folder",
        ),
        (
            latin,
            "line 15: expected text in UTF-8, found the byte 0xfc; if it is in Latin-1, as of Windows, convert it first: `iconv",
        ),
    ] {
        let complaint = rig.refused(&["import", &file]);
        assert!(
            complaint.contains(&file) && complaint.contains(reason),
            "{complaint}"
        );
    }
    let service = rig.file("service.xml", &DOCUMENT.replace("Walkers@IM", "listsvc@IM"));
    rig.done(&["service", "add", LIST]);
    let complaint = text(&rig.run(&["import", &good, &service]).stderr);
    assert!(
        complaint.contains("is a service, and a group needs"),
        "{complaint}"
    );
    assert_eq!(rig.done(&["group", "list"]), before);
    assert_eq!(rig.run(&["import"]).status.code(), Some(2));
    // Entries over the limit are refused, not cut.
    let complaint = rig.refused(&["import", &again(&rig), "--max-members", "3"]);
    assert!(
        complaint.contains("line 2: the group has more than 3 entries"),
        "{complaint}"
    );
}

/// A file with a list of four, one of them twice, for the hikers.
fn again(rig: &Rig) -> String {
    let entries = ["ann", "bob", "cho", "ann"].map(|user| format!("<entry uri='sip:{user}@h'/>"));
    let entries = entries.concat();
    rig.file("four.xml", &format!("<resource-lists xmlns='urn:ietf:params:xml:ns:resource-lists'>\n<list name='{HIKERS}'>{entries}</list></resource-lists>"))
}

#[test]
fn several_lists_for_one_group_are_one_list() {
    let rig = Rig::new();
    let list = |user: &str| {
        format!(
            "<resource-lists xmlns='urn:ietf:params:xml:ns:resource-lists'>\n<list><entry uri='sip:{user}@h'/>\n<entry uri='im:{user}@h'/></list></resource-lists>"
        )
    };
    let (one, two) = (
        rig.file("one.xml", &list("ann")),
        rig.file("two.xml", &list("bob")),
    );
    let output = rig.run(&["import", "--group", HIKERS, &one, &two]);
    assert_eq!(
        text(&output.stdout),
        "added sip:hikers@im.home1.net with 2 members\n"
    );
    let complaint = text(&output.stderr);
    let [first, second] = complaint.lines().collect::<Vec<_>>()[..] else {
        panic!("{complaint}");
    };
    assert!(
        first.contains(&format!("{one}: line 3: entry is left out")),
        "{first}"
    );
    assert!(
        second.contains(&format!("{two}: line 3: entry is left out")),
        "{second}"
    );
}
