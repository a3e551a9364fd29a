//! Decisions about whole messages: the order of table A.1, and the content of forks.

mod observed;
mod rows;
mod values;

use super::*;
use crate::config::SkipOriginator;
use crate::sip::SipUri;
use std::sync::Arc;
use std::time::SystemTime;

/// One group at hand, or a database that is down.
enum Groups {
    One(Arc<Group>),
    Down,
}

impl Directory for Groups {
    fn find(&mut self, uri: &SipUri<'_>) -> Result<Option<Target>, Unavailable> {
        match self {
            Self::One(group) => {
                Ok((uri.user == Some(b"hikers")).then(|| Target::Group(group.clone())))
            }
            Self::Down => Err(Unavailable("down".to_owned())),
        }
    }
}

/// Remembers nothing.
struct Forgetful;

impl RecentRequests for Forgetful {
    fn arrive(&self, _: &RequestKey<'_>) -> Arrival {
        Arrival::New(Receipt {
            place: 0,
            fingerprint: 1,
            transaction: 2,
        })
    }

    fn admit(&self, receipt: Receipt, _: &request_memory::RequestContent<'_>, _: bool) -> Arrival {
        Arrival::New(receipt)
    }

    fn accept(&self, _: Receipt) {}

    fn refuse(&self, _: Receipt) {}

    fn has_come_back(&self, _: &Circulating<'_>) -> bool {
        true
    }
}

/// A server, a sender and a message, to be changed before the decision.
struct Case {
    policy: Policy,
    members: Vec<&'static str>,
    group_pager_mode: bool,
    is_down: bool,
    source: Source<'static>,
    lines: Vec<String>,
    now: SystemTime,
}

impl Case {
    fn new() -> Self {
        let message = include_str!("../../../tests/flows/1-F1-message-in.sip");
        let (head, _) = message.split_once("\r\n\r\n").unwrap();
        let mut policy = Policy::example();
        policy.settings.copy_headers = vec!["X-Listed".to_owned(), "Supported".to_owned()];
        // The memory of these tests takes each message for one that has come back.
        policy.settings.loop_cache = false;
        Self {
            policy,
            members: vec!["sip:ann@home1.net", "sip:bob@home1.net", "tel:+15551230003"],
            group_pager_mode: true,
            is_down: false,
            source: Source {
                address: [127, 0, 0, 1].into(),
                transport: Transport::Udp,
                identity: None,
            },
            lines: head.split("\r\n").map(str::to_owned).collect(),
            now: httpdate::parse_http_date("Sun, 22 Nov 2026 16:00:00 GMT").unwrap(),
        }
    }

    fn with(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.lines.retain(|line| !line.starts_with(name));
        self
    }

    /// With `line` in place of the header field of that name.
    fn set(self, line: &str) -> Self {
        let name = line.split(':').next().unwrap().to_owned();
        self.without(&name).with(line)
    }

    fn to(mut self, uri: &str) -> Self {
        self.lines[0] = format!("MESSAGE {uri} SIP/2.0");
        self
    }

    fn decide(&self) -> Result<Decision<'static>, NotOurs> {
        self.decide_observed(&mut Unobserved)
    }

    fn decide_observed(&self, observer: &mut impl Observer) -> Result<Decision<'static>, NotOurs> {
        let message = format!(
            "{}\r\n\r\nTrail closed. Meet at the gate.",
            self.lines.join("\r\n")
        );
        let members = self.members.iter().copied();
        let addressing = &self.policy.addressing;
        let uri = "sip:hikers@im.home1.net".to_owned();
        let group = Group::compile(uri, self.group_pager_mode, members, addressing, |_| false);
        let mut groups = match self.is_down {
            true => Groups::Down,
            false => Groups::One(Arc::new(group)),
        };
        let recognised = recognise_observed(&self.policy, message.as_bytes(), observer)?;
        recognised.claim(&self.policy, &self.source, &mut groups, self.now, observer)?;
        let mut world = World {
            groups: &mut groups,
            recent: &Forgetful,
            now: self.now,
            has_transaction: true,
        };
        let decision = recognised.decide_observed(&self.policy, &self.source, &mut world, observer);
        Ok(decision.into_owned())
    }

    #[track_caller]
    fn refused(&self) -> Reason {
        match self.decide() {
            Ok(Decision::Refused(refusal)) => refusal.reason,
            other => panic!("expected a refusal, found {other:?}"),
        }
    }

    #[track_caller]
    fn accepted(&self) -> Accepted<'static> {
        match self.decide() {
            Ok(Decision::Accepted(accepted)) => accepted,
            other => panic!("expected forks, found {other:?}"),
        }
    }

    /// The header fields that the forks share, one a line.
    #[track_caller]
    fn shared(&self) -> Vec<String> {
        let headers = String::from_utf8(self.accepted().headers).unwrap();
        headers
            .split_terminator("\r\n")
            .map(str::to_owned)
            .collect()
    }
}

fn recipients<'a>(accepted: &'a Accepted<'_>) -> Vec<&'a str> {
    let recipients = accepted.recipients();
    recipients
        .map(|recipient| std::str::from_utf8(recipient.address).unwrap())
        .collect()
}

#[test]
fn of_two_reasons_the_one_of_the_earlier_row_is_told() {
    // A.1: each case breaks the row that is named and every later one that it can.
    let worst = || {
        Case::new()
            .to("sip:nobody@im.home1.net")
            .without("P-Asserted-Identity")
            .with("Require: foo")
            .with("Privacy: id")
            .with("Expires: soon")
    };
    let known = || worst().to("sip:hikers@im.home1.net");
    let mut down = worst();
    down.is_down = true;
    let mut off = worst()
        .set("Max-Forwards: 0")
        .set("To: <sip:hikers@im.home1.net>;tag=1");
    off.policy.settings.pager_mode = false;
    assert_eq!(off.without_tag_of_from().refused(), Reason::Malformed);
    assert_eq!(off.refused(), Reason::InDialog);
    let off = off.set("To: <sip:hikers@im.home1.net>");
    assert_eq!(off.refused(), Reason::TooManyHops);
    let off = off.set("Max-Forwards: 1");
    assert_eq!(off.refused(), Reason::PagerMode);
    assert_eq!(down.refused(), Reason::Unavailable);
    assert_eq!(worst().refused(), Reason::UnknownGroup);
    assert_eq!(known().refused(), Reason::Extension);
    let known = || Case::new().with("Privacy: id").with("Expires: soon");
    assert_eq!(known().without("P-Asserted").refused(), Reason::NoIdentity);
    let dora = "P-Asserted-Identity: <sip:dora@home1.net>";
    assert_eq!(known().set(dora).refused(), Reason::NotAuthorised);
    assert_eq!(known().refused(), Reason::Anonymity);
    let mut alone = Case::new().with("Expires: soon");
    alone.members.truncate(1);
    assert_eq!(alone.refused(), Reason::Header);
    assert_eq!(alone.without("Expires").refused(), Reason::NoRecipients);
}

impl Case {
    fn without_tag_of_from(&self) -> Self {
        let mut lines = self.lines.clone();
        lines.retain(|line| !line.starts_with("From"));
        lines.push("From: <sip:ann@home1.net>".to_owned());
        Self {
            policy: self.policy.clone(),
            members: self.members.clone(),
            lines,
            ..*self
        }
    }
}

#[test]
fn the_groups_own_flag_gives_the_servers_answer() {
    // A-2; hidden, only a member learns it.
    let mut case = Case::new();
    case.group_pager_mode = false;
    assert_eq!(case.refused(), Reason::PagerMode);
    let mut stranger = case.set("P-Asserted-Identity: <sip:dora@home1.net>");
    assert_eq!(stranger.refused(), Reason::PagerMode);
    stranger.policy.settings.hide_groups = true;
    assert_eq!(stranger.refused(), Reason::NotAuthorised);
}

#[test]
fn either_asserted_address_makes_a_member_and_excludes_them() {
    // I-2, A-9.
    let mut case = Case::new();
    case.members[0] = "tel:+1(555)123-0001";
    assert_eq!(
        recipients(&case.accepted()),
        ["sip:bob@home1.net", "tel:+15551230003"]
    );
    case.policy.settings.skip_originator = SkipOriginator::Never;
    assert_eq!(case.accepted().count(), 3);
}

#[test]
fn a_number_at_a_domain_of_ours_is_the_number_if_the_setting_says_so() {
    // C-3.
    let mut case = Case::new();
    case.members[0] = "sip:+15551230001@home1.net;user=phone";
    case.lines.retain(|line| !line.starts_with("P-Asserted"));
    let mut case = case.with("P-Asserted-Identity: <tel:+15551230001>");
    assert_eq!(case.accepted().count(), 2);
    case.policy.addressing.same_number = false;
    assert_eq!(case.refused(), Reason::NotAuthorised);
}

#[test]
fn every_form_of_anonymity_is_refused() {
    //
    for line in [
        "Privacy: critical",
        "Privacy: user;session",
        "Privacy: header",
        "From: <sip:anonymous@elsewhere.net>;tag=1",
        "From: <sip:%61nonymous@home1.net>;tag=1",
        "From: <sip:x@anonymous.invalid.>;tag=1",
    ] {
        assert_eq!(Case::new().set(line).refused(), Reason::Anonymity, "{line}");
    }
    assert_eq!(
        Case::new().with("Privacy: none;id").refused(),
        Reason::Privacy
    );
}

#[test]
fn others_odd_requests_are_not_ours_to_refuse() {
    // A-6, A.1 row 1.
    let foreign = [
        "sip:bob@home2.net;x=",
        "tel:5551",
        "sip:bob@h%",
        "urn:x y",
        "sip:;x",
    ];
    for uri in foreign {
        let decision = Case::new().to(uri).decide();
        assert!(decision.is_err(), "{uri}: {decision:?}");
    }
    let broken = Case::new().to("sip:hikers@im.home1.net;x=");
    assert_eq!(broken.refused(), Reason::Malformed);
}

#[test]
fn what_h_1_names_is_copied_and_nothing_else() {
    let copied = [
        "Priority: urgent",
        "Reply-To: <sip:ann@home1.net>",
        "In-Reply-To: x",
        "Organization: OMA",
        "Call-Info: <http://home1.net/ann>",
        "Content-Disposition: render",
        "Content-Language: en",
        "Content-ID: <1@home1.net>",
        "Content-Other: x",
        "MIME-Version: 1.0",
        "Conversation-ID: c",
        "Contribution-ID: d",
        "InReplyTo-Contribution-ID: e",
        "Privacy: none",
        "X-Listed: 1",
        "Supported: outbound",
    ];
    let left = [
        "Contact: <sip:ann@192.0.2.1>",
        "m: <sip:ann@192.0.2.1>",
        "Record-Route: <sip:scscf1.home1.net;lr>",
        "Proxy-Require: x",
        "Accept: text/plain",
        "Alert-Info: <http://home1.net>",
        "Accept-Contact: *;audio",
        "Reject-Contact: *;video",
        "j: *;video",
        "Request-Disposition: no-fork",
        "P-Preferred-Identity: <sip:ann@home1.net>",
        "P-Access-Network-Info: x",
        "P-Access-Network-Info: 3GPP2-1X-HRPD;ci-3gpp2=1",
        "P-Visited-Network-ID: x",
        "P-Served-User: <sip:ann@home1.net>",
        "History-Info: <sip:x@h>",
        "Geolocation: <sip:x@h>",
        "Session-ID: x",
        "Identity: x",
        "Authorization: Digest x",
        "Referred-By: <sip:x@h>",
        "X-Unlisted: x",
        "User-Agent: x",
    ];
    let mut case = copied
        .iter()
        .chain(&left)
        .fold(Case::new(), |case, line| case.with(line));
    case = case.with("k: path").with("s: folded\r\n  on\tand on");
    let mut wanted = vec![
        "Max-Breadth: 30",
        "Max-Forwards: 67",
        "P-Asserted-Identity: \"Ann\" <sip:ann@home1.net>, <tel:+15551230001>",
        "Accept-Contact: *;+g.oma.sip-im;require;explicit",
        "Content-Type: text/plain;charset=UTF-8",
    ];
    wanted.extend(copied);
    wanted.extend(["Supported: path", "Subject: folded on\tand on"]);
    let mut shared = case.shared();
    shared.sort();
    wanted.sort_unstable();
    assert_eq!(shared, wanted);
}

#[test]
fn preferences_are_copied_where_the_setting_says_so() {
    // F-6; the IM tag never twice.
    let mut case = Case::new()
        .with("Accept-Contact: *;audio;require, *;+g.oma.sip-im;video, sip:x;automata")
        .with("a: *;methods=\"MESSAGE\",\r\n *;+g.oma.sip-im=\"FALSE\"")
        .with("j: *;automata")
        .with("Request-Disposition: no-fork");
    let are_preferences = |line: &String| {
        let names = ["Accept-Contact", "Reject-Contact", "Request-Disposition"];
        names.iter().any(|name| line.starts_with(name))
    };
    let preferences = |case: &Case| -> Vec<String> {
        let shared = case.shared().into_iter();
        shared.filter(are_preferences).collect()
    };
    let own = "Accept-Contact: *;+g.oma.sip-im;require;explicit";
    assert_eq!(preferences(&case), [own]);
    case.policy.settings.copy_prefs = true;
    let copied = [
        own,
        "Accept-Contact: *;audio;require",
        "Accept-Contact: *;methods=\"MESSAGE\"",
        "Reject-Contact: *;automata",
        "Request-Disposition: no-fork",
    ];
    assert_eq!(preferences(&case), copied);
}

#[test]
fn messages_that_come_back_are_refused_where_the_setting_says_so() {
    // H-5: the memory of these tests takes each for one.
    let mut case = Case::new();
    case.accepted();
    case.policy.settings.loop_cache = true;
    assert_eq!(case.refused(), Reason::Loop);
}

#[test]
fn a_fork_of_more_than_1300_bytes_is_not_sent_over_udp() {
    // M-2, T 101.
    let mut case = Case::new();
    let (mut fits, mut too_large) = (0, 2000);
    while too_large - fits > 1 {
        let size = (fits + too_large) / 2;
        let case = Case::new().with(&format!("Subject: {}", "x".repeat(size)));
        match case.decide() {
            Ok(Decision::Accepted(accepted)) => {
                assert!(accepted.largest_fork() <= 1300 && !accepted.needs_stream);
                fits = size;
            }
            _ => too_large = size,
        }
    }
    case = case.with(&format!("Subject: {}", "x".repeat(too_large)));
    assert_eq!(case.refused(), Reason::TooLarge);
    case.policy.settings.large_ok = true;
    let accepted = case.accepted();
    assert!(accepted.needs_stream);
    assert_eq!(accepted.largest_fork(), 1301);
}

#[test]
fn max_breadth_is_read_and_shared_among_the_copies() {
    // U-6, A.1 row 3. Two members get a copy.
    for (value, window, share) in [("1", 1, 1), ("8", 8, 4), ("4294967295", 60, 30)] {
        let case = Case::new().with(&format!("Max-Breadth: {value}"));
        assert_eq!(case.accepted().window, window);
        assert_eq!(case.shared()[1], format!("Max-Breadth: {share}"));
    }
    assert_eq!(Case::new().accepted().window, 60);
    assert!(Case::new().shared()[0].starts_with("Max-Forwards: "));
    assert_eq!(Case::new().shared()[1], "Max-Breadth: 30");
    let mut wide = Case::new();
    wide.policy.settings.max_breadth = 0;
    assert!(!wide.shared().iter().any(|line| line.contains("Breadth")));
    let zero = Case::new().with("Max-Breadth: 0").with("Privacy: id");
    assert_eq!(zero.refused(), Reason::NoBreadth);
    for lines in ["a", "", "-1", "4294967296", "1, 2", "1\r\nMax-Breadth: 1"] {
        let case = Case::new().with(&format!("Max-Breadth: {lines}"));
        assert_eq!(case.refused(), Reason::Malformed, "{lines}");
    }
}

#[test]
fn from_keeps_all_but_its_tag() {
    // U-4.
    let case = Case::new().set("From: \"Ann\" <sip:ann@home1.net;x=1>;a=\"b;c\";tag=9f2c;epid=7");
    let from = String::from_utf8(case.accepted().from).unwrap();
    assert_eq!(from, "\"Ann\" <sip:ann@home1.net;x=1>;a=\"b;c\";epid=7");
}

#[test]
fn a_message_that_expires_gets_a_date_and_one_that_has_expired_is_refused() {
    // M-4.
    let shared = Case::new().with("Expires: 60").shared();
    assert!(shared.contains(&"Expires: 60".to_owned()));
    assert!(shared.contains(&"Date: Sun, 22 Nov 2026 16:00:00 GMT".to_owned()));
    let dated = Case::new()
        .with("Expires: 60")
        .with("Date: Sun, 22 Nov 2026 15:59:30 GMT");
    let dates = dated
        .shared()
        .into_iter()
        .filter(|line| line.starts_with("Date"));
    assert_eq!(dates.count(), 1);
    let old = dated.set("Date: Sun, 22 Nov 2026 15:58:00 GMT");
    assert_eq!(old.refused(), Reason::Expired);
}

#[test]
fn a_control_character_in_what_is_copied_is_refused() {
    // S-7.
    let case = Case::new().with("Subject: a\x0bb");
    assert_eq!(case.refused(), Reason::Header);
    let case = Case::new().without("Content-Type");
    assert_eq!(case.refused(), Reason::ContentType);
}
