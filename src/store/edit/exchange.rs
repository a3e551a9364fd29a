//! Import and export of whole groups.

use super::address::{group_uri, member_uri};
use super::change::Change;
use super::group_record::{GroupRecord, SELECT_GROUP, group_record};
use super::members_change::{MembersChange, NewMember};
use super::set_members::{Unnamed, Wanted};
use super::{EditError, Editor, Scope};
use crate::control::ruleset::{Condition, Ruleset};
use crate::sip::Uri;
use crate::store::StoreError;
use crate::store::database::{Members, Probe, optional_text, rule_lists};
use crate::store::document::{DocumentError, Notes, Written, read_ruleset, write_ruleset};
use std::collections::{BTreeMap, HashSet};

/// A list that a condition of a ruleset refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewList {
    /// Its address as written in the ruleset.
    pub anchor: String,
    /// Its entries; `None` keeps what is stored.
    pub entries: Option<Vec<String>>,
}

/// A group to be stored, replacing an existing one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutGroup {
    /// The address, in any spelling.
    pub uri: String,
    /// The display name; `None` keeps what is stored.
    pub display_name: Option<String>,
    /// The members, with their display name if they have one.
    pub members: Vec<(String, Option<String>)>,
    /// Whether members who are given without a name keep theirs, as where names are unknown.
    pub keeps_names: bool,
    /// What only a document with rules contains; `None` keeps what is stored.
    pub rules: Option<PutRules>,
}

/// What only a document with rules states about a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutRules {
    /// Who may send, and what else they may do.
    pub ruleset: Option<Ruleset>,
    /// The lists that the ruleset refers to.
    pub lists: Vec<NewList>,
    /// The maximum number of participants of a session.
    pub max_participant_count: Option<u32>,
    /// Whether a session invites all members.
    pub invite_members: Option<bool>,
}

/// What [`Editor::put_groups`] did with one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Whether the group did not exist before.
    pub is_new: bool,
    /// What became of its members; all of them that are groups or services are named, not only new ones.
    pub members: MembersChange,
    /// Members that were left out: their index among those given, and why.
    pub left_out: Vec<(usize, String)>,
}

/// A group with everything that an export writes.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The data of a group document.
    pub written: Written,
    /// Whether the group accepts pager-mode messages.
    pub pager_mode: bool,
    /// The lists that its ruleset refers to: their address, and their entries as far as known.
    pub lists: BTreeMap<String, Vec<String>>,
    /// Notes on parts of the stored ruleset that are not written, or the error if none of it is.
    pub ruleset: Result<Notes, DocumentError>,
}

impl Editor {
    /// Stores groups, all or none: each has the given members and no others.
    ///
    /// # Errors
    ///
    /// An address that cannot be a group's or is a service's, or too many members. An invalid member is
    /// left out.
    pub fn put_groups(&mut self, groups: &[PutGroup]) -> Result<Vec<Put>, EditError> {
        let addresses = groups.iter().flat_map(|group| {
            let members = group.members.iter().map(|(member, _)| member.as_str());
            members.chain([group.uri.as_str()])
        });
        self.change(
            || Scope::of(addresses),
            |change| {
                let mut put = Vec::new();
                for group in groups {
                    put.push(change.put_group(group)?);
                }
                // Only now: a member may be a group that follows later.
                for (done, group) in put.iter_mut().zip(groups) {
                    done.members.nested = change.nested(group)?;
                }
                Ok(put)
            },
        )
    }

    /// Passes the groups with these addresses, or all groups, to `each`, until it returns an error.
    ///
    /// # Errors
    ///
    /// There is no such group, the database cannot be read, or the error of `each`.
    pub fn export<E>(
        &mut self,
        uris: &[String],
        mut each: impl FnMut(&Exported) -> Result<(), E>,
    ) -> Result<Result<(), E>, EditError> {
        let scope = || match uris {
            [] => Scope::All,
            some => Scope::of(some.iter().map(String::as_str)),
        };
        self.read(scope, |change| {
            let mut groups = Vec::new();
            for uri in uris {
                groups.push(change.existing_group(&group_uri(uri)?)?);
            }
            if uris.is_empty() {
                groups = change.sqlite(|transaction| {
                    let sql = format!("{} ORDER BY uri", SELECT_GROUP);
                    let mut statement = transaction.prepare(&sql)?;
                    statement.query_map([], group_record)?.collect()
                })?;
            }
            for group in groups {
                if let Err(error) = each(&change.exported(group)?) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        })
    }
}

impl Change<'_> {
    fn put_group(&self, new: &PutGroup) -> Result<Put, EditError> {
        let uri = group_uri(&new.uri)?;
        if self.service(&uri)?.is_some() {
            return Err(EditError::IsService(uri));
        }
        let bad_name = |name: &&String| name.chars().any(char::is_control);
        if let Some(name) = new.display_name.as_ref().filter(bad_name) {
            return Err(EditError::DisplayName(name.clone()));
        }
        let is_new = self.group(&uri)?.is_none();
        if is_new {
            let sql = "INSERT INTO im_group (uri) VALUES (?1)";
            self.sqlite(|transaction| transaction.execute(sql, [&uri]))?;
        }
        let group = self.existing_group(&uri)?;
        if new.display_name.is_some() && new.display_name != group.display_name {
            let sql = "UPDATE im_group SET display_name = ?2 WHERE id = ?1";
            self.sqlite(|transaction| transaction.execute(sql, (group.id, &new.display_name)))?;
        }
        let (wanted, left_out) = distinct(&new.members);
        let unnamed = match new.keeps_names {
            true => Unnamed::KeepTheirs,
            false => Unnamed::LoseIt,
        };
        let members = self.put_members(&group, wanted, unnamed)?;
        if let Some(rules) = &new.rules {
            self.put_rules(&group, rules)?;
        }
        Ok(Put {
            is_new,
            members,
            left_out,
        })
    }

    fn put_rules(&self, group: &GroupRecord, rules: &PutRules) -> Result<(), EditError> {
        let ruleset = rules.ruleset.as_ref().map(|rules| write_ruleset(rules, ""));
        self.sqlite(|transaction| {
            let id = group.id;
            transaction.execute(
                "UPDATE im_group SET ruleset = ?2, max_participant_count = ?3, invite_members = ?4
                 WHERE id = ?1",
                (
                    id,
                    ruleset,
                    rules.max_participant_count,
                    rules.invite_members,
                ),
            )?;
            let named: HashSet<&str> = rules.lists.iter().map(|it| it.anchor.as_str()).collect();
            let sql = "DELETE FROM rule_list WHERE group_id = ?1 AND anchor = ?2";
            let mut delete = transaction.prepare(sql)?;
            for anchor in rule_lists(transaction, id)?.keys() {
                if !named.contains(anchor.as_str()) {
                    delete.execute((id, anchor))?;
                }
            }
            let sql = "INSERT OR IGNORE INTO rule_list (group_id, anchor, uri) VALUES (?1, ?2, ?3)";
            let mut insert = transaction.prepare(sql)?;
            for NewList { anchor, entries } in &rules.lists {
                let Some(entries) = entries else {
                    continue;
                };
                delete.execute((id, anchor))?;
                for entry in entries {
                    insert.execute((id, anchor, entry))?;
                }
            }
            Ok(())
        })
    }

    fn nested(&self, group: &PutGroup) -> Result<Vec<String>, EditError> {
        self.sqlite(|transaction| {
            let mut probe = Probe::new(transaction)?;
            let mut nested = Vec::new();
            for (member, _) in &group.members {
                if let Ok(Uri::Sip(sip)) = Uri::parse(member.as_bytes())
                    && probe.is_ours(&sip)?
                {
                    nested.push(member.clone());
                }
            }
            Ok(nested)
        })
    }

    fn exported(&self, group: GroupRecord) -> Result<Exported, EditError> {
        let members = self.members(&group)?;
        let failed = |error| EditError::Store(StoreError::sqlite(self.path, &error));
        let transaction = self.transaction;
        let mut names = self.names(&group)?;
        let sql =
            "SELECT ruleset, max_participant_count, invite_members FROM im_group WHERE id = ?1";
        let (ruleset, max_participant_count, invite_members) = transaction
            .query_row(sql, [group.id], |row| {
                Ok((optional_text(row, 0)?, row.get(1)?, row.get(2)?))
            })
            .map_err(failed)?;
        let lists = rule_lists(transaction, group.id).map_err(failed)?;
        let (ruleset, notes) = match ruleset.as_deref().map(read_ruleset) {
            None => (None, Ok(Notes::default())),
            Some(Ok((ruleset, notes))) => (Some(ruleset), Ok(notes)),
            // Nobody may send to such a group, and the exported group must behave the same.
            Some(Err(error)) => (Some(Ruleset::default()), Err(error)),
        };
        let named = |member: String| {
            let name = names.remove(&member);
            (member, name)
        };
        let owned = |(anchor, list): (String, Members)| {
            let entries = list.iter().map(str::to_owned);
            (anchor, entries.collect::<Vec<_>>())
        };
        Ok(Exported {
            written: Written {
                uri: group.uri,
                display_name: group.display_name,
                members: members.into_iter().map(named).collect(),
                ruleset,
                max_participant_count,
                invite_members,
            },
            pager_mode: group.pager_mode,
            lists: lists.into_iter().map(owned).collect(),
            ruleset: notes,
        })
    }
}

/// The members that something can be sent to, each once, and the number of every other one with the reason.
fn distinct(members: &[(String, Option<String>)]) -> (Wanted<'_>, Vec<(usize, String)>) {
    let (mut wanted, mut left_out) = (Wanted::default(), Vec::new());
    for (at, (address, name)) in members.iter().enumerate() {
        let name = name.as_deref();
        match member_uri(address) {
            Ok(uri) => {
                if let Some(first) = wanted.take(uri, NewMember { address, name }) {
                    left_out.push((at, format!("{address} is the address {first} again")));
                }
            }
            Err(error) => left_out.push((at, error.to_string())),
        }
    }
    (wanted, left_out)
}

impl PutRules {
    /// The lists that the ruleset refers to, without duplicates.
    pub fn anchors(&self) -> Vec<String> {
        let rules = self.ruleset.iter().flat_map(|ruleset| &ruleset.rules);
        let conditions = rules.flat_map(|rule| &rule.conditions);
        let lists = conditions.filter_map(|condition| match condition {
            Condition::ExternalList(anchors) => Some(anchors),
            _ => None,
        });
        let mut anchors: Vec<String> = lists.flatten().cloned().collect();
        anchors.sort();
        anchors.dedup();
        anchors
    }
}
