//! Untrusted XML: namespace-aware events, with all checks of X-4.
//!
//! `quick-xml` tokenises the text; what it accepts and a list must not contain is refused here:
//! document types, custom entities, a second root, text around the root, unknown prefixes, other
//! encodings, and whatever would cost time or memory out of proportion.

use super::list_error::{ListError, ListErrorKind};
use super::xml_text::{character, is_blank, is_qualified_name, undone};
use quick_xml::Error;
use quick_xml::errors::IllFormedError;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesDecl, BytesStart, Event as Raw};
use quick_xml::name::{Namespace, NamespaceResolver, PrefixDeclaration, ResolveResult};
use quick_xml::reader::NsReader;
use smallvec::SmallVec;
use std::borrow::Cow;

/// No list has elements nested deeper: each open one costs memory, and every name is looked up in the
/// declarations of all.
const MAX_DEPTH: usize = 16;

/// More attributes than any element of a list has: each is compared with the others.
const MAX_ATTRIBUTES: usize = 32;

/// More namespaces than any list declares: every name is looked up in all.
const MAX_NAMESPACES: usize = 32;

/// A part of a document.
#[derive(Debug)]
pub enum Event<'r> {
    /// An element starts; for an empty one `End` follows at once.
    Start(Element<'r>),
    /// The element that started last ends.
    End,
    /// Text inside an element, entities decoded. One text may come in several pieces.
    Text(Cow<'r, str>),
}

/// The start of an element.
#[derive(Debug)]
pub struct Element<'r> {
    start: BytesStart<'r>,
    resolver: &'r NamespaceResolver,
}

impl Element<'_> {
    /// The name without its prefix, if the element is in `namespace`.
    pub fn name_in(&self, namespace: &str) -> Option<&str> {
        let (found, local) = self.resolver.resolve_element(self.start.name());
        (found == ResolveResult::Bound(Namespace(namespace))).then_some(local.into_inner())
    }

    /// The namespace, if there is one, with its entities decoded, and the name without its prefix.
    pub fn name(&self) -> (Option<Cow<'_, str>>, &str) {
        let (found, local) = self.resolver.resolve_element(self.start.name());
        let namespace = bound(&found).and_then(|namespace| undone(namespace.into_inner().into()));
        (namespace, local.into_inner())
    }

    /// All attributes except namespace declarations: namespace, name, and value as
    /// [`Element::attribute`] returns it.
    pub fn attributes(&self) -> impl Iterator<Item = (Option<&str>, &str, Cow<'_, str>)> {
        self.start
            .attributes()
            .flatten()
            .filter(|attribute| attribute.key.as_namespace_binding().is_none())
            .filter_map(|attribute| {
                let (found, local) = self.resolver.resolve_attribute(attribute.key);
                let namespace = bound(&found).map(|namespace| namespace.into_inner());
                Some((namespace, local.into_inner(), undone(attribute.value)?))
            })
    }

    /// The value of the attribute `name` in `namespace`, or without a prefix if that is `None`;
    /// entities are decoded and white space becomes blanks (XML 1.0 §3.3.3).
    pub fn attribute(&self, namespace: Option<&str>, name: &str) -> Option<Cow<'_, str>> {
        let namespace = namespace.map(Namespace);
        let mut attributes = self.start.attributes();
        let found = attributes.with_checks(false).flatten().find(|attribute| {
            let (found, local) = self.resolver.resolve_attribute(attribute.key);
            local.into_inner() == name && bound(&found) == namespace
        })?;
        undone(found.value)
    }
}

fn bound<'n>(resolved: &ResolveResult<'n>) -> Option<Namespace<'n>> {
    match resolved {
        ResolveResult::Bound(namespace) => Some(*namespace),
        ResolveResult::Unbound | ResolveResult::Unknown(_) => None,
    }
}

/// A reader of one document that enforces X-4.
pub struct Reader<'x> {
    part: &'static str,
    document: &'x [u8],
    /// The length of the byte order mark.
    skipped: usize,
    events: NsReader<&'x [u8]>,
    /// Where the last event started.
    at: usize,
    depth: usize,
    has_root: bool,
}

impl<'x> Reader<'x> {
    /// A reader of `document`, which is called `part` in errors.
    ///
    /// Fails if it is longer than `max_bytes`, is not UTF-8 or contains a NUL.
    pub fn new(
        part: &'static str,
        document: &'x [u8],
        max_bytes: usize,
    ) -> Result<Self, ListError> {
        let malformed =
            |at, expected| ListError::at(ListErrorKind::Malformed, part, document, at, expected);
        if document.len() > max_bytes {
            let kind = ListErrorKind::TooLong;
            let expected = "the end of a document of allowed length";
            return Err(ListError::at(kind, part, document, max_bytes, expected));
        }
        if let Some(at) = memchr::memchr(0, document) {
            return Err(malformed(at, "no NUL"));
        }
        let text = std::str::from_utf8(document)
            .map_err(|error| malformed(error.valid_up_to(), "UTF-8"))?;
        let content = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut events = NsReader::from_str(content);
        events.config_mut().enable_all_checks(true);
        events.config_mut().expand_empty_elements = true;
        let resolver = events.resolver_mut();
        resolver.set_max_namespace_bindings(MAX_NAMESPACES);
        Ok(Self {
            part,
            document,
            skipped: text.len() - content.len(),
            events,
            at: 0,
            depth: 0,
            has_root: false,
        })
    }

    /// The next event, or `None` at the end of a complete document.
    ///
    /// Fails if the document is not well-formed or violates a rule of X-4; the reader must not be used
    /// afterwards.
    pub fn read(&mut self) -> Result<Option<Event<'_>>, ListError> {
        loop {
            self.at = self.position(self.events.buffer_position());
            let at = self.at;
            let event = match self.events.read_event() {
                Ok(event) => event,
                Err(error) => return Err(self.broken(&error)),
            };
            return match event {
                Raw::Comment(_) | Raw::PI(_) => continue,
                Raw::Decl(declaration) => {
                    self.check_declaration(&declaration, at)?;
                    continue;
                }
                Raw::DocType(_) => Err(self.malformed(at, "no document type declaration")),
                // Empty elements come as two events.
                Raw::Start(start) | Raw::Empty(start) => self.open(start, at),
                Raw::End(_) => {
                    self.depth -= usize::from(self.depth > 0);
                    Ok(Some(Event::End))
                }
                Raw::Text(text) => {
                    let text = text.xml10_content();
                    if self.depth > 0 {
                        return Ok(Some(Event::Text(text)));
                    }
                    if is_blank(&text) {
                        continue;
                    }
                    Err(self.outside(at))
                }
                Raw::CData(_) | Raw::GeneralRef(_) if self.depth == 0 => Err(self.outside(at)),
                Raw::CData(text) => Ok(Some(Event::Text(text.xml10_content()))),
                Raw::GeneralRef(reference) => match character(&reference) {
                    Some(character) => Ok(Some(Event::Text(character.to_string().into()))),
                    None => Err(self.malformed(at, ENTITY)),
                },
                Raw::Eof if self.depth > 0 => Err(self.malformed(at, "an end tag")),
                Raw::Eof if !self.has_root => Err(self.malformed(at, "a root element")),
                Raw::Eof => Ok(None),
            };
        }
    }

    /// The byte of the document at which the last event starts.
    pub fn at(&self) -> usize {
        self.at
    }

    fn open(&mut self, start: BytesStart<'x>, at: usize) -> Result<Option<Event<'_>>, ListError> {
        if self.depth == 0 && self.has_root {
            return Err(self.malformed(at, "no second root element"));
        }
        if self.depth == MAX_DEPTH {
            return Err(self.malformed(at, "elements at most 16 deep"));
        }
        self.check_element(&start, at)?;
        self.depth += 1;
        self.has_root = true;
        Ok(Some(Event::Start(Element {
            start,
            resolver: self.events.resolver(),
        })))
    }

    fn check_element(&self, start: &BytesStart<'_>, at: usize) -> Result<(), ListError> {
        let resolver = self.events.resolver();
        let is_unknown = |resolved| matches!(resolved, ResolveResult::Unknown(_));
        let name = start.name();
        if !is_qualified_name(name.into_inner()) {
            return Err(self.malformed(at, "an element name"));
        }
        if is_unknown(resolver.resolve_element(name).0) {
            return Err(self.malformed(at, "a declared prefix"));
        }
        let raw = start.attributes_raw();
        let raw_at = at + 1 + name.into_inner().len();
        let mut seen = SmallVec::<[(Namespace<'_>, &str); 4]>::new();
        for (index, attribute) in start.attributes().enumerate() {
            let attribute = attribute
                .map_err(|_| self.malformed(at, "attributes with quoted values, each once"))?;
            let key = attribute.key.into_inner();
            let offset = (key.as_ptr() as usize).saturating_sub(raw.as_ptr() as usize);
            let fail = |expected| Err(self.malformed(raw_at + offset, expected));
            let before = offset.checked_sub(1).and_then(|it| raw.as_bytes().get(it));
            if index == MAX_ATTRIBUTES {
                return fail("at most 32 attributes");
            }
            if !before.is_some_and(u8::is_ascii_whitespace) {
                return fail("a blank before the attribute");
            }
            if !is_qualified_name(key) {
                return fail("an attribute name");
            }
            if attribute.value.contains('<') || undone(attribute.value.clone()).is_none() {
                return fail(ENTITY);
            }
            if is_undeclaration(&attribute) {
                return fail("a namespace for the prefix");
            }
            let (resolved, local) = resolver.resolve_attribute(attribute.key);
            let name = bound(&resolved).map(|namespace| (namespace, local.into_inner()));
            if is_unknown(resolved) {
                return fail("a declared prefix");
            }
            if name.is_some_and(|name| seen.contains(&name)) {
                return fail("each attribute only once");
            }
            seen.extend(name);
        }
        Ok(())
    }

    /// Any version 1.x is accepted: a client family in use sends 1.08.
    fn check_declaration(&self, declaration: &BytesDecl<'_>, at: usize) -> Result<(), ListError> {
        if at != self.skipped {
            return Err(self.malformed(at, "the XML declaration at the start only"));
        }
        let is_version = |version: &str| {
            let minor = version.strip_prefix("1.").unwrap_or_default();
            !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !declaration.version().is_ok_and(|it| is_version(&it)) {
            return Err(self.malformed(at, "XML version 1.x"));
        }
        let is_ascii = match declaration.encoding() {
            None => return Ok(()),
            Some(Ok(name)) if name.eq_ignore_ascii_case("UTF-8") => return Ok(()),
            Some(Ok(name)) => {
                name.eq_ignore_ascii_case("US-ASCII") || name.eq_ignore_ascii_case("ASCII")
            }
            Some(Err(_)) => false,
        };
        if !is_ascii {
            return Err(self.malformed(at, "the encoding UTF-8 or US-ASCII"));
        }
        match self.document.iter().position(|byte| !byte.is_ascii()) {
            Some(bad) => Err(self.malformed(bad, "US-ASCII, as the document declares")),
            None => Ok(()),
        }
    }

    /// An error at the last event, for a caller that expected another one.
    pub fn error(&self, kind: ListErrorKind, expected: &'static str) -> ListError {
        ListError::at(kind, self.part, self.document, self.at, expected)
    }

    fn malformed(&self, at: usize, expected: &'static str) -> ListError {
        ListError::at(
            ListErrorKind::Malformed,
            self.part,
            self.document,
            at,
            expected,
        )
    }

    fn outside(&self, at: usize) -> ListError {
        self.malformed(
            at,
            "nothing but blanks and comments around the root element",
        )
    }

    fn broken(&self, error: &Error) -> ListError {
        let expected = match error {
            Error::IllFormed(IllFormedError::MismatchedEndTag { .. }) => {
                "the end tag of the open element"
            }
            Error::IllFormed(IllFormedError::UnmatchedEndTag(_)) => "an element to end",
            Error::IllFormed(IllFormedError::UnclosedReference) => ENTITY,
            Error::Namespace(_) => "at most 32 namespaces, none reserved",
            _ => "well-formed XML",
        };
        self.malformed(self.position(self.events.error_position()), expected)
    }

    fn position(&self, at: u64) -> usize {
        usize::try_from(at).map_or(usize::MAX, |at| self.skipped.saturating_add(at))
    }
}

const ENTITY: &str = "one of the five entities or a character reference";

/// `xmlns:p=""`, which Namespaces in XML 1.0 §2.2 forbids.
fn is_undeclaration(attribute: &Attribute<'_>) -> bool {
    let declared = attribute.key.as_namespace_binding();
    attribute.value.is_empty() && matches!(declared, Some(PrefixDeclaration::Named(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The events of a document in short, or what its error expected and where.
    fn events(document: &[u8]) -> Result<String, (usize, &'static str)> {
        fn read(document: &[u8]) -> Result<String, ListError> {
            let mut out = String::new();
            let mut reader = Reader::new("test", document, 4096)?;
            while let Some(event) = reader.read()? {
                match event {
                    Event::Start(element) => {
                        out += "<";
                        out += element.name_in("n").unwrap_or("?");
                        for name in ["a", "b"] {
                            for namespace in [None, Some("n")] {
                                if let Some(value) = element.attribute(namespace, name) {
                                    out += &format!(" {}{name}={value}", namespace.unwrap_or(""));
                                }
                            }
                        }
                    }
                    Event::End => out += ">",
                    Event::Text(text) => out += &text,
                }
            }
            Ok(out)
        }
        read(document).map_err(|error| (error.cause.offset, error.cause.expected))
    }

    #[test]
    fn names_are_recognised_by_namespace_whatever_the_prefix() {
        // X-1, K-1.
        let document = b"<x xmlns='n' xmlns:p='n' a='1' p:b='2'><p:y p:a='3'/><y xmlns='m'/>\
            <y xmlns='' b='4'><p:z xmlns:p='m' p:a='5'/></y></x>";
        assert_eq!(
            events(document).unwrap(),
            "<x a=1 nb=2<y na=3><?><? b=4<?>>>"
        );
    }

    #[test]
    fn declarations_comments_and_instructions_are_skipped() {
        //
        for start in [
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>",
            "<?xml version='1.08' encoding='US-ASCII' standalone='yes'?>",
            "\u{feff}<?xml version=\"1.1\"?>",
            "\u{feff}",
        ] {
            let document = format!("{start}<!-- c -->\r\n<?p i?><x xmlns='n'/>\n<!-- d --> ");
            assert_eq!(events(document.as_bytes()).unwrap(), "<x>", "{start}");
        }
    }

    #[test]
    fn references_are_decoded_and_white_space_in_attributes_becomes_blanks() {
        let document = b"<x xmlns='n' a='&lt;&#x41;&#66;\r\n&quot;\t&#10;'>a&amp;<![CDATA[<&]]>&#x2d;b\r\nc</x>";
        assert_eq!(events(document).unwrap(), "<x a=<AB \" \na&<&-b\nc>");
    }

    #[test]
    fn a_document_that_is_not_well_formed_says_where() {
        // T 75, 76.
        for (document, offset) in [
            ("", 0),
            (" <!-- c -->", 11),
            ("x<x/>", 0),
            ("<x/>x", 4),
            ("<x/><![CDATA[ ]]>", 4),
            ("&amp;<x/>", 0),
            ("<x/><y/>", 4),
            ("<x>", 3),
            ("<x><y></x>", 6),
            ("</x>", 0),
            ("<x/></x>", 4),
            ("<x a='1'", 0),
            ("<x><!-- a -- b --></x>", 10),
            ("<!DOCTYPE x><x/>", 0),
            ("<x><!DOCTYPE x></x>", 3),
            ("<x>&y;</x>", 3),
            ("<x>&#x110000;</x>", 3),
            ("<x>&#+9;</x>", 3),
            ("<x>& </x>", 3),
            ("<x a='&y;'/>", 3),
            ("<x a='&'/>", 3),
            ("<x a='<'/>", 3),
            ("<x a='1'b='2'/>", 8),
            ("<x a='1' a='1'/>", 0),
            ("<x a=1/>", 0),
            ("<x a/>", 0),
            ("<x 1='1'/>", 3),
            ("<x xmlns:p='n' xmlns:q='n' p:a='1' q:a='1'/>", 35),
            ("<x p:a='1'/>", 3),
            ("<p:x/>", 0),
            ("<x xmlns:p=''/>", 3),
            ("<x:y:z/>", 0),
            ("< x/>", 0),
            ("<1/>", 0),
            ("<>", 0),
            ("<x/><?xml version='1.0'?>", 4),
            ("<?xml version='2.0'?><x/>", 0),
            ("<?xml version='1.'?><x/>", 0),
            ("<?xml version='1.0' encoding='ISO-8859-1'?><x/>", 0),
            ("<?xml version='1.0' encoding='ASCII'?><x>\u{e4}</x>", 41),
            ("<x>\0</x>", 3),
        ] {
            let error = events(document.as_bytes()).unwrap_err();
            assert_eq!(error.0, offset, "{document}: {error:?}");
        }
        assert_eq!(events(b"<x>\xe4</x>").unwrap_err().0, 3);
    }

    #[test]
    fn depth_attributes_and_namespaces_are_bounded() {
        //
        let nested = |depth| "<x>".repeat(depth) + &"</x>".repeat(depth);
        assert!(events(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(events(nested(MAX_DEPTH + 1).as_bytes()).is_err());
        let with = |count, prefix: &str| {
            let attributes = (0..count).map(|number| format!(" {prefix}a{number}='n'"));
            format!("<x{}/>", attributes.collect::<String>())
        };
        for prefix in ["", "xmlns:"] {
            assert!(events(with(MAX_ATTRIBUTES, prefix).as_bytes()).is_ok());
            assert!(events(with(MAX_ATTRIBUTES + 1, prefix).as_bytes()).is_err());
        }
        let declared = with(20, "xmlns:").replace('/', "");
        let twice = format!("{declared}{declared}</x></x>");
        let (_, expected) = events(twice.as_bytes()).unwrap_err();
        assert_eq!(expected, "at most 32 namespaces, none reserved");
    }

    #[test]
    fn a_document_that_is_too_long_has_its_own_error() {
        let error = Reader::new("test", b"<x/>", 3).err().unwrap();
        assert_eq!(error.kind, ListErrorKind::TooLong);
        assert!(Reader::new("test", b"<x/>", 4).is_ok());
    }

    proptest! {
        #[test]
        fn no_input_makes_the_reader_panic(document: Vec<u8>) {
            let _ = events(&document);
        }

        #[test]
        fn no_document_of_likely_pieces_makes_the_reader_panic(
            document in "(<|</|>|/>|<x|</x>|<x>| a=|'|\"|xmlns|:|&|;|#|<!|--|<\\?|\\?>|xml|\\[CDATA\\[|\\]\\]>| |1|\u{feff}|\u{e4}){0,24}",
        ) {
            let _ = events(document.as_bytes());
        }
    }
}
