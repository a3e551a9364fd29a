//! Walks a document child by child, keeps track of lines, and notes what was not asked for.

use super::MAX_BYTES;
use super::error::{DocumentError, Notes};
use crate::sip::text::Printable;
use crate::sip::xml::{Element, Event, Reader};
use crate::sip::xml_text::is_blank;
use std::fmt;

/// The start of an element.
#[derive(Debug)]
pub struct Start {
    /// The namespace; empty if there is none.
    pub namespace: String,
    /// The name without its prefix.
    pub name: String,
    /// Its line in the document.
    pub line: usize,
    attributes: Vec<(Option<String>, String, String)>,
}

impl Start {
    fn of(element: &Element<'_>) -> Self {
        let (namespace, name) = element.name();
        let attributes = element.attributes().map(|(namespace, name, value)| {
            (
                namespace.map(str::to_owned),
                name.to_owned(),
                value.into_owned(),
            )
        });
        Self {
            namespace: namespace.unwrap_or_default().into_owned(),
            name: name.to_owned(),
            line: 0,
            attributes: attributes.collect(),
        }
    }

    /// Takes the attribute `name`, which has no prefix; returns its value, trimmed.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let mut attributes = self.attributes.iter();
        let at = attributes.position(|it| it.0.is_none() && it.1 == name)?;
        let (_, _, value) = self.attributes.swap_remove(at);
        Some(value.trim_matches(' ').to_owned())
    }

    /// The error of an element that is not what it has to be.
    pub fn unexpected(
        &self,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> DocumentError {
        DocumentError::Unexpected {
            line: self.line,
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// A walk through a document.
pub struct Walker<'x> {
    reader: Reader<'x>,
    document: &'x [u8],
    /// The last offset whose line was computed, and that line, so that lines are counted only once.
    seen: (usize, usize),
    /// What was left out.
    pub notes: Notes,
}

enum Next {
    Start(Start),
    Text(String),
    End,
}

impl<'x> Walker<'x> {
    /// Starts a walk through `document`, which is called `part` in errors.
    pub fn new(part: &'static str, document: &'x [u8]) -> Result<Self, DocumentError> {
        Ok(Self {
            reader: Reader::new(part, document, MAX_BYTES)?,
            document,
            seen: (0, 1),
            notes: Notes::default(),
        })
    }

    fn line(&mut self, at: usize) -> usize {
        let (before, line) = self.seen;
        if at >= before {
            let between = self.document.get(before..at).unwrap_or_default();
            let line = line + memchr::memchr_iter(b'\n', between).count();
            self.seen = (at, line);
        }
        self.seen.1
    }

    fn next(&mut self) -> Result<Next, DocumentError> {
        let next = match self.reader.read()? {
            Some(Event::Start(element)) => Next::Start(Start::of(&element)),
            Some(Event::Text(text)) => Next::Text(text.into_owned()),
            Some(Event::End) | None => Next::End,
        };
        Ok(match next {
            Next::Start(mut start) => {
                start.line = self.line(self.reader.at());
                Next::Start(start)
            }
            other => other,
        })
    }

    /// The root element.
    pub fn root(&mut self) -> Result<Start, DocumentError> {
        match self.next()? {
            Next::Start(start) => Ok(start),
            // The reader refuses a document without a root.
            Next::Text(_) | Next::End => Err(DocumentError::Unexpected {
                line: 1,
                expected: "a root element".to_owned(),
                found: String::new(),
            }),
        }
    }

    /// The next child of the open element, or `None` at its end. Text is an error.
    pub fn child(&mut self) -> Result<Option<Start>, DocumentError> {
        loop {
            match self.next()? {
                Next::Start(start) => return Ok(Some(start)),
                Next::End => return Ok(None),
                Next::Text(text) if is_blank(&text) => {}
                Next::Text(found) => {
                    return Err(DocumentError::Unexpected {
                        // The line of the element that started last: text has none of its own.
                        line: self.seen.1,
                        expected: "an element".to_owned(),
                        found: found.trim().to_owned(),
                    });
                }
            }
        }
    }

    /// The trimmed text of the element that has started, up to its end. Elements in it are left out.
    pub fn text(&mut self, start: &Start) -> Result<String, DocumentError> {
        let mut whole = String::new();
        loop {
            match self.next()? {
                Next::Start(inner) => self.leave_out(&inner, &start.name)?,
                Next::Text(text) => whole.push_str(&text),
                Next::End => break,
            }
        }
        Ok(whole.trim_matches([' ', '\t', '\r', '\n']).to_owned())
    }

    /// The text of an element that is a display name: on one line, `None` if empty.
    pub fn name(&mut self, start: &Start) -> Result<Option<String>, DocumentError> {
        self.left_over(start);
        let text = self.text(start)?;
        let is_space = |character: char| character.is_whitespace() || character.is_control();
        let words = text.split(is_space).filter(|word| !word.is_empty());
        let name = words.collect::<Vec<_>>().join(" ");
        Ok(Some(name).filter(|name| !name.is_empty()))
    }

    /// Skips to the end of the element that has started.
    pub fn skip(&mut self) -> Result<(), DocumentError> {
        let mut depth = 1;
        while depth > 0 {
            match self.reader.read()? {
                Some(Event::Start(_)) => depth += 1,
                Some(Event::End) => depth -= 1,
                Some(Event::Text(_)) => {}
                None => break,
            }
        }
        Ok(())
    }

    /// Skips to the end of an element and notes its content; returns whether there was any.
    pub fn finish(&mut self, start: &Start) -> Result<bool, DocumentError> {
        self.left_over(start);
        let mut any = false;
        while let Some(child) = self.child()? {
            any = true;
            self.leave_out(&child, &start.name)?;
        }
        Ok(any)
    }

    /// Notes and skips an element that is unknown in `parent`.
    pub fn leave_out(&mut self, start: &Start, parent: &str) -> Result<(), DocumentError> {
        let (name, parent) = (shown(&start.name), shown(parent));
        let text = format!("element {name} in {parent} is left out");
        self.note(start, text);
        self.skip()
    }

    /// Notes the attributes that were not taken.
    pub fn left_over(&mut self, start: &Start) {
        for (_, name, _) in &start.attributes {
            let (name, element) = (shown(name), shown(&start.name));
            let text = format!("attribute {name} of {element} is left out");
            self.notes.add(start.line, text);
        }
    }

    /// Adds a note on the line of an element.
    pub fn note(&mut self, start: &Start, text: impl fmt::Display) {
        self.notes.add(start.line, text);
    }

    /// Reads to the end of the document, which must be complete.
    pub fn end(&mut self) -> Result<(), DocumentError> {
        while self.reader.read()?.is_some() {}
        Ok(())
    }
}

/// A name escaped and truncated for messages.
pub fn shown(name: &str) -> String {
    Printable(name.as_bytes()).to_string()
}
