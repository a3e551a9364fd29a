//! What is under way, for the administrator, who may stop it.

#![forbid(unsafe_code)]

use super::block::Block;
use super::blocked::Blocked;
use super::layout::flag;
use super::lock::OF_CALLBACKS;
use super::locked_queue::LockedQueue;
use super::outcomes::Tally;
use super::pin::Pin;
use super::pinned::Pinned;
use super::under_way::each_message;

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

impl Load {
    /// How much is under way. It needs no lock, so that it is known even while a process keeps that from
    /// the others; what it keeps them from doing is not counted.
    pub(super) fn of(queue: &LockedQueue, now: impl FnOnce() -> u64) -> Self {
        if queue.has_deferred() {
            let _ = queue.with_within(OF_CALLBACKS, |_| ());
        }
        let word = size_of::<u64>() as u64;
        let memory = queue.room.words() * word;
        let (root, scheduler) = (queue.root(), &queue.scheduler);
        let [proxy_memory_free, proxy_memory_reserve] =
            scheduler.copy_memory.free(&queue.memory, now);
        let free = memory.min(root.arena.words.get() * word);
        Self {
            messages: root.flow.messages_length.get(),
            waiting: root.hot.waiting.get(),
            in_flight: root.hot.in_flight.get(),
            silent: root.flow.silent_copies.get(),
            transactions: root.hot.transactions.get(),
            names_asked: scheduler.names.questions.asked(&queue.memory),
            waiting_for_names: scheduler.names.waiting.copies(&queue.memory),
            proxy_memory_free,
            proxy_memory_reserve,
            memory_used: memory - free,
            memory_free: free,
        }
    }
}

impl Fanout {
    /// What is under way, oldest first, but for kept copies that are sent later.
    pub(super) fn all(queue: &LockedQueue) -> Result<Vec<Self>, Blocked> {
        let mut found = Vec::new();
        each_message(queue, |held, at| {
            if held.block(at).kept() != 0 {
                return true;
            }
            let pin = Pin::set(held, at);
            let in_flight = held[at].in_flight.get();
            let silent = held[at].silent.get();
            let tally = held[at].tallied();
            found.push((Pinned::new(queue, pin), [in_flight, silent], tally));
            true
        })?;
        let fanouts = found.into_iter().map(|(pin, [in_flight, silent], tally)| {
            let block = pin.block();
            let [originator, group, ..] = block.texts();
            Self {
                message: block.number(),
                group: group.to_vec(),
                originator: originator.to_vec(),
                recipients: block.count() as u32,
                in_flight,
                silent,
                tally,
                accepted_at: queue.memory[block.at()].by_clock(block.accepted_at()),
            }
        });
        Ok(fanouts.collect())
    }
}

/// What became of a message that was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// Recipients to whom nothing was sent and nothing will be.
    pub skipped: u32,
    /// Forks without a final response, which still get theirs.
    pub in_flight: u32,
    /// Recipients that had ended before.
    pub ended: u32,
}

/// Lets go a message that another node sends: no more forks are sent here, and it is in no ledger any more. Says whether there
/// is such a message.
pub(super) fn let_go(queue: &LockedQueue, message: u64) -> Result<bool, Blocked> {
    let found = close(queue, message, |block| block.set_ledger(0))?;
    Ok(found.is_some())
}

/// Sends no more forks of a message: who has got none is skipped. Gives nothing if there is no such message.
pub(super) fn cancel(queue: &LockedQueue, message: u64) -> Result<Option<Cancelled>, Blocked> {
    close(queue, message, |_| ())
}

/// Closes a message as cancelled, after something was done with it.
fn close(
    queue: &LockedQueue,
    message: u64,
    before: impl Fn(Block<'_>),
) -> Result<Option<Cancelled>, Blocked> {
    let mut found = None;
    each_message(queue, |held, at| {
        let block = held.block(at);
        if block.number() != message {
            return true;
        }
        before(block);
        let (in_flight, ended) = (held[at].in_flight.get(), held[at].tallied().ended());
        found = Some(Cancelled {
            skipped: block.count() as u32 - ended - in_flight,
            in_flight,
            ended,
        });
        queue.scheduler.close(held, at, flag::CANCELLED);
        false
    })?;
    Ok(found)
}
