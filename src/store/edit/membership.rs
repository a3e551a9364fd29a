//! Members of a group: added, set, named and deleted, each in one transaction.

use super::address::{checked_name, group_uri};
use super::change::Change;
use super::group_record::GroupRecord;
use super::members_change::{Emptying, Existing, MembersChange, Missing, NewMember};
use super::{EditError, Editor, Scope};

impl Editor {
    /// Adds members, all or none.
    ///
    /// # Errors
    ///
    /// There is no such group, addresses are invalid for a member or duplicates, names are unprintable, or there are
    /// too many members.
    pub fn add_members<'a>(
        &mut self,
        uri: &str,
        members: impl IntoIterator<Item = impl Into<NewMember<'a>>>,
        existing: Existing,
    ) -> Result<MembersChange, EditError> {
        self.change_members(uri, members, |change, group, members| {
            change.add_members(group, members, existing)
        })
    }

    /// Makes the members of a group exactly these, all or none. Who is a member already, in any spelling, stays as
    /// they are, but for the name if one is given.
    ///
    /// # Errors
    ///
    /// There is no such group, addresses are invalid for a member, names are unprintable, there are too many members,
    /// or none although that is not allowed.
    pub fn set_members<'a>(
        &mut self,
        uri: &str,
        members: impl IntoIterator<Item = impl Into<NewMember<'a>>>,
        emptying: Emptying,
    ) -> Result<MembersChange, EditError> {
        self.change_members(uri, members, |change, group, members| {
            if members.is_empty() && emptying == Emptying::Refused {
                return Err(EditError::NoMembersGiven {
                    group: group.uri.clone(),
                    members: group.members,
                });
            }
            change.set_members(group, members)
        })
    }

    /// Runs `work` on a group with members that are given.
    fn change_members<'a>(
        &mut self,
        uri: &str,
        members: impl IntoIterator<Item = impl Into<NewMember<'a>>>,
        work: impl FnOnce(
            &Change<'_>,
            &GroupRecord,
            &[NewMember<'_>],
        ) -> Result<MembersChange, EditError>,
    ) -> Result<MembersChange, EditError> {
        let uri = group_uri(uri)?;
        let members: Vec<NewMember<'_>> = members.into_iter().map(Into::into).collect();
        self.change(
            || Scope::of_members(&uri, &members),
            |change| work(change, &change.existing_group(&uri)?, &members),
        )
    }

    /// Sets or removes the display name of a member; gives the member's address as stored, and whether it had another
    /// name before.
    ///
    /// # Errors
    ///
    /// There is no such group or member, or the name is unprintable.
    pub fn name_member(
        &mut self,
        uri: &str,
        member: &str,
        name: Option<&str>,
    ) -> Result<(String, bool), EditError> {
        let uri = group_uri(uri)?;
        let name = name.map(checked_name).transpose()?;
        self.change(
            || Scope::of([uri.as_str()]),
            |change| {
                let group = change.existing_group(&uri)?;
                let stored = change.stored_member(&group, member)?;
                let names = change.names(&group)?;
                let is_new = names.get(&stored).map(String::as_str) != name;
                if is_new {
                    change.name_member(&group, &stored, name)?;
                }
                Ok((stored, is_new))
            },
        )
    }

    /// Deletes members, all or none, each matched by its stored text or by URI equality (C-1, C-3).
    ///
    /// # Errors
    ///
    /// There is no such group or member, or several members equal the given address.
    pub fn delete_members<'a>(
        &mut self,
        uri: &str,
        members: impl IntoIterator<Item = &'a str>,
        missing: Missing,
    ) -> Result<MembersChange, EditError> {
        let uri = group_uri(uri)?;
        self.change(
            || Scope::of([uri.as_str()]),
            |change| {
                let group = change.existing_group(&uri)?;
                change.delete_members(&group, members, missing)
            },
        )
    }
}
