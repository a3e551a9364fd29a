//! The engine against a model of what it promises (U-6, M-3, M-4, S-5), driven through many schedules by a simulated
//! proxy: completions in any order, failures, lack of memory, silence, members that are silent for longer than
//! `patience`, cancelled and expired messages, next hops whose names are not known yet, several processes at once, and in
//! some schedules one that is stopped with the lock. In half of the schedules only those processes ask for forks that
//! have to after what they did, as the proxy's processes do: then nothing may be left that nobody sends.
//! `SCHEDULES=100000 cargo test --release --test fanout_model` runs that many.
//! `CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true cargo test --release --test fanout_model` holds the invariants of the
//! structures in shared memory, too.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "support/sample.rs"]
mod sample;
#[path = "support/stopped.rs"]
mod stopped;

use cimf::config::Settings;
use cimf::control::Own;
use cimf::fanout::{
    Attempt, Counters, Engine, Event, NoRoomReason, NotResolved, NotSent, Outcome, Question,
    SkipReason, Submission, Tally, Ticket,
};
use cimf::sip::history_list::write_own_entry;
use sample::submission;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use stopped::Stopped;

/// Groups that share their members.
const GROUPS: [&str; 4] = [
    "sip:hikers@im.home1.net",
    "sip:walkers@im.home1.net",
    "sip:climbers@im.home1.net",
    "sip:sailors@im.home1.net",
];
/// Who sends: each has its own turns, and its own share of the copies in flight.
const ORIGINATORS: [&str; 4] = [
    "sip:ann@home1.net",
    "sip:bob@home1.net",
    "sip:cho@home1.net",
    "sip:dan@home1.net",
];
/// How often another one may have its turn while somebody waits for its own who has a copy to send and room for it.
const MOST_TURNS: usize = 2;
const SCHEDULES: u64 = 12_000;
/// One schedule of so many has a process that is stopped with the lock, and again after so many steps.
const STOPPED: u64 = 400;
const STEPS_BETWEEN_STOPS: usize = 60;
/// Milliseconds for which nothing is sent after the proxy had no memory.
const PAUSE: u64 = 1_000;
/// More than any schedule needs; a schedule that does not end has lost something.
const MOST_STEPS: usize = 200_000;
const START: u64 = 1_800_000_000_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 33) as usize) % end
    }

    /// True once in `times`.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// What the model knows of a recipient.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Waiting,
    InFlight(u64),
    /// Ended as the model knows; told or not.
    Ended(Outcome, bool),
}

struct Message {
    recipients: Vec<(String, State)>,
    window: u32,
    /// The most in flight with the silent ones.
    most: Option<u32>,
    in_flight: u32,
    expires_at: u64,
    cancelled: bool,
    body: Vec<u8>,
    finished: bool,
    short_since: u64,
    /// How many were started before.
    rank: usize,
    group: &'static str,
    originator: usize,
}

#[derive(Clone, Copy)]
struct Cell {
    message: u64,
    recipient: usize,
    in_flight: bool,
    held: bool,
    sending: bool,
    started: u64,
    /// When it was first looked whether it is silent.
    seen: Option<u64>,
}

/// What one process of the proxy is at.
#[derive(Default)]
struct Process<'e> {
    attempt: Option<Attempt<'e>>,
    /// Whether it asks for forks until there are none.
    is_pumping: bool,
}

/// What a schedule is like.
#[derive(Clone, Copy)]
struct Habits {
    /// Whether a process asks for forks only after what lets one go.
    is_strict: bool,
    /// One message of so many expires.
    expiring: usize,
    /// How many of ten forks the proxy has no memory for.
    short: usize,
    groups: usize,
    /// Into how many names the members fall whose next hop is one; 0 for none.
    names: usize,
    /// How many of ten look-ups are in vain.
    vain: usize,
    originators: usize,
    /// One member of so many answers rarely; 0 for none.
    silent: usize,
    /// One list of so many names its first member twice.
    twice: usize,
    pool: Option<usize>,
}

impl Habits {
    fn new(random: &mut Random) -> Self {
        Self {
            is_strict: random.once_in(2),
            expiring: random.one_of(&[1, 2, 5, 5]),
            short: random.one_of(&[0, 1, 1, 5]),
            groups: random.one_of(&[1, 2, GROUPS.len()]),
            names: random.one_of(&[0, 1, 3, 20]),
            vain: random.one_of(&[0, 3, 8]),
            originators: random.one_of(&[1, 2, ORIGINATORS.len()]),
            silent: random.one_of(&[0, 0, 2, 3]),
            twice: random.one_of(&[1, 4, 100]),
            pool: random.one_of(&[None, None, Some(3)]),
        }
    }
}

struct Model<'e> {
    seed: u64,
    random: Random,
    now: u64,
    /// By how much the system's clock differs now from the engine's.
    wrong: i64,
    limits: Settings,
    transaction_limit: usize,
    engine: &'e Engine,
    messages: HashMap<u64, Message>,
    tickets: Vec<(Ticket<'e>, Message)>,
    transactions: HashMap<u64, Cell>,
    past: Vec<u64>,
    processes: Vec<Process<'e>>,
    habits: Habits,
    /// Until when nothing is sent, for lack of the proxy's memory.
    paused_until: u64,
    /// When the clock was last looked at, and whether something waits for that.
    looked_at: u64,
    waits_for_clock: bool,
    busy: HashSet<String>,
    /// The last message of each group that each target was sent, by its rank.
    reached: HashMap<(String, &'static str), usize>,
    call_ids: HashMap<Vec<u8>, (u64, usize)>,
    /// Names that are being asked.
    questions: Vec<Question>,
    /// Copies that wait for a name, as far as is known here, and how many have had to.
    at_name: HashMap<(u64, usize), String>,
    parked: usize,
    /// How many turns of each of the others each originator has waited, while it had something to send.
    waited: [[usize; ORIGINATORS.len()]; ORIGINATORS.len()],
    to_submit: usize,
    told: usize,
    attempts: usize,
    /// Looks that have found silent copies, and copies sent beside as many as the window has room for.
    silent_looks: usize,
    sent_beside: usize,
    /// What keeps the lock now and then, and whether it does.
    stopped: Option<Stopped>,
    is_blocked: bool,
    blocks: usize,
}

/// Says which schedule failed.
impl Drop for Model<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("schedule {} failed", self.seed);
        }
    }
}

fn limits(random: &mut Random) -> Settings {
    Settings {
        queue_memory: 1,
        queue_messages: random.one_of(&[2, 5, 100]),
        forks_in_flight: random.one_of(&[1, 2, 3, 10, 1000]),
        patience: random.one_of(&[0, 1, 1, 2, 60]),
        target_order: !random.once_in(4),
        target_queue: random.one_of(&[1, 2, 100]),
        queue_lifetime: random.one_of(&[1, 5, 600]),
        quota_originator: None,
        quota_group: None,
        rate: 0,
        ..Settings::new()
    }
}

/// A header field and a piece of the body that only one recipient gets.
fn own_header(address: &str) -> String {
    format!("Subject: {address}\r\n")
}

impl<'e> Model<'e> {
    fn step(&mut self) {
        if self.stopped.is_some() && self.random.once_in(STEPS_BETWEEN_STOPS) {
            self.go_on_while_blocked();
        }
        match self.random.below(100) {
            0..8 => self.submit(),
            8..12 => self.settle_ticket(),
            12..41 => self.run_process(),
            41..45 => self.ask_names(),
            45..70 => self.complete(),
            70..82 => self.release(),
            82..91 => self.tell(),
            91 => self.look_for_silent(),
            92..95 if self.habits.is_strict => self.tell_when_called(),
            92..95 => self.engine.tick(self.now),
            95..98 => self.pass_time(),
            98 => self.disturb(),
            _ => self.cancel(),
        }
    }

    /// A process is stopped with the lock: the proxy's processes go on with what waits for nobody.
    fn go_on_while_blocked(&mut self) {
        let Some(stopped) = self.stopped.take() else {
            return;
        };
        stopped.keep_lock(self.engine);
        self.is_blocked = true;
        self.blocks += 1;
        for _ in 0..1 + self.random.below(20) {
            match self.random.below(20) {
                0 => self.submit(),
                1..4 => self.settle_ticket(),
                4..9 => self.run_process(),
                9..14 => self.complete(),
                14..17 => self.release(),
                17 => self.cancel(),
                18 => self.tell(),
                _ => self.engine.tick(self.now),
            }
        }
        self.is_blocked = false;
        stopped.let_go(self.engine);
        self.stopped = Some(stopped);
        // It may be stopped again before it calls the process that tells outcomes: then the clock does.
        self.waits_for_clock = true;
    }

    fn pass_time(&mut self) {
        self.now += self.random.below(700) as u64;
        if self.random.once_in(20) {
            self.wrong = self.random.one_of(&[-86_400_000, 0, 86_400_000]);
        }
    }

    fn submit(&mut self) {
        if self.to_submit == 0 {
            return;
        }
        self.to_submit -= 1;
        let random = &mut self.random;
        let pool = self.habits.pool.unwrap_or(random.one_of(&[3, 10, 40]));
        let size = 1 + random.below(pool);
        let start = random.below(pool);
        let mut names: Vec<String> = (0..size)
            .map(|n| format!("sip:u{}@home1.net", (start + n) % pool))
            .collect();
        if random.once_in(self.habits.twice) {
            names.push(names[0].clone());
        }
        let body = vec![b'x'; random.below(200)];
        let window = random.one_of(&[1, 2, 3, 4, 7, 60]);
        let most = random.one_of(&[None, None, Some(window), Some(window + 2)]);
        let expires_at = match random.once_in(self.habits.expiring) {
            true => self.now + random.below(3000) as u64,
            false => 0,
        };
        let group = random.one_of(&GROUPS[..self.habits.groups]);
        let originator = random.below(self.habits.originators);
        let time = |now: u64| now.saturating_add_signed(self.wrong);
        let mut seed = [0; 16];
        seed[..8].copy_from_slice(&random.next().to_le_bytes());
        let submission = Submission {
            originator: ORIGINATORS[originator].as_bytes(),
            group: group.as_bytes(),
            body: &body,
            entry_at: body.len() as u32 / 2,
            needs_stream: body.len() % 2 == 1,
            window,
            most_at_once: most,
            accepted_at: time(self.now),
            expires_at: match expires_at {
                0 => 0,
                expires_at => time(expires_at),
            },
            seed,
            ..submission()
        };
        let has_more = |name: &str| name.contains('7');
        let headers: Vec<String> = names.iter().map(|name| own_header(name)).collect();
        let recipients = || {
            names.iter().zip(&headers).map(|(name, header)| Own {
                headers: if has_more(name) {
                    header.as_bytes()
                } else {
                    b""
                },
                has_entry: has_more(name),
                ..Own::plain(name.as_bytes())
            })
        };
        let ticket = match self.engine.reserve(&submission, recipients, self.now) {
            Ok(ticket) => {
                assert!(!self.is_blocked);
                ticket
            }
            Err(no_room) => {
                let load = self.engine.load();
                let is_full = load.messages >= u64::from(self.limits.queue_messages);
                let is_blocked = no_room.reason == NoRoomReason::QueueBlocked;
                assert_eq!(is_blocked, self.is_blocked);
                assert!(
                    is_blocked || is_full || load.memory_free < 20_000,
                    "{load:?}"
                );
                return;
            }
        };
        let message = Message {
            recipients: names
                .into_iter()
                .map(|name| (name, State::Waiting))
                .collect(),
            window,
            most,
            in_flight: 0,
            expires_at,
            cancelled: false,
            body,
            finished: false,
            short_since: 0,
            rank: 0,
            group,
            originator,
        };
        self.tickets.push((ticket, message));
    }

    fn settle_ticket(&mut self) {
        if self.tickets.is_empty() {
            return;
        }
        let index = self.random.below(self.tickets.len());
        let (ticket, mut message) = self.tickets.swap_remove(index);
        if self.random.once_in(8) {
            return;
        }
        let number = self.engine.start(ticket);
        message.rank = self.messages.len();
        self.waits_for_clock |= message.expires_at != 0 && message.expires_at <= self.looked_at;
        assert!(self.messages.insert(number, message).is_none());
        self.somebody_pumps();
    }

    /// Whoever has just let a fork go asks for forks in turn.
    fn somebody_pumps(&mut self) {
        let index = self.random.below(self.processes.len());
        self.processes[index].is_pumping = true;
    }

    /// The process that tells outcomes looks at the clock when it is called.
    fn tell_when_called(&mut self) {
        if is_readable(self.engine) {
            self.engine.wait(Duration::ZERO);
            self.look_at_the_clock();
        }
    }

    /// The process that asks takes what there is to ask, and one of the name servers answers or does not.
    fn ask_names(&mut self) {
        if self.is_blocked {
            // It waits for the lock: nobody waits for it.
            return;
        }
        while let Some(question) = self.engine.next_question() {
            assert!(
                !self
                    .questions
                    .iter()
                    .any(|asked| asked.name() == question.name()),
                "a name is asked twice at once"
            );
            self.questions.push(question);
        }
        if self.questions.is_empty() {
            return;
        }
        let index = self.random.below(self.questions.len());
        let question = self.questions.swap_remove(index);
        self.now = self.now.max(question.not_before());
        if self.random.below(10) >= self.habits.vain {
            let address = SocketAddr::from(([192, 0, 2, 1], question.name().len() as u16));
            let time = Duration::from_secs(self.random.one_of(&[1, 60]));
            let now = self.now;
            self.at_name
                .retain(|_, name| name.as_bytes() != question.name());
            return self.engine.name_leads(&question, &[address], time, now);
        }
        // Some of them may end now, which is told later.
        let waits = |name: &&mut String| name.as_bytes() == question.name();
        self.at_name
            .values_mut()
            .filter(waits)
            .for_each(String::clear);
        let why = match self.random.once_in(2) {
            true => NotResolved::NoAnswer,
            false => NotResolved::LeadsNowhere,
        };
        if let Some(again) = self.engine.name_fails(&question, why, self.now) {
            assert!(again > self.now, "asked again at once");
            // Otherwise time stands still while nobody else has anything to do.
            self.now = self.now.max(again);
            self.questions.push(question);
        }
    }

    fn look_at_the_clock(&mut self) {
        self.engine.tick(self.now);
        // Who was sent to in vain is tried again when the clock says so.
        self.waits_for_clock = self.paused_until > self.now;
        self.looked_at = self.now;
        self.processes[0].is_pumping = true;
    }

    /// The process that tells outcomes looks for copies that have become silent: none that is younger than `patience`,
    /// and each that is older by more than a moment since it was first seen.
    fn look_for_silent(&mut self) {
        self.processes[0].is_pumping = true;
        let held_up = self.engine.look_for_silent(self.now);
        if self.is_blocked {
            return;
        }
        let patience = u64::from(self.limits.patience) * 1000;
        assert!(held_up.is_none() || patience > 0);
        let mut bounds: HashMap<u64, (u32, u32)> = HashMap::new();
        for transaction in self
            .transactions
            .values_mut()
            .filter(|transaction| transaction.in_flight)
        {
            let seen = *transaction.seen.get_or_insert(self.now);
            let (surely, perhaps) = bounds.entry(transaction.message).or_default();
            let is_old = |since: u64, age| patience > 0 && self.now - since >= age;
            *surely += u32::from(is_old(seen, patience + patience / 16));
            *perhaps += u32::from(is_old(transaction.started, patience));
        }
        let mut silent = 0;
        for fanout in self.engine.fanouts().unwrap() {
            let (surely, perhaps) = bounds.remove(&fanout.message).unwrap_or_default();
            let found = fanout.silent;
            assert!(
                (surely..=perhaps).contains(&found),
                "{found} silent, expected {surely} to {perhaps}"
            );
            silent += u64::from(found);
        }
        assert_eq!(self.engine.load().silent, silent);
        self.silent_looks += usize::from(silent > 0);
    }

    /// Nobody has anything to do but wait for answers: nobody waits to be sent to for whom there is room, as silent copies
    /// take none in a window.
    fn expect_silent_hold_nobody_up(&mut self) {
        if self.waits_for_clock || self.now < self.paused_until {
            return;
        }
        let fanouts = self.engine.fanouts().unwrap();
        let silent: HashMap<u64, u32> = fanouts.iter().map(|f| (f.message, f.silent)).collect();
        for originator in 0..ORIGINATORS.len() {
            let is_held_up =
                self.has_share(originator, 0) && self.has_copy_to_send(originator, &silent);
            assert!(!is_held_up, "a member waits for no reason: {fanouts:?}");
        }
    }

    /// Once nobody has anything to do but wait for the clock, nobody waits to be sent to who needs no clock.
    fn expect_nobody_left(&mut self) {
        if self.is_blocked {
            return;
        }
        let is_busy = |process: &Process<'_>| process.is_pumping || process.attempt.is_some();
        if self.processes.iter().any(is_busy) || is_readable(self.engine) {
            return;
        }
        if !self.transactions.is_empty() {
            return self.expect_silent_hold_nobody_up();
        }
        let unseen = self.looked_at + 1..=self.now;
        let has_expired = |message: &Message| unseen.contains(&message.expires_at);
        let waits_for_names = self.engine.load().waiting_for_names > 0;
        if waits_for_names && self.engine.load().names_asked > 0 {
            return self.ask_names();
        }
        if self.waits_for_clock || waits_for_names || self.messages.values().any(has_expired) {
            return self.look_at_the_clock();
        }
        let waits = |(_, state): &(String, State)| *state == State::Waiting;
        let left = self
            .messages
            .values()
            .flat_map(|m| &m.recipients)
            .filter(|r| waits(r));
        let told = self.engine.load().waiting;
        assert_eq!(
            told,
            0,
            "{} recipients are left that nobody sends to",
            left.count()
        );
    }

    fn run_process(&mut self) {
        let index = self.random.below(self.processes.len());
        match self.processes[index].attempt.take() {
            None if self.habits.is_strict && !self.processes[index].is_pumping => {
                self.expect_nobody_left();
            }
            None => {
                let attempt = self.engine.next(|| self.now);
                self.go_on(index, attempt);
            }
            Some(attempt) => self.conclude(attempt),
        }
    }

    /// A process has asked for a fork to send.
    fn go_on(&mut self, index: usize, attempt: Option<Attempt<'e>>) {
        let found = attempt.is_some();
        if let Some(attempt) = &attempt {
            self.expect_fair(attempt.message());
        }
        let attempt = attempt.and_then(|attempt| self.resolved(attempt));
        if let Some(attempt) = &attempt {
            self.expect_allowed(attempt);
        }
        self.processes[index].is_pumping = found;
        self.processes[index].attempt = attempt;
    }

    /// A copy goes to an address, or to a name that is known; otherwise it waits.
    fn resolved(&mut self, attempt: Attempt<'e>) -> Option<Attempt<'e>> {
        let recipient = String::from_utf8(attempt.fork().recipient.to_vec()).unwrap();
        let user = recipient.split('@').next().unwrap();
        let digits: String = user.chars().filter(char::is_ascii_digit).collect();
        // Every other member has an address.
        let number: usize = digits.parse().unwrap();
        if self.habits.names == 0 || number.is_multiple_of(2) {
            return Some(attempt);
        }
        let name = format!("udp:0:{}.net", "n".repeat(1 + number % self.habits.names));
        let copy = (attempt.message(), attempt.recipient() as usize);
        let waiting = self.engine.load().waiting;
        let Some((attempt, address)) = attempt.by_name(name.as_bytes(), self.now) else {
            self.parked += 1;
            // It may have ended at once, which is told later.
            let has_ended = self.engine.load().waiting < waiting;
            let name = if has_ended { String::new() } else { name };
            self.at_name.insert(copy, name);
            return None;
        };
        let expected = SocketAddr::from(([192, 0, 2, 1], name.len() as u16));
        assert_eq!(address, expected, "the address of another name");
        Some(attempt)
    }

    fn expect_allowed(&mut self, attempt: &Attempt<'e>) {
        assert!(!self.is_blocked);
        self.attempts += 1;
        let (number, recipient) = (attempt.message(), attempt.recipient() as usize);
        let message = self
            .messages
            .get_mut(&number)
            .expect("a message that was started");
        assert!(!message.cancelled, "a cancelled message is not sent");
        let expired = message.expires_at != 0 && message.expires_at <= self.now;
        assert!(!expired, "M-4: what has expired is not sent");
        let (address, state) = &mut message.recipients[recipient];
        assert_eq!(*state, State::Waiting, "sent twice");
        *state = State::InFlight(attempt.cookie());
        message.in_flight += 1;
        let most = message.most.unwrap_or(u32::MAX);
        assert!(
            message.in_flight <= most.max(message.window),
            "U-6: the breadth"
        );
        let patience = u64::from(self.limits.patience) * 1000;
        let counts = |transaction: &&Cell| {
            let is_young = patience == 0 || self.now - transaction.started < patience;
            transaction.message == number && transaction.in_flight && is_young
        };
        let in_window = 1 + self.transactions.values().filter(counts).count();
        assert!(in_window <= message.window as usize, "U-6: the window");
        self.sent_beside += usize::from(message.in_flight > message.window);
        let fork = attempt.fork();
        assert_eq!(fork.recipient, address.as_bytes());
        let mut headers = Vec::new();
        fork.write_headers(&mut headers);
        let headers = String::from_utf8(headers).unwrap();
        let has_more = address.contains('7');
        assert_eq!(headers.contains(&own_header(address)), has_more);
        let mut body = message.body.clone();
        if has_more {
            let middle = body.len() / 2;
            let mut entry = Vec::new();
            write_own_entry(address.as_bytes(), &mut entry);
            body.splice(middle..middle, entry);
        }
        assert_eq!(fork.needs_stream(), message.body.len() % 2 == 1);
        assert_eq!(fork.body().as_ref(), body);
        assert!(headers.contains(&format!("Content-Length: {}\r\n", body.len())));
        let of = self
            .call_ids
            .insert(fork.call_id.as_bytes().to_vec(), (number, recipient));
        assert!(
            of.is_none_or(|of| of == (number, recipient)),
            "a Call-ID of another fork"
        );
        if self.limits.target_order {
            assert!(self.busy.insert(address.clone()), "M-3: two at one target");
            let place = (address.clone(), message.group);
            let last = self.reached.insert(place, message.rank);
            assert!(last <= Some(message.rank), "M-3: out of order");
        }
        let transaction = Cell {
            message: number,
            recipient,
            in_flight: true,
            held: true,
            sending: true,
            started: self.now,
            seen: None,
        };
        assert!(
            self.transactions
                .insert(attempt.cookie(), transaction)
                .is_none()
        );
        let in_flight = self
            .transactions
            .values()
            .filter(|transaction| transaction.in_flight)
            .count();
        assert!(
            in_flight <= self.limits.forks_in_flight as usize,
            "the cap of all forks"
        );
        let held = self
            .transactions
            .values()
            .filter(|transaction| transaction.held)
            .count();
        assert!(held <= self.transaction_limit, "the cap of transactions");
    }

    /// Whether an originator may have one more copy in flight, besides so many of others: it has less of the whole than
    /// the square of what is free.
    fn has_share(&self, originator: usize, besides: usize) -> bool {
        let own =
            |transaction: &&Cell| self.messages[&transaction.message].originator == originator;
        let in_flight: Vec<_> = self
            .transactions
            .values()
            .filter(|transaction| transaction.in_flight)
            .collect();
        let own = in_flight
            .iter()
            .filter(|transaction| own(transaction))
            .count();
        let size = self
            .transaction_limit
            .min(self.limits.forks_in_flight as usize);
        let free = size.saturating_sub(in_flight.len() + besides);
        own * size < free * free && own + self.transactions.len() + besides < self.transaction_limit
    }

    /// Whether an originator has a copy that nothing but its turn keeps from being sent, as far as is known here.
    /// `silent` copies take no room in the window.
    fn has_copy_to_send(&self, originator: usize, silent: &HashMap<u64, u32>) -> bool {
        // Another message to the same member may be sent before, or have filled the member's queue.
        let mut addresses: HashMap<&str, usize> = HashMap::new();
        let unfinished = self.messages.values().filter(|message| !message.finished);
        for (address, _) in unfinished.flat_map(|message| &message.recipients) {
            *addresses.entry(address).or_default() += 1;
        }
        let waits = |(address, state): &(String, State)| {
            *state == State::Waiting && (!self.limits.target_order || addresses[&address[..]] == 1)
        };
        let mut own = self.messages.iter().filter(|(number, message)| {
            let may_send = message.expires_at == 0 && !message.cancelled;
            let silent = silent.get(number).copied().unwrap_or_default();
            let has_room = message.in_flight < message.window
                || message.in_flight - silent < message.window
                    && message.in_flight < message.most.unwrap_or(u32::MAX);
            message.originator == originator && may_send && has_room
        });
        own.any(|(number, message)| {
            let mut recipients = message.recipients.iter().enumerate();
            let is_here = |recipient| !self.at_name.contains_key(&(*number, recipient));
            recipients.any(|(recipient, state)| waits(state) && is_here(recipient))
        })
    }

    /// Originators take turns, and none takes more than its share.
    fn expect_fair(&mut self, number: u64) {
        let whose = self.messages[&number].originator;
        assert!(self.has_share(whose, 0), "more than its share");
        self.waited[whose] = Default::default();
        for other in (0..ORIGINATORS.len()).filter(|&other| other != whose) {
            if !self.has_share(other, 1) || !self.has_copy_to_send(other, &HashMap::new()) {
                self.waited[other] = Default::default();
                continue;
            }
            self.waited[other][whose] += 1;
            let turns = self.waited[other][whose];
            assert!(turns <= MOST_TURNS, "{turns} turns while another waits");
        }
    }

    fn conclude(&mut self, attempt: Attempt<'e>) {
        let cookie = attempt.cookie();
        let kind = self.random.below(10);
        let transaction = *self.transactions.get(&cookie).unwrap();
        // What is left of two forks is done in the order of their transactions, and of a pause the last counts.
        let is_short = kind < self.habits.short && !self.is_blocked;
        if !is_short && kind != 9 {
            drop(attempt);
            self.change(cookie, |transaction| transaction.sending = false);
            if transaction.in_flight && !transaction.held {
                self.land(cookie, Outcome::Unreachable(408));
            }
            return;
        }
        let why = if is_short {
            self.paused_until = self.now + PAUSE;
            self.waits_for_clock = true;
            NotSent::OutOfMemory
        } else {
            NotSent::Failed
        };
        attempt.not_sent(why, self.now);
        if transaction.in_flight {
            let message = self.messages.get_mut(&transaction.message).unwrap();
            if why == NotSent::OutOfMemory && message.short_since == 0 {
                message.short_since = self.now;
            }
            let waited = self.now - message.short_since;
            let too_long = waited >= u64::from(self.limits.queue_lifetime) * 1000;
            let closed = self.engine_closes(transaction.message);
            match why {
                NotSent::Failed => self.land(cookie, Outcome::Unreachable(503)),
                NotSent::OutOfMemory if closed.is_some() => self.land(cookie, closed.unwrap()),
                NotSent::OutOfMemory if too_long => self.land(cookie, Outcome::Expired),
                NotSent::OutOfMemory => {
                    message_of(&mut self.messages, transaction).in_flight -= 1;
                    let message = message_of(&mut self.messages, transaction);
                    let (address, state) = &mut message.recipients[transaction.recipient];
                    *state = State::Waiting;
                    self.busy.remove(address);
                }
            }
        }
        self.change(cookie, |transaction| {
            (transaction.sending, transaction.held, transaction.in_flight) = (false, false, false);
        });
    }

    /// How a message ends its recipients, if the engine has noticed that it is to send no more.
    fn engine_closes(&self, number: u64) -> Option<Outcome> {
        let message = &self.messages[&number];
        message
            .cancelled
            .then_some(Outcome::Skipped(SkipReason::Cancelled))
    }

    fn change(&mut self, cookie: u64, change: impl FnOnce(&mut Cell)) {
        let transaction = self.transactions.get_mut(&cookie).unwrap();
        change(transaction);
        if !(transaction.held || transaction.in_flight || transaction.sending) {
            self.transactions.remove(&cookie);
            self.past.push(cookie);
        }
    }

    fn land(&mut self, cookie: u64, ending: Outcome) {
        let transaction = self.transactions[&cookie];
        let message = message_of(&mut self.messages, transaction);
        message.in_flight -= 1;
        let (address, state) = &mut message.recipients[transaction.recipient];
        assert_eq!(*state, State::InFlight(cookie));
        *state = State::Ended(ending, false);
        self.busy.remove(address);
        self.change(cookie, |transaction| transaction.in_flight = false);
    }

    fn any_cell(&mut self, wanted: impl Fn(&Cell) -> bool) -> Option<u64> {
        let transactions = self
            .transactions
            .iter()
            .filter(|(_, transaction)| wanted(transaction));
        let mut found: Vec<u64> = transactions.map(|(cookie, _)| *cookie).collect();
        found.sort_unstable();
        (!found.is_empty()).then(|| self.random.one_of(&found))
    }

    fn complete(&mut self) {
        // Sometimes before the process that sends has come back from the proxy.
        let early = self.random.once_in(5);
        let silent = self.random.below(15) > 0 && self.habits.silent > 0;
        let silent = silent.then_some(self.habits.silent);
        let answers = |transaction: &Cell| {
            silent.is_none_or(|silent| !transaction.recipient.is_multiple_of(silent))
        };
        let may_end = |transaction: &Cell| {
            transaction.in_flight && transaction.sending <= early && answers(transaction)
        };
        let Some(cookie) = self.any_cell(may_end) else {
            return;
        };
        let code = self
            .random
            .one_of(&[200, 200, 202, 404, 408, 482, 486, 503, 603]);
        let ending = match code {
            200..300 => Outcome::Delivered(code),
            408 => Outcome::Unreachable(code),
            code => Outcome::Refused(code),
        };
        let transaction = self.transactions[&cookie];
        message_of(&mut self.messages, transaction).short_since = 0;
        self.land(cookie, ending);
        // The process that gets the response goes on itself, unless it is sending.
        let index = self.random.below(self.processes.len());
        let process = &self.processes[index];
        if process.is_pumping || process.attempt.is_some() {
            self.engine.completed(cookie, code);
            self.somebody_pumps();
        } else {
            let attempt = self.engine.completed_then_next(cookie, code, || self.now);
            self.go_on(index, attempt);
        }
    }

    fn release(&mut self) {
        // Rarely before the final response, which then never comes.
        let early = self.random.once_in(10);
        let Some(cookie) =
            self.any_cell(|transaction| transaction.held && transaction.in_flight <= early)
        else {
            return;
        };
        self.engine.released(cookie);
        self.paused_until = 0;
        let transaction = self.transactions[&cookie];
        self.change(cookie, |transaction| transaction.held = false);
        if transaction.in_flight && !transaction.sending {
            self.land(cookie, Outcome::Unreachable(408));
            // The next look at the clock, as this is none of the proxy's words.
            self.waits_for_clock = true;
        }
    }

    /// Callbacks that come twice, too late or from nowhere.
    fn disturb(&mut self) {
        let cookie = match self.random.below(3) {
            0 => self.random.next(),
            _ if self.past.is_empty() => 0,
            _ => self.random.one_of(&self.past),
        };
        if self.transactions.contains_key(&cookie) {
            return;
        }
        self.engine.completed(cookie, 200);
        self.engine.released(cookie);
        if let Some(done) = self.any_cell(|transaction| !transaction.in_flight) {
            self.engine.completed(done, 404);
        }
        if let Some(done) = self.any_cell(|transaction| !transaction.held) {
            self.engine.released(done);
        }
    }

    fn cancel(&mut self) {
        let mut live: Vec<u64> = self
            .messages
            .iter()
            .filter(|(_, message)| !message.finished)
            .map(|(number, _)| *number)
            .collect();
        live.sort_unstable();
        if live.is_empty() || !self.random.once_in(4) {
            return;
        }
        let number = self.random.one_of(&live);
        // One that has expired already ends as expired.
        let message = self.messages.get_mut(&number).unwrap();
        if self.is_blocked {
            self.engine.cancel(number).unwrap_err();
        } else if message.expires_at == 0 {
            assert!(self.engine.cancel(number).unwrap().is_some());
            message.cancelled = true;
            self.waits_for_clock = true;
        }
    }

    fn tell(&mut self) {
        let event = self.engine.next_event();
        assert!(event.is_none() || !self.is_blocked);
        match event {
            None => {}
            Some(Event::Ended(outcome)) => {
                self.told += 1;
                let message = self.messages.get_mut(&outcome.message()).unwrap();
                assert_eq!(outcome.group(), message.group.as_bytes());
                let expired = message.expires_at != 0 && message.expires_at <= self.now;
                let (address, state) = &mut message.recipients[outcome.recipient() as usize];
                assert_eq!(outcome.fork().recipient, address.as_bytes());
                match *state {
                    State::Ended(ending, told) => {
                        let late = expired && outcome.outcome == Outcome::Expired;
                        assert!(ending == outcome.outcome || late, "{ending:?}");
                        assert!(!told, "told twice");
                    }
                    State::InFlight(_) => panic!("told before it ended"),
                    State::Waiting => match outcome.outcome {
                        Outcome::Expired => assert!(expired),
                        Outcome::Skipped(SkipReason::Cancelled) => assert!(message.cancelled),
                        Outcome::Skipped(SkipReason::TargetQueueFull) => {
                            assert!(self.limits.target_order && self.limits.target_queue < 100);
                        }
                        Outcome::Unreachable(478) => {
                            assert!(self.habits.names > 0 && self.habits.vain > 0);
                        }
                        other => panic!("{other:?} without an attempt"),
                    },
                }
                *state = State::Ended(outcome.outcome, true);
            }
            Some(Event::Finished(finished)) => {
                let message = self.messages.get_mut(&finished.message()).unwrap();
                assert!(!message.finished, "finished twice");
                message.finished = true;
                let mut tally = Tally::default();
                for (address, state) in &message.recipients {
                    let State::Ended(ending, true) = state else {
                        panic!("finished, but {address} is {state:?}");
                    };
                    match ending {
                        Outcome::Delivered(_) => tally.delivered += 1,
                        Outcome::Refused(_) => tally.refused += 1,
                        Outcome::Unreachable(_) => tally.unreachable += 1,
                        Outcome::Expired => tally.expired += 1,
                        Outcome::Skipped(_) => tally.skipped += 1,
                        Outcome::Kept(_) => tally.kept += 1,
                    }
                }
                assert_eq!(finished.tally(), tally);
                assert_eq!(tally.ended() as usize, message.recipients.len());
            }
        }
    }

    fn is_done(&self) -> bool {
        self.to_submit == 0
            && self.tickets.is_empty()
            && self.transactions.is_empty()
            && self
                .processes
                .iter()
                .all(|process| process.attempt.is_none())
            && self.messages.values().all(|message| message.finished)
    }

    fn run(&mut self) {
        for _ in 0..MOST_STEPS {
            if self.is_done() {
                let load = self.engine.load();
                let left = (
                    load.messages,
                    load.waiting,
                    load.in_flight,
                    load.transactions,
                    load.memory_used,
                );
                assert_eq!(left, (0, 0, 0, 0, 0));
                assert_eq!(load.waiting_for_names, 0);
                assert!(self.engine.fanouts().unwrap().is_empty());
                return;
            }
            self.step();
        }
        let unfinished = self.messages.values().filter(|message| !message.finished);
        panic!(
            "not done: {} messages, {:?}",
            unfinished.count(),
            self.engine.load()
        );
    }
}

/// Whether the process that tells outcomes is called.
fn is_readable(engine: &Engine) -> bool {
    let mut news = libc::pollfd {
        fd: engine.news().as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one descriptor, which is open as long as the engine is there; nothing is waited for.
    unsafe { libc::poll(&mut news, 1, 0) == 1 }
}

fn message_of(messages: &mut HashMap<u64, Message>, transaction: Cell) -> &mut Message {
    messages.get_mut(&transaction.message).unwrap()
}

fn run(seed: u64) -> [usize; 6] {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let limits = limits(&mut random);
    let counters = Arc::new(Counters::new().unwrap());
    let engine = Engine::new(limits.clone(), [7; 16], counters).unwrap();
    let transaction_limit = random.one_of(&[1, 4, 1000]);
    engine.set_transaction_limit(transaction_limit);
    let processes = 1 + random.below(4);
    let most = random.one_of(&[8, 8, 40]);
    let to_submit = 1 + random.below(most);
    let habits = Habits::new(&mut random);
    let mut model = Model {
        seed,
        random,
        now: START,
        wrong: 0,
        limits,
        transaction_limit,
        engine: &engine,
        messages: HashMap::new(),
        tickets: Vec::new(),
        transactions: HashMap::new(),
        past: Vec::new(),
        processes: (0..processes).map(|_| Process::default()).collect(),
        habits,
        paused_until: 0,
        looked_at: START,
        waits_for_clock: false,
        busy: HashSet::new(),
        reached: HashMap::new(),
        call_ids: HashMap::new(),
        questions: Vec::new(),
        at_name: HashMap::new(),
        parked: 0,
        waited: Default::default(),
        to_submit,
        told: 0,
        attempts: 0,
        silent_looks: 0,
        sent_beside: 0,
        stopped: seed
            .is_multiple_of(STOPPED)
            .then(|| Stopped::new(&engine, transaction_limit)),
        is_blocked: false,
        blocks: 0,
    };
    model.run();
    [
        model.attempts,
        model.told,
        model.parked,
        model.blocks,
        model.silent_looks,
        model.sent_beside,
    ]
}

#[test]
fn over_many_schedules_each_recipient_ends_once_and_all_memory_comes_back() {
    let threads = 2;
    let schedules = std::env::var("SCHEDULES").map_or(SCHEDULES, |count| count.parse().unwrap());
    let totals: Vec<[usize; 6]> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let seeds = (1..=schedules).filter(|seed| seed % threads == thread);
                    seeds.map(run).fold([0; 6], |totals, more| {
                        std::array::from_fn(|kind| totals[kind] + more[kind])
                    })
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let [attempts, told, parked, blocks, silent, beside] =
        std::array::from_fn(|kind| totals.iter().map(|total| total[kind]).sum::<usize>());
    eprintln!(
        "{schedules} schedules, {attempts} attempts, {told} outcomes, {parked} waits for a name, {blocks} stops, {silent} looks \
         that found silent copies, {beside} copies beside these"
    );
    let all = [attempts, parked, silent, beside];
    assert!(all.iter().all(|&count| count > 1), "too little happened");
    assert!(
        blocks > 0 || schedules < STOPPED,
        "nobody was stopped with the lock"
    );
}
