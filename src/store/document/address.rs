//! XCAP addresses (RFC 4825 §6) in references: a file, and the path to a list in it.
//!
//! `http://xcap.example.com/resource-lists/users/sip:ann@example.com/index/~~/resource-lists/
//! list%5b@name=%22friends%22%5d` is the file `resource-lists/users/sip:ann@example.com/index`, and a
//! list in it. The host and whatever precedes the application's name are ignored.

use super::list::{Item, List};

/// A parsed address.
pub(super) struct Address<'a> {
    /// The names of the folders and of the file.
    pub names: Vec<Name<'a>>,
    /// The steps within the document.
    pub steps: Vec<Step>,
}

/// The name of a file or folder.
pub(super) struct Name<'a> {
    /// Decoded.
    pub name: String,
    /// As written in the address.
    pub as_given: &'a str,
}

impl<'a> Address<'a> {
    /// Parses an address: an http URL, or only its path.
    pub fn read(address: &'a str) -> Result<Self, String> {
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
                steps.ok_or("expected steps such as list[@name=\"friends\"] after ~~")?
            }
        };
        let names = segments.into_iter().map(|as_given| {
            let name = decoded(as_given).filter(|name| is_name(name));
            let name = name.ok_or_else(|| format!("`{as_given}` is not a file name"))?;
            Ok(Name { name, as_given })
        });
        Ok(Self {
            names: names.collect::<Result<_, String>>()?,
            steps,
        })
    }

    /// The names of the lists that the steps lead through, if the steps select by name only; empty if
    /// they select the whole document.
    pub fn lists(&self) -> Option<Vec<&str>> {
        let (root, steps) = match self.steps.split_first() {
            None => return Some(Vec::new()),
            Some(split) => split,
        };
        let names = steps.iter().map(|step| match &step.is {
            Some(Which::Attribute(name, value)) if step.name == "list" && name == "name" => {
                Some(value.as_str())
            }
            _ => None,
        });
        names
            .collect::<Option<_>>()
            .filter(|_| root.name == "resource-lists")
    }
}

/// One step of the path to a node: `list[@name="friends"]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Step {
    pub name: String,
    pub is: Option<Which>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Which {
    /// Selects the nth, counted from 1.
    Number(usize),
    /// Selects the one whose attribute has this value.
    Attribute(String, String),
}

/// Whether a text is a plain file name, and not a path.
pub(super) fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.contains(['/', '\\', '\0'])
}

/// A path segment, decoded once.
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
    // The prefix refers to a namespace that the address declares; only one is supported, so it is
    // ignored.
    let name = name.rsplit_once(':').map_or(name, |(_, local)| local);
    Some(Step {
        name: name.to_owned(),
        is,
    })
}

/// The items that the steps select; without steps, all lists.
pub(super) fn select<'d>(document: &'d List, steps: &[Step]) -> Vec<&'d Item> {
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
