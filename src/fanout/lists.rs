//! Lists without memory of their own: the links stand in what is listed. All of them are changed with the lock alone.

#![deny(unsafe_code)]

use super::recipient::Recipient;
use super::shared_memory::{At, HasLock, HasMemory, IsUnpublished, Link, Shared, shared};
use std::marker::PhantomData;

shared! {
    /// The next and the previous one in a list.
    pub(super) struct Links<T> {
        next: Link<T>,
        previous: Link<T>,
    }

    /// A list that can be left from the middle, by the links of this kind.
    pub(super) struct List<T, W> {
        head: Link<T>,
        tail: Link<T>,
        kind: PhantomData<W>,
    }

    /// A queue of recipients, each in one queue at most.
    pub(super) struct Queue {
        head: Link<Recipient>,
        tail: Link<Recipient>,
    }
}

impl<T> Links<T> {
    /// Forgets the list.
    pub(super) fn forget(&self, held: &impl HasLock) {
        self.next.set(held, None);
        self.previous.set(held, None);
    }

    /// Empties them, before anybody else sees what is listed.
    pub(super) fn clear(&self, unpublished: &impl IsUnpublished) {
        self.next.clear(unpublished);
        self.previous.clear(unpublished);
    }
}

/// The links by which turns are taken, or something else is waited for.
pub(super) enum Turn {}

/// The links by which all are found.
pub(super) enum All {}

/// What has links of this kind.
pub(super) trait Listed<W>: Shared {
    fn links(&self) -> &Links<Self>;
}

impl<T: Listed<W>, W> List<T, W> {
    /// The first one.
    #[inline]
    pub(super) fn head(&self) -> Option<At<T>> {
        self.head.get()
    }

    /// The one behind this one.
    #[inline]
    pub(super) fn after(&self, held: &impl HasMemory, at: At<T>) -> Option<At<T>> {
        held.memory()[at].links().next.get()
    }

    /// Puts one that is in no list with these links behind all others.
    #[inline]
    pub(super) fn push(&self, held: &impl HasMemory, at: At<T>) {
        let (memory, tail) = (held.memory(), self.tail.get());
        let links = memory[at].links();
        links.next.set(held, None);
        links.previous.set(held, tail);
        match tail {
            None => self.head.set(held, Some(at)),
            Some(tail) => memory[tail].links().next.set(held, Some(at)),
        }
        self.tail.set(held, Some(at));
    }

    /// Takes out one that is in the list.
    #[inline]
    pub(super) fn remove(&self, held: &impl HasMemory, at: At<T>) {
        let memory = held.memory();
        let links = memory[at].links();
        let (next, previous) = (links.next.get(), links.previous.get());
        debug_assert!(next.is_some() || self.tail.get() == Some(at));
        debug_assert!(previous.is_some() || self.head.get() == Some(at));
        match next {
            None => self.tail.set(held, previous),
            Some(next) => memory[next].links().previous.set(held, previous),
        }
        match previous {
            None => self.head.set(held, next),
            Some(previous) => memory[previous].links().next.set(held, next),
        }
        links.next.set(held, None);
        links.previous.set(held, None);
    }

    /// Forgets what is listed.
    pub(super) fn clear(&self, held: &impl HasLock) {
        self.head.set(held, None);
        self.tail.set(held, None);
    }
}

impl Queue {
    /// The first recipient.
    #[inline]
    pub(super) fn head(&self) -> Option<At<Recipient>> {
        self.head.get()
    }

    /// All recipients, the first one first.
    pub(super) fn iter(&self, held: &impl HasMemory) -> impl Iterator<Item = At<Recipient>> {
        let memory = held.memory();
        std::iter::successors(self.head(), |&entry| memory[entry].link().get())
    }

    /// Puts a recipient that is in no queue behind all others; says whether it is the only one.
    #[inline]
    pub(super) fn push(&self, held: &impl HasMemory, entry: At<Recipient>) -> bool {
        let (memory, tail) = (held.memory(), self.tail.get());
        memory[entry].link().set(held, None);
        match tail {
            None => self.head.set(held, Some(entry)),
            Some(tail) => memory[tail].link().set(held, Some(entry)),
        }
        self.tail.set(held, Some(entry));
        tail.is_none()
    }

    /// Puts a recipient that is in no queue before all others.
    pub(super) fn push_front(&self, held: &impl HasMemory, entry: At<Recipient>) {
        held.memory()[entry].link().set(held, self.head());
        if self.tail.get().is_none() {
            self.tail.set(held, Some(entry));
        }
        self.head.set(held, Some(entry));
    }

    /// Puts a recipient that is in no queue behind one that is in this.
    pub(super) fn push_behind(
        &self,
        held: &impl HasMemory,
        before: At<Recipient>,
        entry: At<Recipient>,
    ) {
        let memory = held.memory();
        memory[entry].link().set(held, memory[before].link().get());
        memory[before].link().set(held, Some(entry));
        if self.tail.get() == Some(before) {
            self.tail.set(held, Some(entry));
        }
    }

    /// Takes out a recipient: the first one, or one that stands behind another.
    pub(super) fn remove(
        &self,
        held: &impl HasMemory,
        before: Option<At<Recipient>>,
        entry: At<Recipient>,
    ) {
        let Some(before) = before else {
            debug_assert!(self.head() == Some(entry));
            self.pop(held);
            return;
        };
        let memory = held.memory();
        debug_assert!(memory[before].link().get() == Some(entry));
        memory[before].link().set(held, memory[entry].link().get());
        if self.tail.get() == Some(entry) {
            self.tail.set(held, Some(before));
        }
        memory[entry].link().set(held, None);
    }

    /// Takes the first recipient.
    #[inline]
    pub(super) fn pop(&self, held: &impl HasMemory) -> Option<At<Recipient>> {
        let entry = self.head()?;
        let link = held.memory()[entry].link();
        let next = link.get();
        self.head.set(held, next);
        if next.is_none() {
            self.tail.set(held, None);
        }
        link.set(held, None);
        Some(entry)
    }

    /// Takes out all recipients for which `leaves` holds; the others keep their order.
    pub(super) fn take_out(
        &self,
        held: &impl HasMemory,
        leaves: impl Fn(At<Recipient>) -> bool,
        left: &mut Vec<At<Recipient>>,
    ) {
        let mut next = self.head();
        let mut kept = None;
        while let Some(entry) = next {
            next = held.memory()[entry].link().get();
            if leaves(entry) {
                self.remove(held, kept, entry);
                left.push(entry);
            } else {
                kept = Some(entry);
            }
        }
    }

    /// Whether nobody is in it, and no change of it is half done.
    pub(super) fn is_clear(&self) -> bool {
        self.head.get().is_none() && self.tail.get().is_none()
    }

    /// Forgets who waits.
    pub(super) fn clear(&self, held: &impl HasLock) {
        self.head.set(held, None);
        self.tail.set(held, None);
    }

    /// The same before anybody else sees it.
    pub(super) fn clear_unpublished(&self, unpublished: &impl IsUnpublished) {
        self.head.clear(unpublished);
        self.tail.clear(unpublished);
    }
}
