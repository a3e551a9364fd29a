//! What a promise costs, for docs/cluster.md and docs/performance.md: `cargo test --release --test cluster -- --ignored
//! --nocapture what_a_promise_costs`. One node for each kind of promise, all there at once and measured in turns, so that
//! whatever else the machine does touches all of them. Files are in TMPDIR, which has to be on a disk. `ROUNDS=N` makes
//! it shorter or longer.

use super::figures::{cpu, cpu_with_children, disk, median, milliseconds, percentile, size};
use super::nodes::node;
use super::promises::has_a_lease;
use crate::support::client::Client;
use crate::support::flow::{Request, unique};
use crate::support::postgres::Postgres;
use crate::support::rig::Rig;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Those who send and never wait. Each has groups of their own.
const SENDERS: usize = 8;
/// Groups of each, in turns, so that nobody waits for a member's last answer.
const GROUPS: usize = 50;
const MEMBERS: usize = 10;
/// How long one turn sends, each way.
const LONG: Duration = Duration::from_secs(5);
/// Between messages that come alone.
const PAUSE: Duration = Duration::from_millis(20);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long the copies of a turn may take after its end.
const END: Duration = Duration::from_secs(120);

/// A node, and what stands behind its promises.
struct Kind<'a> {
    name: &'static str,
    rig: Rig,
    /// The servers that its promises are written to.
    servers: Vec<&'a Postgres>,
    turns: Vec<Turn>,
}

/// What one turn has found.
struct Turn {
    /// Answers to messages that come alone, in milliseconds.
    alone: [f64; 2],
    /// Answers to those who never wait.
    crowded: [f64; 2],
    /// Messages answered 202 in a second.
    accepted: f64,
    /// The same until all copies were answered too.
    finished: f64,
    /// Microseconds of the processors that a message takes with its copies: of the node, and of its servers.
    cpu: [f64; 2],
    /// Messages that were not answered 202.
    refused: usize,
    /// Copies that have not reached their members.
    lost: u64,
}

fn group(sender: usize, number: usize) -> String {
    format!("sip:s{sender}g{number}@im.home1.net")
}

fn originator(sender: usize) -> String {
    format!("sip:s{sender}@home1.net")
}

fn provision(postgres: &Postgres) {
    postgres.init();
    postgres.psql(&format!(
        "INSERT INTO cimf.im_group (uri) SELECT 'sip:s' || s || 'g' || g || '@im.home1.net'
         FROM generate_series(0, {SENDERS} - 1) s, generate_series(0, {GROUPS} - 1) g;
         INSERT INTO cimf.member SELECT id, 'sip:' || split_part(substr(uri, 5), 'g', 1) || '@home1.net' FROM cimf.im_group;
         INSERT INTO cimf.member SELECT id, 'sip:m' || id || 'n' || n || '@home1.net'
         FROM cimf.im_group, generate_series(1, {MEMBERS}) n"
    ));
}

fn start(postgres: &Postgres, durability: &str, more: &str) -> Rig {
    // Without a promise, messages are taken faster than their copies go: they have room until the turn is over.
    let parameters = format!(
        "maxbuffer=4194304\nmodparam(\"cimf\", \"queue_messages\", 100000)\n\
         modparam(\"cimf\", \"durability\", \"{durability}\")\n{more}"
    );
    // Room for the transactions of all copies, so that none waits for it.
    let rig = node(postgres, &parameters)
        .workers(4)
        .shared_memory(2048)
        .start_on_what_is_there();
    if durability == "cluster" {
        has_a_lease(&rig);
    }
    rig.core.only_count();
    rig
}

#[test]
#[ignore = "a measurement: five minutes"]
fn what_a_promise_costs() {
    let journal = TempDir::new().unwrap();
    let alone = Postgres::start_with_sync();
    let primary = Postgres::start_with_sync();
    for postgres in [&alone, &primary] {
        provision(postgres);
    }
    let standby = primary.standby();
    primary.needs_standby();
    println!("the journal: {}", disk(journal.path()));
    println!("PostgreSQL: {}", disk(alone.folder()));
    let ledger = format!(
        "modparam(\"cimf\", \"ledger\", \"{}\")\n",
        journal.path().join("ledger.db").display()
    );
    let kind = |name, rig, servers| Kind {
        name,
        rig,
        servers,
        turns: Vec::new(),
    };
    let cluster = [("a", &alone), ("b", &primary)].map(|(name, postgres)| {
        let name = format!("modparam(\"cimf\", \"node\", \"{name}\")\n");
        start(postgres, "cluster", &name)
    });
    let [without, with] = cluster;
    let mut kinds = [
        kind("none", start(&alone, "none", ""), vec![]),
        kind("journal", start(&alone, "journal", &ledger), vec![]),
        kind("cluster", without, vec![&alone]),
        kind("cluster, standby", with, vec![&primary, &standby]),
    ];
    for kind in &mut kinds {
        // Each worker reads each group once.
        in_turn(kind);
        kind.turns.clear();
    }
    let rounds = size("ROUNDS", 5);
    for round in 0..rounds {
        for number in 0..kinds.len() {
            in_turn(&mut kinds[(number + round) % 4]);
        }
    }
    println!(
        "{SENDERS} senders, {MEMBERS} members, medians of {rounds} rounds of {LONG:?}; the lowest and highest rate"
    );
    println!(
        "{:17} {:>15} {:>11} {:>15} {:>17} {:>14}",
        "durability",
        "alone p50, p99",
        "messages/s",
        "from, to",
        "crowded p50, p99",
        "with copies/s"
    );
    for kind in &kinds {
        print(kind);
    }
    for kind in &mut kinds {
        kind.rig.stop();
    }
}

fn print(kind: &Kind<'_>) {
    let of = |figure: fn(&Turn) -> f64| kind.turns.iter().map(figure).collect::<Vec<_>>();
    let middle = |figure| median(of(figure));
    let mut rates = of(|turn| turn.accepted);
    rates.sort_by(f64::total_cmp);
    println!(
        "{:17} {:>7.2}, {:>6.2} {:>11.0} {:>7.0}, {:>6.0} {:>9.2}, {:>6.2} {:>14.0}",
        kind.name,
        middle(|turn| turn.alone[0]),
        middle(|turn| turn.alone[1]),
        middle(|turn| turn.accepted),
        rates[0],
        rates[rates.len() - 1],
        middle(|turn| turn.crowded[0]),
        middle(|turn| turn.crowded[1]),
        middle(|turn| turn.finished),
    );
    println!(
        "{:17} CPU of a message with its copies: {:.0} µs of the node, {:.0} µs of PostgreSQL",
        "",
        middle(|turn| turn.cpu[0]),
        middle(|turn| turn.cpu[1])
    );
    let refused: usize = kind.turns.iter().map(|turn| turn.refused).sum();
    let lost: u64 = kind.turns.iter().map(|turn| turn.lost).sum();
    if refused > 0 || lost > 0 {
        println!(
            "{:17} {refused} messages refused, {lost} copies not delivered:",
            ""
        );
        let statistics = kind.rig.statistics().into_iter();
        let reasons =
            statistics.filter(|(name, value)| name.starts_with("refused") && value != "0");
        println!("{:17} {:?}", "", reasons.collect::<Vec<_>>());
    }
}

/// Measures one kind once.
fn in_turn(kind: &mut Kind<'_>) {
    let rig = &kind.rig;
    let alone = alone(rig);
    is_over(rig);
    let delivered = rig.counter("forks_delivered");
    let used = used(kind);
    let began = Instant::now();
    let (answers, refused) = crowded(rig);
    let sent = began.elapsed().as_secs_f64();
    is_over(rig);
    let finished = began.elapsed().as_secs_f64();
    let messages = answers.len() as f64;
    assert!(messages > 0.0, "{}: nothing is accepted", kind.name);
    let delivered = rig.counter("forks_delivered") - delivered;
    let turn = Turn {
        alone,
        crowded: middle_and_end(answers),
        accepted: messages / sent,
        finished: messages / finished,
        cpu: [0, 1].map(|which| (self::used(kind)[which] - used[which]) * 1e6 / messages),
        refused,
        lost: (messages as u64 * MEMBERS as u64).saturating_sub(delivered),
    };
    kind.turns.push(turn);
}

/// Seconds of the processors that a node and its servers have taken so far.
fn used(kind: &Kind<'_>) -> [f64; 2] {
    let servers = kind.servers.iter();
    let servers: Duration = servers
        .map(|server| cpu_with_children(server.process()))
        .sum();
    [cpu(&kind.rig), servers].map(|time| time.as_secs_f64())
}

/// Waits until all messages have ended.
#[track_caller]
fn is_over(rig: &Rig) {
    let began = Instant::now();
    while rig.counter("messages") > 0 {
        assert!(began.elapsed() < END, "{:?}", rig.stats());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn middle_and_end(mut times: Vec<Duration>) -> [f64; 2] {
    times.sort();
    [50, 99].map(|part| milliseconds(percentile(&times, part)))
}

/// The messages of one sender, each to their next group.
struct Messages {
    template: Request,
    sender: usize,
    number: usize,
}

impl Messages {
    fn of(client: &Client, sender: usize) -> Self {
        Self {
            template: Request::another(client).sender(&originator(sender)),
            sender,
            number: 0,
        }
    }

    fn next(&mut self, client: &Client) -> Vec<u8> {
        self.number += 1;
        let mark = unique();
        let request = self.template.clone().via(client, &mark);
        let request = request.set("Call-ID", &format!("{mark}-ue7"));
        request
            .group(&group(self.sender, self.number % GROUPS))
            .bytes()
    }
}

/// The time until a message is answered 202; none for anything else.
fn ask(client: &mut Client, message: &[u8]) -> Option<Duration> {
    let began = Instant::now();
    client.send(message);
    let answer = client.receive_bytes_within(ANSWER)?;
    answer.starts_with(b"SIP/2.0 202").then(|| began.elapsed())
}

/// One sender, with a pause after each message.
fn alone(rig: &Rig) -> [f64; 2] {
    let mut client = rig.client();
    let mut messages = Messages::of(&client, 0);
    let mut times = Vec::new();
    let began = Instant::now();
    while began.elapsed() < LONG {
        let sent = Instant::now();
        let message = messages.next(&client);
        times.push(ask(&mut client, &message).expect("202"));
        std::thread::sleep(PAUSE.saturating_sub(sent.elapsed()));
    }
    middle_and_end(times)
}

/// All senders, each with the next message once the last one is answered. Gives the times, and how many were not
/// accepted.
fn crowded(rig: &Rig) -> (Vec<Duration>, usize) {
    let all = Mutex::new((Vec::new(), 0));
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let all = &all;
            scope.spawn(move || {
                let mut client = rig.client();
                let mut messages = Messages::of(&client, sender);
                let (mut times, mut refused) = (Vec::new(), 0);
                let began = Instant::now();
                while began.elapsed() < LONG {
                    let message = messages.next(&client);
                    match ask(&mut client, &message) {
                        Some(time) => times.push(time),
                        None => refused += 1,
                    }
                }
                let mut all = all.lock().unwrap();
                all.0.extend(times);
                all.1 += refused;
            });
        }
    });
    all.into_inner().unwrap()
}
