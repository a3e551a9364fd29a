//! A ledger that cannot be written, or not in time: 503 and nothing else, and it goes on by itself.

use super::unsynced::{beside, hold, on_a_lossy_disk, release};
use super::{call_ids, durable, frozen, left, now, wait_until_finished};
use crate::checks::{accepted, refused};
use crate::support::client::{Client, Transport};
use crate::support::core::Answer;
use crate::support::flow::Request;
use crate::support::rig::{BOB, Rig, TEL, until};
use cimf::ledger::StoredRequest;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// `ledger_timeout` where a case waits for it, and far less than that on any machine.
const TIMEOUT: Duration = Duration::from_millis(600);
const AT_ONCE: Duration = Duration::from_millis(300);

/// Sends messages until one is answered 202 again, and fails if another code than 503 comes before.
#[track_caller]
fn goes_on(rig: &Rig, client: &mut Client) {
    let before = rig.core.count();
    let is_accepted = || {
        client.send(&Request::another(client).bytes());
        match client.receive().status() {
            202 => Some(()),
            code => {
                assert_eq!(code, 503);
                None
            }
        }
    };
    until(is_accepted).expect("a 202 again");
    rig.core.wait_for(before + 2);
    rig.wait_for_log("it can be written again");
}

/// What is done to a ledger, in words, and how, and what makes it good.
type Deed<'d> = (&'d str, &'d dyn Fn(), &'d dyn Fn());

/// The Call-ID of a message that is refused, and how long the refusal took.
#[track_caller]
fn refused_after(client: &mut Client) -> (String, Duration) {
    let request = Request::another(client);
    client.send(&request.bytes());
    let start = Instant::now();
    let response = client.receive();
    let took = start.elapsed();
    assert_eq!(response.status(), 503, "{response}");
    assert_eq!(response.one("Retry-After"), "30");
    assert!(
        response
            .one("Warning")
            .contains("Message cannot be stored now")
    );
    (request.value("Call-ID").to_owned(), took)
}

/// S-5: no room on the disk is no 202. What was accepted before goes on, and so do new messages once there is room.
pub fn a_full_disk_is_answered_503_and_it_goes_on_once_there_is_room(transport: Transport) {
    let (setup, ledger) = durable(transport);
    // A file that may not grow stands for a disk that is full.
    let setup = setup.run_by(&["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    let mut rig = setup.number("TARGET_ORDER", 0).start();
    rig.core.answer("bob", Answer::Silence);
    rig.core.answer("+15551230003", Answer::Silence);
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let process = frozen::ledger_process(&rig);
    // The log is a file, too.
    limit_files(process, rig.log().len() as u64 + (16 << 10));
    let is_full = || {
        client.send(&Request::another(&client).bytes());
        let response = client.receive();
        match response.status() {
            202 => None,
            _ => Some(response),
        }
    };
    let response = until(is_full).expect("a refusal");
    assert_eq!(response.status(), 503);
    assert_eq!(response.one("Retry-After"), "30");
    let line = rig.wait_for_log("new messages are answered 503, those accepted before are sent");
    assert!(
        line.contains("ERROR") && line.contains("ledger.db"),
        "{line}"
    );
    // What becomes of those that were accepted is not lost meanwhile, though it cannot be written.
    let accepted = rig.counter("accepted");
    rig.core.answer("+15551230003", Answer::Code(200));
    let mut others = rig.client();
    refused_after(&mut others);
    limit_files(process, libc::RLIM_INFINITY);
    goes_on(&rig, &mut others);
    // Over TCP nobody asks the silent ones again.
    let answered = match transport {
        Transport::Udp => accepted + 1,
        Transport::Tcp => 1,
    };
    rig.wait_for_counter("forks_delivered", answered);
    let delivered = rig.counter("forks_delivered") as usize;
    rig.stop();
    let left = left(&ledger).messages;
    let outcomes: usize = left.iter().map(|one| one.outcomes.len()).sum();
    assert_eq!((left.len() as u64, outcomes), (accepted + 1, delivered));
}

/// Lets no file of a process become longer.
fn limit_files(process: i32, bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the limit is read from a local, and nothing is written.
    let done = unsafe { libc::prlimit(process, libc::RLIMIT_FSIZE, &limit, std::ptr::null_mut()) };
    assert_eq!(done, 0, "process {process}");
}

/// S-5: a ledger that was removed, moved or replaced, or whose folder was, keeps no promise: 503 from the next message
/// on. Once it is back, it goes on.
pub fn a_ledger_that_is_gone_is_answered_503(transport: Transport) {
    let (setup, _) = durable(transport);
    let folder = setup.folder().join("promises");
    let ledger = folder.join("ledger.db");
    fs::create_dir(&folder).expect("a folder");
    let mut rig = setup.text("LEDGER", &ledger.display().to_string()).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let (aside, away) = (beside(&ledger, ".aside"), beside(&folder, ".away"));
    let rename = |from: &Path, to: &Path| fs::rename(from, to).expect("a new name");
    let deeds: [Deed<'_>; 3] = [
        ("moved", &|| rename(&ledger, &aside), &|| {
            rename(&aside, &ledger)
        }),
        (
            "replaced",
            &|| {
                rename(&ledger, &aside);
                fs::copy(&aside, &ledger).expect("a copy");
            },
            &|| rename(&aside, &ledger),
        ),
        ("its folder moved", &|| rename(&folder, &away), &|| {
            rename(&away, &folder)
        }),
    ];
    for (what, deed, back) in deeds {
        eprintln!("{what}");
        deed();
        let (_, took) = refused_after(&mut client);
        assert!(took < Duration::from_secs(1), "{what}: {took:?}");
        back();
        goes_on(&rig, &mut client);
    }
    fs::remove_dir_all(&folder).expect("no folder");
    let (_, took) = refused_after(&mut client);
    assert!(took < Duration::from_secs(1), "{took:?}");
    let line = rig.wait_for_log("those accepted before are sent");
    assert!(
        line.contains("ERROR") && line.contains("ledger.db"),
        "{line}"
    );
    client.fence();
    rig.assert_healthy();
}

/// S-5: while the process that writes the ledger is stopped, a message waits for `ledger_timeout`, the next ones do
/// not, and none of them is ever sent.
pub fn a_stopped_ledger_process_is_answered_503(transport: Transport) {
    let (setup, ledger) = durable(transport);
    let setup = setup.text("LEDGER_TIMEOUT", &TIMEOUT.as_secs_f32().to_string());
    let mut rig = setup.start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    wait_until_finished(&ledger);
    let process = frozen::ledger_process(&rig);
    let before = rig.core.count();
    frozen::stop_one(process);
    let (_, took) = refused_after(&mut client);
    assert!(
        took >= TIMEOUT - Duration::from_millis(20) && took < TIMEOUT * 3,
        "{took:?}"
    );
    rig.wait_for_log("has not committed it within 600 ms (ledger_timeout)");
    for _ in 0..3 {
        let (_, took) = refused_after(&mut client);
        assert!(took < AT_ONCE, "{took:?}");
    }
    assert_eq!(rig.counter("refused_ledger"), 4);
    frozen::go_on(process);
    let is_accepted = || {
        client.send(&Request::another(&client).bytes());
        (client.receive().status() == 202).then_some(())
    };
    until(is_accepted).expect("a 202 again");
    rig.core.wait_for(before + 2);
    client.fence();
    assert_eq!(
        rig.core.count(),
        before + 2,
        "one of those refused was sent"
    );
    wait_until_finished(&ledger);
    frozen::kill(&mut rig);
    rig.start_again();
    let mut client = rig.client();
    client.fence();
    assert_eq!(
        rig.core.count(),
        before + 2,
        "one of those refused was sent"
    );
}

/// S-5: a commit that hangs in the disk may still reach it. Its message was answered 503, and is not sent: neither
/// when the commit ends, nor after a crash before that.
pub fn what_was_given_up_is_not_sent_after_a_crash(transport: Transport) {
    let (setup, ledger) = on_a_lossy_disk(transport);
    let setup = setup.text("LEDGER_TIMEOUT", &TIMEOUT.as_secs_f32().to_string());
    let mut rig = setup.start();
    rig.core.answer("bob", Answer::Silence);
    let mut client = rig.client();
    let early = Request::another(&client);
    accepted(&rig, &mut client, &early, &[BOB, TEL]);
    for crash in [false, true] {
        let before = rig.core.count();
        hold(&ledger);
        let (call_id, took) = refused_after(&mut client);
        assert!(took < TIMEOUT * 3, "{took:?}");
        let is_in = |requests: &[StoredRequest]| {
            let mut requests = requests.iter();
            requests.any(|one| one.call_id == call_id.as_bytes())
        };
        if crash {
            frozen::kill(&mut rig);
            release(&ledger);
            assert!(
                is_in(&left(&ledger).requests),
                "the commit did not reach the file"
            );
            rig.core.answer("bob", Answer::Code(200));
            rig.start_again();
            rig.wait_for_log("1 messages that were answered 503 are not sent");
            rig.wait_for_log("1 messages of the last run go on, with");
            client = rig.client();
        } else {
            release(&ledger);
            rig.wait_for_log("it can be written again");
            let is_withdrawn = || (!is_in(&now(&ledger).requests)).then_some(());
            until(is_withdrawn).expect("a withdrawal");
        }
        client.fence();
        let more = usize::from(crash);
        // The figure is 0 until the ledger was written for the first time.
        let _ = until(|| (rig.core.count() >= before + more).then_some(()));
        rig.wait_for_gauge("ledger_unfinished", u64::from(!crash));
        assert_eq!(rig.core.count(), before + more, "{crash}");
    }
    let to_bob = call_ids(&rig, BOB);
    assert!(
        to_bob.iter().all(|call_id| *call_id == to_bob[0]),
        "{to_bob:?}"
    );
}

/// H-3: an upstream that gave up on a proxy which died sends the same request on another branch: it is answered 202 and
/// not sent again, if the same originator asks for the same thing; otherwise 482, as at a node that has not died.
pub fn the_same_request_on_another_branch_is_known_after_a_crash(transport: Transport) {
    let (setup, ledger) = durable(transport);
    let mut rig = setup.start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    wait_until_finished(&ledger);
    let branch = |client: &Client, branch: &str| request.clone().via(client, branch);
    let merged = branch(&client, "other0");
    refused(&rig, &mut client, &merged, 482);
    let before = rig.core.count();
    frozen::kill(&mut rig);
    rig.start_again();
    let mut client = rig.client();
    for number in 1..3 {
        client.send(&branch(&client, &format!("other{number}")).bytes());
        assert_eq!(client.receive().status(), 202);
    }
    let other = branch(&client, "other3").with_body(b"another text");
    refused(&rig, &mut client, &other, 482);
    let other = branch(&client, "other4").sender(BOB);
    refused(&rig, &mut client, &other, 482);
    client.fence();
    assert_eq!(rig.core.count(), before, "it was sent again");
}

/// H-3: while a message waits for the disk in one worker, another gets its retransmission. There is one answer, and it
/// is not sent twice.
pub fn a_retransmission_waits_with_its_message(transport: Transport) {
    let (setup, _) = durable(transport);
    let rig = setup
        .text("LEDGER_TIMEOUT", "20")
        .number("CHILDREN", 2)
        .start();
    let mut client = rig.client();
    let process = frozen::ledger_process(&rig);
    frozen::stop_one(process);
    let request = Request::another(&client);
    client.send(&request.bytes());
    client.send(&request.bytes());
    rig.wait_for_counter("retransmissions", 1);
    assert_eq!((rig.counter("accepted"), rig.core.count()), (0, 0));
    frozen::go_on(process);
    let answer = client.receive();
    assert_eq!(answer.status(), 202, "{answer}");
    rig.core.wait_for(2);
    client.send(&request.bytes());
    assert_eq!(client.receive(), answer);
    client.fence();
    assert_eq!((rig.counter("accepted"), rig.core.count()), (1, 2));
}
