//! An accepted message as the ledger gets it before its 202.

#![forbid(unsafe_code)]

use super::request_record;
use crate::control::Own;
use crate::fanout::Submission;
use crate::ledger::{Entry, Promise};

/// What promises a message with this number in the ledger to these recipients.
pub fn promise<'m>(
    id: u64,
    submission: Submission<'m>,
    recipients: impl Iterator<Item = Own<'m>>,
) -> Entry<'m> {
    Entry::Promise(Box::new(Promise {
        id,
        promised: true,
        anonymous: submission.anonymous,
        recipients: recipients.collect(),
        request: request_record::decode(submission.request),
        submission,
    }))
}
