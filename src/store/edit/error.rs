//! Why a change is refused: each text names the address, what was expected and what to do.

use crate::sip::Malformed;
use crate::sip::text::Printable;
use crate::store::StoreError;
use std::fmt;
use std::path::PathBuf;

/// A change that cannot be made; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The database cannot be used.
    Store(StoreError),
    /// The text is no URI.
    Malformed(String, Malformed),
    /// The URI cannot be a group's.
    NoGroupUri(String),
    /// The URI has a scheme that cannot be sent to.
    NoMemberUri(String),
    /// A display name has a character that cannot be shown.
    DisplayName(String),
    /// The group is there already.
    GroupExists(String),
    /// A service has this address.
    IsService(String),
    /// The service is there already.
    ServiceExists(String),
    /// A group has this address.
    IsGroup(String),
    /// There is no such service.
    NoService(PathBuf, String),
    /// The address has not consented.
    NoConsent {
        /// The service.
        service: String,
        /// The address that was to go.
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
        /// The one that is there.
        existing: String,
    },
    /// The group has no such member.
    NoMember {
        /// The group.
        group: String,
        /// The address that was to go.
        member: String,
    },
    /// Several members are this address.
    Ambiguous {
        /// The group.
        group: String,
        /// The address that was to go.
        member: String,
        /// Those that it may mean.
        existing: Vec<String>,
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
            Self::Malformed(uri, error) => {
                write!(f, "\"{}\" is not an address: {error}", show(uri))
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
                "group {group}: {member} is already a member as {existing}; nothing was added, leave it out"
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
                "{group}: {member} may be any of {}; nothing was deleted, give one as it is spelt here",
                existing.join(" ")
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
