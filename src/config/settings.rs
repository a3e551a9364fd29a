//! The values of all parameters.

use super::choices::{
    Composing, ForeignRecipients, ForkFrom, FromMismatch, GroupWithList, IdentityMode,
    Notifications, SkipOriginator, UnknownGroup, Untagged,
};
use super::error::SettingError;
use super::parameter::Parameter;
use super::table::PARAMETERS;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The values of all parameters.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `db_url`, as a path.
    pub database: String,
    /// `domains`, in lower case.
    pub domains: Vec<String>,
    /// `server_name`; empty means the first domain.
    pub server_name: String,
    /// `trusted_peers`.
    pub trusted_peers: Vec<String>,
    /// `core_route`; empty means none.
    pub core_route: String,
    /// `core_socket`; empty means that the proxy chooses.
    pub core_socket: String,
    /// `copy_mark`.
    pub copy_mark: bool,
    /// `direct`.
    pub direct: bool,
    /// `name_servers`; none means those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// `trusted_next_hop`.
    pub trusted_next_hop: bool,
    /// `identity_mode`.
    pub identity_mode: IdentityMode,
    /// `from_mismatch`; empty means by whom the originator was named.
    pub from_mismatch: Option<FromMismatch>,
    /// Whether `anonymity_policy` is `group`.
    pub anonymity_by_group: bool,
    /// Whether `fork_pai` is `group`.
    pub fork_pai_group: bool,
    /// `fork_from`.
    pub fork_from: ForkFrom,
    /// Whether `sender_label` has `display_name`.
    pub sender_label_display_name: bool,
    /// Whether `sender_label` has `body`.
    pub sender_label_body: bool,
    /// `composing`.
    pub composing: Composing,
    /// `notifications`.
    pub notifications: Notifications,
    /// `utf8_only`.
    pub utf8_only: bool,
    /// `ioi`; empty means the server's name.
    pub ioi: String,
    /// Whether `icid_mode` is `copy`.
    pub icid_copied: bool,
    /// `feature_tags`.
    pub feature_tags: Vec<String>,
    /// `untagged`.
    pub untagged: Untagged,
    /// `unknown_group`.
    pub unknown_group: UnknownGroup,
    /// `pager_mode`.
    pub pager_mode: bool,
    /// `hide_groups`.
    pub hide_groups: bool,
    /// `skip_originator`.
    pub skip_originator: SkipOriginator,
    /// `same_number`; empty means by `identity_mode`.
    pub same_number: Option<bool>,
    /// Whether `tel_mode` is `convert`.
    pub converts_tel: bool,
    /// `tel_domain`.
    pub tel_domain: String,
    /// `copy_headers`.
    pub copy_headers: Vec<String>,
    /// `copy_prefs`.
    pub copy_prefs: bool,
    /// `strict_require`.
    pub strict_require: bool,
    /// `large_ok`.
    pub large_ok: bool,
    /// `loop_cache`.
    pub loop_cache: bool,
    /// `send_action`.
    pub send_action: String,
    /// Whether `nested` is `expand`.
    pub expand_nested: bool,
    /// `service_acl`.
    pub service_acl: Vec<String>,
    /// `foreign_recipients`.
    pub foreign_recipients: ForeignRecipients,
    /// `consent`.
    pub consent: bool,
    /// `draft_list_param`.
    pub draft_list_param: bool,
    /// `group_with_list`.
    pub group_with_list: GroupWithList,
    /// Whether `bcc_mode` is `self`.
    pub bcc_self: bool,
    /// `group_history`.
    pub group_history: bool,
    /// Whether `bad_entry` is `reject`.
    pub bad_entry_rejects: bool,
    /// Whether `literal_targets` is `allow`.
    pub literal_targets: bool,
    /// `uri_headers`.
    pub uri_headers: Vec<String>,
    /// `max_entries`.
    pub max_entries: u32,
    /// `max_recipients`.
    pub max_recipients: u32,
    /// `max_members`.
    pub max_members: u32,
    /// `cache_members`.
    pub cache_members: u32,
    /// `recent_requests`.
    pub recent_requests: u32,
    /// `queue_memory`, in mebibytes.
    pub queue_memory: u32,
    /// `queue_messages`.
    pub queue_messages: u32,
    /// `queue_lifetime`, in seconds.
    pub queue_lifetime: u32,
    /// `concurrency`.
    pub concurrency: u32,
    /// `max_breadth`; 0 means that of the message.
    pub max_breadth: u32,
    /// `forks_in_flight`.
    pub forks_in_flight: u32,
    /// `patience`, in seconds; 0 means for ever.
    pub patience: u32,
    /// `target_order`.
    pub target_order: bool,
    /// `target_queue`.
    pub target_queue: u32,
    /// `quota_originator`: messages, and in how many seconds; empty means no limit.
    pub quota_originator: Option<(u32, u32)>,
    /// `quota_group`, likewise.
    pub quota_group: Option<(u32, u32)>,
    /// `rate`; 0 means no limit.
    pub rate: u32,
    /// `tm_memory`, in mebibytes; 0 means half of what the proxy has.
    pub tm_memory: u32,
    /// `memory_reserve`, in per cent.
    pub memory_reserve: u32,
    /// Whether `durability` is `journal`.
    pub durable: bool,
    /// `ledger`; empty means beside the groups.
    pub ledger: String,
    /// `ledger_timeout`.
    pub ledger_timeout: Duration,
    /// Whether `away` is `keep`.
    pub away_keep: bool,
    /// `away_codes`.
    pub away_codes: Vec<u16>,
    /// `away_lifetime`, in seconds.
    pub away_lifetime: u32,
    /// `away_per_member`.
    pub away_per_member: u32,
    /// `away_bytes`.
    pub away_bytes: u64,
}

impl Settings {
    /// All defaults.
    pub fn new() -> Self {
        let mut settings = Self::default();
        for parameter in PARAMETERS {
            // A test holds that every default is a value of its kind.
            let _ = parameter.store(&mut settings, parameter.default);
        }
        settings
    }

    /// Sets the parameter `name`.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        match Parameter::find(name) {
            Some(parameter) => parameter.store(self, value),
            None => Err(SettingError::new(name, value, "a known parameter name")),
        }
    }

    /// `server_name`, or the first domain where none is set.
    pub fn server_name(&self) -> &str {
        match (self.server_name.as_str(), self.domains.first()) {
            ("", Some(domain)) => domain,
            (name, _) => name,
        }
    }

    /// `ledger`, or `ledger.db` beside the groups where none is set.
    pub fn ledger(&self) -> PathBuf {
        match self.ledger.as_str() {
            "" => Path::new(&self.database).with_file_name("ledger.db"),
            path => path.into(),
        }
    }

    /// `ioi`, or the server's name where none is set.
    pub fn ioi(&self) -> &str {
        match self.ioi.as_str() {
            "" => self.server_name(),
            ioi => ioi,
        }
    }

    /// `same_number`, or what `identity_mode` makes of it (C-3).
    pub fn same_number(&self) -> bool {
        let ims = self.identity_mode == IdentityMode::Pai;
        self.same_number.unwrap_or(ims)
    }
}
