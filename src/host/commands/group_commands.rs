//! Commands about groups.

#![forbid(unsafe_code)]

use super::answer::{Answer, Fault};
use super::arguments::Arguments;
use super::command::Changed;
use super::keeper::Keeper;
use super::page_arguments::page;
use crate::sip::text::Printable;
use crate::store::edit::{EditError, GroupRecord, GroupSettings, NewGroup};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

/// The fields that say what a group is. Where it has no display name, that is empty.
fn shape(group: &GroupRecord) -> Value {
    let changed = DateTime::from_timestamp_micros(group.revision).unwrap_or_default();
    json!({
        "group": group.uri,
        "display_name": group.display_name.as_deref().unwrap_or_default(),
        "pager_mode": u64::from(group.pager_mode),
        "changed": changed.to_rfc3339_opts(SecondsFormat::Micros, true),
        "member_count": group.members,
    })
}

/// The groups, sorted by address.
pub fn list(keeper: &mut Keeper<'_>, given: &Arguments) -> Answer {
    let page = page(given, 0)?;
    let groups = keeper.look_through(|editor| editor.groups_page(page))?;
    Ok(groups.iter().map(shape).collect())
}

/// A group, without its members.
pub fn show(keeper: &mut Keeper<'_>, given: &Arguments) -> Answer {
    let group = keeper.edit(|editor| editor.group_record(given.text(0)))?;
    Ok(shape(&group))
}

/// Adds a group without members. One that is there stays as it is.
pub fn add(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    let new = NewGroup {
        uri: given.text(0),
        display_name: given.optional(1),
        pager_mode: true,
    };
    let (group, is_new) = keeper.edit(|editor| {
        let is_new = match editor.add_group(new, [""; 0]) {
            Ok(_) => true,
            Err(EditError::GroupExists(_)) => false,
            Err(error) => return Err(error),
        };
        Ok((editor.group_record(new.uri)?, is_new))
    })?;
    Ok(with_count("added", shape(&group), is_new))
}

/// Sets the display name of a group, or removes it.
pub fn name(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    let settings = GroupSettings {
        display_name: Some(given.optional(1)),
        ..GroupSettings::default()
    };
    set(keeper, given, settings)
}

/// Has a group accept messages, or refuse them.
pub fn pager_mode(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    let pager_mode = match given.text(1) {
        "1" => true,
        "0" => false,
        other => {
            let text = format!(
                "expected 1 (messages to the group are accepted) or 0 (they are refused), found \"{}\"",
                Printable(other.as_bytes())
            );
            return Err(Fault::given(text));
        }
    };
    let settings = GroupSettings {
        pager_mode: Some(pager_mode),
        ..GroupSettings::default()
    };
    set(keeper, given, settings)
}

fn set(
    keeper: &mut Keeper<'_>,
    given: &Arguments,
    settings: GroupSettings<'_>,
) -> Result<Changed, Fault> {
    let (group, is_new) = keeper.edit(|editor| editor.set_group(given.text(0), settings))?;
    Ok(with_count("changes", shape(&group), is_new))
}

/// Gives a group another address.
pub fn rename(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    let [from, to] = [given.text(0), given.text(1)];
    let (group, is_new) = keeper.edit(|editor| editor.rename_group(from, to))?;
    Ok(with_count("renamed", shape(&group), is_new))
}

/// Deletes a group with its members. One that is not there is gone already.
pub fn delete(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    let deleted = keeper.edit(|editor| match editor.delete_group(given.text(0)) {
        Ok(group) => Ok(Some(group)),
        Err(EditError::NoGroup(..)) => Ok(None),
        Err(error) => Err(error),
    })?;
    let answer = match &deleted {
        Some(group) => json!({ "group": group.uri, "member_count": group.members }),
        None => json!({ "group": given.text(0), "member_count": 0 }),
    };
    Ok(with_count("deleted", answer, deleted.is_some()))
}

/// An answer that says with 1 or 0 whether anything was done.
pub fn with_count(what: &str, mut answer: Value, is_new: bool) -> Changed {
    answer[what] = u64::from(is_new).into();
    Changed { answer, is_new }
}
