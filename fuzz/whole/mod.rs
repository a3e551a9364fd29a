//! The whole way: bytes to the C interface, and what goes out read by a reader that shares nothing with ours.
//! Shared with tests/corpus.rs, like `bodies`.
//!
//! An input that begins with a capital letter is a request as it is, for every setting. Any other is a row of
//! choices of which `compose` makes a request, so that most are accepted and it is known who must not be named.

mod compose;
mod compose_body;
mod encodings;
mod grammar;
mod promises;
mod reader;
mod rig;
mod traces;
mod vocabulary;

use cimf::capi::decision::Outcome;
use compose::{Composed, compose};
use rig::{From, Reply, SETTINGS, Setting, rig};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// How many requests were decided, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub requests: u64,
    pub accepted: u64,
    pub copies: u64,
    /// Accepted with recipients whom nobody may know of.
    pub with_hidden: u64,
    /// Accepted and anonymous.
    pub anonymous: u64,
}

impl std::ops::Sub for Tally {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            accepted: self.accepted - earlier.accepted,
            copies: self.copies - earlier.copies,
            with_hidden: self.with_hidden - earlier.with_hidden,
            anonymous: self.anonymous - earlier.anonymous,
        }
    }
}

static COUNTS: [AtomicU64; 5] = [const { AtomicU64::new(0) }; 5];

/// What has been counted in this process.
pub fn tally() -> Tally {
    let [requests, accepted, copies, with_hidden, anonymous] =
        COUNTS.each_ref().map(|count| count.load(Relaxed));
    Tally {
        requests,
        accepted,
        copies,
        with_hidden,
        anonymous,
    }
}

/// Decides one input, and checks all that goes out.
pub fn whole(data: &[u8]) {
    if data.first().is_some_and(u8::is_ascii_uppercase) {
        let identity = b"sip:ann@home1.net";
        for (
            setting,
            Setting {
                believes_script, ..
            },
        ) in SETTINGS.iter().enumerate()
        {
            let trusted = !believes_script;
            let bytes = fresh(data);
            let source = From { trusted, identity };
            let reply = rig().decide(setting, &bytes, source);
            check(setting, &bytes, &reply, None);
        }
        return;
    }
    let message = compose(data);
    let bytes = fresh(&message.bytes);
    let reply = rig().decide(message.setting, &bytes, message.source());
    check(message.setting, &bytes, &reply, Some(&message));
}

fn check(setting: usize, bytes: &[u8], reply: &Reply, message: Option<&Composed>) {
    let known = message.and_then(|message| message.known.as_ref());
    let is_accepted = reply.outcome == Outcome::Accepted;
    let facts = [
        true,
        is_accepted,
        false,
        is_accepted && known.is_some_and(|known| !known.hidden.is_empty()),
        is_accepted && known.is_some_and(|known| known.anonymous),
    ];
    for (count, fact) in COUNTS.iter().zip(facts) {
        count.fetch_add(u64::from(fact), Relaxed);
    }
    COUNTS[2].fetch_add(reply.copies.len() as u64, Relaxed);
    if let Err(broken) = promises::kept(setting, reply, known) {
        let name = SETTINGS[setting].name;
        let message = String::from_utf8_lossy(bytes).replace('\r', "␍");
        panic!(
            "{broken}\n--- setting {setting}: {name}\n--- message\n{message}\n--- known\n{known:#?}"
        );
    }
}

/// The request with identifiers that no other had: otherwise the second run of an input would be a retransmission.
fn fresh(data: &[u8]) -> Vec<u8> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = format!("{:08x}", NUMBER.fetch_add(1, Relaxed) as u32);
    let mut bytes = data.to_vec();
    for (before, is_kept) in [
        ("@@@@@@@@", false),
        ("@@@@@@@@", false),
        ("z9hG4bK", true),
        ("\r\nCall-ID: ", true),
    ] {
        if let Some(at) = memchr::memmem::find(&bytes, before.as_bytes()) {
            let end = at + before.len();
            let start = if is_kept { end } else { at };
            bytes.splice(start..end, number.bytes());
        }
    }
    bytes
}
