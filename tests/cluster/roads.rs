//! Ways to PostgreSQL: encrypted ones, those that lead to a standby, and those that lead nowhere.

use crate::support::child::until;
use crate::support::postgres::Postgres;
use cimf::config::{DbUrl, PostgresUrl, Settings};
use cimf::store::postgres::{CopyReason, Round, init, replicate, replicate_within};
use std::net::TcpListener;
use std::time::{Duration, Instant};

fn url(text: &str) -> PostgresUrl {
    let mut settings = Settings::new();
    settings.set("db_url", text).unwrap();
    match settings.db_url {
        DbUrl::Postgres(url) => *url,
        DbUrl::Sqlite(path) => panic!("{path:?}"),
    }
}

#[test]
fn sslmode_is_what_libpq_makes_of_it() {
    let postgres = Postgres::start_with_tls();
    let [authority, other] =
        ["ca.pem", "other.pem"].map(|name| postgres.file(name).display().to_string());
    for (host, query, expected) in [
        ("127.0.0.1", String::new(), None),
        ("127.0.0.1", "?sslmode=require".to_owned(), None),
        (
            "127.0.0.1",
            "?sslmode=disable".to_owned(),
            Some("no encryption"),
        ),
        (
            "localhost",
            format!("?sslmode=verify-full&sslrootcert={authority}"),
            None,
        ),
        // The certificate is for localhost.
        (
            "127.0.0.1",
            format!("?sslmode=verify-full&sslrootcert={authority}"),
            Some("not valid for"),
        ),
        (
            "127.0.0.1",
            format!("?sslmode=verify-ca&sslrootcert={authority}"),
            None,
        ),
        (
            "127.0.0.1",
            format!("?sslmode=require&sslrootcert={authority}"),
            None,
        ),
        (
            "127.0.0.1",
            format!("?sslmode=verify-ca&sslrootcert={other}"),
            Some("invalid peer certificate"),
        ),
        (
            "localhost",
            format!("?sslmode=verify-full&sslrootcert={other}"),
            Some("invalid peer certificate"),
        ),
        (
            "localhost",
            "?sslmode=verify-full&sslrootcert=/nonexistent".to_owned(),
            Some("sslrootcert: /nonexistent"),
        ),
    ] {
        let text = format!(
            "postgres://cimf:s3cret@{host}:{}/groups{query}",
            postgres.port()
        );
        match (
            init(&url(&text)).map_err(|error| error.to_string()),
            expected,
        ) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => {
                assert!(
                    error.contains(expected) && !error.contains("s3cret"),
                    "{text}: {error}"
                );
            }
            (found, _) => panic!("{text}: {found:?}"),
        }
    }
}

#[test]
fn a_standby_is_followed_by_asking_it() {
    let primary = Postgres::start();
    primary.init();
    let standby = primary.standby();
    let folder = tempfile::tempdir().unwrap();
    let replica = folder.path().join("replica.db");
    let url = standby.read_url();
    assert_eq!(
        replicate(&url, &replica).unwrap(),
        Round::Copied(CopyReason::First, 0, 0)
    );
    primary.psql("INSERT INTO cimf.im_group (uri) VALUES ('sip:hikers@im.home1.net')");
    let changed = until(|| match replicate(&url, &replica).unwrap() {
        Round::Unchanged => None,
        round => Some(round),
    });
    assert!(
        matches!(changed, Some(Round::Changed(1) | Round::Copied(..))),
        "{changed:?}"
    );
    // It does not let anybody change groups.
    let output = crate::support::built::cimfctl_output(
        std::path::Path::new(&standby.url()),
        &["group", "add", "sip:new@im.home1.net"],
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("during recovery"), "{said}");
    let said =
        crate::support::built::cimfctl(std::path::Path::new(&standby.url()), &["group", "list"]);
    assert!(said.contains("hikers"), "{said}");
}

#[test]
fn a_standby_that_lags_takes_nothing_back() {
    let primary = Postgres::start();
    primary.init();
    let standby = primary.standby();
    standby.psql("SELECT pg_wal_replay_pause()");
    let folder = tempfile::tempdir().unwrap();
    let replica = folder.path().join("replica.db");
    primary.psql("INSERT INTO cimf.im_group (uri) VALUES ('sip:hikers@im.home1.net')");
    assert!(matches!(
        replicate(&primary.read_url(), &replica).unwrap(),
        Round::Copied(..)
    ));
    assert_eq!(
        replicate(&standby.read_url(), &replica).unwrap(),
        Round::Ahead
    );
    standby.psql("SELECT pg_wal_replay_resume()");
    let caught_up = || match replicate(&standby.read_url(), &replica).unwrap() {
        Round::Ahead => None,
        round => Some(round),
    };
    assert_eq!(until(caught_up), Some(Round::Unchanged));
}

#[test]
fn a_server_that_falls_silent_does_not_hold_up_a_start() {
    let postgres = Postgres::start();
    postgres.init();
    let folder = tempfile::tempdir().unwrap();
    let replica = folder.path().join("replica.db");
    replicate(&postgres.read_url(), &replica).unwrap();
    // Whoever holds this lock keeps everybody from reading.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let error = runtime.block_on(async {
        let url = postgres.read_url();
        let (client, connection) = url.config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
            .batch_execute("BEGIN; LOCK TABLE cimf.revision")
            .await
            .unwrap();
        let patience = Duration::from_secs(2);
        std::thread::scope(|scope| {
            let start = scope.spawn(|| replicate_within(&url, &replica, patience));
            start.join().unwrap().unwrap_err().to_string()
        })
    });
    assert!(error.contains("no answer within 2 s"), "{error}");
}

#[test]
fn a_node_needs_to_read_only() {
    let postgres = Postgres::start();
    postgres.init();
    postgres.psql(
        "INSERT INTO cimf.im_group (uri) VALUES ('sip:hikers@im.home1.net');
         CREATE ROLE node LOGIN PASSWORD 'other';
         GRANT USAGE ON SCHEMA cimf TO node; GRANT SELECT ON ALL TABLES IN SCHEMA cimf TO node",
    );
    let folder = tempfile::tempdir().unwrap();
    let replica = folder.path().join("replica.db");
    let url = url(&postgres.url().replace("cimf:s3cret", "node:other"));
    assert_eq!(
        replicate(&url, &replica).unwrap(),
        Round::Copied(CopyReason::First, 1, 0)
    );
    postgres.psql("INSERT INTO cimf.member SELECT id, 'sip:ann@home1.net' FROM cimf.im_group");
    assert_eq!(replicate(&url, &replica).unwrap(), Round::Changed(1));
}

#[test]
fn of_several_hosts_the_first_that_answers_counts() {
    let postgres = Postgres::start();
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let text = format!(
        "postgres://cimf:s3cret@127.0.0.1:{gone},127.0.0.1:{}/groups",
        postgres.port()
    );
    init(&url(&text)).unwrap();
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let text = format!("postgres://cimf:s3cret@127.0.0.1:{port}/groups?connect_timeout=1");
    let started = Instant::now();
    let error = init(&url(&text)).unwrap_err().to_string();
    assert!(started.elapsed() < Duration::from_secs(20), "{error}");
    assert!(
        error.contains("no answer") || error.contains("timed out"),
        "{error}"
    );
}
