//! The message that tests of the queue and the ledger send; each says only in what its own differs.
//!
//! The unit tests of the library include this file as well.

use cimf::control::FromHeader;
use cimf::fanout::Submission;

/// When it was accepted, in milliseconds of Unix time.
pub const NOW: u64 = 1_800_000_000_000;

/// From ann to hikers, with no bound but its window.
pub fn submission() -> Submission<'static> {
    Submission {
        originator: b"sip:ann@home1.net",
        group: b"sip:hikers@im.home1.net",
        from: FromHeader::of(b"<sip:ann@home1.net>"),
        headers: b"Max-Forwards: 69\r\n",
        charging: b"",
        body: b"hi",
        entry_at: 0,
        needs_stream: false,
        window: 60,
        most_at_once: None,
        accepted_at: NOW,
        expires_at: 0,
        seed: [9; 16],
        anonymous: false,
        request: b"",
    }
}
