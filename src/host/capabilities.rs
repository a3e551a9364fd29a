//! OPTIONS about a group or service: what `cimf_handle()` does besides messages.

#![forbid(unsafe_code)]

use super::proxy::{Proxy, Transaction};
use super::script_result::ScriptResult;
use crate::server::{Server, Worker};

/// Answers a request that is no MESSAGE if it asks what a group or service can do.
pub fn describe(
    server: &Server,
    worker: &mut Worker,
    proxy: &mut impl Proxy,
    bytes: &[u8],
) -> ScriptResult {
    let Some(answer) = worker.describe(server.decider(), bytes) else {
        log::debug!(
            "left to the script: it is neither a MESSAGE nor an OPTIONS about a group or service"
        );
        return ScriptResult::NotOurs;
    };
    let transaction = proxy.transaction();
    if transaction == Transaction::Retransmission {
        return ScriptResult::Stop;
    }
    if proxy.reply(&answer, transaction) {
        ScriptResult::Described
    } else {
        log::error!(
            "the proxy did not send the answer {} to an OPTIONS",
            answer.code
        );
        ScriptResult::InternalError
    }
}
