//! Reasons for refusing a change: each text names the address, what was expected and the remedy.

use super::suggestion::with_scheme;
use crate::sip::Malformed;
use crate::sip::text::Printable;
use crate::store::StoreError;
use crate::store::postgres::SourceError;
use std::fmt;
use std::path::PathBuf;

/// A refused change; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The database is unusable.
    Store(StoreError),
    /// The file is a replica of PostgreSQL.
    Replica(PathBuf),
    /// PostgreSQL is unusable; the text says why.
    Postgres(String),
    /// The text is not a URI.
    Malformed(String, Malformed),
    /// The URI cannot be the address of a group.
    NoGroupUri(String),
    /// Nothing can be sent to the scheme of the URI.
    NoMemberUri(String),
    /// A display name contains an unprintable character.
    DisplayName(String),
    /// The group exists already.
    GroupExists(String),
    /// A service has this address.
    IsService(String),
    /// The service exists already.
    ServiceExists(String),
    /// A group has this address.
    IsGroup(String),
    /// There is no such service.
    NoService(PathBuf, String),
    /// The address has not consented.
    NoConsent {
        /// The service.
        service: String,
        /// The address to delete.
        address: String,
    },
    /// There is no such group.
    NoGroup(PathBuf, String),
    /// The group has this address already, perhaps in another spelling.
    MemberExists {
        /// The group.
        group: String,
        /// The new address.
        member: String,
        /// The existing one.
        existing: String,
    },
    /// The group has no such member.
    NoMember {
        /// The group.
        group: String,
        /// The address to delete.
        member: String,
    },
    /// Several members equal this address.
    Ambiguous {
        /// The group.
        group: String,
        /// The address to delete.
        member: String,
        /// The candidates.
        existing: Vec<String>,
    },
    /// Some of the given addresses are refused: the number of each among those given, from 0 on, and why.
    Addresses(Vec<(usize, EditError)>),
    /// The list that the members of a group shall be is empty.
    NoMembersGiven {
        /// The group.
        group: String,
        /// How many members it has.
        members: u64,
    },
    /// The group would have more members than the limit.
    TooManyMembers {
        /// The group.
        group: String,
        /// How many it would have.
        count: usize,
        /// How many it may have.
        limit: u32,
    },
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |text: &str| Printable(text.as_bytes()).to_string();
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Replica(file) => write!(
                f,
                "{}: this is a replica of PostgreSQL, which would overwrite any change; give the URL with --db postgres://…",
                file.display()
            ),
            Self::Postgres(text) => f.write_str(text),
            Self::Malformed(uri, error) => {
                write!(f, "\"{}\" is not an address: {error}", show(uri))?;
                match with_scheme(uri) {
                    Some(meant) => write!(f, "; if it is {meant}, write that"),
                    None => Ok(()),
                }
            }
            Self::NoGroupUri(uri) => write!(
                f,
                "\"{}\" cannot be the address of a group or service: expected sip:USER@HOST or sips:USER@HOST",
                show(uri)
            ),
            Self::NoMemberUri(uri) => write!(
                f,
                "\"{}\" cannot be sent to: expected a sip, sips or tel address",
                show(uri)
            ),
            Self::DisplayName(name) => write!(
                f,
                "display name \"{}\": expected text without control characters",
                show(name)
            ),
            Self::GroupExists(uri) => write!(
                f,
                "the group {uri} exists already; add members with `cimfctl member add {uri} MEMBER…`"
            ),
            Self::IsService(uri) => write!(
                f,
                "{uri} is a service, and a group needs an address of its own; see `cimfctl service list`"
            ),
            Self::ServiceExists(uri) => write!(
                f,
                "the service {uri} exists already; see `cimfctl service list`"
            ),
            Self::IsGroup(uri) => write!(
                f,
                "{uri} is a group, and a service needs an address of its own; see `cimfctl group list`"
            ),
            Self::NoService(file, uri) => write!(
                f,
                "{}: there is no service {uri}; see `cimfctl service list`",
                file.display()
            ),
            Self::NoConsent { service, address } => write!(
                f,
                "service {service}: {address} has not consented; nothing was deleted, see `cimfctl consent list {service}`"
            ),
            Self::NoGroup(file, uri) => write!(
                f,
                "{}: there is no group {uri}; see `cimfctl group list`",
                file.display()
            ),
            Self::MemberExists {
                group,
                member,
                existing,
            } => write!(
                f,
                "group {group}: {member} is already a member as {existing}; nothing was added, omit it"
            ),
            Self::NoMember { group, member } => write!(
                f,
                "group {group}: {member} is not a member; nothing was deleted, see `cimfctl group show {group}`"
            ),
            Self::Ambiguous {
                group,
                member,
                existing,
            } => write!(
                f,
                "{group}: {member} may be any of {}; nothing was deleted, give one exactly as spelt here",
                existing.join(" ")
            ),
            Self::Addresses(all) => {
                for (at, (_, error)) in all.iter().enumerate() {
                    let start = if at == 0 { "" } else { "\n" };
                    write!(f, "{start}{error}")?;
                }
                Ok(())
            }
            Self::NoMembersGiven { group, members } => write!(
                f,
                "group {group}: expected at least one member, found an empty list, which would delete all {members}; nothing was changed, give --allow-empty if it shall have none"
            ),
            Self::TooManyMembers {
                group,
                count,
                limit,
            } => write!(
                f,
                "group {group} would have {count} members, and {limit} are allowed; nothing was added (--max-members, and the proxy's parameter max_members)"
            ),
        }
    }
}

impl std::error::Error for EditError {}

impl From<SourceError> for EditError {
    fn from(error: SourceError) -> Self {
        Self::Postgres(error.to_string())
    }
}

impl From<StoreError> for EditError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
