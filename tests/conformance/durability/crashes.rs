//! Proxies that are killed at random moments of running fan-outs, and lose what was not synced.

use super::frozen;
use super::left;
use super::members::Members;
use super::unsynced::{Loss, lose, on_a_lossy_disk};
use crate::support::client::{Client, Transport};
use crate::support::flow::{Request, unique};
use crate::support::rig::{ANN, Rig, until};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const GROUP: &str = "sip:many@im.home1.net";
const SENDERS: usize = 4;
/// How often a sender looks whether the proxy has been stopped.
const LOOK: Duration = Duration::from_millis(100);

/// What the killed proxies have to do.
struct Work {
    /// `target_order`.
    order: i64,
    /// Members that do not answer at once.
    hesitant: &'static [&'static str],
    /// How long each sender rests after an answer.
    rest: Duration,
    /// It is done once where the quickest work is done this often.
    share: usize,
}

/// Members who get all at once; some of them never answer.
const AT_ONCE: Work = Work {
    order: 0,
    hesitant: &["silent1", "silent2", "slow1", "slow2", "slow3", "slow4"],
    rest: Duration::from_millis(3),
    share: 1,
};

/// Members who get one message after the other: a silent one would hold up all that follow to the same member.
const IN_ORDER: Work = Work {
    order: 1,
    hesitant: &["slow1", "slow2"],
    rest: Duration::from_millis(80),
    share: 2,
};

/// What one sender has seen.
struct Sent {
    client: Client,
    /// The texts of messages that were answered 202.
    accepted: Vec<String>,
    /// The last message that was answered, and the one that was not.
    last: Option<Request>,
    open: Option<Request>,
}

fn request(client: &Client) -> Request {
    let text = unique();
    let mut request = Request::another(client)
        .group(GROUP)
        .set("Content-Length", &text.len().to_string());
    request.body = text.into_bytes();
    request
}

fn text(request: &Request) -> String {
    String::from_utf8_lossy(&request.body).into_owned()
}

/// Sends until the proxy is stopped, and takes what it has answered until then.
fn send(rig: &Rig, rest: Duration, stopped: &AtomicBool) -> Sent {
    let mut sent = Sent {
        client: rig.client(),
        accepted: Vec::new(),
        last: None,
        open: None,
    };
    loop {
        let client = &mut sent.client;
        let request = request(client);
        client.send(&request.bytes());
        let answer = loop {
            let is_over = stopped.load(Ordering::SeqCst);
            match client.receive_within(LOOK) {
                Some(answer) => break Some(answer),
                None if is_over => break None,
                None => {}
            }
        };
        let Some(answer) = answer else {
            sent.open = Some(request);
            return sent;
        };
        assert_eq!(answer.status(), 202, "{answer}");
        sent.accepted.push(text(&request));
        sent.last = Some(request);
        std::thread::sleep(rest);
    }
}

/// A small generator, so that a run can be repeated but for the clock.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

/// Issue 4: however often it is killed, and whatever was not synced is lost: no recipient of any 202 is
/// missing, and none gets a message under a second Call-ID, From tag or CSeq. Ten times; `CIMF_KILLS` says
/// how often otherwise.
pub fn of_proxies_killed_at_any_moment_none_forgets_a_recipient(transport: Transport) {
    none_is_forgotten(transport, &AT_ONCE);
}

/// Issue 4, M-3: the same while members wait for the end of earlier messages; half as often.
pub fn of_proxies_killed_while_members_wait_none_forgets_a_recipient(transport: Transport) {
    none_is_forgotten(transport, &IN_ORDER);
}

fn none_is_forgotten(transport: Transport, work: &Work) {
    let kills: usize =
        std::env::var("CIMF_KILLS").map_or(10, |text| text.parse().expect("a number"));
    let kills = kills / work.share;
    let members = Members::start();
    let hesitant = work.hesitant.iter().map(|&user| user.to_owned());
    let quick = (0..24).map(|number| format!("m{number}"));
    let uris: Vec<String> = hesitant
        .chain(quick)
        .map(|user| format!("sip:{user}@home1.net"))
        .collect();
    let mut group = vec![ANN];
    group.extend(uris.iter().map(String::as_str));
    let (setup, ledger) = on_a_lossy_disk(transport);
    let next_hop = format!("sip:127.0.0.1:{}", members.port);
    let mut rig = setup
        .group(GROUP, &group)
        .text("CORE_ROUTE", &next_hop)
        .number("CHILDREN", SENDERS as i64)
        .number("TM_FR_TIMER", 1000)
        .number("TARGET_ORDER", work.order)
        .number("TARGET_QUEUE", 10_000)
        .start();
    let mut dice = Dice(2026);
    let mut accepted: Vec<String> = Vec::new();
    let (mut lost, mut resumed, mut known) = (0, 0, 0);
    let start = Instant::now();
    for round in 0..kills {
        let stopped = AtomicBool::new(false);
        let sent: Vec<Sent> = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..SENDERS)
                .map(|_| scope.spawn(|| send(&rig, work.rest, &stopped)))
                .collect();
            std::thread::sleep(Duration::from_micros(dice.roll(400_000)));
            frozen::freeze(&rig);
            stopped.store(true, Ordering::SeqCst);
            let sent = senders
                .into_iter()
                .map(|sender| sender.join().expect("a sender"));
            sent.collect()
        });
        frozen::kill(&mut rig);
        let loss = [Loss::All, Loss::First, Loss::Garbage][round % 3];
        lost += lose(&ledger, loss);
        rig.start_again();
        let taken_up = rig.log_of_this_run();
        let taken_up = taken_up.split_once(" messages of the last run go on");
        let count = taken_up.and_then(|(before, _)| before.rsplit(' ').next()?.parse::<u64>().ok());
        resumed += count.unwrap_or(0);
        // The clients repeat themselves, whether they were answered or not.
        for mut sent in sent {
            accepted.extend(sent.accepted);
            for request in [sent.last, sent.open].into_iter().flatten() {
                let answer = sent.client.ask(&request);
                assert_eq!(answer.status(), 202, "round {round}: {answer}");
                accepted.push(text(&request));
                known += 1;
            }
        }
        if round % 2 == 0 {
            drain(&rig);
        }
    }
    drain(&rig);
    accepted.sort();
    accepted.dedup();
    members.check(&accepted, &uris);
    let totals = members.totals();
    eprintln!(
        "{kills} kills with target_order={} in {:?}: {} messages, {} recipients of theirs, {totals:?}; {resumed} messages \
         resumed, {lost} bytes lost that were not synced, {known} requests repeated by clients",
        work.order,
        start.elapsed(),
        accepted.len(),
        accepted.len() * uris.len(),
    );
    assert!(resumed > 0 && totals.again > 0, "nothing was under way");
    rig.stop();
    assert!(left(&ledger).messages.is_empty());
}

/// Waits until nothing is under way.
#[track_caller]
fn drain(rig: &Rig) {
    let is_done = || {
        let idle = ["messages", "waiting", "ledger_unfinished"];
        idle.iter().all(|name| rig.counter(name) == 0).then_some(())
    };
    // What waits for a slow member ends one by one.
    let done = (0..6).find_map(|_| until(is_done));
    done.expect("an end of what is under way");
}
