//! The table of parameters, in the order of the documentation. Adding one is adding its row.

use super::choices::{
    AnonymityPolicy, Away, BadEntry, BccMode, Composing, Durability, ForeignRecipients, ForkFrom,
    ForkPai, FromMismatch, GroupWithList, IcidMode, IdentityMode, LiteralTargets, Nested,
    Notifications, SkipOriginator, TelMode, UnknownGroup, Untagged,
};
use super::core_socket::CoreSocket;
use super::db_url::DbUrl;
use super::error::SettingError;
use super::feature::Feature;
use super::parameter::{self, Group, Needs};
use super::quota::Quota;
use super::readers::{
    absolute_path, action, any, byte_count, domain, function_name, host_name, name_servers,
    node_name, optional, seconds, status_codes, whole_path,
};
use super::sender_label::SenderLabel;
use super::trusted_peer::TrustedPeer;
use super::values::Kind;
use super::values::{Flag, List, Number, OneOf, OneOfOrNothing, Text, Values};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One parameter.
pub type Parameter = parameter::Parameter<Settings>;

/// A row is a parameter's help, its name and type, the values that it takes and the default, spelt as a value.
/// `needs_queue` marks those that a C program cannot set, `needs_kamailio` those that OpenSIPS cannot either. The row
/// makes both the field of [`Settings`] and the item of [`PARAMETERS`].
macro_rules! parameters {
    ($($group:ident { $(
        $(#[doc = $help:literal])+
        $name:ident: $type:ty = $values:expr, $default:literal $(, $needs:ident)?;
    )+ })+) => {
        /// The values of all parameters, each under the parameter's own name.
        #[derive(Clone, Debug, Default)]
        pub struct Settings { $($(
            $(#[doc = $help])+
            pub $name: $type,
        )+)+ }

        /// All parameters, in the order of the documentation.
        pub const PARAMETERS: &[Parameter] = &[ $($(
            Parameter {
                name: stringify!($name),
                group: Group::$group,
                needs: needs!($($needs)?),
                default: $default,
                help: concat!($($help),+).trim_ascii_start(),
                kind: || kind_of::<$type>(&$values),
                store: |settings, text| {
                    settings.$name = $values.read(text)?;
                    Ok(())
                },
            },
        )+)+ ];
    };
}

/// Says to the compiler which type the values are of.
fn kind_of<T>(values: &impl Values<Value = T>) -> Kind {
    values.kind()
}

macro_rules! needs {
    () => {
        Needs::Nothing
    };
    (needs_queue) => {
        Needs::Queue
    };
    (needs_kamailio) => {
        Needs::Kamailio
    };
}

const MILLION: u32 = 1_000_000;

const DB_URL: &str = "sqlite:/// and an absolute path, such as sqlite:///var/lib/cimf/cimf.db, or postgres://USER@HOST/DATABASE with libpq's sslmode (verify-ca and verify-full need sslrootcert)";
const CORE_SOCKET: &str =
    "udp, tcp or tls, an address and a port of the proxy, such as udp:127.0.0.1:5062";
const NAME_SERVERS: &str = "addresses, each with a port or without one, separated by commas, such as 192.0.2.53 or [2001:db8::53]:5353";
const QUOTA: &str = "MESSAGES/SECONDS, both 1 to 1000000, such as 20/60, or nothing";
const BYTES: &str = "bytes from 1 to 1024G, with K, M or G behind them or without, such as 256M";

parameters! {
    Required {
        /// The groups: a SQLite file made by `cimfctl init`, or a PostgreSQL that many nodes share. Changes take effect
        /// with the next message, without a restart.
        db_url: DbUrl = Text(DB_URL, DbUrl::read), "sqlite:///var/lib/cimf/cimf.db";

        /// The served domains. A message to any other domain is left to the script. Required.
        domains: Vec<String> = List("a domain", domain), "";

        /// Who may assert an identity: `[udp:|tcp:|tls:]ADDRESS-or-CIDR`. P-Asserted-Identity of others is ignored.
        /// Name the SIP core's own machines and nothing else, and no address of this server: whoever can send from
        /// these addresses can speak as anybody.
        trusted_peers: Vec<TrustedPeer> = List("an address or a CIDR block, optionally with udp:, tcp: or tls: before it", TrustedPeer::parse), "";

        /// 1: without a core, send to each member's own address. Names are resolved by a process of the module's own,
        /// for as long as `queue_lifetime` says: a silent name server holds up the members in its own domain and nobody
        /// else. Whoever may add a member then decides where this server sends to.
        direct: bool = Flag, "0";

        /// The next hop of every copy and its only Route, such as `sip:icscf.home1.net;transport=tcp`. A
        /// name is resolved by a process of the module's own, and again before its TTL ends. Required, unless
        /// `direct` is 1.
        core_route: String = Text("a sip or sips URI", any), "";
    }

    Identity {
        /// What identifies the sender. `pai`: P-Asserted-Identity of `trusted_peers`. `digest`: the
        /// identity that the script gives to `cimf_handle()`. `either`: the first if there is one, else the second.
        /// `none`: From, which anybody can forge; for labs only.
        identity_mode: IdentityMode = OneOf::words(), "pai";

        /// What happens when From is not the sender's address: `copy` it, `reject` the message with 403, or `rewrite`
        /// it to the sender's address. Empty means `copy` for a sender that P-Asserted-Identity names and `reject` for
        /// one that the script names.
        from_mismatch: Option<FromMismatch> = OneOfOrNothing::words(), "";

        /// A message whose sender wants to stay anonymous is refused with 403: always (`reject`), or where the group does
        /// not allow anonymity (`group`). Copies go only to those for whom everything that made them recipients allows it.
        anonymity_policy: AnonymityPolicy = OneOf::words(), "reject";
    }

    Ims {
        /// The name in Warning headers and charging identifiers; empty means the first of `domains`.
        server_name: String = Text("a host name", host_name), "";

        /// 1: the next hop belongs to the trust domain and gets P-Asserted-Identity, Privacy, P-Charging-Vector and
        /// what else stays in that domain. 0: it gets none of them.
        trusted_next_hop: bool = Flag, "0";

        /// Whom P-Asserted-Identity of copies names, where the next hop gets one. With `group` and a
        /// `core_route` with `orig`, P-Served-User names the group too.
        fork_pai: ForkPai = OneOf::words(), "sender";

        /// The operator's name in P-Charging-Vector: `term-ioi` of answers, `orig-ioi` of copies. Empty
        /// means `server_name`.
        ioi: String = Text("a host name", host_name), "";

        /// The charging identifier of copies: a `new` one for each, or a `copy` of the one of the message.
        icid_mode: IcidMode = OneOf::words(), "new";
    }

    NextHop {
        /// The listener of the proxy from which copies leave, such as `udp:127.0.0.1:5062`. Empty means that
        /// the proxy chooses.
        core_socket: Option<CoreSocket> = Text(CORE_SOCKET, |text| optional(text, CoreSocket::parse)), "", needs_queue;

        /// 1: the Route of copies carries a mark that only this server knows, by which `cimf_is_copy()`
        /// recognises them when `core_route` leads back to this proxy. The script has to remove that Route before it
        /// sends a message to anybody.
        copy_mark: bool = Flag, "0", needs_queue;

        /// The name servers that are asked for the names in `core_route` and, with `direct`, in members' addresses.
        /// Empty means those of /etc/resolv.conf, with its other options.
        name_servers: Vec<SocketAddr> = Text(NAME_SERVERS, name_servers), "", needs_queue;

        /// 1: `sip:+N@DOMAIN;user=phone` in a served domain is the same address as `tel:+N`. Empty means 1 with
        /// `identity_mode=pai`, else 0.
        same_number: Option<bool> = OneOfOrNothing::words(), "";

        /// What tel addresses are sent to as: tel URIs (`keep`), or `sip:+N@TEL_DOMAIN;user=phone` (`convert`) for a
        /// next hop that does not route tel URIs.
        tel_mode: TelMode = OneOf::words(), "keep";

        /// The domain of telephone numbers with `tel_mode=convert`. `sip:+N@` this domain with `;user=phone` is then
        /// the same address as `tel:+N`.
        tel_domain: String = Text("a domain", host_name), "";

        /// 0: a message is refused with 413 if a copy would have more than 1300 bytes; one with a list of
        /// recipients goes without its history first, if that suffices. 1: such messages go to the next hop by TCP, or
        /// by what `core_route` says if that is not UDP. RFC 3428 wants 1 only where no hop to the members uses UDP.
        large_ok: bool = Flag, "0";

        /// 1: a message that comes back within 30 seconds through another server is answered 482:
        /// same sender, group and body, and a lower Max-Forwards than at first. Each message then takes a second place
        /// of `recent_requests`. With 0, groups of two servers that contain each other send one message in circles
        /// until Max-Forwards is used up: thousands of copies.
        loop_cache: bool = Flag, "1";
    }

    Groups {
        /// Which messages are group messages: those whose Accept-Contact wants one of these tags. OUTGOING is what
        /// Accept-Contact of the copies then has behind `*;`, otherwise `TAG;require;explicit`. For RCS beside OMA SIMPLE IM:
        /// `+g.oma.sip-im,+g.3gpp.icsi-ref=urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg`.
        feature_tags: Vec<Feature> = List("a feature tag, TAG, TAG=VALUE or either with >OUTGOING behind it", Feature::parse), "+g.oma.sip-im";

        /// What becomes of a message that wants none of `feature_tags`, as ordinary phones send them: the script goes
        /// on with it (`script`), or it is a group message like any other if its Request-URI is a stored group or
        /// service (`groups`). Its copies then have no Accept-Contact.
        untagged: Untagged = OneOf::words(), "script";

        /// What becomes of a message to an address of `domains` that is not a group: it is refused with 404 (`reject`), or
        /// the script goes on with it (`script`), for domains that people and groups share. With `hide_groups=1` the
        /// same happens to a message to a group that its sender may not use.
        unknown_group: UnknownGroup = OneOf::words(), "reject";

        /// 0: refuse every group message with 403.
        pager_mode: bool = Flag, "1";

        /// 1: answer 403 instead of 404 for unknown groups, so that nobody learns which exist.
        hide_groups: bool = Flag, "0";

        /// The action of a group's ruleset that allows somebody to send to it. To a group without a ruleset its members may
        /// send.
        send_action: String = Text("the name of an action, such as allow-initiate-conference", action), "allow-initiate-conference";

        /// Who gets no copy of their own message: the originator of a message to a stored group (`group`), every originator
        /// (`always`), or nobody (`never`).
        skip_originator: SkipOriginator = OneOf::words(), "group";

        /// What becomes of a member that is a group of this server: it gets nothing (`skip`), or its members get the
        /// message if the sender may send to it too (`expand`, four groups deep at most).
        nested: Nested = OneOf::words(), "skip";

        /// The most members a stored group may have, with those of the groups in it where `nested` is `expand`.
        /// A larger one is refused, not cut.
        max_members: u32 = Number(1, 10 * MILLION), "100000";
    }

    Copies {
        /// Further headers that go from the message into its copies.
        copy_headers: Vec<String> = List("a header name", any), "";

        /// 1: copies keep the sender's other Accept-Contact values, Reject-Contact and Request-Disposition.
        /// They narrow down which devices get the message.
        copy_prefs: bool = Flag, "0";

        /// Whose address From of the copies of a message to a stored group is. With `group` phones file the copy in the
        /// group's conversation, and an answer goes to the group; `sender_label` says how the sender is named then, and
        /// Reply-To is not copied.
        fork_from: ForkFrom = OneOf::words(), "originator";

        /// How copies with `fork_from=group` name the sender: by the display name of From, by `NAME: ` before a
        /// text/plain body, both, or `none`. The name is the one that the group stores for that member, else the user
        /// part of the authenticated address; never one that the sender has written.
        sender_label: SenderLabel = Text("display_name, body, display_name,body or none", SenderLabel::parse), "display_name,body";

        /// What becomes of a composing indication (`application/im-iscomposing+xml`): it goes to the members (`relay`),
        /// or is answered 202 and goes nowhere (`drop`).
        composing: Composing = OneOf::words(), "relay";

        /// What becomes of a disposition notification, such as a phone's receipt, that is addressed to a group: it is
        /// refused with 403 (`refuse`), or answered 202 and goes nowhere (`accept`), for phones that mistake a 403 for a
        /// wrong password.
        notifications: Notifications = OneOf::words(), "refuse";

        /// 1: a message whose copies would not be UTF-8 throughout, or have an encoded body, is refused with 415. For
        /// members that are reached by WebSocket: a browser closes its connection at such a text frame.
        utf8_only: bool = Flag, "0";
    }

    Lists {
        /// Who may use services besides the subscribers of `domains`.
        service_acl: Vec<String> = List("an address with its scheme, or a domain", any), "";

        /// Whether services send to addresses outside of `domains`: yes (`allow`), no (`deny`, answered 403), or only
        /// to those that `cimfctl consent` lists (`consent`, answered 470 otherwise).
        foreign_recipients: ForeignRecipients = OneOf::words(), "allow";

        /// 1: services send only to addresses that `cimfctl consent` lists, in whatever domain; a message that names
        /// another is answered 470.
        consent: bool = Flag, "0";

        /// 1: a message to a service needs `Require: recipient-list-message`, as RFC 5365 asks of clients; without it
        /// the answer is 421.
        strict_require: bool = Flag, "0";

        /// 1: for clients of the drafts before RFC 5365: with `;list=cid:ID` in the Request-URI of a service, the body
        /// part whose Content-ID is ID is a list, whatever its Content-Disposition; without such a part the message is
        /// answered 400.
        draft_list_param: bool = Flag, "0";

        /// What becomes of a message to a stored group that carries a list: 403 (`reject`), to those members that the
        /// list names (`intersect`), or to all members and to those whom the list names besides (`union`). For the
        /// latter the sender must be one who may use services, and they must be recipients to whom a service would
        /// send; none of them can have consented.
        group_with_list: GroupWithList = OneOf::words(), "reject";

        /// Recipients whom the sender marked `bcc`, or not at all, stand in no history (`remove`), or each
        /// finds their own entry, and no other of them, in their copy (`self`).
        bcc_mode: BccMode = OneOf::words(), "remove";

        /// 1: messages to stored groups have a history too, with all members as `to`, the sender included; not for
        /// groups whose history would be longer than 64 KiB.
        group_history: bool = Flag, "0";

        /// What becomes of a list with an entry that cannot be sent to: the others get the message (`skip`), or nobody
        /// does and the answer is 400 (`reject`).
        bad_entry: BadEntry = OneOf::words(), "skip";

        /// Whether addresses in lists may name a machine: an IP address, localhost, or `;maddr=`. With `allow` who
        /// sends to a service decides to which machine this server or its core sends.
        literal_targets: LiteralTargets = OneOf::words(), "skip";

        /// Headers that an entry of a list may set for its recipient, such as `Subject` and `Priority` for
        /// `sip:bob@home1.net?Subject=Hello`. They take the place of the message's own.
        uri_headers: Vec<String> = List("a header name", any), "";

        /// The most entries that the list of a message to a service may have.
        max_entries: u32 = Number(1, 1000), "1000";

        /// The most recipients that such a list may come to, each counted once.
        max_recipients: u32 = Number(1, 1000), "100";
    }

    Memory {
        /// How many members each worker keeps in memory, over all groups (about 120 bytes each).
        cache_members: u32 = Number(1, 100 * MILLION), "200000";

        /// How many requests of the last 32 seconds all workers together remember (up to 37 bytes each). Those of
        /// senders who may not send are not among them. The default suffices for some 2,000 messages a second. A message
        /// that finds no room has a transaction of the proxy's, which costs more and knows retransmissions only as long
        /// as `wt_timer` of tm says; `not_remembered` counts them. With `loop_cache=1` as much memory again is taken.
        recent_requests: u32 = Number(64, 64 * MILLION), "131072";
    }

    Queue {
        /// Mebibytes for accepted messages that are not sent to everybody yet: each takes its own bytes once and some
        /// 45 bytes for each member. A message that does not fit is answered 503. What is not used costs nothing.
        queue_memory: u32 = Number(1, 16384), "64", needs_queue;

        /// The most messages that may be on their way at once; one more is answered 503.
        queue_messages: u32 = Number(1, MILLION), "10000", needs_queue;

        /// How many seconds a message waits when the proxy has no memory for its copies; then it expires for the
        /// members that are left. For as long a copy waits for the name of its next hop to be resolved; then its member
        /// is unreachable (478).
        queue_lifetime: u32 = Number(1, 86400), "600", needs_queue;

        /// The most copies of one message that wait for their final responses at once, besides those that have waited
        /// for longer than `patience`.
        concurrency: u32 = Number(1, 10_000), "60";

        /// The most Max-Breadth that is shared among the copies of a message (RFC 5393). 0: as much as the message has,
        /// and no limit where it says nothing; for cores that are trusted.
        max_breadth: u32 = Number(0, 10_000), "60";

        /// How many seconds a copy counts against `concurrency` while it has no final response; an older one, such as
        /// to a phone that is off, lets the next copy go. It counts in `forks_in_flight`, and keeps its share of
        /// Max-Breadth where that is bounded (`max_breadth`), until its final response. 0: it counts against
        /// `concurrency` as long.
        patience: u32 = Number(0, 86400), "2", needs_queue;

        /// The most copies of all messages together that wait for their final responses at once; of one originator 38
        /// in 100 of them, so that its silent recipients hold up nobody else's.
        forks_in_flight: u32 = Number(1, 250_000), "2000", needs_queue;

        /// 1: a member gets the next message when the one before has its final response, as RFC 3428 §8 demands. 0: at
        /// once.
        target_order: bool = Flag, "1", needs_queue;

        /// The most messages of one originator that wait for one member; a further one is not sent to that member. Of
        /// all originators together 2.6 times as many, so that there is room for others.
        target_queue: u32 = Number(1, MILLION), "100", needs_queue;

        /// Mebibytes of the proxy's shared memory (`-m`) that the transactions of copies may use: about 10 KiB each,
        /// from sending to some seconds after the end (`wt_timer`). Copies that find no room wait. 0: half of it.
        tm_memory: u32 = Number(0, 1_048_576), "0", needs_queue;

        /// Per cent of the proxy's shared memory (`-m`) that copies leave free for the proxy itself, whatever takes the
        /// rest: the proxy is asked how much is free, every 10 ms at most. A copy that comes back to this proxy, as in
        /// small-site.cfg, needs a second transaction, which `tm_memory` does not count. Copies that find no room wait.
        /// 0: the proxy is not asked.
        memory_reserve: u32 = Number(0, 90), "25", needs_queue;

        /// The function of a script in Lua, Python or another language that is called in place of the event routes, with
        /// the name of one as its argument, such as `cimf:kept`. Empty: the event routes themselves are run. In Kamailio
        /// alone.
        event_callback: String = Text("the name of a function, of letters, digits and _, or nothing", function_name), "", needs_kamailio;
    }

    Quotas {
        /// How many messages one sender may send, such as `20/60` for 20 in 60 seconds. Over it they are answered 480
        /// with Retry-After. Empty: no limit, so that one sender can use up the whole queue.
        quota_originator: Option<Quota> = Text(QUOTA, |text| optional(text, Quota::parse)), "", needs_queue;

        /// How many messages one group or service may get, likewise.
        quota_group: Option<Quota> = Text(QUOTA, |text| optional(text, Quota::parse)), "", needs_queue;

        /// How many messages are accepted in a second; a further one is answered 503 with Retry-After. 0: no limit.
        rate: u32 = Number(0, MILLION), "0", needs_queue;
    }

    Cluster {
        /// The SQLite file in which a node keeps what PostgreSQL has, where `db_url` leads there. It is made by the proxy,
        /// whose user must be able to write in its folder. Workers read this file, and never wait for a network.
        replica: PathBuf = Text("the absolute path of a file", whole_path), "/var/lib/cimf/replica.db";

        /// How many seconds a node goes on with its replica while PostgreSQL is away; then messages to groups are
        /// answered 500 with Retry-After. 0: for as long as it takes.
        groups_max_age: u32 = Number(0, 30 * 86_400), "0", needs_queue;

        /// The name of this node among those that share a ledger (`durability=cluster`), for people. Empty: the name of
        /// the machine.
        node: String = Text("a name of letters, digits, \"-\", \".\" and \"_\", or nothing", node_name), "", needs_queue;

        /// How many seconds a node may be silent before the others take over the messages that it has promised
        /// (`durability=cluster`). It sends nothing once it could not renew its lease for half of that.
        lease: u32 = Number(2, 600), "10", needs_queue;
    }

    Durability {
        /// With `journal` an accepted message is on disk before its 202, and after a crash the next start sends it to
        /// those to whom it was not delivered. With `cluster` it is in the PostgreSQL of `db_url`, and if this node is
        /// lost another one sends it. With `none` a crash loses what is on its way.
        durability: Durability = OneOf::words(), "none", needs_queue;

        /// The file of accepted messages that are not finished, an SQLite database; it is made if it is missing. It is not
        /// used with `durability=cluster`. One
        /// proxy at a time can use it. Empty: `ledger.db` beside the file of `db_url`. The proxy's user must be
        /// able to write in its folder.
        ledger: PathBuf = Text("the absolute path of a file", absolute_path), "", needs_queue;

        /// How many seconds a message waits until it is on disk, or in PostgreSQL. One that is not by then is
        /// answered 503 and never sent, and further ones are answered 503 at once until the disk is written again.
        ledger_timeout: Duration = Text("seconds from 0.01 to 30, such as 1 or 0.5", seconds), "1", needs_queue;
    }

    Away {
        /// What becomes of the copy of a member who is away, which is what `away_codes` tell: it ends there (`drop`),
        /// or it is kept (`keep`), in the file of `ledger` or with `durability=cluster` in PostgreSQL, until the script calls
        /// `cimf_deliver()` for the member.
        away: Away = OneOf::words(), "drop", needs_queue;

        /// The final responses that say that a member is away. 408 is also what a copy ends with that nobody answers in
        /// time.
        away_codes: Vec<u16> = Text("status codes from 300 to 699, separated by commas", status_codes), "404,408,410,480", needs_queue;

        /// How many seconds a copy is kept, 259200 are three days. One with Expires is kept until that is over, if that
        /// is sooner.
        away_lifetime: u32 = Number(1, 400 * 86400), "259200", needs_queue;

        /// The most copies that are kept for one member; one more pushes out the oldest.
        away_per_member: u32 = Number(1, MILLION), "100", needs_queue;

        /// The most bytes of all kept copies together, where a message counts once for all its copies. What would be
        /// more is not kept: no sender can push out what others have sent.
        away_bytes: u64 = Text(BYTES, byte_count), "256M", needs_queue;
    }
}

impl Settings {
    /// All defaults.
    pub fn new() -> Self {
        let mut settings = Self::default();
        for parameter in PARAMETERS {
            // A test holds that every default is a value of its parameter.
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

    /// The file that workers read: the one of `db_url`, or the replica of its PostgreSQL.
    pub fn groups(&self) -> &Path {
        match &self.db_url {
            DbUrl::Sqlite(path) => path,
            DbUrl::Postgres(_) => &self.replica,
        }
    }

    /// Whether workers read a replica of PostgreSQL.
    pub fn has_replica(&self) -> bool {
        matches!(self.db_url, DbUrl::Postgres(_))
    }

    /// `ledger`, or `ledger.db` beside the groups where none is set.
    pub fn ledger(&self) -> PathBuf {
        match self.ledger.as_os_str().is_empty() {
            true => self.groups().with_file_name("ledger.db"),
            false => self.ledger.clone(),
        }
    }

    /// `node`, or the name of the machine where none is set.
    pub fn node(&self) -> String {
        let name = match self.node.is_empty() {
            true => std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default(),
            false => self.node.clone(),
        };
        match name.trim() {
            "" => "unnamed".to_owned(),
            name => name.to_owned(),
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

impl Parameter {
    /// The parameter of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PARAMETERS.iter().find(|parameter| parameter.name == name)
    }
}
