//! `cimfctl init`.

use crate::failure::Failure;
use crate::streams::{complain, say};
use cimf::store::{self, Tables};
use std::path::Path;

pub fn run(db: &Path) -> Result<(), Failure> {
    let done = store::init(db)?;
    let file = db.display();
    if let Some(folder) = &done.folder {
        say(&format!("{}: folder created", folder.display()))?;
        complain(&format!(
            "note: {} is new and belongs to the user who ran this; make the proxy's user the owner of it and its content, as in `chown -R kamailio: {}`",
            folder.display(),
            folder.display()
        ));
    }
    say(&match done.tables {
        Tables::Created => format!("{file}: created"),
        Tables::Migrated(from) => format!("{file}: migrated from version {from}"),
        Tables::Current => format!("{file}: up to date already, nothing changed"),
    })?;
    if let Some(owner) = done.owner {
        complain(&format!("note: {file}: {owner}"));
    }
    Ok(())
}
