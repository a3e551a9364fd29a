//! Requests of the last 32 seconds, remembered by all workers together (H-3, RFC 3261 §8.2.2.2).

use std::time::Duration;

/// How long a request is remembered: 64·T1, in which a client retransmits (RFC 3261 §17.1.2.2).
pub const MEMORY: Duration = Duration::from_secs(32);

/// What makes two requests the same, and what makes them one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestKey<'m> {
    /// The tag of From.
    pub from_tag: &'m [u8],
    /// The Call-ID.
    pub call_id: &'m [u8],
    /// The number of CSeq.
    pub cseq: u32,
    /// The topmost Via, the same only in a retransmission.
    pub via: &'m [u8],
}

/// How a request relates to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was not here before.
    New(Receipt),
    /// It was here before and was not accepted. Only its server transaction knows its answer.
    Refused(Receipt),
    /// It is here already: some worker is deciding about it.
    InHand(Receipt),
    /// It was not here before, and there is no room to note it: only a server transaction will know it again.
    NoRoom(Receipt),
    /// It is a retransmission of a request that was accepted.
    Retransmission,
    /// It came before on another branch (RFC 3261 §8.2.2.2).
    Merged,
}

/// What a request asks for, by which one is known again that was accepted before a crash and comes on another branch
/// now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestContent<'m> {
    /// The originator's authenticated address.
    pub originator: &'m [u8],
    /// The Request-URI as it came.
    pub request_uri: &'m [u8],
    /// The body as it came.
    pub body: &'m [u8],
}

/// Where a request is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which part of the memory.
    pub place: u64,
    /// Which request there.
    pub fingerprint: u64,
    /// Which transaction it came in.
    pub transaction: u32,
}

/// How long a message is known that may come back: more than it takes through a few servers.
pub const LOOP_MEMORY: Duration = Duration::from_secs(30);

/// What makes two messages the same although every server on the way has sent a new request (H-5).
/// The Message-ID of a message/cpim is in the payload, which nobody changes (M-8).
#[derive(Clone, Copy, Debug)]
pub struct Circulating<'m> {
    /// The originator's first address.
    pub originator: &'m [u8],
    /// The group or service.
    pub target: &'m [u8],
    /// The body.
    pub payload: &'m [u8],
    /// Max-Forwards as it came.
    pub max_forwards: u8,
}

/// The memory of recent requests. It is bounded: nothing that it has noted is pushed out by others before its time, and
/// what finds no room is not noted. Its clock is monotonic: setting the system's clock does not make a retransmission
/// look new.
pub trait RecentRequests {
    /// Says whether a request was here before, and notes nothing: its originator is not known yet. One that was
    /// accepted before a crash, on another branch, counts as new: who sends it decides.
    fn arrive(&self, key: &RequestKey<'_>) -> Arrival;

    /// Notes a request whose originator may send. Says again whether it was here before: another worker
    /// may have noted it since it arrived. One that was accepted before a crash, on another branch, is a
    /// retransmission if it has the same content: so a client tries again that has given up on a dead server.
    ///
    /// Without a server transaction, which would know its retransmissions, it is in hand until it is accepted or
    /// refused.
    fn admit(
        &self,
        receipt: Receipt,
        content: &RequestContent<'_>,
        has_transaction: bool,
    ) -> Arrival;

    /// Notes that a request has been answered 202.
    fn accept(&self, receipt: Receipt);

    /// Notes that a request that was in hand is not accepted.
    fn refuse(&self, receipt: Receipt);

    /// Whether a message has come back: the same one was here in the last 30 seconds, with a higher
    /// Max-Forwards. Somebody who says the same twice starts anew with it. Notes the first one.
    fn has_come_back(&self, message: &Circulating<'_>) -> bool;
}
