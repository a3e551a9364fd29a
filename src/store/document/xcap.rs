//! References to other documents, followed below one folder only (G-2, X-3).
//!
//! An address such as `http://xcap.example.com/resource-lists/users/sip:ann@example.com/index/~~/
//! resource-lists/list%5b@name=%22friends%22%5d` leads to the file `resource-lists/users/
//! sip:ann@example.com/index` below the folder, and in it to a list. Host and whatever stands
//! before the application's name do not count: nothing is ever fetched.

use super::MAX_BYTES;
use super::group::read_lists;
use super::list::{Entry, Item, List, Reference};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// References in references: longer chains are a mistake that nobody can oversee.
const MAX_DEPTH: usize = 4;

/// References that one list leads to: more would let a small document ask for a day's work.
const MAX_REFERENCES: usize = 1000;

/// Entries, lists and references that one list leads to, however often: more would let a document
/// that refers to itself in a thousand ways ask for a day's work.
const MAX_ITEMS: usize = 20_000_000;

/// More notes on one list than anybody reads.
const MOST_NOTES: usize = 100;

/// What is read in all for one command: 1,000 references to large documents would fill the memory.
const MAX_TOTAL: usize = 4 * MAX_BYTES;

/// A folder with documents, each where XCAP has it.
pub struct XcapRoot {
    root: PathBuf,
    /// What was read: the lists, or why there are none.
    documents: HashMap<PathBuf, Result<Rc<List>, String>>,
    read: usize,
}

/// A list with all references followed as far as they lead.
#[derive(Debug, Default)]
pub struct Flat {
    /// The entries in their order, duplicates included.
    pub entries: Vec<Entry>,
    /// What could not be followed: the line of the reference, and why.
    pub notes: Vec<(usize, String)>,
}

/// One step of the way to a node: `list[@name="friends"]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Step {
    name: String,
    is: Option<Which>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Which {
    /// The nth, counted from 1.
    Number(usize),
    /// The one whose attribute has this value.
    Attribute(String, String),
}

impl XcapRoot {
    /// Takes `folder` as the root of all documents.
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

    /// The entries of the list at an address, such as a ruleset names.
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

    /// The file that an address leads to, certainly below the root, and the steps within it.
    fn locate(&self, address: &str) -> Result<(PathBuf, Vec<Step>), String> {
        let (address, _) = address.split_once('?').unwrap_or((address, ""));
        let path = match address.split_once("://") {
            None => address,
            Some(("http" | "https", rest)) => rest.split_once('/').map_or("", |(_, path)| path),
            Some((scheme, _)) => {
                return Err(format!(
                    "expected an http address or a path, found `{scheme}:`"
                ));
            }
        };
        let mut segments: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
        let is_application = |segment: &&str| {
            *segment == "resource-lists" || segment.starts_with("org.openmobilealliance.")
        };
        let Some(start) = segments.iter().position(is_application) else {
            return Err("expected resource-lists in the path".to_owned());
        };
        segments.drain(..start);
        let node = segments
            .iter()
            .position(|segment| decoded(segment).as_deref() == Some("~~"));
        let steps = match node {
            None => Vec::new(),
            Some(at) => {
                let steps = segments
                    .drain(at..)
                    .skip(1)
                    .map(step)
                    .collect::<Option<Vec<_>>>();
                steps.ok_or("expected steps such as list[@name=\"friends\"] behind ~~")?
            }
        };
        let mut path = self.root.clone();
        for segment in segments {
            let decoded = decoded(segment);
            let name = decoded.as_deref().filter(|name| is_name(name));
            let name = name.ok_or_else(|| format!("`{segment}` is no name of a file here"))?;
            let plain = path.join(name);
            let as_given = path.join(segment);
            path = match !plain.exists() && is_name(segment) && as_given.exists() {
                true => as_given,
                false => plain,
            };
        }
        let real = fs::canonicalize(&path).map_err(|_| "there is no such document".to_owned())?;
        // Symbolic links may lead anywhere.
        match real.starts_with(&self.root) && real.is_file() {
            true => Ok((real, steps)),
            false => Err("it leads out of the XCAP root, or to no file".to_owned()),
        }
    }
}

/// Reads a file of at most `limit` bytes. A pipe or a device would never end, so it is none.
pub fn read_file(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
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

/// Whether a text can be the name of one file, and of no way to another.
fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.contains(['/', '\\', '\0'])
}

/// A segment with its escapes undone, once.
fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

fn step(segment: &str) -> Option<Step> {
    let text = decoded(segment)?;
    let (name, which) = match text.split_once('[') {
        None => (text.as_str(), None),
        Some((name, which)) => (name, Some(which.strip_suffix(']')?)),
    };
    let is = match which {
        None => None,
        Some(which) => match which.strip_prefix('@') {
            None => Some(Which::Number(which.parse().ok()?)),
            Some(attribute) => {
                let (attribute, value) = attribute.split_once('=')?;
                let quote = value.chars().next().filter(|it| matches!(it, '"' | '\''))?;
                let value = value.strip_prefix(quote)?.strip_suffix(quote)?;
                Some(Which::Attribute(attribute.to_owned(), value.to_owned()))
            }
        },
    };
    // A prefix stands for a namespace that the address declares; there is only one here.
    let name = name.rsplit_once(':').map_or(name, |(_, local)| local);
    Some(Step {
        name: name.to_owned(),
        is,
    })
}

/// What the steps lead to; without steps, all lists.
fn select<'d>(document: &'d List, steps: &[Step]) -> Vec<&'d Item> {
    let mut steps = steps.iter();
    match steps.next() {
        None => return document.items.iter().collect(),
        Some(root) if matches!(root.name.as_str(), "resource-lists" | "*") => {}
        Some(_) => return Vec::new(),
    }
    let mut here: Vec<&Item> = document.items.iter().collect();
    let mut first = true;
    for step in steps {
        if !std::mem::take(&mut first) {
            let items = here.into_iter().filter_map(|item| match item {
                Item::List(list) => Some(list.items.iter()),
                _ => None,
            });
            here = items.flatten().collect();
        }
        let named = here.into_iter().filter(|item| match item {
            Item::Entry(_) => matches!(step.name.as_str(), "entry" | "*"),
            Item::List(_) => matches!(step.name.as_str(), "list" | "*"),
            Item::Reference(_) => false,
        });
        here = match &step.is {
            None => named.collect(),
            Some(Which::Number(number)) => named.skip(number.saturating_sub(1)).take(1).collect(),
            Some(Which::Attribute(name, value)) => {
                let has = |item: &&Item| match item {
                    Item::Entry(entry) => name == "uri" && entry.uri == *value,
                    Item::List(list) => name == "name" && list.name.as_ref() == Some(value),
                    Item::Reference(_) => false,
                };
                named.filter(has).collect()
            }
        };
    }
    here
}

/// The entries of a list and of the lists in it, and of what it refers to below `root`; one more
/// than `limit` at most, which tells that there are too many.
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
    /// What was followed: once is enough, as duplicates count once anyway.
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
            return Err("there is no --xcap-root to look below".to_owned());
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
                "the list leads to more than 1000 references, or to far too much".to_owned(),
            );
        }
        let document = root.document(&key.0)?;
        let found = select(&document, &key.1);
        self.visited.insert(key);
        if found.is_empty() {
            return Err("the document has no such list or entry".to_owned());
        }
        for item in found {
            self.add(item, depth + 1, Some(line));
        }
        Ok(())
    }
}
