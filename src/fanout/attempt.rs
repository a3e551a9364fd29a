//! One copy that may be sent now, in the hands of the process that sends it, and what the proxy says of it afterwards.

#![forbid(unsafe_code)]

use super::block::block_of;
use super::deferred::TransactionWork;
use super::lock::{Held, OF_CALLBACKS};
use super::locked_queue::LockedQueue;
use super::pin::Pin;
use super::pinned::Pinned;
use super::recipient::Recipient;
use super::scheduler::Step;
use super::shared_memory::At;
use super::transactions::NotSent;
use crate::control::Fork;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Steps for which the lock is held, so that others get it in between.
const STEPS: usize = 32;

/// A fork that may be sent now. Dropping it says that the proxy has taken it.
#[derive(Debug)]
pub struct Attempt<'e> {
    cookie: u64,
    entry: At<Recipient>,
    pin: Pinned<'e>,
    taken_back: bool,
}

impl<'e> Attempt<'e> {
    fn new(queue: &'e LockedQueue, entry: At<Recipient>, cookie: u64, pin: Pin) -> Self {
        debug_assert_eq!(pin.at(), block_of(&queue.memory, entry));
        Self {
            cookie,
            entry,
            pin: Pinned::new(queue, pin),
            taken_back: false,
        }
    }

    /// The next fork to send, if one may be sent now.
    pub(super) fn next(queue: &'e LockedQueue, now: impl Fn() -> u64) -> Option<Self> {
        // Who lets another message take its turns asks for the next fork too, so that a look
        // without the lock is enough.
        let (hot, flow) = (&queue.root().hot, &queue.root().flow);
        let is_idle = hot.turns.head().is_none()
            && hot.held_back.get() == 0
            && flow.queueing.head().is_none()
            && flow.stuck.head().is_none()
            && !queue.has_deferred();
        if is_idle {
            return None;
        }
        Self::claim_after(queue, |_| (), || (), now)
    }

    /// A fork has its final response; gives the next one to send.
    pub(super) fn next_after(
        queue: &'e LockedQueue,
        cookie: u64,
        code: u16,
        now: impl Fn() -> u64,
    ) -> Option<Self> {
        let work = TransactionWork::Completed(code);
        Self::claim_after(
            queue,
            |held| queue.scheduler.complete(held, cookie, code),
            || queue.deferred.leave(&queue.memory, cookie, work),
            now,
        )
    }

    /// Does `work`, and takes what may be sent then, without others in between. While a process keeps
    /// the lock from the others, `defer` leaves the work, and nothing is sent: who reports outcomes is
    /// called when it goes on.
    fn claim_after(
        queue: &'e LockedQueue,
        work: impl FnOnce(&Held<'_>),
        defer: impl FnOnce(),
        now: impl Fn() -> u64,
    ) -> Option<Self> {
        queue.scheduler.copy_memory.ask(&queue.memory, &now);
        let (mut work, mut defer) = (Some(work), Some(defer));
        loop {
            let (work, defer) = (work.take(), defer.take());
            let found = queue.with_or(
                |held| {
                    if let Some(work) = work {
                        work(held);
                    }
                    for _ in 0..STEPS {
                        match queue.scheduler.step(held, &now) {
                            Step::Claimed(entry, cookie, pin) => {
                                return Some(Some((entry, cookie, pin)));
                            }
                            Step::More => {}
                            Step::Idle => return Some(None),
                        }
                    }
                    None
                },
                || {
                    if let Some(defer) = defer {
                        defer();
                    }
                },
            )?;
            if let Some(found) = found {
                return found.map(|(entry, cookie, pin)| Self::new(queue, entry, cookie, pin));
            }
        }
    }

    /// What names the fork in all that is said of it afterwards; never 0.
    pub fn cookie(&self) -> u64 {
        self.cookie
    }

    /// The number of the message.
    pub fn message(&self) -> u64 {
        self.pin.block().number()
    }

    /// The originator and the group of the message.
    pub fn parties(&self) -> [&[u8]; 2] {
        let [originator, group, ..] = self.pin.block().texts();
        [originator, group]
    }

    /// The recipient's number among those of its message.
    pub fn recipient(&self) -> u32 {
        self.pin.block().recipient(self.entry)
    }

    /// The recipient's address.
    pub fn address(&self) -> &[u8] {
        self.pin.block().own(self.entry).address
    }

    /// Whether the fork has to go by a transport that avoids congestion (M-2).
    pub fn needs_stream(&self) -> bool {
        self.pin.block().needs_stream()
    }

    /// The fork.
    pub fn fork(&self) -> Fork<'_> {
        self.pin.fork(self.entry)
    }

    /// Where the name of the fork's next hop leads. Is that not known, there is no attempt any more: the
    /// recipient waits until it is.
    pub fn by_name(mut self, name: &[u8], now: u64) -> Option<(Self, SocketAddr)> {
        let queue = self.pin.queue();
        let lead = |held: &mut Held<'_>| {
            let scheduler = &queue.scheduler;
            scheduler.lead_or_wait(held, self.cookie, name, now)
        };
        let Ok(lead) = queue.with_within(OF_CALLBACKS, lead) else {
            // While a process keeps the lock from the others, nothing is sent: it is tried again.
            self.not_sent(NotSent::OutOfMemory, now);
            return None;
        };
        if lead.is_asked {
            queue.resolver.wake();
        }
        match lead.address {
            Some(address) => Some((self, address)),
            None => {
                self.taken_back = true;
                None
            }
        }
    }

    /// Hands the fork to the proxy with `send`. Should that panic, the fork was not sent: nobody would
    /// ever report it.
    pub fn hand_over(
        self,
        send: impl FnOnce(&Fork<'_>, u64) -> Result<(), NotSent>,
        now: impl FnOnce() -> u64,
    ) -> Result<(), NotSent> {
        let sent = catch_unwind(AssertUnwindSafe(|| send(&self.fork(), self.cookie)));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => {
                self.not_sent(why, now());
                Err(why)
            }
            Err(panic) => {
                self.not_sent(NotSent::Failed, now());
                resume_unwind(panic)
            }
        }
    }

    /// The proxy did not take the fork; there will be no word of it any more.
    pub fn not_sent(mut self, why: NotSent, now: u64) {
        self.taken_back = true;
        let work = TransactionWork::NotSent(why, now);
        self.pin.queue().do_or_defer(self.cookie, work);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.taken_back {
            return;
        }
        let queue = self.pin.queue();
        let transactions = queue.scheduler.transactions;
        let transaction = transactions.of_attempt(&queue.memory, self.cookie);
        // Mostly the transaction is under way now, and the lock is not needed.
        if transaction.take_sending_if_held() {
            return;
        }
        // An entry loses its last bit under the lock: after the death of another process, all without
        // any are listed as free.
        queue.do_or_defer(self.cookie, TransactionWork::HandedOver);
    }
}
