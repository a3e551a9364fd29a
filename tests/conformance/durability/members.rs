//! Members that remember each copy by what identifies a retransmission: Call-ID, From tag, CSeq.

use crate::support::sip::Message;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a slow member takes.
const SLOW: Duration = Duration::from_millis(300);
/// How often late answers are looked for.
const LOOK: Duration = Duration::from_millis(10);

/// What came for one member of one message.
#[derive(Clone, Debug, Default)]
struct Copies {
    identity: [String; 3],
    branches: Vec<String>,
    /// Whether one of them was answered 200.
    has_it: bool,
}

#[derive(Default)]
struct Notes {
    /// By text of the message and address of the member.
    copies: HashMap<(String, String), Copies>,
    faults: Vec<String>,
    /// How many copies were answered 482, as the member had one.
    repeated: usize,
}

/// What all came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Members that got a message.
    pub recipients: usize,
    /// Copies beyond the first.
    pub again: usize,
    /// Of these, how many were answered 482.
    pub repeated: usize,
}

/// All members of all groups, at one UDP port. One whose name starts with "silent" never answers, one with
/// "slow" answers late.
pub struct Members {
    pub port: u16,
    notes: Arc<Mutex<Notes>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Members {
    pub fn start() -> Members {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        crate::support::core::grow_receive_buffer(&socket);
        socket.set_read_timeout(Some(LOOK)).expect("a read timeout");
        let notes: Arc<Mutex<Notes>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        Members {
            port: socket.local_addr().expect("an address").port(),
            thread: Some(std::thread::spawn({
                let (notes, stop) = (Arc::clone(&notes), Arc::clone(&stop));
                move || serve(&socket, &notes, &stop)
            })),
            notes,
            stop,
        }
    }

    /// Fails unless each of these messages has come to each member, and none under two identities.
    #[track_caller]
    pub fn check(&self, messages: &[String], members: &[String]) {
        let notes = self.notes.lock().expect("the notes");
        assert!(notes.faults.is_empty(), "{:#?}", notes.faults);
        let missing: Vec<_> = messages
            .iter()
            .flat_map(|text| members.iter().map(move |uri| (text.clone(), uri.clone())))
            .filter(|pair| !notes.copies.contains_key(pair))
            .collect();
        assert!(
            missing.is_empty(),
            "{} of {} recipients have got nothing, such as {:?}",
            missing.len(),
            messages.len() * members.len(),
            missing.first()
        );
    }

    pub fn totals(&self) -> Totals {
        let notes = self.notes.lock().expect("the notes");
        let again = notes
            .copies
            .values()
            .map(|copies| copies.branches.len() - 1);
        Totals {
            recipients: notes.copies.len(),
            again: again.sum(),
            repeated: notes.repeated,
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, notes: &Mutex<Notes>, stop: &AtomicBool) {
    let mut buffer = vec![0; 65536];
    let mut late: Vec<(Instant, SocketAddr, String)> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        for (_, to, response) in late.extract_if(.., |(when, ..)| *when <= now) {
            // The proxy may have been killed meanwhile.
            let _ = socket.send_to(response.as_bytes(), to);
        }
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Ok(message) = Message::read(&buffer[..length]) else {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            notes.lock().expect("the notes").faults.push(text);
            continue;
        };
        let code = note(&mut notes.lock().expect("the notes"), &message);
        let uri = message.request_uri();
        if uri.contains("silent") {
            continue;
        }
        let response = respond(&message, code);
        if uri.contains("slow") {
            late.push((now + SLOW, from, response));
        } else {
            let _ = socket.send_to(response.as_bytes(), from);
        }
    }
}

/// Notes a copy, and says what a member answers who answers at all.
fn note(notes: &mut Notes, message: &Message) -> u16 {
    let text = String::from_utf8_lossy(&message.body).into_owned();
    let tag = message.tag("From").unwrap_or_default();
    let identity = [message.one("Call-ID"), tag, message.one("CSeq")].map(str::to_owned);
    let branch = message.branch().to_owned();
    let key = (text, message.request_uri().to_owned());
    let copies = notes.copies.entry(key).or_default();
    if copies.branches.is_empty() {
        copies.identity = identity;
    } else if copies.identity != identity {
        let first = &copies.identity;
        let fault = format!("first as {first:?}, then again as\n{message}");
        notes.faults.push(fault);
        return 500;
    }
    if copies.branches.contains(&branch) {
        // A retransmission gets the answer of its first.
        let is_first = copies.branches.first() == Some(&branch);
        return if is_first || !copies.has_it { 200 } else { 482 };
    }
    copies.branches.push(branch);
    let had_it = std::mem::replace(&mut copies.has_it, true);
    notes.repeated += usize::from(had_it);
    if had_it { 482 } else { 200 }
}

fn respond(message: &Message, code: u16) -> String {
    let mut response = format!("SIP/2.0 {code} As Asked\r\n");
    for via in message.all("Via") {
        response += &format!("Via: {via}\r\n");
    }
    for name in ["From", "Call-ID", "CSeq"] {
        response += &format!("{name}: {}\r\n", message.one(name));
    }
    response += &format!(
        "To: {};tag=member\r\nContent-Length: 0\r\n\r\n",
        message.one("To")
    );
    response
}
