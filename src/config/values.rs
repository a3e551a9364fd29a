//! How the text of a parameter becomes a value of its type, and what is said of a text that is none.

use std::fmt;
use std::marker::PhantomData;

/// What the values of a parameter may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 0 or 1.
    Flag,
    /// A number from the first to the second.
    Number(u32, u32),
    /// Items separated by commas; the text says what each is.
    List(&'static str),
    /// What the text says.
    Text(String),
}

impl Kind {
    /// Whether its values are written without quotes in a proxy's configuration.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Flag | Self::Number(..))
    }
}

/// As what an error expects.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("0 or 1"),
            Self::Number(least, most) => write!(f, "a number from {least} to {most}"),
            Self::List(item) => write!(f, "a comma-separated list, each item {item}"),
            Self::Text(expected) => f.write_str(expected),
        }
    }
}

/// The values that a parameter takes. The error is the part of the text that is wrong.
pub(super) trait Values {
    /// Their type.
    type Value;

    /// What they may be.
    fn kind(&self) -> Kind;

    /// The value that a text spells.
    fn read(&self, text: &str) -> Result<Self::Value, String>;
}

/// 0 or 1.
pub(super) struct Flag;

impl Values for Flag {
    type Value = bool;

    fn kind(&self) -> Kind {
        Kind::Flag
    }

    fn read(&self, text: &str) -> Result<bool, String> {
        found(bool::ALL, text).ok_or_else(|| text.to_owned())
    }
}

/// A number from the first to the second.
pub(super) struct Number(pub u32, pub u32);

impl Values for Number {
    type Value = u32;

    fn kind(&self) -> Kind {
        Kind::Number(self.0, self.1)
    }

    fn read(&self, text: &str) -> Result<u32, String> {
        let number = text.parse().ok();
        let number = number.filter(|number| (self.0..=self.1).contains(number));
        number.ok_or_else(|| text.to_owned())
    }
}

/// A type whose values are words.
pub(super) trait Word: Copy + 'static {
    /// All words with what they stand for.
    const ALL: &'static [(&'static str, Self)];
}

impl Word for bool {
    const ALL: &'static [(&'static str, Self)] = &[("0", false), ("1", true)];
}

fn found<T: Word>(words: &[(&str, T)], text: &str) -> Option<T> {
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value)
}

/// "a, b or c".
fn alternatives(words: &[&str]) -> Kind {
    let text = match words {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        words => words.concat(),
    };
    Kind::Text(text)
}

/// One of the words of `T`.
pub(super) struct OneOf<T>(PhantomData<T>);

impl<T> OneOf<T> {
    pub(super) fn words() -> Self {
        Self(PhantomData)
    }
}

impl<T: Word> Values for OneOf<T> {
    type Value = T;

    fn kind(&self) -> Kind {
        let words: Vec<_> = T::ALL.iter().map(|(word, _)| *word).collect();
        alternatives(&words)
    }

    fn read(&self, text: &str) -> Result<T, String> {
        found(T::ALL, text).ok_or_else(|| text.to_owned())
    }
}

/// One of the words of `T`, or nothing where the value depends on something else.
pub(super) struct OneOfOrNothing<T>(PhantomData<T>);

impl<T> OneOfOrNothing<T> {
    pub(super) fn words() -> Self {
        Self(PhantomData)
    }
}

impl<T: Word> Values for OneOfOrNothing<T> {
    type Value = Option<T>;

    fn kind(&self) -> Kind {
        let words = T::ALL.iter().map(|(word, _)| *word);
        let words: Vec<_> = words.chain(["nothing"]).collect();
        alternatives(&words)
    }

    fn read(&self, text: &str) -> Result<Option<T>, String> {
        match text {
            "" => Ok(None),
            text => OneOf::words().read(text).map(Some),
        }
    }
}

/// What the function reads, which the text describes.
pub(super) struct Text<T>(pub &'static str, pub fn(&str) -> Option<T>);

impl<T> Values for Text<T> {
    type Value = T;

    fn kind(&self) -> Kind {
        Kind::Text(self.0.to_owned())
    }

    fn read(&self, text: &str) -> Result<T, String> {
        (self.1)(text).ok_or_else(|| text.to_owned())
    }
}

/// Items separated by commas, each of which the function reads and the text describes.
pub(super) struct List<T>(pub &'static str, pub fn(&str) -> Option<T>);

impl<T> Values for List<T> {
    type Value = Vec<T>;

    fn kind(&self) -> Kind {
        Kind::List(self.0)
    }

    fn read(&self, text: &str) -> Result<Vec<T>, String> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let items = text.split(',').map(str::trim).map(|item| match item {
            "" => Err(text.to_owned()),
            item => (self.1)(item).ok_or_else(|| item.to_owned()),
        });
        items.collect()
    }
}
