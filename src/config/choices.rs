//! The parameters whose values are words: one type each, used from the table to the decision.

use super::values::Word;

/// An enum with the word of each of its values. The first is what [`Default`] gives.
macro_rules! words {
    ($($(#[$about:meta])* $name:ident { $($(#[$meta:meta])* $value:ident = $word:literal,)+ })+) => { $(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$meta])* $value,)+
        }

        impl Word for $name {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$value)),+];
        }

        impl Default for $name {
            fn default() -> Self {
                Self::ALL[0].1
            }
        }
    )+ };
}

words! {
    /// Whose word counts for who the originator is.
    IdentityMode {
        /// P-Asserted-Identity of a trusted peer.
        Pai = "pai",
        /// The script, which has checked credentials.
        Digest = "digest",
        /// P-Asserted-Identity of a trusted peer, else the script.
        Either = "either",
        /// From: for labs.
        None = "none",
    }

    /// What happens to a From that is not the originator's (I-4).
    FromMismatch {
        /// It is copied.
        Copy = "copy",
        /// The message is refused.
        Reject = "reject",
        /// The originator's address takes its place.
        Rewrite = "rewrite",
    }

    /// Whether an originator may stay anonymous.
    AnonymityPolicy {
        /// No: the message is refused.
        Reject = "reject",
        /// Where the group allows it.
        Group = "group",
    }

    /// Whom P-Asserted-Identity of the copies names (N-3).
    ForkPai {
        /// The originator.
        Sender = "sender",
        /// The group.
        Group = "group",
    }

    /// The charging identifier of the copies (N-4).
    IcidMode {
        /// A new one for each.
        New = "new",
        /// That of the message.
        Copy = "copy",
    }

    /// As what members with tel addresses are sent to (M-7).
    TelMode {
        /// As tel URIs.
        Keep = "keep",
        /// As SIP URIs at `tel_domain`.
        Convert = "convert",
    }

    /// Which messages are group messages though they want none of the feature tags.
    Untagged {
        /// None: the script goes on with them.
        Script = "script",
        /// Those to a stored group or service.
        Groups = "groups",
    }

    /// What happens to a group message to an address of a served domain that is no group.
    UnknownGroup {
        /// It is refused.
        Reject = "reject",
        /// The script goes on with it.
        Script = "script",
    }

    /// Whether the originator is left out of the recipients.
    SkipOriginator {
        /// Of stored groups, not of lists.
        Group = "group",
        /// Of both: the originator never receives a copy.
        Always = "always",
        /// Of neither.
        Never = "never",
    }

    /// What becomes of a member that is a group of this server (H-4).
    Nested {
        /// It gets nothing.
        Skip = "skip",
        /// Its members get the message, if the originator may send to it.
        Expand = "expand",
    }

    /// Whose address From of the copies is (U-4, I-3).
    ForkFrom {
        /// The originator's.
        Originator = "originator",
        /// The group's.
        Group = "group",
    }

    /// What becomes of composing indications to a group.
    Composing {
        /// They go to its members.
        Relay = "relay",
        /// They end with their answer.
        Drop = "drop",
    }

    /// What becomes of disposition notifications to a group (M-9).
    Notifications {
        /// They are refused.
        Refuse = "refuse",
        /// They are answered 202, and end there.
        Accept = "accept",
    }

    /// Whether services send to addresses outside of the served domains (S-3).
    ForeignRecipients {
        /// Yes.
        Allow = "allow",
        /// No: the message is refused.
        Deny = "deny",
        /// Only to those who have consented.
        Consent = "consent",
    }

    /// What becomes of a list in a message to a stored group.
    GroupWithList {
        /// The message is refused.
        Reject = "reject",
        /// It goes to the members that the list names.
        Intersect = "intersect",
        /// It goes to the members and to those whom the list names besides.
        Union = "union",
    }

    /// In whose history a bcc recipient stands (K-5).
    BccMode {
        /// In nobody's.
        Remove = "remove",
        /// In their own copy's.
        OwnCopy = "self",
    }

    /// What becomes of a list with an entry that cannot be sent to.
    BadEntry {
        /// The others get the message.
        Skip = "skip",
        /// The message is refused.
        Reject = "reject",
    }

    /// Whether entries of lists may name a machine (S-8).
    LiteralTargets {
        /// No: such an entry cannot be sent to.
        Skip = "skip",
        /// Yes.
        Allow = "allow",
    }

    /// Whether an accepted message is on disk before its 202.
    Durability {
        /// No: a crash loses what is on its way.
        None = "none",
        /// On the disk of this node.
        Journal = "journal",
        /// In PostgreSQL, where other nodes find it.
        Cluster = "cluster",
    }

    /// What becomes of the copy of a member who is away (M-4).
    Away {
        /// It ends.
        Drop = "drop",
        /// It is kept until the script says that the member is back.
        Keep = "keep",
    }
}

impl IdentityMode {
    /// Whether trusted peers are believed when they assert an identity.
    pub fn believes_peers(self) -> bool {
        matches!(self, Self::Pai | Self::Either)
    }

    /// Whether the script is believed, which has checked credentials; it is asked when no peer has asserted anything.
    pub fn believes_script(self) -> bool {
        matches!(self, Self::Digest | Self::Either)
    }
}
