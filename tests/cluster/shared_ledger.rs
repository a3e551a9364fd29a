//! The ledger that nodes share, as the processes see it that write it: two or more against one PostgreSQL.

use crate::sample::submission;
use crate::support::postgres::Postgres;
use crate::support::rig::until;
use crate::wire::Wire;
use cimf::config::{DbUrl, PostgresUrl, Settings};
use cimf::control::Own;
use cimf::control::request_memory::RequestKey;
use cimf::fanout::Submission;
use cimf::ledger::cluster::{ClusterLedger, ClusterPlace, Renewal, list, show};
use cimf::ledger::{
    CommitMode, Entry, KeptCopy, Ledger, OutcomeRecord, Promise, RequestRecord, Unfinished,
};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

fn postgres() -> Postgres {
    let postgres = Postgres::start();
    postgres.init();
    postgres
}

/// The writer of a node with a lease of so many milliseconds.
fn ledger_at(url: &str, lease: u64) -> ClusterLedger {
    let place = ClusterPlace {
        url: read(url),
        node: "a".to_owned(),
        lease: Duration::from_millis(lease),
        kept: None,
    };
    let mut ledger = ClusterLedger::new(&place, None, || {}).unwrap();
    ledger.begin().unwrap();
    ledger.whose(&[]).unwrap();
    ledger
}

fn ledger(postgres: &Postgres) -> ClusterLedger {
    ledger_at(&postgres.url(), 60_000)
}

fn read(url: &str) -> PostgresUrl {
    let mut settings = Settings::new();
    settings.set("db_url", url).unwrap();
    match settings.db_url {
        DbUrl::Postgres(url) => *url,
        DbUrl::Sqlite(path) => panic!("{path:?}"),
    }
}

/// The number that a message has in a run.
fn id(ledger: &ClusterLedger, number: u64) -> u64 {
    ledger.known_run().unwrap().number << 32 | number
}

fn request(call_id: &str) -> RequestRecord<'_> {
    RequestRecord {
        key: RequestKey {
            from_tag: b"9f2c",
            call_id: call_id.as_bytes(),
            cseq: 41,
            via: b"SIP/2.0/UDP h;branch=z9hG4bK1",
        },
        content: [3; 16],
    }
}

fn promise<'a>(id: u64, recipients: &[Own<'a>], request: Option<RequestRecord<'a>>) -> Entry<'a> {
    let submission = Submission {
        accepted_at: 1_700_000_000_000 + id,
        ..submission()
    };
    Entry::Promise(Box::new(Promise {
        id,
        promised: true,
        anonymous: false,
        submission,
        recipients: recipients.to_vec(),
        request,
    }))
}

const BOB: Own<'static> = Own {
    address: b"sip:bob@home1.net",
    headers: b"",
    has_entry: false,
};

/// A message with the seed that all have here.
fn seeded(id: u64) -> (u64, [u8; 16]) {
    (id, submission().seed)
}

#[track_caller]
fn write(ledger: &mut ClusterLedger, entries: &[Entry<'_>]) -> Vec<u64> {
    ledger.commit(entries, CommitMode::Synced).unwrap()
}

/// What one node leaves another one has.
#[track_caller]
fn handed_over(from: &mut ClusterLedger, to: &mut ClusterLedger) -> Vec<Unfinished> {
    from.leave().unwrap();
    to.take_over(1000, true).unwrap().messages
}

#[test]
fn what_one_node_promises_another_one_reads() {
    let postgres = postgres();
    let (mut first, mut second) = (ledger(&postgres), ledger(&postgres));
    let odd = Submission {
        originator: b"sip:\xff\0@h",
        body: b"\0\xff\r\n",
        headers: b"Subject: x\r\n\tfolded\r\n",
        charging: b";icid-generated-at=h",
        entry_at: 7,
        needs_stream: true,
        window: 9,
        most_at_once: Some(4),
        accepted_at: 1,
        expires_at: 1_900_000_000_000,
        seed: [0xab; 16],
        anonymous: true,
        ..submission()
    };
    let names: Vec<String> = (0..600)
        .map(|number| format!("sip:m{number}@home1.net"))
        .collect();
    let many: Vec<Own<'_>> = names
        .iter()
        .map(|name| Own::plain(name.as_bytes()))
        .collect();
    let own = Own {
        address: b"tel:+15551230003",
        headers: b"P-A: \\x\r\n\tfolded\r\n",
        has_entry: true,
    };
    let (small, large) = (id(&first, 1), id(&first, 2));
    let of_small = Entry::Promise(Box::new(Promise {
        id: small,
        promised: true,
        anonymous: true,
        submission: odd,
        recipients: vec![BOB, own],
        request: None,
    }));
    assert!(write(&mut first, &[of_small, promise(large, &many, None)]).is_empty());
    let outcome = |recipient| OutcomeRecord {
        recipient,
        outcome: 4,
        code: 200,
    };
    let outcomes = [outcome(0), outcome(255), outcome(256), outcome(599)];
    for part in outcomes.chunks(3) {
        let entry = Entry::Outcomes {
            id: large,
            outcomes: Cow::Borrowed(part),
        };
        first.commit(&[entry], CommitMode::Soon).unwrap();
    }
    assert_eq!(first.figures().unfinished, 2);
    let found = handed_over(&mut first, &mut second);
    let [small_found, large_found] = &found[..] else {
        panic!("{found:?}");
    };
    let message = small_found.message.submission();
    assert_eq!(message.body, odd.body);
    assert_eq!(
        (message.headers, message.charging),
        (odd.headers, odd.charging)
    );
    assert_eq!((message.entry_at, message.needs_stream), (7, true));
    assert_eq!((message.window, message.most_at_once), (9, Some(4)));
    assert_eq!(
        (message.seed, message.expires_at),
        (odd.seed, odd.expires_at)
    );
    // Who asked for anonymity stands there as a pseudonym.
    assert!(message.anonymous && message.originator.len() == 32);
    assert_eq!(
        small_found.recipients.iter().collect::<Vec<_>>(),
        [BOB, own]
    );
    assert_eq!(large_found.recipients.iter().collect::<Vec<_>>(), many);
    assert_eq!(large_found.outcomes, outcomes);
    assert_eq!(second.figures().unfinished, 2);
    // What the first one says of them does not count any more; the second one goes on with the outcomes.
    let late = Entry::Outcomes {
        id: large,
        outcomes: Cow::Owned(vec![outcome(7)]),
    };
    write(&mut first, &[late, Entry::Finished { id: small }]);
    let more = Entry::Outcomes {
        id: large,
        outcomes: Cow::Owned(vec![outcome(300)]),
    };
    write(&mut second, &[more]);
    let shown = show(&read(&postgres.url()), large).unwrap().unwrap();
    let known: Vec<u32> = shown
        .outcomes
        .iter()
        .map(|outcome| outcome.recipient)
        .collect();
    assert_eq!(known, [0, 255, 256, 300, 599]);
    assert_eq!(list(&read(&postgres.url())).unwrap().len(), 2);
    write(
        &mut second,
        &[Entry::Finished { id: small }, Entry::Finished { id: large }],
    );
    assert_eq!(second.figures().unfinished, 0);
    assert!(list(&read(&postgres.url())).unwrap().is_empty());
    assert_eq!(
        postgres.psql("SELECT count(*) FROM cimf_ledger.recipient_state"),
        "0"
    );
}

#[test]
fn a_request_is_accepted_by_one_node() {
    let postgres = postgres();
    let mut nodes = [ledger(&postgres), ledger(&postgres)];
    let ids = nodes.each_ref().map(|node| id(node, 1));
    let taken = promise(ids[0], &[BOB], Some(request("one")));
    assert!(write(&mut nodes[0], &[taken]).is_empty());
    let again = promise(ids[1], &[BOB], Some(request("one")));
    let other = promise(ids[1] + 1, &[BOB], Some(request("two")));
    let elsewhere = RequestRecord {
        content: [4; 16],
        ..request("one")
    };
    let of_others = promise(ids[1] + 2, &[BOB], Some(elsewhere));
    assert_eq!(write(&mut nodes[1], &[again, other, of_others]), [ids[1]]);
    assert_eq!(nodes[1].figures().unfinished, 2);
    // Also when it is finished; but not when it was withdrawn.
    write(&mut nodes[0], &[Entry::Finished { id: ids[0] }]);
    let later = promise(ids[1] + 3, &[BOB], Some(request("one")));
    assert_eq!(write(&mut nodes[1], &[later]), [ids[1] + 3]);
    write(&mut nodes[1], &[Entry::Withdrawn { id: ids[1] + 1 }]);
    let retried = promise(ids[0] + 1, &[BOB], Some(request("two")));
    assert!(write(&mut nodes[0], &[retried]).is_empty());
}

#[test]
fn nodes_with_the_same_requests_at_once_accept_each_of_them_once() {
    let postgres = postgres();
    let call_ids: Vec<String> = (0..400).map(|number| format!("call {number}")).collect();
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let nodes: Vec<_> = (0..3)
            .map(|node| {
                let (postgres, call_ids) = (&postgres, &call_ids);
                scope.spawn(move || {
                    let mut ledger = ledger(postgres);
                    let mut accepted = 0;
                    let mut numbers: Vec<usize> = (0..call_ids.len()).collect();
                    if node == 1 {
                        numbers.reverse();
                    }
                    for part in numbers.chunks(8) {
                        let entries: Vec<_> = part
                            .iter()
                            .map(|&number| {
                                let key = request(&call_ids[number]);
                                promise(id(&ledger, number as u64), &[BOB], Some(key))
                            })
                            .collect();
                        accepted += part.len() - write(&mut ledger, &entries).len();
                    }
                    accepted
                })
            })
            .collect();
        nodes.into_iter().map(|node| node.join().unwrap()).collect()
    });
    assert_eq!(counts.iter().sum::<usize>(), call_ids.len(), "{counts:?}");
}

#[test]
fn what_was_written_without_an_answer_is_withdrawn() {
    let postgres = postgres();
    let wire = Wire::to(postgres.port());
    let url = format!("postgres://cimf:s3cret@127.0.0.1:{}/groups", wire.port);
    let mut ledger = ledger_at(&url, 60_000);
    let doubtful = id(&ledger, 1);
    wire.lose_answers();
    let began = Instant::now();
    let error = ledger.commit(
        &[promise(doubtful, &[BOB], Some(request("one")))],
        CommitMode::Synced,
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no answer within"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
    let count = || postgres.psql("SELECT count(*) FROM cimf_ledger.message");
    until(|| (count() == "1").then_some(())).expect("a message that was written all the same");
    wire.mend();
    // The same request again, as the client was answered 503.
    let retried = promise(id(&ledger, 2), &[BOB], Some(request("one")));
    assert!(write(&mut ledger, &[retried]).is_empty());
    let ids = postgres.psql("SELECT id & 4294967295 FROM cimf_ledger.message");
    assert_eq!(ids, "2");
    assert!(ledger.has_withdrawn());
}

#[test]
fn what_another_node_has_answered_for_is_not_withdrawn() {
    let postgres = postgres();
    let (mut slow, mut other) = (ledger(&postgres), ledger(&postgres));
    // Its client was answered 503, as the commit came late, and has turned to the other node.
    let late = id(&slow, 1);
    write(&mut slow, &[promise(late, &[BOB], Some(request("one")))]);
    let again = id(&other, 1);
    let known = write(&mut other, &[promise(again, &[BOB], Some(request("one")))]);
    assert_eq!(known, [again]);
    write(&mut slow, &[Entry::Withdrawn { id: late }]);
    // Whoever comes first sends it.
    let found = other.take_over(10, true).unwrap().messages;
    let ids: Vec<u64> = found.iter().map(|found| found.message.id).collect();
    assert_eq!(ids, [late]);
    assert_eq!(slow.figures().unfinished, 0);
}

#[test]
fn what_comes_to_light_late_is_told_apart() {
    let postgres = postgres();
    let wire = Wire::to(postgres.port());
    let url = format!("postgres://cimf:s3cret@127.0.0.1:{}/groups", wire.port);
    let (mut ledger, mut lost) = (ledger_at(&url, 60_000), ledger(&postgres));
    let left = id(&lost, 1);
    write(&mut lost, &[promise(left, &[BOB], None)]);
    lost.leave().unwrap();
    let kept = id(&ledger, 1);
    write(&mut ledger, &[promise(kept, &[BOB], None)]);
    // Taken over without an answer.
    wire.lose_answers();
    ledger.take_over(10, true).unwrap_err();
    wire.mend();
    let run = ledger.known_run().unwrap().number;
    postgres.psql(&format!(
        "UPDATE cimf_ledger.message SET run = {run} WHERE id = {left}"
    ));
    // Withdrawn, and there all the same.
    let stray = id(&ledger, 2);
    write(&mut ledger, &[Entry::Withdrawn { id: stray }]);
    postgres.psql(&format!(
        "INSERT INTO cimf_ledger.message SELECT {stray}, finished, run, accepted_at, expires_at, anonymous, originator, group_uri,
           from_header, headers, charging, needs_stream, send_window, most_at_once, entry_at, seed, body,
           recipient_count, recipients, list, omitted, request FROM cimf_ledger.message WHERE id = {kept}"
    ));
    assert!(!ledger.must_recall());
    let found = ledger.recall().unwrap();
    let ids: Vec<u64> = found.iter().map(|found| found.message.id).collect();
    assert_eq!(ids, [left]);
    assert_eq!(ledger.figures().unfinished, 2);
    let ids =
        postgres.psql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM cimf_ledger.message");
    let mut expected = [kept, left];
    expected.sort_unstable();
    assert_eq!(ids, format!("{} {}", expected[0], expected[1]));
}

#[test]
fn lists_that_are_gone_are_written_again() {
    let postgres = postgres();
    let mut ledger = ledger(&postgres);
    let names: Vec<String> = (0..40)
        .map(|number| format!("sip:m{number}@home1.net"))
        .collect();
    let many: Vec<Own<'_>> = names
        .iter()
        .map(|name| Own::plain(name.as_bytes()))
        .collect();
    let first = id(&ledger, 1);
    write(&mut ledger, &[promise(first, &many, None)]);
    write(&mut ledger, &[Entry::Finished { id: first }]);
    assert_eq!(postgres.psql("SELECT count(*) FROM cimf_ledger.list"), "1");
    postgres.psql("DELETE FROM cimf_ledger.list");
    write(&mut ledger, &[promise(first + 1, &many, None)]);
    assert_eq!(postgres.psql("SELECT count(*) FROM cimf_ledger.list"), "1");
    // Unused for long they are deleted; those of messages are not.
    postgres.psql("UPDATE cimf_ledger.list SET used_at = used_at - interval '3 hours'");
    postgres.psql("UPDATE cimf_ledger.request SET answered_at = answered_at - interval '3 hours'");
    ledger.tend(0).unwrap();
    assert_eq!(postgres.psql("SELECT count(*) FROM cimf_ledger.list"), "1");
}

#[test]
fn a_lease_that_has_run_out_lets_others_take_over_and_says_so() {
    let postgres = postgres();
    let (mut first, mut second) = (ledger_at(&postgres.url(), 400), ledger(&postgres));
    let (kept, taken) = (id(&first, 1), id(&first, 2));
    write(
        &mut first,
        &[promise(kept, &[BOB], None), promise(taken, &[BOB], None)],
    );
    assert!(second.take_over(10, false).unwrap().messages.is_empty());
    assert_eq!(first.renew(false).unwrap(), Renewal::Held);
    let find = |second: &mut ClusterLedger| Some(second.take_over(1, false).unwrap().messages);
    let found = until(|| find(&mut second).filter(|found| !found.is_empty()));
    // Whoever was away itself takes only from those that have left.
    assert!(second.take_over(1, true).unwrap().messages.is_empty());
    let found: Vec<u64> = found
        .unwrap()
        .iter()
        .map(|found| found.message.id)
        .collect();
    // The oldest first.
    assert_eq!(found, [kept]);
    assert_eq!(first.renew(false).unwrap(), Renewal::RanOut);
    let whose = first.whose(&[kept, taken, 77].map(seeded)).unwrap();
    assert_eq!((whose.taken, whose.unknown), (vec![0], vec![2]));
    assert_eq!(first.figures().unfinished, 1);
    assert!(second.take_over(10, false).unwrap().messages.is_empty());
    // Also when it has ended meanwhile.
    write(&mut second, &[Entry::Finished { id: kept }]);
    assert_eq!(first.whose(&[seeded(kept)]).unwrap().taken, [0]);
    // A node that was away for so long that nobody remembers it begins anew.
    write(&mut first, &[Entry::Finished { id: taken }]);
    let run = first.known_run().unwrap().number;
    postgres.psql(&format!("DELETE FROM cimf_ledger.node WHERE run = {run}"));
    assert_eq!(first.renew(false).unwrap(), Renewal::Anew);
    assert!(first.known_run().unwrap().number > run);
}

#[test]
fn nodes_share_what_a_lost_one_has_left() {
    const MESSAGES: u64 = 200;
    let postgres = postgres();
    let mut lost = ledger(&postgres);
    let entries: Vec<_> = (1..=MESSAGES)
        .map(|number| promise(id(&lost, number), &[BOB], None))
        .collect();
    write(&mut lost, &entries);
    lost.leave().unwrap();
    let shares: Vec<BTreeSet<u64>> = std::thread::scope(|scope| {
        let nodes: Vec<_> = (0..3)
            .map(|_| {
                let postgres = &postgres;
                scope.spawn(move || {
                    let (mut ledger, mut taken) = (ledger(postgres), BTreeSet::new());
                    let left = || {
                        postgres.psql(
                        "SELECT count(*) FROM cimf_ledger.message JOIN cimf_ledger.node USING (run)
                         WHERE lease_until < clock_timestamp()",
                    )
                    };
                    while left() != "0" {
                        let found = ledger.take_over(20, true).unwrap().messages;
                        assert!(found.len() <= 20);
                        taken.extend(found.iter().map(|found| found.message.id));
                    }
                    taken
                })
            })
            .collect();
        nodes.into_iter().map(|node| node.join().unwrap()).collect()
    });
    let sum: usize = shares.iter().map(BTreeSet::len).sum();
    let all: BTreeSet<u64> = shares.into_iter().flatten().collect();
    assert_eq!((sum, all.len() as u64), (MESSAGES as usize, MESSAGES));
}

#[test]
fn what_others_have_taken_over_is_not_withdrawn() {
    let postgres = postgres();
    let (mut first, mut second) = (ledger(&postgres), ledger(&postgres));
    let taken = id(&first, 1);
    write(&mut first, &[promise(taken, &[BOB], Some(request("one")))]);
    assert_eq!(handed_over(&mut first, &mut second).len(), 1);
    let kept = Entry::Kept(KeptCopy {
        message: taken,
        recipient: 0,
        address_hash: 1,
        address: BOB.address,
        code: 480,
        kept_at: 1_700_000_000_000,
        expires_at: 1_800_000_000_000,
    });
    write(&mut second, &[kept, Entry::Finished { id: taken }]);
    // As the next start does with what it finds noted.
    let mut again = ledger(&postgres);
    again.withdraw(&[taken]);
    write(&mut again, &[]);
    assert!(again.has_withdrawn());
    assert_eq!(postgres.psql("SELECT count(*) FROM cimf_ledger.kept"), "1");
    let kept = postgres.psql("SELECT id FROM cimf_ledger.kept");
    let kept = kept.parse().unwrap();
    write(&mut again, &[Entry::KeptEnded { kept }]);
    assert_eq!(
        postgres.psql("SELECT count(*) FROM cimf_ledger.message"),
        "0"
    );
}
