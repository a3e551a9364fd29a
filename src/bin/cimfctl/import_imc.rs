//! `cimfctl import --imc`: the rooms of the proxies' own module as groups.

use crate::database_argument::database;
use crate::failure::Failure;
use crate::input;
use crate::streams::{confirm, confirm_each, counted, harmless, note};
use crate::tense::Tense;
use cimf::config::DbUrl;
use cimf::store::edit::{Editor, MembersChange, Put};
use cimf::store::imc::{ImcError, ImcTables, MAX_DUMP_BYTES, Takeover};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What a SQLite file starts with.
const SQLITE: &[u8; 16] = b"SQLite format 3\0";

/// Takes the rooms of `source` over, with their addresses or into another domain.
pub fn run(
    editor: &mut Editor,
    source: &str,
    domain: Option<&str>,
    dry_run: bool,
) -> Result<(), Failure> {
    let (tables, shown) = read(source)?;
    let takeover = Takeover::of(tables, domain);
    if dry_run {
        editor.rehearse();
    }
    let (groups, places): (Vec<_>, Vec<_>) = takeover.groups.into_iter().unzip();
    let put = editor.put_groups(&groups)?;
    for left_out in &takeover.left_out {
        note(&format!("{shown}: {}: {}", left_out.place, left_out.what));
    }
    let mut left_out = takeover.left_out.len() + takeover.gone_with_rooms;
    for ((put, group), places) in put.iter().zip(&groups).zip(&places) {
        tell(put, Tense::of(dry_run))?;
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
    if source.starts_with("postgres://") || source.starts_with("postgresql://") {
        let db = database(source).map_err(|error| Failure::Unusable(format!("--imc: {error}")))?;
        if let DbUrl::Postgres(url) = &db {
            let shown = db.to_string();
            let tables = ImcTables::from_postgres(url).map_err(|error| named(error, &shown))?;
            return Ok((tables, shown));
        }
    }
    let sqlite = source.strip_prefix("sqlite:");
    let sqlite = sqlite.map(|path| path.strip_prefix("//").unwrap_or(path));
    if let Some(path) = sqlite.or_else(|| is_sqlite(source).then_some(source)) {
        let tables = ImcTables::from_sqlite(Path::new(path));
        return Ok((tables.map_err(|error| named(error, path))?, path.to_owned()));
    }
    if let Some((scheme, _)) = source.split_once("://") {
        return Err(Failure::Document(format!(
            "--imc: expected postgres://, sqlite: or a file, found {scheme}://; make a dump of other databases, such as `mysqldump DATABASE imc_rooms imc_members > imc.sql`, and give that file"
        )));
    }
    let shown = input::name(Path::new(source));
    let dump = input::read(Path::new(source), MAX_DUMP_BYTES)?;
    let tables = ImcTables::from_dump(&dump).map_err(|error| named(error, &shown))?;
    Ok((tables, shown))
}

/// Whether a file is a SQLite database.
fn is_sqlite(path: &str) -> bool {
    let mut start = [0; SQLITE.len()];
    // Not of a pipe, whose start would be gone.
    let is_file = Path::new(path).metadata().is_ok_and(|it| it.is_file());
    let read = |start: &mut [u8]| File::open(path)?.read_exact(start);
    is_file && read(&mut start).is_ok() && start == *SQLITE
}

/// An error with the place that it is about; those of databases name it themselves.
fn named(error: ImcError, shown: &str) -> Failure {
    Failure::Document(match error {
        ImcError::Postgres(_) => error.to_string(),
        _ => format!("{shown}: {error}"),
    })
}

fn is_changed(put: &Put) -> bool {
    put.is_new || !put.members.is_none()
}

/// What became of one group.
fn tell(put: &Put, tense: Tense) -> Result<(), Failure> {
    let MembersChange {
        group,
        added,
        deleted,
        members,
        ..
    } = &put.members;
    let members = counted(*members as u64, "member");
    if put.is_new {
        let what = tense.tell("added", "add");
        return Ok(confirm(&format!("{what} {group} with {members}"))?);
    }
    if !is_changed(put) {
        return Ok(confirm(&format!("not changed: {group}, {members}"))?);
    }
    confirm(&format!("{} {group}, {members}", tense.tell("set", "set")))?;
    let (what, gone) = (tense.tell("added", "add"), tense.tell("deleted", "delete"));
    let added = added
        .iter()
        .map(|member| format!("{what} {member} to {group}"));
    let deleted = deleted.iter();
    let deleted = deleted.map(|member| format!("{gone} {} from {group}", harmless(member)));
    Ok(confirm_each(added.chain(deleted))?)
}
