//! `cimfctl import --imc`: rooms of the proxies' own module, out of whatever keeps them, into a file and into PostgreSQL.

// Helpers of tests count as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "support/both.rs"]
#[allow(dead_code)]
mod both;

#[path = "support/mod.rs"]
#[allow(unused_imports)]
mod support;

use both::Both;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use support::built::{cimfctl, program};

/// Nobody's user and group.
const NOBODY: u32 = 65534;

/// The tables as both proxies make them, for SQLite and PostgreSQL.
const TABLES: &str = "CREATE TABLE imc_rooms (id INTEGER PRIMARY KEY NOT NULL, name VARCHAR(64) NOT NULL,
  domain VARCHAR(64) NOT NULL, flag INTEGER NOT NULL);
CREATE TABLE imc_members (id INTEGER PRIMARY KEY NOT NULL, username VARCHAR(64) NOT NULL, domain VARCHAR(64) NOT NULL,
  room VARCHAR(64) NOT NULL, flag INTEGER NOT NULL);
CREATE TABLE version (table_name VARCHAR(32) NOT NULL, note VARCHAR(64));
INSERT INTO version VALUES ('imc_rooms', 'it''s; a trap (');
";

const ROWS: &str = "INSERT INTO imc_rooms VALUES (1, 'hikers', 'IM.home1.net', 0);
INSERT INTO imc_rooms VALUES (2, 'o''hara', 'im.home1.net', 1);
INSERT INTO imc_rooms VALUES (3, 'gone', 'im.home1.net', 2);
INSERT INTO imc_rooms VALUES (4, 'two words', 'im.home1.net', 0);
INSERT INTO imc_members VALUES (10, 'ann', 'home1.net', 'sip:hikers@IM.home1.net', 1);
INSERT INTO imc_members VALUES (11, 'bob', 'home1.net', 'sip:hikers@im.home1.net', 0);
INSERT INTO imc_members VALUES (12, 'cho', 'home2.net', 'sip:hikers@IM.home1.net', 4);
INSERT INTO imc_members VALUES (13, 'dee', 'home1.net', 'sip:hikers@IM.home1.net', 8);
INSERT INTO imc_members VALUES (14, 'e e', 'home1.net', 'sip:hikers@IM.home1.net', 0);
INSERT INTO imc_members VALUES (15, 'bob', 'HOME1.net', 'sip:hikers@IM.home1.net', 2);
INSERT INTO imc_members VALUES (16, 'o''hara', 'home1.net', 'sip:o''hara@im.home1.net', 3);
INSERT INTO imc_members VALUES (17, 'fay', 'home1.net', 'sip:gone@im.home1.net', 0);
INSERT INTO imc_members VALUES (18, 'gil', 'home1.net', 'sip:gone@im.home1.net', 0);
INSERT INTO imc_members VALUES (19, 'hal', 'home1.net', 'sip:nowhere@im.home1.net', 0);
";

/// What mysqldump makes of the same rows.
fn mysql_dump() -> String {
    let mut dump = "-- MySQL dump 10.13\n/*!40101 SET NAMES utf8 */;\nCREATE TABLE `imc_rooms` (\n  `id` int(10) unsigned NOT NULL,\n  KEY `a;b` (`id`)\n);\nLOCK TABLES `imc_rooms` WRITE;\n".to_owned();
    for table in ["imc_rooms", "imc_members"] {
        let start = format!("INSERT INTO {table} VALUES ");
        let rows = ROWS.lines().filter_map(|line| line.strip_prefix(&start));
        let rows: Vec<_> = rows.map(|row| row.trim_end_matches(';')).collect();
        let rows = rows.join(",").replace("''", "\\'");
        dump += &format!("INSERT INTO `{table}` VALUES {rows};\n");
    }
    dump + "UNLOCK TABLES;\n"
}

const TAKEN: &str = "added sip:hikers@im.home1.net with 2 members
added sip:o'hara@im.home1.net with 1 member
done: 2 groups with 3 members, 9 rows of imc left out
";
const AGAIN: &str = "not changed: sip:hikers@im.home1.net, 2 members
not changed: sip:o'hara@im.home1.net, 1 member
nothing changed: 2 groups with 3 members, 9 rows of imc left out
";

/// Takes everything over from a source, twice; gives what it was told of.
#[track_caller]
fn take_over(both: &Both, source: &str) -> Vec<String> {
    let words = ["import", "--imc", source];
    let before = both.revisions();
    let rehearsed = both.outcome(&["import", "--imc", source, "--dry-run"], "");
    let would = TAKEN.replace("added", "would add");
    assert_eq!(
        rehearsed.1,
        would.replace("done", "nothing changed because of --dry-run")
    );
    assert_eq!(both.revisions(), before);
    let (status, said, told) = both.outcome(&words, "");
    assert_eq!((status, said.as_str()), (Some(0), TAKEN), "{told}");
    assert_eq!(told, rehearsed.2);
    let after = both.revisions();
    let (status, said, _) = both.outcome(&words, "");
    assert_eq!((status, said.as_str()), (Some(0), AGAIN));
    assert_eq!(both.revisions(), after);
    let shown = both.done("group show sip:hikers@im.home1.net", "");
    assert!(
        shown.ends_with("members 2\nmember sip:ann@home1.net\nmember sip:bob@home1.net\n"),
        "{shown}"
    );
    both.run("group del sip:hikers@im.home1.net");
    both.run("group del sip:o'hara@im.home1.net");
    told.lines().map(str::to_owned).collect()
}

/// What is told of the rows, with their places as `place` has them.
fn expected(source: &str, place: impl Fn(u32) -> String) -> Vec<String> {
    let rows = [
        (
            3,
            "room sip:gone@im.home1.net is left out: deleted (flag 2), and with it the rows of 2 of its members",
        ),
        (
            4,
            "room sip:two words@im.home1.net is left out: \"sip:two words@im.home1.net\" is not an address: URI: ",
        ),
        (
            12,
            "member sip:cho@home2.net of sip:hikers@IM.home1.net is left out: invited, and has not accepted (flag 4)",
        ),
        (
            13,
            "member sip:dee@home1.net of sip:hikers@IM.home1.net is left out: deleted (flag 8)",
        ),
        (
            19,
            "member sip:hal@home1.net of sip:nowhere@im.home1.net is left out: imc_rooms has no such room",
        ),
        (
            14,
            "member sip:e e@home1.net of sip:hikers@im.home1.net is left out: \"sip:e e@home1.net\" is not an address: URI: ",
        ),
        (
            15,
            "member sip:bob@HOME1.net of sip:hikers@im.home1.net is left out: sip:bob@HOME1.net is the address sip:bob@home1.net again",
        ),
    ];
    let lines = rows.map(|(id, text)| format!("cimfctl: note: {source}: {}: {text}", place(id)));
    let roles = "cimfctl: note: 3 owners or administrators of rooms are members like all others: groups have no such roles";
    [lines.to_vec(), vec![roles.to_owned()]].concat()
}

#[track_caller]
fn assert_told(told: &[String], expected: &[String]) {
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (line, expected) in told.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

#[test]
fn rooms_are_taken_over_from_every_source_alike() {
    let both = Both::new();
    let id = |id: u32| format!("id {id}");
    // Of a dump with a row on each line, whose first rows are on the line `first`.
    let lines = |first: u32| {
        move |id: u32| {
            format!(
                "line {}",
                if id < 10 {
                    first + id - 1
                } else {
                    first + id - 6
                }
            )
        }
    };

    let mysql = both.write("mysql.sql", mysql_dump());
    let told = take_over(&both, &mysql);
    assert_told(
        &told,
        &expected(&mysql, |id| {
            if id < 10 { "line 8" } else { "line 9" }.to_owned()
        }),
    );

    let inserts = both.write("inserts.sql", format!("{TABLES}{ROWS}"));
    assert_told(&take_over(&both, &inserts), &expected(&inserts, lines(7)));

    let sqlite = both.path("imc.sqlite");
    let file = rusqlite::Connection::open(&sqlite).unwrap();
    file.execute_batch(&format!("{TABLES}{ROWS}")).unwrap();
    drop(file);
    let bytes = std::fs::read(&sqlite).unwrap();
    for source in [
        sqlite.clone(),
        format!("sqlite:{sqlite}"),
        format!("sqlite://{sqlite}"),
    ] {
        assert_told(&take_over(&both, &source), &expected(&sqlite, id));
    }
    assert_eq!(std::fs::read(&sqlite).unwrap(), bytes);

    match Command::new("sqlite3").args([&sqlite, ".dump"]).output() {
        Ok(dump) => {
            let dump = both.write("sqlite.sql", dump.stdout);
            let told = take_over(&both, &dump);
            assert_eq!(told.len(), 8, "{told:#?}");
        }
        Err(error) => eprintln!("skipped: no sqlite3 program ({error})"),
    }

    // Its user has a schema of the same name, that of the groups.
    both.postgres
        .psql(&format!("SET search_path = public; {TABLES}{ROWS}"));
    let url = both.postgres.url();
    let told = take_over(&both, &url);
    assert_told(&told, &expected("DB", id));

    let dump = both.write("pg.sql", both.postgres.dump());
    let told = take_over(&both, &dump);
    assert_eq!(told.len(), 8, "{told:#?}");
    let dump = both.postgres.dump_with(&["--inserts"]);
    let dump = both.write("pg-inserts.sql", dump);
    assert_eq!(take_over(&both, &dump).len(), 8);
}

#[test]
fn an_existing_group_gets_the_members_of_the_room_and_keeps_names() {
    let both = Both::new();
    both.run("group add sip:hikers@im.home1.net sip:eve@home1.net");
    both.run("group set sip:hikers@im.home1.net --display-name Hikers");
    both.run("member add sip:hikers@im.home1.net SIP:bob@home1.net --name Bob");
    let dump = "INSERT INTO imc_rooms VALUES (1,'hikers','im.home1.net',0);\nINSERT INTO imc_members VALUES (1,'ann','home1.net','sip:hikers@im.home1.net',0),(2,'bob','home1.net','sip:hikers@im.home1.net',0);\n";
    let words = ["import", "--imc", "-"];
    let (status, said, told) = both.outcome(&words, dump);
    assert_eq!((status, told.as_str()), (Some(0), ""));
    assert_eq!(
        said,
        "set sip:hikers@im.home1.net, 2 members\nadded sip:ann@home1.net to sip:hikers@im.home1.net\ndeleted sip:eve@home1.net from sip:hikers@im.home1.net\ndone: 1 group with 2 members, 0 rows of imc left out\n"
    );
    let shown = both.done("group show sip:hikers@im.home1.net", "");
    assert_eq!(
        shown,
        "group sip:hikers@im.home1.net\ndisplay-name Hikers\npager-mode 1\nmembers 2\nmember SIP:bob@home1.net\tBob\nmember sip:ann@home1.net\n"
    );
    let domain = ["import", "--imc", "-", "--room-domain", "IM2.home1.net"];
    let (_, said, _) = both.outcome(&domain, dump);
    assert!(
        said.starts_with("added sip:hikers@im2.home1.net with 2 members\n"),
        "{said}"
    );
    let quiet = both.outcome(&["-q", "import", "--imc", "-"], &dump.replace("bob", "b b"));
    assert_eq!(quiet, (Some(0), String::new(), String::new()));
}

#[test]
fn what_cannot_be_taken_over_is_refused_with_what_to_do() {
    let both = Both::new();
    let half = both.write(
        "half.sql",
        "INSERT INTO `imc_rooms` VALUES (1,'r','h',0);\n\nINSERT INTO `imc_members` VALUES (1,'a",
    );
    let rooms = both.write("rooms.sql", "INSERT INTO imc_rooms VALUES (1,'r','h',0);\n");
    let other = both.path("other.sqlite");
    rusqlite::Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE t (a)")
        .unwrap();
    let nowhere = both.path("nosuch.sql");
    both.run("service add sip:listsvc@im.home1.net");
    let service = "INSERT INTO imc_rooms VALUES (1,'r','h',0),(2,'listsvc','im.home1.net',0);\nINSERT INTO imc_members VALUES (1,'a','h','sip:r@h',0);";
    let service = both.write("service.sql", service);
    for (source, reason) in [
        (
            half.as_str(),
            "half.sql: line 3: expected a closing ', found the end of the dump; nothing was changed",
        ),
        (
            &rooms,
            "rooms.sql: expected rows of imc_rooms and imc_members, found none of imc_members; a dump of both is made by `mysqldump",
        ),
        (
            &other,
            "other.sqlite: expected the tables imc_rooms and imc_members, found t; check that it is the database that db_url of the module imc names; nothing was changed",
        ),
        (
            &nowhere,
            "nosuch.sql: there is no such file; check the path; nothing was changed",
        ),
        (
            &format!("sqlite:{nowhere}"),
            "nosuch.sql: there is no such file; check the path; nothing was changed",
        ),
        (
            &both.write("custom.sql", b"PGDMP\x01\x0e\0"),
            "custom.sql: expected a dump as text, found pg_dump's custom format (-Fc); make the plain one with `pg_dump -Fp",
        ),
        (
            &both.write("utf16.sql", b"\xff\xfeI\0N\0"),
            "iconv -f UTF-16 -t UTF-8 FILE",
        ),
        (
            &both.write(
                "latin1.sql",
                b"INSERT INTO imc_rooms VALUES\n(1,'M\xfcller','h',0);",
            ),
            "latin1.sql: line 2: expected text in UTF-8, found `M\\xfcller`",
        ),
        (&both.path(""), "expected a file, found a folder"),
        (
            &both.postgres.url(),
            "relation \"imc_rooms\" does not exist",
        ),
        (
            "mysql://kamailio:x@db/kamailio",
            "--imc: expected postgres://, sqlite: or a file, found mysql://; make a dump",
        ),
        (
            &service,
            "sip:listsvc@im.home1.net is a service, and a group needs an address of its own",
        ),
    ] {
        let complaint = both.refused(&format!("import --imc {source}"), "");
        assert!(complaint.contains(reason), "{complaint}");
    }
    let public = format!("SET search_path = public; {TABLES}");
    both.postgres.psql(&public);
    let complaint = both.refused(&format!("import --imc {}", both.postgres.url()), "");
    assert!(
        complaint.starts_with("cimfctl: DB: ") && complaint.contains("found none of imc_rooms"),
        "{complaint}"
    );
    assert_eq!(both.done("group list", ""), "");
    let (status, ..) = both.outcome(&["import", "--imc", &rooms, &half], "");
    assert_eq!(status, Some(2));
}

#[test]
fn a_wrong_domain_for_rooms_is_refused() {
    let both = Both::new();
    let dump = both.write("imc.sql", ROWS);
    for domain in [
        "im home1",
        "sip:im.home1.net",
        "im.home1.net/x",
        "im.home1.net:5060",
        "a@im.home1.net",
        "",
    ] {
        let words = ["import", "--imc", &dump, "--room-domain", domain];
        let (status, said, told) = both.outcome(&words, "");
        assert_eq!((status, said.as_str()), (Some(2), ""), "{domain}");
        let reason = format!(
            "expected a domain as it stands in addresses, such as im.home1.net, found \"{domain}\""
        );
        assert!(told.contains(&reason), "{told}");
    }
}

#[test]
fn a_dry_run_says_what_would_be_done_to_an_existing_group() {
    let both = Both::new();
    both.run("group add sip:r@im.home1.net sip:eve@home1.net");
    let dump = "INSERT INTO imc_rooms VALUES (1,'r','im.home1.net',0);\nINSERT INTO imc_members VALUES (1,'ann','home1.net','sip:r@im.home1.net',0);\n";
    let words = ["import", "--imc", "-", "--dry-run"];
    let (status, said, _) = both.outcome(&words, dump);
    assert_eq!(status, Some(0));
    assert_eq!(
        said,
        "would set sip:r@im.home1.net, 1 member\nwould add sip:ann@home1.net to sip:r@im.home1.net\nwould delete sip:eve@home1.net from sip:r@im.home1.net\nnothing changed because of --dry-run: 1 group with 1 member, 0 rows of imc left out\n"
    );
}

/// A SQLite file with a write-ahead log in a folder of its own, in which nobody may write.
struct Sealed {
    folder: tempfile::TempDir,
}

impl Sealed {
    /// With the rows in the file, or still in its log.
    fn new(is_in_log: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("im?c%.sqlite");
        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute_batch(&format!(
            "PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; {TABLES}{ROWS}"
        ))
        .unwrap();
        if is_in_log {
            // A copy of both, as a backup takes it.
            for name in ["im?c%.sqlite", "im?c%.sqlite-wal"] {
                let from = folder.path().join(name);
                let kept = folder.path().join(format!("kept {name}"));
                std::fs::copy(from, kept).unwrap();
            }
        }
        drop(file);
        let sealed = Self { folder };
        if is_in_log {
            for name in ["im?c%.sqlite", "im?c%.sqlite-wal"] {
                let kept = sealed.folder.path().join(format!("kept {name}"));
                std::fs::rename(kept, sealed.folder.path().join(name)).unwrap();
            }
        }
        sealed.permit(0o444, 0o555);
        sealed
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("im?c%.sqlite")
    }

    fn permit(&self, files: u32, folder: u32) {
        let each = std::fs::read_dir(self.folder.path()).unwrap();
        for file in each {
            let permissions = Permissions::from_mode(files);
            std::fs::set_permissions(file.unwrap().path(), permissions).unwrap();
        }
        let permissions = Permissions::from_mode(folder);
        std::fs::set_permissions(self.folder.path(), permissions).unwrap();
    }

    /// What `cimfctl import --imc --dry-run` says of it to a user who is not root, and its exit status.
    fn read(&self) -> (Option<i32>, String) {
        let own = tempfile::tempdir().unwrap();
        let db = own.path().join("cimf.db");
        cimfctl(&db, &["init"]);
        // Root may write everywhere.
        let mut command = Command::new(program());
        if rustix::process::geteuid().is_root() {
            for name in ["", "cimf.db"] {
                chown(own.path().join(name), Some(NOBODY), Some(NOBODY)).unwrap();
            }
            command.uid(NOBODY).gid(NOBODY);
        }
        command.arg("--db").arg(&db);
        command
            .args(["import", "--dry-run", "--imc"])
            .arg(self.path());
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        self.permit(0o644, 0o755);
    }
}

#[test]
fn a_file_with_a_log_is_read_where_nothing_may_be_written() {
    let sealed = Sealed::new(false);
    let (status, said) = sealed.read();
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("would add sip:hikers@im.home1.net with 2 members\n"),
        "{said}"
    );
    let names = std::fs::read_dir(sealed.folder.path()).unwrap();
    assert_eq!(names.count(), 1, "nothing is left there");
}

#[test]
fn a_log_with_changes_that_cannot_be_read_is_named_with_what_to_do() {
    let sealed = Sealed::new(true);
    let (status, said) = sealed.read();
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("expected a file whose changes are all in it, found ")
            && said.contains("-wal, which can be read only where files can be made; copy both into a folder of yours"),
        "{said}"
    );
    // There they are read.
    sealed.permit(0o644, 0o755);
    if rustix::process::geteuid().is_root() {
        for file in std::fs::read_dir(sealed.folder.path()).unwrap() {
            chown(file.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        chown(sealed.folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let (status, said) = sealed.read();
    assert_eq!(status, Some(0), "{said}");
}

#[test]
fn a_pipe_is_read_like_a_file() {
    let own = tempfile::tempdir().unwrap();
    let db = own.path().join("cimf.db");
    cimfctl(&db, &["init"]);
    let dump = own.path().join("imc.sql");
    std::fs::write(&dump, ROWS).unwrap();
    let line = "\"$0\" --db \"$1\" import --imc <(cat \"$2\")";
    let mut command = Command::new("bash");
    command.args(["-c", line]).arg(program()).args([&db, &dump]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        said.contains("added sip:hikers@im.home1.net with 2 members"),
        "{said}"
    );
    let line = "\"$0\" --db \"$1\" member add sip:hikers@im.home1.net <(cat \"$2\")";
    let mut command = Command::new("bash");
    command.args(["-c", line]).arg(program()).args([&db, &dump]);
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told.contains(
            "expected an address, found a file; lists come from standard input: give - and"
        ),
        "{told}"
    );
}
