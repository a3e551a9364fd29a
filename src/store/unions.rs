//! Groups put together from nested ones, remembered for as long as their parts are the same.

use crate::control::{Addressing, Group};
use lru::LruCache;
use std::sync::Arc;

/// Different sets of parts that are remembered: one group may be asked for by people who may use
/// different parts of it.
const MOST: usize = 64;

/// A bounded memory of unions.
pub struct Unions {
    /// By the addresses in memory of the parts, a zero, and those of the groups whose members are left
    /// out. All are kept: so no other group can take their place there.
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

    /// The union of `parts`, without the members of others.
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
        // A part that has left the cache of groups is still here, and counts.
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
