//! The rows of `imc_rooms` and `imc_members`, out of a dump, a SQLite file or PostgreSQL.

use super::imc_error::ImcError;
use super::sql_dump::{DumpRow, rows};
use super::{other_files, sqlite_file};
use crate::config::PostgresUrl;
use crate::postgres::{PostgresError, answered, connect, single_threaded};
use std::fmt;
use std::path::Path;
use tokio_postgres::IsolationLevel;

const ROOMS: &str = "imc_rooms";
const MEMBERS: &str = "imc_members";
/// The columns in the order in which both proxies make them.
const ROOM_COLUMNS: [&str; 4] = ["id", "name", "domain", "flag"];
const MEMBER_COLUMNS: [&str; 5] = ["id", "username", "domain", "room", "flag"];

/// What errors of PostgreSQL say was being done.
const ACTION: &str = "cannot read the tables of imc";

/// Where a row was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The line of a dump, from 1 on.
    Line(usize),
    /// The id of the row in its table.
    Id(i64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Id(id) => write!(f, "id {id}"),
        }
    }
}

/// A row of `imc_rooms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub place: Place,
    pub name: String,
    /// Its address as the members' rows have it.
    pub uri: String,
    pub flag: i64,
}

/// A row of `imc_members`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub place: Place,
    pub uri: String,
    /// The address of the room.
    pub room: String,
    pub flag: i64,
}

/// Both tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImcTables {
    pub(super) rooms: Vec<Room>,
    pub(super) members: Vec<Member>,
}

impl ImcTables {
    /// Reads a dump of MySQL, MariaDB, PostgreSQL or SQLite.
    ///
    /// # Errors
    ///
    /// It is not understood, or has no rows of one of the tables.
    pub fn from_dump(dump: &[u8]) -> Result<Self, ImcError> {
        other_files::check_text(dump)?;
        let mut tables = Self::default();
        for row in rows(dump, &[ROOMS, MEMBERS])? {
            let place = Place::Line(row.line);
            match row.table.as_str() {
                ROOMS => {
                    let [_, name, domain, flag] = columns(&row, ROOM_COLUMNS)?;
                    let (name, domain) = (text(&row, name)?, text(&row, domain)?);
                    let flag = number(&row, flag)?;
                    tables.add_room(place, &name, &domain, flag);
                }
                _ => {
                    let [_, user, domain, room, flag] = columns(&row, MEMBER_COLUMNS)?;
                    let (user, domain) = (text(&row, user)?, text(&row, domain)?);
                    let (room, flag) = (text(&row, room)?, number(&row, flag)?);
                    tables.add_member(place, &user, &domain, room, flag);
                }
            }
        }
        tables.checked()
    }

    /// Reads the tables of a SQLite file, which is not changed.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has no such tables, or no rows in one of them.
    pub fn from_sqlite(path: &Path) -> Result<Self, ImcError> {
        sqlite_file::read(path, |connection| {
            let transaction = connection.transaction()?;
            let sql = "SELECT name FROM sqlite_master WHERE type = 'table'
                AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
            let mut statement = transaction.prepare(sql)?;
            let found = statement.query_map([], |row| row.get(0))?;
            let found: Vec<String> = found.collect::<rusqlite::Result<_>>()?;
            if ![ROOMS, MEMBERS]
                .iter()
                .all(|it| found.iter().any(|name| name == it))
            {
                return Ok(Err(ImcError::NoTables(found)));
            }
            let mut tables = Self::default();
            let sql = "SELECT id, name, domain, flag FROM imc_rooms ORDER BY id";
            let mut statement = transaction.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (name, domain): (String, String) = (row.get(1)?, row.get(2)?);
                tables.add_room(Place::Id(row.get(0)?), &name, &domain, row.get(3)?);
            }
            let sql = "SELECT id, username, domain, room, flag FROM imc_members ORDER BY id";
            let mut statement = transaction.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (user, domain): (String, String) = (row.get(1)?, row.get(2)?);
                let place = Place::Id(row.get(0)?);
                tables.add_member(place, &user, &domain, row.get(3)?, row.get(4)?);
            }
            Ok(Ok(tables))
        })??
        .checked()
    }

    /// Reads the tables of PostgreSQL.
    ///
    /// # Errors
    ///
    /// It cannot be reached, or has no such tables, or no rows in one of them.
    pub fn from_postgres(url: &PostgresUrl) -> Result<Self, ImcError> {
        let runtime = single_threaded(|| {})?;
        let tables = runtime.block_on(async {
            let mut connection = connect(url).await?;
            let snapshot = connection.client.build_transaction().read_only(true);
            let snapshot = snapshot.isolation_level(IsolationLevel::RepeatableRead);
            let snapshot = answered(url, ACTION, snapshot.start()).await?;
            let mut tables = Self::default();
            let sql = "SELECT id::bigint, name::text, domain::text, flag::bigint
                FROM imc_rooms ORDER BY id";
            for row in answered(url, ACTION, snapshot.query(sql, &[])).await? {
                let place = Place::Id(row.get(0));
                tables.add_room(place, row.get(1), row.get(2), row.get(3));
            }
            let sql = "SELECT id::bigint, username::text, domain::text, room::text, flag::bigint
                FROM imc_members ORDER BY id";
            for row in answered(url, ACTION, snapshot.query(sql, &[])).await? {
                let place = Place::Id(row.get(0));
                tables.add_member(place, row.get(1), row.get(2), row.get(3), row.get(4));
            }
            Ok::<_, PostgresError>(tables)
        });
        tables?.checked()
    }

    fn add_room(&mut self, place: Place, name: &str, domain: &str, flag: i64) {
        let uri = format!("sip:{name}@{domain}");
        let name = name.to_owned();
        self.rooms.push(Room {
            place,
            name,
            uri,
            flag,
        });
    }

    fn add_member(&mut self, place: Place, user: &str, domain: &str, room: String, flag: i64) {
        let uri = format!("sip:{user}@{domain}");
        self.members.push(Member {
            place,
            uri,
            room,
            flag,
        });
    }

    /// One table alone would make groups without members, or none.
    fn checked(self) -> Result<Self, ImcError> {
        match (self.rooms.is_empty(), self.members.is_empty()) {
            (true, _) => Err(ImcError::NoRows(ROOMS)),
            (false, true) => Err(ImcError::NoRows(MEMBERS)),
            (false, false) => Ok(self),
        }
    }
}

/// The values of these columns of a row.
fn columns<'a, const N: usize>(
    row: &'a DumpRow,
    wanted: [&str; N],
) -> Result<[Option<&'a str>; N], ImcError> {
    let table = &row.table;
    let found = match &row.columns {
        Some(columns) => columns.iter().map(String::as_str).collect(),
        None => wanted.to_vec(),
    };
    if row.values.len() != found.len() {
        let (expected, found) = (found.len(), row.values.len());
        return Err(ImcError::dump(
            row.line,
            format!(
                "expected {expected} values of {table}, found {found}; make the dump with the names of the columns (`mysqldump --complete-insert`, `pg_dump --column-inserts`)"
            ),
        ));
    }
    let mut values = [None; N];
    for (value, name) in values.iter_mut().zip(wanted) {
        match found.iter().position(|column| *column == name) {
            Some(at) => *value = row.values[at].as_deref(),
            // Nothing depends on it.
            None if name == "id" => {}
            None => {
                return Err(ImcError::dump(
                    row.line,
                    format!(
                        "expected the column {name} of {table}, found {}",
                        found.join(", ")
                    ),
                ));
            }
        }
    }
    Ok(values)
}

fn text(row: &DumpRow, value: Option<&str>) -> Result<String, ImcError> {
    let missing = || {
        ImcError::dump(
            row.line,
            format!("expected text, found NULL in {}", row.table),
        )
    };
    value.map(str::to_owned).ok_or_else(missing)
}

fn number(row: &DumpRow, value: Option<&str>) -> Result<i64, ImcError> {
    let found = value.unwrap_or("NULL");
    found.parse().map_err(|_| {
        let table = &row.table;
        let problem = format!("expected a number in the column flag of {table}, found `{found}`");
        ImcError::dump(row.line, problem)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const BOTH: &str = "INSERT INTO imc_rooms VALUES (1,'r','im.h',1);
INSERT INTO imc_members (flag, username, domain, room) VALUES (4,'ann','h','sip:r@im.h');";

    #[test]
    fn columns_are_found_by_place_and_by_name() {
        let tables = ImcTables::from_dump(BOTH.as_bytes()).unwrap();
        let room = Room {
            place: Place::Line(1),
            name: "r".to_owned(),
            uri: "sip:r@im.h".to_owned(),
            flag: 1,
        };
        let member = Member {
            place: Place::Line(2),
            uri: "sip:ann@h".to_owned(),
            room: "sip:r@im.h".to_owned(),
            flag: 4,
        };
        assert_eq!((tables.rooms, tables.members), (vec![room], vec![member]));
    }

    #[test]
    fn a_dump_of_something_else_is_refused() {
        for (dump, expected) in [
            (
                BOTH.replace("imc_rooms", "rooms"),
                "found none of imc_rooms",
            ),
            (
                BOTH.replace("imc_members", "x"),
                "found none of imc_members",
            ),
            (
                BOTH.replace("(1,", "(1,2,"),
                "line 1: expected 4 values of imc_rooms, found 5",
            ),
            (
                BOTH.replace("username", "user"),
                "line 2: expected the column username of imc_members",
            ),
            (
                BOTH.replace("'im.h'", "NULL"),
                "line 1: expected text, found NULL",
            ),
            (
                BOTH.replace("(4,", "('x',"),
                "line 2: expected a number in the column flag of imc_members, found `x`",
            ),
        ] {
            let error = ImcTables::from_dump(dump.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
