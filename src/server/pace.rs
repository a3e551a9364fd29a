//! From the settings to the limits of the fan-out.

use crate::config::Settings;
use crate::fanout::Limits;

/// The limits that the settings describe.
pub fn limits(settings: &Settings) -> Limits {
    Limits {
        queue_memory: settings.queue_memory,
        queue_messages: settings.queue_messages,
        forks_in_flight: settings.forks_in_flight,
        patience: settings.patience,
        target_order: settings.target_order,
        target_queue: settings.target_queue,
        queue_lifetime: settings.queue_lifetime,
        quota_originator: settings.quota_originator,
        quota_group: settings.quota_group,
        rate: settings.rate,
    }
}
