//! The queue behind its lock: whoever takes the lock does first what a process that died has left half done, and what
//! others have deferred; whoever gives it back wakes the process that reports outcomes, if there is something new for it.
//!
//! ```text
//!  take ──► recover, if its holder died ──► catch up, if work was deferred ──► work ──► release ──► wake, if there is news
//!   │                                                                                      │
//!   │ a process keeps it                                          deferred meanwhile: take again, catch up
//!   ▼
//!  defer the work, mark it, and do it after all if the lock has come free meanwhile
//! ```

#![forbid(unsafe_code)]

use super::blocked::{self, Blocked};
use super::deferred::{Deferred, MessageWork, TransactionWork};
use super::layout::{Message, Root, flag};
use super::lock::{Held, OF_CALLBACKS, OF_MESSAGES, Patience};
use super::recovery::Recovery;
use super::reporter::Reporter;
use super::room::Room;
use super::scheduler::Scheduler;
use super::shared_memory::{At, SharedMemory};
use super::waker::Waker;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

/// The memory that all processes share, and the parts that work on it.
#[derive(Debug)]
pub(super) struct LockedQueue {
    pub(super) memory: SharedMemory,
    pub(super) scheduler: Scheduler,
    pub(super) room: Room,
    pub(super) deferred: Deferred,
    pub(super) reporter: Reporter,
    /// Wakes the process that asks for names.
    pub(super) resolver: Waker,
}

impl LockedQueue {
    /// What there is once in the memory.
    #[inline]
    pub(super) fn root(&self) -> &Root {
        self.memory.root()
    }

    /// Does `work` while no other process touches lists and counters. It waits for the lock for as long as it takes: that
    /// is for the start, and for what waits for nobody ([`LockedQueue::with_or`], [`LockedQueue::with_within`]).
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Held<'_>) -> T) -> T {
        self.hold(Held::take(&self.memory), work)
    }

    /// The same, unless a process keeps the lock from the others for too long. The log says so.
    #[inline]
    pub(super) fn with_within<T>(
        &self,
        patience: Patience,
        work: impl FnOnce(&mut Held<'_>) -> T,
    ) -> Result<T, Blocked> {
        match Held::take_within(&self.memory, patience) {
            Ok(held) => Ok(self.hold(held, work)),
            Err(blocked) => {
                blocked.log(&self.memory);
                Err(blocked)
            }
        }
    }

    /// Does `work`, unless a process keeps the lock for longer than the proxy's callbacks wait: then `defer` is to leave
    /// in the memory what is to be done.
    pub(super) fn with_or<T>(
        &self,
        work: impl FnOnce(&mut Held<'_>) -> T,
        defer: impl FnOnce(),
    ) -> Option<T> {
        match self.with_within(OF_CALLBACKS, work) {
            Ok(result) => Some(result),
            Err(_) => {
                self.leave(defer);
                None
            }
        }
    }

    /// Does what the proxy says of a copy; later, if a process keeps the lock. What is stale or repeated is ignored.
    pub(super) fn do_or_defer(&self, cookie: u64, work: TransactionWork) {
        self.with_or(
            |held| self.do_work(held, cookie, work),
            || self.deferred.leave(&self.memory, cookie, work),
        );
    }

    /// Does work on a message, for who has its ticket or a pin of it; later, if a process keeps the lock.
    pub(super) fn do_or_defer_message(&self, at: At<Message>, work: MessageWork) {
        self.with_or(
            |held| self.do_message_work(held, at, work),
            || self.memory[at].defer(self.root(), work),
        );
    }

    /// Does `work` with the lock.
    #[inline]
    fn hold<T>(&self, mut held: Held<'_>, work: impl FnOnce(&mut Held<'_>) -> T) -> T {
        if held.inherited || held.has_deferred() {
            self.put_in_order(&mut held);
        }
        let result = work(&mut held);
        let news = held.notify.get();
        let has_deferred = held.release();
        if news {
            self.reporter.wake(self.root());
        }
        if has_deferred {
            self.do_what_was_deferred();
        }
        result
    }

    /// What the holder does before anything else.
    #[cold]
    fn put_in_order(&self, held: &mut Held<'_>) {
        if held.inherited {
            self.recover(held);
        }
        if held.has_deferred() {
            self.catch_up(held);
        }
    }

    /// Makes anew what a process has left half done that died with the lock.
    pub(super) fn recover(&self, held: &mut Held<'_>) {
        self.recovery().run(held);
        self.deferred.mark_again(held);
    }

    /// What takes back what dead processes have left.
    pub(super) fn recovery(&self) -> Recovery<'_> {
        Recovery {
            scheduler: &self.scheduler,
            room: &self.room,
        }
    }

    /// Does what others have deferred while this process had the lock, unless it is blocked anew.
    #[cold]
    fn do_what_was_deferred(&self) {
        let _ = self.with_within(OF_MESSAGES, |_| ());
    }

    /// Leaves something for the next holder of the lock.
    #[cold]
    fn leave(&self, defer: impl FnOnce()) {
        defer();
        self.root().attention.deferred.swap(1, AcqRel);
        if let Some(held) = Held::take_or_mark(&self.memory) {
            self.hold(held, |_| ());
        }
    }

    /// Does the deferred work. A process may have died that had begun with it: each piece does nothing a second time.
    #[cold]
    fn catch_up(&self, held: &mut Held<'_>) {
        held.root.attention.deferred.swap(0, AcqRel);
        self.deferred
            .take(held, |cookie, work| self.do_work(held, cookie, work));
        let mut messages = self.room.messages(held);
        messages.retain(|&at| held[at].has_deferred());
        messages.sort_unstable_by_key(|&at| held[at].deferred_order());
        for at in messages {
            self.catch_up_with(held, at);
        }
        // Whoever did not wait has sent nothing either.
        held.notify.set(true);
        blocked::log_end(held.root);
    }

    fn catch_up_with(&self, held: &mut Held<'_>, at: At<Message>) {
        let by_ticket = held[at].deferred_by_ticket();
        if let Some(work) = by_ticket {
            self.do_message_work(held, at, work);
        }
        if let Some(MessageWork::GiveBack(_) | MessageWork::Free) = by_ticket {
            return;
        }
        for _ in 0..held[at].take_deferred() {
            self.do_message_work(held, at, MessageWork::Unpin);
        }
    }

    #[inline]
    fn do_work(&self, held: &Held<'_>, cookie: u64, work: TransactionWork) {
        match work {
            TransactionWork::Completed(code) => self.scheduler.complete(held, cookie, code),
            TransactionWork::Released => self.scheduler.release(held, cookie),
            TransactionWork::HandedOver => self.scheduler.hand_over(held, cookie),
            TransactionWork::NotSent(why, now) => self.scheduler.withdraw(held, cookie, why, now),
        }
    }

    #[inline]
    fn do_message_work(&self, held: &mut Held<'_>, at: At<Message>, work: MessageWork) {
        match work {
            MessageWork::Start => self.start_once(held, at),
            MessageWork::StartCancelled => {
                self.start_once(held, at);
                self.scheduler.close(held, at, flag::CANCELLED);
            }
            MessageWork::GiveBack(keys) => self.room.give_back(held, at, keys),
            MessageWork::Free => self.room.free(held, at),
            MessageWork::Unpin => {
                if held[at].unpin(held) {
                    self.room.free_finished(held, &self.scheduler, at);
                }
            }
        }
    }

    fn start_once(&self, held: &Held<'_>, at: At<Message>) {
        if held[at].flags.get() & flag::STARTED == 0 {
            self.scheduler.start(held, at, held[at].count.get());
        }
    }

    /// Whether work waits for the next holder of the lock.
    pub(super) fn has_deferred(&self) -> bool {
        self.root().attention.deferred.load(Relaxed) != 0
    }
}
