//! Writing group documents.

use super::escape::{escape_attribute, escape_text};
use super::namespace::{LIST_SERVICE, RESOURCE_LISTS};
use super::ruleset::write_ruleset;
use crate::control::ruleset::Ruleset;

/// A group to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The address.
    pub uri: String,
    /// The display name.
    pub display_name: Option<String>,
    /// The members, with their display name if they have one.
    pub members: Vec<(String, Option<String>)>,
    /// Who may send, and what else they may do.
    pub ruleset: Option<Ruleset>,
    /// The maximum number of participants of a session.
    pub max_participant_count: Option<u32>,
    /// Whether a session invites all members.
    pub invite_members: Option<bool>,
}

/// The kind of document to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OMA's group document, with rules.
    Groups,
    /// Resource lists of RFC 4826, each named by the address of its group.
    Lists,
}

impl Format {
    /// What comes before the groups.
    pub fn head(self) -> String {
        match self {
            Self::Groups => format!("{DECLARATION}<group xmlns=\"{LIST_SERVICE}\">\n"),
            Self::Lists => format!("{DECLARATION}<resource-lists xmlns=\"{RESOURCE_LISTS}\">\n"),
        }
    }

    /// One group.
    pub fn group(self, group: &Written) -> String {
        let uri = escape_attribute(&group.uri);
        let mut out = match self {
            Self::Groups => format!("  <list-service uri=\"{uri}\">\n"),
            Self::Lists => format!("  <list name=\"{uri}\">\n"),
        };
        if let Some(name) = &group.display_name {
            out += &format!("    <display-name>{}</display-name>\n", escape_text(name));
        }
        if self == Self::Lists {
            write_entries(group, &mut out);
            return out + "  </list>\n";
        }
        out += "    <list>\n";
        write_entries(group, &mut out);
        out += "    </list>\n";
        if let Some(invite) = group.invite_members {
            out += &format!("    <invite-members>{invite}</invite-members>\n");
        }
        if let Some(count) = group.max_participant_count {
            out += &format!("    <max-participant-count>{count}</max-participant-count>\n");
        }
        if let Some(ruleset) = &group.ruleset {
            out += &write_ruleset(ruleset, "    ");
        }
        out + "  </list-service>\n"
    }

    /// What comes behind the groups.
    pub fn tail(self) -> &'static str {
        match self {
            Self::Groups => "</group>\n",
            Self::Lists => "</resource-lists>\n",
        }
    }
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn write_entries(group: &Written, out: &mut String) {
    for (uri, name) in &group.members {
        let uri = escape_attribute(uri);
        *out += &match name {
            None => format!("      <entry uri=\"{uri}\"/>\n"),
            Some(name) => {
                let name = escape_text(name);
                format!("      <entry uri=\"{uri}\"><display-name>{name}</display-name></entry>\n")
            }
        };
    }
}
