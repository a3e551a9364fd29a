//! The outcome of one message, before it is printed.

use super::capture::Capture;
use super::options::Options;
use cimf::control::{
    Accepted, Answer, Check, Decision, Ended, Identifiers, NotOurs, Note, Policy, Record, Refusal,
    Source, Transport,
};
use cimf::server::{Decider, RandomPool};
use cimf::sip::lines::unfolded;
use std::net::Ipv4Addr;
use std::time::SystemTime;

/// One message, and what the proxy would do with it.
pub struct Explanation<'e> {
    pub capture: &'e Capture,
    pub source: Source<'e>,
    /// Whether the source was assumed, because the command line did not name one.
    pub source_is_assumed: bool,
    pub source_is_trusted: bool,
    /// All checks in the order in which they were made, then those that were not.
    pub checks: Vec<(Check, Verdict, Vec<Note>)>,
    pub outcome: Outcome,
    /// The messages that would be sent, complete except for Via, as many as were asked for.
    pub forks: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Failed,
    NotMade,
}

pub enum Outcome {
    NotOurs(NotOurs),
    Refused(Box<Refusal>, Answer),
    Accepted(Box<Accepted<'static>>, Answer),
    /// Answered 202, and sent to nobody.
    Ended(Ended, Answer),
    /// Needs an earlier message, so it cannot occur here.
    Repeated(Answer),
}

impl<'e> Explanation<'e> {
    /// Runs the checks as a worker of the proxy does.
    pub fn of(decider: &Decider, capture: &'e Capture, options: &'e Options) -> Self {
        let source = Source {
            identity: options.identity.as_deref().map(str::as_bytes),
            ..match options.from {
                Some(peer) => Source {
                    address: peer.address,
                    transport: peer.transport,
                    identity: None,
                },
                None => assumed_source(decider.policy()),
            }
        };
        let now = options.at.unwrap_or_else(SystemTime::now);
        let mut record = Record::default();
        let outcome = outcome(decider, &capture.bytes, &source, now, &mut record);
        let has_failed = matches!(outcome, Outcome::NotOurs(_) | Outcome::Refused(..));
        let forks = match &outcome {
            Outcome::Accepted(accepted, _) => forks(accepted, options.forks),
            _ => Vec::new(),
        };
        Self {
            capture,
            source,
            source_is_assumed: options.from.is_none(),
            source_is_trusted: decider.policy().trusts(&source),
            checks: with_verdicts(record, has_failed),
            outcome,
            forks,
        }
    }
}

/// One of `trusted_peers`, where messages usually come from; this machine if there are none.
fn assumed_source(policy: &Policy) -> Source<'static> {
    let peer = policy.settings.trusted_peers.first();
    let this_machine = || (Ipv4Addr::LOCALHOST.into(), Transport::Udp);
    let (address, transport) = peer.map_or_else(this_machine, |peer| peer.example());
    Source {
        address,
        transport,
        identity: None,
    }
}

fn outcome(
    decider: &Decider,
    bytes: &[u8],
    source: &Source<'_>,
    now: SystemTime,
    record: &mut Record,
) -> Outcome {
    let bytes = unfolded(bytes);
    let mut worker = decider.worker();
    let message = match worker.recognise_observed(decider, &bytes, source, now, record) {
        Ok(message) => message,
        Err(reason) => return Outcome::NotOurs(reason),
    };
    let decision = worker.decide_observed(decider, &message, source, now, record);
    let answer = decider.answer(&message, &decision, source);
    match decision {
        Decision::Refused(refusal) => Outcome::Refused(Box::new(refusal), answer),
        Decision::Accepted(accepted) => Outcome::Accepted(Box::new(accepted.into_owned()), answer),
        Decision::Ended(ended) => Outcome::Ended(ended, answer),
        Decision::Retransmission | Decision::Undecided(_) => Outcome::Repeated(answer),
    }
}

/// A failure belongs to the check that started last.
fn with_verdicts(record: Record, has_failed: bool) -> Vec<(Check, Verdict, Vec<Note>)> {
    let count = record.checks.len();
    let made: Vec<_> = record.checks.iter().map(|(check, _)| *check).collect();
    let seen = record.checks.into_iter().enumerate();
    let seen = seen.map(
        |(index, (check, notes))| match has_failed && index + 1 == count {
            true => (check, Verdict::Failed, notes),
            false => (check, Verdict::Passed, notes),
        },
    );
    let others = Check::ALL.iter().filter(|check| !made.contains(check));
    let others = others.map(|&check| (check, Verdict::NotMade, Vec::new()));
    seen.chain(others).collect()
}

fn forks(accepted: &Accepted<'_>, most: usize) -> Vec<Vec<u8>> {
    let copies = accepted.copies(RandomPool::new().random());
    let recipients = (0..).zip(accepted.owns().take(most));
    let forks = recipients.map(|(number, own)| {
        let mut text = [b"MESSAGE ", own.address, b" SIP/2.0\r\n"].concat();
        let fork = copies.copy(number, own);
        fork.write_headers(&mut text);
        text.extend_from_slice(b"\r\n");
        text.extend_from_slice(&fork.body());
        text
    });
    forks.collect()
}
