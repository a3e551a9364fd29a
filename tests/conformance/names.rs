//! Next hops that are names (RFC 3263): no worker waits for a name server, whoever is silent.

use crate::checks::is_202;
use crate::support::PATIENCE;
use crate::support::client::{Client, Transport};
use crate::support::core::Fork;
use crate::support::flow::Request;
use crate::support::name_server::NameServer;
use crate::support::rig::{ANN, BOB, Rig, Setup, until};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

const NEAR: &str = "sip:near@im.home1.net";
/// Longer than an answer takes on a busy machine, and much shorter than a name server is waited for.
const SOON: Duration = Duration::from_secs(2);
const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// What the proxy itself would ask, were it to resolve a name: silent, and nobody may ask it.
struct Trap(Option<NameServer>);

impl Trap {
    /// An address of loopback of its own, and the port that resolv.conf means; nothing where tests may not have
    /// it, which is said.
    fn set(setup: Setup) -> (Setup, Trap) {
        let number = std::process::id() ^ std::thread::current().id().number();
        let [_, high, middle, low] = number.to_be_bytes();
        let address = Ipv4Addr::new(127, 64 | high & 63, middle, low.clamp(1, 254));
        let may = Command::new("unshare").args(["-m", "true"]).status();
        let server = NameServer::at(SocketAddr::from((address, 53)));
        let (Ok(server), true) = (server, may.is_ok_and(|status| status.success())) else {
            eprintln!("the proxy's own resolver is not watched: that takes the rights of root");
            return (setup, Trap(None));
        };
        server.is_silent_about("");
        let file = setup.folder().join("resolv.conf");
        std::fs::write(&file, format!("nameserver {address}\n")).expect("a file");
        let script = format!(
            "mount --bind {} /etc/resolv.conf && exec \"$@\"",
            file.display()
        );
        let setup = setup.run_by(&["unshare", "-m", "sh", "-c", &script, "sh"]);
        (setup, Trap(Some(server)))
    }

    #[track_caller]
    fn was_not_asked(&self) {
        if let Some(server) = &self.0 {
            assert_eq!(server.asked(""), 0, "the proxy has asked a name server");
        }
    }
}

trait Numbered {
    fn number(self) -> u32;
}

impl Numbered for std::thread::ThreadId {
    fn number(self) -> u32 {
        let text = format!("{self:?}");
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u32>().expect("a number") << 12
    }
}

/// A proxy without a core, whose module asks this name server.
fn direct(transport: Transport, server: &NameServer) -> Setup {
    Setup::new(transport)
        .without("CORE_ROUTE")
        .number("DIRECT", 1)
        .number("CHILDREN", 4)
        .number("TCP_CHILDREN", 4)
        .text("NAME_SERVERS", &server.address.to_string())
}

/// A member's address at the core's port of a name.
fn at(setup: &Setup, user: &str, name: &str) -> String {
    let transport = setup.transport.in_uri();
    format!(
        "sip:{user}@{name}:{};transport={transport}",
        setup.core_port()
    )
}

/// How long it took until others were answered, and until their copies came.
#[derive(Default)]
struct Times {
    answers: Vec<Duration>,
    copies: Vec<Duration>,
}

/// So many messages of another sender go to the near group, all at once.
#[track_caller]
fn others(rig: &Rig, count: usize) -> Times {
    let mut clients: Vec<Client> = (0..count).map(|_| rig.client()).collect();
    let arrived = rig.core.count();
    let mut times = Times::default();
    let begin = Instant::now();
    let requests: Vec<Request> = clients
        .iter_mut()
        .map(|client| {
            let request = Request::another(client)
                .group(NEAR)
                .set("P-Asserted-Identity", "<sip:bob@home1.net>");
            client.send(&request.bytes());
            request
        })
        .collect();
    for (client, request) in clients.iter_mut().zip(&requests) {
        is_202(&client.receive(), request);
        times.answers.push(begin.elapsed());
    }
    let all = until(|| (rig.core.count() >= arrived + count).then_some(()));
    all.expect("the copies of the others");
    let forks: Vec<Fork> = rig.core.forks();
    times.copies = forks[arrived..]
        .iter()
        .map(|fork| fork.arrival - begin)
        .collect();
    times
}

impl Times {
    fn add(&mut self, other: Times) {
        self.answers.extend(other.answers);
        self.copies.extend(other.copies);
    }

    /// Prints the figures, and fails if somebody was held up.
    #[track_caller]
    fn are_short(mut self, what: &str) {
        let of = |times: &mut Vec<Duration>| {
            times.sort_unstable();
            (
                times[times.len() / 2],
                times[times.len() * 99 / 100],
                times[times.len() - 1],
            )
        };
        let (answers, copies) = (of(&mut self.answers), of(&mut self.copies));
        println!("{what}: 202 of others (median, p99, most) {answers:?}, their copies {copies:?}");
        assert!(
            answers.2 < SOON,
            "{what}: others were answered after {:?}",
            answers.2
        );
        assert!(
            copies.2 < SOON,
            "{what}: copies of others came after {:?}",
            copies.2
        );
    }
}

/// Sends a message to a group and expects its 202.
#[track_caller]
fn sends(client: &mut Client, group: &str) -> Instant {
    let request = Request::another(client).group(group);
    let begin = Instant::now();
    client.send(&request.bytes());
    is_202(&client.receive(), &request);
    begin
}

/// Issue 11: five members in domains whose name server is silent hold up nobody else, by one message or by many.
pub fn a_silent_name_server_holds_up_only_its_own_members(transport: Transport) {
    let server = NameServer::start();
    server.knows("near.test", LOOPBACK, 60);
    server.is_silent_about("silent.test");
    let (setup, trap) = Trap::set(direct(transport, &server));
    let near = at(&setup, "dan", "near.test");
    let five: Vec<String> = (0..5).map(|n| format!("sip:m@d{n}.silent.test")).collect();
    let mut five: Vec<&str> = five.iter().map(String::as_str).collect();
    five.push(ANN);
    let rig = setup
        .group(NEAR, &[BOB, &near])
        .group("sip:five@im.home1.net", &five)
        .start();
    let mut client = rig.client();
    sends(&mut client, "sip:five@im.home1.net");
    let mut times = others(&rig, 11);
    for _ in 0..9 {
        times.add(others(&rig, 11));
    }
    times.are_short("five members in silent domains");
    rig.wait_for_gauge("names_asked", 5);
    assert_eq!(rig.counter("forks_refused"), 0);
    trap.was_not_asked();
}

/// Issue 11: eight messages, each to a hundred members in silent domains of its own, stop nobody else.
pub fn eight_hundred_silent_domains_hold_up_nobody_else(transport: Transport) {
    let server = NameServer::start();
    server.knows("near.test", LOOPBACK, 60);
    server.is_silent_about("silent.test");
    let (setup, trap) = Trap::set(direct(transport, &server));
    let near = at(&setup, "dan", "near.test");
    let mut setup = setup.group(NEAR, &[BOB, &near]);
    for group in 0..8 {
        let members: Vec<String> = (0..100)
            .map(|n| format!("sip:m@d{n}.g{group}.silent.test"))
            .collect();
        let members = members.iter().map(String::as_str).chain([ANN]);
        let members: Vec<&str> = members.collect();
        setup = setup.group(&format!("sip:g{group}@im.home1.net"), &members);
    }
    let rig = setup.start();
    let mut client = rig.client();
    for group in 0..8 {
        sends(&mut client, &format!("sip:g{group}@im.home1.net"));
    }
    let mut times = others(&rig, 11);
    for _ in 0..19 {
        times.add(others(&rig, 11));
    }
    times.are_short("eight messages to a hundred silent domains each");
    trap.was_not_asked();
}

/// Issue 11: what fails to resolve is tried again, and the copy is delivered once there is an answer.
pub fn a_name_is_asked_again_until_there_is_an_answer(transport: Transport) {
    let server = NameServer::start();
    server.is_silent_about("late.test");
    let setup = direct(transport, &server);
    let late = at(&setup, "dan", "late.test");
    let lost = at(&setup, "eve", "lost.test");
    let rig = setup.group(NEAR, &[ANN, &late, &lost]).start();
    let mut client = rig.client();
    sends(&mut client, NEAR);
    rig.wait_for_log("lost.test cannot be resolved: the name servers know no address of it");
    assert_eq!(rig.core.count(), 0);
    server.knows("late.test", LOOPBACK, 60);
    server.knows("lost.test", LOOPBACK, 60);
    server.is_silent_no_more();
    until(|| (rig.core.count() == 2).then_some(())).expect("both copies");
    rig.wait_for_counter("forks_delivered", 2);
    rig.wait_for_gauge("waiting_for_names", 0);
}

/// Issue 11: a name that nobody knows for `queue_lifetime` makes its member unreachable, and the log says why.
pub fn a_member_whose_name_nobody_knows_is_unreachable(transport: Transport) {
    let server = NameServer::start();
    let rig = direct(transport, &server)
        .number("QUEUE_LIFETIME", 2)
        .group(NEAR, &[ANN, "sip:bob@nowhere.test"])
        .start();
    let mut client = rig.client();
    let begin = sends(&mut client, NEAR);
    rig.wait_for_log("no name server knows its next hop (478)");
    assert!(
        begin.elapsed() >= Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    rig.wait_for_log("unreachable=1");
    assert_eq!(rig.counter("forks_failed"), 1);
    assert_eq!(rig.counter("forks_refused"), 0);
    assert!(rig.counter("names_failed") >= 2);
    assert_eq!(rig.core.count(), 0);
}

/// RFC 3263 §4.2: without a port the services of a name say which server and port it is, the best first.
pub fn a_name_without_port_leads_to_its_services(transport: Transport) {
    let server = NameServer::start();
    let setup = direct(transport, &server);
    let service = format!("_sip._{}.home.test", transport.in_uri());
    server.has_service(&service, 20, 9, "second.test");
    server.has_service(&service, 10, setup.core_port(), "first.test");
    server.knows("first.test", LOOPBACK, 60);
    server.knows("second.test", LOOPBACK, 60);
    let dan = format!("sip:dan@home.test;transport={}", transport.in_uri());
    let rig = setup.group(NEAR, &[ANN, &dan]).start();
    let mut client = rig.client();
    sends(&mut client, NEAR);
    rig.wait_for_counter("forks_delivered", 1);
    // The Request-URI is the member's address still.
    assert_eq!(rig.core.forks()[0].message.request_uri(), dan);
}

/// Issue 11: a core whose name server goes silent after its first answer gets all copies all the same.
pub fn a_core_whose_name_server_goes_silent_is_sent_to(transport: Transport) {
    let server = NameServer::start();
    server.knows("core.test", LOOPBACK, 1);
    let setup = Setup::new(transport);
    let core = format!(
        "sip:core.test:{};transport={}",
        setup.core_port(),
        transport.in_uri()
    );
    let setup = setup
        .text("CORE_ROUTE", &core)
        .number("CHILDREN", 4)
        .number("TCP_CHILDREN", 4)
        .text("NAME_SERVERS", &server.address.to_string())
        .group(NEAR, &[BOB, "sip:dan@home1.net"]);
    let (setup, trap) = Trap::set(setup);
    let rig = setup.start();
    let mut times = others(&rig, 1);
    assert_eq!(
        rig.core.forks()[0].message.one("Route"),
        format!("<{core};lr>")
    );
    server.is_silent_about("test");
    // It is asked anew eight seconds after the answer at the earliest, and ten are the shortest time.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(12) {
        times.add(others(&rig, 11));
        std::thread::sleep(Duration::from_millis(200));
    }
    times.are_short("a core whose name server is silent");
    assert!(server.asked("core.test") > 2, "it was not asked anew");
    assert!(begin.elapsed() < PATIENCE);
    trap.was_not_asked();
}

/// RFC 3263 §4.3: after an address of the core gave no answer, copies go to the next one of the same name.
pub fn a_core_that_is_silent_at_one_address_is_sent_to_at_another(transport: Transport) {
    let server = NameServer::start();
    server.knows("core.test", Ipv4Addr::new(127, 0, 0, 9), 60);
    server.knows("core.test", LOOPBACK, 60);
    let setup = Setup::new(transport);
    let core = format!(
        "sip:core.test:{};transport={}",
        setup.core_port(),
        transport.in_uri()
    );
    let rig = setup
        .text("CORE_ROUTE", &core)
        .text("NAME_SERVERS", &server.address.to_string())
        .number("TM_FR_TIMER", 1000)
        .group(NEAR, &[ANN, "sip:dan@home1.net"])
        .start();
    let mut client = rig.client();
    sends(&mut client, NEAR);
    rig.wait_for_counter("forks_failed", 1);
    assert_eq!(rig.core.count(), 0);
    sends(&mut client, NEAR);
    rig.wait_for_counter("forks_delivered", 1);
}
