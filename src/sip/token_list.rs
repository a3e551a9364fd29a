//! Comma-separated tokens, such as Require (RFC 3261 §20.32).

use super::Malformed;
use super::text::{Nesting, is_token, split};

/// The tokens of one row of the header field `part`; an empty row has none.
pub fn tokens<'a>(
    part: &'static str,
    value: &'a [u8],
) -> impl Iterator<Item = Result<&'a [u8], Malformed>> {
    split(part, value, b',', Nesting::Quotes).map(move |element| {
        let element = element?;
        if is_token(element) {
            Ok(element)
        } else {
            Err(Malformed::at(part, element, 0, "an option tag"))
        }
    })
}
