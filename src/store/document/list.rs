//! Lists as documents have them: entries, lists in lists, and references to other documents.

use super::error::DocumentError;
use super::namespace::{RESOURCE_LISTS, is_oma};
use super::walker::{Start, Walker, shown};

/// Nobody nests lists deeper.
const MAX_DEPTH: usize = 8;

/// An address in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The address as written, not empty.
    pub uri: String,
    /// The display name.
    pub display_name: Option<String>,
    /// Its line in the document.
    pub line: usize,
}

/// An item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An address.
    Entry(Entry),
    /// A list in the list.
    List(List),
    /// A reference to an entry or a list of another document.
    Reference(Reference),
}

/// A reference to an entry or a list of another document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its XCAP address, absolute (`external`) or relative to the XCAP root (`entry-ref`).
    pub address: String,
    /// Its line in the document.
    pub line: usize,
}

/// A list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// The name by which references find it.
    pub name: Option<String>,
    /// The display name.
    pub display_name: Option<String>,
    /// Its items, in order.
    pub items: Vec<Item>,
    /// The line where it starts.
    pub line: usize,
}

/// Most lists and references inside one list: each takes more memory than its text, and no more
/// references are followed anyway.
const MAX_INSIDE: usize = 1000;

/// Whether an element belongs to a list: OMA's documents use either namespace.
fn is_of_lists(start: &Start) -> bool {
    start.namespace == RESOURCE_LISTS || is_oma(&start.namespace)
}

/// Reads the content of an outermost `list` element.
pub(super) fn read(walker: &mut Walker<'_>, start: Start) -> Result<List, DocumentError> {
    read_at(walker, start, 1, &mut 0)
}

/// Reads the content of a `list` element at `depth`; `inside` counts the lists and references in the
/// outermost one (see [`MAX_INSIDE`]).
fn read_at(
    walker: &mut Walker<'_>,
    mut start: Start,
    depth: usize,
    inside: &mut usize,
) -> Result<List, DocumentError> {
    if depth > MAX_DEPTH {
        return Err(start.unexpected("lists at most 8 deep", shown(&start.name)));
    }
    let mut list = List {
        name: start.take("name"),
        line: start.line,
        ..List::default()
    };
    walker.left_over(&start);
    while let Some(mut child) = walker.child()? {
        let name = match is_of_lists(&child) {
            true => child.name.clone(),
            false => String::new(),
        };
        *inside += usize::from(matches!(name.as_str(), "list" | "entry-ref" | "external"));
        if *inside > MAX_INSIDE {
            let expected = "at most 1000 lists and references in a list";
            return Err(child.unexpected(expected, shown(&child.name)));
        }
        match name.as_str() {
            "entry" => list.items.push(Item::Entry(entry(walker, child)?)),
            "list" => list
                .items
                .push(Item::List(read_at(walker, child, depth + 1, inside)?)),
            "entry-ref" | "external" => {
                let attribute = if name == "external" { "anchor" } else { "ref" };
                let Some(address) = child.take(attribute).filter(|text| !text.is_empty()) else {
                    let expected = format!("{name} with {attribute}");
                    return Err(child.unexpected(expected, shown(&child.name)));
                };
                let line = child.line;
                list.items
                    .push(Item::Reference(Reference { address, line }));
                walker.finish(&child)?;
            }
            "display-name" => list.display_name = walker.name(&child)?,
            _ => walker.leave_out(&child, "list")?,
        }
    }
    Ok(list)
}

fn entry(walker: &mut Walker<'_>, mut start: Start) -> Result<Entry, DocumentError> {
    let Some(uri) = start.take("uri").filter(|uri| !uri.is_empty()) else {
        return Err(start.unexpected("entry with uri", shown(&start.name)));
    };
    walker.left_over(&start);
    let mut entry = Entry {
        uri,
        display_name: None,
        line: start.line,
    };
    while let Some(child) = walker.child()? {
        if is_of_lists(&child) && child.name == "display-name" {
            entry.display_name = walker.name(&child)?;
        } else {
            walker.leave_out(&child, "entry")?;
        }
    }
    Ok(entry)
}
