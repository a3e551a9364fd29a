//! Lists as documents have them: entries, lists in lists, and references to other documents.

use super::error::DocumentError;
use super::namespace::{RESOURCE_LISTS, is_oma};
use super::walker::{Start, Walker, shown};

/// Lists nested deeper than anybody nests them.
const MAX_DEPTH: usize = 8;

/// An address in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The address as written, not empty.
    pub uri: String,
    /// A name for people.
    pub display_name: Option<String>,
    /// The line on which it stands.
    pub line: usize,
}

/// What stands in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An address.
    Entry(Entry),
    /// A list in the list.
    List(List),
    /// An entry or a list of another document.
    Reference(Reference),
}

/// An entry or a list of another document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Where it is: an XCAP address, whole (`external`) or below the XCAP root (`entry-ref`).
    pub address: String,
    /// The line on which it stands.
    pub line: usize,
}

/// A list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Its name, by which others refer to it.
    pub name: Option<String>,
    /// A name for people.
    pub display_name: Option<String>,
    /// What stands in it, in its order.
    pub items: Vec<Item>,
    /// The line on which it starts.
    pub line: usize,
}

/// Lists and references in one list: each of them takes more memory than it has bytes, and of
/// references no more are followed.
const MAX_INSIDE: usize = 1000;

/// Whether an element may stand in a list: OMA's documents use either namespace.
fn is_of_lists(start: &Start) -> bool {
    start.namespace == RESOURCE_LISTS || is_oma(&start.namespace)
}

/// Reads what is in the element `list`, which is in no other list.
pub(super) fn read(walker: &mut Walker<'_>, start: Start) -> Result<List, DocumentError> {
    read_at(walker, start, 1, &mut 0)
}

/// Reads what is in the element `list`, which is `depth` lists deep; `inside` counts what may stand in
/// the outermost a thousand times.
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
