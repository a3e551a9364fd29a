//! A refusal: the header fields of its answer, among them Warning and Retry-After, and its one log line.

use super::check_reasons::Reason;
use super::reason_table::{RefusalReason, Row, phrase};
use super::request_memory::Receipt;
use crate::sip::text::Printable;
use std::fmt;

/// Seconds after which a client may try again when the groups could not be read: longer than an
/// administrator's copy of a file takes, shorter than a person waits.
pub(super) const RETRY_AFTER: u32 = 10;

/// A refusal with what the log needs to know.
#[derive(Clone, Debug)]
pub struct Refusal<R = Reason> {
    /// Why.
    pub reason: R,
    /// What exactly, for the log only.
    pub detail: String,
    /// What the answer names: option tags that are not supported, recipients who have not consented,
    /// or groups in a list.
    pub named: Vec<u8>,
    /// The authenticated originator, if the checks came that far.
    pub originator: Option<Vec<u8>>,
    /// Where the request is noted, if its originator may send.
    pub receipt: Option<Receipt>,
    /// What From claims, for the log only.
    pub claimed: Vec<u8>,
    /// The Request-URI.
    pub group: Vec<u8>,
    /// Seconds after which the client may try again; 0 if that makes no difference.
    pub retry_after: u32,
}

impl<R: RefusalReason> Refusal<R> {
    /// The header fields of the answer, each with its CRLF.
    pub fn headers(&self, server_name: &str) -> Vec<u8> {
        let mut headers = self.reason.headers().to_vec();
        if !self.named.is_empty() {
            headers.extend_from_slice(self.reason.header_of_named());
            headers.extend_from_slice(&self.named);
            headers.extend_from_slice(b"\r\n");
        }
        if self.retry_after > 0 {
            let seconds = self.retry_after;
            headers.extend_from_slice(format!("Retry-After: {seconds}\r\n").as_bytes());
        }
        let warning = self.reason.warning();
        headers
            .extend_from_slice(format!("Warning: 399 {server_name} \"{warning}\"\r\n").as_bytes());
        headers
    }

    /// The same refusal, with its reason in the words of another table.
    pub fn map<S>(self, reason: impl FnOnce(R) -> S) -> Refusal<S> {
        Refusal {
            reason: reason(self.reason),
            detail: self.detail,
            named: self.named,
            originator: self.originator,
            receipt: self.receipt,
            claimed: self.claimed,
            group: self.group,
            retry_after: self.retry_after,
        }
    }
}

/// The one log line of a refusal.
impl<R: RefusalReason> fmt::Display for Refusal<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row {
            code,
            warning,
            requirement,
            ..
        } = self.reason.row();
        let phrase = phrase(code);
        write!(f, "refused {code} {phrase} ({requirement}: {warning}): ")?;
        match &self.originator {
            Some(originator) => write!(f, "originator=<{}>", Printable(originator))?,
            None => write!(f, "originator=unknown from=<{}>", Printable(&self.claimed))?,
        }
        write!(f, " group=<{}>", Printable(&self.group))?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_line_escapes_what_came_from_outside() {
        let refusal = Refusal {
            reason: Reason::Anonymity,
            detail: String::new(),
            named: Vec::new(),
            originator: None,
            receipt: None,
            claimed: b"sip:a\r\nb@h\x1b".to_vec(),
            group: vec![b'g'; 300],
            retry_after: 0,
        };
        let line = refusal.to_string();
        assert!(line.starts_with(
            r"refused 403 Forbidden (A-8: Anonymity not allowed): originator=unknown from=<sip:a\r\nb@h\x1b> group=<ggg"
        ));
        assert!(line.len() < 300 && line.ends_with("…>"), "{line}");
    }
}
