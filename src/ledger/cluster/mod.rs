//! The ledger that several nodes share, in PostgreSQL: what one of them has promised another one sends if the first is lost.
//!
//! ```text
//!   accepted ──► promised, with the key of its request ──► finished: deleted
//!                  │  (the key is there already: another node has answered it)
//!                  │
//!                  └── the lease of its node has run out ──► taken over by another node
//! ```
//!
//! Each start of a node is a *run* with a lease in PostgreSQL's time. It changes only messages of its own run.
//!
//! All functions wait for PostgreSQL, for a bounded time: they are for the process that writes the ledger, and for
//! administrators.

mod batch;
mod cluster_error;
mod cluster_writer;
mod kept_mirror;
mod leases;
mod link;
mod listing;
mod node_rows;
mod recipient_lists;
mod rows;
mod tables;
mod worker;

pub use cluster_error::ClusterError;
pub use cluster_writer::{ClusterLedger, ClusterPlace, Run};
pub use kept_mirror::KeptMirror;
pub use leases::{Renewal, TakenOver, Whose};
pub use listing::{drop_message, list, nodes, show};
pub use node_rows::NodeState;
pub use tables::{VERSION, init};
