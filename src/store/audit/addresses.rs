//! Audit of the addresses of groups and services: whether a message can reach them.

use crate::control::addressing::Addressing;
use crate::sip::Uri;
use crate::sip::text::Printable;
use crate::store::database::Probe;
use crate::store::edit::group_uri;
use rusqlite::Connection;

/// A group or a service: its name in reports, and its table.
#[derive(Clone, Copy)]
pub enum Kind {
    Group,
    Service,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Service => "service",
        }
    }

    fn table(self) -> &'static str {
        match self {
            Self::Group => "im_group",
            Self::Service => "service",
        }
    }
}

/// Reports why no message reaches the group or service of row `id`, if none does.
///
/// It is looked up by its text, which must be the canonical form of its address, and only in a served
/// domain. Domains are not checked if none are configured.
pub fn check_address(
    connection: &Connection,
    kind: Kind,
    id: i64,
    uri: &str,
    addressing: &Addressing,
    report: &mut dyn FnMut(String),
) -> rusqlite::Result<()> {
    let (word, table) = (kind.word(), kind.table());
    let name = format!("{word} {}", Printable(uri.as_bytes()));
    let delete = format!("`DELETE FROM {table} WHERE id = {id}` in sqlite3");
    let spelt = match group_uri(uri) {
        Ok(spelt) => spelt,
        Err(error) => {
            report(format!(
                "{name}: no message reaches it: {error}; delete it with {delete}, and add it under an address such as sip:NAME@DOMAIN"
            ));
            return Ok(());
        }
    };
    let parsed = Uri::parse(spelt.as_bytes());
    let Ok(Uri::Sip(sip)) = &parsed else {
        return Ok(());
    };
    if spelt != uri {
        let found = match Probe::new(connection)?.is_ours(sip)? {
            true => format!(
                "messages to that address reach another one; move what is missing there to it, and delete this one with {delete}"
            ),
            false => format!(
                "no message reaches it as it is; change it with `UPDATE {table} SET uri = '{}' WHERE id = {id}` in sqlite3",
                spelt.replace('\'', "''")
            ),
        };
        report(format!(
            "{name}: expected the canonical form {spelt}: {found}"
        ));
    }
    if !addressing.domains.is_empty() && !addressing.serves(sip.host) {
        let (host, domains) = (Printable(sip.host), addressing.domains.join(", "));
        report(format!(
            "{name}: no message reaches it: {host} is not one of the proxy's domains ({domains}); add it to `domains`, or add the {word} again under one of them and delete this one with `cimfctl {word} del`"
        ));
    }
    Ok(())
}
