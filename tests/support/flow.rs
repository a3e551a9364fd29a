//! The example flows as test input: read from tests/flows, changed header by header.

use super::client::Client;
use super::sip::{Message, long_name};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes of one file of tests/flows.
pub fn file(name: &str) -> Vec<u8> {
    read("tests/flows", name)
}

fn read(folder: &str, name: &str) -> Vec<u8> {
    let path = in_project(folder).join(name);
    match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// A folder of the project. The demo and the benches are packages in folders of their own.
pub fn in_project(folder: &str) -> PathBuf {
    let roots = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut folders = roots.map(|root| root.join(folder));
    folders.find(|folder| folder.is_dir()).unwrap_or_default()
}

/// A word that no other test of this machine uses at the same time.
pub fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(
        "{}x{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// An OPTIONS that the sample configuration answers without state.
pub fn options(client: &Client, mark: &str) -> String {
    format!(
        "OPTIONS sip:im.home1.net SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK-{mark};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:probe@home1.net>;tag=probe\r\nTo: <sip:im.home1.net>\r\nCall-ID: {mark}-probe\r\n\
         CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        client.transport.in_via(),
        client.address,
    )
}

/// A request that a test takes from a flow and changes.
#[derive(Clone)]
pub struct Request {
    pub start: String,
    /// Whole lines; a test may write any name it likes.
    pub lines: Vec<String>,
    pub body: Vec<u8>,
}

impl Request {
    /// A request as a file has it, Via and all.
    pub fn from_file(name: &str) -> Request {
        Request::from_bytes(&file(name))
    }

    /// The same of a file of tests/cases.
    pub fn from_case(name: &str) -> Request {
        Request::from_bytes(&read("tests/cases", name))
    }

    fn from_bytes(bytes: &[u8]) -> Request {
        let end = super::sip::find(bytes, b"\r\n\r\n").expect("an empty line");
        let head = std::str::from_utf8(&bytes[..end]).expect("headers in UTF-8");
        let mut lines = head.split("\r\n").map(str::to_owned);
        let start = lines.next().expect("a request line");
        Request {
            start,
            lines: lines.collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }

    /// B0 of the conformance cases: flow 1 with Via rewritten to the client, otherwise byte for byte.
    pub fn b0(client: &Client) -> Request {
        Request::from_file("1-F1-message-in.sip").via(client, "s1-a7")
    }

    /// B0 as a message of its own: another Call-ID and another branch.
    pub fn another(client: &Client) -> Request {
        let mark = unique();
        Request::from_file("1-F1-message-in.sip")
            .via(client, &mark)
            .set("Call-ID", &format!("{mark}-ue7"))
    }

    /// Via to where the client listens.
    pub fn via(self, client: &Client, branch: &str) -> Request {
        let via = format!(
            "SIP/2.0/{} {};branch=z9hG4bK-{branch}",
            client.transport.in_via(),
            client.address
        );
        self.set("Via", &via)
    }

    pub fn request_uri(mut self, uri: &str) -> Request {
        self.start = format!("MESSAGE {uri} SIP/2.0");
        self
    }

    /// To and Request-URI name another group.
    pub fn group(self, uri: &str) -> Request {
        self.request_uri(uri).set("To", &format!("<{uri}>"))
    }

    /// Ann's identity becomes someone else's, in From and P-Asserted-Identity.
    pub fn sender(self, uri: &str) -> Request {
        self.set("From", &format!("<{uri}>;tag=9f2c"))
            .set("P-Asserted-Identity", &format!("<{uri}>"))
    }

    /// Another body, with the Content-Length that it has.
    pub fn with_body(mut self, body: &[u8]) -> Request {
        self.body = body.to_vec();
        let length = body.len().to_string();
        self.set("Content-Length", &length)
    }

    /// Replaces the one row of a header.
    #[track_caller]
    pub fn set(self, name: &str, value: &str) -> Request {
        self.replace(name, &format!("{name}: {value}"))
    }

    /// Replaces the one row of a header by a line written out.
    #[track_caller]
    pub fn replace(mut self, name: &str, line: &str) -> Request {
        let row = self
            .row(name)
            .unwrap_or_else(|| panic!("no {name} to replace"));
        self.lines[row] = line.to_owned();
        self
    }

    #[track_caller]
    pub fn without(mut self, name: &str) -> Request {
        let row = self
            .row(name)
            .unwrap_or_else(|| panic!("no {name} to remove"));
        self.lines.remove(row);
        self
    }

    /// Adds a line before Content-Type.
    pub fn with(mut self, line: &str) -> Request {
        let row = self.row("Content-Type").unwrap_or(self.lines.len());
        self.lines.insert(row, line.to_owned());
        self
    }

    fn row(&self, name: &str) -> Option<usize> {
        let wanted = long_name(name);
        self.lines.iter().position(|line| {
            line.split(':')
                .next()
                .is_some_and(|name| long_name(name.trim()) == wanted)
        })
    }

    pub fn has(&self, name: &str) -> bool {
        self.row(name).is_some()
    }

    /// The value of a header as this request has it.
    #[track_caller]
    pub fn value(&self, name: &str) -> &str {
        let row = self.row(name).unwrap_or_else(|| panic!("no {name}"));
        self.lines[row]
            .split_once(':')
            .map_or("", |(_, value)| value.trim())
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.start.clone().into_bytes();
        for line in &self.lines {
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(line.as_bytes());
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// Compares a fork with the one that a flow shows, header by header and the body byte by byte. Identifiers
/// and addresses vary, charging identifiers too, and the proxy may name itself (User-Agent).
pub fn compare_fork(fork: &Message, expected: &Message, route: &str) -> Result<(), String> {
    if fork.start != expected.start {
        return Err(format!(
            "expected `{}`, found `{}`",
            expected.start, fork.start
        ));
    }
    let (found, wanted) = (comparable(fork, route), comparable(expected, route));
    if let Some(line) = wanted.iter().find(|line| !found.contains(line)) {
        return Err(format!("expected `{line}` in\n{fork}"));
    }
    if let Some(line) = found.iter().find(|line| !wanted.contains(line)) {
        return Err(format!("did not expect `{line}` in\n{fork}"));
    }
    if found.len() != wanted.len() {
        return Err(format!(
            "expected {} headers, found {} in\n{fork}",
            wanted.len(),
            found.len()
        ));
    }
    if fork.body != expected.body {
        return Err(format!("the body differs in\n{fork}"));
    }
    Ok(())
}

/// The headers with what may vary made equal. Their order means nothing across names.
fn comparable(message: &Message, route: &str) -> Vec<String> {
    let absent = ["User-Agent"];
    let kept = message
        .headers
        .iter()
        .filter(|(name, _)| !absent.contains(&name.as_str()));
    kept.map(|(name, value)| match name.as_str() {
        "Via" | "Call-ID" => format!("{name}: varies"),
        "P-Charging-Vector" => {
            let networks = value.split_once(';').map_or("nothing", |(_, rest)| rest);
            format!("{name}: icid-value=varies;{networks}")
        }
        "Route" if value.starts_with("<sip:icscf.home1.net;") => format!("{name}: {route}"),
        "From" => format!(
            "{name}: {};tag=varies",
            value
                .rsplit_once(";tag=")
                .map_or("no tag", |(from, _)| from)
        ),
        _ => format!("{name}: {value}"),
    })
    .collect()
}
