//! Members that are told apart, found again and sent to.

use super::*;
use crate::control::NextHopCapabilities;

fn addressing() -> Addressing {
    Addressing {
        next_hop: NextHopCapabilities::Core { tls: false },
        same_number: true,
        tel_domain: None,
        domains: vec!["home1.net".to_owned()],
    }
}

fn compiled(members: &[&str]) -> Group {
    let members = members.iter().copied();
    let uri = "sip:g@home1.net".to_owned();
    Group::compile(uri, true, members, &addressing(), |sip| {
        sip.user == Some(b"nested")
    })
}

fn recipients(group: &Group) -> Vec<&str> {
    (0..group.members() as u32)
        .filter_map(|number| group.recipient(number))
        .map(|text| std::str::from_utf8(text).unwrap())
        .collect()
}

fn has(group: &Group, uri: &str) -> bool {
    let uri = Uri::parse(uri.as_bytes()).unwrap();
    group.has(&uri, &addressing())
}

#[test]
fn duplicates_are_left_out_and_the_first_wins() {
    // C-1 to C-3; T 44, 49.
    let group = compiled(&[
        "sip:bob@home1.net",
        "SIP:bob@HOME1.NET?Subject=x",
        "sip:%62ob@home1.net",
        "tel:+1-555",
        "tel:+1555",
        "sip:+1555@home1.net;user=phone",
        "sip:+1555@elsewhere.net;user=phone",
    ]);
    let kept = [
        "sip:bob@home1.net",
        "tel:+1-555",
        "sip:+1555@elsewhere.net;user=phone",
    ];
    assert_eq!(recipients(&group), kept);
    assert_eq!(group.skipped().len(), 4);
}

#[test]
fn numbers_are_sent_to_as_sip_addresses_and_compared_as_numbers() {
    // M-7, C-3; T 52.
    let converting = Addressing {
        next_hop: NextHopCapabilities::Direct,
        same_number: false,
        tel_domain: Some("gw.home1.net".to_owned()),
        ..addressing()
    };
    let members = [
        "tel:+1-555;EXT=7",
        "tel:+1555;ext=7",
        "sip:+1(555);ext=7@GW.home1.net;user=phone",
        "sip:+1-555;ext=7@home1.net;user=phone",
        "tel:7042;phone-context=Home1.net",
        "sip:7042;phone-context=home1.net@gw.home1.net;user=phone",
        "sip:bob@gw.home1.net",
    ];
    let compile = |members: &[&str]| {
        let uri = "sip:g@home1.net".to_owned();
        Group::compile(uri, true, members.iter().copied(), &converting, |_| false)
    };
    let group = compile(&members);
    let wanted = [
        "sip:+1-555;ext=7@gw.home1.net;user=phone",
        "sip:+1-555;ext=7@home1.net;user=phone",
        "sip:7042;phone-context=home1.net@gw.home1.net;user=phone",
        "sip:bob@gw.home1.net",
    ];
    assert_eq!(recipients(&group), wanted);
    assert_eq!(group.longest_recipient(), Some(2));
    assert_eq!(group.address(0), Some(&b"tel:+1-555;EXT=7"[..]));
    let union = Group::union(&[std::sync::Arc::new(group)], &[], &converting);
    assert_eq!(recipients(&union), wanted);
    for uri in [
        "tel:+1(555);ext=7",
        "sip:+1555;ext=7@gw.home1.net;user=phone",
    ] {
        let uri = Uri::parse(uri.as_bytes()).unwrap();
        assert!(union.has(&uri, &converting));
    }
    let other = Uri::parse(b"sip:+1555;ext=7@gw.home1.net").unwrap();
    assert!(!union.has(&other, &converting));
}

#[test]
fn members_are_found_by_equality() {
    let group = compiled(&[
        "sip:ann@home1.net",
        "tel:+15551230003",
        "sips:cho@home1.net",
    ]);
    for uri in [
        "sip:%61nn@HOME1.net;x=1?a=b",
        "tel:+1(555)123-0003",
        "sip:+15551230003@home1.net;user=phone",
        "sips:cho@home1.net",
    ] {
        assert!(has(&group, uri), "{uri}");
    }
    for uri in [
        "sip:Ann@home1.net",
        "sip:ann@home1.net:5060",
        "sip:cho@home1.net",
    ] {
        assert!(!has(&group, uri), "{uri}");
    }
}

#[test]
fn a_member_is_recognised_by_any_of_their_addresses() {
    let group = compiled(&[
        "sip:ann@home1.net:5070;transport=tcp",
        "sip:ann@home1.net",
        "tel:+15551230003;cpc=ordinary",
        "sip:*21%23@home1.net",
    ]);
    let who = |uri: &str| -> Vec<u32> {
        let uri = Uri::parse(uri.as_bytes()).unwrap();
        let mut numbers: Vec<_> = group.members_who_are(&uri, &addressing()).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(who("sip:%61nn:pw@HOME1.net:5060;lr;x=1?a=b"), [0, 1]);
    assert_eq!(who("tel:+1-555-123-0003;oli=62"), [2]);
    assert_eq!(who("sip:+15551230003;cpc=x@home1.net:5060;user=phone"), [2]);
    assert_eq!(who("sip:*21#@home1.net"), [3]);
    assert!(who("sips:ann@home1.net").is_empty() && who("sip:Ann@home1.net").is_empty());
}

#[test]
fn who_sends_has_one_spelling() {
    let spelt = |uri: &str| {
        let uri = Uri::parse(uri.as_bytes()).unwrap();
        String::from_utf8(addressing().address_of_record(&uri)).unwrap()
    };
    assert_eq!(spelt("sip:%65ve@Home1.NET:5060;x=7"), "sip:eve@home1.net");
    for number in [
        "tel:+1-555;cpc=x",
        "sip:+1(555)@HOME1.net;user=phone",
        "sip:+1555;oli=1@home1.net:5060;user=phone;x=1",
    ] {
        assert_eq!(spelt(number), "tel:+1555");
    }
    assert_eq!(
        spelt("sip:+1555@home2.net;user=phone"),
        "sip:+1555@home2.net"
    );
}

#[test]
fn several_members_may_equal_one_address() {
    // C-2.
    let group = compiled(&[
        "sip:ann@home1.net;x=1",
        "sip:ann@home1.net;x=2",
        "sip:bob@h",
    ]);
    let ann = Uri::parse(b"sip:ann@home1.net").unwrap();
    let found: Vec<_> = group.members_equal_to(&ann, &addressing()).collect();
    assert_eq!(found, [0, 1]);
}

#[test]
fn members_that_cannot_be_sent_to_are_skipped_with_a_reason() {
    // A-12, H-4, S-7; T 51, 54, 86.
    let group = compiled(&[
        "sips:a@h",
        "im:b@h",
        "tel:5551",
        "sip:nested@home1.net",
        "sip:x%0d@h",
        "sip:bob@h;method=INVITE",
        "sip:bob@h",
    ]);
    assert_eq!(recipients(&group), ["sip:bob@h"]);
    assert_eq!(group.skipped().len(), 6);
    assert_eq!(group.recipients(), 1);
}
