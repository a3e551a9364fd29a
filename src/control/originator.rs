//! Who sent the message, whether they may, and which member they are: table A.1, row 7.

use super::anonymous_headers::is_anonymous;
use super::check_reasons::Reason;
use super::checks::Check;
use super::failure::Failure;
use super::group::Group;
use super::observer::{Note, Observer};
use super::permissions::Permissions;
use super::policy::Policy;
use super::rules::Asker;
use super::world::Source;
use crate::config::{FromMismatch, IdentityMode};
use crate::sip::address_text::without_password;
use crate::sip::identity::AssertedIdentity;
use crate::sip::privacy::Privacy;
use crate::sip::uri::Form;
use crate::sip::{HeaderName, Malformed, NameAddr, Request, name_addr};
use smallvec::SmallVec;

/// Who says who the originator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voucher {
    /// A trusted peer, by P-Asserted-Identity.
    Peer,
    /// The proxy, which has checked credentials.
    Proxy,
    /// Nobody: From is taken at its word.
    Nobody,
}

/// The originator, and who says so.
pub(super) struct Originator<'a> {
    pub identity: AssertedIdentity<'a>,
    pub voucher: Voucher,
}

/// Row 7, first half: who the originator is (A-7, I-1, I-2).
pub(super) fn authenticate<'a>(
    request: &'a Request<'_>,
    from: &NameAddr<'a>,
    policy: &Policy,
    source: &Source<'a>,
    observer: &mut impl Observer,
) -> Result<Originator<'a>, Failure> {
    observer.check(Check::Identity);
    let identity_mode = policy.settings.identity_mode;
    let asks_peers = identity_mode.believes_peers();
    let asks_script = identity_mode.believes_script();
    let is_trusted = policy.trusts(source);
    observer.note(|| note_of_peer(source, is_trusted, policy));
    if asks_peers && is_trusted {
        let part = HeaderName::PAssertedIdentity;
        let rows = request.rows(part).map(|row| -> &'a [u8] { row });
        let identity = AssertedIdentity::parse(part.as_str(), rows)
            .map_err(|error| Failure::new(Reason::BadIdentity, error))?;
        observer.notes(|| notes_of_asserted(request, &identity));
        if !identity.addresses.is_empty() {
            observer.notes(|| {
                let unused = source.identity.filter(|given| !given.is_empty());
                unused.map(|given| {
                    Note::left(
                        given,
                        "given by the script, but a trusted peer has named the originator",
                    )
                })
            });
            let voucher = Voucher::Peer;
            return Ok(Originator { identity, voucher });
        }
    }
    if !(asks_peers && is_trusted) {
        observer.notes(|| {
            let rows = request.rows(HeaderName::PAssertedIdentity);
            rows.map(|row| {
                Note::left(
                    row,
                    "the P-Asserted-Identity of a peer that is not believed",
                )
            })
        });
    }
    let given = source.identity.filter(|identity| !identity.is_empty());
    if let (Some(given), false) = (given, asks_script) {
        observer.note(|| {
            Note::left(
                given,
                "given by the script, which identity_mode does not ask",
            )
        });
    }
    if let Some(given) = given.filter(|_| asks_script) {
        let identity = AssertedIdentity::one("identity", given)
            .map_err(|error| Failure::new(Reason::NoIdentity, of_script(error, given)))?;
        if identity.addresses.is_empty() {
            let detail = "the script's identity is not a sip, sips or tel address";
            return Err(Failure::new(Reason::NoIdentity, detail));
        }
        observer.note(|| Note::taken(given, "given by the script"));
        let voucher = Voucher::Proxy;
        return Ok(Originator { identity, voucher });
    }
    if identity_mode == IdentityMode::None {
        observer.note(|| Note::taken(from.uri.print(Form::Whole), "From, as identity_mode=none"));
        let addresses = std::iter::once(*from).collect();
        let voucher = Voucher::Nobody;
        let identity = AssertedIdentity { addresses };
        return Ok(Originator { identity, voucher });
    }
    let mut missing = Vec::new();
    if asks_peers && is_trusted {
        missing.push("P-Asserted-Identity has no sip, sips or tel address".to_owned());
    } else if asks_peers {
        missing.push(format!("{source} is none of `trusted_peers`"));
    }
    if asks_script {
        missing.push("the script gave no identity".to_owned());
    }
    Err(Failure::new(Reason::NoIdentity, missing.join(", and ")))
}

fn note_of_peer(source: &Source<'_>, is_trusted: bool, policy: &Policy) -> Note {
    let source = source.to_string();
    match (is_trusted, policy.settings.identity_mode.believes_peers()) {
        (true, true) => Note::taken(
            source,
            "one of `trusted_peers`: what it asserts is believed",
        ),
        (false, true) => Note::left(
            source,
            "none of `trusted_peers`: what it asserts is ignored",
        ),
        (true, false) => Note::fact(
            source,
            "one of `trusted_peers`, but identity_mode does not ask peers who the originator is",
        ),
        (false, false) => Note::fact(source, "none of `trusted_peers`"),
    }
}

/// Every address that a trusted peer asserts, and whether it counts (I-2).
fn notes_of_asserted(request: &Request<'_>, taken: &AssertedIdentity<'_>) -> Vec<Note> {
    const PART: &str = "P-Asserted-Identity";
    let mut taken = taken.addresses.iter().peekable();
    let rows = request.rows(HeaderName::PAssertedIdentity);
    let addresses = rows.flat_map(|row| name_addr::list(PART, row));
    let mut notes: Vec<_> = addresses
        .map(|address| {
            let address = match address {
                Ok(address) => address.uri.print(Form::Whole),
                Err(error) => return Note::left(PART, format!("cannot be read: {error}")),
            };
            let is_next = |own: &&NameAddr<'_>| own.uri.print(Form::Whole) == address;
            if taken.next_if(is_next).is_some() {
                return Note::taken(address, "P-Asserted-Identity: an address of the originator");
            }
            let text = "P-Asserted-Identity: only the first sip or sips and the first tel address \
                        count";
            Note::left(address, text)
        })
        .collect();
    if notes.is_empty() {
        notes.push(Note::left(PART, "there is none"));
    }
    notes
}

/// A pseudo-variable without a value gives an identity such as `sip:<null>@<null>`.
fn of_script(error: Malformed, given: &[u8]) -> String {
    let given = without_password(given);
    let given = crate::sip::text::Printable(&given);
    format!("the script gave `{given}` ({error}); were the credentials checked?")
}

/// Row 7, still: what From says of the originator (I-4).
///
/// An anonymous From is not told to be somebody else's; row 8 deals with it.
pub(super) fn check_from(
    from: &NameAddr<'_>,
    originator: &Originator<'_>,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<(), Failure> {
    observer.check(Check::From);
    observer.note(|| note_of_from(from, originator, policy));
    let refuses = mismatch(originator, policy) == FromMismatch::Reject;
    if !refuses || is_anonymous(&from.uri) || originator.is(from, policy) {
        return Ok(());
    }
    let uri = from.uri.print(Form::Whole);
    let uri = crate::sip::text::Printable(uri.as_bytes());
    let detail = format!("From names <{uri}>");
    Err(Failure::new(Reason::FromMismatch, detail))
}

fn note_of_from(from: &NameAddr<'_>, originator: &Originator<'_>, policy: &Policy) -> Note {
    let uri = from.uri.print(Form::Whole);
    if originator.is(from, policy) {
        return Note::fact(uri, "From: the originator's address");
    }
    if is_anonymous(&from.uri) {
        return Note::fact(uri, "From: anonymous, which is looked at below");
    }
    match mismatch(originator, policy) {
        FromMismatch::Copy => Note::fact(
            uri,
            "From: not the originator's address; it is copied (from_mismatch)",
        ),
        FromMismatch::Rewrite => Note::left(
            uri,
            "From: not the originator's address, which takes its place (from_mismatch)",
        ),
        FromMismatch::Reject => Note::left(
            uri,
            "From: not the originator's address, which is asked for (from_mismatch)",
        ),
    }
}

fn mismatch(originator: &Originator<'_>, policy: &Policy) -> FromMismatch {
    let by_voucher = match originator.voucher {
        Voucher::Proxy => FromMismatch::Reject,
        Voucher::Peer | Voucher::Nobody => FromMismatch::Copy,
    };
    policy.settings.from_mismatch.unwrap_or(by_voucher)
}

impl Originator<'_> {
    /// Whether `address` is one of theirs.
    fn is(&self, address: &NameAddr<'_>, policy: &Policy) -> bool {
        let mut own = self.identity.addresses.iter();
        own.any(|own| policy.addressing.is_same_user(&own.uri, &address.uri))
    }

    /// Writes the From of the forks without its tag (U-4, I-4).
    pub fn write_from(
        &self,
        from: &NameAddr<'_>,
        policy: &Policy,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let rewrites = mismatch(self, policy) == FromMismatch::Rewrite;
        match self.identity.addresses.first() {
            Some(own) if rewrites && !self.is(from, policy) => own.write(Form::From, out),
            _ => from
                .write(Form::From, out)
                .and_then(|()| from.write_parameters(out)),
        }
    }
}

/// Row 7, second half: what the group allows the originator (G-3), of which the originator is the members `own`.
/// Who may not send has no other permission.
pub(super) fn authorise(
    group: &Group,
    own: &OwnMembers,
    asker: &Asker<'_, '_>,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<Permissions, Failure> {
    observer.notes(|| group.notes_of_permissions(asker, policy));
    let permissions = match group.rules() {
        None => Permissions::without_rules(!own.is_empty()),
        Some(_) => group.permissions(asker, policy),
    };
    if permissions.send {
        return Ok(permissions);
    }
    let detail = match group.rules() {
        Some(_) => "no rule of the group allows the originator to send",
        None => "the originator is not a member, and the group has no rules",
    };
    Err(Failure::new(Reason::NotAuthorised, detail))
}

/// Row 7, second half, for a service.
pub(super) fn authorise_for_services(
    identity: &AssertedIdentity<'_>,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<Permissions, Failure> {
    if let Some(address) = policy.address_for_services(identity) {
        observer.note(|| {
            let text = "a local subscriber, or in `service_acl`: may use services";
            Note::taken(address.uri.print(Form::Whole), text)
        });
        return Ok(Permissions {
            send: true,
            anonymity: false,
        });
    }
    let detail = "the originator is not a local subscriber and not in `service_acl`";
    Err(Failure::new(Reason::NotAuthorised, detail))
}

/// Whether the originator wants to stay anonymous, as the condition anonymous-request asks (G-3).
/// What Privacy cannot mean is refused later.
pub(super) fn wants_anonymity(request: &Request<'_>, from: &NameAddr<'_>) -> bool {
    let privacy = Privacy::parse(request.rows(HeaderName::Privacy));
    privacy.is_ok_and(|privacy| privacy.wants_anonymity()) || is_anonymous(&from.uri)
}

/// The numbers of those members of a group that the originator is.
pub(super) type OwnMembers = SmallVec<[u32; 2]>;

/// The members that the originator is; all their addresses count (I-2).
pub(super) fn own_members(
    group: &Group,
    identity: &AssertedIdentity<'_>,
    policy: &Policy,
) -> OwnMembers {
    let addresses = identity.addresses.iter();
    let mut members: OwnMembers = addresses
        .flat_map(|address| group.members_who_are(&address.uri, &policy.addressing))
        .collect();
    members.sort_unstable();
    members.dedup();
    members
}
