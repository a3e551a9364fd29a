//! Flow 1 for people to watch: plays the sender, the SIP core and the members, shows every message, and checks
//! the 202 and the forks against the flow. The demo.sh of each proxy runs it.
//!
//!     flow_one ports                       prints two free ports: for the proxy, for the core
//!     flow_one PROXY-PORT CORE-PORT PID    runs flow 1 through the proxy with that process id
//!
//! and for `packaging/try.sh`, which stops the proxy in between:
//!
//!     flow_one promise PROXY-PORT CORE-PORT          sends a message, and leaves its copies unanswered
//!     flow_one receive CORE-PORT COUNT               takes and answers so many copies
//!     flow_one deliver PROXY-PORT CORE-PORT COUNT    sends a message, takes and answers so many copies

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[allow(dead_code)]
#[path = "../tests/support/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "../tests/support/core.rs"]
mod core;
#[allow(dead_code)]
#[path = "../tests/support/flow.rs"]
mod flow;
#[allow(dead_code)]
#[path = "../tests/support/sip.rs"]
mod sip;

use crate::client::{Client, TRUSTED, Transport};
use crate::core::Core;
use crate::flow::{Request, compare_fork, file, options, unique};
use crate::sip::Message;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Where Ann's messages come from, as demo.sh of each proxy has it: the core's address, and none of the proxy's own.
const TRUSTED_PEER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["ports"] => print_ports(),
        ["promise", proxy, core] => promise(proxy, core),
        ["receive", core, count] => start_core(core).and_then(|core| take(&core, count)),
        ["deliver", proxy, core, count] => deliver(proxy, core, count),
        [proxy, core, pid] => run(proxy, core, pid),
        _ => Err("expected other arguments; the head of demo/main.rs has them".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("flow_one: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Below the range that the system hands out to outgoing connections.
fn print_ports() -> Result<(), String> {
    let mut free = Vec::new();
    for _ in 0..1000 {
        let mut random = [0; 2];
        getrandom::fill(&mut random).map_err(|error| error.to_string())?;
        let port = 10_000 + u16::from_ne_bytes(random) % 20_000;
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        if let (Ok(udp), Ok(tcp)) = (udp, tcp) {
            free.push((port, udp, tcp));
        }
        if let [(first, ..), (second, ..)] = &free[..] {
            println!("{first} {second}");
            return Ok(());
        }
    }
    Err("no two ports of 127.0.0.1 are free".to_owned())
}

fn run(proxy: &str, core: &str, pid: &str) -> Result<(), String> {
    let members = start_core(core)?;
    let (proxy, core) = (on_loopback(port(proxy)?), port(core)?);
    wait_until_ready(proxy, pid)?;

    let mut sender = Client::new(Transport::Tcp, TRUSTED_PEER, proxy)
        .map_err(|error| format!("connecting to the proxy: {error}"))?;
    let request = Request::b0(&sender);
    show(
        "Ann sends to the group",
        &String::from_utf8_lossy(&request.bytes()),
    );
    sender.send(&request.bytes());

    let response = sender
        .receive_within(PATIENCE)
        .ok_or("no answer to Ann's message")?;
    show("Ann receives", &response.to_string());
    check_answer(&response)?;

    let expected =
        ["1-F3-fork-bob.sip", "1-F4-fork-tel.sip"].map(|name| (name, Message::read(&file(name))));
    let route = format!("<sip:127.0.0.1:{core};transport=tcp;lr>");
    for count in 0..expected.len() {
        let fork = members
            .next_after(count, PATIENCE)
            .ok_or(format!("only {count} of {} forks came", expected.len()))?;
        let uri = fork.message.request_uri().to_owned();
        show(&format!("{uri} receives"), &fork.message.to_string());
    }
    // Nothing more may come, neither to Ann nor to the members.
    sender.fence();
    let forks = members.forks();
    if forks.len() != expected.len() {
        return Err(format!(
            "expected {} forks, found {}",
            expected.len(),
            forks.len()
        ));
    }
    for (name, expected) in expected {
        let expected = expected.map_err(|error| format!("{name}: {error}"))?;
        let fork = forks
            .iter()
            .find(|fork| fork.message.start == expected.start);
        let fork = fork.ok_or(format!("{name}: nobody received `{}`", expected.start))?;
        compare_fork(&fork.message, &expected, &route)
            .map_err(|difference| format!("{name}: {difference}"))?;
        println!(
            "checked: {} is {name}, header by header and the body byte by byte",
            expected.request_uri()
        );
    }
    println!("checked: nobody else received anything, and Ann had one answer");
    Ok(())
}

fn port(text: &str) -> Result<u16, String> {
    let number = text.parse();
    number.map_err(|_| format!("expected a port, found `{text}`"))
}

fn on_loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// The core takes the connection of the copies, and says nothing.
fn promise(proxy: &str, core: &str) -> Result<(), String> {
    let silent = TcpListener::bind(on_loopback(port(core)?));
    let silent = silent.map_err(|error| format!("the core's port {core}: {error}"))?;
    send_another(proxy)?;
    // Until then a copy might not have been sent at all.
    silent.accept().map_err(|error| error.to_string())?;
    Ok(())
}

fn deliver(proxy: &str, core: &str, count: &str) -> Result<(), String> {
    let members = start_core(core)?;
    send_another(proxy)?;
    take(&members, count)
}

fn send_another(proxy: &str) -> Result<(), String> {
    let mut sender = Client::new(Transport::Tcp, TRUSTED_PEER, on_loopback(port(proxy)?))
        .map_err(|error| format!("connecting to the proxy: {error}"))?;
    sender.send(&Request::another(&sender).bytes());
    let response = sender.receive_within(PATIENCE);
    match response.ok_or("no answer to Ann's message")? {
        response if response.status() == 202 => Ok(()),
        response => Err(format!("expected a 202, found `{}`", response.start)),
    }
}

fn start_core(core: &str) -> Result<Core, String> {
    let started = Core::start_at(port(core)?);
    started.map_err(|error| format!("the core's port {core}: {error}"))
}

fn take(members: &Core, count: &str) -> Result<(), String> {
    let count: usize = count
        .parse()
        .map_err(|_| format!("expected a number, found `{count}`"))?;
    for taken in 0..count {
        let fork = members
            .next_after(taken, PATIENCE)
            .ok_or(format!("only {taken} of {count} forks came"))?;
        println!("{} receives", fork.message.request_uri());
    }
    Ok(())
}

fn check_answer(response: &Message) -> Result<(), String> {
    let expected =
        Message::read(&file("1-F2-202.sip")).map_err(|error| format!("1-F2-202.sip: {error}"))?;
    let mut same = vec![(
        "status line",
        response.start.as_str(),
        expected.start.as_str(),
    )];
    for name in [
        "From",
        "Call-ID",
        "CSeq",
        "P-Charging-Vector",
        "Content-Length",
    ] {
        same.push((name, response.one(name), expected.one(name)));
    }
    if let Some((what, found, wanted)) = same.into_iter().find(|(_, found, wanted)| found != wanted)
    {
        return Err(format!(
            "1-F2-202.sip: {what}: expected `{wanted}`, found `{found}`"
        ));
    }
    if response.tag("To").is_none()
        || response.has("Contact")
        || response.has("Record-Route")
        || !response.body.is_empty()
    {
        return Err(
            "1-F2-202.sip: expected a To tag, and neither Contact, Record-Route nor body"
                .to_owned(),
        );
    }
    println!("checked: the answer is 1-F2-202.sip but for identifiers");
    Ok(())
}

/// Asks by OPTIONS until the proxy answers and listens on TCP as well, which OpenSIPS does later; or has ended.
fn wait_until_ready(proxy: SocketAddr, pid: &str) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if !Path::new("/proc").join(pid).exists() {
            return Err("the proxy has ended".to_owned());
        }
        let mut probe =
            Client::new(Transport::Udp, TRUSTED, proxy).map_err(|error| error.to_string())?;
        let sent = probe.try_send(options(&probe, &unique()).as_bytes());
        if sent.is_ok()
            && probe
                .receive_within(Duration::from_millis(100))
                .is_some_and(|response| response.status() == 200)
            && TcpStream::connect(proxy).is_ok()
        {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(format!(
        "the proxy does not answer OPTIONS and listen on TCP within {PATIENCE:?}"
    ))
}

fn show(what: &str, message: &str) {
    println!("\n--- {what}\n");
    for line in message.lines() {
        println!("    {line}");
    }
    println!();
}
