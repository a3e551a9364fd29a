//! Hands copies from the queue to the proxy's tm, in any process.

#![forbid(unsafe_code)]

use super::event_values::{self, Notification};
use super::proxy::Sender;
use crate::control::Fork;
use crate::fanout::{Attempt, Counter, NotSent};
use crate::server::Server;
use std::borrow::Cow;
use std::cell::Cell;

/// Copies that are taken from the queue by one look at the clock, which counts milliseconds.
const BY_ONE_LOOK: usize = 16;

thread_local! {
    /// Whether this process is sending: if a copy ends meanwhile, the sending loop continues with the
    /// next.
    static PUMPING: Cell<bool> = const { Cell::new(false) };
}

/// Sends the copies of all messages that may be sent now. To be called when a message was started, a
/// copy has ended, or memory was released. It does not recurse, although the proxy may end a copy
/// within the call that sends it.
pub fn pump(server: &Server, sender: &mut impl Sender) {
    let engine = server.outbox().engine();
    if let Some(pumping) = Pumping::begin() {
        let first = engine.next(|| engine.now());
        pumping.send_all(server, sender, first);
    }
}

/// Marks this process as sending, until dropped.
struct Pumping;

impl Pumping {
    /// `None` if it is sending already.
    fn begin() -> Option<Self> {
        (!PUMPING.replace(true)).then_some(Self)
    }

    /// Sends `first`, and then all copies that may be sent.
    fn send_all(self, server: &Server, sender: &mut impl Sender, first: Option<Attempt<'_>>) {
        let engine = server.outbox().engine();
        let (mut next, mut now, mut count) = (first, 0, 0);
        while let Some(attempt) = next {
            if count % BY_ONE_LOOK == 0 {
                now = engine.now();
            }
            count += 1;
            if let Some(sent) = send(server, sender, attempt) {
                server.decider().counters().add(match sent {
                    Ok(()) => Counter::ForksSent,
                    Err(_) => Counter::ForksRefused,
                });
            }
            next = engine.next(|| now);
        }
    }
}

/// Sends a copy to its next hop, unless that is a name which must be resolved first. The proxy never
/// gets a name: it would block on the name server, with all its other messages.
fn send(
    server: &Server,
    sender: &mut impl Sender,
    attempt: Attempt<'_>,
) -> Option<Result<(), NotSent>> {
    let engine = server.outbox().engine();
    let now = || engine.now();
    let Some(hop) = server
        .next_hops()
        .hop(attempt.address(), attempt.needs_stream())
    else {
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
    let notification = event_values::is_asked().then(|| {
        let [originator, group] = attempt.parties().map(<[u8]>::to_vec);
        Notification {
            message: attempt.message(),
            code: None,
            recipient: Some(attempt.address().to_vec()),
            group,
            originator,
        }
    });
    let send = |fork: &Fork<'_>, cookie| {
        event_values::in_hand(notification, || sender.send(fork, &next_hop, cookie))
    };
    Some(attempt.hand_over(send, now))
}

impl Drop for Pumping {
    /// A panic ends the sending as well.
    fn drop(&mut self) {
        PUMPING.set(false);
    }
}

/// The copy with this cookie has its final response, or 408 after a timeout; sends the copies that may
/// follow.
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

/// The proxy has freed the memory of a copy's transaction, some seconds after its end.
pub fn released(server: &Server, cookie: u64) {
    server.outbox().engine().released(cookie);
}
