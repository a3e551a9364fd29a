//! IMS: charging (N-4), the route with `orig` (N-2), and whom the forks come from (N-3).

use crate::checks::{accepted, refused, sent};
use crate::support::client::{Transport, UNTRUSTED};
use crate::support::flow::Request;
use crate::support::rig::{BOB, HIKERS, SERVER_NAME, Setup, TEL};
use std::collections::BTreeSet;

/// The one vector of a request, as flow 1 has it.
const RECEIVED: &str = "icid-value=\"pcscf1-0f3a-41\";orig-ioi=home1.net";

fn ims(transport: Transport) -> Setup {
    Setup::new(transport)
        .number("TRUSTED_NEXT_HOP", 1)
        .text("IOI", "as.home1.net")
}

/// T 108.
pub fn t108_the_answer_names_us_and_every_fork_has_its_own_identifier(transport: Transport) {
    let rig = ims(transport).start();
    let mut client = rig.client();
    let mut identifiers = BTreeSet::new();
    for _ in 0..2 {
        let request = Request::another(&client);
        let (response, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
        assert_eq!(
            response.one("P-Charging-Vector"),
            format!("{RECEIVED};term-ioi=as.home1.net")
        );
        for fork in forks {
            let vector = fork.message.one("P-Charging-Vector");
            let (identifier, rest) = vector.split_once(';').expect("more than an identifier");
            assert_eq!(
                rest,
                format!("icid-generated-at={SERVER_NAME};orig-ioi=as.home1.net")
            );
            assert_ne!(identifier, "icid-value=\"pcscf1-0f3a-41\"");
            assert!(identifier.len() > 20, "{identifier}");
            identifiers.insert(identifier.to_owned());
        }
    }
    assert_eq!(identifiers.len(), 4, "unique: {identifiers:?}");
}

/// N-4: refusals are answers too.
pub fn t108_a_refusal_names_us_as_well(transport: Transport) {
    let rig = ims(transport).start();
    let mut client = rig.client();
    for (request, code) in [
        (Request::another(&client).with("Privacy: id"), 403),
        (Request::another(&client).group("sip:no@im.home1.net"), 404),
        (Request::another(&client).with("Require: foo"), 420),
        (Request::another(&client).set("Max-Forwards", "0"), 483),
    ] {
        let response = refused(&rig, &mut client, &request, code);
        assert_eq!(
            response.one("P-Charging-Vector"),
            format!("{RECEIVED};term-ioi=as.home1.net")
        );
    }
    // N-6: nobody outside learns of it.
    let mut stranger = rig.client_at(UNTRUSTED);
    let request = Request::another(&stranger);
    let response = refused(&rig, &mut stranger, &request, 403);
    assert!(!response.has("P-Charging-Vector"));
}

/// N-4: flow 2 has none, and a broken one is as good.
pub fn without_a_vector_there_is_none_anywhere(transport: Transport) {
    let rig = ims(transport).start();
    let mut client = rig.client();
    let plain = || Request::another(&client).without("P-Charging-Vector");
    let requests = [
        plain(),
        plain().with("P-Charging-Vector: orig-ioi=home1.net"),
        plain().with("P-Charging-Vector: icid-value=\"a\";orig-ioi=<sip:x@y>"),
        Request::another(&client).with("P-Charging-Vector: icid-value=\"second\""),
    ];
    for request in requests {
        let (response, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
        assert!(!response.has("P-Charging-Vector"), "{response}");
        for fork in forks {
            assert!(!fork.message.has("P-Charging-Vector"), "{}", fork.message);
        }
    }
}

/// N-4, `icid_mode`.
pub fn icid_mode_copy_correlates_the_forks_with_their_message(transport: Transport) {
    let rig = ims(transport).text("ICID_MODE", "copy").start();
    let mut client = rig.client();
    let request = Request::another(&client).set(
        "P-Charging-Vector",
        "orig-ioi=home1.net;term-ioi=x;icid-value=\"a;b\";icid-generated-at=[2001:db8::1]",
    );
    let (response, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    assert_eq!(
        response.one("P-Charging-Vector"),
        "icid-value=\"a;b\";orig-ioi=home1.net;term-ioi=as.home1.net"
    );
    for fork in forks {
        assert_eq!(
            fork.message.one("P-Charging-Vector"),
            "icid-value=\"a;b\";icid-generated-at=[2001:db8::1];orig-ioi=as.home1.net"
        );
    }
}

/// N-4: `ioi` is the server's name unless something else is said.
pub fn the_server_name_is_the_operators_unless_ioi_is_set(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client);
    let (response, _) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    assert_eq!(
        response.one("P-Charging-Vector"),
        format!("{RECEIVED};term-ioi={SERVER_NAME}")
    );
}

/// T 109: the Route as it was given; the group is served when the forks are its own.
pub fn t109_orig_stays_in_the_route_and_the_group_is_served(transport: Transport) {
    for (fork_pai, served) in [("group", true), ("sender", false)] {
        let setup = ims(transport).text("FORK_PAI", fork_pai);
        let route = format!("{};lr;orig", setup.next_hop());
        let rig = setup.text("CORE_ROUTE", &route).start();
        let mut client = rig.client();
        let request = Request::another(&client);
        let (_, forks) = sent(&rig, &mut client, &request, 2);
        for fork in forks {
            assert_eq!(fork.message.all("Route"), [format!("<{route}>")]);
            let expected = format!("<{HIKERS}>;sescase=orig;regstate=reg");
            let expected = if served {
                vec![expected.as_str()]
            } else {
                Vec::new()
            };
            assert_eq!(fork.message.all("P-Served-User"), expected);
        }
    }
}

/// N-2: no `orig`, nobody to serve; N-6: and nobody outside is told.
pub fn without_orig_or_trust_no_user_is_served(transport: Transport) {
    let plain = ims(transport).text("FORK_PAI", "group").start();
    let setup = ims(transport)
        .number("TRUSTED_NEXT_HOP", 0)
        .text("FORK_PAI", "group");
    let route = format!("{};orig", setup.next_hop());
    let untrusted = setup.text("CORE_ROUTE", &route).start();
    untrusted.wait_for_log("core_route has `orig`");
    for rig in [plain, untrusted] {
        let mut client = rig.client();
        let request = Request::another(&client);
        let (_, forks) = sent(&rig, &mut client, &request, 2);
        for fork in forks {
            assert!(!fork.message.has("P-Served-User"), "{}", fork.message);
        }
    }
}

/// N-3.
pub fn the_forks_may_be_asserted_to_come_from_the_group(transport: Transport) {
    let rig = ims(transport).text("FORK_PAI", "group").start();
    let mut client = rig.client();
    let request = Request::b0(&client);
    let (_, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    for fork in forks {
        assert_eq!(
            fork.message.all("P-Asserted-Identity"),
            [format!("<{HIKERS}>")]
        );
        // From is still the sender (U-4).
        assert!(fork.message.one("From").contains("sip:ann@home1.net"));
    }
}
