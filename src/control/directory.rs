//! What an address of this server stands for, and where it is looked up.

use super::addressing::Addressing;
use super::group::Group;
use super::member_list::MemberList;
use crate::sip::SipUri;
use std::fmt;
use std::sync::Arc;

/// What an address of this server stands for.
#[derive(Clone, Debug)]
pub enum Target {
    /// A stored group.
    Group(Arc<Group>),
    /// The URI-list service, RFC 5365.
    UriListService(Arc<UriListService>),
}

impl Target {
    /// Its address.
    pub fn uri(&self) -> &str {
        match self {
            Self::Group(group) => group.uri(),
            Self::UriListService(service) => &service.uri,
        }
    }

    /// Whether it takes pager-mode messages.
    pub fn pager_mode(&self) -> bool {
        match self {
            Self::Group(group) => group.pager_mode(),
            Self::UriListService(service) => service.pager_mode,
        }
    }
}

/// A URI-list service.
#[derive(Debug)]
pub struct UriListService {
    /// Its address.
    pub uri: String,
    /// Whether it takes pager-mode messages.
    pub pager_mode: bool,
    /// The addresses that have consented to get messages from it (U-12).
    pub consenting: MemberList,
}

/// Finds groups and services by their address.
pub trait Directory {
    /// What `uri` stands for, compared by C-1 without URI headers and unknown parameters.
    fn find(&mut self, uri: &SipUri<'_>) -> Result<Option<Target>, Unavailable>;

    /// Several groups as one, without the members of others: see [`Group::union`]. Who is asked for the
    /// same groups again and again may remember.
    fn union(
        &mut self,
        parts: &[Arc<Group>],
        without: &[Arc<Group>],
        addressing: &Addressing,
    ) -> Arc<Group> {
        Arc::new(Group::union(parts, without, addressing))
    }
}

/// The groups cannot be read now; the text says why, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
