//! That phones which are registered and silent hold up nobody else of their group: `patience`, and what still bounds
//! the copies to them (S-5, U-6).

use crate::checks::{is_202, sent};
use crate::support::client::Transport;
use crate::support::core::{Answer, Fork, Most};
use crate::support::flow::Request;
use crate::support::rig::{BOB, HIKERS, Rig, Setup, until};
use std::time::{Duration, Instant};

const VILLAGE: &str = "sip:village@im.home1.net";
/// Far longer than any case takes: no copy to a silent phone ends meanwhile.
const FR_TIMER: i64 = 60_000;
/// Longer than a copy takes to become silent with `patience=1`, and to be followed by another one.
const LONG: Duration = Duration::from_secs(3);

/// A group with so many phones, of ten of which as many are silent as is said.
fn with_village(setup: Setup, phones: usize, silent: usize) -> Setup {
    let name = |number| match number % 10 >= 10 - silent {
        true => format!("sip:p{number:04}.silent@home1.net"),
        false => format!("sip:p{number:04}.live@home1.net"),
    };
    let members: Vec<_> = (0..phones).map(name).collect();
    let members: Vec<_> = members.iter().map(String::as_str).collect();
    setup
        .group(VILLAGE, &[&["sip:ann@home1.net"], &members[..]].concat())
        .number("TM_FR_TIMER", FR_TIMER)
}

#[track_caller]
fn send_to_village(rig: &Rig) -> Instant {
    rig.core.answer(".silent", Answer::Silence);
    let mut client = rig.client();
    let request = Request::another(&client).group(VILLAGE);
    let begin = Instant::now();
    client.send(&request.bytes());
    is_202(&client.receive(), &request);
    begin
}

fn live(forks: &[Fork]) -> impl Iterator<Item = &Fork> {
    forks
        .iter()
        .filter(|fork| fork.message.request_uri().contains(".live"))
}

/// S-5: a group of 1,000 with 300 silent phones, and the numbers of small-site.cfg.
pub fn silent_phones_hold_nobody_up(transport: Transport) {
    const LONGEST: Duration = Duration::from_secs(5);
    let setup = Setup::new(transport)
        .number("MAX_BREADTH", 0)
        .number("CONCURRENCY", 150);
    let rig = with_village(setup, 1000, 3).start();
    let begin = send_to_village(&rig);
    let all = until(|| Some(rig.core.forks()).filter(|forks| live(forks).count() == 700));
    let all = all.unwrap_or_else(|| {
        panic!(
            "{} of 700 live phones have the message after {:?}; {} copies are in flight, {} of them silent",
            live(&rig.core.forks()).count(),
            begin.elapsed(),
            rig.counter("in_flight"),
            rig.counter("silent"),
        )
    });
    let mut times: Vec<_> = live(&all)
        .map(|fork| fork.arrival.duration_since(begin))
        .collect();
    times.sort();
    println!(
        "700 live phones beside 300 silent ones: half after {:?}, the last after {:?}",
        times[350], times[699]
    );
    assert!(times[699] < LONGEST, "the last after {:?}", times[699]);
    rig.wait_for_gauge("silent", 300);
    let listed = rig.fanouts();
    let figures = ["recipients", "in_flight", "silent", "waiting", "delivered"];
    let found = figures.map(|name| listed[0][name].as_str());
    assert_eq!(found, ["1000", "300", "300", "0", "700"], "{listed:?}");
    let line = rig.wait_for_log("members wait behind");
    assert!(line.contains("concurrency=150"), "{line}");
    assert!(line.contains(VILLAGE), "{line}");
}

/// U-6: a silent copy keeps its share of Max-Breadth, in whichever way that is bounded.
pub fn silent_copies_keep_their_share_of_max_breadth(transport: Transport) {
    let setup = Setup::new(transport)
        .number("CONCURRENCY", 40)
        .number("PATIENCE", 1);
    let rig = with_village(setup, 100, 10).start();
    send_to_village(&rig);
    // Each has 1 of 60.
    rig.wait_for_gauge("silent", 60);
    let line = rig.wait_for_log("Max-Breadth bounds");
    assert!(line.contains("max_breadth"), "{line}");
    std::thread::sleep(LONG);
    let all = Most {
        forks: 60,
        breadth: 60,
    };
    assert_eq!(rig.core.most_open(), all);
    assert_eq!((rig.counter("in_flight"), rig.counter("silent")), (60, 60));
    assert_eq!(rig.core.count(), 60);
}

/// S-5: silent copies count in `forks_in_flight`, and those of one sender leave room for others.
pub fn forks_in_flight_bounds_silent_copies(transport: Transport) {
    let setup = Setup::new(transport)
        .number("MAX_BREADTH", 0)
        .number("CONCURRENCY", 20)
        .number("FORKS_IN_FLIGHT", 100)
        .number("PATIENCE", 1);
    let rig = with_village(setup, 100, 10).start();
    send_to_village(&rig);
    // One sender may have less than the square of what is free, of 100.
    rig.wait_for_gauge("silent", 39);
    let line = rig.wait_for_log("forks_in_flight=100 bounds");
    assert!(line.contains("61 members wait behind 39 copies"), "{line}");
    std::thread::sleep(LONG);
    assert_eq!((rig.counter("in_flight"), rig.counter("silent")), (39, 39));
    assert_eq!(rig.core.count(), 39);
    // One line a minute, however long it lasts.
    let told = rig.log().matches("members wait behind").count();
    assert!(told <= 2, "{told} lines");
    let mut client = rig.client();
    let request = Request::another(&client).sender(BOB).group(HIKERS);
    let (_, forks) = sent(&rig, &mut client, &request, 2);
    assert_eq!(forks.len(), 2);
}
