//! A decision: the answer to a message, and the forks.

use super::error::{Failure, Status, boundary};
use super::guarded;
use super::text::{Str, handle, put};
use crate::control::identifiers::BRANCH_LENGTH;
use crate::control::{self, Accepted, Answer, CopyIdentifiers, Fork, Identifiers, Token};
use crate::server::Decider;
use std::borrow::Cow;
use std::sync::OnceLock;

/// What is to be done with a message.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message is not for this server; nothing is to be answered.
    NotOurs = 0,
    /// The message is to be answered 202 and sent to the recipients.
    Accepted = 1,
    /// The message is to be refused with the status of the decision.
    Refused = 2,
    /// A retransmission of an accepted message: 202 again, and nothing is to be sent.
    Repeated = 3,
}

/// A decision about one message. All texts that it lends are valid until `cimf_decision_free`.
pub struct Decision {
    outcome: Outcome,
    answer: Option<Answer>,
    accepted: Option<Accepted<'static>>,
    identifiers: CopyIdentifiers,
    forks: Vec<ForkText>,
}

/// What is one fork's own.
struct ForkText {
    /// The recipient's number among the members of the group.
    member: u32,
    branch: Token<BRANCH_LENGTH>,
    /// Written when somebody asks for it: a large group's headers together are megabytes.
    headers: OnceLock<Vec<u8>>,
    /// Written likewise, where it is not the body that all share.
    body: OnceLock<Vec<u8>>,
}

impl Decision {
    /// The message is not for this server.
    pub fn not_ours() -> Self {
        Self {
            outcome: Outcome::NotOurs,
            answer: None,
            accepted: None,
            identifiers: CopyIdentifiers::BLANK,
            forks: Vec::new(),
        }
    }

    /// What `decider` has decided.
    pub fn made(
        decider: &Decider,
        answer: Answer,
        decision: control::Decision<'_>,
        identifiers: &mut impl Identifiers,
    ) -> Self {
        let (outcome, accepted) = match decision {
            control::Decision::Accepted(accepted) => {
                (Outcome::Accepted, Some(accepted.into_owned()))
            }
            control::Decision::Ended(ended) => {
                decider.ended(&ended);
                (Outcome::Accepted, None)
            }
            control::Decision::Refused(_) => (Outcome::Refused, None),
            control::Decision::Retransmission | control::Decision::Undecided(_) => {
                (Outcome::Repeated, None)
            }
        };
        let forks = accepted.as_ref().map(|accepted| {
            decider.answered(&accepted.summary(), None);
            let recipients = accepted.recipients();
            recipients
                .map(|recipient| ForkText::new(recipient.number, identifiers))
                .collect()
        });
        Self {
            outcome,
            answer: Some(answer),
            accepted,
            identifiers: CopyIdentifiers::of(identifiers.random()),
            forks: forks.unwrap_or_default(),
        }
    }

    fn fork(&self, index: usize) -> Result<(&ForkText, Fork<'_>), Failure> {
        let own = self.forks.get(index);
        let fork = own.zip(self.accepted.as_ref()).and_then(|(own, accepted)| {
            let copies = accepted.copies_with(self.identifiers);
            let fork = copies.copy(index as u32, accepted.own_of(own.member)?);
            Some((own, fork))
        });
        let count = self.forks.len();
        fork.ok_or_else(|| Failure::argument(format!("index: {index} of {count} recipients")))
    }
}

impl ForkText {
    fn new(member: u32, identifiers: &mut impl Identifiers) -> Self {
        Self {
            member,
            branch: identifiers.branch(),
            headers: OnceLock::new(),
            body: OnceLock::new(),
        }
    }
}

/// Frees a decision; NULL does nothing.
///
/// # Safety
/// `decision` is NULL or a handle of `cimf_server_decide` that is not used any more, and neither
/// are the texts it has lent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_decision_free(decision: *mut Decision) {
    guarded((), || {
        if !decision.is_null() {
            // SAFETY: `cimf_server_decide` has made it by `Box::into_raw`, and it is not used any more, as
            // is required above.
            drop(unsafe { Box::from_raw(decision) });
        }
    });
}

/// What is to be done; `CIMF_OUTCOME_NOT_OURS` for NULL.
///
/// # Safety
/// `decision` is NULL or a handle of `cimf_server_decide`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_decision_outcome(decision: *const Decision) -> Outcome {
    // SAFETY: `decision` is NULL or a handle that was not freed yet, as is required above.
    let decision = unsafe { decision.as_ref() };
    decision.map_or(Outcome::NotOurs, |decision| decision.outcome)
}

/// The status code of the answer, such as 202; 0 if nothing is to be answered or for NULL.
///
/// # Safety
/// `decision` is NULL or a handle of `cimf_server_decide`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_decision_status(decision: *const Decision) -> u16 {
    // SAFETY: `decision` is NULL or a handle that was not freed yet, as is required above.
    let decision = unsafe { decision.as_ref() };
    let answer = decision.and_then(|decision| decision.answer.as_ref());
    answer.map_or(0, |answer| answer.code)
}

/// The reason phrase of the answer, such as "Accepted"; empty if nothing is to be answered.
///
/// # Safety
/// `decision` is a handle of `cimf_server_decide`. `out` points to room for a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_decision_reason(decision: *const Decision, out: *mut Str) -> Status {
    // SAFETY: `decision` is a handle and `out` room for a text, as is required above.
    unsafe {
        read(decision, out, |decision| {
            let answer = decision.answer.as_ref();
            Ok(answer.map_or_else(Str::empty, |answer| Str::of(answer.phrase.as_bytes())))
        })
    }
}

/// Further header fields of the answer, each with its CRLF, such as Warning; may be empty. The
/// caller adds Via, From, To with a tag, Call-ID, CSeq and Content-Length.
///
/// # Safety
/// `decision` is a handle of `cimf_server_decide`. `out` points to room for a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_decision_headers(decision: *const Decision, out: *mut Str) -> Status {
    // SAFETY: `decision` is a handle and `out` room for a text, as is required above.
    unsafe {
        read(decision, out, |decision| {
            let answer = decision.answer.as_ref();
            Ok(answer.map_or_else(Str::empty, |answer| Str::of(&answer.headers)))
        })
    }
}

/// The number of recipients, which is the number of forks; 0 for NULL.
///
/// # Safety
/// `decision` is NULL or a handle of `cimf_server_decide`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_decision_recipient_count(decision: *const Decision) -> usize {
    // SAFETY: `decision` is NULL or a handle that was not freed yet, as is required above.
    let decision = unsafe { decision.as_ref() };
    decision.map_or(0, |decision| decision.forks.len())
}

/// The address of one recipient, which is the Request-URI of its fork. `index` counts from 0.
///
/// # Safety
/// `decision` is a handle of `cimf_server_decide`. `out` points to room for a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_decision_recipient(
    decision: *const Decision,
    index: usize,
    out: *mut Str,
) -> Status {
    // SAFETY: `decision` is a handle and `out` room for a text, as is required above.
    unsafe {
        read(decision, out, |decision| {
            let (_, fork) = decision.fork(index)?;
            Ok(Str::of(fork.recipient))
        })
    }
}

/// How many forks may wait for their final responses at once, as they share the breadth of the message
/// (RFC 5393): no more than the parameter "concurrency", and no more than the message allows. Each final
/// response lets the program send one more. 0 if nothing is to be sent or for NULL.
///
/// # Safety
/// `decision` is NULL or a handle of `cimf_server_decide`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_decision_window(decision: *const Decision) -> u32 {
    // SAFETY: `decision` is NULL or a handle that was not freed yet, as is required above.
    let decision = unsafe { decision.as_ref() };
    let accepted = decision.and_then(|decision| decision.accepted.as_ref());
    accepted.map_or(0, |accepted| accepted.window)
}

/// All header fields of one fork but Via, each with its CRLF, without the empty line at the end. They
/// are byte for byte those that the proxy module hands to its proxy, Max-Breadth included.
///
/// # Safety
/// `decision` is a handle of `cimf_server_decide`. `out` points to room for a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_decision_fork_headers(
    decision: *const Decision,
    index: usize,
    out: *mut Str,
) -> Status {
    // SAFETY: `decision` is a handle and `out` room for a text, as is required above.
    unsafe {
        read(decision, out, |decision| {
            let (own, fork) = decision.fork(index)?;
            let headers = own.headers.get_or_init(|| {
                let mut headers = Vec::new();
                fork.write_headers(&mut headers);
                headers
            });
            Ok(Str::of(headers))
        })
    }
}

/// A branch for the Via that the caller puts in front of one fork: "z9hG4bK" and a random token
/// that no other process makes.
///
/// # Safety
/// `decision` is a handle of `cimf_server_decide`. `out` points to room for a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_decision_fork_branch(
    decision: *const Decision,
    index: usize,
    out: *mut Str,
) -> Status {
    // SAFETY: `decision` is a handle and `out` room for a text, as is required above.
    unsafe {
        read(decision, out, |decision| {
            let (own, _) = decision.fork(index)?;
            Ok(Str::of(own.branch.as_bytes()))
        })
    }
}

/// Whether the forks have to go by TCP or TLS, as at least one of them has more than 1300 bytes;
/// false for NULL.
///
/// # Safety
/// `decision` is NULL or a handle of `cimf_server_decide`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_decision_needs_stream(decision: *const Decision) -> bool {
    // SAFETY: `decision` is NULL or a handle that was not freed yet, as is required above.
    let decision = unsafe { decision.as_ref() };
    let accepted = decision.and_then(|decision| decision.accepted.as_ref());
    accepted.is_some_and(|accepted| accepted.needs_stream)
}

/// The body of one fork: that of the message, without its lists; may be empty. Forks may differ: with
/// `bcc_mode=self` a bcc recipient finds an entry of their own in theirs.
///
/// # Safety
/// `decision` is a handle of `cimf_server_decide`. `out` points to room for a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_decision_fork_body(
    decision: *const Decision,
    index: usize,
    out: *mut Str,
) -> Status {
    // SAFETY: `decision` is a handle and `out` room for a text, as is required above.
    unsafe {
        read(decision, out, |decision| {
            let (own, fork) = decision.fork(index)?;
            // Most recipients share the body, which the decision keeps.
            match fork.body() {
                Cow::Borrowed(shared) => Ok(Str::of(shared)),
                Cow::Owned(body) => Ok(Str::of(own.body.get_or_init(|| body))),
            }
        })
    }
}

/// Lends a text of a decision.
///
/// # Safety
/// `decision` must be NULL or a live handle, and `out` NULL or room for a text.
unsafe fn read(
    decision: *const Decision,
    out: *mut Str,
    text: impl FnOnce(&Decision) -> Result<Str, Failure>,
) -> Status {
    boundary(|| {
        // SAFETY: `decision` is a handle and `out` room for a text, or NULL, as is required above.
        unsafe { put("out", out, text(handle("decision", decision)?)?) }
    })
}
