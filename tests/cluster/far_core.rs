//! A core that is far away: it answers each MESSAGE once the round trip is over. The delay is its own, so that it needs no
//! rights and no network of its own, takes no processor, and no socket is full of packets on their way.

use crate::support::core::{Answer, grow_receive_buffer, respond};
use crate::support::sip::Message;
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a waiting thread looks whether it should stop.
const LOOK: Duration = Duration::from_millis(50);

/// An answer on its way.
struct Late {
    due: Instant,
    to: SocketAddr,
    text: String,
}

#[derive(Default)]
struct Shared {
    /// In microseconds.
    round_trip: AtomicU64,
    count: AtomicUsize,
    repeats: AtomicUsize,
    stop: AtomicBool,
}

/// The core. It stops when it is dropped.
pub struct FarCore {
    port: u16,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl FarCore {
    pub fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        grow_receive_buffer(&socket);
        let port = socket.local_addr().expect("an address").port();
        let answering = socket.try_clone().expect("a second handle");
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let (late, due) = channel();
        let threads = vec![
            std::thread::spawn(move || receive(&socket, &of_thread, &late)),
            std::thread::spawn(move || answer(&answering, &due)),
        ];
        Self {
            port,
            shared,
            threads,
        }
    }

    /// The core as a SIP URI.
    pub fn uri(&self) -> String {
        format!("sip:127.0.0.1:{};transport=udp", self.port)
    }

    /// From now on answers take as long as this. Nothing may be on its way.
    pub fn move_away(&self, round_trip: Duration) {
        let time = round_trip.as_micros().try_into().expect("a short time");
        self.shared.round_trip.store(time, Relaxed);
    }

    /// How many MESSAGEs have come, without retransmissions.
    pub fn count(&self) -> usize {
        self.shared.count.load(Relaxed)
    }

    /// How many retransmissions have come.
    pub fn repeats(&self) -> usize {
        self.shared.repeats.load(Relaxed)
    }
}

impl Drop for FarCore {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

fn receive(socket: &UdpSocket, shared: &Shared, late: &Sender<Late>) {
    socket.set_read_timeout(Some(LOOK)).expect("a read timeout");
    let mut seen = HashSet::new();
    let mut buffer = vec![0; 65536];
    while !shared.stop.load(Relaxed) {
        // A timeout is the moment to look whether to stop.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let arrival = Instant::now();
        let message = Message::read(&buffer[..length]).expect("a SIP message");
        let is_new = seen.insert(message.branch().to_owned());
        let counter = if is_new {
            &shared.count
        } else {
            &shared.repeats
        };
        counter.fetch_add(1, Relaxed);
        let round_trip = Duration::from_micros(shared.round_trip.load(Relaxed));
        let answer = Late {
            due: arrival + round_trip,
            to: from,
            text: respond(&message, &Answer::Code(200)).expect("an answer"),
        };
        late.send(answer).expect("somebody who answers");
    }
}

/// Sends answers when they are due, until nobody has more. They are due in the order in which they come.
fn answer(socket: &UdpSocket, due: &Receiver<Late>) {
    for answer in due {
        let left = answer.due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            std::thread::sleep(left);
        }
        // The proxy may be gone already; its measurement will notice.
        let _ = socket.send_to(answer.text.as_bytes(), answer.to);
    }
}
