//! What comes of telephone numbers in lists: H-4, K-5, M-7.

use super::list_tests::{Case, TEXT, addresses, forks, plain};
use super::{Decision, Reason};
use crate::config::BccMode;

#[test]
fn a_bcc_recipient_is_listed_under_the_address_that_is_sent_to() {
    // K-5, M-7: the one that all forks are made from, also where it stands for their number.
    let tel = "tel:+1-555-123-0009";
    let case = Case::new(&[TEXT, &plain(&[tel])]);
    let mut case = case.settings(|settings| settings.bcc_mode = BccMode::OwnCopy);
    case.policy.addressing.tel_domain = Some("home1.net".to_owned());
    let accepted = case.accepted();
    assert_eq!(
        addresses(&accepted),
        ["sip:+1-555-123-0009@home1.net;user=phone"]
    );
    for fork in forks(&accepted) {
        let body = String::from_utf8(fork.body().into_owned()).unwrap();
        let uri = "sip:+1-555-123-0009@home1.net;user=phone";
        let entry = format!("<entry uri=\"{uri}\" cp:copyControl=\"bcc\"/>");
        assert!(body.contains(&entry), "{body}");
    }
}

#[test]
fn a_group_that_is_reached_by_its_number_is_a_group() {
    // H-4, C-3.
    let of = |uri: &str| Case::new(&[TEXT, &plain(&["sip:bob@home1.net", uri])]);
    for uri in [
        "sip:+15550000000@im.home1.net;user=phone",
        "sip:+15550000000@home1.net;user=phone",
        "tel:+15550000000",
        "tel:+1-555-000-0000",
    ] {
        let refusal = of(uri).refusal();
        assert_eq!(refusal.reason, Reason::GroupListed, "{uri}");
        assert_eq!(refusal.named, format!("<{uri}>").as_bytes());
        // Without either setting a number is its own address and no other.
        let mut case = of(uri);
        case.policy.addressing.same_number = false;
        let is_own = uri.contains("@im.");
        assert_eq!(
            matches!(case.decide(), Decision::Refused(_)),
            is_own,
            "{uri}"
        );
        case.policy.addressing.tel_domain = Some("im.home1.net".to_owned());
        let is_sent_there = is_own || uri.starts_with("tel:");
        assert_eq!(
            matches!(case.decide(), Decision::Refused(_)),
            is_sent_there,
            "{uri}"
        );
    }
    of("tel:+15550000001").accepted();
    of("tel:+15550000000;ext=1").accepted();
}
