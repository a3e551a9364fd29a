//! Commands about the members of groups.

#![forbid(unsafe_code)]

use super::answer::{Answer, Fault};
use super::arguments::Arguments;
use super::command::Changed;
use super::group_commands::with_count;
use super::keeper::Keeper;
use super::page_arguments::{MOST, page};
use crate::sip::text::Printable;
use crate::store::edit::{
    Emptying, Existing, GivenMember, MembersChange, Missing, NewMember, check_members,
};
use serde_json::json;

/// The members of a group with their names, sorted by address.
pub fn list(keeper: &mut Keeper<'_>, given: &Arguments) -> Answer {
    let page = page(given, 1)?;
    let members = keeper.edit(|editor| editor.members_page(given.text(0), page))?;
    let all = members.iter().map(
        |(member, name)| json!({ "member": member, "name": name.as_deref().unwrap_or_default() }),
    );
    Ok(all.collect())
}

/// The groups that somebody is in.
pub fn find(keeper: &mut Keeper<'_>, given: &Arguments) -> Answer {
    let found = keeper.look_through(|editor| editor.find_member(given.text(0)))?;
    let all = found.iter().take(MOST as usize).map(|found| {
        json!({
            "group": found.group,
            "member": found.member,
            "name": found.name.as_deref().unwrap_or_default(),
        })
    });
    Ok(all.collect())
}

/// Adds members. Who is one already stays as they are.
pub fn add(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    let members = Members::of(given.all(1))?;
    let change = keeper
        .edit(|editor| editor.add_members(given.text(0), members.all(), Existing::Skipped))?;
    Ok(told(&change))
}

/// Deletes members. Who is none is not there already.
pub fn delete(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    let members = Members::of(given.all(1))?;
    let addresses = members.all().map(|member| member.address);
    let change =
        keeper.edit(|editor| editor.delete_members(given.text(0), addresses, Missing::Skipped))?;
    Ok(told(&change))
}

/// Makes the members of a group exactly these.
pub fn set(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    set_to(keeper, given.text(0), given.all(1))
}

/// Deletes all members of a group.
pub fn clear(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    let none = [""; 0];
    let change =
        keeper.edit(|editor| editor.set_members(given.text(0), none, Emptying::Allowed))?;
    Ok(told(&change))
}

/// Sets the name of a member, or removes it.
pub fn name(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    let [group, member] = [given.text(0), given.text(1)];
    let name = given.optional(2);
    let (member, is_new) = keeper.edit(|editor| editor.name_member(group, member, name))?;
    let answer = json!({ "member": member, "name": name.unwrap_or_default() });
    Ok(with_count("named", answer, is_new))
}

/// Begins a set of members that are given in parts.
pub fn begin_set(keeper: &mut Keeper<'_>, given: &Arguments) -> Answer {
    let group = given.text(0);
    // A group that is not there is told now, and not after a million members.
    keeper.edit(|editor| editor.group_record(group))?;
    let set = keeper.sets.begin(group.to_owned())?;
    Ok(json!({ "set": set, "group": group }))
}

/// Adds members to such a set.
pub fn add_to_set(keeper: &mut Keeper<'_>, given: &Arguments) -> Answer {
    let members = given.all(1);
    // What is wrong with them is told with them.
    check_members(Members::of(members)?.all())?;
    let set = keeper.sets.add(given.text(0), members)?;
    Ok(json!({ "group": set.group, "given": set.members.len() }))
}

/// Makes the members of its group exactly those of such a set. If that is refused, the set stays open.
pub fn commit_set(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    let name = given.text(0);
    let set = keeper.sets.take(name)?;
    let done = set_to(keeper, &set.group, &set.members);
    if done.is_err() {
        keeper.sets.put_back(name, set);
    }
    done
}

/// Drops such a set.
pub fn drop_set(keeper: &mut Keeper<'_>, given: &Arguments) -> Answer {
    let set = keeper.sets.take(given.text(0))?;
    Ok(json!({ "group": set.group, "given": set.members.len() }))
}

fn set_to(keeper: &mut Keeper<'_>, group: &str, members: &[String]) -> Result<Changed, Fault> {
    if members.is_empty() {
        return Err(Fault::given(format!(
            "{}: expected at least one member, found an empty list, which would delete all; nothing was changed, member_clear does that",
            Printable(group.as_bytes())
        )));
    }
    let members = Members::of(members)?;
    let change =
        keeper.edit(|editor| editor.set_members(group, members.all(), Emptying::Refused))?;
    Ok(told(&change))
}

/// Members as they were given, each as an address or as `"Name" <address>`.
struct Members(Vec<GivenMember>);

impl Members {
    fn of(given: &[String]) -> Result<Self, Fault> {
        let read = given.iter().map(|text| {
            let shown = Printable(text.as_bytes());
            GivenMember::parse(text).map_err(|why| Fault::given(format!("\"{shown}\": {why}")))
        });
        read.collect::<Result<_, _>>().map(Self)
    }

    fn all(&self) -> impl Iterator<Item = NewMember<'_>> {
        self.0.iter().map(GivenMember::as_new)
    }
}

/// What has become of the members of a group, in numbers: an answer has room for no more.
fn told(change: &MembersChange) -> Changed {
    Changed {
        answer: json!({
            "group": change.group,
            "member_count": change.members,
            "added": change.added.len(),
            "deleted": change.deleted.len(),
            "named": change.named.len(),
            "existing": change.existing,
            "missing": change.missing,
            "repeated": change.repeated,
        }),
        is_new: !change.is_none(),
    }
}
