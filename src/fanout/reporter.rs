//! The process that reports outcomes: it sleeps until somebody wakes it, as there is something new for it.
//!
//! `awake` of the root says that it was woken and has not looked yet: one datagram is enough until then.

#![forbid(unsafe_code)]

use super::layout::Root;
use super::waker::Waker;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering::{AcqRel, Release};
use std::time::Duration;

/// How that process is woken.
#[derive(Debug)]
pub(super) struct Reporter {
    waker: Waker,
}

impl Reporter {
    /// To be made before the workers are forked.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            waker: Waker::new()?,
        })
    }

    /// Wakes it, unless it was woken already.
    #[inline]
    pub(super) fn wake(&self, root: &Root) {
        if root.flow.awake.swap(1, AcqRel) == 0 {
            self.waker.wake();
        }
    }

    /// Wakes it whether it was woken or not.
    pub(super) fn wake_again(&self) {
        self.waker.wake();
    }

    /// Waits until somebody wakes this process, or for as long as `patience`.
    pub(super) fn wait(&self, root: &Root, patience: Duration) {
        self.waker.wait(patience);
        root.flow.awake.store(0, Release);
    }

    /// What can be read when it is woken.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.waker.descriptor()
    }
}
