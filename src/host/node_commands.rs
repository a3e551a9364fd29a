//! Commands about this node and those that share its ledger, the same in every proxy.

#![forbid(unsafe_code)]

use crate::fanout::NodeListed;
use crate::server::Server;

/// What `cimf.drain` says.
pub struct Drained {
    /// Messages that are still on their way here.
    pub messages: u64,
    /// Recipients of them without an outcome.
    pub waiting: u64,
}

impl Drained {
    /// Its numbers by their names.
    pub fn numbers(&self) -> [(&'static str, u64); 2] {
        [("messages", self.messages), ("waiting", self.waiting)]
    }
}

/// Has new messages refused from now on, or no longer.
pub fn drain(server: &Server, drains: bool) -> Drained {
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
    Drained {
        messages: load.messages,
        waiting: load.waiting,
    }
}

/// The nodes that share the ledger, as they were some seconds ago.
pub fn nodes(server: &Server) -> Result<Vec<NodeListed>, String> {
    let outbox = server.outbox();
    if outbox.cluster().is_none() {
        return Err("there are no other nodes: expected durability=cluster".to_owned());
    }
    let own = outbox.engine().node();
    let mut nodes = own
        .nodes()
        .ok_or_else(|| "the list of nodes is being written; try again".to_owned())?;
    // Of itself it knows at once.
    for node in nodes.iter_mut().filter(|node| node.run == own.run()) {
        node.drains = own.drains();
    }
    Ok(nodes)
}

/// The numbers of a node by their names.
pub fn numbers(node: &NodeListed) -> [(&'static str, u64); 4] {
    [
        ("run", node.run),
        ("lease", node.lease.map_or(0, |lease| lease.as_secs())),
        ("unfinished", node.unfinished),
        ("drains", node.drains.into()),
    ]
}
