//! What must not start: a database or a parameter that cannot be right stops the proxy with one line that says
//! what is wrong.

use crate::script;
use crate::support::built::cimfctl_output;
use crate::support::client::Transport;
use crate::support::proxy::proxy;
use crate::support::rig::Setup;
use std::io::{Seek, SeekFrom, Write};

/// The proxy gives up, and exactly one line of the log has all these words.
#[track_caller]
fn stops(setup: &Setup, words: &[&str]) {
    let (status, log) = setup.fails_to_start();
    assert!(!status.success(), "it ended with {status}\n{log}");
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| words.iter().all(|word| line.contains(word)))
        .collect();
    assert_eq!(
        lines.len(),
        1,
        "lines with all of {words:?}: {lines:#?}\n--- the whole log\n{log}"
    );
    assert!(
        lines[0].contains("ERROR") || lines[0].contains("CRITICAL"),
        "{}",
        lines[0]
    );
}

fn setup() -> Setup {
    Setup::new(Transport::Udp)
}

/// Issue 2.
#[test]
fn a_missing_database_is_named() {
    let setup = setup();
    stops(&setup, &["cimf.db"]);
}

/// Issue 2: another process holds it exclusively.
#[test]
fn a_locked_database_is_named() {
    let setup = setup();
    setup.provision();
    let connection = rusqlite::Connection::open(setup.database()).expect("the database");
    connection
        .execute_batch(
            "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE mine(x); COMMIT;",
        )
        .expect("a lock");
    stops(&setup, &["cimf.db", "locked"]);
    drop(connection);
}

/// Issue 2: pages overwritten with junk.
#[test]
fn a_corrupt_database_is_named() {
    let setup = setup();
    setup.provision();
    let connection = rusqlite::Connection::open(setup.database()).expect("the database");
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("a checkpoint");
    drop(connection);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .open(setup.database())
        .expect("the file");
    let length = file.metadata().expect("its size").len();
    assert!(length > 4096, "more than the header page");
    file.seek(SeekFrom::Start(100)).expect("seeking");
    file.write_all(&vec![0xA5; length as usize - 100])
        .expect("junk");
    drop(file);
    stops(&setup, &["cimf.db"]);
}

/// Issue 2: not a database at all.
#[test]
fn a_file_that_is_no_database_is_named() {
    let setup = setup();
    std::fs::write(
        setup.database(),
        "groups:\n  hikers: [ann, bob]\n".repeat(100),
    )
    .expect("a text file");
    stops(&setup, &["cimf.db"]);
}

/// Issue 2: made by a later version.
#[test]
fn a_newer_database_is_named() {
    let setup = setup();
    setup.provision();
    let connection = rusqlite::Connection::open(setup.database()).expect("the database");
    connection
        .pragma_update(None, "user_version", 9999)
        .expect("a version");
    drop(connection);
    stops(&setup, &["cimf.db", "9999"]);
    let output = cimfctl_output(&setup.database(), &["group", "list"]);
    assert!(!output.status.success(), "cimfctl refuses it too");
}

/// Design: with neither there is nowhere to send to.
#[test]
fn without_core_route_and_direct_the_line_names_both() {
    let setup = setup().without("CORE_ROUTE").number("DIRECT", 0);
    setup.provision();
    stops(&setup, &["core_route", "direct"]);
}

/// Issue 2: the parameter, the value, and what was expected.
#[test]
fn a_bad_text_is_named_with_its_parameter() {
    for (define, value) in [
        ("DB_URL", "mysql://root@localhost/cimf"),
        ("DB_URL", "sqlite://relative/path.db"),
        ("DOMAINS", "im.home1.net,,home1.net"),
        ("DOMAINS", "im home1.net"),
        ("SERVER_NAME", "two words"),
        ("TRUSTED_PEERS", "127.0.0.1/99"),
        ("TRUSTED_PEERS", "icmp:127.0.0.1"),
        ("TRUSTED_PEERS", "nobody"),
        ("CORE_ROUTE", "icscf.home1.net"),
        ("CORE_ROUTE", "tel:+15551230003"),
        ("SKIP_ORIGINATOR", "sometimes"),
        ("COPY_HEADERS", "X Y"),
        ("COPY_HEADERS", "Via"),
        ("DIRECT", "maybe"),
        ("PAGER_MODE", "maybe"),
    ] {
        let setup = setup().text(define, value);
        setup.provision();
        stops(&setup, &[&define.to_ascii_lowercase(), value, "expected"]);
    }
}

/// Issue 2: the same for numbers.
#[test]
fn a_number_out_of_range_is_named_with_its_parameter() {
    for (define, value) in [
        ("DIRECT", 2),
        ("TRUSTED_NEXT_HOP", 7),
        ("PAGER_MODE", -1),
        ("HIDE_GROUPS", 5),
        ("MAX_MEMBERS", 0),
        ("MAX_MEMBERS", -3),
        ("SAME_NUMBER", 2),
        ("CACHE_MEMBERS", 0),
        ("RECENT_REQUESTS", 1),
    ] {
        let setup = setup().number(define, value);
        setup.provision();
        stops(
            &setup,
            &[&define.to_ascii_lowercase(), &value.to_string(), "expected"],
        );
    }
}

/// Without domains nothing would ever be ours.
#[test]
fn empty_domains_are_named() {
    let setup = setup().text("DOMAINS", "");
    setup.provision();
    stops(&setup, &["domains", "expected"]);
}

/// A module that is needed and not loaded is named.
#[test]
fn a_missing_tm_is_named() {
    let head = proxy().head().lines();
    let without_tm: Vec<_> = head.filter(|line| !line.contains("\"tm")).collect();
    let text = format!("{}\ncimf_handle(); }}\n", without_tm.join("\n"));
    let setup = setup().text("IDENTITY_MODE", "pai").configuration(&text);
    setup.provision();
    stops(&setup, &["cimf: ", "module tm is not loaded"]);
}

/// A function that nothing would call is named: without another language in Kamailio, and in OpenSIPS always.
#[test]
fn an_event_callback_that_nobody_calls_is_named() {
    let in_kamailio = [
        ("ksr_event", "but the script is in Kamailio's own language"),
        ("two words", "expected the name of a function"),
    ];
    let in_opensips = [("ksr_event", "can't set")];
    let cases = match proxy().name() {
        "OpenSIPS" => &in_opensips[..],
        _ => &in_kamailio,
    };
    for (value, words) in cases {
        let line = format!("modparam(\"cimf\", \"event_callback\", \"{value}\")\n");
        let before = "modparam(\"cimf\", \"domains\"";
        let head = proxy().head().replace(before, &format!("{line}{before}"));
        let setup = setup().text("IDENTITY_MODE", "pai");
        let setup = setup.configuration(&format!("{head}\ncimf_handle(); }}\n"));
        setup.provision();
        stops(&setup, &["event_callback", words]);
    }
}

/// A misspelt word between the brackets is named with those there are.
#[test]
fn an_unknown_pseudo_variable_is_named() {
    let script = "xlog(\"$cimf(status)\\n\"); }\n";
    let setup = script::setup(Transport::Udp, script);
    setup.provision();
    stops(&setup, &["$cimf(status)", "expected one of code, reason"]);
}

/// The sample configurations know every parameter there is. OpenSIPS's has some commented out.
#[test]
fn the_sample_configurations_set_every_parameter() {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = |folder: &str| {
        let path = format!("{root}/{folder}/cimf-route.cfg");
        std::fs::read_to_string(&path).expect(&path)
    };
    let (kamailio, opensips) = (text("kamailio-config"), text("opensips-config"));
    assert!(cimf::config::PARAMETERS.len() >= 12, "nothing to look for");
    for parameter in cimf::config::PARAMETERS {
        let start = format!("modparam(\"cimf\", \"{}\", ", parameter.name);
        let line = format!("{start}{})", parameter.name.to_ascii_uppercase());
        assert!(kamailio.contains(&line), "no `{line}`");
        let lines = opensips.lines().filter(|line| {
            let line = line.strip_prefix('#').unwrap_or(line);
            line.starts_with(&start)
        });
        let has_opensips = parameter.needs != cimf::config::Needs::Kamailio;
        assert_eq!(
            lines.count(),
            usize::from(has_opensips),
            "lines with `{start}` for OpenSIPS"
        );
    }
}

/// Issue 2: started by root for another user, the workers have to be able to open the database.
#[test]
fn a_database_that_the_workers_cannot_open_is_named() {
    // SAFETY: a plain system call.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("skipped: only root can start a proxy for another user");
        return;
    }
    let setup = setup().argument("-u").argument("nobody");
    setup.provision();
    stops(&setup, &["cimf.db", "cimf: "]);
}

/// I-1: an item of `trusted_peers` that includes a listener is told of, once, with the listeners and what to do.
#[test]
fn a_trusted_peer_that_is_a_listener_of_ours_is_named() {
    for (items, item) in [
        ("127.0.0.1", "127.0.0.1"),
        (
            "10.9.8.7, tcp:127.0.0.0/8, tls:127.0.0.1",
            "tcp:127.0.0.0/8",
        ),
    ] {
        let rig = setup().text("TRUSTED_PEERS", items).start();
        let udp = match item.starts_with("tcp") {
            true => String::new(),
            false => format!("udp:{}, ", rig.address),
        };
        let line = format!(
            "trusted_peers: {item} includes {udp}tcp:{}, where this proxy itself listens.",
            rig.address
        );
        let log = rig.log();
        let lines: Vec<_> = log
            .lines()
            .filter(|line| line.contains("trusted_peers"))
            .collect();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].contains(&line), "no `{line}` in {lines:?}");
        assert!(lines[0].contains("WARNING"), "{lines:?}");
        assert!(lines[0].contains("Take this address out"), "{lines:?}");
    }
}

/// I-1: and of no others.
#[test]
fn a_trusted_peer_elsewhere_is_not_named() {
    let rig = setup()
        .text("TRUSTED_PEERS", "127.0.0.2, 10.0.0.0/8, tls:127.0.0.1, ::1")
        .start();
    assert!(!rig.log().contains("trusted_peers"), "{}", rig.log());
}
