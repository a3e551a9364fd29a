//! What is under way, for the administrator, and what is done by the clock.

#![forbid(unsafe_code)]

use super::counters::Counter;
use super::engine::Engine;
use super::layout::{Message, flag};
use super::lock::{Blocked, Held, OF_CALLBACKS, OF_MESSAGES};
use super::outcomes::Tally;
use super::pin::Pin;
use super::pinned::Pinned;
use super::shared_memory::At;
use std::sync::atomic::Ordering::Relaxed;

/// Messages that are looked at before others get the lock.
const STEPS: usize = 32;
/// What counts recipients that have ended.
const ENDED: [Counter; 4] = [
    Counter::ForksDelivered,
    Counter::ForksFailed,
    Counter::ForksExpired,
    Counter::ForksSkipped,
];
/// Milliseconds between two measurements of the speed.
const MEASURE: u64 = 1_000;

/// A message that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fanout {
    /// Its number.
    pub message: u64,
    /// The URI of the group or service.
    pub group: Vec<u8>,
    /// The originator's address.
    pub originator: Vec<u8>,
    /// Recipients.
    pub recipients: u32,
    /// Forks without a final response.
    pub in_flight: u32,
    /// How many of these have been silent for longer than `patience`.
    pub silent: u32,
    /// How those ended that have.
    pub tally: Tally,
    /// When it was accepted, by the engine's clock.
    pub accepted_at: u64,
}

/// How much is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Messages, those included that were not started or whose end was not reported yet.
    pub messages: u64,
    /// Recipients that have not ended.
    pub waiting: u64,
    /// Forks without a final response.
    pub in_flight: u64,
    /// Forks in flight that have been silent for longer than `patience`.
    pub silent: u64,
    /// Transactions of the proxy in use.
    pub transactions: u64,
    /// Names of next hops that are being asked.
    pub names_asked: u64,
    /// Recipients that wait for the name of their next hop.
    pub waiting_for_names: u64,
    /// Bytes of the proxy's shared memory that are free; 0 where it is not asked.
    pub proxy_memory_free: u64,
    /// Bytes of it that copies leave alone.
    pub proxy_memory_reserve: u64,
    /// Bytes of memory for messages that are used.
    pub memory_used: u64,
    /// Bytes of memory for messages that are free.
    pub memory_free: u64,
}

impl Engine {
    /// How much is under way. It needs no lock, so that it is known even while a process keeps that from
    /// the others; what it keeps them from doing is not counted.
    pub fn load(&self) -> Load {
        if self.root().attention.deferred.load(Relaxed) != 0 {
            let _ = self.with_within(OF_CALLBACKS, |_| ());
        }
        let word = size_of::<u64>() as u64;
        let memory = (self.arena.words as u64 - 1) * word;
        let [proxy_memory_free, proxy_memory_reserve] =
            self.scheduler.copy_memory.free(&self.memory, || self.now());
        let free = memory.min(self.root().arena.words.get() * word);
        Load {
            messages: self.root().flow.messages_length.get(),
            waiting: self.root().hot.waiting.get(),
            in_flight: self.root().hot.in_flight.get(),
            silent: self.root().flow.silent_copies.get(),
            transactions: self.root().hot.transactions.get(),
            names_asked: self.scheduler.names.asked(&self.memory),
            waiting_for_names: self.scheduler.names.waiting(&self.memory),
            proxy_memory_free,
            proxy_memory_reserve,
            memory_used: memory - free,
            memory_free: free,
        }
    }

    /// What is under way, oldest first, but for kept copies that are sent later.
    pub fn fanouts(&self) -> Result<Vec<Fanout>, Blocked> {
        let mut found = Vec::new();
        self.each_message(|held, at| {
            if held.block(at).kept() != 0 {
                return true;
            }
            let pin = Pin::set(held, at);
            let in_flight = held[at].in_flight.get();
            let silent = held[at].silent.get();
            let tally = held[at].tallied();
            found.push((Pinned::new(self, pin), [in_flight, silent], tally));
            true
        })?;
        let fanouts = found.into_iter().map(|(pin, [in_flight, silent], tally)| {
            let block = pin.block();
            let [originator, group, ..] = block.texts();
            Fanout {
                message: block.number(),
                group: group.to_vec(),
                originator: originator.to_vec(),
                recipients: block.count() as u32,
                in_flight,
                silent,
                tally,
                accepted_at: self.memory[block.at()].by_clock(block.accepted_at()),
            }
        });
        Ok(fanouts.collect())
    }

    /// Sends no more forks of a message: who has got none is skipped. Says whether there is such a
    /// message.
    pub fn cancel(&self, message: u64) -> Result<bool, Blocked> {
        let mut found = false;
        self.each_message(|held, at| {
            found = held.block(at).number() == message;
            if found {
                self.scheduler.close(held, at, flag::CANCELLED);
            }
            !found
        })?;
        Ok(found)
    }

    /// What is done by the clock, to be called about once a second by the process that reports
    /// outcomes, and when it is woken: ends what has expired or was cancelled, and takes back what
    /// a process that died was about to send. While a process keeps the lock from the others, nothing is
    /// done, and the log says so.
    pub fn tick(&self, now: u64) {
        // Told by the log; the next tick does it.
        let _ = self.tick_unless_blocked(now);
    }

    fn tick_unless_blocked(&self, now: u64) -> Result<(), Blocked> {
        self.with_within(OF_MESSAGES, |held| self.measure(held, now))?;
        self.each_message(|held, at| {
            if held[at].has_expired(|| now) {
                self.scheduler.close(held, at, 0);
            }
            true
        })?;
        self.scheduler.copy_memory.log_if_short(&self.memory, now);
        self.take_back_from_the_dead()?;
        while self.with_within(OF_MESSAGES, |held| self.scheduler.close_some(held))? {}
        self.look_at_names(now)
    }

    /// Measures how many recipients end in a second.
    fn measure(&self, held: &Held<'_>, now: u64) {
        let passed = now.saturating_sub(held.root.flow.measured_at.get());
        if passed < MEASURE {
            return;
        }
        let ended = ENDED.map(|counter| self.scheduler.counters.get(counter));
        let ended: u64 = ended.iter().sum();
        held.root.flow.speed.set(
            held,
            (ended - held.root.flow.measured.get()) * 1000 / passed,
        );
        held.root.flow.measured.set(held, ended);
        held.root.flow.measured_at.set(held, now);
    }

    /// Looks at all messages until `work` says that it is enough. Others get the lock in between.
    pub(super) fn each_message(
        &self,
        mut work: impl FnMut(&Held<'_>, At<Message>) -> bool,
    ) -> Result<(), Blocked> {
        let mut last: Option<Pinned<'_>> = None;
        loop {
            let reached = self.with_within(OF_MESSAGES, |held| {
                let mut next = match &last {
                    None => held.root.flow.messages.head(),
                    Some(last) => held.root.flow.messages.after(held, last.at()),
                };
                let mut reached = None;
                for _ in 0..STEPS {
                    let at = next?;
                    if !work(held, at) {
                        return None;
                    }
                    reached = next;
                    next = held.root.flow.messages.after(held, at);
                }
                let at = reached?;
                Some(Pinned::new(self, Pin::set(held, at)))
            })?;
            match reached {
                None => return Ok(()),
                reached => last = reached,
            }
        }
    }
}
