//! OPTIONS to a group or service, which `cimf_handle()` answers as well.

#![forbid(unsafe_code)]

use super::proxy::Proxy;
use super::verdict::ScriptResult;
use crate::server::{Server, Worker};

/// Answers a request other than MESSAGE if it is an OPTIONS to a group or service.
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
    if proxy.reply(&answer) {
        ScriptResult::Described
    } else {
        log::error!(
            "the proxy did not send the answer {} to an OPTIONS",
            answer.code
        );
        ScriptResult::InternalError
    }
}
