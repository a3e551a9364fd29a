//! `application/resource-lists+xml` with copy control: RFC 4826 §3, RFC 5364, RFC 5365 §4.
//!
//! Only the entries of a message's list matter, in their order; nested lists are flattened.
//! `entry-ref` and `external` are counted and never followed. Whether an entry's URI can be sent
//! to is decided by the caller.

use super::list_error::{ListError, ListErrorKind};
use super::xml::{Element, Event, Reader};
use super::xml_text::is_blank;
use smallvec::SmallVec;

const PART: &str = "resource list";

/// The namespace of resource lists.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:resource-lists";

/// The namespace of copy control (RFC 5364 §4).
pub const COPY_CONTROL: &str = "urn:ietf:params:xml:ns:copycontrol";

/// The longest list that is accepted (X-4, S-3).
pub const MAX_BYTES: usize = 64 * 1024;

/// No client nests lists deeper; anything deeper is an attack.
const MAX_LIST_DEPTH: usize = 8;

/// How visible a recipient is to the others (RFC 5364), the most visible first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CopyControl {
    /// `to`.
    To,
    /// `cc`.
    Cc,
    /// `bcc`, and also a missing or unknown value (K-2).
    Bcc,
}

impl CopyControl {
    fn of(value: &str) -> Self {
        match value {
            "to" => Self::To,
            "cc" => Self::Cc,
            _ => Self::Bcc,
        }
    }

    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::To => "to",
            Self::Cc => "cc",
            Self::Bcc => "bcc",
        }
    }
}

/// One recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The URI as written, with entities decoded and surrounding blanks removed; not empty.
    pub uri: String,
    /// How visible the recipient is to the others.
    pub copy: CopyControl,
    /// Whether the others see that there is such a recipient, but not who.
    pub anonymize: bool,
    /// The display name, as written.
    pub display_name: Option<String>,
}

/// The recipients of a message, from one or several list parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceList {
    /// All entries in their order, duplicates included.
    pub entries: Vec<Entry>,
    /// How many `entry-ref` were ignored.
    pub entry_refs: usize,
    /// How many `external` were ignored.
    pub externals: usize,
}

/// The position of an element in the document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The root or a list.
    List,
    Entry,
    DisplayName,
    /// In an unknown element, which is skipped with its contents.
    Unknown,
}

/// The kind of an error, and what was expected.
type Unexpected = (ListErrorKind, &'static str);

impl ResourceList {
    /// Parses one document with at most `max_entries` entries.
    ///
    /// Fails if the document is longer than [`MAX_BYTES`], has more entries, violates a rule of X-4, is
    /// not a resource list, or has an entry without a URI.
    pub fn read(document: &[u8], max_entries: usize) -> Result<Self, ListError> {
        let mut list = Self::default();
        list.append(document, max_entries)?;
        Ok(list)
    }

    /// Parses a further document into the same list (U-2), which then has at most `max_entries` entries
    /// in total. Fails as [`ResourceList::read`] does; the list is incomplete then and must not be
    /// used.
    pub fn append(&mut self, document: &[u8], max_entries: usize) -> Result<(), ListError> {
        let mut reader = Reader::new(PART, document, MAX_BYTES)?;
        let mut places = SmallVec::new();
        while let Some(event) = reader.read()? {
            let taken = self.take(&event, &mut places, max_entries);
            drop(event);
            taken.map_err(|(kind, expected)| reader.error(kind, expected))?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        event: &Event<'_>,
        places: &mut SmallVec<[Place; 16]>,
        max_entries: usize,
    ) -> Result<(), Unexpected> {
        match event {
            Event::Start(element) => {
                let place = self.open(places, element, max_entries)?;
                places.push(place);
            }
            Event::End => {
                places.pop();
            }
            Event::Text(text) => match places.last() {
                Some(Place::DisplayName) => self.add_to_name(text),
                Some(Place::List | Place::Entry) if !is_blank(text) => {
                    return Err((ListErrorKind::Malformed, "an element"));
                }
                _ => {}
            },
        }
        Ok(())
    }

    fn open(
        &mut self,
        places: &[Place],
        element: &Element<'_>,
        max_entries: usize,
    ) -> Result<Place, Unexpected> {
        let malformed = |expected| Err((ListErrorKind::Malformed, expected));
        let name = element.name_in(NAMESPACE).unwrap_or_default();
        Ok(match (places.last(), name) {
            (None, "resource-lists") => Place::List,
            (None, _) => return malformed("the root element resource-lists"),
            (Some(Place::List), "list") if places.len() > MAX_LIST_DEPTH => {
                return malformed("lists at most 8 deep");
            }
            (Some(Place::List), "list") => Place::List,
            (Some(Place::List), "entry") => {
                if self.entries.len() >= max_entries {
                    let kind = ListErrorKind::TooManyEntries;
                    return Err((kind, "no more entries than are allowed"));
                }
                match entry(element) {
                    Some(entry) => self.entries.push(entry),
                    None => return malformed("an entry with a uri"),
                }
                Place::Entry
            }
            (Some(Place::List), "entry-ref") => {
                self.entry_refs += 1;
                Place::Unknown
            }
            (Some(Place::List), "external") => {
                self.externals += 1;
                Place::Unknown
            }
            (Some(Place::Entry), "display-name") if !self.has_name() => Place::DisplayName,
            _ => Place::Unknown,
        })
    }

    fn has_name(&self) -> bool {
        let last = self.entries.last();
        last.is_some_and(|entry| entry.display_name.is_some())
    }

    fn add_to_name(&mut self, text: &str) {
        if let Some(entry) = self.entries.last_mut() {
            let name = entry.display_name.get_or_insert_default();
            name.push_str(text);
        }
    }
}

/// An entry without its display name; `None` if its URI is missing or empty.
fn entry(element: &Element<'_>) -> Option<Entry> {
    // The schema's types collapse white space.
    let value = |namespace, name| {
        let value = element.attribute(namespace, name)?;
        Some(value.trim_matches(' ').to_owned())
    };
    let uri = value(None, "uri").filter(|uri| !uri.is_empty())?;
    let copy = value(Some(COPY_CONTROL), "copyControl");
    let anonymize = value(Some(COPY_CONTROL), "anonymize");
    Some(Entry {
        uri,
        copy: copy.map_or(CopyControl::Bcc, |value| CopyControl::of(&value)),
        anonymize: anonymize.is_some_and(|value| value == "true" || value == "1"),
        display_name: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Uri;
    use proptest::prelude::*;

    /// The document with this inside its root element.
    fn document(content: &str) -> String {
        format!(
            "<resource-lists xmlns='{NAMESPACE}' xmlns:cp='{COPY_CONTROL}'>{content}</resource-lists>"
        )
    }

    fn read(content: &str) -> Result<ResourceList, ListError> {
        ResourceList::read(document(content).as_bytes(), 1000)
    }

    /// The entries in short: URI, copy control, `?` for those to be anonymised.
    fn short(content: &str) -> Vec<String> {
        let entries = read(content).unwrap().entries;
        let short = |entry: &Entry| {
            let mark = if entry.anonymize { "?" } else { "" };
            format!("{} {}{mark}", entry.uri, entry.copy.as_str())
        };
        entries.iter().map(short).collect()
    }

    #[test]
    fn the_list_of_flow_two_is_read() {
        let message = include_bytes!("../../tests/flows/2-F1-message-in.sip");
        let start = memchr::memmem::find(message, b"<?xml").unwrap();
        let end = memchr::memmem::find(message, b"\r\n--b1--").unwrap();
        let list = ResourceList::read(&message[start..end], 3).unwrap();
        let expected = [
            ("sip:bob@home1.net", CopyControl::To, false),
            ("sip:cho@home2.net", CopyControl::Cc, true),
            ("sip:dee@home1.net", CopyControl::Bcc, false),
        ];
        let expected = expected.map(|(uri, copy, anonymize)| Entry {
            uri: uri.to_owned(),
            copy,
            anonymize,
            display_name: None,
        });
        assert_eq!(list.entries, expected);
    }

    #[test]
    fn copy_control_is_known_by_its_namespace_and_missing_means_bcc() {
        // K-1, K-2, K-4; T 56, 57.
        let content = "<list xmlns:x='urn:ietf:params:xml:ns:copycontrol' xmlns:y='urn:other'>\
            <entry uri='a:1'/>\
            <entry uri='a:2' copyControl='to' anonymize='true'/>\
            <entry uri='a:3' x:copyControl='to' cp:anonymize=' 1 '/>\
            <entry uri='a:4' y:copyControl='to' y:anonymize='true'/>\
            <entry uri='a:5' cp:copyControl=' cc ' cp:anonymize='false'/>\
            <entry uri='a:6' cp:copyControl='CC' cp:anonymize='0'/>\
            <entry uri='a:7' cp:capacity='to' cp:count='3'/>\
            <entry cp:uri='x' uri='a:8' cp:copyControl='' cp:anonymize='yes'/></list>";
        assert_eq!(
            short(content),
            [
                "a:1 bcc", "a:2 bcc", "a:3 to?", "a:4 bcc", "a:5 cc", "a:6 bcc", "a:7 bcc",
                "a:8 bcc"
            ]
        );
    }

    #[test]
    fn nested_lists_are_flattened_to_a_depth_of_eight() {
        //
        let nested = |depth: usize| {
            let open = "<list><entry uri='a:1'/>".repeat(depth);
            open + &"<entry uri='a:2'/></list>".repeat(depth)
        };
        assert_eq!(short(&nested(8)).len(), 16);
        assert_eq!(
            read(&nested(9)).unwrap_err().cause.expected,
            "lists at most 8 deep"
        );
    }

    #[test]
    fn unknown_elements_are_skipped_with_their_contents() {
        //
        let content = "<list name='x'><display-name>Friends</display-name>\
            <entry uri='a:1' x='y'><display-name xml:lang='en'>A &amp; <b>B</b><![CDATA[<C>]]>\
            </display-name><display-name>D</display-name><entry uri='a:0'/></entry>\
            <x:any xmlns:x='urn:x'>text<entry uri='a:0'/><x:entry/></x:any>\
            <entry xmlns='urn:x'/><entry uri='a:2'></entry></list><entry uri='a:3'/>";
        assert_eq!(short(content), ["a:1 bcc", "a:2 bcc", "a:3 bcc"]);
        let name = read(content).unwrap().entries[0].display_name.clone();
        assert_eq!(name.as_deref(), Some("A & <C>"));
    }

    #[test]
    fn references_to_other_lists_are_counted_and_not_followed() {
        //
        let content = "<list><entry-ref ref='r'/><external anchor='http://x'>\
            <display-name>x</display-name></external><entry uri='a:1'/><entry-ref/></list>";
        let list = read(content).unwrap();
        assert_eq!(
            (list.entries.len(), list.entry_refs, list.externals),
            (1, 2, 1)
        );
    }

    #[test]
    fn a_list_without_entries_is_an_empty_list() {
        // T 43.
        for content in ["<list/>", "", "<list></list><list> </list>"] {
            assert_eq!(read(content).unwrap(), ResourceList::default());
        }
    }

    #[test]
    fn a_document_that_is_not_a_resource_list_is_malformed() {
        // X-5; T 75.
        let whole = document("<list>\n<entry uri='a:1'/></list>");
        for (document, expected) in [
            (whole[..whole.len() - 1].to_owned(), "well-formed XML"),
            (whole[..whole.len() - 17].to_owned(), "an end tag"),
            (document("<list><entry/></list>"), "an entry with a uri"),
            (
                document("<list><entry uri=''/></list>"),
                "an entry with a uri",
            ),
            (
                document("<list><entry uri=' \n'/></list>"),
                "an entry with a uri",
            ),
            (document("<list>bob<entry uri='a:1'/></list>"), "an element"),
            (
                document("<list><entry uri='a:1'>bob</entry></list>"),
                "an element",
            ),
            (
                "<resource-lists/>".to_owned(),
                "the root element resource-lists",
            ),
            (
                format!("<list xmlns='{NAMESPACE}'/>"),
                "the root element resource-lists",
            ),
            (
                whole.replace("ns:resource-lists", "ns:x"),
                "the root element resource-lists",
            ),
        ] {
            let error = ResourceList::read(document.as_bytes(), 9).unwrap_err();
            assert_eq!(error.cause.expected, expected, "{document}");
            assert_eq!(error.kind, ListErrorKind::Malformed);
        }
        let broken = whole.replace("uri", "url");
        let error = ResourceList::read(broken.as_bytes(), 9).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2 of resource list: expected an entry with a uri at byte 115, found '<'"
        );
    }

    #[test]
    fn too_many_entries_and_too_long_documents_have_their_own_refusals() {
        // S-3.
        let content = "<list><entry uri='a:1'/><entry uri='a:1'/></list>";
        let text = document(content);
        assert!(ResourceList::read(text.as_bytes(), 2).is_ok());
        let error = ResourceList::read(text.as_bytes(), 1).unwrap_err();
        assert_eq!(error.kind, ListErrorKind::TooManyEntries);
        let filled = text.clone() + &" ".repeat(MAX_BYTES - text.len());
        assert!(ResourceList::read(filled.as_bytes(), 2).is_ok());
        let error = ResourceList::read((filled + " ").as_bytes(), 2).unwrap_err();
        assert_eq!(error.kind, ListErrorKind::TooLong);
    }

    #[test]
    fn several_documents_make_one_list_with_one_limit() {
        // U-2.
        let text = document("<list><entry uri='a:1'/></list>");
        let mut list = ResourceList::default();
        list.append(text.as_bytes(), 2).unwrap();
        list.append(text.as_bytes(), 2).unwrap();
        assert_eq!(list.entries.len(), 2);
        let error = list.append(text.as_bytes(), 2).unwrap_err();
        assert_eq!(error.kind, ListErrorKind::TooManyEntries);
    }

    #[test]
    fn no_uri_with_a_control_character_can_be_read_as_an_address() {
        // S-7: such an entry is skipped, since its URI does not parse.
        for number in (0..32).chain(127..160) {
            let content = format!("<list><entry uri='sip:b&#{number};ob@h'/></list>");
            let uri = read(&content).unwrap().entries.remove(0).uri;
            assert!(uri.contains(char::from(number)), "{number}");
            let control = char::from(number);
            for place in [
                "sip:",
                "sip:a",
                "sip:a@",
                "sip:h;p=",
                "sip:h?s=",
                "tel:+1",
                "tel:+1;p=",
            ] {
                for form in [format!("{place}{control}"), format!("{place}{control}1@h")] {
                    assert!(Uri::parse(form.as_bytes()).is_err(), "{number} in {place}");
                }
            }
            for scheme in ["urn:", "im:", "mailto:"] {
                let form = scheme.to_owned() + &uri;
                assert!(Uri::parse(form.as_bytes()).is_err(), "{number} in {scheme}");
            }
        }
        // Literal white space becomes blanks, and surrounding blanks are removed.
        assert_eq!(short("<list><entry uri='\r\n a:1\t'/></list>"), ["a:1 bcc"]);
    }

    proptest! {
        #[test]
        fn no_input_makes_the_reader_panic(document: Vec<u8>, content: String) {
            let _ = ResourceList::read(&document, 9);
            let _ = read(&content);
        }

        #[test]
        fn no_list_of_likely_pieces_makes_the_reader_panic(
            content in "(<list>|</list>|<entry uri='a:1'/>|<entry |uri='|cp:copyControl='to'|'|/>|<display-name>|</display-name>|</entry>|x|&amp;|<external>){0,16}",
        ) {
            let _ = read(&content);
        }
    }
}
