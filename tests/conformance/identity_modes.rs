//! Whose word counts for who the sender is, and what becomes of a From that says otherwise (I-4). The
//! script's identity is here what the request's X-Identity says; digest.rs has real credentials.

use crate::checks::{accepted, refused, sent, warning};
use crate::support::client::{Transport, UNTRUSTED};
use crate::support::flow::Request;
use crate::support::proxy::proxy;
use crate::support::rig::{BOB, Rig, Setup, TEL};

/// A rig whose script hands over X-Identity as the identity it has checked.
fn rig(transport: Transport, mode: &str) -> Setup {
    Setup::new(transport)
        .number("TRUSTED_NEXT_HOP", 1)
        .text("IDENTITY_MODE", mode)
        .text("CIMF_IDENTITY", "$hdr(X-Identity)")
}

/// B0 without P-Asserted-Identity, with an identity for the script.
fn identified(rig: &Rig, identity: &str) -> Request {
    Request::another(&rig.client_at(UNTRUSTED))
        .without("P-Asserted-Identity")
        .with(&format!("X-Identity: {identity}"))
}

/// A-7, pai: an identity of the script does not count.
pub fn pai_takes_no_identity_of_the_script(transport: Transport) {
    let rig = rig(transport, "pai").start();
    let mut client = rig.client();
    let request = identified(&rig, "sip:ann@home1.net").via(&client, "pai1");
    let response = refused(&rig, &mut client, &request, 403);
    assert_eq!(warning(&response), "Originator not authenticated");
    // Nor does it stand beside the asserted one.
    let request = Request::another(&client).with("X-Identity: sip:dora@home1.net");
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}

/// A-7, I-3, digest: the script's identity counts, P-Asserted-Identity does not, and a trusted next hop is told
/// the script's.
pub fn digest_takes_the_identity_of_the_script_alone(transport: Transport) {
    let rig = rig(transport, "digest").start();
    let mut stranger = rig.client_at(UNTRUSTED);
    let request = identified(&rig, "sip:ann@home1.net").via(&stranger, "dig1");
    let (_, forks) = accepted(&rig, &mut stranger, &request, &[BOB, TEL]);
    for fork in forks {
        assert_eq!(
            fork.message.one("P-Asserted-Identity"),
            "<sip:ann@home1.net>"
        );
    }
    // What the trusted peer asserts is not asked for here, and not passed on.
    let mut client = rig.client();
    let request = Request::another(&client);
    refused(&rig, &mut client, &request, 403);
    let request = Request::another(&client)
        .set("P-Asserted-Identity", "<sip:dora@home1.net>")
        .with("X-Identity: <sip:ann@home1.net>");
    let (_, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    for fork in forks {
        assert_eq!(
            fork.message.one("P-Asserted-Identity"),
            "<sip:ann@home1.net>"
        );
    }
}

/// an identity that is none is refused, whatever a script makes of missing credentials.
pub fn an_unreadable_identity_of_the_script_is_refused(transport: Transport) {
    let rig = rig(transport, "digest").start();
    let mut client = rig.client_at(UNTRUSTED);
    for identity in ["sip:<null>@<null>", "ann", "mailto:ann@home1.net", "sip:"] {
        let request = identified(&rig, identity);
        let request = request.via(&client, &crate::support::flow::unique());
        let response = refused(&rig, &mut client, &request, 403);
        assert_eq!(warning(&response), "Originator not authenticated");
    }
    rig.wait_for_log("the script gave `sip:<null>@<null>`");
}

/// what a variable of ours gives back is read before the verdict that it is part of is dropped.
pub fn an_identity_of_the_first_check_is_given_to_the_second(transport: Transport) {
    let originator = match proxy().name() {
        "OpenSIPS" => "$cimf(originator)",
        _ => "\"$cimf(originator)\"",
    };
    let script = format!(
        "cimf_check(\"sip:ann@home1.net\"); cimf_check({originator}); cimf_reply(); cimf_fork(); exit; }}"
    );
    let text = format!("{}{script}", proxy().head());
    let rig = Setup::new(transport).text("IDENTITY_MODE", "digest");
    let rig = rig.configuration(&text).start();
    let mut client = rig.client();
    let request = Request::another(&client).without("P-Asserted-Identity");
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}

/// A-7, either: a trusted peer's word goes first, the script's is the second.
pub fn either_takes_the_peer_first_and_then_the_script(transport: Transport) {
    let rig = rig(transport, "either").start();
    let mut client = rig.client();
    let request = Request::another(&client).with("X-Identity: sip:dora@home1.net");
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let mut stranger = rig.client_at(UNTRUSTED);
    // A stranger's P-Asserted-Identity counts for nothing (I-1), their credentials do.
    let request = Request::another(&stranger).with("X-Identity: sip:dora@home1.net");
    let response = refused(
        &rig,
        &mut stranger,
        &request.set("From", "<sip:dora@home1.net>;tag=1"),
        403,
    );
    assert_eq!(warning(&response), "Originator not authorised");
    let request = identified(&rig, "sip:ann@home1.net").via(&stranger, "eit1");
    accepted(&rig, &mut stranger, &request, &[BOB, TEL]);
    let request = identified(&rig, "").via(&stranger, "eit2");
    refused(&rig, &mut stranger, &request, 403);
}

/// A-7, none: From is believed, with a warning at the start, and asserted to nobody.
pub fn none_believes_from_and_says_so_at_the_start(transport: Transport) {
    let rig = rig(transport, "none").start();
    rig.wait_for_log("identity_mode=none");
    let mut stranger = rig.client_at(UNTRUSTED);
    let request = Request::another(&stranger).without("P-Asserted-Identity");
    let (_, forks) = sent(&rig, &mut stranger, &request, 2);
    for fork in forks {
        assert!(!fork.message.has("P-Asserted-Identity"));
    }
    let request = Request::another(&stranger).sender("sip:dora@home1.net");
    refused(&rig, &mut stranger, &request, 403);
}

/// I-4: copied with pai unless told otherwise.
pub fn a_from_that_differs_is_copied_with_pai(transport: Transport) {
    let rig = rig(transport, "pai").start();
    let mut client = rig.client();
    let request = from_bob(Request::another(&client));
    let (_, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    assert!(
        forks[0]
            .message
            .one("From")
            .starts_with("\"Bob\" <sip:bob@")
    );
}

/// T 32 with an identity of the script: refused unless told otherwise. Equality is that of addresses.
pub fn t32_a_from_that_differs_is_refused_with_digest(transport: Transport) {
    let rig = rig(transport, "digest").start();
    let mut client = rig.client_at(UNTRUSTED);
    let request = from_bob(identified(&rig, "sip:ann@home1.net")).via(&client, "mis1");
    let response = refused(&rig, &mut client, &request, 403);
    assert_eq!(warning(&response), "From is not the originator");
    let request = identified(&rig, "sip:%61nn@HOME1.net").via(&client, "mis2");
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}

/// I-4: the choice of the administrator goes before that of the mode.
pub fn from_mismatch_overrules_the_mode(transport: Transport) {
    let rejecting = rig(transport, "pai")
        .text("FROM_MISMATCH", "reject")
        .start();
    let mut client = rejecting.client();
    let request = from_bob(Request::another(&client));
    refused(&rejecting, &mut client, &request, 403);
    // The tel address is asserted as well, so it is theirs.
    let request = Request::another(&client).set("From", "<tel:+1-555-123-0001>;tag=9f2c");
    accepted(&rejecting, &mut client, &request, &[BOB, TEL]);

    let copying = rig(transport, "digest")
        .text("FROM_MISMATCH", "copy")
        .start();
    let mut client = copying.client_at(UNTRUSTED);
    let request = from_bob(identified(&copying, "sip:ann@home1.net")).via(&client, "ovr1");
    accepted(&copying, &mut client, &request, &[BOB, TEL]);
}

/// I-4, rewrite.
pub fn a_from_that_differs_is_rewritten(transport: Transport) {
    let rig = rig(transport, "pai")
        .text("FROM_MISMATCH", "rewrite")
        .start();
    let mut client = rig.client();
    let request = from_bob(Request::another(&client));
    let (_, forks) = sent(&rig, &mut client, &request, 2);
    for fork in forks {
        let from = fork.message.one("From").to_owned();
        assert!(
            from.starts_with("\"Ann\" <sip:ann@home1.net>;tag="),
            "{from}"
        );
    }
    // One that is theirs stays as they wrote it.
    let request = Request::another(&client).set("From", "Annie <sip:ann@home1.net>;tag=9f2c");
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}

/// C-3: without IMS a SIP address is not a telephone number.
pub fn one_number_under_two_schemes_is_one_member_with_pai_only(transport: Transport) {
    for (mode, code) in [("pai", 202), ("either", 403)] {
        let rig = rig(transport, mode).group("sip:n@im.home1.net", &["tel:+15551230001", BOB]);
        let rig = rig.start();
        let mut client = rig.client();
        let sender = "sip:+15551230001@home1.net;user=phone";
        let request = Request::another(&client)
            .group("sip:n@im.home1.net")
            .sender(sender);
        match code {
            202 => drop(accepted(&rig, &mut client, &request, &[BOB])),
            code => drop(refused(&rig, &mut client, &request, code)),
        }
    }
}

fn from_bob(request: Request) -> Request {
    request.set("From", "\"Bob\" <sip:bob@home1.net>;tag=9f2c")
}
