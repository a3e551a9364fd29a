//! Members with a telephone number, sent to as SIP addresses (M-7).

use crate::checks::{accepted, refused};
use crate::lists::{TEXT, entries, list, message, start};
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::rig::{BOB, Setup};

const CONVERTED: &str = "sip:+15551230003@gw.home1.net;user=phone";

fn setup(transport: Transport) -> Setup {
    Setup::new(transport)
        .text("TEL_MODE", "convert")
        .text("TEL_DOMAIN", "gw.home1.net")
        .number("SAME_NUMBER", 0)
}

/// M-7, C-3, A-9, T 52.
pub fn t52_a_number_is_sent_to_as_a_sip_address(transport: Transport) {
    let rig = setup(transport)
        .group(
            "sip:phones@im.home1.net",
            &["tel:+1-555;POSTD=pp22", "tel:+1;b=1;isub=2;A=3", CONVERTED],
        )
        .start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, CONVERTED]);
    // The sender is the member with that number, under either address.
    for sender in ["tel:+15551230003", CONVERTED] {
        let request = Request::another(&client).sender(sender);
        accepted(&rig, &mut client, &request, &["sip:ann@home1.net", BOB]);
        let request = Request::another(&client).sender(sender);
        let request = request.group("sip:phones@im.home1.net");
        let rest = [
            "sip:+1-555;postd=pp22@gw.home1.net;user=phone",
            "sip:+1;isub=2;a=3;b=1@gw.home1.net;user=phone",
        ];
        accepted(&rig, &mut client, &request, &rest);
    }
    let stranger = Request::another(&client).sender("sip:+15551230003@gw.home1.net");
    refused(&rig, &mut client, &stranger, 403);
}

/// M-7, C-3: lists too, and each number once.
pub fn t52_a_list_names_a_number_once_under_two_addresses(transport: Transport) {
    let rig = start(setup(transport));
    let mut client = rig.client();
    let list = list(&entries(&["tel:+1-555-123-0003", CONVERTED, BOB]));
    let request = message(&client, &[TEXT, &list]);
    let recipients = [BOB, "sip:+1-555-123-0003@gw.home1.net;user=phone"];
    crate::lists::sent(&rig, &mut client, &request, &recipients);
}

/// M-7: a sips address is for a way out over TLS; without one its member gets nothing.
pub fn a_sips_member_is_skipped_without_tls(transport: Transport) {
    let rig = Setup::new(transport)
        .group(
            "sip:mixed@im.home1.net",
            &["sip:ann@home1.net", "sips:cho@home1.net", BOB],
        )
        .start();
    let mut client = rig.client();
    let request = Request::another(&client).group("sip:mixed@im.home1.net");
    accepted(&rig, &mut client, &request, &[BOB]);
    rig.wait_for_log("a sips address needs a core_route over TLS");
}
