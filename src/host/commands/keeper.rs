//! What the process `cimf groups` has: the way to the groups, and sets of members that are being given in parts.

#![forbid(unsafe_code)]

use super::answer::Fault;
use super::member_sets::MemberSets;
use crate::config::{DbUrl, Settings};
use crate::host::signals;
use crate::server::Server;
use crate::store::edit::{EditError, Editor};

/// The state of the process.
pub struct Keeper<'s> {
    settings: &'s Settings,
    /// Open for as long as commands follow each other: a connection to PostgreSQL takes many times as long as a command.
    postgres: Option<Editor>,
    /// Sets of members that are being given.
    pub sets: MemberSets,
}

impl<'s> Keeper<'s> {
    /// Of a process that has done nothing yet.
    pub fn new(server: &'s Server) -> Self {
        let settings = &server.decider().policy().settings;
        Self {
            settings,
            postgres: None,
            sets: MemberSets::new(settings.max_members),
        }
    }

    /// Changes groups, or reads one of them, where they are.
    pub fn edit<T>(
        &mut self,
        work: impl FnOnce(&mut Editor) -> Result<T, EditError>,
    ) -> Result<T, Fault> {
        let (db, most) = (&self.settings.db_url, self.settings.max_members);
        // Threads that ask the system for addresses leave the proxy's signals to the process.
        let open = || signals::away(|| Editor::open(db, most));
        let mut editor = self.postgres.take().map_or_else(open, Ok)?;
        let done = work(&mut editor);
        let is_usable = !matches!(done, Err(EditError::Postgres(_) | EditError::Store(_)));
        // A file is opened each time: another one may have taken its place.
        if is_usable && matches!(db, DbUrl::Postgres(_)) {
            self.postgres = Some(editor);
        }
        Ok(done?)
    }

    /// Reads all groups from the file that the proxy reads.
    pub fn look_through<T>(
        &mut self,
        work: impl FnOnce(&mut Editor) -> Result<T, EditError>,
    ) -> Result<T, Fault> {
        let mut editor = Editor::open_to_read(self.settings.groups())?;
        Ok(work(&mut editor)?)
    }

    /// Lets go what nobody has used for some time.
    pub fn rest(&mut self) {
        self.postgres = None;
        self.sets.forget_old();
    }
}
