//! A site whose script is in Lua: the functions are called by name, and `$cimf()` is read by text.

use crate::checks::{accepted, not_ours, refused};
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::proxy::proxy;
use crate::support::rig::{BOB, Setup, TEL};
use std::path::Path;

/// What docs/kamailio.md shows, and what is asked while a copy is sent.
const SCRIPT: &str = r#"
local function value(name)
    return tostring(KSR.pv.get("$cimf(" .. name .. ")"))
end

function ksr_request_route()
    if KSR.pv.get("$rm") == "OPTIONS" then
        KSR.sl.send_reply(200, "OK")
        return 1
    end
    local result = KSR.x.modf("cimf_handle", "sip:" .. KSR.pv.get("$fU") .. "@home1.net")
    KSR.notice("handled: " .. result .. "|" .. value("code") .. "|" .. value("group") .. "|" .. value("requirement") .. ".\n")
    if result == -1 then
        KSR.sl.send_reply(404, "Not Routed Here")
    elseif result == -2 then
        KSR.sl.send_reply(500, "Server Internal Error")
    end
    return 1
end

function ksr_tm_event(name)
    KSR.notice("sent: " .. value("group") .. "|" .. value("originator") .. ".\n")
    return 1
end
"#;

/// Whether the proxy is one with Lua; says so where it is not.
fn is_there() -> bool {
    let module = "/usr/lib/x86_64-linux-gnu/kamailio/modules/app_lua.so";
    let debian = std::env::var_os("CIMF_KAMAILIO").is_none() && proxy().name() == "Kamailio";
    let found = debian && Path::new(module).exists();
    if !found {
        println!("LEFT OUT: no Debian's Kamailio with kamailio-lua-modules");
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!debian || !is_ci, "with CI=true nothing is left out");
    }
    found
}

/// The first copy, too, knows its group.
pub fn a_lua_script_calls_cimf_and_reads_what_it_says(transport: Transport) {
    if !is_there() {
        return;
    }
    let setup = Setup::new(transport).text("IDENTITY_MODE", "digest");
    let script = setup.folder().join("cimf.lua");
    std::fs::write(&script, SCRIPT).expect("writing the script");
    let lua = format!(
        "loadmodule \"app_lua.so\"\nmodparam(\"app_lua\", \"load\", \"{}\")\n\
         modparam(\"tm\", \"event_callback\", \"ksr_tm_event\")\ncfgengine \"lua\"\n",
        script.display()
    );
    let head = proxy().head();
    let native = head.find("request_route").expect("its route");
    let rig = setup
        .configuration(&format!("{}{lua}", &head[..native]))
        .start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_log("handled: 1|202|sip:hikers@im.home1.net|nil.");
    // A retransmission has been answered, and the script goes on all the same.
    client.send(&request.bytes());
    assert_eq!(client.receive().status(), 202);
    rig.wait_for_log("handled: 0|nil|nil|nil.");
    let request = Request::another(&client).sender("sip:dora@home1.net");
    refused(&rig, &mut client, &request, 403);
    rig.wait_for_log("handled: 2|403|sip:hikers@im.home1.net|A-7.");
    let request = Request::another(&client).without("Accept-Contact");
    not_ours(&rig, &mut client, &request, 404, "Not Routed Here");
    rig.wait_for_log("handled: -1|nil|nil|nil.");
    let log = rig.log();
    let told = log.lines().filter(|line| line.contains("sent: ")).count();
    let named = "sent: sip:hikers@im.home1.net|sip:ann@home1.net.";
    assert_eq!((told, log.matches(named).count()), (2, 2), "{log}");
}
