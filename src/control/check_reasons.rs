//! Why the checks refuse a message: the reasons of table A.1, each with its status code, requirement and Warning.

use super::reason_table::{RefusalReason, Row, refusal_reasons};

refusal_reasons! {
    /// Why the checks refuse a message that is ours, in their order.
    Reason;

    /// The message breaks RFC 3261.
    Malformed: 400, "A.1 row 1", "Message not well formed";
    /// Accept-Contact wants the IM tag but breaks a rule of its own.
    AcceptContact: 400, "F-5", "Accept-Contact not well formed";
    /// To has a tag.
    InDialog: 481, "A.1 row 3", "Group messages have no dialog";
    /// The same request has come on another branch.
    Merged: 482, "H-3", "Request arrived on two paths";
    /// Max-Forwards is 0.
    TooManyHops: 483, "U-5", "Max-Forwards exhausted";
    /// Max-Breadth is 0.
    NoBreadth: 440, "U-6", "Max-Breadth exhausted";
    /// Pager mode is off, for the server or for the group.
    PagerMode: 403, "A-2", "Pager mode not supported";
    /// The Request-URI is a body part and not an address.
    Scheme: 416, "A-4", "Request-URI is no address";
    /// No such group.
    UnknownGroup: 404, "A-6", "No such group";
    /// Require names an option that is not supported.
    Extension: 420, "A.1 row 6", "Required extension not supported";
    /// A message to a service has no `Require: recipient-list-message`, and `strict_require` is 1.
    OptionTagMissing: 421, "U-3", "Required option tag missing";
    /// Nobody whose word counts says who the originator is.
    NoIdentity: 403, "A-7", "Originator not authenticated";
    /// A trusted peer asserts an identity that cannot be read.
    BadIdentity: 403, "I-2", "Asserted identity not readable";
    /// From is not the originator's address.
    FromMismatch: 403, "I-4", "From is not the originator";
    /// The originator may not send to the group.
    NotAuthorised: 403, "A-7", "Originator not authorised";
    /// Privacy contradicts itself or cannot be read.
    Privacy: 400, "I-5", "Privacy not well formed";
    /// The originator wants to stay anonymous, and nobody may get a message of theirs that is.
    Anonymity: 403, "A-8", "Anonymity not allowed";
    /// Anonymity is granted, but the body is a message or signed, and so names the originator.
    NotCleanable: 403, "I-6", "Body cannot be made anonymous";
    /// A header field that goes into every copy cannot be read.
    Header: 400, "S-7", "Header not well formed";
    /// The message expired before it arrived.
    Expired: 400, "M-4", "Message expired on arrival";
    /// There is a body of no type.
    ContentType: 400, "M-1", "Body without Content-Type";
    /// The message is a disposition notification, which goes to the sender of the message it is about.
    Notification: 403, "M-9", "Disposition notification to a group";
    /// A message to a group has a list of recipients besides.
    GroupWithList: 403, "A-15", "Group and list together";
    /// The body or its list of recipients is broken, or can be read in two ways.
    Body: 400, "X-5", "Body or recipient list not well formed";
    /// A message to a service has no list of recipients, or nothing besides.
    NoList: 400, "U-7", "No usable recipient list";
    /// The list of recipients is of another type, inside a body that must stay as it is, or compressed, or the whole body is.
    ListType: 415, "U-1", "Type of recipient list not supported";
    /// The list of recipients has more bytes than are read.
    ListTooLong: 413, "S-3", "Recipient list too long";
    /// The list names nobody who can be sent to.
    NobodyListed: 400, "A.1 row 11", "No recipient to send to";
    /// The list has an entry that cannot be sent to, and `bad_entry` is `reject`.
    BadEntry: 400, "X-5", "An entry of the list cannot be sent to";
    /// The list has more entries or recipients than are allowed.
    TooManyRecipients: 403, "S-3", "Too many recipients";
    /// The list names a group or service of this server.
    GroupListed: 403, "H-4", "A group in the recipient list";
    /// The list names somebody in a domain that is not served.
    ForeignListed: 403, "S-3", "A foreign recipient";
    /// Somebody in the list has not consented.
    NoConsent: 470, "U-12", "Consent missing";
    /// A copy would have more than 1300 bytes, and `large_ok` is 0.
    TooLarge: 413, "M-2", "Message too large";
    /// The copies would not be UTF-8 throughout, or the body is encoded, and `utf8_only` is 1.
    NotText: 415, "RFC 6455 §5.6", "Message is not plain UTF-8";
    /// The message has been here before and comes back from another server.
    Loop: 482, "H-5", "Message has come back";
    /// The groups cannot be read now.
    Unavailable: 500, "A.1 row 11", "Groups not available";
    /// The group has nobody to send to.
    NoRecipients: 403, "A.1 row 11", "No member to send to";
}

impl RefusalReason for Reason {
    fn row(self) -> Row {
        self.table_row()
    }

    fn headers(self) -> &'static [u8] {
        match self {
            Self::ListType => {
                b"Accept: application/resource-lists+xml\r\nAccept-Encoding: identity\r\n\
                  Accept-Language: *\r\n"
            }
            Self::NotText => b"Accept-Encoding: identity\r\n",
            Self::OptionTagMissing => b"Require: recipient-list-message\r\n",
            _ => b"",
        }
    }

    fn header_of_named(self) -> &'static [u8] {
        match self {
            Self::NoConsent => b"Permission-Missing: ",
            // U-13, RFC 5318 §4.
            Self::GroupListed => b"P-Refused-URI-List: ",
            _ => b"Unsupported: ",
        }
    }
}
