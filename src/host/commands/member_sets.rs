//! All the members that a group shall have, given in parts: where there are more of them than fit into one command.

#![forbid(unsafe_code)]

use super::answer::Fault;
use crate::sip::text::Printable;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many sets may be open.
const MOST: usize = 16;

/// How long a set is remembered to which nothing is added.
const PATIENCE: Duration = Duration::from_secs(600);

/// The sets that are open, by their names.
pub struct MemberSets {
    open: BTreeMap<String, MemberSet>,
    max_members: u32,
}

/// The members that a group shall have, as far as they were given.
#[derive(Debug)]
pub struct MemberSet {
    /// The group's address.
    pub group: String,
    /// Its members, as they were given.
    pub members: Vec<String>,
    used: Instant,
}

impl MemberSets {
    /// None; each may have twice so many members, as some may be given more than once.
    pub fn new(max_members: u32) -> Self {
        Self {
            open: BTreeMap::new(),
            max_members,
        }
    }

    /// Begins a set; gives its name, which no other one had or will have, not even after a restart.
    pub fn begin(&mut self, group: String) -> Result<String, Fault> {
        self.forget_old();
        if self.open.len() >= MOST {
            let names: Vec<_> = self.open.keys().map(String::as_str).collect();
            return Err(Fault::unavailable(format!(
                "{MOST} sets of members are open already; commit or drop one of them: {}",
                names.join(" ")
            )));
        }
        let random = getrandom::u64().map_err(|error| Fault::failed(error.to_string()))?;
        let name = format!("set-{random:016x}");
        let set = MemberSet {
            group,
            members: Vec::new(),
            used: Instant::now(),
        };
        self.open.insert(name.clone(), set);
        Ok(name)
    }

    /// Adds members to a set; gives it as it is now.
    pub fn add(&mut self, name: &str, members: &[String]) -> Result<&MemberSet, Fault> {
        self.forget_old();
        let set = self.open.get_mut(name).ok_or_else(|| none(name))?;
        let (count, most) = (set.members.len() + members.len(), self.max_members);
        if count > most as usize * 2 {
            return Err(Fault::of(
                413,
                format!(
                    "{count} members were given for {}, and {most} are allowed (max_members); drop this set",
                    set.group
                ),
            ));
        }
        set.members.extend_from_slice(members);
        set.used = Instant::now();
        Ok(set)
    }

    /// Ends a set; gives what it has.
    pub fn take(&mut self, name: &str) -> Result<MemberSet, Fault> {
        self.forget_old();
        self.open.remove(name).ok_or_else(|| none(name))
    }

    /// Opens a set again that was taken and could not be used.
    pub fn put_back(&mut self, name: &str, set: MemberSet) {
        self.open.insert(name.to_owned(), set);
    }

    /// Forgets sets to which nothing was added for long.
    pub fn forget_old(&mut self) {
        self.open.retain(|_, set| set.used.elapsed() < PATIENCE);
    }
}

fn none(name: &str) -> Fault {
    Fault::missing(format!(
        "no set of members \"{}\" is open: begin one with member_set_begin; after {} minutes without an addition, and when the proxy ends, it is forgotten",
        Printable(name.as_bytes()),
        PATIENCE.as_secs() / 60
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_what_was_given_for_it() {
        let mut sets = MemberSets::new(2);
        let one = sets.begin("sip:a@h".to_owned()).unwrap();
        let two = sets.begin("sip:b@h".to_owned()).unwrap();
        assert_ne!(one, two);
        let members = ["sip:x@h", "sip:y@h"].map(str::to_owned);
        assert_eq!(sets.add(&one, &members).unwrap().members.len(), 2);
        assert_eq!(sets.add(&one, &members).unwrap().members.len(), 4);
        assert_eq!(sets.add(&one, &members[..1]).unwrap_err().code, 413);
        assert_eq!(sets.add("3", &members).unwrap_err().code, 404);
        let taken = sets.take(&one).unwrap();
        assert_eq!((taken.group.as_str(), taken.members.len()), ("sip:a@h", 4));
        assert_eq!(sets.take(&one).unwrap_err().code, 404);
        sets.put_back(&one, taken);
        assert_eq!(sets.take(&one).unwrap().members.len(), 4);
        assert_eq!(sets.take(&two).unwrap().members.len(), 0);
    }

    #[test]
    fn there_are_no_more_than_some_at_once_and_old_ones_are_forgotten() {
        let mut sets = MemberSets::new(2);
        let mut names = Vec::new();
        for _ in 0..MOST {
            names.push(sets.begin("sip:a@h".to_owned()).unwrap());
        }
        let fault = sets.begin("sip:a@h".to_owned()).unwrap_err();
        assert_eq!(fault.code, 503);
        assert!(fault.text.contains(&names[0]), "{fault}");
        let long_ago = Instant::now().checked_sub(PATIENCE).unwrap();
        sets.open.get_mut(&names[0]).unwrap().used = long_ago;
        sets.begin("sip:b@h".to_owned()).unwrap();
        assert_eq!(sets.take(&names[0]).unwrap_err().code, 404);
        assert_eq!(sets.take(&names[1]).unwrap().group, "sip:a@h");
    }
}
