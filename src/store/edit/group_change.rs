//! A group's own data: its address, display name and pager mode.

use super::address::{checked_name, group_uri};
use super::group_record::GroupRecord;
use super::{EditError, Editor, Scope};

/// What is to be set of a group; `None` keeps what it has.
#[derive(Clone, Copy, Debug, Default)]
pub struct GroupSettings<'a> {
    /// The display name; `Some(None)` removes it.
    pub display_name: Option<Option<&'a str>>,
    /// Whether the group accepts pager-mode messages.
    pub pager_mode: Option<bool>,
}

impl Editor {
    /// Sets the display name and the pager mode of a group; gives its record and whether it was another one before.
    ///
    /// # Errors
    ///
    /// There is no such group, or the name is unprintable.
    pub fn set_group(
        &mut self,
        uri: &str,
        settings: GroupSettings<'_>,
    ) -> Result<(GroupRecord, bool), EditError> {
        let uri = group_uri(uri)?;
        let name = settings.display_name.flatten();
        name.map(checked_name).transpose()?;
        self.change(
            || Scope::of([uri.as_str()]),
            |change| {
                let before = change.existing_group(&uri)?;
                let mut after = before.clone();
                if settings.display_name.is_some() {
                    after.display_name = name.map(str::to_owned);
                }
                after.pager_mode = settings.pager_mode.unwrap_or(before.pager_mode);
                if after == before {
                    return Ok((after, false));
                }
                let sql = "UPDATE im_group SET display_name = ?2, pager_mode = ?3 WHERE id = ?1";
                let values = (after.id, &after.display_name, after.pager_mode);
                change.sqlite(|transaction| transaction.execute(sql, values))?;
                Ok((change.existing_group(&uri)?, true))
            },
        )
    }

    /// Gives a group another address, with its members and all else; gives its record and whether it had another one
    /// before. Groups that have the old address as a member keep it.
    ///
    /// # Errors
    ///
    /// There is no such group, or the new address is that of another group or of a service.
    pub fn rename_group(&mut self, from: &str, to: &str) -> Result<(GroupRecord, bool), EditError> {
        let [from, to] = [group_uri(from)?, group_uri(to)?];
        self.change(
            || Scope::of([from.as_str(), to.as_str()]),
            |change| {
                let group = change.existing_group(&from)?;
                if from == to {
                    return Ok((group, false));
                }
                change.check_address_is_free(&to)?;
                let sql = "UPDATE im_group SET uri = ?2 WHERE id = ?1";
                change.sqlite(|transaction| transaction.execute(sql, (group.id, &to)))?;
                Ok((change.existing_group(&to)?, true))
            },
        )
    }
}
