//! What decides without sending: the same copies as a proxy sends, and no queue in memory.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/built.rs"]
mod built;

use cimf::capi::decision::{
    Decision, cimf_decision_fork_body, cimf_decision_fork_headers, cimf_decision_free,
    cimf_decision_recipient_count,
};
use cimf::capi::error::Status;
use cimf::capi::server::{
    Parameter, RequestSource, Server as CServer, cimf_server_decide, cimf_server_free,
    cimf_server_new,
};
use cimf::capi::text::Str;
use cimf::config::{DbUrl, Settings};
use cimf::control::{Answer, Fork, Source, Transport};
use cimf::fanout::NotSent;
use cimf::host::ScriptResult;
use cimf::host::handle::handle;
use cimf::host::proxy::{Proxy, Sender, Transaction};
use cimf::server::{Decider, Server};
use std::ffi::CString;
use std::path::Path;
use std::ptr::{null, null_mut};

/// A list with a recipient of each disposition, whose copies differ, and Max-Breadth.
const MESSAGE: &str = "MESSAGE sip:listsvc@im.home1.net SIP/2.0\r\n\
    Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKcopies\r\n\
    From: <sip:ann@home1.net>;tag=1\r\n\
    To: <sip:listsvc@im.home1.net>\r\n\
    Call-ID: copies\r\n\
    CSeq: 1 MESSAGE\r\n\
    Max-Forwards: 70\r\n\
    Max-Breadth: 9\r\n\
    Require: recipient-list-message\r\n\
    Accept-Contact: *;+g.oma.sip-im;require;explicit\r\n\
    P-Asserted-Identity: <sip:ann@home1.net>\r\n\
    Content-Type: multipart/mixed;boundary=b\r\n";

const BODY: &str = "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n\
    --b\r\nContent-Type: application/resource-lists+xml\r\nContent-Disposition: recipient-list\r\n\r\n\
    <?xml version=\"1.0\"?><resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\" \
    xmlns:cp=\"urn:ietf:params:xml:ns:copycontrol\"><list>\
    <entry uri=\"sip:bob@home1.net?Subject=a%20walk\" cp:copyControl=\"to\"/>\
    <entry uri=\"sip:cho@home1.net\" cp:copyControl=\"cc\"/>\
    <entry uri=\"sip:dan@home1.net\" cp:copyControl=\"bcc\"/>\
    </list></resource-lists>\r\n--b--\r\n";

fn message() -> String {
    format!("{MESSAGE}Content-Length: {}\r\n\r\n{BODY}", BODY.len())
}

const PARAMETERS: [(&str, &str); 6] = [
    ("domains", "im.home1.net,home1.net"),
    ("trusted_peers", "127.0.0.1"),
    ("core_route", "sip:127.0.0.1"),
    ("trusted_next_hop", "1"),
    ("uri_headers", "Subject"),
    ("bcc_mode", "self"),
];

fn settings(database: &Path) -> Settings {
    let mut settings = Settings::new();
    for (name, value) in PARAMETERS {
        settings.set(name, value).unwrap();
    }
    settings.db_url = DbUrl::Sqlite(database.to_owned());
    settings
}

fn source() -> Source<'static> {
    Source {
        address: [127, 0, 0, 1].into(),
        transport: Transport::Udp,
        identity: None,
    }
}

/// The bytes of a copy but for its random tokens, with the charging identifier that is its Call-ID.
fn without_tokens(copy: &str) -> String {
    let after = |name: &str, end: char| {
        let (_, rest) = copy.split_once(name).expect(name);
        rest.split(end).next().unwrap().to_owned()
    };
    let (tag, call_id) = (after(";tag=", '\r'), after("Call-ID: ", '\r'));
    assert!(tag.len() > 8 && call_id.len() > 8, "{copy}");
    let boundary = after("boundary=", '\r').replace('"', "");
    copy.replace(&call_id, "CALL-ID")
        .replace(&tag, "TAG")
        .replace(&boundary, "BOUNDARY")
}

/// A proxy that keeps what it is given.
#[derive(Default)]
struct Kept(Vec<String>);

impl Sender for Kept {
    fn send(&mut self, fork: &Fork<'_>, _: &str, _: u64) -> Result<(), NotSent> {
        let mut text = Vec::new();
        fork.write_headers(&mut text);
        text.extend_from_slice(b"\r\n");
        text.extend_from_slice(&fork.body());
        self.0.push(String::from_utf8(text).unwrap());
        Ok(())
    }
}

impl Proxy for Kept {
    fn transaction(&mut self) -> Transaction {
        Transaction::Present
    }

    fn is_in_transaction(&mut self) -> bool {
        false
    }

    fn reply(&mut self, answer: &Answer) -> bool {
        assert_eq!(answer.code, 202);
        true
    }
}

fn sent_by_the_module(database: &Path) -> Vec<String> {
    let server = Server::open(&settings(database)).unwrap();
    let mut worker = server.decider().worker();
    let mut proxy = Kept::default();
    let bytes = message();
    let (result, _) = handle(
        &server,
        &mut worker,
        &mut proxy,
        bytes.as_bytes(),
        &source(),
    );
    assert_eq!(result, ScriptResult::Accepted);
    proxy.0
}

fn read_in_c(database: &Path) -> Vec<String> {
    let mut texts: Vec<_> = PARAMETERS.map(|(name, value)| (name, value)).to_vec();
    let url = format!("sqlite://{}", database.display());
    texts.push(("db_url", &url));
    let c = |text| CString::new(text).unwrap();
    let texts: Vec<_> = texts
        .iter()
        .map(|(name, value)| (c(*name), c(*value)))
        .collect();
    let parameters: Vec<_> = texts
        .iter()
        .map(|(name, value)| Parameter {
            name: name.as_ptr(),
            value: value.as_ptr(),
        })
        .collect();
    let lent = |text: &'static str| Str {
        data: text.as_ptr().cast(),
        length: text.len(),
    };
    let source = RequestSource {
        address: lent("127.0.0.1"),
        transport: lent("udp"),
        identity: lent(""),
    };
    let bytes = message();
    let mut server: *mut CServer = null_mut();
    let mut decision: *mut Decision = null_mut();
    // SAFETY: all texts outlive the calls, the counts are theirs, and the handles are freed once, at the end.
    unsafe {
        let made = cimf_server_new(parameters.as_ptr(), parameters.len(), &raw mut server);
        assert_eq!(made, Status::Ok);
        let (data, length) = (bytes.as_ptr(), bytes.len());
        let decided = cimf_server_decide(server, data, length, &source, &raw mut decision);
        assert_eq!(decided, Status::Ok);
        let text = |read: unsafe extern "C" fn(*const Decision, usize, *mut Str) -> Status,
                    index| {
            let mut out = Str {
                data: null(),
                length: 0,
            };
            assert_eq!(read(decision, index, &raw mut out), Status::Ok);
            let bytes = std::slice::from_raw_parts(out.data.cast::<u8>(), out.length);
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        let copies = (0..cimf_decision_recipient_count(decision)).map(|index| {
            let headers = text(cimf_decision_fork_headers, index);
            format!("{headers}\r\n{}", text(cimf_decision_fork_body, index))
        });
        let copies = copies.collect();
        cimf_decision_free(decision);
        cimf_server_free(server);
        copies
    }
}

fn explained(folder: &Path, database: &Path) -> Vec<String> {
    let file = folder.join("message.sip");
    std::fs::write(&file, message()).unwrap();
    let settings = PARAMETERS.map(|(name, value)| format!("{name}={value}"));
    let mut words = vec![
        "explain",
        file.to_str().unwrap(),
        "--forks",
        "all",
        "--json",
    ];
    for setting in &settings {
        words.extend(["--set", setting]);
    }
    let output = built::cimfctl(database, &words);
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    let texts = json["forks"]["texts"].as_array().expect("texts of copies");
    let texts = texts.iter().map(|text| {
        let (_, rest) = text.as_str().unwrap().split_once("\r\n").unwrap();
        rest.to_owned()
    });
    texts.collect()
}

/// How many bytes of shared memory without a file this process maps.
fn shared_bytes() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let shared = maps
        .lines()
        .filter(|line| line.contains("rw-s") && line.contains("/dev/zero"));
    let bytes = shared.map(|line| {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        number(to) - number(from)
    });
    bytes.sum()
}

/// One test, so that nobody else maps memory meanwhile.
#[test]
fn a_copy_is_the_same_whoever_makes_it_and_only_who_sends_maps_a_queue() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("cimf.db");
    built::cimfctl(&database, &["init"]);
    built::cimfctl(&database, &["service", "add", "sip:listsvc@im.home1.net"]);

    let mut settings = settings(&database);
    settings.set("queue_memory", "512").unwrap();
    let queue = 512 << 20;
    let before = shared_bytes();
    let decider = Decider::open(&settings).unwrap();
    let decides = shared_bytes();
    let server = Server::open(&settings).unwrap();
    let sends = shared_bytes();
    assert!(
        before < decides && decides - before < 64 << 20,
        "{before} {decides}"
    );
    assert!(sends - decides >= queue, "{decides} {sends}");
    drop((decider, server));

    let [module, c, explained] = [
        sent_by_the_module(&database),
        read_in_c(&database),
        explained(folder.path(), &database),
    ]
    .map(|copies| {
        let mut copies: Vec<_> = copies.iter().map(|copy| without_tokens(copy)).collect();
        copies.sort();
        copies
    });
    assert_eq!(module.len(), 3, "{module:#?}");
    assert!(
        module.iter().all(|copy| copy.contains("\r\nMax-Breadth: ")),
        "{module:#?}"
    );
    assert!(
        module
            .iter()
            .any(|copy| copy.contains("\r\nSubject: a walk\r\n")),
        "{module:#?}"
    );
    assert_eq!(module, c);
    assert_eq!(module, explained);
}
