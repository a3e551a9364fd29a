//! Members as an administrator gives them, and what became of the members of a group.

use super::group_record::GroupRecord;

/// A member as it is given.
#[derive(Clone, Copy, Debug)]
pub struct NewMember<'a> {
    /// The address, in any spelling.
    pub address: &'a str,
    /// The display name, which may appear in copies.
    pub name: Option<&'a str>,
}

impl<'a> From<&'a str> for NewMember<'a> {
    fn from(address: &'a str) -> Self {
        let name = None;
        Self { address, name }
    }
}

/// What becomes of a new member who is a member already, in any spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is refused, and nothing is added.
    Refused,
    /// It stays as it is.
    Skipped,
}

/// What becomes of somebody who is to be deleted and is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is refused, and nobody is deleted.
    Refused,
    /// It is so already.
    Skipped,
}

/// Whether a list without members may take the members of a group away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emptying {
    /// It is refused: a list that could not be made is empty, too.
    Refused,
    /// It may.
    Allowed,
}

/// What became of the members of a group. Addresses are spelt as they are, or were, stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MembersChange {
    /// The group's address.
    pub group: String,
    /// Those who are new.
    pub added: Vec<String>,
    /// Those who are members no more.
    pub deleted: Vec<String>,
    /// Those who stay and have another display name now, or none.
    pub named: Vec<(String, Option<String>)>,
    /// How many of those given were members already.
    pub existing: usize,
    /// How many of those that were to be deleted are no members.
    pub missing: usize,
    /// How many of those given are the address of another one given before.
    pub repeated: usize,
    /// The number of members now.
    pub members: usize,
    /// New members that are groups or services themselves (H-4).
    pub nested: Vec<String>,
}

impl MembersChange {
    /// Nothing, so far.
    pub(super) fn of(group: &GroupRecord) -> Self {
        Self {
            group: group.uri.clone(),
            ..Self::default()
        }
    }

    /// Whether all is as it was.
    pub fn is_none(&self) -> bool {
        self.added.is_empty() && self.deleted.is_empty() && self.named.is_empty()
    }
}
