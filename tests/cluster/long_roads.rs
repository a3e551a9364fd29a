//! How long a large group takes by the round trip to those who answer, for docs/tuning.md: `cargo test --release --test
//! cluster -- --ignored --nocapture large_groups_and_long_roads`. `MEMBERS=N` makes it smaller.

use super::far_core::FarCore;
use super::figures::{cpu, milliseconds, size, wait_for_copies};
use super::nodes::node;
use crate::support::client::Client;
use crate::support::flow::Request;
use crate::support::postgres::Postgres;
use crate::support::rig::{ANN, HIKERS, Rig, until};
use std::time::{Duration, Instant};

/// Milliseconds there and back.
const ROUND_TRIPS: [u64; 3] = [1, 50, 200];

/// What a node is told of its window.
const WINDOWS: [(&str, &[(&str, &str)]); 3] = [
    ("as it is", &[]),
    (
        "max_breadth=0 concurrency=2000",
        &[("max_breadth", "0"), ("concurrency", "2000")],
    ),
    (
        "and forks_in_flight=6000",
        &[
            ("max_breadth", "0"),
            ("concurrency", "2000"),
            // One originator has 38 in 100 of them.
            ("forks_in_flight", "6000"),
        ],
    ),
];

struct Far {
    rig: Rig,
    core: FarCore,
}

impl Far {
    fn start(postgres: &Postgres, window: &[(&str, &str)]) -> Self {
        let core = FarCore::start();
        let parameters = window
            .iter()
            .map(|(name, value)| format!("modparam(\"cimf\", \"{name}\", {value})\n"));
        let parameters: String = parameters.collect();
        // As the samples and docs/operations.md have it: room for all answers, and for all transactions.
        let rig = node(postgres, &format!("maxbuffer=4194304\n{parameters}"))
            .workers(4)
            .shared_memory(1024)
            .text("CORE_ROUTE", &core.uri())
            .start_on_what_is_there();
        Self { rig, core }
    }

    /// Waits until the node knows of everybody.
    fn is_over(&self, delivered: u64) {
        let is_over = || {
            let of = |name| self.rig.counter(name);
            (of("messages") == 0 && of("forks_delivered") == delivered).then_some(())
        };
        until(is_over).expect("everybody's answer");
    }

    /// One message to the whole group; gives how long its sender waits for the 202 and the last member for the copy, and
    /// what the node has taken of the processors until it is over.
    fn send(&self, client: &mut Client, copies: usize, round_trip: Duration) -> [Duration; 3] {
        self.core.move_away(round_trip);
        let (before, delivered) = (self.core.count(), self.rig.counter("forks_delivered"));
        let used = cpu(&self.rig);
        let request = Request::another(client).bytes();
        let began = Instant::now();
        client.send(&request);
        assert_eq!(client.receive().status(), 202);
        let answered = began.elapsed();
        wait_for_copies(before + copies, || self.core.count());
        // All of the round trip is in the answer; a copy would take half of it.
        let reached = began.elapsed() + round_trip / 2;
        self.is_over(delivered + copies as u64);
        [answered, reached, cpu(&self.rig) - used]
    }
}

#[test]
#[ignore = "a measurement: ten minutes"]
fn large_groups_and_long_roads() {
    let members = size("MEMBERS", 100_000);
    // All but Ann, who sends.
    let copies = members - 1;
    let postgres = Postgres::start();
    postgres.init();
    postgres.psql(&format!(
        "INSERT INTO cimf.im_group (uri) VALUES ('{HIKERS}');
         INSERT INTO cimf.member SELECT id, '{ANN}' FROM cimf.im_group;
         INSERT INTO cimf.member SELECT id, 'sip:m' || n || '@home1.net'
         FROM cimf.im_group, generate_series(1, {copies}) n"
    ));
    println!(
        "{:>7} {:>10} {:>8} {:>8} {:>9} {:>9} {:>7}  window",
        "members", "round trip", "202 ms", "seconds", "copies/s", "CPU µs", "again"
    );
    for (name, window) in WINDOWS {
        let far = Far::start(&postgres, window);
        let mut client = far.rig.client();
        for round_trip in ROUND_TRIPS {
            let repeats = far.core.repeats();
            let road = Duration::from_millis(round_trip);
            let [answered, reached, used] = far.send(&mut client, copies, road);
            println!(
                "{members:>7} {:>10} {:>8.1} {:>8.2} {:>9.0} {:>9.1} {:>7}  {name}",
                format!("{round_trip} ms"),
                milliseconds(answered),
                reached.as_secs_f64(),
                copies as f64 / reached.as_secs_f64(),
                used.as_secs_f64() * 1e6 / copies as f64,
                far.core.repeats() - repeats
            );
        }
    }
}
