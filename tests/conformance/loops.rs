//! Messages that come back from other servers (H-5).

use crate::checks::{accepted, refused};
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::rig::{ANN, BOB, Rig, Setup, TEL, until};
use crate::support::sip::Message;
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// H-5, T 87: the other server sends a new request with the same content, and fewer hops left.
pub fn t87_a_message_that_comes_back_is_refused(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let first = Request::another(&client);
    let (_, forks) = accepted(&rig, &mut client, &first, &[BOB, TEL]);
    let fork = &forks[0].message;
    let back = Request::another(&client)
        .set("From", fork.one("From"))
        .set("Max-Forwards", fork.one("Max-Forwards"));
    refused(&rig, &mut client, &back, 482);
    // The same said once more is no loop, nor is something else.
    let again = Request::another(&client);
    accepted(&rig, &mut client, &again, &[BOB, TEL]);
    let mut other = Request::another(&client)
        .set("Max-Forwards", "60")
        .set("Content-Length", "2");
    other.body = b"ok".to_vec();
    accepted(&rig, &mut client, &other, &[BOB, TEL]);
}

/// H-5: where it is switched off, it is not done.
pub fn without_the_setting_messages_may_come_back(transport: Transport) {
    let rig = Setup::new(transport).number("LOOP_CACHE", 0).start();
    let mut client = rig.client();
    for hops in ["68", "67"] {
        let request = Request::another(&client).set("Max-Forwards", hops);
        accepted(&rig, &mut client, &request, &[BOB, TEL]);
    }
}

/// H-5, T 87: two groups on each of two servers, with those of the other server for members, with what the samples
/// set. Each group is reached once by each group of the other server, and no copy goes on in a circle.
pub fn groups_of_two_servers_that_contain_each_other_make_few_copies(transport: Transport) {
    let (relay_a, relay_b) = (Relay::start(), Relay::start());
    let server = |own: &str, other: &str, relay: &Relay| {
        let [one, two] = ["one", "two"].map(|user| format!("sip:{user}@{other}"));
        let members = [ANN, one.as_str(), two.as_str()];
        Setup::new(transport)
            .text("DOMAINS", own)
            .text("SERVER_NAME", own)
            .text(
                "CORE_ROUTE",
                &format!("sip:{};transport=udp", relay.address),
            )
            .number("TRUSTED_NEXT_HOP", 1)
            .group(&format!("sip:one@{own}"), &members)
            .group(&format!("sip:two@{own}"), &members)
            .start()
    };
    let a = server("a.net", "b.net", &relay_a);
    let b = server("b.net", "a.net", &relay_b);
    relay_a.between(&a, &b);
    relay_b.between(&b, &a);
    let mut client = a.client();
    let request = Request::another(&client).group("sip:one@a.net");
    client.send(&request.bytes());
    crate::checks::is_202(&client.receive(), &request);
    let copies = || relay_a.copies() + relay_b.copies();
    let sum = |name: &str| a.counter(name) + b.counter(name);
    let all = until(|| {
        let (accepted, answered) = (sum("accepted"), sum("accepted") + sum("refused"));
        let copies = copies();
        assert!(copies <= MOST_COPIES, "a circle: {copies} copies");
        // Each accepted message makes two copies, and each of those was answered, as the first message was.
        let is_over = copies as u64 == 2 * accepted && answered == copies as u64 + 1;
        is_over.then_some(copies)
    });
    let all = all.expect("an end");
    assert!((4..=MOST_COPIES).contains(&all), "{all} copies");
    assert!(a.counter("refused") > 0, "nothing came back");
}

/// One message to one of the four groups: two copies from it, two from each of the other server's groups, and two
/// for each time that the second group here is reached, by each of those on the same number of hops.
const MOST_COPIES: usize = 10;

/// Carries what one proxy sends to its next hop to another proxy, and notes each request once.
struct Relay {
    address: SocketAddr,
    shared: Arc<Carried>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Carried {
    ends: Mutex<Option<[SocketAddr; 2]>>,
    branches: Mutex<HashSet<String>>,
    is_over: AtomicBool,
}

impl Relay {
    fn start() -> Relay {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = socket.local_addr().expect("an address");
        let shared = Arc::new(Carried::default());
        let carried = Arc::clone(&shared);
        let thread = std::thread::spawn(move || carried.carry(&socket));
        Relay {
            address,
            shared,
            thread: Some(thread),
        }
    }

    fn between(&self, near: &Rig, far: &Rig) {
        let mut ends = self.shared.ends.lock().expect("the ends");
        *ends = Some([near.address, far.address]);
    }

    fn copies(&self) -> usize {
        self.shared.branches.lock().expect("the branches").len()
    }
}

impl Carried {
    fn carry(&self, socket: &UdpSocket) {
        let patience = Some(Duration::from_millis(50));
        socket.set_read_timeout(patience).expect("a timeout");
        let mut buffer = [0; 65535];
        while !self.is_over.load(Ordering::Relaxed) {
            let Ok(length) = socket.recv(&mut buffer) else {
                continue;
            };
            let bytes = &buffer[..length];
            let Some([near, far]) = *self.ends.lock().expect("the ends") else {
                continue;
            };
            let is_answer = bytes.starts_with(b"SIP/2.0");
            if !is_answer && let Ok(message) = Message::read(bytes) {
                let branch = message.branch().to_owned();
                self.branches.lock().expect("the branches").insert(branch);
            }
            // A proxy that has ended takes nothing more.
            let _ = socket.send_to(bytes, if is_answer { near } else { far });
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
