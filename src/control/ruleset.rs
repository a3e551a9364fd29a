//! A ruleset of RFC 4745 as it is written, with OMA's conditions and actions (G-3).

/// The action that lets the originator hide who they are (I-6).
pub const ALLOW_ANONYMITY: &str = "allow-anonymity";

/// A ruleset as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The rules in their order, which counts for nothing.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its name within the ruleset.
    pub id: String,
    /// All of them must hold; without any the rule always applies.
    pub conditions: Vec<Condition>,
    /// What the rule allows (`true`) or does not allow.
    pub actions: Vec<(String, bool)>,
}

/// One condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The originator is any of these.
    Identity(Vec<Identity>),
    /// It is any of these times: from, until.
    Validity(Vec<(String, String)>),
    /// The owner is in this state, which nobody knows here: never holds.
    Sphere(String),
    /// The originator is a member of the group.
    IsListMember,
    /// The originator is in any of these lists, each named by its address.
    ExternalList(Vec<String>),
    /// No other rule applies.
    OtherIdentity,
    /// The originator wants to stay anonymous.
    AnonymousRequest,
    /// Not known here, so it never holds: namespace and name.
    Unknown(String, String),
}

/// One or many originators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Whoever has this address.
    One(String),
    /// Everybody in the domain, or everybody, but for some.
    Many {
        /// The domain.
        domain: Option<String>,
        /// Who is not meant.
        except: Vec<Except>,
    },
}

/// Who is not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Except {
    /// Everybody in this domain.
    Domain(String),
    /// Whoever has this address.
    Id(String),
}
