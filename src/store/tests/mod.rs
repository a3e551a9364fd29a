//! The store against real files.

mod cached;
mod edited;
mod refused;
mod replaced;
mod services;
mod sql;

use super::edit::{Editor, Existing, NewGroup};
use super::{Statistics, Store, init};
use crate::config::DbUrl;
use crate::control::NextHopCapabilities;
use crate::control::{Addressing, Directory, Group, Target, Unavailable};
use crate::sip::uri::Uri;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const HIKERS: &str = "sip:hikers@im.home1.net";

/// A database in a folder of its own, which is removed with it.
struct Rig {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Rig {
    /// A database without groups.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cimf.db");
        init(&path).unwrap();
        Self { folder, path }
    }

    /// A database with the group of the example flows.
    fn with_hikers() -> Self {
        let rig = Self::new();
        rig.add(
            HIKERS,
            &["sip:ann@home1.net", "sip:bob@home1.net", "tel:+15551230003"],
        );
        rig
    }

    fn add(&self, uri: &str, members: &[&str]) {
        add(&self.path, uri, members);
    }

    /// Another database with one group, to be moved in.
    fn other(&self, group: &str) -> PathBuf {
        let path = self.folder.path().join("other.db");
        init(&path).unwrap();
        add(&path, group, &["sip:ann@home1.net"]);
        path
    }

    fn editor(&self) -> Editor {
        Editor::open(&DbUrl::Sqlite(self.path.clone()), 100_000).unwrap()
    }

    fn store(&self) -> Store {
        store(&self.path, 200_000)
    }

    /// A connection like that of the sqlite3 program: without any pragma.
    fn by_hand(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        connection
            .pragma_update(None, "foreign_keys", false)
            .unwrap();
        connection
    }
}

fn add(path: &Path, uri: &str, members: &[&str]) {
    let new = NewGroup {
        uri,
        display_name: None,
        pager_mode: true,
    };
    let mut editor = Editor::open(&DbUrl::Sqlite(path.to_owned()), 100_000).unwrap();
    editor.add_group(new, members.iter().copied()).unwrap();
}

fn addressing() -> Addressing {
    Addressing {
        next_hop: NextHopCapabilities::Core { tls: false },
        same_number: true,
        tel_domain: None,
        domains: vec!["im.home1.net".to_owned(), "home1.net".to_owned()],
    }
}

fn store(path: &Path, cache_members: u32) -> Store {
    Store::new(path, addressing(), 100_000, cache_members)
}

fn find(store: &mut Store, uri: &str) -> Result<Option<Arc<Group>>, Unavailable> {
    match Uri::parse(uri.as_bytes()).unwrap() {
        Uri::Sip(sip) => Ok(store.find(&sip)?.map(|target| match target {
            Target::Group(group) => group,
            Target::UriListService(service) => panic!("{} is a service", service.uri),
        })),
        _ => panic!("{uri} is no SIP URI"),
    }
}

/// The members that get a message, or `None` if there is no group.
fn recipients(store: &mut Store, uri: &str) -> Option<Vec<String>> {
    let group = find(store, uri).unwrap()?;
    let recipient = |number| {
        let text = group.recipient(number)?;
        Some(String::from_utf8(text.to_vec()).unwrap())
    };
    Some((0..group.members() as u32).filter_map(recipient).collect())
}

/// The operations that `work` caused.
fn cost(store: &mut Store, work: impl FnOnce(&mut Store)) -> Statistics {
    let before = store.statistics();
    work(store);
    let after = store.statistics();
    Statistics {
        opened: after.opened - before.opened,
        looks: after.looks - before.looks,
        version_checks: after.version_checks - before.version_checks,
        group_queries: after.group_queries - before.group_queries,
        loads: after.loads - before.loads,
    }
}

/// Waits until `done`, at most one second: a replaced file must be noticed within that.
fn within_a_second(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(1);
    while !done() {
        assert!(Instant::now() < deadline, "not within a second");
        std::thread::sleep(Duration::from_millis(2));
    }
}
