//! What a process of a proxy does with messages, with a simulated proxy around it: the clock, answers that
//! cannot be sent, scripts that end too early, event routes that are slow (S-5, A-10).

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/built.rs"]
mod built;
#[path = "support/sample.rs"]
mod sample;

use cimf::config::{DbUrl, Settings};
use cimf::control::Own;
use cimf::control::{Answer, Decision, Fork, Source, Token, Transport};
use cimf::fanout::{Engine, NotSent, Outcome, SkipReason, Submission, milliseconds};
use cimf::host::ScriptResult;
use cimf::host::background::{Kind, OutcomeReporter};
use cimf::host::figures::age;
use cimf::host::handle::{check, handle, reply};
use cimf::host::ledger;
use cimf::host::proxy::{Proxy, Sender, Transaction};
use cimf::host::sending::pump;
use cimf::server::Server;
use sample::submission;
use std::cell::Cell;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

const FLOW: &str = include_str!("flows/1-F1-message-in.sip");
/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

thread_local! {
    /// The seconds by which somebody has set the system's clock forward, for this thread.
    static SET_FORWARD: Cell<i64> = const { Cell::new(0) };
}

/// In place of the C library's, so that a test can set the system's clock.
///
/// # Safety
/// As that of the C library: `time` points to room for a time.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> i32 {
    // SAFETY: the kernel is given what the caller gave.
    unsafe {
        let result = libc::syscall(libc::SYS_clock_gettime, clock, time);
        if clock == libc::CLOCK_REALTIME && result == 0 {
            (*time).tv_sec += SET_FORWARD.get();
        }
        result as i32
    }
}

/// A proxy that takes what it is given, unless it is told otherwise.
#[derive(Default)]
struct Simulated {
    refuses_answers: bool,
    refuses_forks: Option<NotSent>,
    answers: Vec<u16>,
    /// Addresses and cookies.
    forks: Vec<(String, u64)>,
    /// Header fields and bodies, as the proxy is given them.
    texts: Vec<Vec<u8>>,
}

impl Sender for Simulated {
    fn send(&mut self, fork: &Fork<'_>, _: &str, cookie: u64) -> Result<(), NotSent> {
        let recipient = String::from_utf8(fork.recipient.to_vec()).unwrap();
        self.forks.push((recipient, cookie));
        self.texts.push(whole(fork));
        self.refuses_forks.map_or(Ok(()), Err)
    }
}

impl Proxy for Simulated {
    fn transaction(&mut self) -> Transaction {
        Transaction::Present
    }

    fn is_in_transaction(&mut self) -> bool {
        false
    }

    fn reply(&mut self, answer: &Answer) -> bool {
        self.answers.push(answer.code);
        !self.refuses_answers
    }
}

/// What a proxy makes of a fork, but for its start line and Via.
fn whole(fork: &Fork<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    fork.write_headers(&mut text);
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(&fork.body());
    text
}

/// A server with the process that writes its ledger, which is a thread here.
struct Running {
    server: Arc<Server>,
    stop: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

impl Deref for Running {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.server.outbox().engine().wake_committer();
        if let Some(writer) = self.writer.take() {
            let ended = writer.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

/// A database with one group, and room for a ledger beside it.
struct Rig {
    folder: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let rig = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let group = ["group", "add", "sip:hikers@im.home1.net"];
        let members = [
            "sip:ann@home1.net",
            "sip:bob@home1.net",
            "sip:cho@home1.net",
        ];
        for words in [&["init"][..], &[group, members].concat()] {
            let mut cimfctl = Command::new(built::program());
            cimfctl.arg("--db").arg(rig.path("cimf.db")).args(words);
            let output = cimfctl.output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        rig
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The server of a proxy that is started now.
    fn start(&self, durability: &str) -> Running {
        let mut settings = Settings::new();
        for (name, value) in [
            ("domains", "im.home1.net,home1.net"),
            ("trusted_peers", "127.0.0.1"),
            ("core_route", "sip:127.0.0.1"),
            ("trusted_next_hop", "1"),
            ("durability", durability),
        ] {
            settings.set(name, value).unwrap();
        }
        settings.db_url = DbUrl::Sqlite(self.path("cimf.db"));
        let server = Server::open(&settings).unwrap();
        server.open_ledger().unwrap();
        let (server, stop) = (Arc::new(server), Arc::new(AtomicBool::new(false)));
        let writer = std::thread::spawn({
            let (server, stop) = (server.clone(), stop.clone());
            move || ledger::write_while(&server, || !stop.load(Relaxed))
        });
        Running {
            server,
            stop,
            writer: Some(writer),
        }
    }
}

const SOURCE: Source<'static> = Source {
    address: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    transport: Transport::Udp,
    identity: None,
};

/// The message of flow 1 with a Call-ID of its own.
fn message(call_id: &str) -> Vec<u8> {
    let (head, body) = FLOW.split_once("\r\n\r\n").unwrap();
    let lines = head.split("\r\n").map(|line| match line.split_once(": ") {
        Some(("Call-ID", _)) => format!("Call-ID: {call_id}"),
        Some(("Via", value)) => format!("Via: {value}{call_id}"),
        _ => line.to_owned(),
    });
    let lines: Vec<_> = lines.collect();
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}

/// Accepts and starts a message that expires after some seconds, and sends nothing.
fn start(engine: &Engine, names: &[&str], expires: Option<u64>) -> u64 {
    let time = milliseconds(SystemTime::now());
    let submission = Submission {
        accepted_at: time,
        expires_at: expires.map_or(0, |seconds| time + seconds * 1000),
        ..submission()
    };
    let own = || names.iter().map(|name| Own::plain(name.as_bytes()));
    engine.start(engine.reserve(&submission, own, engine.now()).unwrap())
}

/// What became of the recipients of a message, until it was told that it is finished.
fn told(server: &Server, message: u64) -> Vec<Outcome> {
    let mut reporter = OutcomeReporter::new(server);
    let (mut endings, mut finished) = (Vec::new(), false);
    let begin = Instant::now();
    while !finished {
        assert!(begin.elapsed() < PATIENCE, "message {message} does not end");
        reporter.round(&mut Simulated::default(), |report| {
            if report.message == message {
                endings.extend(report.outcome());
                finished |= report.kind == Kind::Finished;
            }
        });
    }
    endings
}

#[test]
fn the_queue_hands_over_the_bytes_that_were_decided() {
    // U-6: so that the C interface and `cimfctl explain`, which have no queue, show the same.
    let rig = Rig::new();
    let server = rig.start("none");
    let mut proxy = Simulated::default();
    let (mut worker, bytes) = (server.decider().worker(), message("queued"));
    handle(&server, &mut worker, &mut proxy, &bytes, &SOURCE);
    let server = rig.start("none");
    let mut worker = server.decider().worker();
    let message = worker.recognise(server.decider(), &bytes, &SOURCE).unwrap();
    let Decision::Accepted(accepted) = worker.decide(server.decider(), &message, &SOURCE) else {
        panic!("not accepted");
    };
    assert_eq!(proxy.texts.len(), accepted.count());
    let copies = accepted.copies([7; 16]);
    for (queued, (number, own)) in proxy.texts.iter().zip((0..).zip(accepted.owns())) {
        let queued = String::from_utf8_lossy(queued);
        let of = |start: &str| {
            let behind = queued.split_once(start).unwrap().1;
            behind.split("\r\n").next().unwrap().as_bytes()
        };
        let decided = whole(&Fork {
            call_id: Token::spelled(of("Call-ID: ").try_into().unwrap()),
            from_tag: Token::spelled(of(";tag=").try_into().unwrap()),
            ..copies.copy(number, own)
        });
        assert_eq!(queued, String::from_utf8_lossy(&decided));
        assert!(queued.contains("\r\nMax-Breadth: 30\r\n"), "{queued}");
    }
}

#[test]
fn a_clock_that_is_set_forward_or_back_ends_nothing_that_waits() {
    // M-4, S-5.
    let rig = Rig::new();
    let server = rig.start("none");
    let engine = server.outbox().engine();
    let mut proxy = Simulated {
        refuses_forks: Some(NotSent::OutOfMemory),
        ..Simulated::default()
    };
    start(engine, &["sip:bob@home1.net"], None);
    start(engine, &["sip:cho@home1.net"], Some(120));
    let mut is_tried_again = || {
        let (before, begin) = (proxy.forks.len(), Instant::now());
        while proxy.forks.len() == before {
            assert!(begin.elapsed() < PATIENCE, "not tried again");
            engine.tick(engine.now());
            pump(&server, &mut proxy);
            std::thread::yield_now();
        }
    };
    is_tried_again();
    for days in [1, -1] {
        SET_FORWARD.set(days * 86_400);
        // Each of the two.
        is_tried_again();
        is_tried_again();
        assert!(engine.next_event().is_none(), "{days} days");
        assert_eq!(engine.load().waiting, 2);
        let ages = engine
            .fanouts()
            .unwrap()
            .iter()
            .map(|it| age(&server, it))
            .max();
        assert!(ages.unwrap() < PATIENCE.as_secs(), "{ages:?}");
    }
    // The lifetime of a message that comes now is counted from now.
    start(engine, &["sip:dee@home1.net"], Some(1));
    let begin = Instant::now();
    while engine.next_event().is_none() {
        assert!(begin.elapsed() < PATIENCE, "nothing expires");
        engine.tick(engine.now());
        std::thread::yield_now();
    }
    assert!(begin.elapsed() >= Duration::from_millis(900));
}

#[test]
fn a_message_whose_202_could_not_be_sent_does_not_come_back_after_a_restart() {
    //
    let rig = Rig::new();
    {
        let server = rig.start("journal");
        let mut worker = server.decider().worker();
        let mut proxy = Simulated {
            refuses_answers: true,
            ..Simulated::default()
        };
        let (result, _) = handle(&server, &mut worker, &mut proxy, &message("lost"), &SOURCE);
        assert_eq!(result, ScriptResult::InternalError);
        assert_eq!(
            (proxy.answers.as_slice(), proxy.forks.len()),
            (&[202, 202][..], 0)
        );
        // The process that writes the ledger has withdrawn it.
        until(|| engine_messages(&server) == 0);
        // The same message is answered and sent; both members are silent until the proxy dies.
        proxy.refuses_answers = false;
        let (result, _) = handle(&server, &mut worker, &mut proxy, &message("kept"), &SOURCE);
        assert_eq!(result, ScriptResult::Accepted);
        assert_eq!(proxy.forks.len(), 2);
    }
    let server = rig.start("journal");
    let taken_up = server.outbox().engine().under_way().unwrap();
    let numbers: Vec<_> = taken_up.iter().map(|message| message.number()).collect();
    assert_eq!(numbers, [2]);
}

#[test]
fn a_message_that_the_script_has_not_sent_after_its_202_is_told_as_cancelled_and_stays_so() {
    // S-5.
    let rig = Rig::new();
    for durability in ["none", "journal"] {
        let server = rig.start(durability);
        let mut worker = server.decider().worker();
        let mut proxy = Simulated::default();
        let bytes = message(durability);
        let mut verdict = check(&server, &mut worker, &mut proxy, &bytes, &SOURCE).unwrap();
        let result = reply(&server, &mut proxy, &mut verdict);
        assert_eq!(
            (result, proxy.answers.as_slice()),
            (ScriptResult::Accepted, &[202][..])
        );
        drop(verdict);
        let cancelled = Outcome::Skipped(SkipReason::Cancelled);
        assert_eq!(told(&server, 1), [cancelled; 2]);
        assert_eq!((proxy.forks.len(), engine_messages(&server)), (0, 0));
        until(|| {
            let done = server.outbox().committed();
            done.is_none_or(|done| done.stored == 1 && done.unfinished == 0)
        });
    }
    assert_eq!(engine_messages(&rig.start("journal")), 0);
}

fn until(is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
}

fn engine_messages(server: &Server) -> u64 {
    server.outbox().engine().load().messages
}

#[test]
fn a_slow_event_route_keeps_neither_the_clock_nor_the_sending_waiting() {
    let rig = Rig::new();
    let server = rig.start("none");
    let engine = server.outbox().engine();
    let mut proxy = Simulated {
        refuses_forks: Some(NotSent::Failed),
        ..Simulated::default()
    };
    let failing = [
        "sip:a@h", "sip:b@h", "sip:c@h", "sip:d@h", "sip:e@h", "sip:f@h",
    ];
    start(engine, &failing, None);
    pump(&server, &mut proxy);
    let mut reporter = OutcomeReporter::new(&server);
    let mut told = 0;
    let mut cancelled = 0;
    let mut proxy = Simulated::default();
    // Both come while the event route runs.
    reporter.round(&mut proxy, |_| {
        told += 1;
        if told == 1 {
            cancelled = start(engine, &["sip:never@h"], None);
            assert!(engine.cancel(cancelled).unwrap().is_some());
            start(engine, &["sip:bob@home1.net"], None);
        }
        std::thread::sleep(Duration::from_millis(400));
    });
    assert!(told < failing.len(), "one round has told {told} outcomes");
    reporter.round(&mut proxy, |_| {
        told += 1;
        std::thread::sleep(Duration::from_millis(400));
    });
    assert!(told < failing.len(), "two rounds have told {told} outcomes");
    let sent: Vec<&str> = proxy.forks.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(sent, ["sip:bob@home1.net"]);
    // The clock has ended the recipient of the other.
    assert_eq!(engine.load().waiting, 1);
}
