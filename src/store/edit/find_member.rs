//! In which groups somebody is.

use super::address::member_uri;
use super::{EditError, Editor, Scope};
use crate::sip::uri::Uri;
use crate::store::database::{optional_text, text};

/// An address as a member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The group's address.
    pub group: String,
    /// The member's address, as it is stored.
    pub member: String,
    /// Their display name in this group.
    pub name: Option<String>,
}

impl Editor {
    /// The memberships of an address, in any spelling (C-1, C-3), by group.
    ///
    /// # Errors
    ///
    /// It is no address that could be a member's, or the database cannot be read.
    pub fn find_member(&mut self, address: &str) -> Result<Vec<Membership>, EditError> {
        let sought = member_uri(address)?;
        let sql = "SELECT g.uri, m.uri, n.display_name FROM im_group g
            JOIN member m ON m.group_id = g.id
            LEFT JOIN member_name n ON n.group_id = g.id AND n.uri = m.uri
            ORDER BY g.uri, m.uri";
        self.read(
            || Scope::All,
            |change| {
                change.sqlite(|transaction| {
                    let mut statement = transaction.prepare(sql)?;
                    let mut rows = statement.query([])?;
                    let mut found = Vec::new();
                    while let Some(row) = rows.next()? {
                        let member = text(row, 1)?;
                        let uri = Uri::parse(member.as_bytes());
                        if uri.is_ok_and(|uri| uri.as_address().same(&sought)) {
                            found.push(Membership {
                                group: text(row, 0)?.into_owned(),
                                member: member.into_owned(),
                                name: optional_text(row, 2)?,
                            });
                        }
                    }
                    Ok(found)
                })
            },
        )
    }
}
