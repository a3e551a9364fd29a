//! Functions and commands about copies for members who are away, the same in every proxy. Each process
//! has its own read-only connection to the ledger; none waits for a commit.

#![forbid(unsafe_code)]

use super::answer::{Answer, Fault};
use super::arguments::Arguments;
use super::queue_commands::shown;
use crate::fanout::milliseconds;
use crate::host::guard::guarded;
use crate::host::verdict::ScriptResult;
use crate::ledger::{LedgerError, Reader, SqliteReader};
use crate::server::{Outbox, Server};
use crate::sip::text::Printable;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// The most copies in a list.
const MOST_LISTED: usize = 1000;

/// This process's connection, opened on first use.
static READER: Mutex<Option<SqliteReader>> = Mutex::new(None);

/// Runs a query on the ledger, if there is one.
fn read<T>(
    server: &Server,
    ask: impl FnOnce(&mut SqliteReader) -> Result<T, LedgerError>,
) -> Result<T, String> {
    let Some(file) = server.outbox().kept_file() else {
        return Err("nothing is kept: expected away=keep".to_owned());
    };
    let mut reader = READER.lock().unwrap_or_else(PoisonError::into_inner);
    let reader = match &mut *reader {
        Some(reader) => reader,
        none => none.insert(file.reader().map_err(|error| error.to_string())?),
    };
    ask(reader).map_err(|error| error.to_string())
}

fn member(server: &Server, address: &[u8]) -> Result<u64, String> {
    let member = server.member(address);
    member.ok_or_else(|| {
        format!(
            "expected an address such as sip:bob@home1.net, found \"{}\"",
            Printable(address)
        )
    })
}

/// `cimf_deliver(ADDRESS)`: requests that the copies kept for a member are sent, without waiting for
/// it.
pub fn deliver(server: &Server, address: Result<Option<Vec<u8>>, ()>) -> ScriptResult {
    guarded(ScriptResult::InternalError, || {
        let Ok(Some(address)) = address else {
            log::error!("cimf_deliver(): the address cannot be read from the proxy");
            return ScriptResult::InternalError;
        };
        match ask_for(server, &address) {
            Ok(true) => ScriptResult::Accepted,
            Ok(false) => ScriptResult::NotOurs,
            Err(error) => {
                log::error!("cimf_deliver(): {error}");
                ScriptResult::InternalError
            }
        }
    })
}

/// Requests delivery for a member; returns whether anything is kept.
fn ask_for(server: &Server, address: &[u8]) -> Result<bool, String> {
    let outbox = server.outbox();
    if outbox.away().is_none() {
        return Err("nothing is kept: expected away=keep".to_owned());
    }
    let engine = outbox.engine();
    // What another node has kept just before is not known here yet.
    let is_shared = outbox.cluster().is_some();
    // Usually nothing is kept for anybody.
    let is_any_kept = engine.away().figures().copies > 0;
    if !is_any_kept && !is_shared {
        return Ok(false);
    }
    let member = member(server, address)?;
    let is_kept = is_any_kept && read(server, |reader| reader.is_kept(member))?;
    if !is_kept && !is_shared {
        return Ok(false);
    }
    if !engine.away().ask_for(member) && is_kept {
        return Err(
            "too many members have registered at once; the next registration asks again".to_owned(),
        );
    }
    if is_kept {
        engine.call_again();
    }
    Ok(is_kept)
}

/// The copies kept for a member, or for all, oldest message first; at most `MOST_LISTED`. Anonymous originators are not
/// named.
pub fn kept(server: &Server, given: &Arguments) -> Answer {
    let member = given
        .optional(0)
        .map(|address| given_member(server, address));
    list(server, member.transpose()?).map_err(Fault::failed)
}

fn given_member(server: &Server, address: &str) -> Result<u64, Fault> {
    member(server, address.as_bytes()).map_err(Fault::given)
}

fn list(server: &Server, member: Option<u64>) -> Result<Value, String> {
    read(server, |reader| {
        let kept = match member {
            Some(member) => reader.kept_of(member, MOST_LISTED)?,
            None => reader.oldest_kept(MOST_LISTED)?,
        };
        let now = milliseconds(SystemTime::now());
        let mut listed = Vec::with_capacity(kept.len());
        for kept in kept {
            if let Some(message) = reader.kept_message(kept.id)? {
                listed.push(json!({
                    "id": Outbox::message_number(kept.message),
                    "recipient": shown(&kept.address),
                    "group": shown(&message.message.group),
                    "originator": shown(message.message.originator_shown()),
                    "code": kept.code,
                    "seconds": now.saturating_sub(kept.kept_at) / 1000,
                    "expires_in": kept.expires_at.saturating_sub(now) / 1000,
                }));
            }
        }
        Ok(listed.into())
    })
}

/// Drops the copies kept for a member, except those being sent; gives their number.
pub fn kept_drop(server: &Server, given: &Arguments) -> Answer {
    let member = given_member(server, given.text(0))?;
    let copies = drop_all(server, member).map_err(Fault::failed)?;
    Ok(json!({ "copies": copies }))
}

fn drop_all(server: &Server, member: u64) -> Result<u64, String> {
    let count = read(server, |reader| reader.count_kept_of(member))?;
    let engine = server.outbox().engine();
    if count > 0 && !engine.away().ask_to_drop(member) {
        return Err("too many commands at once: try again in a second".to_owned());
    }
    engine.call_again();
    Ok(count)
}
