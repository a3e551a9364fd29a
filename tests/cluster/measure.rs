//! How long a change takes to count, for docs/cluster.md: `cargo test --release --test cluster -- --ignored --nocapture
//! how_long_a_change`. It fails only where nothing happens at all.

use super::figures::print;
use super::nodes::{hikers, node};
use super::promises::CREW;
use crate::support::built::{cimfctl, cimfctl_fed};
use crate::support::client::{Client, Transport};
use crate::support::flow::Request;
use crate::support::postgres::Postgres;
use crate::support::rig::{Rig, Setup};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Changes whose way is measured.
const CHANGES: usize = 200;

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

fn replica(node: &Rig) -> PathBuf {
    node.folder().join("replica.db")
}

/// Members of a group that are set, and how often.
const SET: usize = 10_000;
const SETS: usize = 30;
/// How many of them are given in one command: as many as OpenSIPS's FIFO takes.
const PART: usize = 100;

/// How long others wait for their 202 while a provisioning system sets ten thousand members, with a file and with PostgreSQL.
/// It fails where one of them gets anything else.
#[test]
#[ignore = "a measurement"]
fn how_long_others_wait_while_ten_thousand_members_are_set() {
    let postgres = Postgres::start();
    postgres.init();
    hikers(&postgres);
    let of_file = Setup::new(Transport::Udp).start();
    let of_postgres = node(&postgres, "").start_on_what_is_there();
    let file = of_file.database();
    let postgres: PathBuf = postgres.url().into();
    for at in [&file, &postgres] {
        cimfctl(at, &["group", "add", CREW, "sip:first@home1.net"]);
    }
    let by_cimfctl = |_: &Rig, at: &Path, members: &[String]| {
        let done = cimfctl_fed(at, &["member", "set", CREW, "-"], members.join("\n"));
        assert!(done.status.success(), "{done:?}");
    };
    let by_commands = |rig: &Rig, _: &Path, members: &[String]| {
        let set = &rig.only("member_set_begin", &[("group", &[CREW])])["set"];
        let set = ("set", &[set.as_str()][..]);
        for part in members.chunks(PART) {
            let part: Vec<&str> = part.iter().map(String::as_str).collect();
            rig.only("member_set_add", &[set, ("members", &part)]);
        }
        rig.only("member_set_commit", &[set]);
    };
    type Way<'w> = &'w (dyn Fn(&Rig, &Path, &[String]) + Sync);
    let ways: [(&str, &Rig, &Path, Way<'_>); 4] = [
        ("a file, cimfctl", &of_file, &file, &by_cimfctl),
        ("a file, commands", &of_file, &file, &by_commands),
        ("PostgreSQL, cimfctl", &of_postgres, &postgres, &by_cimfctl),
        (
            "PostgreSQL, commands",
            &of_postgres,
            &postgres,
            &by_commands,
        ),
    ];
    for (name, rig, at, set) in ways {
        println!("{name}:");
        let mut client = rig.client();
        print("202s alone", answers(&mut client, |sent| sent < 1000));
        let goes_on = AtomicBool::new(true);
        let (times, took) = std::thread::scope(|scope| {
            let sets = scope.spawn(|| {
                let _end = AtTheEnd(&goes_on);
                // Half of them change each time, twice a second.
                let sets = (0..SETS).map(|round| {
                    std::thread::sleep(Duration::from_millis(500));
                    let from = round % 2 * SET / 2;
                    let members =
                        (from..from + SET).map(|number| format!("sip:m{number}@home1.net"));
                    let members: Vec<String> = members.collect();
                    let began = Instant::now();
                    set(rig, at, &members);
                    began.elapsed()
                });
                sets.collect::<Vec<_>>()
            });
            let times = answers(&mut client, |_| goes_on.load(Relaxed));
            (times, sets.join().expect("all sets"))
        });
        print("202s while ten thousand members are set", times);
        print("a set of ten thousand", took);
    }
}

/// Sends a hundred messages a second as long as `goes_on` says so, and gives how long each waited for its 202.
fn answers(client: &mut Client, goes_on: impl Fn(usize) -> bool) -> Vec<Duration> {
    let mut times = Vec::new();
    while goes_on(times.len()) {
        let began = Instant::now();
        client.send(&Request::another(client).bytes());
        assert_eq!(client.receive().status(), 202);
        times.push(began.elapsed());
        std::thread::sleep(Duration::from_millis(10).saturating_sub(began.elapsed()));
    }
    times
}
