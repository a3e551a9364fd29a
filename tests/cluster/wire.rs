//! A TCP connection between a node and PostgreSQL that can be cut: what is sent is swallowed, and nobody is told.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often a thread looks whether the wire is cut or gone.
const LOOK: Duration = Duration::from_millis(20);

/// The wire. Dropping it ends all connections.
pub struct Wire {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    to: AtomicU16,
    is_cut: AtomicBool,
    /// Whether only what comes back is swallowed.
    loses_answers: AtomicBool,
    is_gone: AtomicBool,
    /// Connections of before the last mending end.
    age: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Wire {
    /// A wire to a port of this machine.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let at = listener.local_addr().expect("an address").port();
        listener.set_nonblocking(true).expect("a listener");
        let shared = Arc::new(Shared {
            to: AtomicU16::new(port),
            is_cut: AtomicBool::new(false),
            loses_answers: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
            age: AtomicU64::new(0),
            open: Mutex::default(),
        });
        let accepting = shared.clone();
        std::thread::spawn(move || accepting.accept(&listener));
        Self { port: at, shared }
    }

    /// Leads elsewhere from now on; what is connected ends.
    pub fn lead_to(&self, port: u16) {
        self.shared.to.store(port, SeqCst);
        self.shared.end_all();
    }

    /// From now on nothing comes through, in either direction, and no connection ends.
    pub fn cut(&self) {
        self.shared.is_cut.store(true, SeqCst);
    }

    /// From now on nothing comes back, though everything arrives.
    pub fn lose_answers(&self) {
        self.shared.loses_answers.store(true, SeqCst);
    }

    /// All that was connected ends, and new connections come through.
    pub fn mend(&self) {
        self.shared.end_all();
        self.shared.is_cut.store(false, SeqCst);
        self.shared.loses_answers.store(false, SeqCst);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.is_gone.store(true, SeqCst);
        self.shared.end_all();
    }
}

impl Shared {
    fn end_all(&self) {
        self.age.fetch_add(1, SeqCst);
        for stream in self.open.lock().expect("connections").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while !self.is_gone.load(SeqCst) {
            match listener.accept() {
                Ok((near, _)) => {
                    let shared = self.clone();
                    std::thread::spawn(move || shared.connect(near));
                }
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    }

    fn connect(self: Arc<Self>, near: TcpStream) {
        let age = self.age.load(SeqCst);
        while self.is_cut.load(SeqCst) && self.is_of(age) {
            std::thread::sleep(LOOK);
        }
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, self.to.load(SeqCst)));
        let Ok(far) = TcpStream::connect(to) else {
            return;
        };
        near.set_nonblocking(false).expect("a connection");
        let other = |stream: &TcpStream| stream.try_clone().expect("a second handle");
        let ways = [(other(&near), other(&far)), (other(&far), other(&near))];
        self.open.lock().expect("connections").extend([near, far]);
        for ((from, to), comes_back) in ways.into_iter().zip([false, true]) {
            let shared = self.clone();
            std::thread::spawn(move || shared.pass(from, to, age, comes_back));
        }
    }

    fn is_of(&self, age: u64) -> bool {
        !self.is_gone.load(SeqCst) && self.age.load(SeqCst) == age
    }

    /// Whether nothing passes in this direction.
    fn is_closed(&self, comes_back: bool) -> bool {
        self.is_cut.load(SeqCst) || (comes_back && self.loses_answers.load(SeqCst))
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, age: u64, comes_back: bool) {
        from.set_read_timeout(Some(LOOK)).expect("a timeout");
        let _ = to.set_nodelay(true);
        let mut bytes = [0; 1 << 16];
        while self.is_of(age) {
            let read = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    continue;
                }
                Err(_) => break,
            };
            // What is on its way when the wire is cut does not arrive before it is mended, and then never.
            while self.is_closed(comes_back) && self.is_of(age) {
                std::thread::sleep(LOOK);
            }
            if !self.is_of(age) || to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
