//! What all workers of a proxy know together, in memory that they share.
//!
//! Unsafe code is in `shared_memory`, which makes structures of atomic words of the memory, and in `block` for the bytes
//! of messages; everything else sees these structures (`layout`).

mod arena;
mod attempt;
mod away;
mod block;
mod budget;
mod catch_up;
mod clock;
mod closing;
mod commit;
mod commit_slots;
pub mod counters;
mod deferred;
mod engine;
mod fair_share;
mod group_order;
mod groups;
mod handover;
mod kept;
mod keys;
mod layout;
mod lists;
mod lock;
mod member_queue;
mod names;
mod naming;
mod originators;
mod outcomes;
mod overview;
mod patience;
mod pin;
mod pinned;
mod pipe;
mod previous_run;
mod process;
mod proxy_memory;
pub mod recent_requests;
mod recipient;
mod recovery;
mod responses;
mod restore;
mod scheduler;
pub mod shared_memory;
mod silent_targets;
mod slow_start;
mod submission;
mod targets;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_names;
#[cfg(test)]
mod tests_of_patience;
#[cfg(test)]
mod tests_of_proxy_memory;
#[cfg(test)]
mod tests_of_shares;
mod transactions;
mod under_way;
mod waker;

pub use attempt::Attempt;
pub use away::{Away, KeptFigures};
pub use clock::milliseconds;
pub use commit::{Committed, Committer, GivenUp, NotCommitted, Notes, Taken};
pub use commit_slots::SLOTS;
pub use counters::{Counter, Counters};
pub use engine::{Engine, NoRoom, Ticket};
pub use kept::InQueue;
pub use lock::Blocked;
pub use names::{LONGEST_NAME, Question};
pub use naming::NotResolved;
pub use outcomes::{EndedCopy, Event, Finished, Tally};
pub use overview::{Fanout, Load};
pub use patience::{Bound, HeldUp};
pub use pipe::Pipe;
pub use previous_run::{PreviousRequest, PreviousRequests};
pub use proxy_memory::{FreeMemory, ProxyMemory};
pub use recent_requests::RecentTable;
pub use recipient::{Outcome, SkipReason};
pub use restore::{NotRestored, Origin};
pub use submission::Submission;
pub use transactions::NotSent;
pub use under_way::UnderWay;
