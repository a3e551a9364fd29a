//! The time, as the controlling function needs it.

use std::time::SystemTime;

/// Tells the time.
pub trait Clock {
    /// The time of day.
    fn now(&self) -> SystemTime;
}
