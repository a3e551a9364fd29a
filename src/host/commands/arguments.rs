//! What a command is given.

#![forbid(unsafe_code)]

use super::answer::Fault;
use super::parameter::{Kind, Parameter};
use serde::{Deserialize, Serialize};

/// The texts given for each parameter of a command, in the order of the parameters: none, one, or several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arguments(Vec<Vec<String>>);

impl Arguments {
    /// What is given one after the other. An optional parameter that is empty is not given.
    pub fn in_order(parameters: &[Parameter], given: Vec<String>) -> Result<Self, Fault> {
        let mut given = given.into_iter();
        let of = |parameter: &Parameter| match parameter.kind {
            Kind::Several => given.by_ref().collect(),
            Kind::Needed | Kind::Optional => given.by_ref().take(1).collect(),
        };
        let arguments = parameters.iter().map(of).collect();
        match given.next() {
            None => Self::of(parameters, arguments),
            Some(_) => Err(Fault::given("too many parameters")),
        }
    }

    /// What is given by parameter.
    pub fn of(parameters: &[Parameter], mut given: Vec<Vec<String>>) -> Result<Self, Fault> {
        for (parameter, given) in parameters.iter().zip(&mut given) {
            match parameter.kind {
                Kind::Optional if given.iter().all(String::is_empty) => given.clear(),
                Kind::Optional => {}
                Kind::Needed | Kind::Several => {
                    if given.is_empty() {
                        return Err(Fault::given(format!("{} is missing", parameter.shown)));
                    }
                }
            }
        }
        Ok(Self(given))
    }

    /// The text of a needed parameter.
    pub fn text(&self, at: usize) -> &str {
        self.optional(at).unwrap_or_default()
    }

    /// The text of an optional parameter, if it is given.
    pub fn optional(&self, at: usize) -> Option<&str> {
        self.all(at).first().map(String::as_str)
    }

    /// All texts of a parameter of which there may be several.
    pub fn all(&self, at: usize) -> &[String] {
        self.0.get(at).map_or(&[], Vec::as_slice)
    }
}
