//! How a process of the proxy has a command carried out by the process `cimf groups`.
//!
//! ```text
//! asked by kamcmd, FIFO … ──errand, one end of a socket pair──► cimf groups
//!          waits at the other end ◄──────────answer────────────── │
//! asked by HTTP, in a SIP worker ──errand, where to answer──────► │
//!          goes on at once                answers the client ◄─── │
//! ```

#![forbid(unsafe_code)]

use super::answer::{Answer, Fault};
use super::arguments::Arguments;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg,
    socketpair, sockopt,
};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The most bytes of an errand: the kernel takes half as many again for one packet.
const MOST_BYTES: usize = 128 << 10;

/// How long an answer may take: PostgreSQL may be cut off, or somebody else be changing groups for long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the other end may take to read an answer. It does nothing else.
const OF_READERS: Duration = Duration::from_secs(1);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// The number of the command in the table.
    pub command: usize,
    /// What it is given.
    pub arguments: Arguments,
    /// Where to answer, if nobody waits: the proxy knows what this stands for.
    pub later: Option<usize>,
}

/// Who waits for the answer.
pub struct Waiting(UnixStream);

/// The way to the process, made before any process is forked.
pub struct Errands {
    sender: OwnedFd,
    receiver: OwnedFd,
}

impl Errands {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// The system gives no sockets.
    pub fn new() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let (sender, receiver) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok(Self { sender, receiver })
    }

    /// Sends a process on an errand and waits for the answer. A SIP worker must not.
    pub fn wait(&self, errand: &Errand) -> Answer {
        self.answer(errand).unwrap_or_else(|error| {
            Err(match error.kind() {
                io::ErrorKind::WouldBlock => Fault::of(
                    504,
                    format!(
                        "the process cimf groups has not answered within {} s, the change may still be made: look, and give the command again",
                        PATIENCE.as_secs()
                    ),
                ),
                _ => Fault::failed(format!("asking the process cimf groups: {error}")),
            })
        })
    }

    fn answer(&self, errand: &Errand) -> io::Result<Answer> {
        let (mut own, other) = UnixStream::pair()?;
        if let Err(fault) = self.send(errand, Some(&other)) {
            return Ok(Err(fault));
        }
        drop(other);
        own.set_read_timeout(Some(PATIENCE))?;
        let mut bytes = Vec::new();
        own.read_to_end(&mut bytes)?;
        match bytes.is_empty() {
            true => Ok(Err(Fault::failed(
                "the process cimf groups has ended: see the proxy's log",
            ))),
            false => Ok(serde_json::from_slice(&bytes)?),
        }
    }

    /// Sends a process on an errand, and does not wait.
    ///
    /// # Errors
    ///
    /// Too much waits already, or the errand is too long.
    pub fn send(&self, errand: &Errand, waiting: Option<&UnixStream>) -> Result<(), Fault> {
        let bytes = serde_json::to_vec(errand).map_err(|error| Fault::failed(error.to_string()))?;
        if bytes.len() > MOST_BYTES {
            return Err(Fault::of(
                413,
                format!(
                    "{} bytes are given, and {MOST_BYTES} fit into a command: give members in parts, with member_set_begin or member_add",
                    bytes.len()
                ),
            ));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = waiting.map(|stream| [stream.as_fd()]);
        if let Some(descriptors) = &descriptors {
            ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let bytes = [IoSlice::new(&bytes)];
        match sendmsg(&self.sender, &bytes, &mut ancillary, flags) {
            Ok(_) => Ok(()),
            Err(Errno::AGAIN) => Err(Fault::unavailable(
                "too many commands wait for the process cimf groups: try again",
            )),
            Err(error) => Err(Fault::failed(format!(
                "asking the process cimf groups: {error}"
            ))),
        }
    }

    /// How long [`Errands::next`] waits.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        let timeout = sockopt::Timeout::Recv;
        Ok(sockopt::set_socket_timeout(
            &self.receiver,
            timeout,
            Some(patience),
        )?)
    }

    /// The next errand, and who waits for its answer; none if there was none for so long.
    ///
    /// # Errors
    ///
    /// Something else came than an errand.
    pub fn next(&self) -> io::Result<Option<(Errand, Option<Waiting>)>> {
        let mut bytes = vec![0; MOST_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut buffers = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = match recvmsg(&self.receiver, &mut buffers, &mut ancillary, flags) {
            Ok(received) => received.bytes,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let waiting = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let errand = serde_json::from_slice(&bytes[..received])?;
        Ok(Some((errand, waiting.map(|it| Waiting(it.into())))))
    }
}

impl Waiting {
    /// Whether nobody waits any more: the time was over, or the process has ended.
    pub fn is_over(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        // Nothing is sent this way: there is something to read only when the other end is closed.
        recv(&self.0, &mut [0; 1], flags).is_ok()
    }

    /// Answers.
    ///
    /// # Errors
    ///
    /// Nobody waits any more.
    pub fn answer(self, answer: &Answer) -> io::Result<()> {
        let bytes = serde_json::to_vec(answer)?;
        self.0.set_write_timeout(Some(OF_READERS))?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            // No signal where the other end is closed.
            let sent = send(&self.0, rest, SendFlags::NOSIGNAL)?;
            rest = &rest[sent..];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn errand(argument: &str) -> Errand {
        let arguments = serde_json::from_value(json!([[argument]])).unwrap();
        Errand {
            command: 7,
            arguments,
            later: Some(usize::MAX),
        }
    }

    #[test]
    fn an_errand_is_answered_to_whoever_waits() {
        let errands = Errands::new().unwrap();
        let answers: [Answer; 2] = [Ok(json!({ "a": [1, "ä"] })), Err(Fault::missing("none"))];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for answer in &answers {
                    let (found, waiting) = errands.next().unwrap().unwrap();
                    assert_eq!(found, errand("x"));
                    let waiting = waiting.unwrap();
                    assert!(!waiting.is_over());
                    waiting.answer(answer).unwrap();
                }
                // Ended in mid-command.
                errands.next().unwrap().unwrap();
            });
            for answer in &answers {
                assert_eq!(&errands.wait(&errand("x")), answer);
            }
            let fault = errands.wait(&errand("x")).unwrap_err();
            assert!(fault.text.contains("has ended"), "{fault}");
        });
    }

    #[test]
    fn who_waits_no_longer_is_known() {
        let errands = Errands::new().unwrap();
        let (own, other) = UnixStream::pair().unwrap();
        errands.send(&errand("x"), Some(&other)).unwrap();
        drop(other);
        let (_, waiting) = errands.next().unwrap().unwrap();
        let waiting = waiting.unwrap();
        assert!(!waiting.is_over());
        drop(own);
        assert!(waiting.is_over());
    }

    #[test]
    fn nobody_waits_for_long_to_be_heard() {
        let errands = Errands::new().unwrap();
        errands.set_patience(Duration::from_millis(10)).unwrap();
        assert!(errands.next().unwrap().is_none());
        let long = errand(&"x".repeat(MOST_BYTES - 1000));
        let mut taken = 0;
        let fault = loop {
            match errands.send(&long, None) {
                Ok(()) => taken += 1,
                Err(fault) => break fault,
            }
        };
        assert_eq!(fault.code, 503);
        assert!(taken > 0);
        for _ in 0..taken {
            let (found, waiting) = errands.next().unwrap().unwrap();
            assert_eq!(found, long);
            assert!(waiting.is_none());
        }
        let too_long = errand(&"x".repeat(MOST_BYTES));
        assert_eq!(errands.send(&too_long, None).unwrap_err().code, 413);
    }
}
