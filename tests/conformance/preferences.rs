//! What senders prefer and require: caller preferences and option tags.

use crate::checks::{ACCEPT_CONTACT, refused, sent};
use crate::lists::{TEXT, entries, list, message, start};
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::rig::{BOB, Setup};

/// F-6: with `copy_prefs=1` preferences are copied, and the IM tag stands once.
pub fn preferences_are_copied_on_request(transport: Transport) {
    let rig = Setup::new(transport).number("COPY_PREFS", 1).start();
    let mut client = rig.client();
    let request = Request::another(&client)
        .with("Accept-Contact: *;audio;require, *;+g.oma.sip-im;explicit")
        .with("Reject-Contact: *;automata")
        .with("Request-Disposition: no-fork");
    let (_, forks) = sent(&rig, &mut client, &request, 2);
    for fork in forks {
        let message = &fork.message;
        let values = [ACCEPT_CONTACT, "*;audio;require"];
        assert_eq!(message.all("Accept-Contact"), values);
        assert_eq!(message.one("Reject-Contact"), "*;automata");
        assert_eq!(message.one("Request-Disposition"), "no-fork");
    }
}

/// U-3, T 63: with `strict_require=1` a client that does not require what it needs is told.
pub fn t63_the_option_tag_is_insisted_on_where_it_is_configured(transport: Transport) {
    let rig = start(Setup::new(transport).number("STRICT_REQUIRE", 1));
    let mut client = rig.client();
    let list = list(&entries(&[BOB]));
    let without = message(&client, &[TEXT, &list]).without("Require");
    let response = refused(&rig, &mut client, &without, 421);
    assert_eq!(response.reason(), "Extension Required");
    assert_eq!(response.one("Require"), "recipient-list-message");
    let with = message(&client, &[TEXT, &list]).set("Require", "Recipient-List-Message");
    sent(&rig, &mut client, &with, 1);
    // A message to a group has no list.
    let to_group = Request::another(&client);
    sent(&rig, &mut client, &to_group, 2);
}

/// A.1, U-3: with `hide_groups=1` a stranger gets the same answer from a service that needs the option
/// tag as from an address that is nobody's; who may use the service is told what it needs.
pub fn a_hidden_service_asks_strangers_for_no_option_tag(transport: Transport) {
    let setup = Setup::new(transport).number("STRICT_REQUIRE", 1);
    let rig = start(setup.number("HIDE_GROUPS", 1));
    let mut client = rig.client();
    let list = list(&entries(&[BOB]));
    let mine = message(&client, &[TEXT, &list]).without("Require");
    let response = refused(&rig, &mut client, &mine, 421);
    assert_eq!(response.one("Require"), "recipient-list-message");
    let stranger = message(&client, &[TEXT, &list]).sender("sip:eve@home3.net");
    let known = refused(&rig, &mut client, &stranger.without("Require"), 403);
    let stranger = message(&client, &[TEXT, &list]).sender("sip:eve@home3.net");
    let nobodys = stranger.group("sip:nobody@im.home1.net").without("Require");
    let unknown = refused(&rig, &mut client, &nobodys, 403);
    assert_eq!(known.one("Warning"), unknown.one("Warning"));
}
