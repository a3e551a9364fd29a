//! Names of the header fields that a decision or a copy needs, and their compact forms.

/// A known header field name, or [`HeaderName::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum HeaderName {
    /// Accept-Contact, RFC 3841.
    AcceptContact,
    /// Authorization.
    Authorization,
    /// Call-ID.
    CallId,
    /// Call-Info.
    CallInfo,
    /// Content-Disposition.
    ContentDisposition,
    /// Content-Encoding.
    ContentEncoding,
    /// Content-ID, RFC 8262.
    ContentId,
    /// Content-Language.
    ContentLanguage,
    /// Content-Length.
    ContentLength,
    /// Content-Transfer-Encoding, RFC 2045.
    ContentTransferEncoding,
    /// Content-Type.
    ContentType,
    /// Contribution-ID, of CPM.
    ContributionId,
    /// Conversation-ID, of CPM.
    ConversationId,
    /// CSeq.
    CSeq,
    /// Date.
    Date,
    /// Expires.
    Expires,
    /// From.
    From,
    /// In-Reply-To.
    InReplyTo,
    /// InReplyTo-Contribution-ID, of CPM.
    InReplyToContributionId,
    /// Max-Breadth, RFC 5393.
    MaxBreadth,
    /// Max-Forwards.
    MaxForwards,
    /// MIME-Version.
    MimeVersion,
    /// Organization.
    Organization,
    /// P-Asserted-Identity, RFC 3325.
    PAssertedIdentity,
    /// P-Asserted-Service, RFC 6050.
    PAssertedService,
    /// P-Charging-Function-Addresses, RFC 7315.
    PChargingFunctionAddresses,
    /// P-Charging-Vector, RFC 7315.
    PChargingVector,
    /// Priority.
    Priority,
    /// Privacy, RFC 3323.
    Privacy,
    /// Proxy-Authorization.
    ProxyAuthorization,
    /// Reply-To.
    ReplyTo,
    /// Require.
    Require,
    /// Resource-Priority, RFC 4412.
    ResourcePriority,
    /// Subject.
    Subject,
    /// To.
    To,
    /// User-Agent.
    UserAgent,
    /// Via.
    Via,
    /// Any other name.
    Other,
}

use HeaderName as Name;

/// Full name, compact form (RFC 3261 §7.3.3, RFC 3841 §10) and meaning.
static NAMES: [(&str, Option<u8>, Name); Name::Other as usize] = [
    ("Accept-Contact", Some(b'a'), Name::AcceptContact),
    ("Authorization", None, Name::Authorization),
    ("Call-ID", Some(b'i'), Name::CallId),
    ("Call-Info", None, Name::CallInfo),
    ("Content-Disposition", None, Name::ContentDisposition),
    ("Content-Encoding", Some(b'e'), Name::ContentEncoding),
    ("Content-ID", None, Name::ContentId),
    ("Content-Language", None, Name::ContentLanguage),
    ("Content-Length", Some(b'l'), Name::ContentLength),
    (
        "Content-Transfer-Encoding",
        None,
        Name::ContentTransferEncoding,
    ),
    ("Content-Type", Some(b'c'), Name::ContentType),
    ("Contribution-ID", None, Name::ContributionId),
    ("Conversation-ID", None, Name::ConversationId),
    ("CSeq", None, Name::CSeq),
    ("Date", None, Name::Date),
    ("Expires", None, Name::Expires),
    ("From", Some(b'f'), Name::From),
    ("In-Reply-To", None, Name::InReplyTo),
    (
        "InReplyTo-Contribution-ID",
        None,
        Name::InReplyToContributionId,
    ),
    ("Max-Breadth", None, Name::MaxBreadth),
    ("Max-Forwards", None, Name::MaxForwards),
    ("MIME-Version", None, Name::MimeVersion),
    ("Organization", None, Name::Organization),
    ("P-Asserted-Identity", None, Name::PAssertedIdentity),
    ("P-Asserted-Service", None, Name::PAssertedService),
    (
        "P-Charging-Function-Addresses",
        None,
        Name::PChargingFunctionAddresses,
    ),
    ("P-Charging-Vector", None, Name::PChargingVector),
    ("Priority", None, Name::Priority),
    ("Privacy", None, Name::Privacy),
    ("Proxy-Authorization", None, Name::ProxyAuthorization),
    ("Reply-To", None, Name::ReplyTo),
    ("Require", None, Name::Require),
    ("Resource-Priority", None, Name::ResourcePriority),
    ("Subject", Some(b's'), Name::Subject),
    ("To", Some(b't'), Name::To),
    ("User-Agent", None, Name::UserAgent),
    ("Via", Some(b'v'), Name::Via),
];

/// The length of the longest full name.
const LONGEST: usize = {
    let (mut longest, mut row) = (0, 0);
    while row < NAMES.len() {
        let length = NAMES[row].0.len();
        longest = if length > longest { length } else { longest };
        row += 1;
    }
    longest
};

/// The names sorted by the length of their full form, and where each length starts: few names share a
/// length, so few are compared.
static BY_LENGTH: ([Name; NAMES.len()], [usize; LONGEST + 2]) = {
    let mut names = [Name::Other; NAMES.len()];
    let mut starts = [0; LONGEST + 2];
    let (mut length, mut filed) = (0, 0);
    while length <= LONGEST {
        starts[length] = filed;
        let mut row = 0;
        while row < NAMES.len() {
            if NAMES[row].0.len() == length {
                names[filed] = NAMES[row].2;
                filed += 1;
            }
            row += 1;
        }
        length += 1;
    }
    starts[length] = filed;
    (names, starts)
};

/// Compact forms of names that are [`HeaderName::Other`], so that such a name is recognised in both
/// forms.
const OTHER_COMPACT: [(u8, &str); 11] = [
    (b'b', "Referred-By"),
    (b'd', "Request-Disposition"),
    (b'j', "Reject-Contact"),
    (b'k', "Supported"),
    (b'm', "Contact"),
    (b'n', "Identity-Info"),
    (b'o', "Event"),
    (b'r', "Refer-To"),
    (b'u', "Allow-Events"),
    (b'x', "Session-Expires"),
    (b'y', "Identity"),
];

/// The full form of a name: compact forms are expanded, other names are returned as written.
pub fn full_form(written: &[u8]) -> &[u8] {
    let [letter] = written else {
        return written;
    };
    match HeaderName::of(written) {
        HeaderName::Other => {
            let letter = letter.to_ascii_lowercase();
            let found = OTHER_COMPACT.iter().find(|(compact, _)| *compact == letter);
            found.map_or(written, |(_, full)| full.as_bytes())
        }
        known => known.as_str().as_bytes(),
    }
}

impl HeaderName {
    /// How many names there are, [`HeaderName::Other`] included.
    pub const COUNT: usize = Self::Other as usize + 1;

    /// Recognises a name in any case, full or compact.
    pub fn of(name: &[u8]) -> Self {
        if let [letter] = name {
            let letter = letter.to_ascii_lowercase();
            let mut names = NAMES.iter();
            let found = names.find(|(_, compact, _)| *compact == Some(letter));
            return found.map_or(Self::Other, |(_, _, name)| *name);
        }
        let (names, starts) = &BY_LENGTH;
        let [start, end, ..] = starts.get(name.len()..).unwrap_or_default() else {
            return Self::Other;
        };
        let alike = &names[*start..*end];
        // Nearly all names are written as in the standards.
        let is_same = |full: &[u8]| name == full || name.eq_ignore_ascii_case(full);
        let found = alike
            .iter()
            .find(|known| is_same(known.as_str().as_bytes()));
        found.copied().unwrap_or(Self::Other)
    }

    /// The name as written in the standards; "header field" for [`HeaderName::Other`].
    pub fn as_str(self) -> &'static str {
        let row = NAMES.get(self as usize);
        row.map_or("header field", |(full, _, _)| full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_names() {
        for (index, (full, _, name)) in NAMES.iter().enumerate() {
            assert_eq!(*name as usize, index, "{full}");
            assert_eq!(name.as_str(), *full);
            assert_eq!(Name::of(full.to_ascii_uppercase().as_bytes()), *name);
        }
    }

    #[test]
    fn compact_forms_are_known_in_any_case() {
        assert_eq!(Name::of(b"A"), Name::AcceptContact);
        assert_eq!(Name::of(b"v"), Name::Via);
        assert_eq!(Name::of(b"z"), Name::Other);
        assert_eq!(Name::of(b""), Name::Other);
        assert_eq!(full_form(b"M"), b"Contact");
        assert_eq!(full_form(b"T"), b"To");
        assert_eq!(full_form(b"X-A"), b"X-A");
    }
}
