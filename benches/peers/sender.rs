//! Sends messages to the groups of one size, so many a second or so many recipients at a time, and takes the
//! time until each has its final answer. It never retransmits: what is lost stays lost and is counted.

use crate::contender::group;
use crate::receiver::{Receiver, grow_receive_buffer};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long to wait for forks where nothing moves any more: longer than tm's longest retransmission interval.
pub const STANDSTILL: Duration = Duration::from_secs(5);
/// By how much shorter that is where only answers to messages are missing, which nobody retransmits.
const ANSWERS_SOONER: u32 = 5;

/// When the next message goes out.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// As soon as no more than this many recipients, and the message's own, are under way.
    Outstanding(usize),
    /// So many messages a second, whatever comes back.
    Rate(f64),
}

/// Messages to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    pub size: usize,
    pub groups: usize,
    pub messages: usize,
    pub pace: Pace,
    /// After how long without any progress the rest is given up.
    pub standstill: Duration,
}

/// What became of a batch.
pub struct Outcome {
    pub begin: Instant,
    pub accepted: usize,
    pub refused: usize,
    /// From a message to its 2xx, ascending.
    pub latencies: Vec<Duration>,
}

/// The answers to one batch, by the number of the message.
struct Answers {
    begin: Instant,
    sent: Vec<AtomicU64>,
    /// 0 is none yet.
    latency: Vec<AtomicU64>,
    accepted: AtomicUsize,
    refused: AtomicUsize,
    /// Recipients that are waited for no more.
    given_up: AtomicUsize,
    stop: AtomicBool,
}

/// The sender.
pub struct Sender {
    socket: UdpSocket,
    port: u16,
    batches: u64,
}

impl Sender {
    pub fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port for the sender");
        grow_receive_buffer(&socket);
        let look = Duration::from_millis(20);
        socket.set_read_timeout(Some(look)).expect("a read timeout");
        let port = socket.local_addr().expect("an address").port();
        Self {
            socket,
            port,
            // Call-IDs differ from those of other runs.
            batches: u64::from(std::process::id()) << 32,
        }
    }

    /// Sends a batch and waits until every recipient of what was accepted has it, or nothing moves any more.
    pub fn send(&mut self, to: SocketAddr, batch: &Batch, receiver: &Receiver) -> Outcome {
        self.batches += 1;
        let messages = || (0..batch.messages).map(|_| AtomicU64::new(0)).collect();
        let answers = Answers {
            begin: Instant::now(),
            sent: messages(),
            latency: messages(),
            accepted: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            scope.spawn(|| self.take_answers(&answers));
            for number in 0..batch.messages {
                match batch.pace {
                    Pace::Rate(rate) => {
                        let due = Duration::from_secs_f64(number as f64 / rate);
                        std::thread::sleep(due.saturating_sub(answers.begin.elapsed()));
                    }
                    Pace::Outstanding(limit) => {
                        answers.wait(number, limit, batch, receiver);
                    }
                }
                let message = self.message(batch, number);
                answers.sent[number].store(answers.now(), Relaxed);
                self.socket
                    .send_to(message.as_bytes(), to)
                    .expect("a proxy to send to");
            }
            answers.wait(batch.messages, 0, batch, receiver);
            answers.stop.store(true, Relaxed);
        });
        let latencies = answers.latency.iter().map(|latency| latency.load(Relaxed));
        let mut latencies: Vec<_> = latencies
            .filter(|&latency| latency > 0)
            .map(Duration::from_nanos)
            .collect();
        latencies.sort_unstable();
        Outcome {
            begin: answers.begin,
            accepted: answers.accepted.load(Relaxed),
            refused: answers.refused.load(Relaxed),
            latencies,
        }
    }

    /// Sends a batch at once and does not wait for anything.
    pub fn start(&mut self, to: SocketAddr, batch: &Batch) {
        self.batches += 1;
        for number in 0..batch.messages {
            let message = self.message(batch, number);
            self.socket
                .send_to(message.as_bytes(), to)
                .expect("a proxy to send to");
        }
    }

    /// Flow 1, but over UDP and from here.
    fn message(&self, batch: &Batch, number: usize) -> String {
        let group = group(batch.size, number % batch.groups);
        let (port, id) = (self.port, self.batches);
        let body = "Trail closed. Meet at the gate.";
        let length = body.len();
        format!(
            "MESSAGE sip:{group}@im.home1.net SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-{id:x}-{number}\r\n\
             Max-Forwards: 68\r\n\
             From: \"Ann\" <sip:ann@home1.net>;tag=9f2c\r\n\
             To: <sip:{group}@im.home1.net>\r\n\
             Call-ID: {id:x}-{number}\r\n\
             CSeq: 41 MESSAGE\r\n\
             P-Asserted-Identity: \"Ann\" <sip:ann@home1.net>, <tel:+15551230001>\r\n\
             P-Charging-Vector: icid-value=\"pcscf1-0f3a-41\";orig-ioi=home1.net\r\n\
             Accept-Contact: *;+g.oma.sip-im\r\n\
             Content-Type: text/plain;charset=UTF-8\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    fn take_answers(&self, answers: &Answers) {
        let call_id = format!("Call-ID: {:x}-", self.batches);
        let mut buffer = vec![0; 65536];
        while !answers.stop.load(Relaxed) {
            let Ok(length) = self.socket.recv(&mut buffer) else {
                continue;
            };
            let text = String::from_utf8_lossy(&buffer[..length]);
            // An answer to an earlier batch comes too late.
            let Some((_, id)) = text.split_once(&call_id) else {
                continue;
            };
            let code = text.split(' ').nth(1).and_then(|code| code.parse().ok());
            let code: u16 = code.expect("a status code");
            let number = id
                .split("\r\n")
                .next()
                .and_then(|number| number.parse().ok());
            let number: usize = number.expect("the number of a message");
            if code >= 200 {
                answers.take(number, code < 300);
            }
        }
    }
}

impl Answers {
    fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_nanos()).expect("less than centuries")
    }

    fn take(&self, number: usize, accepted: bool) {
        let latency = self.now() - self.sent[number].load(Relaxed);
        if self.latency[number].swap(latency.max(1), Relaxed) > 0 {
            return;
        }
        if accepted {
            self.accepted.fetch_add(1, Relaxed);
        } else {
            self.latency[number].store(0, Relaxed);
            self.refused.fetch_add(1, Relaxed);
        }
    }

    /// Recipients under way when so many messages have been sent; an answer that is missing counts too.
    fn under_way(&self, sent: usize, batch: &Batch, receiver: &Receiver) -> usize {
        let refused = self.refused.load(Relaxed);
        let unanswered = sent.saturating_sub(self.accepted.load(Relaxed) + refused);
        let expected = sent.saturating_sub(refused) * batch.size;
        let received = usize::try_from(receiver.received()).expect("a count");
        expected.saturating_sub(received).max(unanswered)
    }

    /// How long something may still move.
    fn patience(&self, batch: &Batch, receiver: &Receiver) -> Duration {
        let accepted = (self.accepted.load(Relaxed) * batch.size) as u64;
        match receiver.received() < accepted {
            true => batch.standstill,
            false => batch.standstill / ANSWERS_SOONER,
        }
    }

    /// Waits until no more than `limit` recipients are under way. Those with whom nothing moves any more are
    /// given up.
    fn wait(&self, sent: usize, limit: usize, batch: &Batch, receiver: &Receiver) {
        let progress = || {
            let answered = self.accepted.load(Relaxed) + self.refused.load(Relaxed);
            (answered, receiver.received())
        };
        let (mut last, mut moved) = (progress(), Instant::now());
        loop {
            let under_way = self.under_way(sent, batch, receiver);
            if under_way.saturating_sub(self.given_up.load(Relaxed)) <= limit {
                return;
            }
            std::thread::sleep(Duration::from_micros(50));
            let now = progress();
            if now != last {
                (last, moved) = (now, Instant::now());
            } else if moved.elapsed() > self.patience(batch, receiver) {
                self.given_up.store(under_way, Relaxed);
            }
        }
    }
}
