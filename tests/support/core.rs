//! The SIP core and the members behind it: takes every MESSAGE over UDP and TCP, notes it, and answers by a
//! policy for each user.

use super::PATIENCE;
use super::client::Transport;
use super::sip::Message;
use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How a member answers.
#[derive(Clone, Debug)]
pub enum Answer {
    Code(u16),
    /// 302 with this Contact.
    Redirect(String),
    Silence,
    /// 200 after this time.
    Late(Duration),
    /// 200 when the test says so, by [`Core::release`].
    Held,
}

/// An answer that the test keeps back.
struct Kept {
    request_uri: String,
    branch: String,
    response: String,
    way: Way,
}

/// Where an answer that does not come at once goes.
enum Way {
    Udp(UdpSocket, SocketAddr),
    Tcp(TcpStream),
}

impl Way {
    /// Sends an answer. Kamailio may be gone already; its test will notice.
    fn send(&mut self, response: &str) {
        let _ = match self {
            Way::Udp(socket, to) => socket.send_to(response.as_bytes(), *to).map(|_| ()),
            Way::Tcp(stream) => stream.write_all(response.as_bytes()),
        };
    }
}

/// The most forks that waited for their answers at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Most {
    pub forks: usize,
    /// The sum of their Max-Breadth.
    pub breadth: u64,
}

/// One MESSAGE as it arrived.
#[derive(Clone)]
pub struct Fork {
    pub message: Message,
    pub transport: Transport,
    pub from: SocketAddr,
    pub arrival: Instant,
}

#[derive(Default)]
struct Notes {
    forks: Vec<Fork>,
    branches: HashSet<String>,
    repeats: usize,
    faults: Vec<String>,
    answers: HashMap<String, Answer>,
    /// A long run keeps only the count, not the messages.
    only_counting: bool,
    count: usize,
    /// Max-Breadth of those that were not answered, by branch.
    open: HashMap<String, u64>,
    most: Most,
    kept: Vec<Kept>,
}

impl Notes {
    fn open(&mut self, message: &Message) {
        let breadth = message.all("Max-Breadth");
        let breadth = breadth.first().and_then(|value| value.parse().ok());
        self.open
            .insert(message.branch().to_owned(), breadth.unwrap_or(0));
        self.most.forks = self.most.forks.max(self.open.len());
        self.most.breadth = self.most.breadth.max(self.open.values().sum());
    }
}

struct Shared {
    notes: Mutex<Notes>,
    arrived: Condvar,
    stop: AtomicBool,
}

/// The receiver. It stops when it is dropped.
pub struct Core {
    pub port: u16,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// How often a waiting thread looks whether it should stop.
const LOOK: Duration = Duration::from_millis(50);

impl Core {
    /// A core at a free port of loopback, the same for UDP and TCP.
    pub fn start() -> Core {
        Core::start_on(Ipv4Addr::LOCALHOST)
    }

    /// The same of another address of this machine.
    pub fn start_on(ip: impl Into<IpAddr>) -> Core {
        let ip = ip.into();
        let (udp, tcp) = (0..100)
            .find_map(|_| pair(ip))
            .expect("a port that is free for UDP and TCP");
        Core::with(udp, tcp)
    }

    /// A core at a port of the caller's choice.
    pub fn start_at(port: u16) -> std::io::Result<Core> {
        Ok(Core::with(
            UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?,
            TcpListener::bind((Ipv4Addr::LOCALHOST, port))?,
        ))
    }

    fn with(udp: UdpSocket, tcp: TcpListener) -> Core {
        let port = udp.local_addr().expect("an address").port();
        grow_receive_buffer(&udp);
        let shared = Arc::new(Shared {
            notes: Mutex::default(),
            arrived: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let (for_udp, for_tcp) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            std::thread::spawn(move || serve_udp(&udp, &for_udp)),
            std::thread::spawn(move || serve_tcp(&tcp, &for_tcp)),
        ];
        Core {
            port,
            shared,
            threads,
        }
    }

    /// How the member whose Request-URI contains `user` answers from now on.
    pub fn answer(&self, user: &str, answer: Answer) {
        self.notes().answers.insert(user.to_owned(), answer);
    }

    /// From now on messages are counted and not kept.
    pub fn only_count(&self) {
        self.notes().only_counting = true;
    }

    /// Answers 200 to all whose Request-URI contains `user` and whose answers were held; says how many.
    pub fn release(&self, user: &str) -> usize {
        let kept: Vec<_> = {
            let mut notes = self.notes();
            let is_meant = |kept: &mut Kept| kept.request_uri.contains(user);
            notes.kept.extract_if(.., is_meant).collect()
        };
        let count = kept.len();
        for kept in kept {
            self.shared.answer(&kept.branch, &kept.response, kept.way);
        }
        count
    }

    /// The same with another code.
    pub fn release_with(&self, user: &str, code: u16) -> usize {
        for kept in &mut self.notes().kept {
            if kept.request_uri.contains(user) {
                let (_, rest) = kept.response.split_once("\r\n").expect("a start line");
                kept.response = format!("SIP/2.0 {code} Released\r\n{rest}");
            }
        }
        self.release(user)
    }

    /// The most that was unanswered at one time since this was last asked.
    pub fn most_open(&self) -> Most {
        std::mem::take(&mut self.notes().most)
    }

    /// How many MESSAGEs came, without retransmissions.
    pub fn count(&self) -> usize {
        self.notes().count
    }

    /// How many retransmissions of MESSAGEs came.
    pub fn repeats(&self) -> usize {
        self.notes().repeats
    }

    /// The MESSAGEs so far, each once however often it was retransmitted.
    #[track_caller]
    pub fn forks(&self) -> Vec<Fork> {
        let notes = self.notes();
        assert!(
            notes.faults.is_empty(),
            "the core received what is not a proper MESSAGE: {:#?}",
            notes.faults
        );
        notes.forks.clone()
    }

    /// Waits until `count` MESSAGEs have come in all.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Fork> {
        let deadline = Instant::now() + PATIENCE;
        let mut notes = self.notes();
        while notes.count < count && notes.faults.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "expected {count} forks, found {} within {PATIENCE:?}",
                notes.count
            );
            notes = self
                .shared
                .arrived
                .wait_timeout(notes, left)
                .expect("the core's notes")
                .0;
        }
        drop(notes);
        self.forks()
    }

    /// Waits until a MESSAGE beyond the first `seen` has come, for at most `patience`.
    pub fn next_after(&self, seen: usize, patience: Duration) -> Option<Fork> {
        let deadline = Instant::now() + patience;
        let mut notes = self.notes();
        while notes.forks.len() <= seen {
            let left = deadline.checked_duration_since(Instant::now())?;
            notes = self
                .shared
                .arrived
                .wait_timeout(notes, left)
                .expect("the core's notes")
                .0;
        }
        notes.forks.get(seen).cloned()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.shared.notes.lock().expect("the core's notes")
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

fn pair(ip: IpAddr) -> Option<(UdpSocket, TcpListener)> {
    let tcp = TcpListener::bind((ip, 0)).ok()?;
    let udp = UdpSocket::bind((ip, tcp.local_addr().ok()?.port())).ok()?;
    Some((udp, tcp))
}

/// A burst of forks must not be lost in the test's own socket: that would be a retransmission to explain.
pub fn grow_receive_buffer(socket: &UdpSocket) {
    use std::os::fd::AsRawFd;
    let size: libc::c_int = 4 << 20;
    // SAFETY: the option's value is read from `size`, which outlives the call.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUF,
            (&raw const size).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

impl Shared {
    /// Notes a message and says what to answer, if anything.
    fn take(
        self: &Arc<Self>,
        bytes: &[u8],
        transport: Transport,
        from: SocketAddr,
        way: impl FnOnce() -> Way,
    ) -> Option<String> {
        let message = match Message::read(bytes) {
            Ok(message) if message.method() == "MESSAGE" => message,
            Ok(message) if message.status() != 0 => return None,
            Ok(message) => return self.fault(format!("not a MESSAGE:\n{message}")),
            Err(error) => {
                return self.fault(format!("{error}:\n{}", String::from_utf8_lossy(bytes)));
            }
        };
        let arrival = Instant::now();
        let mut notes = self.notes.lock().expect("the core's notes");
        let uri = message.request_uri();
        let user = notes
            .answers
            .keys()
            .find(|user| uri.contains(user.as_str()));
        let answer = user
            .and_then(|user| notes.answers.get(user))
            .cloned()
            .unwrap_or(Answer::Code(200));
        let mut response = respond(&message, &answer);
        if notes.only_counting {
            notes.count += 1;
        } else if notes.branches.insert(message.branch().to_owned()) {
            notes.count += 1;
            notes.open(&message);
            let branch = message.branch().to_owned();
            match (&answer, response.take()) {
                (Answer::Held, Some(response)) => notes.kept.push(Kept {
                    request_uri: uri.to_owned(),
                    branch,
                    response,
                    way: way(),
                }),
                (&Answer::Late(time), Some(response)) => {
                    let (shared, way) = (Arc::clone(self), way());
                    std::thread::spawn(move || {
                        std::thread::sleep(time);
                        shared.answer(&branch, &response, way);
                    });
                }
                (_, at_once) => {
                    if at_once.is_some() {
                        notes.open.remove(&branch);
                    }
                    response = at_once;
                }
            }
            notes.forks.push(Fork {
                message,
                transport,
                from,
                arrival,
            });
        } else {
            notes.repeats += 1;
            // The first one's answer is on its way.
            response = response.filter(|_| !matches!(answer, Answer::Held | Answer::Late(_)));
        }
        self.arrived.notify_all();
        response
    }

    /// Gives an answer that did not come at once.
    fn answer(&self, branch: &str, response: &str, mut way: Way) {
        self.notes
            .lock()
            .expect("the core's notes")
            .open
            .remove(branch);
        way.send(response);
    }

    fn fault(&self, text: String) -> Option<String> {
        self.notes
            .lock()
            .expect("the core's notes")
            .faults
            .push(text);
        self.arrived.notify_all();
        None
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The response of a member; none for silence.
pub fn respond(message: &Message, answer: &Answer) -> Option<String> {
    let (code, contact) = match answer {
        Answer::Code(code) => (*code, None),
        Answer::Redirect(contact) => (302, Some(contact)),
        Answer::Silence => return None,
        Answer::Late(_) | Answer::Held => (200, None),
    };
    let mut response = format!("SIP/2.0 {code} As Asked\r\n");
    for via in message.all("Via") {
        response += &format!("Via: {via}\r\n");
    }
    for name in ["From", "Call-ID", "CSeq"] {
        response += &format!("{name}: {}\r\n", message.all(name).first().unwrap_or(&""));
    }
    response += &format!(
        "To: {};tag=member\r\n",
        message.all("To").first().unwrap_or(&"")
    );
    if let Some(contact) = contact {
        response += &format!("Contact: <{contact}>\r\n");
    }
    response += "Content-Length: 0\r\n\r\n";
    Some(response)
}

fn serve_udp(socket: &UdpSocket, shared: &Arc<Shared>) {
    socket.set_read_timeout(Some(LOOK)).expect("a read timeout");
    let mut buffer = vec![0; 65536];
    while !shared.stopping() {
        // A timeout is the moment to look whether to stop; an ICMP error belongs to an answer of ours.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let way = || Way::Udp(socket.try_clone().expect("a second handle"), from);
        if let Some(response) = shared.take(&buffer[..length], Transport::Udp, from, way) {
            // Kamailio may be gone already; its test will notice.
            let _ = socket.send_to(response.as_bytes(), from);
        }
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Arc<Shared>) {
    use std::os::fd::AsRawFd;
    let mut connections = Vec::new();
    listener
        .set_nonblocking(true)
        .expect("a listener that does not block");
    while !shared.stopping() {
        let mut wait = libc::pollfd {
            fd: listener.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one pollfd that outlives the call.
        unsafe { libc::poll(&raw mut wait, 1, LOOK.as_millis() as libc::c_int) };
        if let Ok((stream, from)) = listener.accept() {
            let shared = Arc::clone(shared);
            connections.push(std::thread::spawn(move || {
                serve_connection(stream, from, &shared)
            }));
        }
    }
    for connection in connections {
        // As above: a panic has been printed.
        let _ = connection.join();
    }
}

fn serve_connection(mut stream: TcpStream, from: SocketAddr, shared: &Arc<Shared>) {
    stream.set_nonblocking(false).expect("a stream that blocks");
    stream.set_nodelay(true).expect("no delay");
    stream.set_read_timeout(Some(LOOK)).expect("a read timeout");
    let mut unread = Vec::new();
    let mut buffer = vec![0; 65536];
    while !shared.stopping() {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => unread.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(_) => return,
        }
        loop {
            match Message::length_on_stream(&unread) {
                Ok(Some(length)) => {
                    let bytes: Vec<u8> = unread.drain(..length).collect();
                    let way = || Way::Tcp(stream.try_clone().expect("a second handle"));
                    let response = shared.take(&bytes, Transport::Tcp, from, way);
                    if let Some(response) = response
                        && stream.write_all(response.as_bytes()).is_err()
                    {
                        return;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    shared.fault(error);
                    return;
                }
            }
        }
    }
}
