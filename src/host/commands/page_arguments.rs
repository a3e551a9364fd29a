//! Which part of a list a command is to give.

#![forbid(unsafe_code)]

use super::answer::Fault;
use super::arguments::Arguments;
use crate::sip::text::Printable;
use crate::store::edit::Page;

/// How many entries are given where no number is.
const USUAL: u32 = 100;

/// The most entries of an answer: a proxy builds all of it in memory.
pub const MOST: u32 = 1000;

/// The page that the parameters from number `at` on ask for: how many, and behind which address.
pub fn page(given: &Arguments, at: usize) -> Result<Page<'_>, Fault> {
    let count = match given.optional(at) {
        None => USUAL,
        Some(text) => {
            let count = text.parse().ok();
            count
                .filter(|count| (1..=MOST).contains(count))
                .ok_or_else(|| {
                    let found = Printable(text.as_bytes());
                    Fault::given(format!("COUNT: expected 1 to {MOST}, found \"{found}\""))
                })?
        }
    };
    Ok(Page {
        after: given.optional(at + 1).unwrap_or_default(),
        count,
    })
}
