//! Rulesets against originators.

use super::super::access::tests::{addressing, identity, policy};
use super::*;
use crate::control::group::Group;
use crate::control::permissions::Permissions;
use crate::control::ruleset::{ALLOW_ANONYMITY, Rule};
use std::time::{Duration, UNIX_EPOCH};

const SEND: &str = "allow-initiate-conference";
const NOW: &str = "2026-11-22T12:00:00Z";

fn one(id: &str) -> Identity {
    Identity::One(id.to_owned())
}

fn many(domain: Option<&str>, except: &[&str]) -> Identity {
    let except = except.iter().map(|&text| match text.contains(':') {
        true => Except::Id(text.to_owned()),
        false => Except::Domain(text.to_owned()),
    });
    Identity::Many {
        domain: domain.map(str::to_owned),
        except: except.collect(),
    }
}

fn rule(conditions: &[Condition], actions: &[(&str, bool)]) -> Rule {
    let actions = actions
        .iter()
        .map(|&(name, allows)| (name.to_owned(), allows));
    Rule {
        id: "r".to_owned(),
        conditions: conditions.to_vec(),
        actions: actions.collect(),
    }
}

/// A group of ann and bob, with a list of eve at hand.
fn group(rules: &[Rule]) -> Group {
    let addressing = addressing();
    let members = ["sip:ann@home1.net", "sip:bob@home1.net"].into_iter();
    let uri = "sip:g@im.home1.net".to_owned();
    let group = Group::compile(uri, true, members, &addressing, |_| false);
    let ruleset = Ruleset {
        rules: rules.to_vec(),
    };
    let list = |anchor: &str| {
        let eve = MemberList::of(["sip:eve@home2.net"].into_iter(), &addressing);
        (anchor == "friends").then(|| Arc::new(eve))
    };
    group.with_rules(Rules::compile(&ruleset, &addressing, list))
}

fn permissions(group: &Group, who: &str, anonymous: bool) -> Permissions {
    let asker = Asker {
        identity: &identity(who),
        anonymous,
        now: date_time::parse(NOW).unwrap(),
    };
    group.permissions(&asker, &policy(|_| ()))
}

fn may_send(group: &Group, who: &str) -> bool {
    permissions(group, who, false).send
}

/// Whether a rule with these conditions lets `who` send.
fn holds(conditions: &[Condition], who: &str) -> bool {
    may_send(&group(&[rule(conditions, &[(SEND, true)])]), who)
}

const ANN: &str = "<sip:ann@home1.net>";
const EVE: &str = "<sip:eve@home2.net>";
const NUMBER: &str = "<tel:+15551230003>";

#[test]
fn without_rules_members_may_send() {
    // G-4; T 25.
    let addressing = addressing();
    let members = ["sip:ann@home1.net", "tel:+1-555-123-0003"].into_iter();
    let group = Group::compile(String::new(), true, members, &addressing, |_| false);
    assert!(may_send(&group, ANN));
    assert!(may_send(&group, "<sip:x@y>, <tel:+15551230003>"));
    assert!(may_send(&group, "<sip:+15551230003@home1.net;user=phone>"));
    assert!(!may_send(&group, EVE));
    assert!(!permissions(&group, ANN, true).anonymity);
}

#[test]
fn a_ruleset_replaces_membership() {
    // A-7: with rules, a member may send only where a rule says so.
    assert!(!may_send(&group(&[]), ANN));
    let eve = [Condition::Identity(vec![one("sip:eve@home2.net")])];
    assert!(holds(&eve, EVE) && !holds(&eve, ANN));
    assert!(holds(&[Condition::IsListMember], ANN));
    assert!(!holds(&[Condition::IsListMember], EVE));
}

#[test]
fn a_rule_without_conditions_always_applies() {
    assert!(holds(&[], EVE));
}

#[test]
fn one_is_found_by_equality_of_addresses() {
    // C-1 to C-3.
    let some = [Condition::Identity(vec![
        one("sip:%65ve@HOME2.net;x=1"),
        one("tel:+1-555-123-0003"),
    ])];
    for who in [
        EVE,
        NUMBER,
        "<sip:+15551230003@home1.net;user=phone>",
        "<sip:nobody@home3.net>, <tel:+15551230003>",
    ] {
        assert!(holds(&some, who), "{who}");
    }
    for who in [ANN, "<sip:Eve@home2.net>", "<sips:eve@home2.net>"] {
        assert!(!holds(&some, who), "{who}");
    }
}

#[test]
fn many_is_a_domain_or_everybody_but_for_those_excepted() {
    let home1 = |except: &[&str]| [Condition::Identity(vec![many(Some("home1.net"), except)])];
    assert!(holds(&home1(&[]), "<sip:ann@HOME1.NET:5061>"));
    assert!(!holds(&home1(&[]), "<sip:ann@im.home1.net>"));
    assert!(!holds(&home1(&[]), NUMBER));
    assert!(!holds(&home1(&["sip:ann@home1.net"]), ANN));
    assert!(holds(&home1(&["sip:ann@home1.net"]), "<sip:bob@home1.net>"));
    // One address that is excepted excepts the person, whatever else they are called.
    assert!(!holds(
        &home1(&["tel:+1555"]),
        "<sip:ann@home1.net>, <tel:+1-555>"
    ));
    let all = |except: &[&str]| [Condition::Identity(vec![many(None, except)])];
    assert!(holds(&all(&[]), NUMBER) && holds(&all(&[]), EVE));
    assert!(!holds(&all(&["home2.net"]), "<sip:eve@Home2.net>"));
    assert!(holds(&all(&["home2.net"]), ANN));
    let either = [Condition::Identity(vec![
        many(Some("home1.net"), &["sip:ann@home1.net"]),
        one("sip:ann@home1.net"),
    ])];
    assert!(holds(&either, ANN));
    assert!(!holds(&[Condition::Identity(Vec::new())], ANN));
}

#[test]
fn validity_holds_from_its_start_until_before_its_end() {
    let during = |times: &[(&str, &str)]| {
        let times = times
            .iter()
            .map(|&(from, until)| (from.to_owned(), until.to_owned()));
        holds(&[Condition::Validity(times.collect())], ANN)
    };
    assert!(during(&[(NOW, "2026-11-22T12:00:00.000001Z")]));
    assert!(!during(&[("2026-01-01T00:00:00Z", NOW)]));
    assert!(!during(&[("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z")]));
    assert!(during(&[
        ("2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z"),
        ("2026-11-22T13:00:00+01:30", "2027-01-01T00:00:00Z"),
    ]));
    // A time that cannot be read is no time.
    assert!(!during(&[("2026-01-01T00:00:00", "2028-01-01T00:00:00Z")]));
    assert!(!during(&[]));
}

#[test]
fn all_conditions_of_a_rule_must_hold() {
    let both = [
        Condition::IsListMember,
        Condition::Identity(vec![one("sip:ann@home1.net"), one("sip:eve@home2.net")]),
    ];
    assert!(holds(&both, ANN));
    assert!(!holds(&both, EVE) && !holds(&both, "<sip:bob@home1.net>"));
}

#[test]
fn what_is_not_known_never_holds() {
    let unknown = Condition::Unknown("urn:x".to_owned(), "media-list".to_owned());
    for condition in [unknown, Condition::Sphere("work".to_owned())] {
        assert!(!holds(std::slice::from_ref(&condition), ANN));
        assert!(!holds(&[Condition::IsListMember, condition], ANN));
    }
}

#[test]
fn a_list_that_is_not_known_has_nobody_in_it() {
    let list = |anchors: &[&str]| {
        let anchors = anchors.iter().map(|&anchor| anchor.to_owned());
        [Condition::ExternalList(anchors.collect())]
    };
    assert!(holds(&list(&["enemies", "friends"]), EVE));
    assert!(!holds(&list(&["friends"]), ANN));
    assert!(!holds(&list(&["enemies"]), EVE));
}

#[test]
fn what_any_rule_allows_is_allowed() {
    let ann = [Condition::Identity(vec![one("sip:ann@home1.net")])];
    let rules = group(&[
        rule(&ann, &[(SEND, true)]),
        rule(
            &[Condition::IsListMember],
            &[(SEND, false), (ALLOW_ANONYMITY, true)],
        ),
        rule(&[], &[("join-handling", true)]),
    ]);
    let (sends, hides) = (true, true);
    for (who, send, anonymity) in [
        (ANN, sends, hides),
        ("<sip:bob@home1.net>", !sends, hides),
        (EVE, !sends, !hides),
    ] {
        let expected = Permissions { send, anonymity };
        assert_eq!(permissions(&rules, who, false), expected, "{who}");
    }
}

#[test]
fn other_identity_holds_only_where_no_other_rule_applies() {
    let ann = [Condition::Identity(vec![one("sip:ann@home1.net")])];
    let others = rule(&[Condition::OtherIdentity], &[(SEND, true)]);
    let none = rule(&ann, &[(SEND, false)]);
    for rules in [[others.clone(), none.clone()], [none, others]] {
        let group = group(&rules);
        assert!(!may_send(&group, ANN));
        assert!(may_send(&group, EVE));
    }
    let expired = Condition::Validity(Vec::new());
    assert!(!holds(&[Condition::OtherIdentity, expired], EVE));
}

#[test]
fn an_anonymous_request_is_a_condition_of_its_own() {
    let rules = group(&[rule(&[Condition::AnonymousRequest], &[(SEND, true)])]);
    assert!(permissions(&rules, ANN, true).send);
    assert!(!permissions(&rules, ANN, false).send);
}

#[test]
fn the_action_that_lets_one_send_is_the_administrators_choice() {
    let of_pager = policy(|settings| settings.send_action = "allow-pager".to_owned());
    let rules = group(&[rule(&[], &[("allow-pager", true), (SEND, false)])]);
    let asker = Asker {
        identity: &identity(ANN),
        anonymous: false,
        now: UNIX_EPOCH + Duration::from_secs(1),
    };
    assert!(rules.permissions(&asker, &of_pager).send);
    assert!(!rules.permissions(&asker, &policy(|_| ())).send);
}
