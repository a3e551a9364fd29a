//! What the next hop learns beside the content, by the trust that stands on both sides of us: I-3,
//! N-2, N-3, N-5 to N-7, N-9, U-10.

use super::anonymous_headers::{ANONYMOUS, names_somebody, write_privacy};
use super::caller_preferences;
use super::copying::obstacle;
use super::from_group::FromGroup;
use super::observer::Note;
use super::originator::{Originator, Voucher};
use super::policy::Policy;
use super::world::Source;
use crate::config::ForkPai;
use crate::sip::message::Header;
use crate::sip::uri::Form;
use crate::sip::{HeaderName, Malformed, NameAddr, Request, credentials};

const NAMES_ORIGINATOR: &str = "tells who the originator is, who stays anonymous (I-6)";

/// The way of one message from where it came to the next hop.
pub(super) struct TrustDomain<'a, 'o> {
    pub policy: &'a Policy,
    pub originator: &'a Originator<'o>,
    /// The address of the group or service.
    pub target: &'a str,
    /// Whether the originator stays anonymous (I-6).
    pub anonymous: bool,
    /// Whether the message came from inside the trust domain.
    pub from_inside: bool,
    /// From and label of copies that come from the group.
    pub from_group: Option<FromGroup<'a>>,
}

impl<'a, 'o> TrustDomain<'a, 'o> {
    /// The way of a message from `source`.
    pub fn new(
        policy: &'a Policy,
        source: &Source<'_>,
        originator: &'a Originator<'o>,
        target: &'a str,
        anonymous: bool,
        from_group: Option<FromGroup<'a>>,
    ) -> Self {
        Self {
            policy,
            originator,
            target,
            anonymous,
            from_inside: policy.trusts(source),
            from_group,
        }
    }

    /// Whether the message stays in the trust domain all the way. What only that domain may say is
    /// believed, and passed on, in no other case.
    pub fn is_inside(&self) -> bool {
        self.from_inside && self.policy.settings.trusted_next_hop
    }

    /// The From of the forks without its tag (U-4, I-4, I-6).
    pub fn from(&self, from: &NameAddr<'_>) -> Result<Vec<u8>, Malformed> {
        if let Some(from_group) = &self.from_group {
            return Ok(from_group.from());
        }
        if self.anonymous {
            return Ok(ANONYMOUS.to_vec());
        }
        let mut out = Vec::with_capacity(64);
        self.originator.write_from(from, self.policy, &mut out)?;
        Ok(out)
    }

    /// Why a header field does not go from the message into its forks, or nothing if it goes there as
    /// it is.
    pub fn obstacle(&self, header: &Header<'_>) -> Option<&'static str> {
        match header.name {
            HeaderName::PAssertedService
            | HeaderName::PChargingFunctionAddresses
            | HeaderName::ResourcePriority => match self.is_inside() {
                true => None,
                false => {
                    Some("stays in the trust domain, and the peer or the next hop is outside (N-9)")
                }
            },
            HeaderName::Authorization | HeaderName::ProxyAuthorization => {
                match self.takes_credentials(header) {
                    true if self.anonymous => Some(NAMES_ORIGINATOR),
                    true => None,
                    false => Some("credentials for us, or for a core that is not trusted (U-10)"),
                }
            }
            HeaderName::ReplyTo if self.from_group.is_some() => {
                Some("an answer goes to the group (fork_from=group)")
            }
            _ if self.anonymous && names_somebody(header) => Some(NAMES_ORIGINATOR),
            HeaderName::Other if caller_preferences::is_preference(header, self.policy) => {
                match self.anonymous && caller_preferences::may_name(header) {
                    true => Some(NAMES_ORIGINATOR),
                    false => None,
                }
            }
            _ => obstacle(header, &self.policy.settings.copy_headers),
        }
    }

    /// U-10: credentials for another realm go to a trusted core; those for ours have done their
    /// work. Those whose realm cannot be read may be ours.
    fn takes_credentials(&self, header: &Header<'_>) -> bool {
        let to_core = self.policy.settings.trusted_next_hop && !self.policy.route_header.is_empty();
        to_core
            && credentials::realm(header.value)
                .is_ok_and(|realm| !self.policy.addressing.serves(&realm))
    }

    /// What a next hop gets of the originator, and why.
    pub fn note_of_assertions(&self) -> Note {
        let policy = self.policy;
        let name = HeaderName::PAssertedIdentity.as_str();
        if !policy.settings.trusted_next_hop {
            return Note::left(name, "the next hop gets none: trusted_next_hop=0 (I-3)");
        }
        if policy.settings.fork_pai == ForkPai::Group {
            return Note::taken(name, "names the group: fork_pai=group (N-3)");
        }
        match self.originator.voucher {
            Voucher::Nobody => Note::left(name, "nobody vouches for the originator"),
            Voucher::Peer | Voucher::Proxy => Note::taken(name, "names the originator (I-3)"),
        }
    }

    /// Writes what a trusted next hop gets of us, each with its CRLF; nothing for another.
    pub fn write_assertions(
        &self,
        request: &Request<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let policy = self.policy;
        if !policy.settings.trusted_next_hop {
            return Ok(());
        }
        if policy.settings.fork_pai == ForkPai::Group {
            out.extend_from_slice(b"P-Asserted-Identity: <");
            out.extend_from_slice(self.target.as_bytes());
            out.extend_from_slice(b">\r\n");
            // N-2: it is the group that the S-CSCF is to serve, not the sender.
            if policy.route_is_originating {
                out.extend_from_slice(b"P-Served-User: <");
                out.extend_from_slice(self.target.as_bytes());
                out.extend_from_slice(b">;sescase=orig;regstate=reg\r\n");
            }
        } else if self.originator.voucher != Voucher::Nobody {
            self.write_identity(out)?;
        }
        write_privacy(request, self.anonymous, out);
        Ok(())
    }

    /// The identity of the originator (I-3).
    fn write_identity(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        for (index, address) in self.originator.identity.addresses.iter().enumerate() {
            out.extend_from_slice(if index == 0 {
                b"P-Asserted-Identity: "
            } else {
                b", "
            });
            address.write(Form::Whole, out)?;
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}
