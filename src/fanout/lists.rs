//! Lists without memory of their own: the links are words of what is listed. 0 stands for nothing.

#![forbid(unsafe_code)]

use super::lock::Held;
use super::recipient;

/// A list of blocks that can be left from the middle. The anchor word has head and tail; a word of
/// each block has its next and previous.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockList {
    /// Where head and tail are.
    pub(super) anchor: usize,
    /// Which word of a block has its links.
    pub(super) link: usize,
}

impl BlockList {
    /// The first block.
    #[inline]
    pub(super) fn head(self, held: &Held<'_>) -> Option<usize> {
        Some(held.pair(self.anchor).0 as usize).filter(|&block| block != 0)
    }

    /// The block behind this one.
    pub(super) fn after(self, held: &Held<'_>, block: usize) -> Option<usize> {
        Some(held.pair(block + self.link).0 as usize).filter(|&block| block != 0)
    }

    /// Puts a block that is in no list with these links behind all others.
    #[inline]
    pub(super) fn push(self, held: &Held<'_>, block: usize) {
        let (head, tail) = held.pair(self.anchor);
        held.set_pair(block + self.link, 0, tail);
        match tail {
            0 => held.set_pair(self.anchor, block as u32, block as u32),
            tail => {
                let (_, previous) = held.pair(tail as usize + self.link);
                held.set_pair(tail as usize + self.link, block as u32, previous);
                held.set_pair(self.anchor, head, block as u32);
            }
        }
    }

    /// Takes out a block that is in the list.
    #[inline]
    pub(super) fn remove(self, held: &Held<'_>, block: usize) {
        let (next, previous) = held.pair(block + self.link);
        let (mut head, mut tail) = held.pair(self.anchor);
        match next {
            0 => tail = previous,
            next => {
                let (after, _) = held.pair(next as usize + self.link);
                held.set_pair(next as usize + self.link, after, previous);
            }
        }
        match previous {
            0 => head = next,
            previous => {
                let (_, before) = held.pair(previous as usize + self.link);
                held.set_pair(previous as usize + self.link, next, before);
            }
        }
        held.set_pair(self.anchor, head, tail);
        held.set(block + self.link, 0);
    }
}

/// A queue of recipients, each in one queue at most. The anchor word has head and tail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue(pub(super) usize);

impl Queue {
    /// The first recipient.
    #[inline]
    pub(super) fn head(self, held: &Held<'_>) -> Option<usize> {
        Some(held.pair(self.0).0 as usize).filter(|&entry| entry != 0)
    }

    /// All recipients, the first one first.
    pub(super) fn iter(self, held: &Held<'_>) -> impl Iterator<Item = usize> {
        let next = |&entry: &usize| {
            Some(recipient::link(held, entry) as usize).filter(|&entry| entry != 0)
        };
        std::iter::successors(self.head(held), next)
    }

    /// Puts a recipient that is in no queue behind all others; says whether it is the only one.
    #[inline]
    pub(super) fn push(self, held: &Held<'_>, entry: usize) -> bool {
        let (head, tail) = held.pair(self.0);
        recipient::set_link(held, entry, 0);
        match tail {
            0 => held.set_pair(self.0, entry as u32, entry as u32),
            tail => {
                recipient::set_link(held, tail as usize, entry as u32);
                held.set_pair(self.0, head, entry as u32);
            }
        }
        tail == 0
    }

    /// Puts a recipient that is in no queue before all others.
    pub(super) fn push_front(self, held: &Held<'_>, entry: usize) {
        let (head, tail) = held.pair(self.0);
        recipient::set_link(held, entry, head);
        let tail = if tail == 0 { entry as u32 } else { tail };
        held.set_pair(self.0, entry as u32, tail);
    }

    /// Puts a recipient that is in no queue behind one that is in this.
    pub(super) fn push_behind(self, held: &Held<'_>, before: usize, entry: usize) {
        let (head, tail) = held.pair(self.0);
        recipient::set_link(held, entry, recipient::link(held, before));
        recipient::set_link(held, before, entry as u32);
        if tail as usize == before {
            held.set_pair(self.0, head, entry as u32);
        }
    }

    /// Takes out a recipient that stands behind another one.
    pub(super) fn remove_behind(self, held: &Held<'_>, before: usize, entry: usize) {
        let (head, tail) = held.pair(self.0);
        recipient::set_link(held, before, recipient::link(held, entry));
        if tail as usize == entry {
            held.set_pair(self.0, head, before as u32);
        }
        recipient::set_link(held, entry, 0);
    }

    /// Takes the first recipient.
    #[inline]
    pub(super) fn pop(self, held: &Held<'_>) -> Option<usize> {
        let entry = self.head(held)?;
        let (_, tail) = held.pair(self.0);
        match recipient::link(held, entry) {
            0 => held.set_pair(self.0, 0, 0),
            next => held.set_pair(self.0, next, tail),
        }
        recipient::set_link(held, entry, 0);
        Some(entry)
    }

    /// Takes out all recipients for which `leaves` holds; the others keep their order.
    pub(super) fn take_out(
        self,
        held: &Held<'_>,
        leaves: impl Fn(usize) -> bool,
        left: &mut Vec<usize>,
    ) {
        let mut next = self.head(held);
        let mut kept = None;
        while let Some(entry) = next {
            next = Some(recipient::link(held, entry) as usize).filter(|&entry| entry != 0);
            if !leaves(entry) {
                kept = Some(entry);
                continue;
            }
            match kept {
                None => {
                    self.pop(held);
                }
                Some(before) => self.remove_behind(held, before, entry),
            }
            left.push(entry);
        }
    }
}
