//! Who may use the URI-list services of a server besides its own subscribers: the parameter `service_acl`.

use super::addressing::Addressing;
use super::member_list::MemberList;
use crate::sip::uri_equality::same_host;
use crate::sip::{SipUri, Uri};
use std::sync::Arc;

/// The addresses and domains that may use services besides local subscribers.
#[derive(Clone, Debug)]
pub struct ServiceAcl {
    addresses: Arc<MemberList>,
    domains: Vec<String>,
}

impl ServiceAcl {
    /// Reads a list of addresses (with a scheme) and domains. An item that is neither is the error.
    pub fn parse(items: &[String], addressing: &Addressing) -> Result<Self, String> {
        let mut domains = Vec::new();
        let mut ids = Vec::new();
        for item in items {
            let domain = format!("sip:{item}");
            let uri = Uri::parse(item.as_bytes());
            match (uri, Uri::parse(domain.as_bytes())) {
                (Ok(Uri::Sip(SipUri { user: Some(_), .. }) | Uri::Tel(_)), _) => {
                    ids.push(item.as_str());
                }
                (Err(_), Ok(Uri::Sip(sip))) if sip.host == item.as_bytes() => {
                    domains.push(item.to_ascii_lowercase());
                }
                _ => return Err(item.clone()),
            }
        }
        let ids = MemberList::of(ids.into_iter(), addressing);
        Ok(Self {
            addresses: Arc::new(ids),
            domains,
        })
    }

    pub(super) fn includes(&self, uri: &Uri<'_>, addressing: &Addressing) -> bool {
        let is_in_domain = match uri {
            Uri::Sip(sip) => {
                let mut domains = self.domains.iter();
                domains.any(|domain| same_host(domain.as_bytes(), sip.host))
            }
            _ => false,
        };
        is_in_domain || self.addresses.has_user(uri, addressing)
    }
}
