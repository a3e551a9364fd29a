//! How wide a message may be spread: Max-Breadth as it comes (U-6).

use crate::checks::{refused, sent};
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::rig::Setup;

/// U-6, T 90, first half; RFC 5393 §5.3.3.
pub fn t90_without_breadth_nothing_is_sent(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let zero = Request::another(&client).with("Max-Breadth: 0");
    let response = refused(&rig, &mut client, &zero, 440);
    assert_eq!(response.reason(), "Max-Breadth Exceeded");
    for value in ["many", "4294967296", "-1"] {
        let broken = Request::another(&client).with(&format!("Max-Breadth: {value}"));
        refused(&rig, &mut client, &broken, 400);
    }
    let twice = Request::another(&client)
        .with("Max-Breadth: 60")
        .with("Max-Breadth: 60");
    refused(&rig, &mut client, &twice, 400);
    let wide = Request::another(&client).with("Max-Breadth: 500");
    sent(&rig, &mut client, &wide, 2);
}
