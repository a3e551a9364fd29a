//! Who may use groups and services, and to whom services may send: the administrator's decisions
//! (A-7, G-4, H-4, S-3, U-12). What a group itself allows stands in `rules`.

use super::directory::UriListService;
use super::policy::Policy;
use crate::config::ForeignRecipients;
use crate::sip::identity::AssertedIdentity;
use crate::sip::{NameAddr, Uri};

/// Why a service does not send to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// It is outside of the served domains: 403 (S-3).
    Foreign,
    /// Nobody there has consented: 470 (U-12).
    NoConsent,
}

impl Policy {
    /// The address by which the originator may use services: that of a local subscriber, or one of
    /// `service_acl`. One of their addresses suffices (I-2).
    pub fn address_for_services<'a, 'm>(
        &self,
        identity: &'a AssertedIdentity<'m>,
    ) -> Option<&'a NameAddr<'m>> {
        identity.addresses.iter().find(|address| {
            let is_local = match &address.uri {
                Uri::Sip(sip) => self.addressing.serves(sip.host),
                _ => false,
            };
            is_local || self.service_acl.includes(&address.uri, &self.addressing)
        })
    }

    /// Why `service` does not send to `recipient`, or nothing (S-3, S-4, U-12).
    ///
    /// A tel address has no domain and counts as local: where a number leads is the core's matter.
    pub fn objection(&self, service: &UriListService, recipient: &Uri<'_>) -> Option<Objection> {
        let is_foreign = match recipient {
            Uri::Sip(sip) => !self.addressing.serves(sip.host),
            _ => false,
        };
        let needs_consent = match (is_foreign, self.settings.foreign_recipients) {
            (true, ForeignRecipients::Deny) => return Some(Objection::Foreign),
            (true, ForeignRecipients::Consent) => true,
            _ => self.settings.consent,
        };
        let has_consented = || service.consenting.has(recipient, &self.addressing);
        (needs_consent && !has_consented()).then_some(Objection::NoConsent)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::control::addressing::Addressing;
    use crate::control::member_list::MemberList;
    use crate::control::service_acl::ServiceAcl;

    /// The policy of the examples with other settings.
    pub fn policy(change: impl FnOnce(&mut Settings)) -> Policy {
        let mut policy = Policy::example();
        change(&mut policy.settings);
        policy
    }

    pub fn addressing() -> Addressing {
        Policy::example().addressing
    }

    pub fn identity(row: &str) -> AssertedIdentity<'_> {
        AssertedIdentity::parse("P-Asserted-Identity", std::iter::once(row.as_bytes())).unwrap()
    }

    fn acl(items: &[&str]) -> Result<ServiceAcl, String> {
        let items: Vec<_> = items.iter().map(|&item| item.to_owned()).collect();
        ServiceAcl::parse(&items, &addressing())
    }

    #[test]
    fn local_subscribers_and_those_of_the_list_may_use_services() {
        // A-7, I-2.
        let listed = acl(&[
            "sip:eve@home2.net",
            "tel:+1-555",
            "Home3.NET",
            "[2001:db8::1]",
        ]);
        let strict = Policy::example();
        let listed = Policy {
            service_acl: listed.unwrap(),
            ..Policy::example()
        };
        for (who, without, with) in [
            ("<sip:ann@home1.net>", true, true),
            ("<sip:ann@HOME1.net:5061>", true, true),
            ("<tel:+1999>, <sip:ann@home1.net>", true, true),
            ("<sip:ann@x.home1.net>", false, false),
            ("<sip:eve@home2.net>", false, true),
            ("<sip:Eve@home2.net>", false, false),
            ("<sip:eve@home2.net:5060>", false, true),
            ("<tel:+1-555;cpc=ordinary>", false, true),
            ("<sip:eve@home3.net;x=y>", false, true),
            ("<sip:a@[2001:DB8:0::1]>", false, true),
            ("<tel:+1555>", false, true),
            ("<tel:+1556>", false, false),
            ("<sip:eve@home4.net>, <tel:+1555>", false, true),
        ] {
            let may = |policy: &Policy| policy.address_for_services(&identity(who)).is_some();
            assert_eq!(may(&strict), without, "{who}");
            assert_eq!(may(&listed), with, "{who}");
        }
        let nobody = AssertedIdentity::default();
        assert!(listed.address_for_services(&nobody).is_none());
    }

    #[test]
    fn an_item_that_is_neither_address_nor_domain_is_named() {
        for item in [
            "sip:home1.net",
            "a b",
            "im:x@h",
            "ann@home1.net",
            "home1.net:5060",
        ] {
            assert_eq!(acl(&["home1.net", item]).unwrap_err(), item);
        }
    }

    #[test]
    fn recipients_are_objected_to_as_the_parameters_say() {
        // S-3, S-4, U-12; T 106.
        let addressing = addressing();
        let service = UriListService {
            uri: "sip:listsvc@im.home1.net".to_owned(),
            pager_mode: true,
            consenting: MemberList::of(
                ["sip:bob@home1.net", "sip:cho@home2.net", "tel:+1555"].into_iter(),
                &addressing,
            ),
        };
        use ForeignRecipients::{Allow, Consent, Deny};
        use Objection::{Foreign, NoConsent};
        let uris = [
            "bob@home1.net",
            "dee@home1.net",
            "cho@HOME2.net?a=b",
            "eve@home2.net",
        ];
        for (foreign_recipients, consent, expected) in [
            (Allow, false, [None, None, None, None]),
            (Allow, true, [None, Some(NoConsent), None, Some(NoConsent)]),
            (Deny, false, [None, None, Some(Foreign), Some(Foreign)]),
            (
                Deny,
                true,
                [None, Some(NoConsent), Some(Foreign), Some(Foreign)],
            ),
            (Consent, false, [None, None, None, Some(NoConsent)]),
            (
                Consent,
                true,
                [None, Some(NoConsent), None, Some(NoConsent)],
            ),
        ] {
            let policy = policy(|settings| {
                settings.foreign_recipients = foreign_recipients;
                settings.consent = consent;
            });
            let found = uris.map(|uri| {
                let uri = format!("sip:{uri}");
                policy.objection(&service, &Uri::parse(uri.as_bytes()).unwrap())
            });
            assert_eq!(found, expected, "{foreign_recipients:?} {consent}");
            let tel = policy.objection(&service, &Uri::parse(b"tel:+1-555").unwrap());
            assert_eq!(tel, None, "{foreign_recipients:?} {consent}");
        }
    }
}
