//! What a parameter is.

use super::error::SettingError;
use super::values::Kind;

/// What a parameter is about; the documentation is in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// What every server has to set.
    Required,
    /// Who the sender is.
    Identity,
    /// What an IMS core wants.
    Ims,
    /// Where copies are sent, and how.
    NextHop,
    /// Which messages are group messages, and who may send them.
    Groups,
    /// What is in the copies.
    Copies,
    /// Lists that a message carries.
    Lists,
    /// Memory besides the queue's.
    Memory,
    /// Messages on their way.
    Queue,
    /// How much may be sent.
    Quotas,
    /// Groups that many nodes share.
    Cluster,
    /// What a crash leaves.
    Durability,
    /// Members who are away.
    Away,
}

impl Group {
    /// All groups in their order.
    pub const ALL: [Self; 13] = [
        Self::Required,
        Self::Identity,
        Self::Ims,
        Self::NextHop,
        Self::Groups,
        Self::Copies,
        Self::Lists,
        Self::Memory,
        Self::Queue,
        Self::Quotas,
        Self::Cluster,
        Self::Durability,
        Self::Away,
    ];

    /// Its heading in the documentation and the sample configurations.
    pub fn title(self) -> &'static str {
        match self {
            Self::Required => "Required",
            Self::Identity => "Identity of the sender",
            Self::Ims => "IMS core",
            Self::NextHop => "Next hop",
            Self::Groups => "Group messages",
            Self::Copies => "Content of the copies",
            Self::Lists => "Services and lists",
            Self::Memory => "Memory",
            Self::Queue => "Queue",
            Self::Quotas => "Quotas",
            Self::Cluster => "Many nodes",
            Self::Durability => "Durability",
            Self::Away => "Members who are away",
        }
    }
}

/// Where a parameter means something; elsewhere it is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// In either proxy and in a C program.
    Nothing,
    /// Not in a C program: it concerns the queue of accepted messages and how they are sent, which such a program does
    /// itself.
    Queue,
    /// In Kamailio alone.
    Kamailio,
}

impl Needs {
    /// Whether it is in Kamailio alone.
    pub const fn kamailio(self) -> bool {
        matches!(self, Self::Kamailio)
    }
}

/// A parameter of the settings `S`.
pub struct Parameter<S> {
    /// The name.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    /// Where it can be set.
    pub needs: Needs,
    /// The default, spelt as a value.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
    pub(super) kind: fn() -> Kind,
    pub(super) store: fn(&mut S, &str) -> Result<(), String>,
}

impl<S> Parameter<S> {
    /// What its value may be.
    pub fn kind(&self) -> Kind {
        (self.kind)()
    }

    /// Puts the value that `text` spells into the settings.
    pub fn store(&self, settings: &mut S, text: &str) -> Result<(), SettingError> {
        let stored = (self.store)(settings, text);
        stored.map_err(|wrong| SettingError::new(self.name, &wrong, self.kind().to_string()))
    }
}
