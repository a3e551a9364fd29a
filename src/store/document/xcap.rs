//! References to other documents, followed below one folder only (G-2, X-3).
//!
//! An address leads to a file below the folder, and to a list in it: nothing is ever fetched.

use super::MAX_BYTES;
use super::address::{Address, Name, Step, is_name, select};
use super::group::read_lists;
use super::list::{Entry, Item, List, Reference};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Depth of references to references; a longer chain is a mistake.
const MAX_DEPTH: usize = 4;

/// References that one list leads to: without a limit a small document could cause hours of work.
const MAX_REFERENCES: usize = 1000;

/// Entries, lists and references that one list leads to, repeated ones included: without a limit a
/// document that refers to itself in a thousand ways could cause hours of work.
const MAX_ITEMS: usize = 20_000_000;

/// Nobody reads more notes on one list.
const MOST_NOTES: usize = 100;

/// Bytes read in total for one command: 1,000 references to large documents would exhaust memory.
const MAX_TOTAL: usize = 4 * MAX_BYTES;

/// A folder of documents laid out as XCAP addresses them.
pub struct XcapRoot {
    root: PathBuf,
    /// The documents read so far: their lists, or the error.
    documents: HashMap<PathBuf, Result<Rc<List>, String>>,
    read: usize,
}

/// A list with all references resolved as far as possible.
#[derive(Debug, Default)]
pub struct Flat {
    /// The entries in their order, duplicates included.
    pub entries: Vec<Entry>,
    /// References that could not be followed: their line, and why.
    pub notes: Vec<(usize, String)>,
}

impl XcapRoot {
    /// Uses `folder` as the root of all documents.
    ///
    /// # Errors
    ///
    /// There is no such folder.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let root = fs::canonicalize(folder)?;
        if !root.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "not a folder"));
        }
        Ok(Self {
            root,
            documents: HashMap::new(),
            read: 0,
        })
    }

    /// The group documents below the root, sorted: in `org.openmobilealliance.groups` and the
    /// older `org.openmobilealliance.poc-groups`.
    ///
    /// # Errors
    ///
    /// A folder cannot be read.
    pub fn group_documents(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for application in [
            "org.openmobilealliance.groups",
            "org.openmobilealliance.poc-groups",
        ] {
            let application = self.root.join(application);
            self.files(&application.join("global"), 2, &mut found)?;
            self.files(&application.join("users"), 2, &mut found)?;
        }
        found.sort();
        Ok(found)
    }

    fn files(&self, folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            let Ok(real) = fs::canonicalize(&path) else {
                continue;
            };
            if !real.starts_with(&self.root) {
                continue;
            }
            if real.is_file() {
                found.push(path);
            } else if real.is_dir() && depth > 1 {
                self.files(&path, depth - 1, found)?;
            }
        }
        Ok(())
    }

    /// The entries of the list at an address, such as one named by a ruleset.
    pub fn list_at(&mut self, address: &str, limit: usize) -> Flat {
        let reference = Reference {
            address: address.to_owned(),
            line: 0,
        };
        let list = List {
            items: vec![Item::Reference(reference)],
            ..List::default()
        };
        flatten(&list, Some(self), limit)
    }

    /// The document at `path`.
    fn document(&mut self, path: &Path) -> Result<Rc<List>, String> {
        if let Some(known) = self.documents.get(path) {
            return known.clone();
        }
        let read = self.read(path);
        self.documents.insert(path.to_owned(), read.clone());
        read
    }

    fn read(&mut self, path: &Path) -> Result<Rc<List>, String> {
        let shown = path.strip_prefix(&self.root).unwrap_or(path).display();
        let left = MAX_TOTAL.saturating_sub(self.read).min(MAX_BYTES);
        let document = read_file(path, left).map_err(|error| format!("{shown}: {error}"))?;
        self.read += document.len();
        let lists = read_lists(&document).map_err(|error| format!("{shown}: {error}"))?;
        Ok(Rc::new(List {
            items: lists.into_iter().map(Item::List).collect(),
            ..List::default()
        }))
    }

    /// The file that an address leads to, which is below the root, and the steps within it.
    fn locate(&self, address: &str) -> Result<(PathBuf, Vec<Step>), String> {
        let Address { names, steps } = Address::read(address)?;
        let mut path = self.root.clone();
        for Name { name, as_given } in names {
            let plain = path.join(&name);
            let given = path.join(as_given);
            path = match !plain.exists() && is_name(as_given) && given.exists() {
                true => given,
                false => plain,
            };
        }
        let real = fs::canonicalize(&path).map_err(|_| "there is no such document".to_owned())?;
        // Symbolic links may lead anywhere.
        match real.starts_with(&self.root) && real.is_file() {
            true => Ok((real, steps)),
            false => Err("it leads out of the XCAP root, or is not a regular file".to_owned()),
        }
    }
}

/// Reads a regular file of at most `limit` bytes. Pipes and devices are refused, since they may never
/// end.
fn read_file(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let mut document = Vec::new();
    let more = limit as u64 + 1;
    File::open(path)?.take(more).read_to_end(&mut document)?;
    match document.len() > limit {
        true => Err(io::Error::other(format!("longer than {limit} bytes"))),
        false => Ok(document),
    }
}

/// The entries of a list, of the lists in it, and of what it refers to below `root`; at most `limit` +
/// 1, which means that there are too many.
pub fn flatten(list: &List, root: Option<&mut XcapRoot>, limit: usize) -> Flat {
    let mut flattening = Flattening {
        root,
        limit,
        visited: HashSet::new(),
        items: 0,
        has_given_up: false,
        flat: Flat::default(),
    };
    for item in &list.items {
        flattening.add(item, 0, None);
    }
    flattening.flat
}

struct Flattening<'r> {
    root: Option<&'r mut XcapRoot>,
    limit: usize,
    /// The references followed so far: duplicates count once, so following each once is enough.
    visited: HashSet<(PathBuf, Vec<Step>)>,
    items: usize,
    has_given_up: bool,
    flat: Flat,
}

impl Flattening<'_> {
    /// `origin` is the line of the document's own reference that led here.
    fn add(&mut self, item: &Item, depth: usize, origin: Option<usize>) {
        if self.flat.entries.len() > self.limit {
            return;
        }
        self.items += 1;
        match item {
            Item::Entry(entry) => {
                let line = origin.unwrap_or(entry.line);
                self.flat.entries.push(Entry {
                    line,
                    ..entry.clone()
                });
            }
            Item::List(list) => {
                for item in &list.items {
                    self.add(item, depth, origin);
                }
            }
            Item::Reference(reference) => {
                let line = origin.unwrap_or(reference.line);
                if self.has_given_up || self.flat.notes.len() == MOST_NOTES {
                    return;
                }
                if let Err(error) = self.follow(reference, depth, line) {
                    let address = super::walker::shown(&reference.address);
                    let note = format!("{address} is not followed: {error}");
                    self.flat.notes.push((line, note));
                }
            }
        }
    }

    fn follow(&mut self, reference: &Reference, depth: usize, line: usize) -> Result<(), String> {
        let Some(root) = &mut self.root else {
            return Err("no --xcap-root was given".to_owned());
        };
        if depth == MAX_DEPTH {
            return Err("it is more than 4 references deep".to_owned());
        }
        let (path, steps) = root.locate(&reference.address)?;
        let key = (path, steps);
        if self.visited.contains(&key) {
            return Ok(());
        }
        if self.visited.len() == MAX_REFERENCES || self.items > MAX_ITEMS {
            self.has_given_up = true;
            return Err(
                "the list leads to more than 1000 references, or to far too many entries"
                    .to_owned(),
            );
        }
        let document = root.document(&key.0)?;
        let found = select(&document, &key.1);
        self.visited.insert(key);
        if found.is_empty() {
            return Err("there is no such list or entry in the document".to_owned());
        }
        for item in found {
            self.add(item, depth + 1, Some(line));
        }
        Ok(())
    }
}
