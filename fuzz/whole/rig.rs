//! Servers of the C interface in seven settings, with stored groups and a service, and what they make of a message.

use cimf::capi::decision as decided;
use cimf::capi::decision::{Decision, Outcome};
use cimf::capi::error::{Status, cimf_last_error};
use cimf::capi::server::{Parameter, RequestSource, Server};
use cimf::capi::server::{cimf_server_decide, cimf_server_new};
use cimf::capi::text::Str;
use cimf::config::DbUrl;
use cimf::control::ruleset::{ALLOW_ANONYMITY, Condition, Rule, Ruleset};
use cimf::store::edit::{Editor, PutGroup, PutRules};
use std::ffi::{CStr, CString};
use std::ptr::null_mut;
use std::sync::OnceLock;

/// The next hop of the settings that have one.
pub const ROUTE: &str = "<sip:icscf.home1.net;transport=tcp;lr>";

/// What is promised of copies differs with these.
pub struct Setting {
    pub name: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    pub trusted_next_hop: bool,
    pub asserts_group: bool,
    pub large_ok: bool,
    /// Whether From of a copy is the originator's address, whatever the message said.
    pub from_is_originator: bool,
    pub believes_script: bool,
    pub direct: bool,
    pub own_bcc_shown: bool,
    pub copies_preferences: bool,
    pub takes_lists: bool,
    pub grants_anonymity: bool,
    /// Whether copies of a message to a group come from the group, and what no phone tags is a group message.
    pub serves_phones: bool,
}

const PLAIN: Setting = Setting {
    name: "defaults",
    parameters: &[],
    trusted_next_hop: false,
    asserts_group: false,
    large_ok: false,
    from_is_originator: false,
    believes_script: false,
    direct: false,
    own_bcc_shown: false,
    copies_preferences: false,
    takes_lists: false,
    grants_anonymity: false,
    serves_phones: false,
};

pub const SETTINGS: [Setting; 7] = [
    PLAIN,
    Setting {
        name: "nested groups, anonymity by group, preferences",
        parameters: &[
            ("nested", "expand"),
            ("anonymity_policy", "group"),
            ("copy_prefs", "1"),
            ("large_ok", "1"),
        ],
        copies_preferences: true,
        grants_anonymity: true,
        large_ok: true,
        ..PLAIN
    },
    Setting {
        name: "a trusted next hop, the group asserted, icid copied",
        parameters: &[
            ("trusted_next_hop", "1"),
            ("fork_pai", "group"),
            ("icid_mode", "copy"),
            ("anonymity_policy", "group"),
            ("large_ok", "1"),
        ],
        trusted_next_hop: true,
        asserts_group: true,
        grants_anonymity: true,
        large_ok: true,
        ..PLAIN
    },
    Setting {
        name: "lists to groups, own bcc, history, anonymity by group",
        parameters: &[
            ("group_with_list", "union"),
            ("bcc_mode", "self"),
            ("group_history", "1"),
            ("anonymity_policy", "group"),
            ("large_ok", "1"),
        ],
        large_ok: true,
        own_bcc_shown: true,
        takes_lists: true,
        grants_anonymity: true,
        ..PLAIN
    },
    Setting {
        name: "credentials or peers, From written anew, the sender asserted",
        parameters: &[
            ("identity_mode", "either"),
            ("from_mismatch", "rewrite"),
            ("trusted_next_hop", "1"),
            ("strict_require", "1"),
            ("large_ok", "1"),
        ],
        trusted_next_hop: true,
        large_ok: true,
        from_is_originator: true,
        believes_script: true,
        ..PLAIN
    },
    Setting {
        name: "direct, telephone numbers converted, headers from URIs and by name",
        parameters: &[
            ("core_route", ""),
            ("direct", "1"),
            ("tel_mode", "convert"),
            ("tel_domain", "gw.home1.net"),
            ("uri_headers", "Subject,Priority"),
            ("copy_headers", "Supported,X-Ticket"),
            ("loop_cache", "1"),
            ("draft_list_param", "1"),
            ("foreign_recipients", "allow"),
            ("large_ok", "1"),
        ],
        large_ok: true,
        direct: true,
        ..PLAIN
    },
    Setting {
        name: "ordinary phones: copies from the group, UTF-8 only, untagged",
        parameters: &[
            ("fork_from", "group"),
            ("untagged", "groups"),
            ("utf8_only", "1"),
            ("composing", "drop"),
            ("notifications", "accept"),
            ("anonymity_policy", "group"),
            ("large_ok", "1"),
        ],
        large_ok: true,
        grants_anonymity: true,
        serves_phones: true,
        ..PLAIN
    },
];

/// Groups and their members. The rules of the second and third let members send, and hide who they are.
const GROUPS: [(&str, &[&str], bool); 4] = [
    (
        "sip:hikers@im.home1.net",
        &[
            "sip:ann@home1.net",
            "sip:zqorig@home1.net",
            "sip:bob@home1.net",
            "tel:+15551230003",
        ],
        false,
    ),
    (
        "sip:open@im.home1.net",
        &[
            "sip:ann@home1.net",
            "sip:zqorig@home1.net",
            "sip:zqop1@home1.net",
        ],
        true,
    ),
    (
        "sip:outer@im.home1.net",
        &[
            "sip:zqorig@home1.net",
            "sip:zqop2@home1.net",
            "sip:inner@im.home1.net",
            "sip:open@im.home1.net",
        ],
        true,
    ),
    (
        "sip:inner@im.home1.net",
        &["sip:zqorig@home1.net", "sip:zqin1@home1.net"],
        false,
    ),
];

/// Those to whom a group of theirs lets messages come anonymously.
pub const MAY_BE_SENT_TO_ANONYMOUSLY: [&str; 4] = ["zqop1@", "zqop2@", "zqorig@", "ann@"];

/// Where a message comes from.
#[derive(Clone, Copy, Debug)]
pub struct From<'a> {
    pub trusted: bool,
    pub identity: &'a [u8],
}

/// What a server makes of a message.
#[derive(Debug)]
pub struct Reply {
    pub outcome: Outcome,
    pub status: u16,
    pub reason: Vec<u8>,
    pub headers: Vec<u8>,
    pub window: u32,
    pub needs_stream: bool,
    pub copies: Vec<Copy>,
}

/// One outgoing message, without its Via.
#[derive(Debug)]
pub struct Copy {
    pub uri: Vec<u8>,
    pub branch: Vec<u8>,
    pub headers: Vec<u8>,
    pub body: Vec<u8>,
}

struct Handle(*mut Server);
// SAFETY: threads may use a server, as `cimf_server` says.
unsafe impl Send for Handle {}
// SAFETY: likewise.
unsafe impl Sync for Handle {}

/// All servers, and their groups.
pub struct Rig {
    servers: Vec<Handle>,
    _folder: tempfile::TempDir,
}

/// The servers of this process.
pub fn rig() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(Rig::new)
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("cimf.db");
        cimf::store::init(&database).unwrap();
        let mut editor = Editor::open(&DbUrl::Sqlite(database.clone()), 1000).unwrap();
        let groups = GROUPS.map(|(uri, members, has_rules)| PutGroup {
            uri: uri.to_owned(),
            members: members.iter().map(|&it| (it.to_owned(), None)).collect(),
            rules: has_rules.then(rules),
            ..PutGroup::default()
        });
        editor.put_groups(&groups).unwrap();
        editor
            .add_service("sip:listsvc@im.home1.net", true)
            .unwrap();
        let url = format!("sqlite://{}", database.display());
        let servers = SETTINGS.iter().map(|setting| Handle(open(setting, &url)));
        Self {
            servers: servers.collect(),
            _folder: folder,
        }
    }

    /// What the server of a setting makes of a message.
    pub fn decide(&self, setting: usize, message: &[u8], from: From<'_>) -> Reply {
        let address = if from.trusted {
            "10.0.0.1"
        } else {
            "192.0.2.1"
        };
        let source = RequestSource {
            address: Str::of(address.as_bytes()),
            transport: Str::of(b"TCP"),
            identity: Str::of(from.identity),
        };
        let mut decision: *mut Decision = null_mut();
        // SAFETY: the server lives as long as the process; the texts and the room outlive the call.
        let status = unsafe {
            cimf_server_decide(
                self.servers[setting].0,
                message.as_ptr(),
                message.len(),
                &source,
                &mut decision,
            )
        };
        assert_eq!(status, Status::Ok, "{}", last_error());
        // SAFETY: the decision was made just now, and is freed once, behind its last use.
        unsafe {
            let reply = read(decision);
            decided::cimf_decision_free(decision);
            reply
        }
    }
}

fn rules() -> PutRules {
    let send = "allow-initiate-conference".to_owned();
    let rule = Rule {
        id: "members".to_owned(),
        conditions: vec![Condition::IsListMember],
        actions: vec![(send, true), (ALLOW_ANONYMITY.to_owned(), true)],
    };
    PutRules {
        ruleset: Some(Ruleset { rules: vec![rule] }),
        ..PutRules::default()
    }
}

fn open(setting: &Setting, url: &str) -> *mut Server {
    let everywhere = [
        ("db_url", url),
        ("domains", "im.home1.net,home1.net"),
        ("trusted_peers", "10.0.0.1"),
        ("core_route", "sip:icscf.home1.net;transport=tcp"),
        ("recent_requests", "1024"),
    ];
    let parameters = everywhere.iter().chain(setting.parameters);
    let texts: Vec<_> = parameters
        .map(|&(name, value)| [name, value].map(|text| CString::new(text).unwrap()))
        .collect();
    let parameters: Vec<_> = texts
        .iter()
        .map(|[name, value]| Parameter {
            name: name.as_ptr(),
            value: value.as_ptr(),
        })
        .collect();
    let mut server = null_mut();
    // SAFETY: the parameters, their texts and the room outlive the call.
    let status = unsafe { cimf_server_new(parameters.as_ptr(), parameters.len(), &mut server) };
    assert_eq!(status, Status::Ok, "{}: {}", setting.name, last_error());
    server
}

fn last_error() -> String {
    // SAFETY: the text ends with NUL, and is copied before anything else is called.
    let text = unsafe { CStr::from_ptr(cimf_last_error()) };
    text.to_string_lossy().into_owned()
}

/// # Safety
/// `decision` must be a live handle.
unsafe fn read(decision: *const Decision) -> Reply {
    let text = |read: &dyn Fn(*mut Str) -> Status| {
        let mut text = Str::empty();
        assert_eq!(read(&mut text), Status::Ok, "{}", last_error());
        // SAFETY: the text is lent until the decision is freed.
        let bytes = unsafe { cimf::capi::text::bytes("text", text.data.cast(), text.length) };
        bytes.ok().unwrap_or_default().to_vec()
    };
    // SAFETY: as the caller promises; each output is room for a text.
    unsafe {
        let count = decided::cimf_decision_recipient_count(decision);
        let copies = (0..count).map(|index| Copy {
            uri: text(&|out| decided::cimf_decision_recipient(decision, index, out)),
            branch: text(&|out| decided::cimf_decision_fork_branch(decision, index, out)),
            headers: text(&|out| decided::cimf_decision_fork_headers(decision, index, out)),
            body: text(&|out| decided::cimf_decision_fork_body(decision, index, out)),
        });
        Reply {
            outcome: decided::cimf_decision_outcome(decision),
            status: decided::cimf_decision_status(decision),
            reason: text(&|out| decided::cimf_decision_reason(decision, out)),
            headers: text(&|out| decided::cimf_decision_headers(decision, out)),
            window: decided::cimf_decision_window(decision),
            needs_stream: decided::cimf_decision_needs_stream(decision),
            copies: copies.collect(),
        }
    }
}
