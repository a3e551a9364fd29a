//! The cache of a worker: compiled groups, services, and addresses that are neither.

#![forbid(unsafe_code)]

use crate::control::{Group, UriListService};
use lru::LruCache;
use std::sync::Arc;

/// About the memory of one member, in bytes; the unit of all weights here.
const UNIT: usize = 120;

/// What is known about an address.
#[derive(Clone)]
pub enum Known {
    /// It is neither a group nor a service.
    Absent,
    /// A group, ready for use.
    Group(Arc<Group>),
    /// A service, ready for use.
    UriListService(Arc<UriListService>),
    /// A group or service that is larger than the cache: it is read again for each message.
    TooLarge,
    /// A group with more members than the limit.
    TooMany(u64),
}

/// What is known about an address, and the state of the database that this is from.
#[derive(Clone)]
pub struct Entry {
    pub known: Known,
    /// The revision of the group or service; 0 if there is none.
    pub revision: i64,
    /// The revision of the set of groups and services.
    pub directory: i64,
    /// The value of the change counter when this was last verified.
    pub epoch: u64,
}

/// A bounded LRU cache.
pub struct Cache {
    groups: Shelf,
    absences: Shelf,
}

impl Cache {
    /// Room for `members` members. An eighth of it is for absences, which are kept separately:
    /// otherwise a flood of made-up addresses would evict the groups.
    pub fn new(members: u32) -> Self {
        let absences = (members as usize / 8).max(1);
        Self {
            groups: Shelf::new((members as usize).saturating_sub(absences).max(1)),
            absences: Shelf::new(absences),
        }
    }

    /// What is known about `key`.
    pub fn get(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let found = self.groups.entries.get_mut(key);
        let found = found.or_else(|| self.absences.entries.get_mut(key));
        found.map(|(entry, _)| entry)
    }

    /// Stores `entry`; a group that would not fit even alone is stored as `TooLarge`.
    pub fn put(&mut self, key: &[u8], mut entry: Entry) {
        self.groups.remove(key);
        self.absences.remove(key);
        let (shelf, members) = match &entry.known {
            Known::Absent => (&mut self.absences, 0),
            Known::Group(group) => (&mut self.groups, group.weight()),
            Known::UriListService(service) => (&mut self.groups, service.consenting.members()),
            Known::TooLarge | Known::TooMany(_) => (&mut self.groups, 0),
        };
        let mut weight = members + 1 + key.len() / UNIT;
        if weight > shelf.bound && members > 0 {
            entry.known = Known::TooLarge;
            weight -= members;
        }
        shelf.put(key, entry, weight);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.absences.clear();
    }
}

struct Shelf {
    entries: LruCache<Box<[u8]>, (Entry, usize)>,
    weight: usize,
    bound: usize,
}

impl Shelf {
    fn new(bound: usize) -> Self {
        Self {
            entries: LruCache::unbounded(),
            weight: 0,
            bound,
        }
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some((_, weight)) = self.entries.pop(key) {
            self.weight -= weight;
        }
    }

    fn put(&mut self, key: &[u8], entry: Entry, weight: usize) {
        if weight > self.bound {
            return;
        }
        self.weight += weight;
        self.entries.put(key.into(), (entry, weight));
        while self.weight > self.bound {
            match self.entries.pop_lru() {
                Some((_, (_, weight))) => self.weight -= weight,
                None => break,
            }
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.weight = 0;
    }
}
