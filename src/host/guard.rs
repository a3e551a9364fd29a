//! No panic reaches a proxy: across the boundary to C it would end the whole proxy.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`, and logs a panic and gives `otherwise` instead.
pub fn guarded<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        log::error!(
            "internal error, please report it: {}",
            text.unwrap_or("a panic")
        );
        otherwise
    })
}
