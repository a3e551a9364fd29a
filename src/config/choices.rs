//! What the parameters with words for values choose between.

/// Whether the originator gets his own message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SkipOriginator {
    /// Not from stored groups.
    #[default]
    Group,
    /// Never.
    Always,
    /// Whenever he is a member.
    Never,
}

/// Which messages are group messages though they want none of the feature tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Untagged {
    /// None: the script goes on with them.
    #[default]
    Script,
    /// Those to a stored group or service.
    Groups,
}

/// What happens to a group message to an address of ours that is no group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownGroup {
    /// It is refused.
    #[default]
    Reject,
    /// The script goes on with it.
    Script,
}

/// Whose address From of the copies is (U-4, I-3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForkFrom {
    /// The originator's.
    #[default]
    Originator,
    /// The group's.
    Group,
}

/// What becomes of composing indications to a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Composing {
    /// They go to its members.
    #[default]
    Relay,
    /// They end with their answer.
    Drop,
}

/// What becomes of disposition notifications to a group (M-9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notifications {
    /// They are refused.
    #[default]
    Refuse,
    /// They are answered 202, and end there.
    Accept,
}

/// Whose word counts for who the originator is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityMode {
    /// P-Asserted-Identity of a trusted peer.
    #[default]
    Pai,
    /// The script, which has checked credentials.
    Digest,
    /// P-Asserted-Identity of a trusted peer, else the script.
    Either,
    /// From: for labs.
    None,
}

/// What happens to a From that is not the originator's (I-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromMismatch {
    /// It is copied.
    Copy,
    /// The message is refused.
    Reject,
    /// The originator's address takes its place.
    Rewrite,
}

/// Whether services send to addresses outside of the served domains (S-3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForeignRecipients {
    /// Yes.
    #[default]
    Allow,
    /// No: the message is refused.
    Deny,
    /// Only to those who have consented.
    Consent,
}

/// What becomes of a list in a message to a stored group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupWithList {
    /// The message is refused.
    #[default]
    Reject,
    /// It goes to the members that the list names.
    Intersect,
    /// It goes to the members and to those whom the list names besides.
    Union,
}
