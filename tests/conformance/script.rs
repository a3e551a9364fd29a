//! What scripts do around `cimf_handle()`.

use crate::checks::accepted;
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::rig::{BOB, Setup, TEL};

/// A script of the test's own, from the end of the head of `request_route` on.
pub fn setup(transport: Transport, script: &str) -> Setup {
    let head = r#"#!KAMAILIO
debug=2
children=1
tcp_children=1
listen=@LISTEN_UDP@
listen=@LISTEN_TCP@
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "ctl.so"
loadmodule "counters.so"
loadmodule "kex.so"
loadmodule "xlog.so"
modparam("ctl", "binrpc", @CTL_SOCKET@)
loadmodule @CIMF_MODULE@
modparam("cimf", "db_url", @DB_URL@)
modparam("cimf", "domains", @DOMAINS@)
modparam("cimf", "trusted_peers", @TRUSTED_PEERS@)
modparam("cimf", "server_name", @SERVER_NAME@)
modparam("cimf", "core_route", @CORE_ROUTE@)
modparam("cimf", "identity_mode", @IDENTITY_MODE@)
modparam("tm", "wt_timer", @TM_WT_TIMER@)
request_route {
    if ($rm == "OPTIONS") { sl_send_reply("200", "OK"); exit; }
"#;
    Setup::new(transport)
        .text("IDENTITY_MODE", "pai")
        .configuration(&format!("{head}{script}"))
}

/// `t_newtran()` before `cimf_handle()` is no error.
pub fn a_transaction_that_the_script_has_made_is_used(transport: Transport) {
    let rig = setup(transport, "t_newtran(); cimf_handle(); }").start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}

/// In `event_route[tm:local-request]` the message is one of our own forks.
pub fn elsewhere_than_in_request_route_a_message_is_not_ours(transport: Transport) {
    let script = "cimf_handle(); } event_route[tm:local-request] { cimf_handle(); }";
    let rig = setup(transport, script).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_log("works in request_route only");
}
