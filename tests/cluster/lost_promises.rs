//! A PostgreSQL that has lost what it has promised: an asynchronous standby became the primary, or a backup was restored. The
//! node that still has the messages writes them again.

use crate::kept::start;
use crate::nodes::hikers;
use crate::promises::{CREW, MEMBERS, all_have_one, crew, identities, is_accepted, sends, to_crew};
use crate::support::core::Answer;
use crate::support::flow::{Request, unique};
use crate::support::postgres::Postgres;
use crate::support::rig::{BOB, Rig, until};

/// The last transactions are lost, those with the messages.
const LAST: &str = "DELETE FROM cimf_ledger.kept; DELETE FROM cimf_ledger.message; DELETE FROM cimf_ledger.request";
/// All is restored: no node is known, and the numbers of their starts are given again.
const ALL: &str = "DELETE FROM cimf_ledger.kept; DELETE FROM cimf_ledger.message; DELETE FROM cimf_ledger.request;
    DELETE FROM cimf_ledger.node WHERE run > 0; ALTER SEQUENCE cimf_ledger.run RESTART";

fn lose(postgres: &Postgres, what: &str) {
    postgres.psql(&format!(
        "BEGIN; {what}; COMMIT;
         SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    ));
}

/// Waits until PostgreSQL says so.
#[track_caller]
fn says(postgres: &Postgres, sql: &str, expected: &str) {
    let said = until(|| (postgres.psql(sql) == expected).then_some(()));
    said.unwrap_or_else(|| panic!("{sql}: {}, not {expected}", postgres.psql(sql)));
}

fn nodes(postgres: &Postgres) -> (Rig, Rig) {
    postgres.init();
    hikers(postgres);
    crew(postgres, MEMBERS);
    (start(postgres, "a", ""), start(postgres, "b", ""))
}

fn a_message_is_written_again(what: &str) {
    let postgres = Postgres::start();
    let (mut lost, other) = nodes(&postgres);
    for number in 10..MEMBERS {
        lost.core.answer(&format!("m{number}@"), Answer::Held);
    }
    lost.core.answer("m9@", Answer::Code(480));
    let mut client = lost.client();
    let request = to_crew(&client);
    is_accepted(&mut client, &request);
    lost.wait_for_counter("forks_delivered", 9);
    says(&postgres, "SELECT count(*) FROM cimf_ledger.kept", "1");
    lost.core.wait_for(MEMBERS);
    lose(&postgres, what);
    lost.wait_for_log("PostgreSQL did not know 1 messages that this node has promised");
    // With all that had become of it: nine have it, and one is away.
    says(
        &postgres,
        "SELECT count(*) FROM cimf_ledger.message JOIN cimf_ledger.node USING (run) WHERE name = 'a'",
        "1",
    );
    says(
        &postgres,
        "SELECT count(*) FROM cimf_ledger.recipient_state",
        "1",
    );
    says(&postgres, "SELECT count(*) FROM cimf_ledger.kept", "1");
    // Who is found to be away now is kept too.
    lost.core.release_with("m10@", 480);
    says(&postgres, "SELECT count(*) FROM cimf_ledger.kept", "2");
    // Another node knows the request again, and goes on with the rest.
    let mut elsewhere = other.client();
    let again = request.via(&elsewhere, &unique());
    is_accepted(&mut elsewhere, &again);
    assert_eq!(other.core.count(), 0);
    lost.kill();
    other.core.wait_for(MEMBERS - 11);
    all_have_one(&[&lost, &other], MEMBERS);
    let sent = identities(&other.core.forks());
    assert_eq!(sent.len(), MEMBERS - 11, "{sent:?}");
    says(
        &postgres,
        "SELECT count(*) FROM cimf_ledger.message WHERE NOT finished",
        "0",
    );
}

#[test]
fn what_a_new_primary_lacks_is_written_again() {
    a_message_is_written_again(LAST);
}

#[test]
fn what_a_restored_backup_lacks_is_written_again() {
    a_message_is_written_again(ALL);
}

#[test]
fn numbers_that_are_given_again_are_no_reason_to_let_a_message_go() {
    let postgres = Postgres::start();
    let (first, second) = nodes(&postgres);
    for rig in [&first, &second] {
        rig.core.answer("home1.net", Answer::Held);
        sends(&mut rig.client(), to_crew);
        rig.core.wait_for(MEMBERS);
    }
    lose(&postgres, ALL);
    for rig in [&first, &second] {
        rig.wait_for_log("PostgreSQL did not know 1 messages that this node has promised");
    }
    says(&postgres, "SELECT count(*) FROM cimf_ledger.message", "2");
    for rig in [&first, &second] {
        rig.core.answer("home1.net", Answer::Code(200));
        rig.core.release("home1.net");
        rig.wait_for_counter("forks_delivered", MEMBERS as u64);
        assert_eq!(rig.counter("taken_away"), 0);
    }
    says(&postgres, "SELECT count(*) FROM cimf_ledger.message", "0");
}

#[test]
fn what_another_node_has_answered_meanwhile_is_let_go() {
    let postgres = Postgres::start();
    let (first, second) = nodes(&postgres);
    first.core.answer("home1.net", Answer::Held);
    let mut client = first.client();
    let request = Request::another(&client);
    is_accepted(&mut client, &request);
    first.core.wait_for(2);
    // The node does not see yet what is lost, and its client turns to another one.
    // SAFETY: a plain system call on a group of processes.
    let send = |signal| unsafe { libc::kill(-first.main_process(), signal) };
    assert_eq!(send(libc::SIGSTOP), 0);
    // Its lease runs out, so that it asks what has become of its messages.
    postgres.psql(LAST);
    second.core.answer("home1.net", Answer::Held);
    let mut elsewhere = second.client();
    let again = request.via(&elsewhere, &unique());
    is_accepted(&mut elsewhere, &again);
    second.core.wait_for(2);
    let has_run_out =
        "SELECT lease_until < clock_timestamp() FROM cimf_ledger.node WHERE name = 'a'";
    says(&postgres, has_run_out, "t");
    assert_eq!(send(libc::SIGCONT), 0);
    first
        .wait_for_log("1 messages that PostgreSQL had lost were accepted by other nodes meanwhile");
    assert_eq!(first.counter("taken_away"), 1);
    first.core.release("home1.net");
    until(|| (first.counter("messages") == 0).then_some(())).expect("an end");
    says(&postgres, "SELECT count(*) FROM cimf_ledger.message", "1");
    second.core.release("home1.net");
    let has_bob = |rig: &Rig| {
        let forks = rig.core.forks();
        forks.iter().any(|fork| fork.message.request_uri() == BOB)
    };
    assert!(has_bob(&second));
}

#[test]
fn an_end_that_is_lost_is_told_again() {
    let postgres = Postgres::start();
    let (first, second) = nodes(&postgres);
    let mut client = first.client();
    first.core.answer("home1.net", Answer::Held);
    sends(&mut client, to_crew);
    first.core.wait_for(MEMBERS);
    postgres.psql("CREATE TABLE before AS SELECT * FROM cimf_ledger.message");
    first.core.release("home1.net");
    says(&postgres, "SELECT count(*) FROM cimf_ledger.message", "0");
    // The new primary has the message, and not that it has ended.
    lose(
        &postgres,
        "INSERT INTO cimf_ledger.message SELECT * FROM before",
    );
    says(&postgres, "SELECT count(*) FROM cimf_ledger.message", "0");
    assert_eq!([first.core.count(), second.core.count()], [MEMBERS, 0]);
}

#[test]
fn what_cannot_be_written_again_holds_up_nothing_else() {
    let postgres = Postgres::start();
    let (first, _second) = nodes(&postgres);
    let mut client = first.client();
    for number in 0..MEMBERS {
        first.core.answer(&format!("m{number}@"), Answer::Held);
    }
    sends(&mut client, to_crew);
    first.core.wait_for(MEMBERS);
    postgres.psql(&format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF encode(NEW.group_uri, 'escape') = '{CREW}' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON cimf_ledger.message FOR EACH ROW EXECUTE FUNCTION refuse()"
    ));
    lose(&postgres, LAST);
    first.wait_for_log("1 messages that PostgreSQL has lost are sent from memory");
    // Other messages are promised meanwhile.
    let accepted = || {
        let request = Request::another(&client);
        client.send(&request.bytes());
        (client.receive().status() == 202).then_some(())
    };
    until(accepted).expect("a 202");
    let log = first.log();
    let tries = log.matches("are sent from memory").count();
    assert!(tries < 5, "{log}");
    postgres.psql("DROP TRIGGER refuse ON cimf_ledger.message");
    first.wait_for_log("PostgreSQL did not know 1 messages that this node has promised");
    first.core.release("home1.net");
    says(&postgres, "SELECT count(*) FROM cimf_ledger.message", "0");
}
