//! Commands about groups, given to a node by its own interface: all nodes see what they change.

use crate::nodes::{hikers, node, sees};
use crate::support::postgres::Postgres;
use crate::support::rig::{ANN, BOB, HIKERS, TEL, until};

const CARL: &str = "sip:carl@home1.net";

#[test]
fn what_a_command_changes_on_one_node_counts_on_the_other() {
    let mut postgres = Postgres::start();
    postgres.init();
    hikers(&postgres);
    let nodes = [(); 2].map(|()| node(&postgres, "").start_on_what_is_there());
    let group = ("group", &[HIKERS][..]);
    let added = nodes[0].only("member_add", &[group, ("members", &[CARL, BOB])]);
    assert_eq!(
        (added["added"].as_str(), added["existing"].as_str()),
        ("1", "1")
    );
    let shown = nodes[1].only("group_show", &[group]);
    assert_eq!(shown["member_count"], "4", "PostgreSQL itself is asked");
    sees(&nodes[1], &mut nodes[1].client(), &[BOB, CARL, TEL]);
    let found = nodes[1].well("member_find", &[("address", &["sip:%63arl@home1.net"])]);
    assert_eq!(found[0]["group"], HIKERS);

    // Without PostgreSQL nothing is changed, and messages go on.
    postgres.kill();
    let fault = nodes[0].command("member_add", &[group, ("members", &["sip:dee@home1.net"])]);
    let fault = fault.unwrap_err();
    assert!(
        fault.starts_with("500 ") && fault.contains("postgres://"),
        "{fault}"
    );
    sees(&nodes[0], &mut nodes[0].client(), &[BOB, CARL, TEL]);
    assert_eq!(
        nodes[0].well("group_list", &[])[0]["member_count"],
        "4",
        "as the replica has it"
    );
    postgres.restart();
    let set = until(|| {
        nodes[0]
            .command("member_set", &[group, ("members", &[ANN, BOB, TEL])])
            .ok()
    });
    let set = set.expect("PostgreSQL is there again");
    assert_eq!(
        (set[0]["deleted"].as_str(), set[0]["added"].as_str()),
        ("1", "0")
    );
    sees(&nodes[1], &mut nodes[1].client(), &[BOB, TEL]);
}

/// A connection of which nothing is heard any more, as when a firewall has forgotten it: commands go on by another one.
#[test]
fn a_silent_connection_is_given_up() {
    let postgres = Postgres::start();
    postgres.init();
    hikers(&postgres);
    let rig = node(&postgres, "").start_on_what_is_there();
    let group = ("group", &[HIKERS][..]);
    rig.only("group_show", &[group]);
    let others = postgres.psql(
        "SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let others: Vec<i32> = others.lines().map(|pid| pid.parse().unwrap()).collect();
    assert!(!others.is_empty());
    let send = |signal| {
        others.iter().all(|&pid| {
            // SAFETY: a plain system call on a process of the server that this test has started.
            unsafe { libc::kill(pid, signal) == 0 }
        })
    };
    assert!(send(libc::SIGSTOP));
    // It waits for a minute.
    let fault = rig.command("group_show", &[group]).unwrap_err();
    assert!(fault.starts_with("50"), "{fault}");
    let shown = until(|| rig.command("group_show", &[group]).ok());
    assert!(send(libc::SIGCONT));
    assert_eq!(shown.expect("another connection")[0]["member_count"], "3");
}
