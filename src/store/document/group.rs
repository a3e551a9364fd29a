//! Documents with groups: OMA's `group` (G-1) and RFC 4826's `resource-lists`.

use super::error::{DocumentError, Notes};
use super::list::{self, Item, List};
use super::namespace::{COMMON_POLICY, RESOURCE_LISTS, is_oma};
use super::ruleset::ruleset;
use super::walker::{Start, Walker, shown};
use crate::control::ruleset::Ruleset;

/// A group as described by a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupDocument {
    /// The address as written; empty for a list that names no group.
    pub uri: String,
    /// The display name.
    pub display_name: Option<String>,
    /// Its members, and references to more.
    pub list: List,
    /// Who may send, and what else they may do.
    pub ruleset: Option<Ruleset>,
    /// The maximum number of participants of a session; kept, but without effect (G-5).
    pub max_participant_count: Option<u32>,
    /// Whether a session invites all members; kept, but without effect (G-5).
    pub invite_members: Option<bool>,
    /// Whether the document can have a ruleset; a resource list cannot.
    pub has_rules: bool,
    /// The line where it starts.
    pub line: usize,
}

/// The content of a document, and notes on what was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The groups in their order.
    pub groups: Vec<GroupDocument>,
    /// What was left out.
    pub notes: Notes,
}

impl Document {
    /// Parses a document.
    ///
    /// # Errors
    ///
    /// It is not XML, violates a rule of X-4, or has another root, an entry without an address, or an
    /// invalid value.
    pub fn read(document: &[u8]) -> Result<Self, DocumentError> {
        let mut walker = Walker::new("group document", document)?;
        let root = walker.root()?;
        let mut groups = Vec::new();
        match (root.namespace.as_str(), root.name.as_str()) {
            (namespace, "group") if is_oma(namespace) => {
                walker.left_over(&root);
                while let Some(child) = walker.child()? {
                    match is_oma(&child.namespace) && child.name == "list-service" {
                        true => groups.push(list_service(&mut walker, child)?),
                        false => walker.leave_out(&child, "group")?,
                    }
                }
            }
            (RESOURCE_LISTS, "resource-lists") => {
                let lists = lists(&mut walker, &root)?;
                groups.extend(lists.into_iter().map(of_list));
            }
            _ => {
                let expected = "group of OMA or resource-lists of RFC 4826 as the root";
                let found = format!("{} in namespace {}", root.name, root.namespace);
                return Err(root.unexpected(expected, found));
            }
        }
        walker.end()?;
        Ok(Self {
            groups,
            notes: walker.notes,
        })
    }
}

/// Parses a document of resource lists that a reference leads to.
pub(super) fn read_lists(document: &[u8]) -> Result<Vec<List>, DocumentError> {
    let mut walker = Walker::new("resource list", document)?;
    let root = walker.root()?;
    if (root.namespace.as_str(), root.name.as_str()) != (RESOURCE_LISTS, "resource-lists") {
        return Err(root.unexpected("resource-lists of RFC 4826 as the root", shown(&root.name)));
    }
    let lists = lists(&mut walker, &root)?;
    walker.end()?;
    Ok(lists)
}

fn lists(walker: &mut Walker<'_>, root: &Start) -> Result<Vec<List>, DocumentError> {
    walker.left_over(root);
    let mut lists = Vec::new();
    while let Some(child) = walker.child()? {
        match child.namespace == RESOURCE_LISTS && child.name == "list" {
            true => lists.push(list::read(walker, child)?),
            false => walker.leave_out(&child, "resource-lists")?,
        }
    }
    Ok(lists)
}

/// A group made from a list, whose name is the group's address: `export` writes it so.
fn of_list(mut list: List) -> GroupDocument {
    let is_address = |name: &String| name.starts_with("sip:") || name.starts_with("sips:");
    GroupDocument {
        uri: list.name.take().filter(is_address).unwrap_or_default(),
        display_name: list.display_name.take(),
        line: list.line,
        list,
        ..GroupDocument::default()
    }
}

fn list_service(walker: &mut Walker<'_>, mut start: Start) -> Result<GroupDocument, DocumentError> {
    let Some(uri) = start.take("uri").filter(|uri| !uri.is_empty()) else {
        return Err(start.unexpected("list-service with uri", shown(&start.name)));
    };
    walker.left_over(&start);
    let mut group = GroupDocument {
        uri,
        has_rules: true,
        line: start.line,
        ..GroupDocument::default()
    };
    while let Some(child) = walker.child()? {
        let name = match is_oma(&child.namespace) {
            true => child.name.as_str(),
            false => "",
        };
        match name {
            "display-name" => group.display_name = walker.name(&child)?,
            "list" => {
                let list = list::read(walker, child)?;
                if list.display_name.is_some() {
                    walker
                        .notes
                        .add(list.line, "element display-name in list is left out");
                }
                group.list.items.push(Item::List(list));
            }
            "max-participant-count" => {
                walker.left_over(&child);
                let count = walker.text(&child)?;
                let Ok(count) = count.parse() else {
                    return Err(child.unexpected("a number", count));
                };
                group.max_participant_count = Some(count);
            }
            "invite-members" => {
                walker.left_over(&child);
                group.invite_members = Some(match walker.text(&child)?.as_str() {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    other => return Err(child.unexpected("true or false", other)),
                });
            }
            _ if child.namespace == COMMON_POLICY && child.name == "ruleset" => {
                // Several rulesets in one document are merged: rules only add permissions.
                let more = ruleset(walker, &child)?;
                let rules = group.ruleset.get_or_insert_default();
                rules.rules.extend(more.rules);
            }
            _ => walker.leave_out(&child, "list-service")?,
        }
    }
    Ok(group)
}
