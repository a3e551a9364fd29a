//! `durability=journal`: what was answered 202 outlives the proxy.

mod crashes;
mod frozen;
mod members;

use crate::checks::{accepted, refused};
use crate::support::PATIENCE;
use crate::support::client::Transport;
use crate::support::core::Answer;
use crate::support::flow::Request;
use crate::support::rig::{ANN, BOB, HIKERS, Rig, Setup, TEL, until};
use cimf::ledger::{LedgerFile, Reader, StoredRequest, Unfinished};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use crashes::{
    of_proxies_killed_at_any_moment_none_forgets_a_recipient,
    of_proxies_killed_while_members_wait_none_forgets_a_recipient,
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

/// The Call-IDs of the forks to one member, in their order.
fn call_ids(rig: &Rig, member: &str) -> Vec<String> {
    let forks = rig.core.forks();
    let his = forks
        .iter()
        .filter(|fork| fork.message.request_uri() == member);
    his.map(|fork| fork.message.one("Call-ID").to_owned())
        .collect()
}

/// S-5, issue 4: when the 202 is there, so is the message, within what was synced.
pub fn a_202_comes_when_the_message_is_on_the_disk(transport: Transport) {
    let (setup, directory) = durable(transport);
    let rig = setup.start();
    let mut client = rig.client();
    for _ in 0..5 {
        let request = Request::another(&client);
        accepted(&rig, &mut client, &request, &[BOB, TEL]);
        frozen::freeze(&rig);
        let synced = frozen::synced(&rig, &directory);
        let segments = frozen::segments(&directory);
        let (mark, path) = &segments[&synced.segment];
        let call_id = request.value("Call-ID").as_bytes();
        let records = frozen::records(*mark, path, synced.byte);
        let is_there = records.iter().any(|(kind, payload)| {
            matches!(Entry::decode(*kind, payload),
                Some(Entry::Accepted(message)) if message.key.call_id == call_id)
        });
        assert!(
            is_there,
            "not among {} records of {synced:?}",
            records.len()
        );
        frozen::thaw(&rig);
    }
}

/// Issue 4: what is finished leaves nothing behind but the transactions of the last 64*T1.
pub fn a_run_without_trouble_leaves_an_empty_journal(transport: Transport) {
    let (setup, directory) = durable(transport);
    let mut rig = setup.start();
    let mut client = rig.client();
    for _ in 0..3 {
        let request = Request::another(&client);
        accepted(&rig, &mut client, &request, &[BOB, TEL]);
    }
    rig.wait_for_counter("forks_delivered", 6);
    // All of it has been looked at.
    let is_empty = || {
        let segments = frozen::segments(&directory).into_values();
        let lengths = segments.map(|(_, path)| path.metadata().expect("its length").len());
        let is_done = rig.counter("messages") == 0
            && rig.counter("journal_bytes") == lengths.sum::<u64>()
            && rig.counter("journal_unfinished") == 0;
        is_done.then_some(())
    };
    until(is_empty).expect("an empty journal");
    assert_eq!(rig.counter("journal_stored"), 3);
    assert!(rig.counter("journal_syncs") >= 3);
    rig.stop();
    let recovered = left(&directory);
    assert_eq!(recovered.messages, []);
    assert_eq!(recovered.recent.len(), 3);
    assert_eq!(recovered.notes, [""; 0]);
}

/// Issue 4, H-3: the rest goes on under the same Call-ID, a 482 says that it was there, and the client's own
/// repetition is answered and not sent.
pub fn a_killed_proxy_goes_on_and_knows_its_client_again(transport: Transport) {
    let (setup, directory) = durable(transport);
    let mut rig = setup.start();
    rig.core.answer("bob", Answer::Silence);
    let mut client = rig.client();
    let request = Request::another(&client);
    let (answer, _) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_counter("forks_delivered", 1);
    let outcome_is_kept = || {
        let segments = frozen::segments(&directory);
        let (mark, path) = segments.values().next_back()?;
        let records = frozen::records(*mark, path, u64::MAX);
        records.iter().any(|(kind, _)| *kind == 2).then_some(())
    };
    until(outcome_is_kept).expect("the outcome in the journal");
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
    assert_eq!(left(&directory).messages, []);
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
    for piece in ["message 1 to", HIKERS, "goes on after the next start", BOB] {
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

/// Issue 4: the same line without a journal says that the rest is lost.
pub fn without_a_journal_a_stop_names_what_is_lost(transport: Transport) {
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

/// S-5: no room on the disk is no 202.
pub fn a_full_disk_is_answered_503(transport: Transport) {
    let (setup, directory) = durable(transport);
    // A file that may not grow stands for a disk that is full.
    let setup = setup.run_by(&["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    let rig = setup.number("LOG_LEVEL", -1).start();
    let mut client = rig.client();
    for _ in 0..20 {
        let request = Request::another(&client);
        accepted(&rig, &mut client, &request, &[BOB, TEL]);
    }
    let length = || {
        let segments = frozen::segments(&directory);
        let (_, path) = segments.values().next_back().expect("a segment");
        path.metadata().expect("its length").len()
    };
    let settled = || (rig.counter("messages") == 0).then_some(length());
    let full = until(settled).expect("a journal at rest");
    let log = rig.log().len() as u64;
    assert!(log < full, "the log of {log} bytes would be hit first");
    limit_files(&rig, full);
    let request = Request::another(&client);
    let response = refused(&rig, &mut client, &request, 503);
    assert_eq!(response.one("Retry-After"), "30");
    limit_files(&rig, libc::RLIM_INFINITY);
    let line = rig.wait_for_log("cannot append to");
    assert!(
        line.contains("ERROR") && line.contains("segment-"),
        "{line}"
    );
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}

/// Lets no file of a proxy become longer.
fn limit_files(rig: &Rig, bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    for (process, _) in rig.processes() {
        // SAFETY: the limit is read from a local, and nothing is written.
        let done = unsafe {
            libc::prlimit(
                process as i32,
                libc::RLIMIT_FSIZE,
                &limit,
                std::ptr::null_mut(),
            )
        };
        assert_eq!(done, 0, "process {process}");
    }
}

/// Issue 4: neither wrong bytes nor a torn end stop the start, and what was safe elsewhere is sent.
pub fn a_damaged_journal_is_kept_aside_and_costs_only_what_was_hit(transport: Transport) {
    let (setup, directory) = durable(transport);
    let mut rig = setup.start();
    rig.core.answer("bob", Answer::Silence);
    let mut client = rig.client();
    let requests: Vec<_> = (0..3).map(|_| Request::another(&client)).collect();
    for request in &requests {
        client.send(&request.bytes());
        assert_eq!(client.receive().status(), 202);
    }
    let is_finished = || (rig.counter("forks_delivered") == 3).then_some(());
    until(is_finished).expect("three copies to the other member");
    frozen::kill(&mut rig);
    let segments = frozen::segments(&directory);
    let (_, path) = segments.values().next_back().expect("a segment");
    let mut bytes = std::fs::read(path).expect("a segment");
    // The second message's record is hit, and the end is torn.
    let second = requests[1].value("Call-ID").as_bytes();
    let place = bytes
        .windows(second.len())
        .position(|window| window == second);
    bytes[place.expect("the second message")] ^= 0x55;
    bytes.extend_from_slice(&[0x5a; 100]);
    std::fs::write(path, &bytes).expect("writing a segment");

    rig.core.answer("bob", Answer::Code(200));
    let before = rig.core.count();
    rig.start_again();
    let line = rig.wait_for_log("the damaged file is kept as");
    let aside = line.rsplit_once("kept as ").expect("a path").1.trim();
    assert!(aside.ends_with(".damaged"), "{line}");
    assert_eq!(std::fs::read(aside).expect(aside), bytes, "as it was found");
    rig.wait_for_log("that are no record");
    rig.wait_for_log("messages of the last run go on");
    rig.core.wait_for(before + 2);
    let settled = || (rig.counter("messages") == 0).then_some(());
    until(settled).expect("an end of the two that are left");
    let mut to_bob = call_ids(&rig, BOB);
    to_bob.sort();
    to_bob.dedup();
    assert!(to_bob.len() <= 3, "a second Call-ID: {to_bob:?}");
}

/// Issue 4: a directory that cannot be used stops the start, and the line names it.
#[test]
fn a_journal_that_cannot_be_used_is_named() {
    let (setup, _) = durable(Transport::Udp);
    let file = setup.folder().join("file");
    std::fs::write(&file, "no directory").expect("a file");
    let inside = file.join("journal").display().to_string();
    let setup = setup.text("JOURNAL_DIR", &inside);
    setup.provision();
    stops(&setup, &["cannot make the directory", &inside, "ERROR"]);
    let setup = setup.text("DURABILITY", "always");
    stops(
        &setup,
        &["durability", "always", "expected none or journal"],
    );
}

/// Issue 4: two proxies on one journal would send each other's messages.
#[test]
fn a_second_proxy_on_the_same_journal_is_refused_and_told_of_the_first() {
    let (setup, directory) = durable(Transport::Udp);
    let rig = setup.start();
    let (second, _) = durable(Transport::Udp);
    let second = second.text("JOURNAL_DIR", &directory.display().to_string());
    second.provision();
    let first = format!("in use by process {}", rig.main_process());
    stops(
        &second,
        &[&first, &directory.display().to_string(), "journal_dir"],
    );
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
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

/// Not a check: how long a 202 takes, with and without the journal, for one sender and for eight.
#[test]
#[ignore = "figures for the README"]
fn latency_of_202() {
    for is_durable in [false, true] {
        for senders in [1, 8] {
            let (setup, _) = durable(Transport::Udp);
            let setup = match is_durable {
                true => setup,
                false => setup.text("DURABILITY", "none"),
            };
            let rig = setup.number("CHILDREN", senders).start();
            let times = std::thread::scope(|scope| {
                let measure = || {
                    let mut client = rig.client();
                    let one = |_| {
                        let request = Request::another(&client);
                        let start = Instant::now();
                        client.send(&request.bytes());
                        client.receive();
                        let time = start.elapsed();
                        std::thread::sleep(Duration::from_millis(2));
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
            eprintln!(
                "journal {is_durable}, {senders} senders: p50 {:?}, p99 {:?}; stored {}, syncs {}",
                times[times.len() / 2],
                times[times.len() * 99 / 100],
                rig.counter("journal_stored"),
                rig.counter("journal_syncs"),
            );
        }
    }
}
