//! Writing a tree of documents in XCAP layout, which [`XcapRoot`] can read (G-2): the groups, and the
//! lists that their rules refer to.

use super::address::Address;
use super::escape::escape_attribute;
use super::write::{Format, Written};
use super::xcap::XcapRoot;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of the group documents.
const GROUPS: &str = "org.openmobilealliance.groups/global/byGroupID";

/// A tree being written.
pub struct XcapTree {
    root: PathBuf,
    /// The documents of lists, by their path below the root.
    documents: BTreeMap<PathBuf, Lists>,
    named: Vec<Named>,
}

/// A list in a document, or all lists of one.
#[derive(Default)]
struct Lists {
    entries: Vec<String>,
    lists: BTreeMap<String, Lists>,
}

/// A list that the rules of a group refer to.
struct Named {
    group: String,
    anchor: String,
    entries: Vec<String>,
}

impl XcapTree {
    /// Uses `folder` as the root. It is created if missing.
    ///
    /// # Errors
    ///
    /// It cannot be created, or is not empty: older documents in it would be imported as well.
    pub fn create(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        if fs::read_dir(folder)?.next().is_some() {
            let text = "the folder is not empty, and its content would be imported as well";
            return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, text));
        }
        Ok(Self {
            root: folder.to_owned(),
            documents: BTreeMap::new(),
            named: Vec::new(),
        })
    }

    /// Writes the document of a group.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn add_group(&mut self, group: &Written) -> io::Result<()> {
        let name = Path::new(GROUPS).join(file_name(&group.uri));
        let format = Format::Groups;
        let text = format.head() + &format.group(group) + format.tail();
        self.write(&name, &text)
    }

    /// Collects a list that the rules of a group refer to; [`XcapTree::finish`] writes it.
    pub fn add_list(&mut self, group: &str, anchor: &str, entries: &[String]) {
        if let Some((document, lists)) = place(anchor)
            && self.has_room_for(&document)
        {
            let mut here = self.documents.entry(document).or_default();
            for list in lists {
                here = here.lists.entry(list).or_default();
            }
            if here.entries.is_empty() {
                here.entries = entries.to_vec();
            }
        }
        self.named.push(Named {
            group: group.to_owned(),
            anchor: anchor.to_owned(),
            entries: entries.to_vec(),
        });
    }

    /// Whether no other document is in the place of a folder that this one needs, or vice versa.
    fn has_room_for(&self, document: &Path) -> bool {
        self.documents.keys().all(|other| {
            other == document || !(other.starts_with(document) || document.starts_with(other))
        })
    }

    /// Writes the lists. Returns those that would not be found when the tree is read: the group whose
    /// rules refer to them, and their address.
    ///
    /// # Errors
    ///
    /// A document cannot be written.
    pub fn finish(self) -> io::Result<Vec<(String, String)>> {
        for (name, lists) in &self.documents {
            let mut text = Format::Lists.head();
            if !lists.entries.is_empty() {
                text += "  <list>\n";
                write_entries(&lists.entries, &mut text);
                text += "  </list>\n";
            }
            write_lists(lists, &mut text);
            self.write(name, &(text + Format::Lists.tail()))?;
        }
        let mut root = XcapRoot::open(&self.root)?;
        let named = self.named.into_iter();
        let lost = named.filter(|named| {
            let read = root.list_at(&named.anchor, usize::MAX).entries;
            let read: BTreeSet<&str> = read.iter().map(|entry| entry.uri.as_str()).collect();
            read != named.entries.iter().map(String::as_str).collect()
        });
        Ok(lost.map(|named| (named.group, named.anchor)).collect())
    }

    fn write(&self, name: &Path, text: &str) -> io::Result<()> {
        let path = self.root.join(name);
        let in_file =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(in_file)?;
        }
        fs::write(&path, text).map_err(in_file)
    }
}

/// The document that an address leads to and the names of the lists in it, if the address can be laid
/// out as a file.
fn place(anchor: &str) -> Option<(PathBuf, Vec<String>)> {
    let address = Address::read(anchor).ok()?;
    let names: PathBuf = address.names.iter().map(|name| &name.name).collect();
    let lists = address.lists()?.into_iter().map(str::to_owned).collect();
    let is_of_lists = names.starts_with("resource-lists") && address.names.len() > 1;
    is_of_lists.then_some((names, lists))
}

/// An address as a file name.
fn file_name(uri: &str) -> String {
    let mut name = String::with_capacity(uri.len());
    for character in uri.chars() {
        match character {
            '/' | '\\' | '\0' => name += &format!("%{:02X}", u32::from(character)),
            other => name.push(other),
        }
    }
    name
}

fn write_lists(lists: &Lists, out: &mut String) {
    for (name, list) in &lists.lists {
        *out += &format!("  <list name=\"{}\">\n", escape_attribute(name));
        write_entries(&list.entries, out);
        write_lists(list, out);
        *out += "  </list>\n";
    }
}

fn write_entries(entries: &[String], out: &mut String) {
    for uri in entries {
        *out += &format!("    <entry uri=\"{}\"/>\n", escape_attribute(uri));
    }
}
