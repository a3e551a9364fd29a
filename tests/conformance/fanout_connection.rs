//! The first message over a TCP connection that has to be made: its copies wait together in Kamailio until the
//! connection stands.

use crate::checks::sent;
use crate::fanout_breadth::{group, with_group};
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::rig::Setup;

/// Issue 4: a 202 is a promise for the first message as well.
pub fn no_copy_is_lost_while_the_connection_is_made(transport: Transport) {
    let rig = with_group(Setup::new(transport), 300).start();
    let mut client = rig.client();
    let text = "x".repeat(600);
    let mut request = Request::another(&client)
        .group(&group(300))
        .set("Content-Length", &text.len().to_string());
    request.body = text.into_bytes();
    sent(&rig, &mut client, &request, 300);
    rig.wait_for_counter("forks_delivered", 300);
}

/// The other samples have the same room for what waits.
pub fn every_sample_has_room_for_what_waits_for_a_connection(_: Transport) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/kamailio-config");
    let mut samples = 0;
    for file in std::fs::read_dir(folder).expect("the samples") {
        let path = file.expect("a sample").path();
        let text = std::fs::read_to_string(&path).expect("a sample");
        if text.lines().any(|line| line == "tcp_async=yes") {
            samples += 1;
            assert!(
                text.lines().any(|line| line == "tcp_conn_wq_max=4194304"),
                "{}",
                path.display()
            );
        }
    }
    assert!(samples >= 4, "{samples} samples with tcp_async");
}
