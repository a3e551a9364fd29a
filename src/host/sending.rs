//! Copies on their way to the proxy's tm: each that the queue gives, in whichever process.

#![forbid(unsafe_code)]

use super::notification::{self, Told};
use super::proxy::Sender;
use crate::control::Fork;
use crate::fanout::{Attempt, Counter, NotSent};
use crate::server::Server;
use std::borrow::Cow;
use std::cell::Cell;

thread_local! {
    /// Whether this process is sending: what ends while it does is noticed by the loop that sends.
    static PUMPING: Cell<bool> = const { Cell::new(false) };
}

/// Sends what may be sent now, of whichever message. To be called when something was started, has
/// ended, or was given back; it never calls itself, though the proxy may end a fork while it takes it.
pub fn pump(server: &Server, sender: &mut impl Sender) {
    let engine = server.outbox().engine();
    if let Some(pumping) = Pumping::begin() {
        let first = engine.next(|| engine.now());
        pumping.send_all(server, sender, first);
    }
}

/// This process while it sends.
struct Pumping;

impl Pumping {
    /// Nothing while it does already.
    fn begin() -> Option<Self> {
        (!PUMPING.replace(true)).then_some(Self)
    }

    /// Sends the first fork, and then what may be sent.
    fn send_all(self, server: &Server, sender: &mut impl Sender, first: Option<Attempt<'_>>) {
        let engine = server.outbox().engine();
        let now = || engine.now();
        let mut next = first;
        while let Some(attempt) = next {
            if let Some(sent) = send(server, sender, attempt) {
                server.decider().counters().add(match sent {
                    Ok(()) => Counter::ForksSent,
                    Err(_) => Counter::ForksRefused,
                });
            }
            next = engine.next(now);
        }
    }
}

/// Sends a fork to its next hop; nothing if that is a name which has to be resolved first. The proxy is
/// never given a name: it would wait for the name server, and all its other messages with it.
fn send(
    server: &Server,
    sender: &mut impl Sender,
    attempt: Attempt<'_>,
) -> Option<Result<(), NotSent>> {
    let engine = server.outbox().engine();
    let now = || engine.now();
    let Some(hop) = server.next_hops().hop(&attempt.fork()) else {
        attempt.not_sent(NotSent::Failed, now());
        return Some(Err(NotSent::Failed));
    };
    let (attempt, next_hop) = match hop.name() {
        None => (attempt, Cow::Borrowed(hop.uri())),
        Some(name) => {
            let (attempt, address) = attempt.by_name(name.as_bytes(), now())?;
            (attempt, Cow::Owned(hop.uri_at(address)))
        }
    };
    let told = notification::is_asked().then(|| {
        let [originator, group] = attempt.parties().map(<[u8]>::to_vec);
        Told {
            message: attempt.message(),
            code: None,
            recipient: Some(attempt.fork().recipient.to_vec()),
            group,
            originator,
        }
    });
    let send = |fork: &Fork<'_>, cookie| {
        notification::in_hand(told, || sender.send(fork, &next_hop, cookie))
    };
    Some(attempt.hand_over(send, now))
}

impl Drop for Pumping {
    /// Even a panic ends the sending.
    fn drop(&mut self) {
        PUMPING.set(false);
    }
}

/// The fork with this cookie has its final response, or 408 for none in time; what that lets go is
/// sent.
pub fn completed(server: &Server, sender: &mut impl Sender, cookie: u64, code: u16) {
    let engine = server.outbox().engine();
    match Pumping::begin() {
        Some(pumping) => {
            let first = engine.completed_then_next(cookie, code, || engine.now());
            pumping.send_all(server, sender, first);
        }
        None => engine.completed(cookie, code),
    }
}

/// The proxy has given back the memory of a fork's transaction, some seconds after its end.
pub fn released(server: &Server, cookie: u64) {
    server.outbox().engine().released(cookie);
}
