//! `durability=journal`: what was answered 202 outlives the proxy.

mod crashes;
pub mod frozen;
mod members;
mod trouble;
mod unsynced;

use crate::checks::accepted;
use crate::support::PATIENCE;
use crate::support::client::Transport;
use crate::support::core::Answer;
use crate::support::flow::Request;
use crate::support::rig::{ANN, BOB, HIKERS, Rig, Setup, TEL, until};
use cimf::ledger::{LedgerFile, Reader, SqliteReader, StoredRequest, Unfinished};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use crashes::{
    of_proxies_killed_at_any_moment_none_forgets_a_recipient,
    of_proxies_killed_while_members_wait_none_forgets_a_recipient,
};
pub use trouble::{
    a_full_disk_is_answered_503_and_it_goes_on_once_there_is_room,
    a_ledger_that_is_gone_is_answered_503, a_retransmission_waits_with_its_message,
    a_stopped_ledger_process_is_answered_503,
    the_same_request_on_another_branch_is_known_after_a_crash,
    what_was_given_up_is_not_sent_after_a_crash,
};

/// A proxy with a ledger, and where that is.
fn durable(transport: Transport) -> (Setup, PathBuf) {
    let setup = Setup::new(transport);
    let ledger = setup.folder().join("ledger.db");
    let setup = setup
        .text("DURABILITY", "journal")
        .text("LEDGER", &ledger.display().to_string())
        .number("TM_FR_TIMER", 20_000);
    (setup, ledger)
}

/// What a ledger says: messages that are not finished, and requests that were answered.
struct Left {
    messages: Vec<Unfinished>,
    requests: Vec<StoredRequest>,
}

/// What the ledger of a proxy that has ended says.
#[track_caller]
fn left(ledger: &Path) -> Left {
    let file = LedgerFile::open_existing(ledger).expect("the ledger");
    read(&mut file.reader().expect("its reader"))
}

/// What the ledger of a running proxy says.
#[track_caller]
fn now(ledger: &Path) -> Left {
    read(&mut SqliteReader::open(ledger).expect("a reader"))
}

fn read(reader: &mut impl Reader) -> Left {
    let mut messages = Vec::new();
    let unfinished = reader.unfinished(&mut |message| messages.push(message));
    unfinished.expect("what is not finished");
    let requests = reader.requests(0).expect("requests");
    Left { messages, requests }
}

/// Waits until all that was accepted is finished in the ledger, too.
#[track_caller]
fn wait_until_finished(ledger: &Path) {
    let is_finished = || now(ledger).messages.is_empty().then_some(());
    until(is_finished).expect("a ledger in which all is finished");
}

/// The Call-IDs of the forks to one member, in their order.
fn call_ids(rig: &Rig, member: &str) -> Vec<String> {
    let forks = rig.core.forks();
    let theirs = forks
        .iter()
        .filter(|fork| fork.message.request_uri() == member);
    theirs
        .map(|fork| fork.message.one("Call-ID").to_owned())
        .collect()
}

/// S-5: when the 202 is there, so is the message.
pub fn a_202_comes_when_the_message_is_on_the_disk(transport: Transport) {
    let (setup, ledger) = durable(transport);
    let rig = setup.number("TARGET_ORDER", 0).start();
    rig.core.answer("bob", Answer::Silence);
    let mut client = rig.client();
    for count in 1..=5 {
        let request = Request::another(&client);
        accepted(&rig, &mut client, &request, &[BOB, TEL]);
        let left = now(&ledger);
        let call_id = request.value("Call-ID").as_bytes();
        let is_there = left.requests.iter().any(|one| one.call_id == call_id);
        assert!(is_there && left.messages.len() == count, "{count}");
    }
}

/// What is finished leaves nothing behind but the requests of the last 64*T1.
pub fn a_run_without_trouble_leaves_an_empty_ledger(transport: Transport) {
    let (setup, ledger) = durable(transport);
    let mut rig = setup.start();
    let mut client = rig.client();
    for _ in 0..3 {
        let request = Request::another(&client);
        accepted(&rig, &mut client, &request, &[BOB, TEL]);
    }
    rig.wait_for_counter("forks_delivered", 6);
    rig.wait_for_gauge("ledger_unfinished", 0);
    assert_eq!(rig.counter("ledger_stored"), 3);
    assert!(rig.counter("ledger_commits") >= 3);
    assert!(rig.counter("ledger_bytes") > 4096);
    rig.stop();
    let left = left(&ledger);
    assert!(left.messages.is_empty());
    assert_eq!(left.requests.len(), 3);
}

/// who stays anonymous is not named in what others may read.
pub fn the_ledger_does_not_name_an_anonymous_sender(transport: Transport) {
    let (setup, ledger) = durable(transport);
    let rig = setup
        .text("ANONYMITY_POLICY", "group")
        .number("TRUSTED_NEXT_HOP", 1)
        .start();
    crate::rules::let_anybody_stay_anonymous(&rig);
    rig.core.answer("bob", Answer::Silence);
    let mut client = rig.client();
    let request = Request::another(&client).with("Privacy: id");
    client.send(&request.bytes());
    assert_eq!(client.receive().status(), 202);
    let left = now(&ledger);
    let message = &left.messages[0].message;
    assert!(message.anonymous, "{message:?}");
    for text in [&message.originator, &message.from] {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains("ann@"), "{text}");
    }
}

/// Issue 4, H-3: the rest goes on under the same Call-ID, a 482 says that it was there, and the client's own
/// retransmission is answered and not sent.
pub fn a_killed_proxy_goes_on_and_knows_its_client_again(transport: Transport) {
    let (setup, ledger) = durable(transport);
    let mut rig = setup.start();
    rig.core.answer("bob", Answer::Silence);
    let mut client = rig.client();
    let request = Request::another(&client);
    let (answer, _) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_counter("forks_delivered", 1);
    let outcome_is_kept = || (now(&ledger).messages[0].outcomes.len() == 1).then_some(());
    until(outcome_is_kept).expect("the outcome in the ledger");
    frozen::kill(&mut rig);

    rig.core.answer("bob", Answer::Code(482));
    rig.start_again();
    rig.wait_for_log("1 messages of the last run go on, with 1 recipients");
    rig.wait_for_counter("forks_delivered", 1);
    let to_bob = call_ids(&rig, BOB);
    assert!(to_bob.len() == 2 && to_bob[0] == to_bob[1], "{to_bob:?}");
    assert_eq!(call_ids(&rig, TEL).len(), 1, "this one had ended");

    // Over UDP the answer goes where Via says; a connection has not outlived the proxy.
    if transport == Transport::Tcp {
        client = rig.client();
    }
    client.send(&request.bytes());
    let again = client.receive();
    assert_eq!((again.status(), again.one("To")), (202, answer.one("To")));
    client.fence();
    rig.wait_for_counter("retransmissions", 1);
    // A message of this run has a number of its own.
    rig.core.answer("bob", Answer::Code(200));
    let next = Request::another(&client);
    accepted(&rig, &mut client, &next, &[BOB, TEL]);
    rig.wait_for_counter("forks_delivered", 3);
    rig.wait_for_log("message 2 to");
    rig.stop();
    assert!(left(&ledger).messages.is_empty());
    assert_eq!(rig.core.count(), 5);
}

/// Issue 4: an orderly stop names who has not got what, and the next start goes on with exactly these.
pub fn an_orderly_stop_names_the_rest_and_the_next_start_sends_it(transport: Transport) {
    let (setup, _) = durable(transport);
    let mut rig = setup.start();
    rig.core.answer("bob", Answer::Silence);
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_counter("forks_delivered", 1);
    rig.stop();
    let line = rig.wait_for_log("is not finished");
    for piece in ["message 1 to", HIKERS, "is resumed at the next start", BOB] {
        assert!(line.contains(piece), "{piece} in {line}");
    }
    assert!(!line.contains(TEL) && !line.contains(ANN), "{line}");

    rig.core.answer("bob", Answer::Code(200));
    rig.start_again();
    rig.wait_for_counter("forks_delivered", 1);
    rig.wait_for_log("delivered=2 refused=0");
    let to_bob = call_ids(&rig, BOB);
    assert!(to_bob.len() == 2 && to_bob[0] == to_bob[1], "{to_bob:?}");
    assert_eq!(call_ids(&rig, TEL).len(), 1);
}

/// Issue 4: the same line without a ledger says that the rest is lost.
pub fn without_a_ledger_a_stop_names_what_is_lost(transport: Transport) {
    let mut rig = Setup::new(transport).number("TM_FR_TIMER", 20_000).start();
    rig.core.answer("bob", Answer::Silence);
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_counter("forks_delivered", 1);
    rig.stop();
    let line = rig.wait_for_log("is not finished");
    assert!(
        line.contains("is lost (durability=none)") && line.contains(BOB),
        "{line}"
    );
    rig.start_again();
    let mut client = rig.client();
    client.fence();
    assert_eq!(rig.core.count(), 2);
}

/// A directory that cannot be used stops the start, and the line names it.
#[test]
fn a_ledger_that_cannot_be_used_is_named() {
    let (setup, _) = durable(Transport::Udp);
    let file = setup.folder().join("file");
    std::fs::write(&file, "no directory").expect("a file");
    let inside = file.join("ledger.db").display().to_string();
    let setup = setup.text("LEDGER", &inside);
    setup.provision();
    stops(&setup, &["parameter ledger", &inside, "ERROR"]);
    let old = setup.folder().join("journal");
    let segment = old.join("segment-0000000001-0000000000000001.journal");
    std::fs::create_dir(&old).expect("a folder");
    std::fs::write(&segment, [0; 100]).expect("a segment");
    let beside = setup.folder().join("ledger.db").display().to_string();
    let setup = setup.text("LEDGER", &beside);
    stops(
        &setup,
        &[&old.display().to_string(), "start that version once more"],
    );
    let setup = setup.text("LEDGER", "ledger.db");
    stops(&setup, &["ledger", "expected the absolute path of a file"]);
    let setup = setup.text("DURABILITY", "always");
    stops(
        &setup,
        &["durability", "always", "expected none, journal or cluster"],
    );
    // Kamailio 6 stops at the first value that is wrong.
    let setup = setup
        .text("DURABILITY", "journal")
        .text("LEDGER", &beside)
        .text("LEDGER_TIMEOUT", "0");
    stops(
        &setup,
        &["ledger_timeout", "expected seconds from 0.01 to 30"],
    );
}

/// Two proxies on one ledger would send each other's messages; what is removed lets no second one in.
#[test]
fn a_second_proxy_on_the_same_ledger_is_refused() {
    let (setup, ledger) = durable(Transport::Udp);
    let rig = setup.start();
    let (second, _) = durable(Transport::Udp);
    let second = second.text("LEDGER", &ledger.display().to_string());
    second.provision();
    let files = std::fs::read_dir(ledger.parent().expect("a folder")).expect("the folder");
    let names = files.map(|file| file.expect("a file").file_name());
    for name in names.filter(|name| name.to_string_lossy().contains("lock")) {
        std::fs::remove_file(ledger.with_file_name(name)).expect("no lock file");
    }
    stops(&second, &[&ledger.display().to_string(), "another proxy"]);
    drop(rig);
}

#[track_caller]
fn stops(setup: &Setup, words: &[&str]) {
    let (status, log) = setup.fails_to_start();
    assert!(!status.success(), "it ended with {status}");
    let is_meant = |line: &str| words.iter().all(|word| line.contains(word));
    assert!(
        log.lines().any(is_meant),
        "no line with all of {words:?} in\n{log}"
    );
}

/// Not a check: how long a 202 takes with four workers, how many there are in a second and what they cost, with and
/// without the ledger, for one sender, and for eight that pause or do not.
#[test]
#[ignore = "figures for docs/performance.md"]
fn latency_of_202() {
    for durability in ["none", "journal"] {
        for (senders, pause) in [(1, 5), (8, 20), (8, 0)] {
            let setup = Setup::new(Transport::Udp).text("DURABILITY", durability);
            let rig = setup
                .number("CHILDREN", 4)
                .number("TARGET_ORDER", 0)
                .start();
            let before = cpu(&rig);
            let start = Instant::now();
            let times = std::thread::scope(|scope| {
                let measure = || {
                    let mut client = rig.client();
                    let one = |_| {
                        let request = Request::another(&client);
                        let start = Instant::now();
                        client.send(&request.bytes());
                        client.receive();
                        let time = start.elapsed();
                        std::thread::sleep(Duration::from_millis(pause));
                        time
                    };
                    (0..500).map(one).collect::<Vec<_>>()
                };
                let threads: Vec<_> = (0..senders).map(|_| scope.spawn(measure)).collect();
                let times = threads
                    .into_iter()
                    .flat_map(|thread| thread.join().expect("times"));
                let mut times: Vec<Duration> = times.collect();
                times.sort();
                times
            });
            assert!(times[times.len() / 2] < PATIENCE);
            let took = start.elapsed();
            let count = times.len();
            eprintln!(
                "durability={durability}, {senders} senders, pause {pause} ms: p50 {:?}, p99 {:?}, {:.0} messages a \
                 second, {:.0} µs of the processors each",
                times[count / 2],
                times[count * 99 / 100],
                count as f64 / took.as_secs_f64(),
                (cpu(&rig) - before).as_micros() as f64 / count as f64,
            );
        }
    }
}

/// What the processes of a proxy took of the processors.
fn cpu(rig: &Rig) -> Duration {
    let ticks = rig.processes().into_iter().map(|(process, _)| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("its times");
        let fields = stat.rsplit_once(") ").expect("its name").1.split(' ');
        let times = fields.skip(11).take(2);
        times
            .map(|time| time.parse::<u64>().expect("a time"))
            .sum::<u64>()
    });
    // A hundred ticks a second.
    Duration::from_millis(10 * ticks.sum::<u64>())
}
