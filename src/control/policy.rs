//! What the administrator has decided, ready for use.

use super::access::Access;
use super::breadth::Breadth;
use super::charging::Charging;
use super::conversation::SenderLabel;
use super::group::Addressing;
use super::lists::Lists;
use super::trust::{Source, TrustedPeer};
use crate::sip::accept_contact::FeatureTag;

/// The rules of one server.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The name in Warning headers and charging identifiers.
    pub server_name: String,
    /// Whether a message to a service has to require the option tag (U-3).
    pub requires_option_tag: bool,
    /// How addresses are told apart and sent to.
    pub addressing: Addressing,
    /// Whether a message without a feature tag is ours if it goes to a stored group or service.
    pub untagged_groups: bool,
    /// Whether a message to an address of ours that is no group is left to the script.
    pub leaves_unknown_groups: bool,
    /// Whether pager mode is supported at all.
    pub pager_mode: bool,
    /// Whether an unknown group is answered as one that the originator may not use (A.1).
    pub hide_groups: bool,
    /// Whether the originator of a message to a stored group is left out.
    pub skip_originator: bool,
    /// Whether he is left out of the lists that he sends himself, too.
    pub skip_originator_of_lists: bool,
    /// How lists of recipients are read.
    pub lists: Lists,
    /// The most entries that the lists of a message may have (S-3).
    pub max_entries: u32,
    /// The most recipients that they may come to (S-3).
    pub max_recipients: u32,
    /// Who may assert identities (I-1).
    pub trusted_peers: Vec<TrustedPeer>,
    /// Whose word counts for who the originator is.
    pub believed: Believed,
    /// What happens to a From that is not the originator's; by who named him if `None` (I-4).
    pub from_mismatch: Option<FromMismatch>,
    /// Whether a group may allow anonymity, which is refused otherwise.
    pub groups_may_allow_anonymity: bool,
    /// Whether forks are asserted to come from the group and not from the sender (N-3).
    pub asserts_group: bool,
    /// How copies name the sender where From is the group's address; `None` where it is the sender's
    /// (`fork_from`, `sender_label`).
    pub fork_from_group: Option<SenderLabel>,
    /// Whether composing indications end with their answer (`composing`).
    pub drops_composing: bool,
    /// Whether disposition notifications are answered 202 and end there (M-9; `notifications`).
    pub accepts_notifications: bool,
    /// Whether copies have to be UTF-8 throughout (`utf8_only`).
    pub utf8_only: bool,
    /// The operator's name and identifiers in charging (N-4).
    pub charging: Charging,
    /// The feature tags that make a message ours, the first that a message wants counts.
    pub features: Vec<Feature>,
    /// Whether the next hop belongs to the trust domain (I-3).
    pub trusted_next_hop: bool,
    /// The Route header field with its CRLF; empty for a server that sends directly.
    pub route_header: Vec<u8>,
    /// Whether the Route asks for originating treatment, by `orig` (N-2).
    pub route_is_originating: bool,
    /// Whether forks may have more than 1300 bytes (M-2).
    pub large_ok: bool,
    /// How wide a message is spread (U-6).
    pub breadth: Breadth,
    /// Whether a message that comes back from another server is refused (H-5).
    pub detects_loops: bool,
    /// Names of further header fields to copy (H-1).
    pub copy_headers: Vec<String>,
    /// Whether what the sender prefers of the recipients' devices goes into the forks (F-6).
    pub copies_preferences: bool,
    /// Who may send, and to whom.
    pub access: Access,
}

/// Whose word counts for who the originator is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Believed {
    /// Trusted peers, who assert it.
    pub peers: bool,
    /// The proxy, which has checked credentials; it is asked when no peer has asserted anything.
    pub proxy: bool,
    /// The originator himself: for labs.
    pub from: bool,
}

/// What happens to a From that is not the originator's (I-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromMismatch {
    /// It is copied.
    Copy,
    /// The message is refused.
    Reject,
    /// The originator's address takes its place.
    Rewrite,
}

/// A feature tag that makes a message ours, and what its forks ask for.
#[derive(Clone, Debug)]
pub struct Feature {
    /// What Accept-Contact of the message has to want.
    pub tag: FeatureTag,
    /// Accept-Contact of the forks, with its CRLF.
    pub accept_contact: Vec<u8>,
}

impl Policy {
    /// Whether identities that `source` asserts are believed.
    pub fn trusts(&self, source: &Source<'_>) -> bool {
        self.trusted_peers.iter().any(|peer| peer.includes(source))
    }
}

#[cfg(test)]
impl Policy {
    /// The policy of the example flows, for tests to change.
    pub(crate) fn example() -> Self {
        let accept_contact = b"Accept-Contact: *;+g.oma.sip-im;require;explicit\r\n";
        Self {
            server_name: "imas.home1.net".to_owned(),
            requires_option_tag: false,
            addressing: Addressing {
                reach: super::Reach::Core { tls: false },
                same_number: true,
                tel_domain: None,
                domains: vec!["im.home1.net".to_owned(), "home1.net".to_owned()],
            },
            untagged_groups: false,
            leaves_unknown_groups: false,
            pager_mode: true,
            hide_groups: false,
            skip_originator: true,
            skip_originator_of_lists: false,
            lists: Lists::default(),
            max_entries: 1000,
            max_recipients: 100,
            trusted_peers: TrustedPeer::parse("127.0.0.1").into_iter().collect(),
            believed: Believed {
                peers: true,
                ..Believed::default()
            },
            from_mismatch: None,
            groups_may_allow_anonymity: false,
            asserts_group: false,
            fork_from_group: None,
            drops_composing: false,
            accepts_notifications: false,
            utf8_only: false,
            charging: Charging {
                ioi: "home1.net".to_owned(),
                copies_icid: false,
            },
            features: FeatureTag::parse("+g.oma.sip-im")
                .map(|tag| Feature {
                    tag,
                    accept_contact: accept_contact.to_vec(),
                })
                .into_iter()
                .collect(),
            trusted_next_hop: true,
            route_header: Vec::new(),
            route_is_originating: false,
            large_ok: false,
            breadth: Breadth {
                concurrency: 60,
                most: 60,
            },
            detects_loops: true,
            copy_headers: Vec::new(),
            copies_preferences: false,
            access: Access::default(),
        }
    }
}
