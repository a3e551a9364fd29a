//! `cimfctl init`.

use crate::failure::Failure;
use crate::streams::{confirm, note};
use cimf::config::DbUrl;
use cimf::ledger::cluster;
use cimf::store::edit::EditError;
use cimf::store::{self, Tables, postgres};

pub fn run(db: &DbUrl) -> Result<(), Failure> {
    let path = match db {
        DbUrl::Sqlite(path) => path,
        DbUrl::Postgres(url) => {
            let tables = postgres::init(url).map_err(EditError::from)?;
            confirm(&said(db, tables))?;
            match cluster::init(url)? {
                Some(from) if from < cluster::VERSION => {
                    confirm(&format!("{db}: ledger migrated from version {from}"))?;
                }
                None if tables != Tables::Created => {
                    confirm(&format!("{db}: ledger for durability=cluster created"))?;
                }
                _ => {}
            }
            return Ok(());
        }
    };
    let done = store::init(path)?;
    if let Some(folder) = &done.folder {
        confirm(&format!("{}: folder created", folder.display()))?;
        note(&format!(
            "{} is new and belongs to the user who ran this; make the proxy's user the owner of it and its content, as in `chown -R kamailio: {}`",
            folder.display(),
            folder.display()
        ));
    }
    confirm(&said(db, done.tables))?;
    if let Some(owner) = done.owner {
        note(&format!("{db}: {owner}"));
    }
    Ok(())
}

fn said(db: &DbUrl, tables: Tables) -> String {
    match tables {
        Tables::Created => format!("{db}: created"),
        Tables::Migrated(from) => format!("{db}: migrated from version {from}"),
        Tables::Current => format!("{db}: up to date already, nothing changed"),
    }
}
