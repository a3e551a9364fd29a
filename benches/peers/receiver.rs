//! The next hop of all forks: counts each MESSAGE, answers it 200 at once, and knows a retransmission when it
//! sees one (same branch, same CSeq).

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a burst may fill before anything is lost, as far as the system allows.
const RECEIVE_BUFFER: libc::c_int = 32 << 20;

/// How many forks of one turn are remembered without the table having to grow, which takes long enough to lose some.
const REMEMBERED: usize = 1 << 20;

struct Shared {
    start: Instant,
    received: AtomicU64,
    repeated: AtomicU64,
    /// When the last new MESSAGE came, in nanoseconds since `start`.
    last: AtomicU64,
    silent: AtomicBool,
    /// Asks for a new turn; cleared when it has begun.
    reset: AtomicBool,
    stop: AtomicBool,
}

/// The receiver. It stops when it is dropped.
pub struct Receiver {
    port: u16,
    pub buffer: usize,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    pub fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port for the receiver");
        let buffer = grow_receive_buffer(&socket);
        let port = socket.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            start: Instant::now(),
            received: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            last: AtomicU64::new(0),
            silent: AtomicBool::new(false),
            reset: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serve(&socket, &of_thread));
        Self {
            port,
            buffer,
            shared,
            thread: Some(thread),
        }
    }

    pub fn uri(&self) -> String {
        format!("sip:127.0.0.1:{}", self.port)
    }

    /// Whether to answer nothing.
    pub fn be_silent(&self, silent: bool) {
        self.shared.silent.store(silent, Relaxed);
    }

    /// Begins a turn: all counts are 0.
    pub fn reset(&self) {
        self.shared.reset.store(true, Relaxed);
        while self.shared.reset.load(Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many MESSAGEs have come in this turn, retransmissions not counted.
    pub fn received(&self) -> u64 {
        self.shared.received.load(Relaxed)
    }

    /// How many retransmissions have come in this turn.
    pub fn repeated(&self) -> u64 {
        self.shared.repeated.load(Relaxed)
    }

    /// When the last new MESSAGE came.
    pub fn last(&self) -> Instant {
        self.shared.start + Duration::from_nanos(self.shared.last.load(Relaxed))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed.
            let _ = thread.join();
        }
    }
}

/// Makes the receive buffer as large as the system allows and gives its size.
pub fn grow_receive_buffer(socket: &UdpSocket) -> usize {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: each option is an int that outlives the call.
    unsafe {
        let wanted = RECEIVE_BUFFER;
        let wanted = (&raw const wanted).cast();
        for option in [libc::SO_RCVBUF, libc::SO_RCVBUFFORCE] {
            // The second one is for root only.
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, wanted, size);
        }
        let (mut got, mut length): (libc::c_int, _) = (0, size);
        let value = (&raw mut got).cast();
        let fd = socket.as_raw_fd();
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_RCVBUF,
            value,
            &raw mut length,
        );
        usize::try_from(got).expect("the size of a buffer")
    }
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let look = Duration::from_millis(20);
    socket.set_read_timeout(Some(look)).expect("a read timeout");
    let mut seen = HashSet::with_capacity(REMEMBERED);
    let mut buffer = vec![0; 65536];
    let mut answer = Vec::with_capacity(4096);
    while !shared.stop.load(Relaxed) {
        if shared.reset.load(Relaxed) {
            seen.clear();
            shared.received.store(0, Relaxed);
            shared.repeated.store(0, Relaxed);
            shared.reset.store(false, Relaxed);
        }
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let request = &buffer[..length];
        if !request.starts_with(b"MESSAGE ") {
            continue;
        }
        let identity = write_answer(request, &mut answer);
        if seen.insert(identity) {
            let now = shared.start.elapsed().as_nanos();
            let now = u64::try_from(now).expect("a run of less than centuries");
            shared.last.store(now, Relaxed);
            shared.received.fetch_add(1, Relaxed);
        } else {
            shared.repeated.fetch_add(1, Relaxed);
        }
        if !shared.silent.load(Relaxed) {
            // A proxy that has gone meanwhile is noticed by who started it.
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// Writes the 200 and gives what tells this request from others: its branch and CSeq.
fn write_answer(request: &[u8], answer: &mut Vec<u8>) -> u64 {
    answer.clear();
    answer.extend_from_slice(b"SIP/2.0 200 OK\r\n");
    let mut identity = DefaultHasher::new();
    for line in request.split_inclusive(|&byte| byte == b'\n').skip(1) {
        if line == b"\r\n" {
            break;
        }
        let wanted: [&[u8]; 5] = [b"Via:", b"From:", b"To:", b"Call-ID:", b"CSeq:"];
        let Some(which) = wanted.iter().position(|name| line.starts_with(name)) else {
            continue;
        };
        if which == 2 {
            answer.extend_from_slice(line.trim_ascii_end());
            answer.extend_from_slice(b";tag=r\r\n");
        } else {
            answer.extend_from_slice(line);
        }
        if which == 0 || which == 4 {
            line.hash(&mut identity);
        }
    }
    answer.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    identity.finish()
}
