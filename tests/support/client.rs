//! A sender of raw bytes over UDP or TCP from a loopback address of the test's choice, and what comes back.

use super::PATIENCE;
use super::sip::Message;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::FromRawFd;
use std::time::{Duration, Instant};

/// What carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    /// As a Via header writes it.
    pub fn in_via(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }

    /// As a URI parameter writes it.
    pub fn in_uri(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

/// The peer that the rig's Kamailio trusts (T of the conformance cases).
pub const TRUSTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
/// The peer that it does not (U).
pub const UNTRUSTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// That peer where the proxy's address is of this family.
pub fn trusted_beside(proxy: SocketAddr) -> IpAddr {
    match proxy {
        SocketAddr::V4(_) => TRUSTED.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

enum Wire {
    Udp(UdpSocket),
    Tcp { stream: TcpStream, unread: Vec<u8> },
}

/// One sender with an address of its own.
pub struct Client {
    pub transport: Transport,
    /// Where answers reach it; what it writes into Via.
    pub address: SocketAddr,
    wire: Wire,
}

impl Client {
    /// A sender at `from` that talks to `to`.
    pub fn new(
        transport: Transport,
        from: impl Into<IpAddr>,
        to: SocketAddr,
    ) -> io::Result<Client> {
        let from = from.into();
        let (wire, address) = match transport {
            Transport::Udp => {
                let socket = UdpSocket::bind((from, 0))?;
                socket.connect(to)?;
                let address = socket.local_addr()?;
                (Wire::Udp(socket), address)
            }
            Transport::Tcp => {
                let stream = connect_from(from, to)?;
                stream.set_nodelay(true)?;
                let address = stream.local_addr()?;
                (
                    Wire::Tcp {
                        stream,
                        unread: Vec::new(),
                    },
                    address,
                )
            }
        };
        Ok(Client {
            transport,
            address,
            wire,
        })
    }

    /// Sends bytes as they are.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Wire::Udp(socket) => socket.send(bytes).map(|_| ()),
            Wire::Tcp { stream, .. } => stream.write_all(bytes),
        }
    }

    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("sending to Kamailio");
    }

    /// The next message that arrives before `deadline` from now, or None.
    #[track_caller]
    pub fn receive_within(&mut self, patience: Duration) -> Option<Message> {
        let bytes = self.receive_bytes_within(patience)?;
        match Message::read(&bytes) {
            Ok(message) => Some(message),
            Err(error) => panic!(
                "an unreadable response: {error}\n{}",
                String::from_utf8_lossy(&bytes)
            ),
        }
    }

    /// The next message as the bytes that came.
    #[track_caller]
    pub fn receive_bytes_within(&mut self, patience: Duration) -> Option<Vec<u8>> {
        let deadline = Instant::now() + patience;
        match &mut self.wire {
            Wire::Udp(socket) => loop {
                let mut buffer = vec![0; 65536];
                let left = deadline
                    .checked_duration_since(Instant::now())
                    .filter(|left| !left.is_zero())?;
                socket.set_read_timeout(Some(left)).expect("a read timeout");
                match socket.recv(&mut buffer) {
                    Ok(length) => {
                        buffer.truncate(length);
                        return Some(buffer);
                    }
                    Err(error) if waiting(&error) => {}
                    // The port was closed for a moment: Kamailio is starting or gone.
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => return None,
                    Err(error) => panic!("receiving: {error}"),
                }
            },
            Wire::Tcp { stream, unread } => loop {
                if let Some(length) =
                    Message::length_on_stream(unread).expect("a stream of SIP messages")
                {
                    return Some(unread.drain(..length).collect());
                }
                let mut buffer = [0; 65536];
                let left = deadline
                    .checked_duration_since(Instant::now())
                    .filter(|left| !left.is_zero())?;
                stream.set_read_timeout(Some(left)).expect("a read timeout");
                match stream.read(&mut buffer) {
                    Ok(0) => return None,
                    Ok(length) => unread.extend_from_slice(&buffer[..length]),
                    Err(error) if waiting(&error) => {}
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                    Err(error) => panic!("receiving: {error}"),
                }
            },
        }
    }

    /// The next message; a test that gets none fails.
    #[track_caller]
    pub fn receive(&mut self) -> Message {
        match self.receive_within(PATIENCE) {
            Some(message) => message,
            None => panic!("no answer within {PATIENCE:?}"),
        }
    }

    /// Waits until something has come on this connection, and leaves it there. Nothing for UDP.
    pub fn wait_for_bytes(&self, patience: Duration) {
        if let Wire::Tcp { stream, .. } = &self.wire {
            stream
                .set_read_timeout(Some(patience))
                .expect("a read timeout");
            let _ = stream.peek(&mut [0]);
        }
    }

    /// No more will be sent on this connection. Nothing for UDP.
    pub fn finish_sending(&mut self) {
        if let Wire::Tcp { stream, .. } = &self.wire {
            // The other side may have closed first, which is as good.
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
    }

    /// Sends a request and waits for its answer as a SIP client does: over UDP it repeats itself, because a
    /// burst may overrun the proxy's socket, and it takes no notice of answers to earlier requests.
    #[track_caller]
    pub fn ask(&mut self, request: &super::flow::Request) -> Message {
        let repeat = match self.transport {
            Transport::Udp => Duration::from_millis(500),
            Transport::Tcp => PATIENCE,
        };
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.send(&request.bytes());
            let next = Instant::now() + repeat;
            while let Some(left) = next.checked_duration_since(Instant::now()) {
                match self.receive_within(left) {
                    Some(message) if message.one("Call-ID") == request.value("Call-ID") => {
                        return message;
                    }
                    Some(_) => {}
                    None => break,
                }
            }
        }
        panic!("no answer within {PATIENCE:?}");
    }

    /// As [`Client::fence`], but answers to what was sent before may come; returns them.
    #[track_caller]
    pub fn fence_collecting(&mut self) -> Vec<Vec<u8>> {
        let mark = super::flow::unique();
        self.send(super::flow::options(self, &mark).as_bytes());
        let deadline = Instant::now() + PATIENCE;
        let mut answers = Vec::new();
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            match self.receive_bytes_within(left) {
                Some(bytes) if super::sip::find(&bytes, mark.as_bytes()).is_some() => {
                    return answers;
                }
                Some(bytes) => answers.push(bytes),
                None => break,
            }
        }
        panic!("OPTIONS was not answered within {PATIENCE:?}");
    }

    /// Everything that comes until the other side closes; for TCP.
    #[track_caller]
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let Wire::Tcp { stream, unread } = &mut self.wire else {
            panic!("a datagram socket has no end")
        };
        let mut bytes = std::mem::take(unread);
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a read timeout");
        match stream.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("Kamailio did not close the connection: {error}"),
        }
        bytes
    }

    /// One OPTIONS there and back, with no other answer on the way. Whatever a single worker did before is
    /// over when it returns.
    #[track_caller]
    pub fn fence(&mut self) {
        if let Some(other) = self.fence_collecting().first() {
            panic!(
                "expected no more answers, found\n{}",
                String::from_utf8_lossy(other)
            );
        }
    }
}

fn waiting(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// A TCP connection whose own end has the address `from`; std cannot bind before it connects.
fn connect_from(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let (from, to) = match (from, to) {
        (IpAddr::V4(from), SocketAddr::V4(to)) => (from, to),
        // Loopback has no other address of this family.
        (IpAddr::V6(Ipv6Addr::LOCALHOST), SocketAddr::V6(_)) => return TcpStream::connect(to),
        _ => return Err(ErrorKind::Unsupported.into()),
    };
    let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: plain system calls on addresses that live until they return; the descriptor is closed by
    // the stream that takes it over.
    unsafe {
        let descriptor = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        let stream = TcpStream::from_raw_fd(descriptor);
        let own = raw_address(SocketAddrV4::new(from, 0));
        let peer = raw_address(to);
        if libc::bind(descriptor, (&raw const own).cast(), length) != 0
            || libc::connect(descriptor, (&raw const peer).cast(), length) != 0
        {
            return Err(io::Error::last_os_error());
        }
        Ok(stream)
    }
}

fn raw_address(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}
