//! What all workers of a proxy know together, in memory that they share.
//!
//! Unsafe code is in `shared_memory` alone; everything else sees atomic words.

pub mod counters;
pub mod journal;
pub mod recent_requests;
pub mod shared_memory;

pub use counters::{Counter, Counters};
pub use recent_requests::RecentTable;
