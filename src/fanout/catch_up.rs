//! Defers work while a process keeps the lock from the others, and does it once the lock is free. The words in which it
//! waits are those of [`deferred`](super::deferred).

#![forbid(unsafe_code)]

use super::deferred::{MessageWork, TOGETHER, TransactionWork};
use super::engine::Engine;
use super::layout::{Message, flag};
use super::lock::{Blocked, Held, OF_CALLBACKS, now};
use super::shared_memory::At;
use super::transactions::{NotSent, Transactions};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// The bits of the code in the lower half of a transaction's word, and its work.
const CODE: u64 = 0xffff;
const COMPLETED: u64 = 1 << 16;
const RELEASED: u64 = 1 << 17;
const HANDED_OVER: u64 = 1 << 18;
const NO_MEMORY: u64 = 1 << 19;
const FAILED: u64 = 1 << 20;

/// Between the pins of a message and its last bit: the pins that are taken away, and its work.
const UNPIN: u64 = 1 << 32;
const UNPINS: u64 = 0xffff << 32;
const START: u64 = 1 << 48;
const CANCEL: u64 = 1 << 49;
const GIVE_BACK: u64 = 1 << 50;
const WORK: u64 = UNPINS | START | CANCEL | GIVE_BACK;

/// Milliseconds of a block after which the log says so, and between two such lines.
const LOG_AFTER: u64 = 100;
const LOG_EVERY: u64 = 1_000;

impl Engine {
    /// Does `work` as [`Engine::with`] does, unless a process keeps the lock for longer than the proxy's
    /// callbacks wait: then `leave` is to leave what is to be done.
    pub(super) fn with_or<T>(
        &self,
        work: impl FnOnce(&mut Held<'_>) -> T,
        leave: impl FnOnce(),
    ) -> Option<T> {
        match self.with_within(OF_CALLBACKS, work) {
            Ok(result) => Some(result),
            Err(_) => {
                self.leave(leave);
                None
            }
        }
    }

    /// Leaves something for the next holder of the lock.
    #[cold]
    fn leave(&self, what: impl FnOnce()) {
        what();
        self.root().attention.deferred.swap(1, AcqRel);
        if let Some(held) = Held::take_or_mark(&self.memory) {
            self.hold(held, |_| ());
        }
    }

    /// Leaves what is to be done with a fork, if its cookie is not stale.
    pub(super) fn defer_transaction(&self, cookie: u64, deed: TransactionWork) {
        let Some(transaction) = self.scheduler.transactions.find_in(&self.memory, cookie) else {
            return;
        };
        let (deed, code) = match deed {
            TransactionWork::Completed(code) => (COMPLETED, u64::from(code)),
            TransactionWork::Released => (RELEASED, 0),
            TransactionWork::HandedOver => (HANDED_OVER, 0),
            TransactionWork::NotSent(why, at) => {
                self.root().attention.not_sent_at.store(at, Release);
                match why {
                    NotSent::OutOfMemory => (NO_MEMORY, 0),
                    NotSent::Failed => (FAILED, 0),
                }
            }
        };
        let own = u64::from(Transactions::use_of(cookie)) << 32;
        let add = |left: u64| {
            // Of an earlier use, nothing counts.
            let left = if left >> 32 == own >> 32 { left } else { own };
            let code = if left & COMPLETED == 0 { code } else { 0 };
            Some(left | deed | code)
        };
        let _ = transaction.deferred.fetch_update(AcqRel, Acquire, add);
        let (word, bit) = self
            .deferred
            .bit(&self.memory, Transactions::index_of(cookie));
        word.fetch_or(bit, AcqRel);
    }

    /// Leaves what is to be done with a message, for who has its ticket or a pin of it.
    pub(super) fn defer_message(&self, at: At<Message>, rest: MessageWork) {
        let message = &self.memory[at];
        let [first, second] = &message.deferred_unstarted;
        let order = || {
            let order = self.root().attention.starts_deferred.fetch_add(1, AcqRel);
            first.store(order, Release);
        };
        let deed = match rest {
            MessageWork::Start => {
                order();
                START
            }
            MessageWork::StartCancelled => {
                order();
                START | CANCEL
            }
            MessageWork::GiveBack(keys) => {
                for (word, key) in [first, second].into_iter().zip(keys) {
                    word.store(key, Release);
                }
                GIVE_BACK
            }
            MessageWork::Unpin => UNPIN,
        };
        message.pins.fetch_add(deed, AcqRel);
    }

    /// Does the deferred work.
    #[cold]
    pub(super) fn do_deferred(&self, held: &mut Held<'_>) {
        held.root.attention.deferred.swap(0, AcqRel);
        for (number, word) in self.deferred.words(held.memory).iter().enumerate() {
            let mut bits = word.load(Relaxed);
            while bits != 0 {
                let bit = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                self.do_deferred_transaction(held, number * TOGETHER + bit);
            }
        }
        let mut messages = self.arena.used(held);
        messages.retain(|&at| held[at].pins.load(Relaxed) & WORK != 0);
        messages.sort_unstable_by_key(|&at| held[at].deferred_unstarted[0].load(Relaxed));
        for at in messages {
            self.do_deferred_message(held, at);
        }
        // Whoever did not wait has sent nothing either.
        held.notify.set(true);
        self.log_unblocked();
    }

    fn do_deferred_transaction(&self, held: &Held<'_>, index: usize) {
        let (word, bit) = self.deferred.bit(held.memory, index);
        loop {
            word.fetch_and(!bit, AcqRel);
            let (transaction, cookie) = self.scheduler.transactions.present(held, index);
            let left = transaction.deferred.load(Acquire);
            if (left >> 32) as u32 == Transactions::use_of(cookie) {
                self.do_work(held, cookie, left);
            }
            let left = transaction
                .deferred
                .compare_exchange(left, 0, AcqRel, Relaxed);
            if left.is_ok() {
                return;
            }
        }
    }

    /// Each of them does nothing a second time.
    fn do_work(&self, held: &Held<'_>, cookie: u64, left: u64) {
        if left & COMPLETED != 0 {
            self.scheduler.complete(held, cookie, (left & CODE) as u16);
        }
        if left & RELEASED != 0 {
            self.scheduler.release(held, cookie);
        }
        if left & HANDED_OVER != 0 {
            self.scheduler.hand_over(held, cookie);
        }
        for (deed, why) in [(NO_MEMORY, NotSent::OutOfMemory), (FAILED, NotSent::Failed)] {
            if left & deed != 0 {
                let at = held.root.attention.not_sent_at.load(Relaxed);
                self.scheduler.withdraw(held, cookie, why, at);
            }
        }
    }

    fn do_deferred_message(&self, held: &mut Held<'_>, at: At<Message>) {
        let left = held[at].pins.load(Acquire);
        if left & GIVE_BACK != 0 {
            let keys = [0, 1].map(|word: usize| held[at].deferred_unstarted[word].load(Relaxed));
            return self.give_back_room(held, at, keys);
        }
        // Unless a process has died that had begun to do it.
        if left & START != 0 && held[at].flags.get() & flag::STARTED == 0 {
            self.publish(held, at, held[at].count.get());
        }
        if left & CANCEL != 0 {
            self.scheduler.close(held, at, flag::CANCELLED);
        }
        let left = held[at].pins.fetch_and(!WORK, AcqRel);
        for _ in 0..(left & UNPINS) / UNPIN {
            if held[at].unpin(held) {
                self.give_back(held, at);
            }
        }
    }

    /// Marks again what a process that died had deferred, or was about to do.
    pub(super) fn recover_deferred(&self, held: &Held<'_>) {
        for index in 0..Transactions::ever(held.memory) {
            let (transaction, _) = self.scheduler.transactions.present(held, index);
            if transaction.deferred.load(Relaxed) != 0 {
                let (word, bit) = self.deferred.bit(held.memory, index);
                word.fetch_or(bit, AcqRel);
            }
        }
        held.root.attention.deferred.swap(1, AcqRel);
    }

    /// Says in the log who keeps the lock, once a second, whichever process says it.
    pub(super) fn log_blocked(&self, blocked: Blocked) {
        let now = now(&self.memory);
        let told = &self.root().attention.blocked_logged;
        let before = told.load(Relaxed);
        let is_early = before != 0 && now.saturating_sub(before) < LOG_EVERY;
        if blocked.milliseconds < LOG_AFTER || is_early {
            return;
        }
        if told.compare_exchange(before, now, AcqRel, Relaxed).is_ok() {
            log::error!("{blocked}; until then new messages are answered 503 and no copy is sent");
            // The next holder says that it is over.
            self.root().attention.deferred.swap(1, AcqRel);
        }
    }

    fn log_unblocked(&self) {
        let told = &self.root().attention.blocked_logged;
        if told.load(Relaxed) != 0 && told.swap(0, AcqRel) != 0 {
            log::warn!("the lock of the queue is free again: nothing was lost, sending goes on");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, engine, outcomes, start, submission};
    use super::super::{Attempt, Outcome, SkipReason};
    use super::*;
    use crate::control::Own;
    use crate::control::Reason;
    use std::time::{Duration, Instant};

    /// Far beyond what anybody waits for the lock.
    const AT_ONCE: Duration = Duration::from_secs(1);

    /// Does `work` while another thread keeps the lock.
    fn while_blocked<T: Send>(engine: &Engine, work: impl FnOnce() -> T + Send) -> T {
        engine.with(|_| {
            std::thread::scope(|scope| {
                let begin = Instant::now();
                let worker = scope.spawn(work);
                let result = worker.join().unwrap();
                assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
                result
            })
        })
    }

    fn attempts(engine: &Engine) -> Vec<Attempt<'_>> {
        std::iter::from_fn(|| engine.next(|| NOW)).collect()
    }

    #[test]
    fn what_the_proxy_says_of_forks_while_the_lock_is_kept_counts_once_it_is_free() {
        let engine = engine();
        start(
            &engine,
            &["sip:a@h", "sip:b@h", "sip:c@h", "sip:d@h", "sip:e@h"],
        );
        let mut all = attempts(&engine).into_iter();
        let mut next = || all.next().unwrap();
        let [a, b, c, d, e] = [next(), next(), next(), next(), next()];
        let cookies = [&a, &b, &c, &d, &e].map(Attempt::cookie);
        while_blocked(&engine, || {
            // One that is over before the process that sends comes back, one that is not, one that will
            // never be, one that failed, and one that there was no memory for.
            engine.completed(cookies[0], 200);
            engine.completed(cookies[0], 486);
            engine.released(cookies[0]);
            drop(a);
            drop(b);
            assert!(
                engine
                    .completed_then_next(cookies[1], 404, || NOW)
                    .is_none()
            );
            engine.released(cookies[2]);
            drop(c);
            d.not_sent(NotSent::Failed, NOW);
            e.not_sent(NotSent::OutOfMemory, NOW);
            assert!(engine.next(|| NOW).is_none());
            assert!(engine.next_event().is_none());
            engine.tick(NOW);
            engine.completed(u64::MAX, 200);
        });
        assert_eq!(
            outcomes(&engine),
            [
                Outcome::Delivered(200),
                Outcome::Refused(404),
                Outcome::Unreachable(408),
                Outcome::Unreachable(503)
            ]
        );
        // tm still holds b's, which is given back twice.
        assert_eq!(engine.load().transactions, 1);
        engine.released(cookies[1]);
        engine.released(cookies[1]);
        let again = engine.next(|| NOW + 2_000).unwrap();
        assert_eq!(again.fork().recipient, b"sip:e@h");
        let cookie = again.cookie();
        drop(again);
        engine.completed(cookie, 200);
        engine.released(cookie);
        assert_eq!(outcomes(&engine), [Outcome::Delivered(200)]);
        let load = engine.load();
        assert_eq!(
            (load.messages, load.transactions, load.memory_used),
            (0, 0, 0)
        );
    }

    #[test]
    fn messages_that_were_answered_while_the_lock_is_kept_are_sent_in_their_order() {
        // M-3, A-10.
        let engine = engine();
        let own = || std::iter::once(Own::plain(b"sip:a@h"));
        let mut tickets = (0..4).map(|_| engine.reserve(&submission(), own, NOW).unwrap());
        let mut next = || tickets.next().unwrap();
        let [first, second, cancelled, dropped] = [next(), next(), next(), next()];
        let refused = while_blocked(&engine, || {
            let second = engine.start(second);
            let first = engine.start(first);
            engine.start_cancelled(cancelled);
            drop(dropped);
            assert_eq!((first, second), (1, 2));
            engine.reserve(&submission(), own, NOW).unwrap_err()
        });
        assert_eq!(
            (refused.reason, refused.reason.code()),
            (Reason::QueueBlocked, 503)
        );
        for message in [2, 1] {
            let attempt = engine.next(|| NOW).unwrap();
            assert_eq!(attempt.message(), message);
            assert!(engine.next(|| NOW).is_none());
            let cookie = attempt.cookie();
            drop(attempt);
            engine.completed(cookie, 200);
            engine.released(cookie);
        }
        engine.tick(NOW);
        let mut all = outcomes(&engine);
        all.sort_unstable_by_key(|outcome| outcome.code());
        let cancelled = Outcome::Skipped(SkipReason::Cancelled);
        let delivered = Outcome::Delivered(200);
        assert_eq!(all, [cancelled, delivered, delivered]);
        assert_eq!(engine.load().memory_used, 0);
    }

    #[test]
    fn a_message_whose_last_pin_is_taken_away_while_the_lock_is_kept_gives_its_memory_back() {
        let engine = engine();
        start(&engine, &["sip:a@h"]);
        let attempt = engine.next(|| NOW).unwrap();
        engine.completed(attempt.cookie(), 200);
        engine.released(attempt.cookie());
        let pins: Vec<_> = (0..3).map(|_| engine.under_way().unwrap()).collect();
        assert_eq!(outcomes(&engine), [Outcome::Delivered(200)]);
        assert_eq!(engine.load().messages, 1);
        while_blocked(&engine, || {
            drop(attempt);
            drop(pins);
        });
        let load = engine.load();
        assert_eq!(
            (load.messages, load.transactions, load.memory_used),
            (0, 0, 0)
        );
    }

    #[test]
    fn commands_say_who_keeps_the_lock_and_figures_need_none() {
        let engine = engine();
        start(&engine, &["sip:a@h", "sip:b@h"]);
        assert_eq!(engine.blocked(), None);
        let (listed, cancelled, load) = while_blocked(&engine, || {
            let fanouts = engine.fanouts().unwrap_err();
            assert!(engine.blocked().is_some());
            (fanouts, engine.cancel(1).unwrap_err(), engine.load())
        });
        for blocked in [listed, cancelled] {
            assert_eq!(blocked.process, std::process::id());
            assert!(blocked.milliseconds >= 100, "{blocked}");
            let said = format!("process {} has held the lock", blocked.process);
            assert!(blocked.to_string().starts_with(&said), "{blocked}");
        }
        assert_eq!((load.messages, load.waiting), (1, 2));
        assert_eq!(engine.blocked(), None);
        assert_eq!(engine.fanouts().unwrap().len(), 1);
    }

    #[test]
    fn who_comes_later_does_not_wait_for_a_lock_that_has_been_kept_for_long() {
        let engine = engine();
        let names: Vec<String> = (0..60).map(|n| format!("sip:u{n}@h")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        start(&engine, &names);
        let cookies: Vec<u64> = attempts(&engine).iter().map(Attempt::cookie).collect();
        assert_eq!(cookies.len(), 60);
        // One after the other: at ten milliseconds for each it would be 1.2 s.
        while_blocked(&engine, || {
            let begin = Instant::now();
            for &cookie in &cookies {
                engine.completed(cookie, 200);
                engine.released(cookie);
            }
            assert!(begin.elapsed() < AT_ONCE / 4, "{:?}", begin.elapsed());
        });
        assert_eq!(outcomes(&engine).len(), 60);
        assert_eq!(engine.load().transactions, 0);
    }
}
