//! Connections that nobody uses: the samples bound their number by what the memory holds. S-5.

use crate::checks::{accepted, sent};
use crate::support::client::{Client, TRUSTED, Transport, UNTRUSTED};
use crate::support::flow::Request;
use crate::support::proxy::proxy;
use crate::support::rig::{BOB, Setup, TEL, until};
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::path::Path;

/// What a connection takes: its buffer of 64 KiB (`tcp_rd_buf_size`), and the rest.
const EACH: usize = 66 << 10;
/// What both proxies' packages give unless told.
const SHARED_MEMORY_MIB: u32 = 64;
/// How many more than there may be.
const TOO_MANY: usize = 60;

/// The bound that a sample sets.
fn bound_of(text: &str) -> Option<usize> {
    let starts = ["#!trydef TCP_CONNECTIONS ", "tcp_max_connections="];
    let value = |line: &str| {
        let value = starts.iter().find_map(|start| line.strip_prefix(start))?;
        value.parse().ok()
    };
    text.lines().find_map(value)
}

/// Each whole configuration of both proxies: a quarter of the memory holds its connections.
pub fn every_sample_bounds_connections_by_what_the_memory_holds(_: Transport) {
    let mut samples = 0;
    for folder in ["kamailio-config", "opensips-config"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for file in std::fs::read_dir(&path).expect("the samples") {
            let path = file.expect("a sample").path();
            if path.is_dir() {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a sample");
            let starts = ["listen=LISTEN_TCP", "socket=tcp:"];
            if !text
                .lines()
                .any(|line| starts.iter().any(|start| line.starts_with(start)))
            {
                continue;
            }
            samples += 1;
            let name = path.display();
            let bound = bound_of(&text).unwrap_or_else(|| panic!("{name} bounds no connections"));
            assert!(text.contains("\ntcp_max_connections="), "{name}");
            assert!(
                bound * EACH <= (SHARED_MEMORY_MIB as usize) << 18,
                "{name}: {bound}"
            );
            assert!(bound >= 100, "{name}: {bound}");
        }
    }
    assert!(samples >= 7, "{samples} samples listen on TCP");
}

/// Whether the other side has closed it.
fn is_closed(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// As many idle connections as there may be, and more: who is connected already, and who comes by UDP, is served.
pub fn idle_connections_stop_nobody(transport: Transport) {
    let sample = proxy().samples().join(proxy().small_sample());
    let text = std::fs::read_to_string(sample).expect("the sample");
    let bound = bound_of(&text).expect("a bound");
    let rig = Setup::new(transport)
        .memory(&["-m", &SHARED_MEMORY_MIB.to_string()])
        .start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let mut connected = Client::new(Transport::Tcp, TRUSTED, rig.address).expect("a connection");
    let request = Request::another(&connected);
    sent(&rig, &mut connected, &request, 2);

    let idle: Vec<TcpStream> = (0..bound + TOO_MANY)
        .filter_map(|_| {
            let stream = TcpStream::connect(rig.address).ok()?;
            stream.set_nonblocking(true).ok()?;
            Some(stream)
        })
        .collect();
    let refused = until(|| {
        let closed = idle.iter().filter(|stream| is_closed(stream)).count();
        (closed + bound + TOO_MANY - idle.len() >= TOO_MANY).then_some(closed)
    });
    assert!(
        refused.is_some(),
        "all of {} connections stand, and {bound} may be",
        idle.len()
    );
    for _ in 0..20 {
        let request = Request::another(&connected);
        sent(&rig, &mut connected, &request, 2);
        let mut by_udp = Client::new(Transport::Udp, TRUSTED, rig.address).expect("a socket");
        let request = Request::another(&by_udp);
        sent(&rig, &mut by_udp, &request, 2);
    }
    // Strangers hear why they are nobody, as ever.
    let mut stranger = Client::new(Transport::Udp, UNTRUSTED, rig.address).expect("a socket");
    let request = Request::another(&stranger);
    crate::checks::refused(&rig, &mut stranger, &request, 403);
    drop(idle);
}
