//! What a parameter is, and how a text becomes its value.

use super::error::SettingError;
use super::settings::Settings;
use super::table::PARAMETERS;

/// One parameter.
pub struct Parameter {
    /// The name.
    pub name: &'static str,
    /// Whether it concerns only the queue of accepted messages and how they are sent, which the proxy module
    /// does and a program with the C interface does itself.
    pub needs_queue: bool,
    /// What its value may be.
    pub kind: Kind,
    /// The default, spelt as a value.
    pub default: &'static str,
    /// One line of help.
    pub help: &'static str,
}

/// The kind of a parameter, with the place of its value.
pub enum Kind {
    /// Text, checked by the function, which says what it expected.
    Text(&'static str, fn(&mut Settings, &str) -> bool),
    /// 0 or 1.
    Flag(fn(&mut Settings) -> &mut bool),
    /// A number in a range.
    Number(u32, u32, fn(&mut Settings) -> &mut u32),
    /// Words separated by commas; the text says what each is.
    List(&'static str, fn(&mut Settings) -> &mut Vec<String>),
}

impl Parameter {
    /// The parameter of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PARAMETERS.iter().find(|parameter| parameter.name == name)
    }

    /// Puts `value` in its place if it is of the parameter's kind.
    pub fn store(&self, settings: &mut Settings, value: &str) -> Result<(), SettingError> {
        let wrong = |expected: &str| Err(SettingError::new(self.name, value, expected));
        match &self.kind {
            Kind::Text(expected, store) => {
                if !store(settings, value) {
                    return wrong(expected);
                }
            }
            Kind::Flag(place) => {
                *place(settings) = match value {
                    "0" => false,
                    "1" => true,
                    _ => return wrong("0 or 1"),
                }
            }
            Kind::Number(least, most, place) => match value.parse() {
                Ok(number) if (*least..=*most).contains(&number) => *place(settings) = number,
                _ => return wrong(&format!("a number from {least} to {most}")),
            },
            Kind::List(item, place) => {
                let words: Vec<_> = value.split(',').map(str::trim).collect();
                if !value.trim().is_empty() && words.iter().any(|word| word.is_empty()) {
                    return wrong(&format!("a comma-separated list, each item {item}"));
                }
                let kept = words.into_iter().filter(|word| !word.is_empty());
                *place(settings) = kept.map(str::to_owned).collect();
            }
        }
        Ok(())
    }
}
