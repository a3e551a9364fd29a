//! Which messages are ours: the feature tag in Accept-Contact.

use crate::checks::{accepted, not_ours};
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::rig::{BOB, Setup, TEL};

/// handed back, and the sample configuration says 403 for our own domain.
pub fn t08_without_the_feature_tag_a_message_is_not_ours(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client).without("Accept-Contact");
    not_ours(&rig, &mut client, &request, 403, "Feature Tag Missing");
}

/// F-1, F-3.
pub fn t09_the_compact_name_and_any_case_will_do(transport: Transport) {
    is_ours(transport, &["a: *;+G.OMA.SIP-IM"]);
}

/// F-1.
pub fn t10_the_tag_may_be_in_the_second_value_of_a_row(transport: Transport) {
    is_ours(
        transport,
        &["Accept-Contact: *;audio, *;+g.oma.sip-im;require"],
    );
}

/// F-1.
pub fn t11_the_tag_may_be_in_the_second_row(transport: Transport) {
    is_ours(
        transport,
        &["Accept-Contact: *;audio", "Accept-Contact: *;+g.oma.sip-im"],
    );
}

/// F-3.
pub fn t13_another_tag_with_the_same_beginning_does_not_count(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client).set("Accept-Contact", "*;+g.oma.sip-im.large-message");
    not_ours(&rig, &mut client, &request, 403, "Feature Tag Missing");
}

#[track_caller]
fn is_ours(transport: Transport, rows: &[&str]) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = rows.iter().fold(
        Request::b0(&client).without("Accept-Contact"),
        |request, row| request.with(row),
    );
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}
