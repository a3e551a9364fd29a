//! Anonymity that a group allows: I-6, T 39. Decisions without a proxy: the answer and the forks are what is
//! looked at.

// A test fails by panicking.
#![allow(clippy::unwrap_used)]

use cimf::config::Settings;
use cimf::control::rules::Rules;
use cimf::control::ruleset::{Rule, Ruleset};
use cimf::control::{
    Accepted, Decision, Directory, Group, Policy, Reason, Source, Target, Transport, Unavailable,
    World, recognise,
};
use cimf::fanout::RecentTable;
use cimf::sip::SipUri;
use std::sync::Arc;
use std::time::SystemTime;

const ANN: &str = "sip:ann@home1.net";
const ANONYMOUS: &str = "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=";

/// One group, whatever is asked for.
struct One(Target);

impl Directory for One {
    fn find(&mut self, _: &SipUri<'_>) -> Result<Option<Target>, Unavailable> {
        Ok(Some(self.0.clone()))
    }
}

/// The policy of an administrator's settings.
fn policy() -> Policy {
    policy_with(&[])
}

/// The same with other settings.
fn policy_with(changes: &[(&str, &str)]) -> Policy {
    let mut settings = Settings::new();
    for (name, value) in [
        ("domains", "im.home1.net"),
        ("server_name", "imas.home1.net"),
        ("trusted_peers", "127.0.0.1"),
        ("core_route", "sip:icscf.home1.net"),
        ("trusted_next_hop", "1"),
        ("anonymity_policy", "group"),
        ("copy_headers", "X-Kept"),
        ("copy_prefs", "1"),
        ("group_with_list", "union"),
        ("large_ok", "1"),
    ]
    .iter()
    .chain(changes)
    {
        settings.set(name, value).unwrap();
    }
    cimf::server::policy(&settings).unwrap()
}

fn decide(policy: &Policy, allowed: bool, headers: &str, body: &str) -> Decision<'static> {
    decide_for(policy, &[ANN, "sip:bob@home1.net"], allowed, headers, body)
}

fn decide_for(
    policy: &Policy,
    members: &[&str],
    allowed: bool,
    headers: &str,
    body: &str,
) -> Decision<'static> {
    let members = members.iter().copied();
    let uri = "sip:hikers@im.home1.net".to_owned();
    let group = Group::compile(uri, true, members, &policy.addressing, |_| false);
    let rule = Rule {
        actions: [
            ("allow-initiate-conference", true),
            ("allow-anonymity", allowed),
        ]
        .map(|(action, allows)| (action.to_owned(), allows))
        .to_vec(),
        ..Rule::default()
    };
    let rules = vec![rule];
    let rules = Rules::compile(&Ruleset { rules }, &policy.addressing, |_| None);
    let group = group.with_rules(rules);
    let message = format!(
        "MESSAGE sip:hikers@im.home1.net SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n\
         To: <sip:hikers@im.home1.net>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n\
         P-Asserted-Identity: \"Ann\" <{ANN}>\r\nAccept-Contact: *;+g.oma.sip-im\r\n\
         Subject: Ann's walk\r\nCall-Info: <http://ann.home1.net>\r\nOrganization: Ann and Co\r\n\
         User-Agent: Ann/1\r\nReply-To: <{ANN}>\r\nIn-Reply-To: ann1@h\r\nX-Kept: yes\r\n\
         {headers}\r\n{body}"
    );
    let recent = RecentTable::new(64, [7; 16]).unwrap();
    let mut world = World {
        groups: &mut One(Target::Group(Arc::new(group))),
        recent: &recent,
        now: SystemTime::now(),
        has_transaction: true,
    };
    let source = Source {
        address: [127, 0, 0, 1].into(),
        transport: Transport::Tcp,
        identity: None,
    };
    let message = recognise(policy, message.as_bytes()).unwrap();
    message.decide(policy, &source, &mut world).into_owned()
}

fn accepted(decision: Decision<'static>) -> Accepted<'static> {
    match decision {
        Decision::Accepted(accepted) => accepted,
        other => panic!("{other:?}"),
    }
}

fn refusal(decision: Decision<'_>) -> Reason {
    match decision {
        Decision::Refused(refusal) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

/// The header of the one fork, which goes to bob.
fn fork(accepted: &Accepted<'_>) -> String {
    let mut text = Vec::new();
    let recipients: Vec<_> = accepted.recipients().collect();
    let addresses: Vec<_> = recipients.iter().map(|it| it.address).collect();
    assert_eq!(addresses, [b"sip:bob@home1.net"]);
    let own = accepted.owns().next().unwrap();
    accepted
        .copies([7; 16])
        .copy(0, own)
        .write_headers(&mut text);
    String::from_utf8(text).unwrap()
}

const FROM_ANN: &str = "From: \"Ann\" <sip:ann@home1.net>;tag=1\r\n";
const FROM_NOBODY: &str = "From: <sip:x@anonymous.invalid>;tag=1\r\n";

#[test]
fn t39_an_allowed_wish_hides_the_sender_and_keeps_his_identity_in_the_domain() {
    for (headers, privacy) in [
        (format!("{FROM_ANN}Privacy: id\r\n"), "id"),
        (
            format!("{FROM_ANN}Privacy: header;critical\r\n"),
            "header;critical;id",
        ),
        (FROM_NOBODY.to_owned(), "id"),
        (format!("{FROM_NOBODY}Privacy: none\r\n"), "id"),
    ] {
        let text = fork(&accepted(decide(&policy(), true, &headers, "")));
        assert!(text.contains(ANONYMOUS), "{text}");
        assert!(
            text.contains(&format!("\r\nPrivacy: {privacy}\r\n")),
            "{text}"
        );
        assert!(text.contains("\r\nP-Asserted-Identity: \"Ann\" <sip:ann@home1.net>\r\n"));
        assert!(text.contains("\r\nX-Kept: yes\r\n"));
        // Nothing but the asserted identity tells of her.
        assert_eq!(text.to_lowercase().matches("ann").count(), 2, "{text}");
    }
}

#[test]
fn credentials_that_name_the_sender_go_on_only_if_he_is_named() {
    // I-6 before U-10: cores take P-Asserted-Identity out on the way to a member, not Authorization.
    const CREDENTIALS: &str = "Digest username=\"ann\", realm=\"home2.net\"";
    for name in ["Authorization", "Proxy-Authorization"] {
        let named = format!("{FROM_ANN}{name}: {CREDENTIALS}\r\n");
        let text = fork(&accepted(decide(&policy(), true, &named, "")));
        assert!(text.contains(CREDENTIALS), "{text}");
        let anonymous = format!("{named}Privacy: id\r\n");
        let text = fork(&accepted(decide(&policy(), true, &anonymous, "")));
        assert!(!text.contains(name), "{text}");
    }
}

#[test]
fn t39_outside_the_domain_nothing_tells_of_the_sender() {
    let policy = policy_with(&[("trusted_next_hop", "0")]);
    let headers = format!("{FROM_ANN}Privacy: id\r\n");
    let text = fork(&accepted(decide(&policy, true, &headers, "")));
    assert!(text.contains(ANONYMOUS), "{text}");
    assert!(!text.to_lowercase().contains("ann"), "{text}");
    assert!(!text.contains("Privacy"), "{text}");
}

#[test]
fn a_group_that_does_not_allow_it_refuses_and_so_does_the_server() {
    //
    let headers = format!("{FROM_ANN}Privacy: id\r\n");
    assert_eq!(
        refusal(decide(&policy(), false, &headers, "")),
        Reason::Anonymity
    );
    let strict = policy_with(&[("anonymity_policy", "reject")]);
    assert_eq!(
        refusal(decide(&strict, true, &headers, "")),
        Reason::Anonymity
    );
    // RFC 3323 §4.2: critical, and of a kind that is not known here.
    let headers = format!("{FROM_ANN}Privacy: id;x-new;critical\r\n");
    assert_eq!(
        refusal(decide(&policy(), true, &headers, "")),
        Reason::Anonymity
    );
}

#[test]
fn who_does_not_ask_for_it_stays_named() {
    for headers in [FROM_ANN.to_owned(), format!("{FROM_ANN}Privacy: none\r\n")] {
        let text = fork(&accepted(decide(&policy(), true, &headers, "")));
        assert!(text.starts_with("From: \"Ann\" <sip:ann@home1.net>;tag="));
        for kept in ["Subject", "Call-Info", "Organization", "Reply-To"] {
            assert!(
                text.contains(&format!("\r\n{kept}: ")),
                "no {kept} in {text}"
            );
        }
    }
}

#[test]
fn a_cpim_body_names_its_sender_and_is_refused() {
    // I-6, M-8.
    let asking = format!("{FROM_ANN}Privacy: id\r\n");
    for (content_type, body) in [
        ("message/cpim", "From: Ann <im:ann@home1.net>\r\n\r\nhi"),
        (
            "multipart/mixed;boundary=b",
            "--b\r\nContent-Type: Message/CPIM\r\n\r\nFrom: <im:ann@h>\r\n--b--\r\n",
        ),
    ] {
        let headers = format!("{asking}Content-Type: {content_type}\r\n");
        let reason = refusal(decide(&policy(), true, &headers, body));
        assert_eq!(reason, Reason::NotCleanable);
        // Without the wish it is nobody's business.
        let headers = format!("{FROM_ANN}Content-Type: {content_type}\r\n");
        accepted(decide(&policy(), true, &headers, body));
    }
}

#[test]
fn a_body_that_is_a_message_or_signed_names_its_sender_and_is_refused() {
    // I-6, M-8: as CPIM is.
    let parts = |part: &str| format!("--b\r\n\r\nhi\r\n--b\r\n{part}\r\n--b--\r\n");
    let asking = format!("{FROM_ANN}Privacy: id\r\n");
    for (content_type, body) in [
        ("message/sipfrag", "From: <sip:ann@home1.net>".to_owned()),
        ("message/sip;version=2.0", "INFO sip:x SIP/2.0".to_owned()),
        ("Message/RFC822", "From: ann@home1.net".to_owned()),
        ("message/external-body;access-type=URL", "x".to_owned()),
        ("message/partial;id=\"1@ann\";number=1", "x".to_owned()),
        (
            "multipart/mixed;boundary=b",
            parts("c: message/sipfrag\r\n\r\nFrom: x"),
        ),
        (
            "multipart/alternative;boundary=b",
            parts("Content-Type: multipart/digest;boundary=c\r\n\r\n--c\r\n\r\nFrom: x\r\n--c--"),
        ),
        (
            "multipart/signed;boundary=b",
            parts("Content-Type: application/pgp-signature\r\n\r\nx"),
        ),
    ] {
        let headers = format!("{asking}Content-Type: {content_type}\r\n");
        let reason = refusal(decide(&policy(), true, &headers, &body));
        assert_eq!(reason, Reason::NotCleanable, "{content_type}");
        let headers = format!("{FROM_ANN}Content-Type: {content_type}\r\n");
        accepted(decide(&policy(), true, &headers, &body));
    }
}

#[test]
fn no_header_of_a_body_or_of_its_parts_and_no_preference_tells_of_the_sender() {
    // I-6: all that is left says how to read the content.
    const HEADERS: &str = "Content-Location: http://ann/\r\nContent-Base: http://ann/\r\n\
        Content-Description: of ann\r\nContent-X: ann\r\nContent-ID: <1@ann>\r\n\
        Conversation-ID: ann1\r\nContribution-ID: ann2\r\nInReplyTo-Contribution-ID: ann3\r\n\
        Content-Disposition: render;filename=\"ann.txt\"\r\nContent-Language: en\r\n\
        Accept-Contact: *;audio;require, *;+sip.instance=\"<urn:uuid:ann>\"\r\n\
        Reject-Contact: *;+sip.instance=\"<urn:uuid:ann>\"\r\nj: *;video\r\n\
        Request-Disposition: no-fork\r\n";
    const PART: &str = "Content-Type: text/plain;charset=UTF-8;name=\"ann\"\r\nContent-ID: <2@ann>\r\n\
        Content-Location: ann\r\nContent-Description: ann\r\nFrom: ann\r\nX-Ann: ann\r\n\r\nhi";
    let parts = format!("ann\r\n--b\r\n{PART}\r\n--b\r\n{PART}\r\n--b--\r\nann");
    let list = "Content-Type: application/resource-lists+xml\r\nContent-Disposition: recipient-list\r\n\
        \r\n<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list>\
        <entry uri=\"sip:bob@home1.net\"/></list></resource-lists>";
    let with_list = |part: &str| format!("--b\r\n{part}\r\n--b\r\n{list}\r\n--b--\r\n");
    let two = format!("{PART}\r\n--b\r\n{PART}");
    for (content_type, body, left) in [
        ("text/plain;name=ann", "hi".to_owned(), "hi".to_owned()),
        ("text/plain;name=ann", String::new(), String::new()),
        (
            "multipart/related;boundary=b;start=\"<2@ann>\"",
            parts.clone(),
            "--b\r\nContent-Type: text/plain;charset=UTF-8\r\n\r\nhi\r\n".repeat(2) + "--b--\r\n",
        ),
        (
            "multipart/mixed;boundary=b",
            with_list(PART),
            "hi".to_owned(),
        ),
        (
            "multipart/mixed;boundary=b",
            with_list(&two),
            "hi".to_owned(),
        ),
    ] {
        let headers = format!("{FROM_ANN}Privacy: id\r\n{HEADERS}Content-Type: {content_type}\r\n");
        let policy = policy_with(&[("trusted_next_hop", "0")]);
        let accepted = accepted(decide(&policy, true, &headers, &body));
        let text = fork(&accepted);
        let body = String::from_utf8(accepted.body.to_vec()).unwrap();
        assert!(!text.to_lowercase().contains("ann"), "{text}");
        assert!(!body.to_lowercase().contains("ann"), "{body}");
        assert!(body.contains(left.trim_end()), "{body}");
        for kept in [
            "Reject-Contact: *;video",
            "Request-Disposition: no-fork",
            "Accept-Contact: *;audio;require",
        ] {
            assert!(text.contains(&format!("\r\n{kept}\r\n")), "{text}");
        }
    }
}

#[test]
fn an_anonymous_message_goes_to_nobody_whom_only_its_list_names() {
    // services allow no anonymity, and it is their word that makes a stranger a recipient.
    let body = |uris: &[&str]| {
        let entries = uris.iter().map(|uri| format!("<entry uri=\"{uri}\"/>"));
        let entries: String = entries.collect();
        format!(
            "--b\r\n\r\nhi\r\n--b\r\nContent-Type: application/resource-lists+xml\r\n\
             Content-Disposition: recipient-list\r\n\r\n\
             <resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list>{entries}</list>\
             </resource-lists>\r\n--b--\r\n"
        )
    };
    let headers = format!("{FROM_ANN}Content-Type: multipart/mixed;boundary=b\r\n");
    let anonymous = format!("{headers}Privacy: id\r\n");
    let served = ("domains", "im.home1.net,home1.net");
    let policy = policy_with(&[served]);
    let both = body(&["sip:bob@home1.net", "sip:cho@home2.net"]);
    assert_eq!(accepted(decide(&policy, true, &headers, &both)).count(), 2);
    fork(&accepted(decide(&policy, true, &anonymous, &both)));
    let alone = policy_with(&[served, ("skip_originator", "group")]);
    let stranger = body(&["sip:cho@home2.net"]);
    let solo = decide_for(&alone, &[ANN], true, &anonymous, &stranger);
    assert_eq!(refusal(solo), Reason::Anonymity);
}

#[test]
fn an_anonymous_from_is_no_lie_about_the_sender() {
    // I-4 beside I-6.
    let policy = policy_with(&[("from_mismatch", "reject")]);
    let text = fork(&accepted(decide(&policy, true, FROM_NOBODY, "")));
    assert!(text.contains(ANONYMOUS), "{text}");
    let reason = refusal(decide(
        &policy,
        true,
        "From: <sip:bob@home1.net>;tag=1\r\n",
        "",
    ));
    assert_eq!(reason, Reason::FromMismatch);
}
