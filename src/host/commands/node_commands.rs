//! Commands about this node and those that share its ledger.

#![forbid(unsafe_code)]

use super::answer::{Answer, Fault};
use super::arguments::Arguments;
use crate::server::Server;
use serde_json::json;

/// Has new messages refused from now on; gives what is still on its way here.
pub fn drain(server: &Server, _: &Arguments) -> Answer {
    Ok(set_draining(server, true))
}

/// Has new messages accepted again.
pub fn undrain(server: &Server, _: &Arguments) -> Answer {
    Ok(set_draining(server, false))
}

fn set_draining(server: &Server, drains: bool) -> serde_json::Value {
    let engine = server.outbox().engine();
    if engine.node().drain(drains) != drains {
        match drains {
            true => log::warn!(
                "new messages are answered 503 from now on (cimf.drain); those accepted before are sent"
            ),
            false => log::warn!("new messages are accepted again (cimf.undrain)"),
        }
        engine.wake_committer();
    }
    let load = engine.load();
    json!({ "messages": load.messages, "waiting": load.waiting })
}

/// The nodes that share the ledger, as they were some seconds ago.
pub fn nodes(server: &Server, _: &Arguments) -> Answer {
    let outbox = server.outbox();
    if outbox.cluster().is_none() {
        let text = "there are no other nodes: expected durability=cluster";
        return Err(Fault::failed(text));
    }
    let own = outbox.engine().node();
    let mut nodes = own
        .nodes()
        .ok_or_else(|| Fault::unavailable("the list of nodes is being written; try again"))?;
    // Of itself it knows at once.
    for node in nodes.iter_mut().filter(|node| node.run == own.run()) {
        node.drains = own.drains();
    }
    let all = nodes.iter().map(|node| {
        json!({
            "node": node.name,
            "run": node.run,
            "lease": node.lease.map_or(0, |lease| lease.as_secs()),
            "unfinished": node.unfinished,
            "drains": u64::from(node.drains),
        })
    });
    Ok(all.collect())
}
