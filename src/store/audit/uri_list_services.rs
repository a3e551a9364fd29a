//! Audit of services, consents and rulesets.

use super::addresses::{Kind, check_address};
use crate::control::addressing::Addressing;
use crate::control::member_list::MemberList;
use crate::control::ruleset::Condition;
use crate::sip::text::Printable;
use crate::store::database::{rule_lists, text};
use crate::store::document::read_ruleset;
use rusqlite::Connection;

/// Rows whose group or service may be gone, as after `REPLACE`: table, column, and the owner's table.
const ORPHANS: [(&str, &str, &str); 3] = [
    ("consent", "service_id", "service"),
    ("rule_list", "group_id", "im_group"),
    ("member_name", "group_id", "im_group"),
];

pub fn check_orphans(
    connection: &Connection,
    report: &mut dyn FnMut(String),
) -> rusqlite::Result<()> {
    for (table, column, owner) in ORPHANS {
        let sql = format!(
            "SELECT {column}, count(*) FROM {table}
             WHERE {column} NOT IN (SELECT id FROM {owner}) GROUP BY {column}"
        );
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, count): (i64, i64) = (row.get(0)?, row.get(1)?);
            report(format!(
                "{count} rows of {table} with {column} {id}, which is not in {owner}; remove them with `DELETE FROM {table} WHERE {column} = {id}` in sqlite3"
            ));
        }
    }
    Ok(())
}

/// Checks services and their consents; returns the number of services.
pub fn check_services(
    connection: &Connection,
    addressing: &Addressing,
    report: &mut dyn FnMut(String),
) -> rusqlite::Result<u64> {
    let mut services = connection.prepare("SELECT id, uri FROM service ORDER BY uri")?;
    let mut consents =
        connection.prepare("SELECT uri FROM consent WHERE service_id = ?1 ORDER BY uri")?;
    let mut rows = services.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let uri = text(row, 1)?.into_owned();
        check_address(
            connection,
            Kind::Service,
            row.get(0)?,
            &uri,
            addressing,
            report,
        )?;
        let shown = Printable(uri.as_bytes()).to_string();
        let found = consents.query_map([row.get::<_, i64>(0)?], |row| {
            text(row, 0).map(|text| text.into_owned())
        })?;
        let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
        let compiled = MemberList::of(found.iter().map(String::as_str), addressing);
        for consent in compiled.skipped() {
            let (uri, reason) = (Printable(consent.uri.as_bytes()), &consent.reason);
            report(format!(
                "service {shown}: consent of {uri} has no effect: {reason}"
            ));
        }
    }
    Ok(count)
}

/// Checks the ruleset of a group.
pub fn check_ruleset(
    connection: &Connection,
    group: i64,
    shown: &str,
    ruleset: &str,
    report: &mut dyn FnMut(String),
) -> rusqlite::Result<()> {
    let (ruleset, notes) = match read_ruleset(ruleset) {
        Ok(read) => read,
        Err(error) => {
            report(format!(
                "group {shown}: its ruleset cannot be read, and nobody may send to it: {error}"
            ));
            return Ok(());
        }
    };
    for note in notes.iter() {
        report(format!("group {shown}: its ruleset: {note}"));
    }
    let lists = rule_lists(connection, group)?;
    for rule in &ruleset.rules {
        for condition in &rule.conditions {
            let Condition::ExternalList(anchors) = condition else {
                continue;
            };
            for anchor in anchors.iter().filter(|anchor| !lists.contains_key(*anchor)) {
                let (rule, anchor) = (Printable(rule.id.as_bytes()), Printable(anchor.as_bytes()));
                report(format!(
                    "group {shown}: rule {rule} names the list {anchor}, and its entries are unknown; import the group's document with --xcap-root"
                ));
            }
        }
    }
    Ok(())
}
