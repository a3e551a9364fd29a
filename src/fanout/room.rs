//! Room for messages: the memory that each takes, and the budgets of its originator, its group and all (S-5). Both are
//! taken before its 202, and given back if it is not answered so.

#![forbid(unsafe_code)]

use super::arena::Arena;
use super::block::{Size, Unpublished};
use super::budget::{Budget, BudgetKeys, give_back_rate, take_rate};
use super::keys::Keys;
use super::layout::Message;
use super::lock::Held;
use super::queue_reasons::{NoRoom, NoRoomReason};
use super::scheduler::Scheduler;
use super::shared_memory::{At, SharedMemory};
use super::submission::Submission;
use crate::config::{Quota, Settings};
use crate::sip::address_text::address_of_record;

/// The longest that a client is asked to wait for room in the queue, in seconds.
const LONGEST_WAIT: u64 = 120;

/// Memory and budgets.
#[derive(Debug)]
pub(super) struct Room {
    arena: Arena,
    budget: Budget,
    keys: Keys,
    quota_originator: Option<Quota>,
    quota_group: Option<Quota>,
    rate: u32,
    queue_messages: u32,
}

impl Room {
    pub(super) fn new(limits: &Settings, keys: Keys, budget: Budget, arena: Arena) -> Self {
        Self {
            arena,
            budget,
            keys,
            quota_originator: limits.quota_originator,
            quota_group: limits.quota_group,
            rate: limits.rate,
            queue_messages: limits.queue_messages,
        }
    }

    /// The keys of a message's budgets.
    pub(super) fn keys_of(&self, submission: &Submission<'_>) -> BudgetKeys {
        let key = |quota: Option<Quota>, kind: u8, text: &[u8]| {
            quota.map_or(0, |_| self.keys.of_quota(kind, text))
        };
        let originator = address_of_record(submission.originator);
        [
            key(self.quota_originator, 1, &originator),
            key(self.quota_group, 2, submission.group),
        ]
    }

    /// Takes budgets and memory for a message. Row 9 before row 13: first what the sender has used up, then what the
    /// server has.
    pub(super) fn take(
        &self,
        held: &Held<'_>,
        size: Option<Size>,
        keys: BudgetKeys,
        now: u64,
    ) -> Result<(Unpublished, Size), NoRoom> {
        self.take_budgets(held, keys, now)?;
        let taken = self.take_memory(held, size);
        if taken.is_err() {
            self.give_back_budgets(held, keys);
        }
        taken
    }

    fn take_budgets(&self, held: &Held<'_>, keys: BudgetKeys, now: u64) -> Result<(), NoRoom> {
        let [originator, group] = keys;
        self.budget
            .take(held, originator, self.quota_originator, now)
            .map_err(no_room(NoRoomReason::OriginatorQuota))?;
        let taken = self.budget.take(held, group, self.quota_group, now);
        if let Err(seconds) = taken {
            self.give_back_originator(held, originator);
            return Err(no_room(NoRoomReason::GroupQuota)(seconds));
        }
        if let Err(seconds) = take_rate(held, self.rate, now) {
            self.give_back_quotas(held, keys);
            return Err(no_room(NoRoomReason::Rate)(seconds));
        }
        Ok(())
    }

    fn take_memory(
        &self,
        held: &Held<'_>,
        size: Option<Size>,
    ) -> Result<(Unpublished, Size), NoRoom> {
        if held.root.flow.messages_length.get() >= u64::from(self.queue_messages) {
            return Err(no_room(NoRoomReason::QueueFull)(seconds_until_room(held)));
        }
        let taken = size.and_then(|size| Some((self.allocate(held, size)?, size)));
        taken.ok_or_else(|| no_room(NoRoomReason::QueueMemory)(seconds_until_room(held)))
    }

    /// Takes memory alone, which no budget bounds, for a message that was accepted before.
    pub(super) fn allocate(&self, held: &Held<'_>, size: Size) -> Option<Unpublished> {
        let memory = self.arena.allocate(held, size.words())?;
        held.root.flow.messages_length.add(held, 1);
        Some(memory)
    }

    /// Gives back what [`Room::take`] has taken.
    pub(super) fn give_back(&self, held: &mut Held<'_>, at: At<Message>, keys: BudgetKeys) {
        self.give_back_budgets(held, keys);
        self.free(held, at);
    }

    fn give_back_budgets(&self, held: &Held<'_>, keys: BudgetKeys) {
        give_back_rate(held, self.rate);
        self.give_back_quotas(held, keys);
    }

    fn give_back_quotas(&self, held: &Held<'_>, [originator, group]: BudgetKeys) {
        self.budget.give_back(held, group, self.quota_group);
        self.give_back_originator(held, originator);
    }

    fn give_back_originator(&self, held: &Held<'_>, originator: u64) {
        self.budget
            .give_back(held, originator, self.quota_originator);
    }

    /// Gives back the memory of a message that was not started.
    pub(super) fn free(&self, held: &mut Held<'_>, at: At<Message>) {
        held.root.flow.messages_length.subtract(held, 1);
        self.arena.free(held, at);
    }

    /// Gives back the memory of a message that is finished.
    pub(super) fn free_finished(
        &self,
        held: &mut Held<'_>,
        scheduler: &Scheduler,
        at: At<Message>,
    ) {
        scheduler.remove(held, at);
        self.free(held, at);
    }

    /// All messages that have memory, started or not.
    pub(super) fn messages(&self, held: &Held<'_>) -> Vec<At<Message>> {
        self.arena.used(held)
    }

    /// Whether a message has its memory there. It needs no lock where somebody has pinned the message.
    pub(super) fn is_taken(&self, memory: &SharedMemory, at: At<Message>) -> bool {
        self.arena.is_used(memory, at)
    }

    /// Lists the free memory anew after a process has died; gives all messages that have memory, started or not.
    pub(super) fn recover(&self, held: &Held<'_>) -> Vec<At<Message>> {
        let messages = self.arena.recover(held);
        let length = messages.len() as u64;
        held.root.flow.messages_length.set(held, length);
        messages
    }

    /// Words of memory for messages.
    pub(super) fn words(&self) -> u64 {
        // The last one is the end mark.
        self.arena.words as u64 - 1
    }
}

fn no_room(reason: NoRoomReason) -> impl FnOnce(u32) -> NoRoom {
    move |retry_after| NoRoom {
        reason,
        retry_after,
    }
}

/// Seconds until the queue may have room: as long as what waits takes at the present speed.
fn seconds_until_room(held: &Held<'_>) -> u32 {
    let seconds = held.root.hot.waiting.get() / held.root.flow.speed.get().max(1);
    seconds.clamp(1, LONGEST_WAIT) as u32
}
