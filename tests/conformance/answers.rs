//! What the sender hears, and what it does not hear.

use crate::checks::{Before, accepted, not_ours, nothing_was_sent, refused, warning};
use crate::support::client::Transport;
use crate::support::core::Answer;
use crate::support::flow::Request;
use crate::support::rig::{ANN, BOB, HIKERS, Setup, TEL, until};

/// A-10, M-11: bob answers 404, tel never answers.
pub fn t05_failing_members_change_nothing_for_the_sender(transport: Transport) {
    let rig = Setup::new(transport).number("TM_FR_TIMER", 1000).start();
    rig.core.answer("bob", Answer::Code(404));
    rig.core.answer("tel:", Answer::Silence);
    let mut client = rig.client();
    let request = Request::b0(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_counter("forks_failed", 2);
    // A second final answer, or a second try, would come before this one.
    client.fence();
    assert_eq!(rig.core.count(), 2);
    assert_eq!(rig.counter("forks_sent"), 2);
    assert_eq!(rig.counter("forks_delivered"), 0);
}

/// M-11.
pub fn t06_a_redirection_is_not_followed(transport: Transport) {
    let rig = Setup::new(transport).start();
    let elsewhere = format!(
        "sip:elsewhere@127.0.0.1:{};transport={}",
        rig.core.port,
        transport.in_uri()
    );
    rig.core.answer("bob", Answer::Redirect(elsewhere));
    let mut client = rig.client();
    let request = Request::b0(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_counter("forks_failed", 1);
    rig.wait_for_counter("forks_delivered", 1);
    client.fence();
    assert_eq!(rig.core.count(), 2, "nobody went to the Contact");
    assert_eq!(rig.counter("forks_sent"), 2);
}

/// RFC 3261 §8.2.6.2: all Vias in their order, also those behind everything else, and no Record-Route.
pub fn an_answer_has_every_via_wherever_it_stands(transport: Transport) {
    const FAR: &str = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-far";
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    for name in ["Via", "v", "VIA", "V"] {
        for group in [HIKERS, "sip:nobody@im.home1.net"] {
            let request = Request::another(&client)
                .group(group)
                .with("record-route: <sip:pcscf1.home1.net;lr>")
                .with("Record-Route: <sip:scscf1.home1.net;lr>")
                .with("Subject: the trail")
                .with(&format!("{name}: {FAR}"));
            client.send(&request.bytes());
            let response = client.receive();
            let expected = if group == HIKERS { 202 } else { 404 };
            assert_eq!(response.status(), expected, "{name}\n{response}");
            let vias = response.all("Via");
            assert_eq!(vias.len(), 2, "{name}\n{response}");
            assert_eq!(vias[1], FAR, "{name}\n{response}");
            assert!(!response.has("Record-Route"), "{name}\n{response}");
        }
    }
    rig.core.wait_for(8);
}

///
pub fn t07_pager_mode_off_refuses_every_message(transport: Transport) {
    let rig = Setup::new(transport).number("PAGER_MODE", 0).start();
    let mut client = rig.client();
    let request = Request::b0(&client);
    refused(&rig, &mut client, &request, 403);
}

///
pub fn t17_an_unknown_group_of_our_domain_is_not_found(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client).group("sip:nobody@im.home1.net");
    let response = refused(&rig, &mut client, &request, 404);
    assert_eq!(response.reason(), "Not Found");
}

///
pub fn t18_a_foreign_domain_is_not_ours(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client).group("sip:hikers@home2.net");
    not_ours(&rig, &mut client, &request, 404, "Not Routed Here");
}

/// A.1: ownership comes before authorisation; `hide_groups` gives that away to nobody.
pub fn t22_an_unknown_group_is_told_from_a_foreign_one_unless_groups_are_hidden(
    transport: Transport,
) {
    for (hide_groups, code) in [(0, 404), (1, 403)] {
        let rig = Setup::new(transport)
            .number("HIDE_GROUPS", hide_groups)
            .start();
        let mut client = rig.client();
        let unknown = Request::another(&client)
            .group("sip:nobody@im.home1.net")
            .sender("sip:dora@home1.net");
        let response = refused(&rig, &mut client, &unknown, code);
        if hide_groups == 1 {
            // Nothing in the answer may tell one from the other.
            let forbidden = Request::another(&client).sender("sip:dora@home1.net");
            let other = refused(&rig, &mut client, &forbidden, 403);
            assert_eq!(warning(&response), warning(&other));
            assert_eq!(response.start, other.start);
        }
    }
}

/// A.1 row 6.
pub fn t64_an_unknown_require_is_refused_by_name(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client).with("Require: foo");
    let response = refused(&rig, &mut client, &request, 420);
    assert_eq!(response.one("Unsupported"), "foo");
}

/// A.1 row 3.
pub fn t93_a_to_tag_belongs_to_no_dialog_of_ours(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client).set("To", "<sip:hikers@im.home1.net>;tag=old");
    refused(&rig, &mut client, &request, 481);
}

/// A.1 row 1.
pub fn t94_a_from_without_tag_is_refused(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client).set("From", "\"Ann\" <sip:ann@home1.net>");
    refused(&rig, &mut client, &request, 400);
}

/// A.1 row 1: more announced than the datagram holds.
pub fn t112_a_content_length_beyond_the_datagram_is_refused(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client).set("Content-Length", "32");
    refused(&rig, &mut client, &request, 400);
}

/// A copy that fails behind tm is counted when its callback says 408.
pub fn a_silent_member_fails_by_timeout(transport: Transport) {
    let rig = Setup::new(transport).number("TM_FR_TIMER", 1000).start();
    rig.core.answer("bob", Answer::Silence);
    let mut client = rig.client();
    let request = Request::b0(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_counter("forks_delivered", 1);
    rig.wait_for_counter("forks_failed", 1);
    assert_eq!(rig.core.count(), 2);
    rig.wait_for_log("not answered in time (408)");
}

/// All counters in one answer, whatever the transport of the question.
pub fn the_statistics_are_one_command(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_counter("forks_delivered", 2);
    rig.wait_for_counter("finished", 1);
    let answer = rig.stats();
    for (_, name, _) in cimf::fanout::Counter::ALL {
        // tm frees transactions at its own time.
        if name == "transactions" {
            continue;
        }
        let value = rig.counter(name).to_string();
        assert_eq!(answer.get(name), Some(&value), "{name} in {answer:?}");
    }
    assert_eq!(answer["forks_sent"], "2");
}

/// tm keeps each transaction for `wt_timer` after its end, here a second.
pub fn transactions_are_counted_until_tm_gives_back_their_memory(transport: Transport) {
    let rig = Setup::new(transport).number("TM_FR_TIMER", 4000).start();
    rig.core.answer("bob", Answer::Silence);
    rig.core.answer("15551230003", Answer::Code(408));
    let mut client = rig.client();
    let request = Request::b0(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_log("not answered in time (408)");
    let wait_for = |count| {
        let reached = until(|| (rig.counter("transactions") == count).then_some(()));
        reached.unwrap_or_else(|| panic!("{} transactions", rig.counter("transactions")));
    };
    wait_for(1);
    assert_eq!(rig.counter("forks_failed"), 1, "bob's is still waiting");
    wait_for(0);
    assert_eq!(rig.counter("forks_failed"), 2);
}

/// A copy that tm refuses is counted at once. The proxy listens on no address of IPv6.
pub fn a_fork_that_tm_cannot_send_is_counted_at_once(transport: Transport) {
    let rig = Setup::new(transport)
        .without("CORE_ROUTE")
        .number("DIRECT", 1)
        .group("sip:lost@im.home1.net", &[ANN, "sip:bob@[::1]"])
        .start();
    let mut client = rig.client();
    let request = Request::b0(&client).group("sip:lost@im.home1.net");
    let before = Before::of(&rig);
    client.send(&request.bytes());
    crate::checks::is_202(&client.receive(), &request);
    rig.wait_for_counter("forks_refused", 1);
    nothing_was_sent(&rig, &mut client, &before);
    rig.wait_for_counter("forks_failed", 1);
    rig.wait_for_log("could not be sent (503)");
    assert_eq!(rig.counter("transactions"), 0);
}

/// A-6, T 21: a conference factory of our domain is for INVITE, which is not ours, and has no messages.
pub fn t21_a_factory_for_conferences_takes_no_messages(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let factory = "sip:conference-factory@im.home1.net";
    let request = Request::another(&client).group(factory);
    let response = refused(&rig, &mut client, &request, 404);
    assert_eq!(response.reason(), "Not Found");
    let mut invite = Request::another(&client)
        .group(factory)
        .set("CSeq", "41 INVITE");
    invite.start = format!("INVITE {factory} SIP/2.0");
    crate::checks::not_ours(&rig, &mut client, &invite, 404, "Not Routed Here");
}
