//! Measurements for docs/cluster.md: `cargo test --release --test cluster -- --ignored --nocapture measure`. They say how
//! long things take, and fail only where nothing happens at all.

use super::nodes::{hikers, node};
use crate::support::flow::Request;
use crate::support::postgres::Postgres;
use crate::support::rig::Rig;
use cimf::store::postgres::replicate;
use rusqlite::Connection;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Changes whose way is measured.
const CHANGES: usize = 200;

/// Sorts times and prints those in the middle and near the end.
fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1000.0;
    println!(
        "{what}: p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        at(50),
        at(99),
        at(100)
    );
}

#[test]
#[ignore = "a measurement"]
fn how_long_a_change_takes_to_count_on_three_nodes() {
    let postgres = Postgres::start();
    postgres.init();
    hikers(&postgres);
    let nodes = [(); 3].map(|()| node(&postgres, "").start_on_what_is_there());
    let goes_on = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let _end = AtTheEnd(&goes_on);
        // A hundred messages a second to one of them.
        scope.spawn(|| {
            let mut client = nodes[0].client();
            while goes_on.load(Relaxed) {
                let began = Instant::now();
                client.send(&Request::another(&client).bytes());
                assert_eq!(client.receive().status(), 202);
                std::thread::sleep(Duration::from_millis(10).saturating_sub(began.elapsed()));
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let times = runtime.block_on(async {
            let url = postgres.read_url();
            let (client, connection) = url.config.connect(tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            let replicas = nodes
                .each_ref()
                .map(|node| Connection::open(replica(node)).unwrap());
            let mut times = Vec::new();
            for number in 0..CHANGES {
                let name = format!("number {number}");
                let began = Instant::now();
                let sql = "UPDATE cimf.im_group SET display_name = $1";
                client.execute(sql, &[&name]).await.unwrap();
                for replica in &replicas {
                    let has_it = || {
                        let sql = "SELECT count(*) FROM im_group WHERE display_name = ?1";
                        let found = replica.query_row(sql, [&name], |row| row.get::<_, bool>(0));
                        found.unwrap()
                    };
                    while !has_it() {
                        std::thread::sleep(Duration::from_micros(200));
                    }
                }
                times.push(began.elapsed());
                std::thread::sleep(Duration::from_millis(100));
            }
            times
        });
        print("a change on three nodes", times);
    });
}

/// Stops the sender, whatever has become of the measurement.
struct AtTheEnd<'a>(&'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

fn replica(node: &Rig) -> std::path::PathBuf {
    node.folder().join("replica.db")
}

#[test]
#[ignore = "a measurement: some minutes"]
fn how_long_a_million_groups_take() {
    let postgres = Postgres::start();
    postgres.init();
    let timed = |what: &str, sql: &str| {
        let began = Instant::now();
        postgres.psql(sql);
        println!("{what}: {:.1} s", began.elapsed().as_secs_f64());
    };
    timed(
        "a million groups into PostgreSQL",
        "INSERT INTO cimf.im_group (uri) SELECT 'sip:g' || n || '@im.home1.net' FROM generate_series(1, 1000000) n",
    );
    timed(
        "ten million memberships into PostgreSQL",
        "INSERT INTO cimf.member SELECT id, 'sip:m' || (id * 7 + n) % 3000000 || '@home1.net'
         FROM cimf.im_group, generate_series(1, 10) n",
    );
    timed(
        "one group of 100,000",
        "INSERT INTO cimf.im_group (uri) VALUES ('sip:all@im.home1.net');
         INSERT INTO cimf.member SELECT id, 'sip:a' || n || '@home1.net'
         FROM cimf.im_group, generate_series(1, 100000) n WHERE uri = 'sip:all@im.home1.net'",
    );
    let size = postgres.psql("SELECT pg_size_pretty(pg_database_size('groups'))");
    println!("PostgreSQL's size: {size}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replica.db");
    let follow = |what: &str| {
        let began = Instant::now();
        let round = replicate(&postgres.read_url(), &file).unwrap();
        println!("{what}: {:.1} s, {round:?}", began.elapsed().as_secs_f64());
    };
    follow("first copy");
    let bytes = file.metadata().unwrap().len();
    println!("replica: {} MB", bytes >> 20);
    follow("nothing new");
    postgres.psql("DELETE FROM cimf.member WHERE uri = 'sip:m42@home1.net'");
    follow("one address out of its groups");
    postgres.psql("UPDATE cimf.im_group SET display_name = 'x' WHERE id % 10 = 0");
    follow("a tenth of all groups renamed");
}
