//! `cimfctl import --imc`: the rooms of the proxies' own module as groups.

use crate::database_argument::database;
use crate::failure::Failure;
use crate::streams::{confirm, confirm_each, counted, note};
use cimf::config::DbUrl;
use cimf::store::document::read_file;
use cimf::store::edit::{Editor, MembersChange, Put};
use cimf::store::imc::{ImcError, ImcTables, MAX_DUMP_BYTES, Takeover};
use std::io::Read;
use std::path::Path;

/// What a SQLite file starts with.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// Takes the rooms of `source` over.
pub fn run(editor: &mut Editor, source: &str, dry_run: bool) -> Result<(), Failure> {
    let (tables, shown) = read(source)?;
    let takeover = Takeover::of(tables);
    if dry_run {
        editor.rehearse();
    }
    let (groups, places): (Vec<_>, Vec<_>) = takeover.groups.into_iter().unzip();
    let put = editor.put_groups(&groups)?;
    for left_out in &takeover.left_out {
        note(&format!("{shown}: {}: {}", left_out.place, left_out.what));
    }
    let mut left_out = takeover.left_out.len();
    for ((put, group), places) in put.iter().zip(&groups).zip(&places) {
        tell(put)?;
        for (at, reason) in &put.left_out {
            let (place, (member, _)) = (places[*at], &group.members[*at]);
            let group = &put.members.group;
            note(&format!(
                "{shown}: {place}: member {member} of {group} is left out: {reason}"
            ));
        }
        left_out += put.left_out.len();
        crate::group::note_nested(&put.members.nested);
    }
    if takeover.roles > 0 {
        note(&format!(
            "{} owners or administrators of rooms are members like all others: groups have no such roles",
            takeover.roles
        ));
    }
    let members: usize = put.iter().map(|put| put.members.members).sum();
    let is_changed = put.iter().any(is_changed);
    let done = match (is_changed, dry_run) {
        (false, _) => "nothing changed",
        (true, false) => "done",
        (true, true) => "nothing changed because of --dry-run",
    };
    Ok(confirm(&format!(
        "{done}: {} with {}, {} of imc left out",
        counted(put.len() as u64, "group"),
        counted(members as u64, "member"),
        counted(left_out as u64, "row"),
    ))?)
}

/// The tables, and what stands for their place in messages.
fn read(source: &str) -> Result<(ImcTables, String), Failure> {
    let postgres = source.starts_with("postgres://") || source.starts_with("postgresql://");
    let path = source
        .strip_prefix("sqlite:")
        .map(|path| path.strip_prefix("//").unwrap_or(path));
    let failed = |shown: &str, error: ImcError| match error {
        // They name their place themselves.
        ImcError::Sqlite(_) | ImcError::Postgres(_) => Failure::Document(error.to_string()),
        ImcError::Dump { .. } | ImcError::NoRows(_) => {
            Failure::Document(format!("{shown}: {error}"))
        }
    };
    let from_sqlite = |path: &str| {
        let tables = ImcTables::from_sqlite(Path::new(path));
        let tables = tables.map_err(|error| failed(path, error))?;
        Ok((tables, path.to_owned()))
    };
    if postgres {
        let url = database(source).map_err(|error| Failure::Unusable(format!("--imc: {error}")))?;
        let shown = url.to_string();
        if let DbUrl::Postgres(url) = url {
            let tables = ImcTables::from_postgres(&url).map_err(|error| failed(&shown, error))?;
            return Ok((tables, shown));
        }
    }
    if let Some(path) = path {
        return from_sqlite(path);
    }
    if let Some((scheme, _)) = source.split_once("://") {
        return Err(Failure::Document(format!(
            "--imc: expected postgres://, sqlite: or a file, found {scheme}://; make a dump of other databases, such as `mysqldump DATABASE imc_rooms imc_members > imc.sql`, and give that file"
        )));
    }
    let dump = match source {
        "-" => {
            let mut dump = Vec::new();
            let input = std::io::stdin().lock();
            let read = input.take(MAX_DUMP_BYTES as u64).read_to_end(&mut dump);
            read.map_err(Failure::Input)?;
            dump
        }
        file => read_file(Path::new(file), MAX_DUMP_BYTES)
            .map_err(|error| Failure::Document(format!("{file}: {error}")))?,
    };
    if dump.starts_with(SQLITE) {
        return from_sqlite(source);
    }
    let shown = if source == "-" {
        "standard input"
    } else {
        source
    };
    let tables = ImcTables::from_dump(&dump).map_err(|error| failed(shown, error))?;
    Ok((tables, shown.to_owned()))
}

fn is_changed(put: &Put) -> bool {
    put.is_new || !put.members.is_none()
}

/// What became of one group.
fn tell(put: &Put) -> Result<(), Failure> {
    let MembersChange {
        group,
        added,
        deleted,
        members,
        ..
    } = &put.members;
    let members = counted(*members as u64, "member");
    if put.is_new {
        return Ok(confirm(&format!("added {group} with {members}"))?);
    }
    if !is_changed(put) {
        return Ok(confirm(&format!("not changed: {group}, {members}"))?);
    }
    confirm(&format!("set {group}, {members}"))?;
    let added = added
        .iter()
        .map(|member| format!("added {member} to {group}"));
    let deleted = deleted.iter();
    let deleted = deleted.map(|member| format!("deleted {} from {group}", member.escape_debug()));
    Ok(confirm_each(added.chain(deleted))?)
}
