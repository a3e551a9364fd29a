//! What an administrator may ask about messages under way, the same in every proxy.

#![forbid(unsafe_code)]

/// A message that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fanout {
    /// Its number, as in the log.
    pub message: u64,
    /// The address of the group or service.
    pub group: Vec<u8>,
    /// The originator's address.
    pub originator: Vec<u8>,
    /// Seconds since it was accepted.
    pub seconds: u64,
    /// How many recipients are in which state, by the names of the states.
    pub counts: Vec<(&'static str, u64)>,
}

/// Who knows what is under way.
pub trait Overview: Sync {
    /// All messages that are under way, oldest first.
    fn fanouts(&self) -> Vec<Fanout>;

    /// Sends no more forks of a message; says whether there is such a message.
    fn cancel(&self, message: u64) -> bool;
}
