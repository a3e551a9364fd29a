//! What one process of cimf's own does beside the workers, the same in every proxy: what is done by
//! the clock, and telling the administrator what became of each recipient.
//!
//! Slow work belongs here and not where a response arrives: in Kamailio that may be the process of
//! all timers.

#![forbid(unsafe_code)]

use crate::control::Fork;
use crate::sip::text::Printable;
use std::time::{Duration, Instant};

/// How long the process waits for news before it looks at the clock again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most lines about failed recipients in a second: a group of ten thousand that is out of reach
/// must not fill the disk.
const LINES_A_SECOND: u32 = 20;

/// What a piece of news is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A recipient's fork was answered 2xx.
    Delivered,
    /// A recipient has not got the message, and will not.
    Undelivered,
    /// The last recipient of a message has ended.
    Finished,
}

/// What became of one recipient, or of a whole message.
#[derive(Clone, Copy)]
pub struct News<'a> {
    /// What it is about.
    pub kind: Kind,
    /// The number of the message.
    pub message: u64,
    /// The final code, if the recipient's fork was sent.
    pub code: Option<u16>,
    /// Why the recipient has not got the message, for the log.
    pub why: &'a str,
    /// The address of the group or service.
    pub group: &'a [u8],
    /// The originator's address.
    pub originator: &'a [u8],
    /// The recipient's fork as it was sent, or would have been.
    pub fork: Option<Fork<'a>>,
}

/// What the process works for.
pub trait Background: Sync {
    /// Waits until there is news, or for as long as `patience`.
    fn wait(&self, patience: Duration);

    /// Does what is done by the clock.
    fn tick(&self);

    /// Gives the next piece of news to `tell`; says whether there was one.
    fn next(&self, tell: &mut dyn FnMut(&News<'_>)) -> bool;
}

/// The state of the process between two rounds.
#[derive(Debug)]
pub struct Teller {
    second: Instant,
    lines: u32,
}

impl Default for Teller {
    fn default() -> Self {
        Self {
            second: Instant::now(),
            lines: 0,
        }
    }
}

impl Teller {
    /// One round: the clock, all news there are, and a rest.
    pub fn round(&mut self, background: &dyn Background, mut run: impl FnMut(&News<'_>)) {
        background.tick();
        while background.next(&mut |news| {
            self.log(news);
            run(news);
        }) {}
        background.wait(PATIENCE);
    }

    /// One line for each failed recipient, and for the others how many they are.
    fn log(&mut self, news: &News<'_>) {
        if news.kind != Kind::Undelivered {
            return;
        }
        if self.second.elapsed() >= Duration::from_secs(1) {
            let left_out = self.lines.saturating_sub(LINES_A_SECOND);
            if left_out > 0 {
                log::info!("{left_out} more recipients have not got their message");
            }
            *self = Self::default();
        }
        self.lines += 1;
        if self.lines <= LINES_A_SECOND {
            let recipient = news.fork.map_or(&b""[..], |fork| fork.recipient);
            let (message, why) = (news.message, news.why);
            let (recipient, group) = (Printable(recipient), Printable(news.group));
            log::info!("message {message}: <{recipient}> of <{group}> has not got it: {why}");
        }
    }
}

/// The fork as a whole request, for a proxy that wants to look at it: with a Via, as each request
/// has one.
pub fn request(fork: &Fork<'_>, server_name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024 + fork.body().len());
    let call_id = fork.call_id;
    let pieces: [&[u8]; 7] = [
        b"MESSAGE ",
        fork.recipient,
        b" SIP/2.0\r\nVia: SIP/2.0/UDP ",
        server_name.as_bytes(),
        b";branch=z9hG4bK-",
        call_id.as_bytes(),
        b"\r\n",
    ];
    for piece in pieces {
        bytes.extend_from_slice(piece);
    }
    fork.write_headers(&mut bytes);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(fork.body());
    bytes
}
