//! From the settings to the policy: what a parameter's text means, and what is wrong with it.

use super::StartError;
use crate::config::{self, SettingError, Settings, SkipOriginator};
use crate::control::access::ServiceAcl;
use crate::control::copying::may_be_copied;
use crate::control::{Access, Addressing, ForeignRecipients, Nested, Policy, Reach, TrustedPeer};
use crate::sip::uri::Form;
use crate::sip::{SipUri, Uri};

/// The policy that the settings describe.
pub fn policy(settings: &Settings) -> Result<Policy, StartError> {
    let domains = domains(settings)?;
    let route = core_route(settings)?;
    let reach = match (&route, settings.direct) {
        (Some(route), false) => Reach::Core {
            tls: is_secure(route),
        },
        (None, true) => Reach::Direct,
        _ => return Err(StartError::NoWayOut),
    };
    let addressing = Addressing {
        reach,
        same_number: settings.same_number,
        domains,
    };
    Ok(Policy {
        server_name: settings.server_name().to_owned(),
        access: access(settings, &addressing)?,
        addressing,
        pager_mode: settings.pager_mode,
        hide_groups: settings.hide_groups,
        skip_originator: settings.skip_originator != SkipOriginator::Never,
        trusted_peers: trusted_peers(settings)?,
        trusted_next_hop: settings.trusted_next_hop,
        route_header: route.as_ref().map(route_header).unwrap_or_default(),
        copy_headers: copy_headers(settings)?,
    })
}

fn access(settings: &Settings, addressing: &Addressing) -> Result<Access, SettingError> {
    let acl = ServiceAcl::parse(&settings.service_acl, addressing).map_err(|item| {
        let expected = "addresses such as sip:eve@home2.net and domains such as home3.net";
        SettingError::new("service_acl", &item, expected)
    })?;
    let max_members = settings.max_members;
    Ok(Access {
        send_action: settings.send_action.clone(),
        nested: match settings.expand_nested {
            true => Nested::Expand { max_members },
            false => Nested::Skip,
        },
        service_acl: Some(acl),
        foreign_recipients: match settings.foreign_recipients {
            config::ForeignRecipients::Allow => ForeignRecipients::Allow,
            config::ForeignRecipients::Deny => ForeignRecipients::Deny,
            config::ForeignRecipients::Consent => ForeignRecipients::Consent,
        },
        consent: settings.consent,
    })
}

fn domains(settings: &Settings) -> Result<Vec<String>, SettingError> {
    let expected = "a domain, such as im.home1.net";
    if settings.domains.is_empty() {
        return Err(SettingError::new("domains", "", expected));
    }
    let checked = settings.domains.iter().map(|domain| {
        let text = format!("sip:{domain}");
        match Uri::parse(text.as_bytes()) {
            Ok(Uri::Sip(sip)) if sip.host == domain.as_bytes() => Ok(domain.to_ascii_lowercase()),
            _ => Err(SettingError::new("domains", domain, expected)),
        }
    });
    checked.collect()
}

fn core_route(settings: &Settings) -> Result<Option<SipUri<'_>>, SettingError> {
    let text = settings.core_route.as_str();
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |expected: String| SettingError::new("core_route", text, expected);
    match Uri::parse(text.as_bytes()) {
        Ok(Uri::Sip(route)) if route.headers.is_empty() => Ok(Some(route)),
        Ok(_) => Err(wrong("a sip or sips URI without headers".to_owned())),
        Err(error) => Err(wrong(format!("a sip or sips URI ({error})"))),
    }
}

fn is_secure(route: &SipUri<'_>) -> bool {
    let transport = route.parameter(b"transport").flatten();
    route.secure || transport.is_some_and(|value| value.eq_ignore_ascii_case(b"tls"))
}

/// The only Route of a fork, a loose one.
fn route_header(route: &SipUri<'_>) -> Vec<u8> {
    let mut header = b"Route: <".to_vec();
    route.write(Form::Whole, &mut header);
    if route.parameter(b"lr").is_none() {
        header.extend_from_slice(b";lr");
    }
    header.extend_from_slice(b">\r\n");
    header
}

fn trusted_peers(settings: &Settings) -> Result<Vec<TrustedPeer>, SettingError> {
    let parsed = settings.trusted_peers.iter().map(|text| {
        let expected = "[udp:|tcp:|tls:]ADDRESS-or-CIDR, such as tcp:10.0.0.0/8";
        TrustedPeer::parse(text).ok_or_else(|| SettingError::new("trusted_peers", text, expected))
    });
    parsed.collect()
}

fn copy_headers(settings: &Settings) -> Result<Vec<String>, SettingError> {
    let checked = settings.copy_headers.iter().map(|name| {
        if may_be_copied(name) {
            return Ok(name.clone());
        }
        let expected = "names of headers that may be copied (the standard forbids some)";
        Err(SettingError::new("copy_headers", name, expected))
    });
    checked.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(changes: &[(&str, &str)]) -> Result<Policy, StartError> {
        let mut settings = Settings::new();
        settings.set("domains", "Home1.NET").unwrap();
        for (name, value) in changes {
            settings.set(name, value).unwrap();
        }
        policy(&settings)
    }

    #[test]
    fn the_route_is_loose_and_whole() {
        //
        for (route, header) in [
            (
                "sip:icscf.home1.net;transport=tcp",
                "Route: <sip:icscf.home1.net;transport=tcp;lr>\r\n",
            ),
            (
                "sip:icscf.home1.net;lr;orig",
                "Route: <sip:icscf.home1.net;lr;orig>\r\n",
            ),
        ] {
            let policy = with(&[("core_route", route)]).unwrap();
            assert_eq!(String::from_utf8_lossy(&policy.route_header), header);
        }
    }

    #[test]
    fn sips_members_can_be_reached_over_a_tls_route_only() {
        for (route, tls) in [
            ("sip:h", false),
            ("sips:h", true),
            ("sip:h;transport=TLS", true),
        ] {
            let policy = with(&[("core_route", route)]).unwrap();
            assert_eq!(policy.addressing.reach, Reach::Core { tls });
        }
    }

    #[test]
    fn a_wrong_value_stops_the_start_with_its_name() {
        for (changes, text) in [
            (&[][..], "core_route and direct"),
            (
                &[("direct", "1"), ("core_route", "sip:h")],
                "core_route and direct",
            ),
            (
                &[("core_route", "icscf")],
                "parameter core_route: expected a sip or sips URI (URI: expected a scheme and a colon at byte 5, found the end), found \"icscf\"",
            ),
            (&[("core_route", "tel:+1")], "parameter core_route"),
            (&[("direct", "1"), ("domains", "")], "parameter domains"),
            (&[("direct", "1"), ("domains", "a b")], "found \"a b\""),
            (
                &[("direct", "1"), ("trusted_peers", "10.0.0.1, host")],
                "found \"host\"",
            ),
            (
                &[("direct", "1"), ("copy_headers", "X-A, via")],
                "found \"via\"",
            ),
            (
                &[("direct", "1"), ("service_acl", "home3.net, eve@home2.net")],
                "parameter service_acl: expected addresses such as sip:eve@home2.net and domains such as home3.net, found \"eve@home2.net\"",
            ),
        ] {
            let error = with(changes).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
