//! A parameter of a command.

#![forbid(unsafe_code)]

/// A parameter of a command.
pub struct Parameter {
    /// Its name, where parameters have names.
    pub name: &'static str,
    /// What stands for it in descriptions.
    pub shown: &'static str,
    /// How often it may be given.
    pub kind: Kind,
}

/// How often a parameter may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Once.
    Needed,
    /// Once, or not at all. Only optional ones follow.
    Optional,
    /// Once or more; it is the last.
    Several,
}

/// A parameter that has to be given.
pub const fn needed(name: &'static str, shown: &'static str) -> Parameter {
    let kind = Kind::Needed;
    Parameter { name, shown, kind }
}

/// A parameter that may be given.
pub const fn optional(name: &'static str, shown: &'static str) -> Parameter {
    let kind = Kind::Optional;
    Parameter { name, shown, kind }
}

/// A parameter that may be given more than once.
pub const fn several(name: &'static str, shown: &'static str) -> Parameter {
    let kind = Kind::Several;
    Parameter { name, shown, kind }
}
