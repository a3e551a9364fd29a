//! How wide a message may be spread: Max-Breadth, RFC 5393 §5.3.3, U-6.

use super::accepted::Accepted;
use crate::config::Settings;
use crate::sip::number::write_decimal;

/// Breadth of a message that says nothing of it (RFC 5393 §5.3.3).
const USUAL_BREADTH: u32 = 60;

/// What the copies of a message have of its breadth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    /// What each of them has.
    of_each: u32,
    /// How many of them have no more than all of it: one that is silent keeps its share.
    most_at_once: u32,
}

/// How many copies of a message may wait for their final responses at once, and the breadth that each of them has: the
/// copies that may wait together never have more than the message.
fn share(settings: &Settings, received: Option<u32>, recipients: usize) -> (u32, Option<Share>) {
    let breadth = match settings.max_breadth {
        0 => received,
        most => Some(received.unwrap_or(USUAL_BREADTH).min(most)),
    };
    let window = settings.concurrency;
    let window = window.min(breadth.unwrap_or(u32::MAX)).max(1);
    let share = window.min(u32::try_from(recipients).unwrap_or(u32::MAX));
    let share = breadth.map(|breadth| {
        let of_each = (breadth / share.max(1)).max(1);
        Share {
            of_each,
            most_at_once: breadth / of_each,
        }
    });
    (window, share)
}

/// Puts Max-Breadth behind the first of the header fields that all copies share, once it is known how many copies there
/// are. That first one is Max-Forwards, which proxies look for in each copy.
pub(super) fn spread(settings: &Settings, received: Option<u32>, accepted: &mut Accepted<'_>) {
    let (window, share) = share(settings, received, accepted.count());
    accepted.window = window;
    accepted.most_at_once = share.map(|share| share.most_at_once);
    if let Some(share) = share {
        let headers = &mut accepted.headers;
        let first = memchr::memchr(b'\n', headers).map_or(0, |end| end + 1);
        let end = headers.len();
        headers.extend_from_slice(b"Max-Breadth: ");
        write_decimal(share.of_each as usize, headers);
        headers.extend_from_slice(b"\r\n");
        let length = headers.len() - end;
        headers[first..].rotate_right(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breadth_is_shared_among_the_copies_that_wait_at_once() {
        // U-6, T 90.
        for (concurrency, max_breadth, received, recipients, expected) in [
            (60, 60, None, 2, (60, Some((30, 2)))),
            (60, 60, None, 1, (60, Some((60, 1)))),
            (60, 60, Some(500), 100, (60, Some((1, 60)))),
            (60, 60, Some(1), 2, (1, Some((1, 1)))),
            (60, 60, Some(7), 100, (7, Some((1, 7)))),
            (4, 60, None, 100, (4, Some((15, 4)))),
            (40, 60, None, 100, (40, Some((1, 60)))),
            (60, 0, None, 100, (60, None)),
            (60, 0, Some(120), 60, (60, Some((2, 60)))),
            (60, 0, Some(u32::MAX), 1, (60, Some((u32::MAX, 1)))),
        ] {
            let settings = Settings {
                concurrency,
                max_breadth,
                ..Settings::new()
            };
            let (window, share) = share(&settings, received, recipients);
            let found = (
                window,
                share.map(|share| (share.of_each, share.most_at_once)),
            );
            assert_eq!(
                found, expected,
                "{concurrency} {max_breadth} {received:?} {recipients}"
            );
        }
    }
}
