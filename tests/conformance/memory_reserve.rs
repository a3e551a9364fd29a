//! What copies leave of the proxy's shared memory (`memory_reserve`), where each of them comes back to the same proxy on
//! its way to a phone.

use crate::fanout_breadth::{group, with_group};
use crate::fanout_kept::register;
use crate::support::client::{Client, Transport};
use crate::support::flow::Request;
use crate::support::proxy::proxy;
use crate::support::rig::{Rig, Setup};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const MEBIBYTE: u64 = 1 << 20;
/// What Debian gives Kamailio.
const MEMORY: u32 = 64;
const MEMBERS: usize = 5_000;
/// Groups of this many members each, who all send one message.
const CREW: usize = 5;
const CREWS: usize = 80;
/// How long it all may take: transactions are given back 5 s after their end.
const LONG: Duration = Duration::from_secs(60);
/// How often in a row so much memory has to be in use. It is, for `wt_timer`.
const LOOKS: usize = 16;
/// After what time a client sends a request again.
const T1: Duration = Duration::from_millis(500);

fn member(number: usize) -> String {
    format!("m{number}.of{MEMBERS}")
}

fn crew(number: usize) -> String {
    format!("sip:crew{number}@im.home1.net")
}

/// A registrar to which the copies come back, and which sends them to the phones that have registered.
fn site(transport: Transport) -> Setup {
    let head = proxy().head();
    let modules = match proxy().name() {
        "Kamailio" => {
            "loadmodule \"rr.so\"\nloadmodule \"usrloc.so\"\nloadmodule \"registrar.so\"\n"
        }
        _ => {
            "loadmodule \"rr.so\"\nloadmodule \"usrloc.so\"\nloadmodule \"registrar.so\"\n\
             modparam(\"usrloc\", \"working_mode_preset\", \"single-instance-no-db\")\n"
        }
    };
    let head = head
        .replace("\nchildren=1", "\nchildren=4")
        .replace("udp_workers=1", "udp_workers=4")
        .replace("loadmodule @CIMF_MODULE@", &format!("{modules}loadmodule @CIMF_MODULE@"))
        .replace(
            "modparam(\"tm\", \"wt_timer\"",
            "modparam(\"cimf\", \"copy_mark\", 1)\nmodparam(\"cimf\", \"max_breadth\", 0)\n\
             modparam(\"cimf\", \"concurrency\", 150)\n\
             modparam(\"cimf\", \"memory_reserve\", @MEMORY_RESERVE@)\nmodparam(\"tm\", \"wt_timer\"",
        );
    let script = r#"
    if ($rm == "REGISTER") { save("location"); exit; }
    if ($rm == "MESSAGE" && cimf_is_copy()) {
        loose_route();
        if (!lookup("location")) { sl_send_reply("404", "Not Registered"); exit; }
        if (!t_relay()) { sl_reply_error(); }
        exit;
    }
    cimf_handle();
    switch ($rc) {
        case -2: sl_send_reply("500", "Server Internal Error"); exit;
        default: exit;
    }
}
"#;
    let itself = format!("sip:@ADDRESS@;transport={}", transport.in_uri());
    Setup::new(transport)
        .configuration(&(head + &proxy().translated(script)))
        .number("TM_WT_TIMER", 5000)
        .text("IDENTITY_MODE", "pai")
        .text("CORE_ROUTE", &itself)
}

/// Each member has a phone: the test's own.
#[track_caller]
fn register_all(rig: &Rig) {
    let mut client = rig.client();
    for number in 0..MEMBERS {
        let user = member(number);
        let contact = format!("<sip:{user}@127.0.0.1:{}>", rig.core.port);
        let request = register(&client, &user, &contact);
        client.send(&request.bytes());
        let response = client.receive();
        assert_eq!(response.status(), 200, "{response}");
    }
}

/// A message that is sent again until there is an answer, as every client does it by UDP.
struct Sent {
    client: Client,
    bytes: Vec<u8>,
    next: Instant,
    interval: Duration,
}

impl Sent {
    fn new(rig: &Rig, group: &str, sender: &str, mark: &str) -> Sent {
        let mut client = rig.client();
        let request = Request::another(&client)
            .group(group)
            .sender(sender)
            .with(&format!("Subject: {mark}"));
        let bytes = request.bytes();
        client.send(&bytes);
        Sent {
            client,
            bytes,
            next: Instant::now() + T1,
            interval: T1,
        }
    }

    /// The status of the answer, if it is there.
    #[track_caller]
    fn status(&mut self) -> Option<u16> {
        while let Some(response) = self.client.receive_within(Duration::from_millis(1)) {
            if response.status() >= 200 {
                return Some(response.status());
            }
        }
        if Instant::now() >= self.next {
            self.client.send(&self.bytes);
            self.interval = (2 * self.interval).min(8 * T1);
            self.next = Instant::now() + self.interval;
        }
        None
    }
}

/// How many senders got which answer; 408 stands for none.
#[track_caller]
fn answers(mut waiting: Vec<Sent>) -> BTreeMap<u16, usize> {
    let mut answers = BTreeMap::new();
    let begin = Instant::now();
    while !waiting.is_empty() && begin.elapsed() < LONG {
        waiting.retain_mut(|sent| match sent.status() {
            Some(status) => {
                *answers.entry(status).or_default() += 1;
                false
            }
            None => true,
        });
    }
    if !waiting.is_empty() {
        answers.insert(408, waiting.len());
    }
    answers
}

/// Does `work`; gives what it gives, and the most shared memory that was in use meanwhile.
fn with_most_used<T>(rig: &Rig, work: impl FnOnce() -> T) -> (T, u64) {
    let is_over = AtomicBool::new(false);
    let folder = rig.folder();
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut looks = VecDeque::new();
            let mut most = 0;
            while !is_over.load(Ordering::Relaxed) {
                // OpenSIPS counts its largest free piece as used while it takes some of it, which a process that
                // does not run may do for some time: what counts is what stays in use.
                looks.push_back(proxy().shared_memory_used(folder));
                if looks.len() > LOOKS {
                    looks.pop_front();
                    most = most.max(looks.iter().copied().min().unwrap_or_default());
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            most
        });
        let result = work();
        is_over.store(true, Ordering::Relaxed);
        (result, watching.join().expect("the memory in use"))
    })
}

/// S-5: with 64 MiB of shared memory a message to 5,000 members whose copies all come back, and 400 more at the
/// same time: every sender has a 202, every member every message, and the proxy the memory that it needs for itself.
pub fn copies_that_come_back_leave_the_proxy_its_memory(transport: Transport) {
    let reserve = std::env::var("CIMF_MEMORY_RESERVE").map_or(25, |text| text.parse().unwrap());
    let mut setup = with_group(site(transport), MEMBERS).number("MEMORY_RESERVE", reserve);
    setup = match std::env::var("CIMF_MEMORY_MANAGER") {
        Ok(manager) => setup.memory(&[
            proxy().memory_manager(),
            &manager,
            "-m",
            &MEMORY.to_string(),
        ]),
        Err(_) => setup.shared_memory(MEMORY),
    };
    for number in 0..CREWS {
        let members: Vec<_> = (0..CREW)
            .map(|other| format!("sip:{}@home1.net", member(number * CREW + other)))
            .collect();
        let members: Vec<_> = members.iter().map(String::as_str).collect();
        setup = setup.group(&crew(number), &members);
    }
    let rig = setup.start();
    register_all(&rig);
    let used_before = proxy().shared_memory_used(rig.folder());

    let begin = Instant::now();
    let work = || {
        let first = Sent::new(&rig, &group(MEMBERS), "sip:ann@home1.net", "all");
        assert_eq!(answers(vec![first]), BTreeMap::from([(202, 1)]));
        while rig.counter("transactions") < 1_500 && begin.elapsed() < LONG {
            std::thread::sleep(Duration::from_millis(10));
        }
        let senders = (0..CREWS * CREW).map(|number| {
            let sender = format!("sip:{}@home1.net", member(number));
            Sent::new(&rig, &crew(number / CREW), &sender, &number.to_string())
        });
        let answers = answers(senders.collect());
        while rig.counter("waiting") > 0 && begin.elapsed() < LONG {
            std::thread::sleep(Duration::from_millis(50));
        }
        answers
    };
    let (answers, most) = with_most_used(&rig, work);
    let took = begin.elapsed();
    let copies = MEMBERS + CREWS * CREW * (CREW - 1);
    let mut got = HashSet::new();
    for fork in rig.core.forks() {
        let message = fork.message;
        got.insert((
            message.one("Subject").to_owned(),
            message.request_uri().to_owned(),
        ));
    }
    let delivered = rig.counter("forks_delivered");
    println!(
        "answers {answers:?}; {} of {copies} copies arrived, {delivered} delivered, {} failed, {} refused by tm, in \
         {took:.1?}; {} of {MEMORY} MB used before, {} at most",
        got.len(),
        rig.counter("forks_failed"),
        rig.counter("forks_refused"),
        used_before / MEBIBYTE,
        most / MEBIBYTE,
    );
    assert_eq!(answers, BTreeMap::from([(202, CREWS * CREW)]));
    assert_eq!(got.len(), copies, "messages that members got");
    assert_eq!(delivered, copies as u64);
    assert_eq!(rig.counter("forks_refused"), 0);
    assert!(took < LONG, "{took:?}");
    // The senders' own transactions may use the reserve, and nobody else.
    let senders = (CREWS * CREW) as u64 * 12 * 1024;
    let bound = u64::from(MEMORY) * MEBIBYTE * 3 / 4 + senders;
    assert!(most <= bound, "{most} bytes used, more than {bound}");
    let line = rig.wait_for_log("copies wait for the proxy's shared memory");
    assert!(
        line.contains("memory_reserve") && line.contains("-m 128"),
        "{line}"
    );
}

/// Whatever memory manager the proxy has, it is asked how much is free.
pub fn every_memory_manager_is_asked(transport: Transport) {
    let managers: &[&str] = match proxy().name() {
        "Kamailio" => &["qm", "fm", "tlsf"],
        _ => &["F_MALLOC", "Q_MALLOC", "HP_MALLOC"],
    };
    for manager in managers {
        let setup = Setup::new(transport);
        let rig = setup
            .memory(&[proxy().memory_manager(), manager, "-m", "64"])
            .start();
        let free = rig.counter("proxy_memory_free");
        let whole = 64 * MEBIBYTE;
        assert!(
            (whole / 2..=whole).contains(&free),
            "{manager}: {free} bytes free"
        );
        assert_eq!(rig.counter("proxy_memory_reserve") / 100, whole / 400);
        let used = proxy().shared_memory_used(rig.folder());
        assert!(
            free + used <= whole + MEBIBYTE && free + used + 2 * MEBIBYTE >= whole,
            "{manager}: {free} bytes free, and {used} used"
        );
        assert!(!rig.log().contains("has no effect"), "{manager}");
    }
}

/// With `memory_reserve=0` nobody is asked.
pub fn without_a_reserve_nobody_is_asked(transport: Transport) {
    let rig = Setup::new(transport).number("MEMORY_RESERVE", 0).start();
    assert_eq!(rig.counter("proxy_memory_free"), 0);
    assert_eq!(rig.counter("proxy_memory_reserve"), 0);
}
