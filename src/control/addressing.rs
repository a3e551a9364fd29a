//! How addresses are told apart and sent to: equality of numbers and SIP addresses (C-3), the domain for telephone
//! numbers (M-7), and what the next hop can take.

use super::next_hop_capabilities::NextHopCapabilities;
use crate::sip::tel::TelUri;
use crate::sip::uri::{Form, Uri};
use crate::sip::uri_equality::same_host;

/// How addresses are told apart and sent to, the same for all groups of a server.
#[derive(Clone, Debug)]
pub struct Addressing {
    /// What the way out can carry.
    pub next_hop: NextHopCapabilities,
    /// Whether `sip:+N@HOST;user=phone` is `tel:+N` where HOST is one of ours (C-3).
    pub same_number: bool,
    /// The domain at which telephone numbers are sent to as SIP addresses; `None` where they are
    /// sent to as tel addresses (M-7).
    pub tel_domain: Option<String>,
    /// The served domains, in lower case.
    pub domains: Vec<String>,
}

impl Addressing {
    /// Whether `host` is a served domain.
    pub fn serves(&self, host: &[u8]) -> bool {
        let mut domains = self.domains.iter();
        domains.any(|domain| same_host(domain.as_bytes(), host))
    }

    /// Whether both addresses are one recipient.
    pub fn same(&self, a: &Uri<'_>, b: &Uri<'_>) -> bool {
        a.same(b)
            || match (self.number(a), self.number(b)) {
                (Some(a), Some(b)) => a.same(&b),
                _ => false,
            }
    }

    /// Whether both are the same user, however it is got at (C-3 included).
    pub fn is_same_user(&self, a: &Uri<'_>, b: &Uri<'_>) -> bool {
        a.is_same_user(b)
            || match (self.number(a), self.number(b)) {
                (Some(a), Some(b)) => a.is_same_user(&b),
                _ => false,
            }
    }

    /// The one spelling of who somebody is, by which their messages are counted and reported: the number, where
    /// it stands for the address.
    pub fn address_of_record(&self, uri: &Uri<'_>) -> Vec<u8> {
        let mut spelt = Vec::with_capacity(64);
        let number = self.number(uri);
        number
            .as_ref()
            .unwrap_or(uri)
            .write(Form::AddressOfRecord, &mut spelt);
        spelt
    }

    /// The number that an address stands for, if it is one of ours or a tel URI: a global one with
    /// `same_number`, and any at the domain where numbers are sent to, since both then reach the same.
    fn number<'a>(&self, uri: &Uri<'a>) -> Option<Uri<'a>> {
        let number = match uri {
            Uri::Tel(tel) => *tel,
            Uri::Sip(sip) if sip.is_phone() && !sip.secure => {
                let at_tel_domain = self.is_tel_domain(sip.host);
                if !at_tel_domain && !self.serves(sip.host) {
                    return None;
                }
                let number = TelUri::parse(sip.user?).ok()?;
                if at_tel_domain {
                    return Some(Uri::Tel(number));
                }
                number
            }
            _ => return None,
        };
        let is_one = number.is_global() && self.same_number;
        let is_converted = matches!(uri, Uri::Tel(_)) && self.tel_domain.is_some();
        (is_one || is_converted).then_some(Uri::Tel(number))
    }

    /// The addresses at domains of ours under which a recipient is reached as well: those of their
    /// number, where it is one.
    pub fn also_reached_as(&self, uri: &Uri<'_>) -> Vec<Vec<u8>> {
        let Some(Uri::Tel(number)) = self.number(uri) else {
            return Vec::new();
        };
        let domains = self.domains.iter().filter(|domain| {
            let is_converted = self.is_tel_domain(domain.as_bytes());
            is_converted || (self.same_number && number.is_global())
        });
        // Groups are found by the spelling of their address, and that has no visual separators.
        let digits: Vec<u8> = number.digits().collect();
        let plain = TelUri {
            number: &digits,
            ..number
        };
        let addresses = domains.map(|domain| {
            let mut address = Vec::new();
            plain.write_as_sip(domain, &mut address);
            address
        });
        addresses.collect()
    }

    fn is_tel_domain(&self, host: &[u8]) -> bool {
        let mut domain = self.tel_domain.iter();
        domain.any(|domain| same_host(domain.as_bytes(), host))
    }

    /// Why `uri` cannot be sent to, or nothing (A-12, M-7).
    pub(super) fn obstacle(&self, uri: &Uri<'_>) -> Option<&'static str> {
        match uri {
            Uri::Tel(_) if self.tel_domain.is_some() => None,
            _ => self.next_hop.obstacle(uri),
        }
    }

    /// The buckets in which an address is filed and looked for.
    pub(super) fn buckets<'a>(&self, uri: &Uri<'a>) -> impl Iterator<Item = u64> + use<'a> {
        let own = uri.bucket();
        let number = match uri {
            // It is filed as what it is already.
            Uri::Tel(_) => None,
            _ => self.number(uri).map(|number| number.bucket()),
        };
        std::iter::once(own).chain(number.filter(|&number| number != own))
    }
}
