//! A group in the database, without its members.

use crate::store::database::text;

/// A stored group, without its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    pub(super) id: i64,
    /// The address.
    pub uri: String,
    /// The display name, if it has one.
    pub display_name: Option<String>,
    /// Whether the group accepts pager-mode messages.
    pub pager_mode: bool,
    /// When it was last changed, in microseconds since 1970.
    pub revision: i64,
    /// The number of members.
    pub members: u64,
}

/// A member's address, and its display name.
pub type NamedMember = (String, Option<String>);

pub(super) const SELECT_GROUP: &str = "SELECT id, uri, display_name, pager_mode, revision,
    (SELECT count(*) FROM member WHERE group_id = id) FROM im_group";

pub(super) fn group_record(row: &rusqlite::Row<'_>) -> rusqlite::Result<GroupRecord> {
    Ok(GroupRecord {
        id: row.get(0)?,
        uri: text(row, 1)?.into_owned(),
        display_name: row.get(2)?,
        pager_mode: row.get(3)?,
        revision: row.get(4)?,
        members: row.get::<_, i64>(5)?.unsigned_abs(),
    })
}
