//! Compiles rows into groups and services.

#![forbid(unsafe_code)]

use super::cache::{Entry, Known};
use super::database::{Snapshot, TargetKind, TargetRow};
use super::document;
use crate::control::member_list::MemberList;
use crate::control::rules::Rules;
use crate::control::{Addressing, Group, UriListService};
use crate::sip::text::Printable;
use crate::sip::uri::{SipUri, Uri};
use std::sync::Arc;

/// Whether the compiled form of a group or service with an unchanged revision is still valid. Members
/// that are groups are treated differently, so it also depends on the set of groups.
pub fn still_holds(
    entry: &Entry,
    directory: i64,
    snapshot: &Snapshot<'_>,
    addressing: &Addressing,
) -> rusqlite::Result<bool> {
    let group = match &entry.known {
        Known::Group(group) => group,
        Known::TooMany(_) | Known::UriListService(_) => return Ok(true),
        Known::Absent | Known::TooLarge => return Ok(false),
    };
    if entry.directory == directory {
        return Ok(true);
    }
    // A deleted group may be one of the nested members, and a new group one of the others.
    Ok(group.nested().is_empty()
        && !snapshot.any_changed_since(entry.directory, |uri| {
            let uri = Uri::parse(uri.as_bytes());
            uri.is_ok_and(|uri| group.has(&uri, addressing))
        })?)
}

/// Loads the target of `row`: a group of at most `limit` members, or a service.
pub fn load(
    snapshot: &Snapshot<'_>,
    uri: String,
    row: &TargetRow,
    addressing: &Addressing,
    limit: u32,
    expands: bool,
) -> rusqlite::Result<Known> {
    let TargetKind::Group(ruleset) = &row.is else {
        let consents = snapshot.consents(row.id)?;
        return Ok(Known::UriListService(Arc::new(UriListService {
            uri,
            pager_mode: row.pager_mode,
            consenting: MemberList::of(consents.iter(), addressing),
        })));
    };
    let Some(members) = snapshot.members(row.id, limit)? else {
        return snapshot.member_count(row.id).map(Known::TooMany);
    };
    let mut probe = snapshot.probe()?;
    let mut failure = None;
    let is_ours = |sip: &SipUri<'_>| {
        // An address in a domain that is not served never reaches a group, so it is not queried.
        let asked = addressing.serves(sip.host) && failure.is_none();
        asked
            && probe.is_ours(sip).unwrap_or_else(|error| {
                failure = Some(error);
                false
            })
    };
    let mut group = Group::compile(uri, row.pager_mode, members.iter(), addressing, is_ours);
    if let Some(error) = failure {
        return Err(error);
    }
    if expands {
        group = group.for_expansion();
    }
    if let Some(text) = ruleset {
        let rules = rules(snapshot, row.id, text, group.uri(), addressing)?;
        group = group.with_rules(rules);
    }
    let names = snapshot.member_names(row.id)?;
    let names = names
        .iter()
        .map(|(uri, name)| (uri.as_str(), name.as_str()));
    Ok(Known::Group(Arc::new(group.with_names(names, addressing))))
}

/// Compiles a ruleset. A malformed one permits nothing to anybody, and is logged.
fn rules(
    snapshot: &Snapshot<'_>,
    group: i64,
    text: &str,
    uri: &str,
    addressing: &Addressing,
) -> rusqlite::Result<Rules> {
    let ruleset = match document::read_ruleset(text) {
        Ok((ruleset, _)) => ruleset,
        Err(error) => {
            let uri = Printable(uri.as_bytes());
            log::error!(
                "group {uri}: nobody may send to it, as its ruleset cannot be read: {error}; see what `cimfctl check` finds"
            );
            return Ok(Rules::nobody());
        }
    };
    let lists = snapshot.rule_lists(group)?;
    let compile =
        |list: &super::database::Members| Arc::new(MemberList::of(list.iter(), addressing));
    let lists: std::collections::HashMap<_, _> = lists
        .iter()
        .map(|(anchor, list)| (anchor.as_str(), compile(list)))
        .collect();
    let list = |anchor: &str| lists.get(anchor).cloned();
    Ok(Rules::compile(&ruleset, addressing, list))
}
