//! Sends each message when it is due, and takes the time until its answer. It never retransmits.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// One message to be sent.
#[derive(Clone, Debug)]
pub struct Shot {
    /// When, after the start.
    pub due: Duration,
    pub group: String,
    pub members: usize,
}

impl Shot {
    pub fn at_once(group: &str, members: usize) -> Self {
        Self {
            due: Duration::ZERO,
            group: group.to_owned(),
            members,
        }
    }
}

pub struct Sender {
    socket: UdpSocket,
    port: u16,
    batches: u64,
}

impl Sender {
    pub fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port for the sender");
        let port = socket.local_addr().expect("an address").port();
        Self {
            socket,
            port,
            // Call-IDs differ from those of other runs.
            batches: u64::from(std::process::id()) << 32,
        }
    }

    /// Sends what is due when; gives code and time of each answer, in the order of the messages.
    pub fn send(&mut self, to: SocketAddr, shots: &[Shot]) -> Vec<Option<(u16, Duration)>> {
        self.batches += 1;
        let start = Instant::now();
        let mut sent = Vec::with_capacity(shots.len());
        let mut answers = vec![None; shots.len()];
        let mut open = shots.len();
        let mut buffer = vec![0; 65536];
        while open > 0 {
            let wait = match shots.get(sent.len()) {
                Some(shot) if shot.due <= start.elapsed() => {
                    let message = self.message(&shot.group, sent.len());
                    sent.push(Instant::now());
                    self.socket
                        .send_to(message.as_bytes(), to)
                        .expect("a proxy to send to");
                    continue;
                }
                Some(shot) => shot.due.saturating_sub(start.elapsed()),
                None if sent.last().is_some_and(|last| last.elapsed() > PATIENCE) => break,
                None => PATIENCE,
            };
            let wait = wait.max(Duration::from_micros(100));
            self.socket.set_read_timeout(Some(wait)).expect("a timeout");
            let Ok(length) = self.socket.recv(&mut buffer) else {
                continue;
            };
            let now = Instant::now();
            let Some((code, number)) = self.read(&buffer[..length]) else {
                continue;
            };
            if answers[number].is_none() {
                answers[number] = Some((code, now - sent[number]));
                open -= 1;
            }
        }
        answers
    }

    /// The code and the number of the message of an answer to this batch.
    fn read(&self, answer: &[u8]) -> Option<(u16, usize)> {
        let text = String::from_utf8_lossy(answer);
        let (_, id) = text.split_once(&format!("Call-ID: {:x}-", self.batches))?;
        let number = id.split("\r\n").next()?.parse().ok()?;
        let code = text.split(' ').nth(1)?.parse().ok()?;
        (code >= 200).then_some((code, number))
    }

    /// Flow 1, but over UDP and from here.
    fn message(&self, group: &str, number: usize) -> String {
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
}
