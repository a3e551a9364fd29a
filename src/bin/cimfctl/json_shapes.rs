//! What `--json` prints. The names of the fields are stable; docs/cimfctl.md lists them.

use crate::shown_message::{Fate, fates, open_count};
use chrono::{DateTime, SecondsFormat};
use cimf::ledger::cluster::NodeState;
use cimf::ledger::{Listed, Shown};
use cimf::server::Outbox;
use cimf::store::Audit;
use cimf::store::edit::{GroupRecord, MembersChange, Membership, NamedMember, ServiceRecord};
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, Write};

/// In which form a command prints what was asked for.
#[derive(Args, Clone, Copy)]
pub struct Form {
    /// Print JSON, for machines; docs/cimfctl.md lists the fields
    #[arg(long)]
    pub json: bool,
}

/// An array that is written as it comes, each element on a line of its own.
pub struct JsonList<W: Write> {
    out: W,
    is_empty: bool,
}

impl<W: Write> JsonList<W> {
    pub fn start(mut out: W) -> io::Result<Self> {
        out.write_all(b"[")?;
        Ok(Self {
            out,
            is_empty: true,
        })
    }

    pub fn add(&mut self, value: &Value) -> io::Result<()> {
        let start: &[u8] = if self.is_empty { b"\n" } else { b",\n" };
        self.is_empty = false;
        self.out.write_all(start)?;
        Ok(serde_json::to_writer(&mut self.out, value)?)
    }

    pub fn end(mut self) -> io::Result<()> {
        self.out
            .write_all(if self.is_empty { b"]\n" } else { b"\n]\n" })?;
        self.out.flush()
    }
}

/// Prints one object.
pub fn print(value: &Value) -> io::Result<()> {
    let mut out = crate::streams::standard();
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}

pub fn group(group: &GroupRecord) -> Value {
    let changed = DateTime::from_timestamp_micros(group.revision);
    json!({
        "group": group.uri,
        "display_name": group.display_name,
        "pager_mode": group.pager_mode,
        "changed": changed.map(|time| time.to_rfc3339_opts(SecondsFormat::Micros, true)),
        "member_count": group.members,
    })
}

pub fn group_with(record: &GroupRecord, members: &[NamedMember]) -> Value {
    let mut shape = group(record);
    shape["members"] = members.iter().map(member).collect();
    shape
}

fn member((address, name): &NamedMember) -> Value {
    json!({ "member": address, "name": name })
}

/// `added` are the new members with their names.
pub fn members_change(change: &MembersChange, added: &[NamedMember], dry_run: bool) -> Value {
    json!({
        "group": change.group,
        "dry_run": dry_run,
        "member_count": change.members,
        "added": change.added,
        "added_members": added.iter().map(member).collect::<Value>(),
        "deleted": change.deleted,
        "named": change.named.iter().map(member).collect::<Value>(),
        "existing_count": change.existing,
        "repeated_count": change.repeated,
    })
}

pub fn membership(found: &Membership) -> Value {
    json!({ "group": found.group, "member": found.member, "name": found.name })
}

pub fn service(service: &ServiceRecord) -> Value {
    json!({
        "service": service.uri,
        "pager_mode": service.pager_mode,
        "consent_count": service.consents,
    })
}

pub fn consent(address: &str) -> Value {
    json!({ "address": address })
}

/// What a check has found; without the proxy's domains it does not look whether addresses are in them.
pub fn audit(found: &Audit, findings: &[String], checks_domains: bool) -> Value {
    json!({
        "findings": findings,
        "domains_checked": checks_domains,
        "group_count": found.groups,
        "member_count": found.members,
        "service_count": found.services,
    })
}

pub fn node(node: &NodeState) -> Value {
    json!({
        "node": node.name,
        "run": node.run,
        "lease_seconds": node.lease.map(|lease| lease.as_secs()),
        "left": node.has_left,
        "drains": node.drains,
        "unfinished_count": node.unfinished,
    })
}

/// A message of a ledger, and of one that nodes share the node that sends it.
pub fn listed(message: &Listed, node: Option<&str>) -> Value {
    json!({
        "message": message.id,
        "log_number": Outbox::message_number(message.id),
        "accepted": time(message.accepted_at),
        "originator": text(&message.originator),
        "group": text(&message.group),
        "recipient_count": message.recipients,
        "open_count": message.open,
        "kept_count": message.kept,
        "body_bytes": message.body_bytes,
        "node": node,
    })
}

pub fn shown(shown: &Shown) -> Value {
    let message = &shown.message;
    let mut recipients = Vec::new();
    let each = fates(
        shown,
        |address, fate| -> Result<(), std::convert::Infallible> {
            let (state, code, until) = match fate {
                Fate::Kept(kept) => ("kept", Some(kept.code), time(kept.expires_at)),
                Fate::Outcome(outcome) => (outcome.kind(), outcome.code(), None),
                Fate::Open => ("open", None, None),
                Fate::Ended => ("ended", None, None),
            };
            recipients.push(json!({
                "recipient": text(address),
                "state": state,
                "code": code,
                "kept_until": until,
            }));
            Ok(())
        },
    );
    let Ok(()) = each;
    json!({
        "message": message.id,
        "log_number": Outbox::message_number(message.id),
        "accepted": time(message.accepted_at),
        // 0 stands for never.
        "expires": Some(message.expires_at).filter(|it| *it > 0).and_then(time),
        "originator": text(&message.originator),
        "group": text(&message.group),
        "body_bytes": message.body.len(),
        "open_count": open_count(shown),
        "kept_count": shown.kept.len(),
        "recipients": recipients,
    })
}

/// A time in milliseconds since 1970.
fn time(milliseconds: u64) -> Option<String> {
    let time = i64::try_from(milliseconds).ok();
    let time = time.and_then(DateTime::from_timestamp_millis);
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
