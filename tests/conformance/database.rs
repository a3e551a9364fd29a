//! The groups change, vanish and come back while Kamailio runs.

use crate::checks::{accepted, refused};
use crate::support::built::cimfctl;
use crate::support::client::{Client, Transport};
use crate::support::flow::Request;
use crate::support::rig::{ANN, BOB, HIKERS, Rig, Setup, TEL, until};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const CARL: &str = "sip:carl@home1.net";

/// A replaced file is noticed within a second; a busy machine may need a moment more.
const NOTICE: Duration = Duration::from_millis(1500);

/// A.1 row 11.
pub fn t42_a_missing_database_is_answered_500_and_the_sender_may_come_back(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);

    let kept = rig.folder().join("kept");
    std::fs::create_dir(&kept).expect("a folder");
    for file in database_files(&rig.database()) {
        std::fs::rename(&file, kept.join(file.file_name().expect("a name")))
            .expect("moving the database away");
    }
    wait_for_status(&mut client, 500, &[202]);
    // Let the copies of the messages in between arrive, so that they are not taken for later ones.
    let sent = rig.counter("forks_sent");
    rig.core.wait_for(sent as usize);
    let request = Request::another(&client);
    let response = refused(&rig, &mut client, &request, 500);
    let seconds: u32 = response.one("Retry-After").parse().expect("seconds");
    assert!(seconds > 0);

    for file in database_files(&kept.join("cimf.db")) {
        std::fs::rename(&file, rig.folder().join(file.file_name().expect("a name")))
            .expect("moving it back");
    }
    wait_for_status(&mut client, 202, &[500]);
}

/// No restart, no reload.
pub fn a_change_by_cimfctl_is_seen_by_the_next_message(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    sees(&rig, &mut client, &[BOB, TEL]);
    rig.cimfctl(&["member", "add", HIKERS, CARL]);
    sees(&rig, &mut client, &[BOB, CARL, TEL]);
    rig.cimfctl(&["member", "del", HIKERS, BOB, CARL]);
    sees(&rig, &mut client, &[TEL]);
    rig.cimfctl(&["member", "del", HIKERS, ANN]);
    let request = Request::another(&client);
    refused(&rig, &mut client, &request, 403);
    rig.cimfctl(&["group", "del", HIKERS]);
    let request = Request::another(&client);
    refused(&rig, &mut client, &request, 404);
    rig.cimfctl(&["group", "add", HIKERS, ANN, BOB]);
    sees(&rig, &mut client, &[BOB]);
}

/// Issue 2: the tables are the administrator's.
pub fn a_change_by_sql_is_seen_by_the_next_message(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    sees(&rig, &mut client, &[BOB, TEL]);
    let connection = rusqlite::Connection::open(rig.database()).expect("the database");
    let rows = connection
        .execute("UPDATE member SET uri = ?1 WHERE uri = ?2", [CARL, BOB])
        .expect("SQL");
    assert_eq!(rows, 1);
    sees(&rig, &mut client, &[CARL, TEL]);
    let rows = connection
        .execute("DELETE FROM member WHERE uri = ?1", [CARL])
        .expect("SQL");
    assert_eq!(rows, 1);
    sees(&rig, &mut client, &[TEL]);
    drop(connection);

    // And by the program that an administrator has at hand.
    let sql = format!(
        "INSERT INTO member (group_id, uri) SELECT id, '{BOB}' FROM im_group WHERE uri = '{HIKERS}'"
    );
    let output = Command::new("sqlite3")
        .arg(rig.database())
        .arg(sql)
        .output()
        .expect("sqlite3");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    sees(&rig, &mut client, &[BOB, TEL]);
}

/// Somebody edits in a long transaction: until they commit, everything is as it was.
pub fn an_open_transaction_holds_nobody_up(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    sees(&rig, &mut client, &[BOB, TEL]);
    let connection = rusqlite::Connection::open(rig.database()).expect("the database");
    connection
        .execute_batch("BEGIN EXCLUSIVE")
        .expect("a transaction");
    connection
        .execute("DELETE FROM member WHERE uri = ?1", [BOB])
        .expect("SQL");
    sees(&rig, &mut client, &[BOB, TEL]);
    connection.execute_batch("COMMIT").expect("a commit");
    sees(&rig, &mut client, &[TEL]);
}

/// Issue 2: as a backup is put back, or a file made elsewhere comes into use.
pub fn a_replaced_database_is_noticed_within_a_second(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    sees(&rig, &mut client, &[BOB, TEL]);

    let new = rig.folder().join("new.db");
    cimfctl(&new, &["init"]);
    cimfctl(&new, &["group", "add", HIKERS, ANN, CARL]);
    let connection = rusqlite::Connection::open(&new).expect("the new database");
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("a checkpoint");
    drop(connection);
    for file in database_files(&rig.database()).into_iter().skip(1) {
        std::fs::remove_file(file).expect("removing -wal and -shm");
    }
    std::fs::rename(&new, rig.database()).expect("renaming the new database over the old one");

    let replaced = Instant::now();
    let carl = until(|| {
        let seen = rig.core.count();
        let request = Request::another(&client);
        client.send(&request.bytes());
        assert_eq!(client.receive().status(), 202);
        let first = rig.core.next_after(seen, crate::support::PATIENCE)?;
        // Both copies of the old group have to be there before the next one is tried.
        if first.message.request_uri() == CARL {
            return Some(replaced.elapsed());
        }
        rig.core.wait_for(seen + 2);
        None
    });
    let elapsed = carl.expect("the new group was never used");
    // The copy may arrive before it is counted.
    client.fence();
    assert!(elapsed < NOTICE, "noticed after {elapsed:?}");
    sees(&rig, &mut client, &[CARL]);
}

#[track_caller]
fn sees(rig: &Rig, client: &mut Client, members: &[&str]) {
    let request = Request::another(client);
    accepted(rig, client, &request, members);
}

/// The files that are there of a database, itself first.
fn database_files(database: &Path) -> Vec<PathBuf> {
    let names =
        ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", database.display())));
    names.into_iter().filter(|path| path.exists()).collect()
}

/// Sends messages until one is answered `status`; until then only `meanwhile` is right.
#[track_caller]
fn wait_for_status(client: &mut Client, status: u16, meanwhile: &[u16]) {
    let start = Instant::now();
    let found = until(|| {
        let request = Request::another(client);
        client.send(&request.bytes());
        let code = client.receive().status();
        assert!(
            code == status || meanwhile.contains(&code),
            "answered {code}"
        );
        (code == status).then_some(start.elapsed())
    });
    let elapsed = found.unwrap_or_else(|| panic!("never answered {status}"));
    assert!(elapsed < NOTICE, "answered {status} after {elapsed:?}");
}

/// Issue 2: with the log gone, what others write would not be seen any more.
pub fn a_log_removed_while_it_is_in_use_is_noticed(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    sees(&rig, &mut client, &[BOB, TEL]);
    for file in database_files(&rig.database()).into_iter().skip(1) {
        std::fs::remove_file(file).expect("removing -wal and -shm");
    }
    rig.cimfctl(&["member", "del", HIKERS, BOB]);
    let noticed = until(|| {
        let before = rig.core.count();
        let request = Request::another(&client);
        client.send(&request.bytes());
        assert_eq!(client.receive().status(), 202);
        client.fence();
        let forks = (rig.counter("forks_sent") as usize).saturating_sub(before);
        rig.core.wait_for(before + forks);
        (forks == 1).then_some(())
    });
    noticed.expect("the member that was deleted got a message each time");
    rig.wait_for_log("was removed while in use");
    sees(&rig, &mut client, &[TEL]);
}

/// What is left after a stop can be copied, moved and replaced without its log.
pub fn an_orderly_stop_leaves_the_database_in_one_file(transport: Transport) {
    let mut rig = Setup::new(transport).start();
    let mut client = rig.client();
    sees(&rig, &mut client, &[BOB, TEL]);
    rig.cimfctl(&["member", "add", HIKERS, CARL]);
    sees(&rig, &mut client, &[BOB, CARL, TEL]);
    assert_eq!(database_files(&rig.database()).len(), 3);
    rig.stop();
    assert_eq!(database_files(&rig.database()), [rig.database()]);
    let members = rig.cimfctl(&["group", "show", HIKERS]);
    assert!(members.contains(CARL), "{members}");
}
