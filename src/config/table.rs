//! The table of parameters: name, kind, default, help, and where the value goes.

use super::choices::{
    Composing, ForeignRecipients, ForkFrom, FromMismatch, GroupWithList, IdentityMode,
    Notifications, SkipOriginator, UnknownGroup, Untagged,
};
use super::parameter::{Kind, Parameter};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Stores the choice that `value` names; says whether it names one.
fn choose<T: Copy>(choices: &[(&str, T)], value: &str, place: &mut T) -> bool {
    let found = choices.iter().find(|(name, _)| *name == value);
    found.map(|(_, choice)| *place = *choice).is_some()
}

/// Whether `text` has only characters of host names and addresses.
fn is_host_text(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
}

/// The port of name servers (RFC 1035 §4.2).
const DOMAIN_PORT: u16 = 53;

/// Reads addresses of name servers, each with a port or without one; nothing if one is none.
fn name_servers(value: &str) -> Option<Vec<SocketAddr>> {
    let read = |text: &str| {
        let address = text.parse::<IpAddr>().ok();
        let with_port = address.map(|address| SocketAddr::new(address, DOMAIN_PORT));
        with_port.or_else(|| text.parse().ok())
    };
    let items = value.split(',').map(str::trim);
    items
        .filter(|_| !value.trim().is_empty())
        .map(read)
        .collect()
}

/// What a quota looks like.
const QUOTA: &str = "MESSAGES/SECONDS, both 1 to 1000000, such as 20/60, or nothing";

/// Stores a quota; says whether `value` is one.
fn quota(value: &str, place: &mut Option<(u32, u32)>) -> bool {
    let number = |text: &str| {
        let number = text.parse().ok();
        number.filter(|number| (1..=MILLION).contains(number))
    };
    let found = value.split_once('/');
    let found = found.and_then(|(messages, seconds)| Some((number(messages)?, number(seconds)?)));
    *place = found;
    found.is_some() || value.is_empty()
}

/// Stores seconds that may have a fraction; says whether `value` is some.
fn seconds(value: &str, place: &mut Duration) -> bool {
    let seconds = value.parse::<f64>().ok();
    let seconds = seconds.filter(|seconds| (0.01..=30.0).contains(seconds));
    seconds
        .map(|seconds| *place = Duration::from_secs_f64(seconds))
        .is_some()
}

const MILLION: u32 = 1_000_000;

/// Reads status codes of final responses that are no 2xx; nothing if one is none.
fn status_codes(value: &str) -> Option<Vec<u16>> {
    let read = |text: &str| {
        let code = text.parse().ok();
        code.filter(|code| (300..700).contains(code))
    };
    value.split(',').map(str::trim).map(read).collect()
}

/// Reads bytes with a unit behind them or without one; nothing if they are not at least one, and at most a tebibyte.
fn byte_count(value: &str) -> Option<u64> {
    let units = [("K", 10), ("M", 20), ("G", 30)];
    let unit = units.into_iter().find_map(|(unit, shift)| {
        let digits = value.strip_suffix(unit)?;
        Some((digits, shift))
    });
    let (digits, shift) = unit.unwrap_or((value, 0));
    let number: u64 = digits.parse().ok()?;
    let bytes = number.checked_mul(1 << shift)?;
    (1..=1 << 40).contains(&bytes).then_some(bytes)
}

/// All parameters, in the order of the documentation.
pub const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "db_url",
        needs_queue: false,
        kind: Kind::Text(
            "sqlite:/// and an absolute path, such as sqlite:///var/lib/cimf/cimf.db",
            |settings, value| {
                let path = value
                    .strip_prefix("sqlite://")
                    .filter(|path| path.starts_with('/') && path.len() > 1);
                path.map(|path| path.clone_into(&mut settings.database))
                    .is_some()
            },
        ),
        default: "sqlite:///var/lib/cimf/cimf.db",
        help: "The groups: a SQLite file made by `cimfctl init`.",
    },
    Parameter {
        name: "domains",
        needs_queue: false,
        kind: Kind::List("a domain", |settings| &mut settings.domains),
        default: "",
        help: "The served domains. A message to any other domain is left to the script. Required.",
    },
    Parameter {
        name: "server_name",
        needs_queue: false,
        kind: Kind::Text("a host name", |settings, value| {
            value.clone_into(&mut settings.server_name);
            is_host_text(value)
        }),
        default: "",
        help: "The name in Warning headers and charging identifiers; empty means the first of `domains`.",
    },
    Parameter {
        name: "trusted_peers",
        needs_queue: false,
        kind: Kind::List(
            "an address or a CIDR block, optionally with udp:, tcp: or tls: before it",
            |settings| &mut settings.trusted_peers,
        ),
        default: "",
        help: "Who may assert an identity: `[udp:|tcp:|tls:]ADDRESS-or-CIDR`. P-Asserted-Identity of others is ignored.",
    },
    Parameter {
        name: "core_route",
        needs_queue: false,
        kind: Kind::Text("a sip or sips URI", |settings, value| {
            value.clone_into(&mut settings.core_route);
            true
        }),
        default: "",
        help: "The next hop of every outgoing message and its only Route, such as `sip:icscf.home1.net;transport=tcp`. A name is resolved by a process of the module's own, and anew before its time is over.",
    },
    Parameter {
        name: "core_socket",
        needs_queue: true,
        kind: Kind::Text(
            "udp, tcp or tls, an address and a port of the proxy, such as udp:127.0.0.1:5062",
            |settings, value| {
                value.clone_into(&mut settings.core_socket);
                true
            },
        ),
        default: "",
        help: "The listener of the proxy from which outgoing messages leave, such as `udp:127.0.0.1:5062`. Empty means that the proxy chooses.",
    },
    Parameter {
        name: "copy_mark",
        needs_queue: true,
        kind: Kind::Flag(|settings| &mut settings.copy_mark),
        default: "0",
        help: "1: the Route of outgoing messages carries a mark that only this server knows, by which `cimf_is_copy()` recognises them when `core_route` leads back to this proxy. The script has to take that Route away before it sends a message to anybody.",
    },
    Parameter {
        name: "direct",
        needs_queue: false,
        kind: Kind::Flag(|settings| &mut settings.direct),
        default: "0",
        help: "1: without a core, send to each member's own address. Names are resolved by a process of the module's own, for as long as `queue_lifetime` says: a silent name server holds up the members in its own domain and nobody else.",
    },
    Parameter {
        name: "name_servers",
        needs_queue: true,
        kind: Kind::Text(
            "addresses, each with a port or without one, separated by commas, such as 192.0.2.53 or [2001:db8::53]:5353",
            |settings, value| {
                let found = name_servers(value);
                found.map(|found| settings.name_servers = found).is_some()
            },
        ),
        default: "",
        help: "The name servers that are asked for the names in `core_route` and, with `direct`, in members' addresses. Empty means those of /etc/resolv.conf, with its other options.",
    },
    Parameter {
        name: "trusted_next_hop",
        needs_queue: false,
        kind: Kind::Flag(|settings| &mut settings.trusted_next_hop),
        default: "0",
        help: "1: the next hop belongs to the trust domain and gets P-Asserted-Identity, Privacy, P-Charging-Vector and what else stays in that domain. 0: it gets none of them.",
    },
    Parameter {
        name: "identity_mode",
        needs_queue: false,
        kind: Kind::Text("pai, digest, either or none", |settings, value| {
            let choices = [
                ("pai", IdentityMode::Pai),
                ("digest", IdentityMode::Digest),
                ("either", IdentityMode::Either),
                ("none", IdentityMode::None),
            ];
            choose(&choices, value, &mut settings.identity_mode)
        }),
        default: "pai",
        help: "Whose word counts for who the sender is. `pai`: P-Asserted-Identity of `trusted_peers`. `digest`: the identity that the script gives to `cimf_handle()`. `either`: the first if there is one, else the second. `none`: From, which anybody can write; for labs only.",
    },
    Parameter {
        name: "from_mismatch",
        needs_queue: false,
        kind: Kind::Text("copy, reject, rewrite or nothing", |settings, value| {
            let choices = [
                ("", None),
                ("copy", Some(FromMismatch::Copy)),
                ("reject", Some(FromMismatch::Reject)),
                ("rewrite", Some(FromMismatch::Rewrite)),
            ];
            choose(&choices, value, &mut settings.from_mismatch)
        }),
        default: "",
        help: "What happens when From is not the sender's address: `copy` it, `reject` the message with 403, or `rewrite` it to the sender's address. Empty means `copy` for a sender that P-Asserted-Identity names and `reject` for one that the script names.",
    },
    Parameter {
        name: "anonymity_policy",
        needs_queue: false,
        kind: Kind::Text("reject or group", |settings, value| {
            let choices = [("reject", false), ("group", true)];
            choose(&choices, value, &mut settings.anonymity_by_group)
        }),
        default: "reject",
        help: "Who wants to stay anonymous is refused with 403 (`reject`), or only where the group does not allow anonymity (`group`). Copies go to those only for whom everything that made them recipients allows it.",
    },
    Parameter {
        name: "fork_pai",
        needs_queue: false,
        kind: Kind::Text("sender or group", |settings, value| {
            let choices = [("sender", false), ("group", true)];
            choose(&choices, value, &mut settings.fork_pai_group)
        }),
        default: "sender",
        help: "Whom P-Asserted-Identity of outgoing messages names, where the next hop gets one. With `group` and a `core_route` with `orig`, P-Served-User names the group too.",
    },
    Parameter {
        name: "fork_from",
        needs_queue: false,
        kind: Kind::Text("originator or group", |settings, value| {
            let choices = [
                ("originator", ForkFrom::Originator),
                ("group", ForkFrom::Group),
            ];
            choose(&choices, value, &mut settings.fork_from)
        }),
        default: "originator",
        help: "Whose address From of the copies of a message to a stored group is. With `group` phones file the copy in the group's conversation, and an answer goes to the group; `sender_label` says how the sender is named then, and Reply-To is not copied.",
    },
    Parameter {
        name: "sender_label",
        needs_queue: false,
        kind: Kind::Text(
            "display_name, body, display_name,body or none",
            |settings, value| {
                let found = match value {
                    "none" => Some((false, false)),
                    "display_name" => Some((true, false)),
                    "body" => Some((false, true)),
                    "display_name,body" | "body,display_name" => Some((true, true)),
                    _ => None,
                };
                let (display_name, body) = found.unwrap_or_default();
                settings.sender_label_display_name = display_name;
                settings.sender_label_body = body;
                found.is_some()
            },
        ),
        default: "display_name,body",
        help: "How copies with `fork_from=group` name the sender: by the display name of From, by `NAME: ` before a text/plain body, both, or `none`. The name is the one that the group stores for that member, else the user part of the authenticated address; never one that the sender has written.",
    },
    Parameter {
        name: "composing",
        needs_queue: false,
        kind: Kind::Text("relay or drop", |settings, value| {
            let choices = [("relay", Composing::Relay), ("drop", Composing::Drop)];
            choose(&choices, value, &mut settings.composing)
        }),
        default: "relay",
        help: "What becomes of a composing indication (`application/im-iscomposing+xml`): it goes to the members (`relay`), or is answered 202 and goes nowhere (`drop`).",
    },
    Parameter {
        name: "notifications",
        needs_queue: false,
        kind: Kind::Text("refuse or accept", |settings, value| {
            let choices = [
                ("refuse", Notifications::Refuse),
                ("accept", Notifications::Accept),
            ];
            choose(&choices, value, &mut settings.notifications)
        }),
        default: "refuse",
        help: "What becomes of a disposition notification, such as a phone's receipt, that is addressed to a group: it is refused with 403 (`refuse`), or answered 202 and goes nowhere (`accept`), for phones that take a 403 for a wrong password.",
    },
    Parameter {
        name: "utf8_only",
        needs_queue: false,
        kind: Kind::Flag(|settings| &mut settings.utf8_only),
        default: "0",
        help: "1: a message whose copies would not be UTF-8 throughout, or have an encoded body, is refused with 415. For members that are reached by WebSocket: a browser closes its connection at such a text frame.",
    },
    Parameter {
        name: "ioi",
        needs_queue: false,
        kind: Kind::Text("a host name", |settings, value| {
            value.clone_into(&mut settings.ioi);
            is_host_text(value)
        }),
        default: "",
        help: "The operator's name in P-Charging-Vector: `term-ioi` of answers, `orig-ioi` of outgoing messages. Empty means `server_name`.",
    },
    Parameter {
        name: "icid_mode",
        needs_queue: false,
        kind: Kind::Text("new or copy", |settings, value| {
            let choices = [("new", false), ("copy", true)];
            choose(&choices, value, &mut settings.icid_copied)
        }),
        default: "new",
        help: "The charging identifier of outgoing messages: a `new` one for each, or a `copy` of the message's own.",
    },
    Parameter {
        name: "feature_tags",
        needs_queue: false,
        kind: Kind::List(
            "a feature tag, TAG, TAG=VALUE or either with >OUTGOING behind it",
            |settings| &mut settings.feature_tags,
        ),
        default: "+g.oma.sip-im",
        help: "Which messages are group messages: those whose Accept-Contact wants one of these tags. OUTGOING is what Accept-Contact of the outgoing messages then has behind `*;`, otherwise `TAG;require;explicit`.",
    },
    Parameter {
        name: "untagged",
        needs_queue: false,
        kind: Kind::Text("script or groups", |settings, value| {
            let choices = [("script", Untagged::Script), ("groups", Untagged::Groups)];
            choose(&choices, value, &mut settings.untagged)
        }),
        default: "script",
        help: "What becomes of a message that wants none of `feature_tags`, as ordinary phones send them: the script goes on with it (`script`), or it is a group message like any other if its Request-URI is a stored group or service (`groups`). Its copies then have no Accept-Contact.",
    },
    Parameter {
        name: "unknown_group",
        needs_queue: false,
        kind: Kind::Text("reject or script", |settings, value| {
            let choices = [
                ("reject", UnknownGroup::Reject),
                ("script", UnknownGroup::Script),
            ];
            choose(&choices, value, &mut settings.unknown_group)
        }),
        default: "reject",
        help: "What becomes of a message to an address of `domains` that is no group: it is refused with 404 (`reject`), or the script goes on with it (`script`), for domains that people and groups share. With `hide_groups=1` the same happens to a message to a group that its sender may not use.",
    },
    Parameter {
        name: "pager_mode",
        needs_queue: false,
        kind: Kind::Flag(|settings| &mut settings.pager_mode),
        default: "1",
        help: "0: refuse every group message with 403.",
    },
    Parameter {
        name: "hide_groups",
        needs_queue: false,
        kind: Kind::Flag(|settings| &mut settings.hide_groups),
        default: "0",
        help: "1: answer 403 instead of 404 for unknown groups, so that nobody learns which exist.",
    },
    Parameter {
        name: "skip_originator",
        needs_queue: false,
        kind: Kind::Text("group, always or never", |settings, value| {
            let choices = [
                ("group", SkipOriginator::Group),
                ("always", SkipOriginator::Always),
                ("never", SkipOriginator::Never),
            ];
            choose(&choices, value, &mut settings.skip_originator)
        }),
        default: "group",
        help: "Whether the originator is left out: of stored groups (`group`), always or never.",
    },
    Parameter {
        name: "same_number",
        needs_queue: false,
        kind: Kind::Text("0, 1 or nothing", |settings, value| {
            let choices = [("", None), ("0", Some(false)), ("1", Some(true))];
            choose(&choices, value, &mut settings.same_number)
        }),
        default: "",
        help: "1: `sip:+N@DOMAIN;user=phone` in a served domain is the same address as `tel:+N`. Empty means 1 with `identity_mode=pai`, else 0.",
    },
    Parameter {
        name: "tel_mode",
        needs_queue: false,
        kind: Kind::Text("keep or convert", |settings, value| {
            let choices = [("keep", false), ("convert", true)];
            choose(&choices, value, &mut settings.converts_tel)
        }),
        default: "keep",
        help: "What tel addresses are sent to as: tel URIs (`keep`), or `sip:+N@TEL_DOMAIN;user=phone` (`convert`) for a next hop that does not route tel URIs.",
    },
    Parameter {
        name: "tel_domain",
        needs_queue: false,
        kind: Kind::Text("a domain", |settings, value| {
            value.clone_into(&mut settings.tel_domain);
            is_host_text(value)
        }),
        default: "",
        help: "The domain of telephone numbers with `tel_mode=convert`. `sip:+N@` this domain with `;user=phone` is then the same address as `tel:+N`.",
    },
    Parameter {
        name: "copy_headers",
        needs_queue: false,
        kind: Kind::List("a header name", |settings| &mut settings.copy_headers),
        default: "",
        help: "Further headers to copy into outgoing messages.",
    },
    Parameter {
        name: "copy_prefs",
        needs_queue: false,
        kind: Kind::Flag(|settings| &mut settings.copy_prefs),
        default: "0",
        help: "1: outgoing messages keep the sender's other Accept-Contact values, Reject-Contact and Request-Disposition. They narrow down which devices get the message.",
    },
    Parameter {
        name: "strict_require",
        needs_queue: false,
        kind: Kind::Flag(|settings| &mut settings.strict_require),
        default: "0",
        help: "1: a message to a service needs `Require: recipient-list-message`, as RFC 5365 asks of clients; without it the answer is 421.",
    },
    Parameter {
        name: "large_ok",
        needs_queue: false,
        kind: Kind::Flag(|settings| &mut settings.large_ok),
        default: "0",
        help: "0: a message is refused with 413 if an outgoing message would have more than 1300 bytes; one with a list of recipients goes without its history first, if that suffices. 1: such messages go to the next hop by TCP, or by what `core_route` says if that is not UDP. RFC 3428 wants 1 only where no hop to the members uses UDP.",
    },
    Parameter {
        name: "loop_cache",
        needs_queue: false,
        kind: Kind::Flag(|settings| &mut settings.loop_cache),
        default: "1",
        help: "1: a message that comes back within 30 seconds from another server, which has it from us, is answered 482: same sender, group and body, and a lower Max-Forwards than at first. Each message then takes a second place of `recent_requests`. With 0, groups of two servers that contain each other send one message in circles until Max-Forwards is used up: thousands of copies.",
    },
    Parameter {
        name: "send_action",
        needs_queue: false,
        kind: Kind::Text(
            "the name of an action, such as allow-initiate-conference",
            |settings, value| {
                value.clone_into(&mut settings.send_action);
                let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                !value.is_empty() && value.bytes().all(is_good)
            },
        ),
        default: "allow-initiate-conference",
        help: "The action of a group's ruleset that lets somebody send to it. To a group without a ruleset its members may send.",
    },
    Parameter {
        name: "nested",
        needs_queue: false,
        kind: Kind::Text("skip or expand", |settings, value| {
            settings.expand_nested = value == "expand";
            settings.expand_nested || value == "skip"
        }),
        default: "skip",
        help: "What becomes of a member that is a group of this server: it gets nothing (`skip`), or its members get the message if the sender may send to it too (`expand`, four groups deep at most).",
    },
    Parameter {
        name: "service_acl",
        needs_queue: false,
        kind: Kind::List("an address with its scheme, or a domain", |settings| {
            &mut settings.service_acl
        }),
        default: "",
        help: "Who may use services besides the subscribers of `domains`.",
    },
    Parameter {
        name: "foreign_recipients",
        needs_queue: false,
        kind: Kind::Text("allow, deny or consent", |settings, value| {
            let found = [
                ("allow", ForeignRecipients::Allow),
                ("deny", ForeignRecipients::Deny),
                ("consent", ForeignRecipients::Consent),
            ]
            .into_iter()
            .find(|(name, _)| *name == value);
            found
                .map(|(_, choice)| settings.foreign_recipients = choice)
                .is_some()
        }),
        default: "allow",
        help: "Whether services send to addresses outside of `domains`: yes (`allow`), no (`deny`, answered 403), or only to those that `cimfctl consent` lists (`consent`, answered 470 otherwise).",
    },
    Parameter {
        name: "consent",
        needs_queue: false,
        kind: Kind::Flag(|settings| &mut settings.consent),
        default: "0",
        help: "1: services send only to addresses that `cimfctl consent` lists, in whatever domain; a message that names another is answered 470.",
    },
    Parameter {
        name: "draft_list_param",
        needs_queue: false,
        kind: Kind::Flag(|settings| &mut settings.draft_list_param),
        default: "0",
        help: "1: for clients of the drafts before RFC 5365: with `;list=cid:ID` in the Request-URI of a service, the body part whose Content-ID is ID is a list, whatever its Content-Disposition; without such a part the message is answered 400.",
    },
    Parameter {
        name: "group_with_list",
        needs_queue: false,
        kind: Kind::Text("reject, intersect or union", |settings, value| {
            let choices = [
                ("reject", GroupWithList::Reject),
                ("intersect", GroupWithList::Intersect),
                ("union", GroupWithList::Union),
            ];
            choose(&choices, value, &mut settings.group_with_list)
        }),
        default: "reject",
        help: "What becomes of a message to a stored group that carries a list: 403 (`reject`), to those members that the list names (`intersect`), or to all members and to those whom the list names besides (`union`). For the latter the sender must be one who may use services, and they must be recipients to whom a service would send; none of them can have consented.",
    },
    Parameter {
        name: "bcc_mode",
        needs_queue: false,
        kind: Kind::Text("remove or self", |settings, value| {
            let choices = [("remove", false), ("self", true)];
            choose(&choices, value, &mut settings.bcc_self)
        }),
        default: "remove",
        help: "Recipients whom the sender marked `bcc`, or not at all, stand in no history (`remove`), or each finds himself, and no other of them, in his own copy (`self`).",
    },
    Parameter {
        name: "group_history",
        needs_queue: false,
        kind: Kind::Flag(|settings| &mut settings.group_history),
        default: "0",
        help: "1: messages to stored groups have a history too, with all members as `to`, the sender included; not for groups whose history would be longer than 64 KiB.",
    },
    Parameter {
        name: "bad_entry",
        needs_queue: false,
        kind: Kind::Text("skip or reject", |settings, value| {
            let choices = [("skip", false), ("reject", true)];
            choose(&choices, value, &mut settings.bad_entry_rejects)
        }),
        default: "skip",
        help: "What becomes of a list with an entry that cannot be sent to: the others get the message (`skip`), or nobody does and the answer is 400 (`reject`).",
    },
    Parameter {
        name: "literal_targets",
        needs_queue: false,
        kind: Kind::Text("skip or allow", |settings, value| {
            let choices = [("skip", false), ("allow", true)];
            choose(&choices, value, &mut settings.literal_targets)
        }),
        default: "skip",
        help: "Whether addresses in lists may name a machine: an IP address, localhost, or `;maddr=`. With `allow` who sends to a service decides to which machine this server or its core sends.",
    },
    Parameter {
        name: "uri_headers",
        needs_queue: false,
        kind: Kind::List("a header name", |settings| &mut settings.uri_headers),
        default: "",
        help: "Headers that an entry of a list may set for its recipient, such as `Subject` and `Priority` for `sip:bob@home1.net?Subject=Hello`. They take the place of the message's own.",
    },
    Parameter {
        name: "max_entries",
        needs_queue: false,
        kind: Kind::Number(1, 1000, |settings| &mut settings.max_entries),
        default: "1000",
        help: "The most entries that the list of a message to a service may have.",
    },
    Parameter {
        name: "max_recipients",
        needs_queue: false,
        kind: Kind::Number(1, 1000, |settings| &mut settings.max_recipients),
        default: "100",
        help: "The most recipients that such a list may come to, each counted once.",
    },
    Parameter {
        name: "max_members",
        needs_queue: false,
        kind: Kind::Number(1, 10 * MILLION, |settings| &mut settings.max_members),
        default: "100000",
        help: "The most members a stored group may have, with those of the groups in it where `nested` is `expand`.",
    },
    Parameter {
        name: "cache_members",
        needs_queue: false,
        kind: Kind::Number(1, 100 * MILLION, |settings| &mut settings.cache_members),
        default: "200000",
        help: "How many members each worker keeps in memory, over all groups (about 120 bytes each).",
    },
    Parameter {
        name: "recent_requests",
        needs_queue: false,
        kind: Kind::Number(64, 64 * MILLION, |settings| &mut settings.recent_requests),
        default: "131072",
        help: "How many requests of the last 32 seconds all workers together remember (up to 37 bytes each). Those of senders who may not send are not among them. With `loop_cache=1` each accepted message takes two places: the default suffices for some 2,000 messages a second.",
    },
    Parameter {
        name: "queue_memory",
        needs_queue: true,
        kind: Kind::Number(1, 16384, |settings| &mut settings.queue_memory),
        default: "64",
        help: "Mebibytes for accepted messages that are not sent to everybody yet: each takes its own bytes once and some 45 bytes for each member. A message that does not fit is answered 503. What is not used costs nothing.",
    },
    Parameter {
        name: "queue_messages",
        needs_queue: true,
        kind: Kind::Number(1, MILLION, |settings| &mut settings.queue_messages),
        default: "10000",
        help: "The most messages that may be on their way at once; one more is answered 503.",
    },
    Parameter {
        name: "queue_lifetime",
        needs_queue: true,
        kind: Kind::Number(1, 86400, |settings| &mut settings.queue_lifetime),
        default: "600",
        help: "How many seconds a message waits when the proxy has no memory for its copies; then it expires for the members that are left. For as long a copy waits for the name of its next hop to be resolved; then its member is unreachable (478).",
    },
    Parameter {
        name: "concurrency",
        needs_queue: false,
        kind: Kind::Number(1, 10_000, |settings| &mut settings.concurrency),
        default: "60",
        help: "The most copies of one message that wait for their final responses at once, besides those that have waited for longer than `patience`.",
    },
    Parameter {
        name: "max_breadth",
        needs_queue: false,
        kind: Kind::Number(0, 10_000, |settings| &mut settings.max_breadth),
        default: "60",
        help: "The most Max-Breadth that is shared among the copies of a message (RFC 5393). 0: as much as the message has, and no limit where it says nothing; for cores that are trusted.",
    },
    Parameter {
        name: "patience",
        needs_queue: true,
        kind: Kind::Number(0, 86400, |settings| &mut settings.patience),
        default: "2",
        help: "How many seconds a copy counts against `concurrency` while it has no final response; an older one, such as to a phone that is off, lets the next copy go. It counts in `forks_in_flight`, and keeps its share of Max-Breadth where that is bounded (`max_breadth`), until its final response. 0: it counts against `concurrency` as long.",
    },
    Parameter {
        name: "forks_in_flight",
        needs_queue: true,
        kind: Kind::Number(1, 250_000, |settings| &mut settings.forks_in_flight),
        default: "2000",
        help: "The most copies of all messages together that wait for their final responses at once; of one originator 38 in 100 of them, so that its silent recipients hold up nobody else's.",
    },
    Parameter {
        name: "target_order",
        needs_queue: true,
        kind: Kind::Flag(|settings| &mut settings.target_order),
        default: "1",
        help: "1: a member gets the next message when the one before has its final response, as RFC 3428 §8 demands. 0: at once.",
    },
    Parameter {
        name: "target_queue",
        needs_queue: true,
        kind: Kind::Number(1, MILLION, |settings| &mut settings.target_queue),
        default: "100",
        help: "The most messages of one originator that wait for one member; a further one is not sent to that member. Of all originators together 2.6 times as many, so that there is room for others.",
    },
    Parameter {
        name: "quota_originator",
        needs_queue: true,
        kind: Kind::Text(QUOTA, |settings, value| {
            quota(value, &mut settings.quota_originator)
        }),
        default: "",
        help: "How many messages one sender may send, such as `20/60` for 20 in 60 seconds. Over it he is answered 480 with Retry-After.",
    },
    Parameter {
        name: "quota_group",
        needs_queue: true,
        kind: Kind::Text(QUOTA, |settings, value| {
            quota(value, &mut settings.quota_group)
        }),
        default: "",
        help: "How many messages one group or service may get, likewise.",
    },
    Parameter {
        name: "rate",
        needs_queue: true,
        kind: Kind::Number(0, MILLION, |settings| &mut settings.rate),
        default: "0",
        help: "How many messages are accepted in a second; a further one is answered 503 with Retry-After. 0: no limit.",
    },
    Parameter {
        name: "tm_memory",
        needs_queue: true,
        kind: Kind::Number(0, 1_048_576, |settings| &mut settings.tm_memory),
        default: "0",
        help: "Mebibytes of the proxy's shared memory (`-m`) that the transactions of copies may use: about 10 KiB each, from sending to some seconds after the end (`wt_timer`). Copies that find no room wait. 0: half of it.",
    },
    Parameter {
        name: "memory_reserve",
        needs_queue: true,
        kind: Kind::Number(0, 90, |settings| &mut settings.memory_reserve),
        default: "25",
        help: "Per cent of the proxy's shared memory (`-m`) that copies leave free for the proxy itself, whatever takes the rest: the proxy is asked how much is free, every 10 ms at most. A copy that comes back to this proxy, as in small-site.cfg, needs a second transaction, which `tm_memory` does not count. Copies that find no room wait. 0: the proxy is not asked.",
    },
    Parameter {
        name: "durability",
        needs_queue: true,
        kind: Kind::Text("none or journal", |settings, value| {
            let choices = [("none", false), ("journal", true)];
            choose(&choices, value, &mut settings.durable)
        }),
        default: "none",
        help: "With `journal` an accepted message is on disk before its 202, and after a crash the next start sends it to those who have not got it. With `none` a crash loses what is on its way.",
    },
    Parameter {
        name: "ledger",
        needs_queue: true,
        kind: Kind::Text("the absolute path of a file", |settings, value| {
            value.clone_into(&mut settings.ledger);
            value.is_empty() || value.starts_with('/')
        }),
        default: "",
        help: "The file of accepted messages that are not finished, an SQLite database; it is made if it is missing. One proxy at a time can use it. Empty: `ledger.db` beside the file of `db_url`.",
    },
    Parameter {
        name: "ledger_timeout",
        needs_queue: true,
        kind: Kind::Text(
            "seconds from 0.01 to 30, such as 1 or 0.5",
            |settings, value| seconds(value, &mut settings.ledger_timeout),
        ),
        default: "1",
        help: "How many seconds a message waits until it is on disk (`durability=journal`). One that is not by then is answered 503 and never sent, and further ones are answered 503 at once until the disk is written again.",
    },
    Parameter {
        name: "away",
        needs_queue: true,
        kind: Kind::Text("drop or keep", |settings, value| {
            let choices = [("drop", false), ("keep", true)];
            choose(&choices, value, &mut settings.away_keep)
        }),
        default: "drop",
        help: "What becomes of the copy of a member who is away, which is what `away_codes` tell: it ends there (`drop`), or it is kept in the file of `ledger` (`keep`) until the script calls `cimf_deliver()` for the member.",
    },
    Parameter {
        name: "away_codes",
        needs_queue: true,
        kind: Kind::Text(
            "status codes from 300 to 699, separated by commas",
            |settings, value| {
                let found = status_codes(value);
                found.map(|found| settings.away_codes = found).is_some()
            },
        ),
        default: "404,408,410,480",
        help: "The final responses that say that a member is away. 408 is also what a copy ends with that nobody answers in time.",
    },
    Parameter {
        name: "away_lifetime",
        needs_queue: true,
        kind: Kind::Number(1, 400 * 86400, |settings| &mut settings.away_lifetime),
        default: "259200",
        help: "How many seconds a copy is kept, 259200 are three days. One with Expires is kept until that is over, if that is sooner.",
    },
    Parameter {
        name: "away_per_member",
        needs_queue: true,
        kind: Kind::Number(1, MILLION, |settings| &mut settings.away_per_member),
        default: "100",
        help: "The most copies that are kept for one member; one more pushes out the oldest.",
    },
    Parameter {
        name: "away_bytes",
        needs_queue: true,
        kind: Kind::Text(
            "bytes from 1 to 1024G, with K, M or G behind them or without, such as 256M",
            |settings, value| {
                let found = byte_count(value);
                found.map(|found| settings.away_bytes = found).is_some()
            },
        ),
        default: "256M",
        help: "The most bytes of all kept copies together, where a message counts once for all its copies. What would be more is not kept: no sender can push out what others have sent.",
    },
];

/// The parameters as rows of a Markdown table.
pub fn markdown_table() -> String {
    let mut table =
        "| parameter | value | default | what it does |\n|---|---|---|---|\n".to_owned();
    for Parameter {
        name,
        kind,
        default,
        help,
        ..
    } in PARAMETERS
    {
        let kind = match kind {
            Kind::Text(expected, _) => (*expected).to_owned(),
            Kind::Flag(_) => "0 or 1".to_owned(),
            Kind::Number(least, most, _) => format!("{least} to {most}"),
            Kind::List(item, _) => format!("list; each item {item}"),
        };
        let default = match *default {
            "" => "(empty)".to_owned(),
            default => format!("`{default}`"),
        };
        let (kind, help) = (kind.replace('|', "\\|"), help.replace('|', "\\|"));
        table += &format!("| `{name}` | {kind} | {default} | {help} |\n");
    }
    table
}

/// The parameters that need a queue, as words of a sentence.
pub fn queue_parameters() -> String {
    let names = PARAMETERS.iter().filter(|parameter| parameter.needs_queue);
    let names: Vec<_> = names
        .map(|parameter| format!("`{}`", parameter.name))
        .collect();
    names.join(", ")
}
