//! Groups composed of nested ones, cached as long as their parts are unchanged.

#![forbid(unsafe_code)]

use crate::control::{Addressing, Group};
use lru::LruCache;
use std::sync::Arc;

/// Sets of parts that are cached: originators may be permitted to use different parts of the same
/// group.
const MOST: usize = 64;

/// A bounded cache of unions.
pub struct Unions {
    /// Keyed by the memory addresses of the parts, a zero, and those of the groups whose members are
    /// left out. The entry keeps all of them alive, so no other group can be at the same address.
    known: LruCache<Vec<usize>, Union>,
    members: usize,
    bound: usize,
}

struct Union {
    group: Arc<Group>,
    _parts: Box<[Arc<Group>]>,
    weight: usize,
}

impl Unions {
    /// Room for a quarter of `members` members.
    pub fn new(members: u32) -> Self {
        Self {
            known: LruCache::unbounded(),
            members: 0,
            bound: members as usize / 4,
        }
    }

    /// The union of `parts`, minus the members of `without`.
    pub fn get(
        &mut self,
        parts: &[Arc<Group>],
        without: &[Arc<Group>],
        addressing: &Addressing,
    ) -> Arc<Group> {
        let addresses = |groups: &[Arc<Group>]| -> Vec<usize> {
            let addresses = groups.iter().map(|group| Arc::as_ptr(group).addr());
            addresses.collect()
        };
        let key = [addresses(parts), vec![0], addresses(without)].concat();
        if let Some(union) = self.known.get(&key) {
            return union.group.clone();
        }
        let group = Arc::new(Group::union(parts, without, addressing));
        let parts = [parts, without].concat();
        // A part evicted from the group cache is still held here, so its weight counts.
        let weight = parts.iter().map(|part| part.weight()).sum::<usize>() + group.members();
        if weight > self.bound {
            return group;
        }
        let union = Union {
            group: group.clone(),
            _parts: parts.into_boxed_slice(),
            weight,
        };
        self.members += weight;
        self.known.put(key, union);
        while self.members > self.bound || self.known.len() > MOST {
            match self.known.pop_lru() {
                Some((_, union)) => self.members -= union.weight,
                None => break,
            }
        }
        group
    }
}
