//! What an observer learns of the checks.

use super::*;
use crate::config::{FromMismatch, UnknownGroup};

/// The checks that were made, and what they saw in lines of `CHECK mark SUBJECT: TEXT`.
fn observed(case: &Case) -> (Vec<Check>, String) {
    let mut record = Record::default();
    let _ = case.decide_observed(&mut record);
    let checks = record.checks.iter().map(|(check, _)| *check).collect();
    let lines = record.checks.iter().flat_map(|(check, notes)| {
        notes.iter().map(
            |Note {
                 used,
                 subject,
                 text,
             }| {
                let mark = match used {
                    Use::Fact => '=',
                    Use::Taken => '+',
                    Use::Left => '-',
                };
                format!("{} {mark} {subject}: {text}\n", check.key())
            },
        )
    });
    (checks, lines.collect())
}

#[test]
fn a_refusal_belongs_to_the_check_that_started_last() {
    // A.1.
    let mut off = Case::new();
    off.policy.settings.pager_mode = false;
    let mut down = Case::new();
    down.is_down = true;
    let mut groups_flag = Case::new();
    groups_flag.group_pager_mode = false;
    let mut alone = Case::new();
    alone.members.truncate(1);
    let mut strict = Case::new();
    strict.policy.settings.from_mismatch = Some(FromMismatch::Reject);
    let old = "Expires: 1\r\nDate: Sun, 22 Nov 2026 15:00:00 GMT";
    let large = Case::new().with(&format!("Subject: {}", "x".repeat(1300)));
    let cases = [
        (Case::new().without_tag_of_from(), Check::WellFormed),
        (Case::new().set("To: <sip:h@h>;tag=1"), Check::Dialog),
        (Case::new().set("Max-Forwards: 0"), Check::Hops),
        (Case::new().with("Max-Breadth: 0"), Check::Breadth),
        (off, Check::PagerMode),
        (down, Check::Target),
        (Case::new().to("sip:x@im.home1.net"), Check::Target),
        (groups_flag, Check::TargetPagerMode),
        (Case::new().with("Require: foo"), Check::Require),
        (Case::new().without("P-Asserted"), Check::Identity),
        (strict.set("From: <sip:x@h>;tag=1"), Check::From),
        (
            Case::new().set("P-Asserted-Identity: <sip:dora@home1.net>"),
            Check::Authorisation,
        ),
        (Case::new().with("Privacy: id"), Check::Anonymity),
        (Case::new().with(old), Check::Lifetime),
        (Case::new().without("Content-Type"), Check::BodyType),
        (
            Case::new().set("Content-Type: message/imdn+xml"),
            Check::Notification,
        ),
        (large, Check::Size),
        (Case::new().with("Subject: a\u{1}b"), Check::Content),
        (alone, Check::AnyRecipient),
    ];
    for (case, expected) in cases {
        let reason = case.refused();
        let (checks, _) = observed(&case);
        assert_eq!(checks.last(), Some(&expected), "{reason:?} {checks:?}");
    }
}

#[test]
fn a_message_that_is_accepted_has_passed_every_check_of_groups() {
    let mut case = Case::new();
    case.policy.settings.unknown_group = UnknownGroup::Script;
    case.policy.settings.utf8_only = true;
    let (checks, lines) = observed(&case);
    let of_lists = [Check::ListLength, Check::ListedRecipients];
    let of_groups = Check::ALL.iter().filter(|check| !of_lists.contains(check));
    assert_eq!(checks, of_groups.copied().collect::<Vec<_>>());
    for line in [
        "feature-tag + *;+g.oma.sip-im: ",
        "hops = Max-Forwards: 68; the copies get 67",
        "target + sip:hikers@im.home1.net: a stored group without rules, members: 3",
        "identity + udp:127.0.0.1: one of `trusted_peers`",
        "identity + sip:ann@home1.net: P-Asserted-Identity",
        "authorisation + sip:ann@home1.net: a member of the group",
        "any-recipient - sip:ann@home1.net: the originator: gets no copy",
        "content + Content-Type: copied",
        "content - Route: not meant for the recipients",
        "any-recipient = : recipients: 2",
    ] {
        assert!(lines.contains(line), "no `{line}` in:\n{lines}");
    }
}

#[test]
fn whose_word_does_not_count_is_told() {
    // I-1, I-2, A-7.
    let second = "P-Asserted-Identity: <sip:ann@home1.net>, <sip:bob@home1.net>, <tel:+1>";
    let (_, lines) = observed(&Case::new().set(second));
    assert!(lines.contains("identity - sip:bob@home1.net: "), "{lines}");
    assert!(lines.contains("identity + tel:+1: "), "{lines}");
    let mut stranger = Case::new();
    stranger.source.address = [10, 0, 0, 1].into();
    stranger.source.identity = Some(b"sip:ann@home1.net");
    let (_, lines) = observed(&stranger);
    for line in [
        "identity - udp:10.0.0.1: none of `trusted_peers`",
        "the P-Asserted-Identity of a peer that is not believed",
        "identity - sip:ann@home1.net: given by the script, which identity_mode does not ask",
    ] {
        assert!(lines.contains(line), "no `{line}` in:\n{lines}");
    }
}

#[test]
fn why_a_message_is_not_ours_is_told() {
    //
    let other = Case::new().set("Accept-Contact: *;audio");
    let (checks, lines) = observed(&other);
    assert_eq!(checks.last(), Some(&Check::FeatureTag));
    assert!(lines.contains("feature-tag - *;audio: "), "{lines}");
    let (_, lines) = observed(&Case::new().without("Accept-Contact"));
    assert!(
        lines.contains("feature-tag - Accept-Contact: there is none"),
        "{lines}"
    );
}
