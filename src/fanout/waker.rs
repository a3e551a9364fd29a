//! How the process that reports outcomes learns that there are some: a datagram to itself, over a pair
//! of sockets that all processes inherit.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Both ends.
#[derive(Debug)]
pub(super) struct Waker {
    sender: UnixDatagram,
    receiver: UnixDatagram,
}

impl Waker {
    /// To be made before the workers are forked.
    pub(super) fn new() -> io::Result<Self> {
        let (sender, receiver) = UnixDatagram::pair()?;
        sender.set_nonblocking(true)?;
        Ok(Self { sender, receiver })
    }

    /// Wakes the reader. If so many datagrams wait that there is no room, it is awake anyway.
    pub(super) fn wake(&self) {
        let _ = self.sender.send(b"!");
    }

    /// What can be read when there is news.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }

    /// Waits for news, or for as long as `patience`.
    pub(super) fn wait(&self, patience: Duration) {
        // Without the time limit the reader would never come to what is done by the clock.
        let patience = patience.max(Duration::from_millis(1));
        if self.receiver.set_read_timeout(Some(patience)).is_err()
            || self.receiver.recv(&mut [0; 1]).is_err()
        {
            return;
        }
        // One look at the queue answers all of them.
        if self.receiver.set_nonblocking(true).is_ok() {
            while self.receiver.recv(&mut [0; 1]).is_ok() {}
            let _ = self.receiver.set_nonblocking(false);
        }
    }
}
