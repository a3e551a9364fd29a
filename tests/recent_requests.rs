//! The memory of recent requests as a decision uses it: H-3. Strangers leave nothing in it, and the system's clock
//! does not matter. Decisions without a proxy.

// A test fails by panicking.
#![allow(clippy::unwrap_used)]

use cimf::config::Settings;
use cimf::control::{
    Decision, Directory, Group, Policy, Reason, RecentRequests, Source, Target, Transport,
    Unavailable, World, recognise,
};
use cimf::fanout::RecentTable;
use cimf::sip::SipUri;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PEER: [u8; 4] = [127, 0, 0, 1];
const STRANGER: [u8; 4] = [192, 0, 2, 9];

/// One group, whatever is asked for.
struct One(Target);

impl Directory for One {
    fn find(&mut self, _: &SipUri<'_>) -> Result<Option<Target>, Unavailable> {
        Ok(Some(self.0.clone()))
    }
}

struct Case {
    policy: Policy,
    group: One,
    recent: RecentTable,
}

impl Case {
    /// With room for the fewest requests that an administrator may choose.
    fn new() -> Self {
        let mut settings = Settings::new();
        for (name, value) in [
            ("domains", "im.home1.net"),
            ("trusted_peers", "127.0.0.1"),
            ("core_route", "sip:icscf.home1.net"),
        ] {
            settings.set(name, value).unwrap();
        }
        let policy = cimf::server::policy(&settings).unwrap();
        let members = ["sip:ann@home1.net", "sip:bob@home1.net"].into_iter();
        let uri = "sip:hikers@im.home1.net".to_owned();
        let group = Group::compile(uri, true, members, &policy.addressing, |_| false);
        Self {
            policy,
            group: One(Target::Group(Arc::new(group))),
            recent: RecentTable::new(64, [7; 16]).unwrap(),
        }
    }

    fn decide(
        &mut self,
        from: [u8; 4],
        call_id: &str,
        branch: &str,
        now: SystemTime,
    ) -> Decision<'static> {
        let message = format!(
            "MESSAGE sip:hikers@im.home1.net SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{branch}\r\n\
             From: <sip:ann@home1.net>;tag=1\r\nTo: <sip:hikers@im.home1.net>\r\nCall-ID: {call_id}\r\n\
             CSeq: 1 MESSAGE\r\nP-Asserted-Identity: <sip:ann@home1.net>\r\n\
             Accept-Contact: *;+g.oma.sip-im\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
        );
        let mut world = World {
            groups: &mut self.group,
            recent: &self.recent,
            now,
            has_transaction: true,
        };
        let source = Source {
            address: from.into(),
            transport: Transport::Udp,
            identity: None,
        };
        let message = recognise(&self.policy, message.as_bytes()).unwrap();
        message
            .decide(&self.policy, &source, &mut world)
            .into_owned()
    }

    /// Accepts a message and answers it.
    fn accept(&mut self, call_id: &str, now: SystemTime) {
        match self.decide(PEER, call_id, "real", now) {
            Decision::Accepted(accepted) => self.recent.accept(accepted.receipt),
            other => panic!("{call_id}: {other:?}"),
        }
    }
}

fn refusal(decision: Decision<'_>) -> Reason {
    match decision {
        Decision::Refused(refusal) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

#[test]
fn strangers_push_nobody_out() {
    // H-3: 64 requests are remembered; each stranger's request is one more.
    let mut case = Case::new();
    case.accept("real", now());
    for number in 0..2_000 {
        let call_id = format!("stranger-{number}");
        let decision = case.decide(STRANGER, &call_id, "x", now());
        assert_eq!(refusal(decision), Reason::NoIdentity);
    }
    let again = case.decide(PEER, "real", "real", now());
    assert!(
        matches!(again, Decision::Retransmission),
        "sent twice: {again:?}"
    );
}

#[test]
fn a_stranger_who_knows_the_ids_does_not_make_the_real_message_a_merged_one() {
    // H-3, A.1 row 3.
    let mut case = Case::new();
    let before = case.decide(STRANGER, "real", "stranger", now());
    assert_eq!(refusal(before), Reason::NoIdentity);
    case.accept("real", now());
    // Row 3 comes before row 7 for whoever asks.
    let after = case.decide(STRANGER, "real", "stranger", now());
    assert_eq!(refusal(after), Reason::Merged);
    let again = case.decide(PEER, "real", "real", now());
    assert!(matches!(again, Decision::Retransmission), "{again:?}");
    let merged = case.decide(PEER, "real", "other", now());
    assert_eq!(refusal(merged), Reason::Merged);
}

#[test]
fn of_two_that_have_arrived_before_either_is_admitted_one_is_merged() {
    // H-3: both are looked up before either is noted, as in two workers.
    let case = Case::new();
    let key = |via: &'static [u8]| cimf::control::RequestKey {
        from_tag: b"1",
        call_id: b"real",
        cseq: 1,
        via,
    };
    use cimf::control::Arrival;
    let [first, second] = [b"v1", b"v2"].map(|via| match case.recent.arrive(&key(via)) {
        Arrival::New(receipt) => receipt,
        other => panic!("{other:?}"),
    });
    let content = cimf::control::request_memory::RequestContent {
        originator: b"sip:ann@home1.net",
        request_uri: b"sip:hikers@im.home1.net",
        body: b"ok",
    };
    let admit = |receipt| case.recent.admit(receipt, &content, false);
    assert_eq!(admit(first), Arrival::New(first));
    assert_eq!(admit(second), Arrival::Merged);
    case.recent.accept(first);
    assert_eq!(admit(first), Arrival::Retransmission);
}

#[test]
fn a_clock_that_is_set_makes_no_retransmission_new() {
    // H-3: whatever the system's clock says meanwhile.
    for hours in [-1_i64, -24, 1, 24] {
        let mut case = Case::new();
        case.accept("real", now());
        let by = Duration::from_secs(3_600 * hours.unsigned_abs());
        let set = match hours < 0 {
            true => now() - by,
            false => now() + by,
        };
        let again = case.decide(PEER, "real", "real", set);
        let is_known = matches!(again, Decision::Retransmission);
        assert!(is_known, "sent twice after {hours} hours: {again:?}");
    }
}
