//! The first message over a TCP connection that has to be made: its copies wait together in the proxy until the
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
    for (folder, uses_tcp, room, count) in [
        (
            "kamailio-config",
            "tcp_async=yes",
            "tcp_conn_wq_max=4194304",
            4,
        ),
        (
            "opensips-config",
            "loadmodule \"proto_tcp.so\"",
            "modparam(\"proto_tcp\", \"tcp_async_max_postponed_chunks\", 2000)",
            3,
        ),
    ] {
        let path = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
        let mut samples = 0;
        for file in std::fs::read_dir(&path).expect("the samples") {
            let path = file.expect("a sample").path();
            if path.is_dir() {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a sample");
            if text.lines().any(|line| line == uses_tcp) {
                samples += 1;
                let has_room = text.lines().any(|line| line == room);
                assert!(has_room, "{}", path.display());
            }
        }
        assert!(samples >= count, "{samples} samples with {uses_tcp}");
    }
}
