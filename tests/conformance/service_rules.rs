//! Who may use a service, for whom, and what an entry of its list can and cannot say, S-3, S-4,
//! U-8, U-12, K-3 to K-6, N-9, R-1.

use crate::checks::{accepted, refused, warning};
use crate::lists::{
    HEAD, SERVICE, TAIL, TEXT, entries, list, message, rig, rig_for_large, sent, start,
};
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::rig::{ANN, Setup};
use crate::support::sip::find;

const BOB: &str = "sip:bob@home1.net";
const CHO: &str = "sip:cho@home2.net";
const EVE: &str = "sip:eve@home2.net";

/// a service has a flag of its own, and the answer is the server's.
pub fn a_service_that_takes_no_messages_refuses_them(transport: Transport) {
    let rig = rig(transport);
    let off = "sip:off@im.home1.net";
    rig.cimfctl(&["service", "add", off, "--no-pager-mode"]);
    let mut client = rig.client();
    let parts = [TEXT, &list(&entries(&[BOB]))];
    let request = message(&client, &parts).group(off);
    let response = refused(&rig, &mut client, &request, 403);
    assert_eq!(warning(&response), "Pager mode not supported");
    let request = message(&client, &parts);
    sent(&rig, &mut client, &request, &[BOB]);
}

/// besides local subscribers those whom `service_acl` names, by address or by domain.
pub fn service_acl_lets_others_use_a_service(transport: Transport) {
    let acl = "sip:eve@home2.net, home3.net";
    let rig = start(Setup::new(transport).text("SERVICE_ACL", acl));
    let mut client = rig.client();
    let list = list(&entries(&[BOB]));
    for (sender, may) in [
        (EVE, true),
        ("sip:fay@home2.net", false),
        ("sip:gus@home3.net", true),
        ("sip:gus@x.home3.net", false),
        (ANN, true),
    ] {
        let request = message(&client, &[TEXT, &list]).sender(sender);
        if may {
            sent(&rig, &mut client, &request, &[BOB]);
        } else {
            let response = refused(&rig, &mut client, &request, 403);
            assert_eq!(warning(&response), "Originator not authorised");
        }
    }
}

/// S-3, S-4, U-12: other domains get nothing, or only what they have agreed to.
pub fn foreign_recipients_may_be_denied_or_have_to_consent(transport: Transport) {
    let denying = start(Setup::new(transport).text("FOREIGN_RECIPIENTS", "deny"));
    let mut client = denying.client();
    let both = list(&entries(&[BOB, CHO]));
    let request = message(&client, &[TEXT, &both]);
    let response = refused(&denying, &mut client, &request, 403);
    assert_eq!(warning(&response), "A foreign recipient");
    let request = message(&client, &[TEXT, &list(&entries(&[BOB]))]);
    sent(&denying, &mut client, &request, &[BOB]);

    let asking = start(Setup::new(transport).text("FOREIGN_RECIPIENTS", "consent"));
    let mut client = asking.client();
    let request = message(&client, &[TEXT, &list(&entries(&[EVE, BOB, CHO]))]);
    let response = refused(&asking, &mut client, &request, 470);
    let missing = format!("<{EVE}>, <{CHO}>");
    assert_eq!(response.one("Permission-Missing"), missing);
    asking.cimfctl(&["consent", "add", SERVICE, CHO]);
    let request = message(&client, &[TEXT, &both]);
    sent(&asking, &mut client, &request, &[BOB, CHO]);
}

/// S-4: to be a member of a stored group is to have consented.
pub fn members_of_a_group_have_consented(transport: Transport) {
    let rig = Setup::new(transport)
        .number("CONSENT", 1)
        .text("FOREIGN_RECIPIENTS", "deny")
        .group("sip:mixed@im.home1.net", &[ANN, BOB, CHO])
        .start();
    let mut client = rig.client();
    let request = Request::b0(&client).group("sip:mixed@im.home1.net");
    accepted(&rig, &mut client, &request, &[BOB, CHO]);
}

/// S-3, T 82: recipients are counted without duplicates, entries with them.
pub fn t82_a_hundred_recipients_are_served_and_one_more_is_not(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let uris: Vec<String> = (0..101).map(|n| format!("sip:m{n}@h")).collect();
    let mut uris: Vec<&str> = uris.iter().map(String::as_str).collect();
    let request = message(&client, &[TEXT, &list(&entries(&uris))]);
    let response = refused(&rig, &mut client, &request, 403);
    assert_eq!(warning(&response), "Too many recipients");
    // Until a stream to the core stands, Kamailio keeps no more than 32 KiB for it.
    let request = message(&client, &[TEXT, &list(&entries(&[BOB]))]);
    sent(&rig, &mut client, &request, &[BOB]);
    uris[100] = "SIP:m0@H";
    let request = message(&client, &[TEXT, &list(&entries(&uris))]);
    sent(&rig, &mut client, &request, &uris[..100]);
}

/// S-3: both limits are the administrator's.
pub fn the_limits_of_lists_are_settings(transport: Transport) {
    let setup = Setup::new(transport);
    let rig = start(setup.number("MAX_ENTRIES", 3).number("MAX_RECIPIENTS", 2));
    let mut client = rig.client();
    let mut code = |uris: &[&str], code: u16| {
        let request = message(&client, &[TEXT, &list(&entries(uris))]);
        match code {
            202 => drop(sent(&rig, &mut client, &request, &uris[..2])),
            code => drop(refused(&rig, &mut client, &request, code)),
        }
    };
    code(&[BOB, CHO, BOB], 202);
    code(&[BOB, CHO, EVE], 403);
    code(&[BOB, BOB, BOB, BOB], 403);
}

/// K-3, K-4, K-6: among duplicates the most visible copy control and the wish to stay unnamed both count; the
/// sender's counts and names are their own.
pub fn a_duplicate_that_is_to_be_anonymous_makes_them_all_so(transport: Transport) {
    let rig = rig_for_large(transport);
    let mut client = rig.client();
    let list = list(concat!(
        "<entry uri=\"sip:a@home1.net\" cp:copyControl=\"to\" cp:anonymize=\"true\" cp:count=\"9\"/>",
        "<entry uri=\"sip:a@home1.net\" cp:copyControl=\"to\"/>",
        "<entry uri=\"sip:b@home1.net\" cp:copyControl=\"bcc\"/>",
        "<entry uri=\"sip:%62@HOME1.net\" cp:copyControl=\"cc\" cp:anonymize=\"true\"/>",
        "<entry uri=\"sip:c@home1.net?Subject=x\" cp:copyControl=\"cc\">",
        "<display-name>Secret Name</display-name></entry>",
        "<entry uri=\"sip:d&amp;e@home1.net\" cp:copyControl=\"to\"/>",
    ));
    let request = message(&client, &[TEXT, &list]);
    let recipients = [
        "sip:a@home1.net",
        "sip:b@home1.net",
        "sip:c@home1.net",
        "sip:d&e@home1.net",
    ];
    let forks = sent(&rig, &mut client, &request, &recipients);
    let wanted = format!(
        "Content-Type: application/resource-lists+xml\r\n\
         Content-Disposition: recipient-list-history; handling=optional\r\n\r\n\
         {HEAD}<entry uri=\"sip:d&amp;e@home1.net\" cp:copyControl=\"to\"/>\r\n\
         <entry uri=\"sip:anonymous@anonymous.invalid\" cp:copyControl=\"to\" cp:count=\"1\"/>\r\n\
         <entry uri=\"sip:c@home1.net\" cp:copyControl=\"cc\"/>\r\n\
         <entry uri=\"sip:anonymous@anonymous.invalid\" cp:copyControl=\"cc\" cp:count=\"1\"/>\r\n{TAIL}"
    );
    for fork in forks {
        let body = String::from_utf8_lossy(&fork.message.body);
        assert!(body.contains(&wanted), "{}", fork.message);
        assert!(!body.contains("Secret"));
    }
}

/// U-8, M-7: an entry says who gets the message; its `method` and `body` say nothing, and all its other
/// parameters are their address.
pub fn method_and_body_of_an_entry_do_not_count(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let uris = [
        "sip:bob@home1.net;method=INVITE?body=other",
        "sip:cho@home2.net;x=y;lr;method=SUBSCRIBE",
    ];
    let request = message(&client, &[TEXT, &list(&entries(&uris))]);
    let recipients = [BOB, "sip:cho@home2.net;x=y;lr"];
    let forks = sent(&rig, &mut client, &request, &recipients);
    for fork in forks {
        assert_eq!(fork.message.method(), "MESSAGE");
        assert_eq!(fork.message.one("CSeq"), "1 MESSAGE");
        assert_eq!(fork.message.body, b"Draft is ready.");
        assert!(find(fork.message.to_string().as_bytes(), b"INVITE").is_none());
    }
}

/// as an RCS client writes it, the list before the message and the message in CPIM.
pub fn a_one_to_many_message_of_rcs_is_served(transport: Transport) {
    const ICSI: &str = "urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg";
    let tags = format!("+g.oma.sip-im,+g.3gpp.icsi-ref={ICSI}");
    let setup = Setup::new(transport).number("TRUSTED_NEXT_HOP", 1);
    let rig = start(setup.text("FEATURE_TAGS", &tags));
    let mut client = rig.client();
    let cpim = "From: <sip:ann@home1.net>\r\nTo: <sip:listsvc@im.home1.net>\r\n\r\n\
        Content-Type: text/plain\r\n\r\nhello";
    let text = format!("Content-Type: message/cpim\r\n\r\n{cpim}");
    let tel = entries(&[BOB, "tel:+1-555-123-0003"]);
    let list = list(&tel).replace("version=\"1.0\"", "version=\"1.08\"");
    let request = message(&client, &[&list, &text])
        .set("Accept-Contact", &format!("*;+g.3gpp.icsi-ref=\"{ICSI}\""))
        .with("P-Preferred-Service: urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg.group")
        .with("Conversation-ID: f81d4fae")
        .with("Contribution-ID: abcdef");
    let recipients = [BOB, "tel:+1-555-123-0003"];
    let forks = sent(&rig, &mut client, &request, &recipients);
    for fork in forks {
        let fork = &fork.message;
        assert_eq!(fork.one("Content-Type"), "message/cpim");
        // M-8: its own From and To stay as they are.
        assert_eq!(fork.body, cpim.as_bytes());
        let wanted = format!("*;+g.3gpp.icsi-ref=\"{ICSI}\";require;explicit");
        assert_eq!(fork.one("Accept-Contact"), wanted);
        assert_eq!(fork.one("Conversation-ID"), "f81d4fae");
        assert_eq!(fork.one("Contribution-ID"), "abcdef");
        // N-7, H-2.
        assert!(!fork.has("P-Preferred-Service") && !fork.has("Require"));
        // N-9: trust is a matter of the route, and both get the identity.
        assert_eq!(fork.one("P-Asserted-Identity"), "<sip:ann@home1.net>");
    }
}
