//! The replica has what PostgreSQL has, whatever changes there, and however long it was away.

use crate::support::postgres::Postgres;
use cimf::store::postgres::{CopyReason, Follower, Round, SourceError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rusqlite::Connection;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A PostgreSQL with the tables, and a replica of it.
struct Pair {
    postgres: Postgres,
    folder: TempDir,
    runtime: Runtime,
    follower: Follower,
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

impl Pair {
    fn new() -> Self {
        let postgres = Postgres::start();
        let runtime = runtime();
        let url = postgres.read_url();
        cimf::store::postgres::init(&url).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let follower = Follower::new(url, &folder.path().join("replica.db"));
        Self {
            postgres,
            folder,
            runtime,
            follower,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("replica.db")
    }

    fn round(&mut self) -> Result<Round, SourceError> {
        self.runtime.block_on(self.follower.round())
    }

    /// One round, after which both have the same.
    #[track_caller]
    fn follow(&mut self) -> Round {
        let round = self.round().unwrap();
        self.assert_same();
        round
    }

    /// As after a restart of the process that follows.
    fn restart(&mut self) {
        self.follower = Follower::new(self.postgres.read_url(), &self.path());
    }

    #[track_caller]
    fn assert_same(&self) {
        let replica = Connection::open(self.path()).unwrap();
        for (table, columns, order) in TABLES {
            let there = self.postgres.psql(&format!(
                "SELECT concat_ws('|', {columns}) FROM cimf.{table} ORDER BY {order}"
            ));
            let sql = format!("SELECT concat_ws('|', {columns}) FROM {table} ORDER BY {order}");
            let mut statement = replica.prepare(&sql).unwrap();
            let rows = statement.query_map([], |row| row.get::<_, String>(0));
            let here: rusqlite::Result<Vec<_>> = rows.unwrap().collect();
            assert_eq!(here.unwrap().join("\n"), there, "table {table}");
        }
        let damage: String = replica
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(damage, "ok");
    }

    /// The revision of a group for the workers that read the replica.
    fn revision(&self, uri: &str) -> i64 {
        let replica = Connection::open(self.path()).unwrap();
        let sql = "SELECT revision FROM im_group WHERE uri = ?1";
        replica.query_row(sql, [uri], |row| row.get(0)).unwrap()
    }
}

/// Tables, columns and order. Truth values are spelt in two ways, so they are compared as numbers.
const TABLES: [(&str, &str, &str); 7] = [
    (
        "im_group",
        "id, uri, display_name, CASE WHEN pager_mode THEN 1 ELSE 0 END, ruleset, max_participant_count, \
         CASE WHEN invite_members THEN 1 ELSE 0 END",
        "id",
    ),
    ("member", "group_id, uri", "group_id, uri"),
    (
        "member_name",
        "group_id, uri, display_name",
        "group_id, uri",
    ),
    (
        "rule_list",
        "group_id, anchor, uri",
        "group_id, anchor, uri",
    ),
    (
        "service",
        "id, uri, CASE WHEN pager_mode THEN 1 ELSE 0 END",
        "id",
    ),
    ("consent", "service_id, uri", "service_id, uri"),
    ("copy_mark", "mark", "mark"),
];

/// Two groups with members, names and a list, and a service with a consent.
const SAMPLE: &str = "
    INSERT INTO cimf.im_group (uri, display_name, ruleset) VALUES
        ('sip:hikers@im.home1.net', 'Hikers', '<ruleset/>'), ('sip:cooks@im.home1.net', NULL, NULL);
    INSERT INTO cimf.member (group_id, uri)
        SELECT id, 'sip:' || name || '@home1.net' FROM cimf.im_group, unnest(ARRAY['ann', 'bob', 'cho']) AS name;
    INSERT INTO cimf.member_name SELECT group_id, uri, 'Ann' FROM cimf.member WHERE uri = 'sip:ann@home1.net';
    INSERT INTO cimf.rule_list SELECT id, 'friends', 'sip:dan@home1.net' FROM cimf.im_group LIMIT 1;
    INSERT INTO cimf.service (uri) VALUES ('sip:lists@im.home1.net');
    INSERT INTO cimf.consent SELECT id, 'sip:ann@home1.net' FROM cimf.service";

#[test]
fn every_kind_of_change_arrives() {
    let mut pair = Pair::new();
    pair.postgres.psql(SAMPLE);
    assert_eq!(pair.follow(), Round::Copied(CopyReason::First, 2, 6));
    assert_eq!(pair.follow(), Round::Unchanged);
    let hikers = "(SELECT id FROM cimf.im_group WHERE uri = 'sip:hikers@im.home1.net')";
    for (sql, count) in [
        (
            "INSERT INTO cimf.im_group (uri) VALUES ('sip:new@im.home1.net')",
            1,
        ),
        (
            "UPDATE cimf.im_group SET display_name = 'N' WHERE uri = 'sip:new@im.home1.net'",
            1,
        ),
        (
            "UPDATE cimf.im_group SET pager_mode = false, max_participant_count = 3, invite_members = true",
            3,
        ),
        (
            "INSERT INTO cimf.member SELECT id, 'tel:+15551230003' FROM cimf.im_group",
            3,
        ),
        ("DELETE FROM cimf.member WHERE uri = 'sip:bob@home1.net'", 2),
        (
            "UPDATE cimf.member SET uri = 'sip:eve@home1.net' WHERE uri = 'sip:ann@home1.net'",
            2,
        ),
        ("UPDATE cimf.member_name SET display_name = 'Eve'", 2),
        ("DELETE FROM cimf.member_name", 2),
        (
            "INSERT INTO cimf.rule_list VALUES (HIKERS, 'friends', 'sip:fay@home1.net'), (HIKERS, 'foes', 'sip:eve@home1.net')",
            1,
        ),
        (
            "UPDATE cimf.rule_list SET anchor = 'rivals' WHERE anchor = 'foes'",
            1,
        ),
        ("DELETE FROM cimf.rule_list WHERE anchor = 'friends'", 1),
        ("UPDATE cimf.service SET pager_mode = false", 1),
        (
            "INSERT INTO cimf.service (uri) VALUES ('sip:more@im.home1.net')",
            1,
        ),
        (
            "INSERT INTO cimf.consent SELECT id, 'sip:bob@home1.net' FROM cimf.service",
            2,
        ),
        (
            "DELETE FROM cimf.consent WHERE uri = 'sip:ann@home1.net'",
            1,
        ),
        (
            "UPDATE cimf.im_group SET uri = 'sip:walkers@im.home1.net' WHERE id = HIKERS",
            2,
        ),
        (
            "DELETE FROM cimf.service WHERE uri = 'sip:lists@im.home1.net'",
            1,
        ),
        (
            "DELETE FROM cimf.im_group WHERE uri = 'sip:cooks@im.home1.net'",
            1,
        ),
    ] {
        pair.postgres.psql(&sql.replace("HIKERS", hikers));
        assert_eq!(pair.follow(), Round::Changed(count), "{sql}");
    }
    pair.restart();
    assert_eq!(pair.follow(), Round::Unchanged);
}

#[test]
fn what_changes_twice_between_two_rounds_arrives_as_it_is() {
    let mut pair = Pair::new();
    pair.postgres.psql(SAMPLE);
    pair.follow();
    // Two groups swap addresses; one is deleted and comes again with others; a group becomes a service.
    pair.postgres.psql_at_once(
        "UPDATE cimf.im_group SET uri = 'sip:x@im.home1.net' WHERE uri = 'sip:hikers@im.home1.net';
         UPDATE cimf.im_group SET uri = 'sip:hikers@im.home1.net' WHERE uri = 'sip:cooks@im.home1.net';
         UPDATE cimf.im_group SET uri = 'sip:cooks@im.home1.net' WHERE uri = 'sip:x@im.home1.net'",
    );
    pair.follow();
    pair.postgres.psql(
        "DELETE FROM cimf.im_group WHERE uri = 'sip:hikers@im.home1.net';
         INSERT INTO cimf.im_group (uri) VALUES ('sip:hikers@im.home1.net');
         INSERT INTO cimf.member SELECT id, 'sip:zoe@home1.net' FROM cimf.im_group",
    );
    pair.follow();
    pair.postgres.psql(
        "DELETE FROM cimf.im_group WHERE uri = 'sip:cooks@im.home1.net';
         INSERT INTO cimf.service (uri) VALUES ('sip:cooks@im.home1.net');
         DELETE FROM cimf.service WHERE uri = 'sip:lists@im.home1.net';
         INSERT INTO cimf.im_group (uri) VALUES ('sip:lists@im.home1.net')",
    );
    pair.follow();
}

#[test]
fn workers_read_again_only_what_has_changed() {
    let mut pair = Pair::new();
    pair.postgres.psql(SAMPLE);
    pair.follow();
    let [hikers, cooks] = ["sip:hikers@im.home1.net", "sip:cooks@im.home1.net"];
    let before = (pair.revision(hikers), pair.revision(cooks));
    pair.postgres.psql(
        "INSERT INTO cimf.member SELECT id, 'sip:zoe@home1.net' FROM cimf.im_group WHERE uri LIKE '%hikers%'",
    );
    pair.follow();
    assert!(pair.revision(hikers) > before.0);
    assert_eq!(pair.revision(cooks), before.1);
}

#[test]
fn other_tables_a_backup_and_a_long_absence_end_in_a_whole_copy() {
    let mut pair = Pair::new();
    pair.postgres.psql(SAMPLE);
    pair.follow();
    // A node that was away while a day of changes was forgotten.
    let change = "INSERT INTO cimf.member SELECT id, 'sip:zoe@home1.net' FROM cimf.im_group";
    pair.postgres.psql(change);
    pair.postgres.psql(
        "DELETE FROM cimf.history; DELETE FROM cimf.changed_member; DELETE FROM cimf.changed_address;
         UPDATE cimf.revision SET pruned = latest; INSERT INTO cimf.history SELECT latest FROM cimf.revision",
    );
    assert_eq!(pair.follow(), Round::Copied(CopyReason::TooOld, 2, 8));
    // A backup is restored. It lacks the last change, whether anything has changed since or not.
    for later in ["", "UPDATE cimf.im_group SET display_name = 'later'"] {
        let backup = pair.postgres.dump();
        pair.postgres
            .psql("DELETE FROM cimf.member WHERE uri = 'sip:ann@home1.net'");
        pair.follow();
        pair.postgres
            .psql(&format!("DROP SCHEMA cimf CASCADE; {backup}"));
        pair.postgres.psql(&format!("{later};"));
        assert_eq!(
            pair.follow(),
            Round::Copied(CopyReason::Behind, 2, 8),
            "{later}"
        );
    }
    pair.postgres.psql("DROP SCHEMA cimf CASCADE");
    // The first failure ends the connection, and the next one looks for tables.
    assert!(pair.round().is_err());
    let error = pair.round().unwrap_err().to_string();
    assert!(error.contains("no tables of cimf"), "{error}");
    cimf::store::postgres::init(&pair.postgres.read_url()).unwrap();
    assert_eq!(pair.follow(), Round::Copied(CopyReason::OtherSource, 0, 0));
}

#[test]
fn after_a_pause_of_days_a_change_is_one_change() {
    let mut pair = Pair::new();
    pair.follow();
    pair.postgres.psql(SAMPLE);
    assert!(matches!(pair.follow(), Round::Changed(3)));
    // As if all of this had been two days ago.
    for table in [
        "history",
        "changed_address",
        "changed_member",
        "changed_consent",
    ] {
        let sql = format!("UPDATE cimf.{table} SET revision = revision - 172800000000");
        pair.postgres.psql(&sql);
    }
    pair.postgres.psql(
        "UPDATE cimf.changed_address SET lists = greatest(0, lists - 172800000000);
         UPDATE cimf.revision SET latest = latest - 172800000000, pruned = pruned - 172800000000",
    );
    let replica = Connection::open(pair.path()).unwrap();
    let sql = "UPDATE replica SET revision = revision - 172800000000";
    replica.execute(sql, []).unwrap();
    pair.restart();
    assert_eq!(pair.follow(), Round::Unchanged);
    pair.postgres
        .psql("DELETE FROM cimf.member WHERE uri = 'sip:ann@home1.net'");
    assert_eq!(pair.follow(), Round::Changed(2));
}

#[test]
fn lists_that_change_before_a_rename_arrive() {
    let mut pair = Pair::new();
    pair.postgres.psql(SAMPLE);
    pair.follow();
    pair.postgres
        .psql("UPDATE cimf.rule_list SET uri = 'sip:fay@home1.net'");
    pair.postgres.psql("UPDATE cimf.im_group SET uri = 'sip:walkers@im.home1.net' WHERE uri = 'sip:hikers@im.home1.net'");
    pair.follow();
}

#[test]
fn a_transaction_has_one_revision() {
    let pair = Pair::new();
    let revisions = || pair.postgres.psql("SELECT count(*) FROM cimf.history");
    pair.postgres
        .psql("INSERT INTO cimf.im_group (uri) VALUES ('sip:first@im.home1.net')");
    let before: u32 = revisions().parse().unwrap();
    pair.postgres.psql_at_once(
        "INSERT INTO cimf.im_group (uri) VALUES ('sip:a@im.home1.net');
         SAVEPOINT s; INSERT INTO cimf.im_group (uri) VALUES ('sip:b@im.home1.net'); ROLLBACK TO s;
         INSERT INTO cimf.im_group (uri) VALUES ('sip:c@im.home1.net')",
    );
    assert_eq!(revisions().parse::<u32>().unwrap(), before + 1);
    // One whose only savepoint with a revision is given up gets another.
    pair.postgres.psql_at_once(
        "SAVEPOINT s; INSERT INTO cimf.im_group (uri) VALUES ('sip:d@im.home1.net'); ROLLBACK TO s;
         INSERT INTO cimf.im_group (uri) VALUES ('sip:e@im.home1.net')",
    );
    assert_eq!(revisions().parse::<u32>().unwrap(), before + 2);
    assert_eq!(
        pair.postgres.psql("SELECT count(*) FROM cimf.changed_address c JOIN cimf.history h ON h.revision = c.revision"),
        "4"
    );
}

#[test]
fn a_replica_that_is_gone_or_damaged_is_made_again() {
    let mut pair = Pair::new();
    pair.postgres.psql(SAMPLE);
    pair.follow();
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", pair.path().display()));
    }
    assert_eq!(pair.follow(), Round::Copied(CopyReason::First, 2, 6));
    // A group that PostgreSQL does not have takes the address of one that comes.
    let replica = Connection::open(pair.path()).unwrap();
    let sql = "INSERT INTO service (uri) VALUES ('sip:new@im.home1.net')";
    replica
        .execute("DROP TRIGGER service_insert_checked", [])
        .unwrap();
    replica.execute(sql, []).unwrap();
    replica
        .execute(
            "CREATE TRIGGER spoilt BEFORE DELETE ON service BEGIN SELECT RAISE(ABORT, 'no'); END",
            [],
        )
        .unwrap();
    drop(replica);
    pair.postgres
        .psql("INSERT INTO cimf.im_group (uri) VALUES ('sip:new@im.home1.net')");
    assert!(pair.round().unwrap_err().to_string().contains("no"));
    let round = pair.round();
    assert!(
        matches!(round, Ok(Round::Copied(CopyReason::Damaged, 3, 6))),
        "{round:?}"
    );
}

#[test]
fn half_restored_tables_are_not_read() {
    let mut pair = Pair::new();
    pair.postgres.psql(SAMPLE);
    pair.follow();
    pair.postgres
        .psql("ALTER TABLE cimf.member DISABLE TRIGGER inserted");
    pair.restart();
    let error = pair.round().unwrap_err().to_string();
    assert!(error.contains("expected 33 enabled triggers"), "{error}");
}

#[test]
fn the_replica_stays_while_postgresql_is_away() {
    let mut pair = Pair::new();
    pair.postgres.psql(SAMPLE);
    pair.follow();
    pair.postgres.kill();
    let error = pair.round().unwrap_err().to_string();
    assert!(error.contains("postgres://cimf:***@127.0.0.1"), "{error}");
    let error = pair.round().unwrap_err().to_string();
    assert!(
        error.contains("cannot connect") && !error.contains("s3cret"),
        "{error}"
    );
    pair.postgres.restart();
    assert_eq!(pair.follow(), Round::Unchanged);
    pair.postgres.psql("DELETE FROM cimf.im_group");
    assert_eq!(pair.follow(), Round::Changed(2));
}

#[test]
fn no_transaction_that_is_committed_late_is_missed() {
    let mut pair = Pair::new();
    pair.postgres.psql(SAMPLE);
    pair.follow();
    let url = pair.postgres.read_url();
    let commit_late = async {
        let connect = || async {
            let (client, connection) = url.config.connect(tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        };
        let (early, late) = (connect().await, connect().await);
        early
            .batch_execute("BEGIN; DELETE FROM cimf.member WHERE uri = 'sip:ann@home1.net'")
            .await
            .unwrap();
        // The second waits for the first, and what it does has the later revision.
        let second = tokio::spawn(async move {
            late.batch_execute("DELETE FROM cimf.member WHERE uri = 'sip:bob@home1.net'")
                .await
                .unwrap();
        });
        assert_eq!(pair.follower.round().await.unwrap(), Round::Unchanged);
        early.batch_execute("COMMIT").await.unwrap();
        second.await.unwrap();
        assert_eq!(pair.follower.round().await.unwrap(), Round::Changed(2));
    };
    pair.runtime.block_on(commit_late);
    pair.assert_same();
}

/// One change of a random run, by numbers that stand for names.
#[derive(Clone, Debug)]
enum Step {
    Group(u8),
    NoGroup(u8),
    Rename(u8, u8),
    Member(u8, u8),
    NoMember(u8, u8),
    Name(u8, u8),
    List(u8, u8),
    NoList(u8),
    Service(u8),
    Consent(u8, u8),
    NoService(u8),
    Round,
}

impl Step {
    fn sql(&self) -> Option<String> {
        let group = |n: &u8| format!("sip:g{n}@im.home1.net");
        let id = |n: &u8| format!("(SELECT id FROM cimf.im_group WHERE uri = '{}')", group(n));
        let user = |n: &u8| format!("sip:m{n}@home1.net");
        let free = |n: &u8| {
            format!(
                "NOT EXISTS (SELECT 1 FROM cimf.im_group WHERE uri = '{0}')
                 AND NOT EXISTS (SELECT 1 FROM cimf.service WHERE uri = '{0}')",
                group(n)
            )
        };
        Some(match self {
            Self::Group(n) => format!(
                "INSERT INTO cimf.im_group (uri) SELECT '{}' WHERE {}",
                group(n),
                free(n)
            ),
            Self::NoGroup(n) => format!("DELETE FROM cimf.im_group WHERE uri = '{}'", group(n)),
            Self::Rename(n, to) => format!(
                "UPDATE cimf.im_group SET uri = '{}' WHERE id = {} AND {}",
                group(to),
                id(n),
                free(to)
            ),
            Self::Member(n, m) => format!(
                "INSERT INTO cimf.member SELECT id, '{}' FROM cimf.im_group WHERE uri = '{}' ON CONFLICT DO NOTHING",
                user(m),
                group(n)
            ),
            Self::NoMember(n, m) => format!(
                "DELETE FROM cimf.member WHERE group_id = {} AND uri = '{}'",
                id(n),
                user(m)
            ),
            Self::Name(n, m) => format!(
                "INSERT INTO cimf.member_name SELECT group_id, uri, 'name' FROM cimf.member WHERE group_id = {} AND uri = '{}' ON CONFLICT DO NOTHING",
                id(n),
                user(m)
            ),
            Self::List(n, m) => format!(
                "INSERT INTO cimf.rule_list SELECT id, 'friends', '{}' FROM cimf.im_group WHERE uri = '{}' ON CONFLICT DO NOTHING",
                user(m),
                group(n)
            ),
            Self::NoList(n) => format!("DELETE FROM cimf.rule_list WHERE group_id = {}", id(n)),
            Self::Service(n) => format!(
                "INSERT INTO cimf.service (uri) SELECT '{}' WHERE {}",
                group(n),
                free(n)
            ),
            Self::Consent(n, m) => format!(
                "INSERT INTO cimf.consent SELECT id, '{}' FROM cimf.service WHERE uri = '{}' ON CONFLICT DO NOTHING",
                user(m),
                group(n)
            ),
            Self::NoService(n) => format!("DELETE FROM cimf.service WHERE uri = '{}'", group(n)),
            Self::Round => return None,
        })
    }
}

#[test]
fn whatever_happens_in_whatever_order_both_have_the_same() {
    let mut pair = Pair::new();
    pair.follow();
    let names = 0u8..4;
    let step = prop_oneof![
        3 => names.clone().prop_map(Step::Group),
        1 => names.clone().prop_map(Step::NoGroup),
        2 => (names.clone(), names.clone()).prop_map(|(n, to)| Step::Rename(n, to)),
        6 => (names.clone(), names.clone()).prop_map(|(n, m)| Step::Member(n, m)),
        2 => (names.clone(), names.clone()).prop_map(|(n, m)| Step::NoMember(n, m)),
        2 => (names.clone(), names.clone()).prop_map(|(n, m)| Step::Name(n, m)),
        2 => (names.clone(), names.clone()).prop_map(|(n, m)| Step::List(n, m)),
        1 => names.clone().prop_map(Step::NoList),
        1 => names.clone().prop_map(Step::Service),
        2 => (names.clone(), names.clone()).prop_map(|(n, m)| Step::Consent(n, m)),
        1 => names.clone().prop_map(Step::NoService),
        3 => Just(Step::Round),
    ];
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(30)
    };
    let pair = std::cell::RefCell::new(&mut pair);
    let run = TestRunner::new(config).run(&prop::collection::vec(step, 1..30), |steps| {
        let mut pair = pair.borrow_mut();
        let mut sql = Vec::new();
        for step in steps.iter().chain([&Step::Round]) {
            match step.sql() {
                Some(text) => sql.push(text),
                None => {
                    pair.postgres.psql(&format!("{};", sql.join(";\n")));
                    sql.clear();
                    pair.follow();
                }
            }
        }
        Ok(())
    });
    run.unwrap();
}
