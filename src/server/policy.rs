//! From the settings to the policy: what follows from several parameters together, and what is wrong with it.

use super::StartError;
use crate::config::{IdentityMode, SettingError, Settings, TelMode};
use crate::control::copying::may_be_copied;
use crate::control::service_acl::ServiceAcl;
use crate::control::uri_headers::may_be_in_uri;
use crate::control::{Addressing, NextHopCapabilities, Policy};
use crate::sip::uri::Form;
use crate::sip::{SipUri, Uri};

/// The policy that the settings describe.
pub fn policy(settings: &Settings) -> Result<Policy, StartError> {
    check_domains(settings)?;
    let route = core_route(settings)?;
    let next_hop = match (&route, settings.direct) {
        (Some(route), false) => NextHopCapabilities::Core {
            tls: is_secure(route),
        },
        (None, true) => NextHopCapabilities::Direct,
        _ => return Err(StartError::NoWayOut),
    };
    let domains = settings.domains.iter();
    let addressing = Addressing {
        next_hop,
        same_number: settings.same_number(),
        tel_domain: tel_domain(settings)?,
        domains: domains.map(|domain| domain.to_ascii_lowercase()).collect(),
    };
    let service_acl = service_acl(settings, &addressing)?;
    check_uri_headers(settings)?;
    check_feature_tags(settings)?;
    check_copy_headers(settings)?;
    Ok(Policy {
        addressing,
        service_acl,
        route_header: route.as_ref().map(route_header).unwrap_or_default(),
        route_is_originating: route.as_ref().is_some_and(is_originating),
        settings: settings.clone(),
    })
}

/// What the administrator should know of settings that can be used.
pub fn warnings(settings: &Settings, policy: &Policy) -> Vec<&'static str> {
    let mode = settings.identity_mode;
    let mut warnings = Vec::new();
    if mode == IdentityMode::None {
        warnings.push(
            "identity_mode=none: anybody can send in anybody's name, as From is believed; \
             expected in labs only",
        );
    }
    if mode == IdentityMode::Pai && settings.trusted_peers.is_empty() {
        warnings.push(
            "identity_mode=pai and trusted_peers is empty: every group message will be refused \
             with 403",
        );
    }
    if policy.route_is_originating && !settings.trusted_next_hop {
        warnings.push(
            "core_route has `orig` and trusted_next_hop is 0: the core gets no identity to serve; \
             expected trusted_next_hop=1",
        );
    }
    if settings.max_breadth != 0 && settings.concurrency > settings.max_breadth {
        warnings.push(
            "concurrency is above max_breadth and has no effect beyond that: set max_breadth higher, or 0 where \
             the core takes it",
        );
    }
    if u64::from(settings.concurrency) * 100 > u64::from(settings.forks_in_flight) * 38 {
        warnings.push(
            "concurrency is above 38 in 100 of forks_in_flight, which is what one originator's copies may be: \
             set forks_in_flight to 2.7 times concurrency",
        );
    }
    warnings
}

fn check_uri_headers(settings: &Settings) -> Result<(), SettingError> {
    let expected =
        "names of headers that a URI may set, such as Subject (the standard forbids some)";
    match settings
        .uri_headers
        .iter()
        .find(|name| !may_be_in_uri(name))
    {
        Some(name) => Err(SettingError::new("uri_headers", name, expected)),
        None => Ok(()),
    }
}

fn check_feature_tags(settings: &Settings) -> Result<(), SettingError> {
    let expected = "feature tags, each TAG or TAG=VALUE and perhaps >OUTGOING, such as \
                    +g.oma.sip-im>+g.oma.sip-im;require;explicit";
    match settings.feature_tags.is_empty() {
        true => Err(SettingError::new("feature_tags", "", expected)),
        false => Ok(()),
    }
}

/// Whether the S-CSCF is to treat forks as a request that somebody originates (N-2).
fn is_originating(route: &SipUri<'_>) -> bool {
    route.parameter(b"orig").is_some()
}

fn service_acl(settings: &Settings, addressing: &Addressing) -> Result<ServiceAcl, SettingError> {
    ServiceAcl::parse(&settings.service_acl, addressing).map_err(|item| {
        let expected = "addresses such as sip:eve@home2.net and domains such as home3.net";
        SettingError::new("service_acl", &item, expected)
    })
}

fn check_domains(settings: &Settings) -> Result<(), SettingError> {
    match settings.domains.is_empty() {
        true => Err(SettingError::new(
            "domains",
            "",
            "a domain, such as im.home1.net",
        )),
        false => Ok(()),
    }
}

/// The domain of converted numbers, if they are converted (M-7).
fn tel_domain(settings: &Settings) -> Result<Option<String>, SettingError> {
    if settings.tel_mode == TelMode::Keep {
        return Ok(None);
    }
    let domain = settings.tel_domain.as_str();
    let text = format!("sip:{domain}");
    match Uri::parse(text.as_bytes()) {
        Ok(Uri::Sip(sip)) if sip.host == domain.as_bytes() => Ok(Some(domain.to_ascii_lowercase())),
        _ => {
            let expected = "a domain, such as home1.net, as tel_mode=convert needs one";
            Err(SettingError::new("tel_domain", domain, expected))
        }
    }
}

fn core_route(settings: &Settings) -> Result<Option<SipUri<'_>>, SettingError> {
    let text = settings.core_route.as_str();
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |expected: String| SettingError::new("core_route", text, expected);
    match Uri::parse(text.as_bytes()) {
        Ok(Uri::Sip(route)) if !route.headers.is_empty() => {
            Err(wrong("a sip or sips URI without headers".to_owned()))
        }
        Ok(Uri::Sip(route)) if !has_known_transport(&route) => {
            Err(wrong(format!("a transport of {}", TRANSPORTS.join(", "))))
        }
        Ok(Uri::Sip(route)) => Ok(Some(route)),
        Ok(_) => Err(wrong("a sip or sips URI".to_owned())),
        Err(error) => Err(wrong(format!("a sip or sips URI ({error})"))),
    }
}

/// The transports that a proxy may have.
const TRANSPORTS: [&str; 6] = ["udp", "tcp", "tls", "sctp", "ws", "wss"];

fn has_known_transport(route: &SipUri<'_>) -> bool {
    let transport = route.parameter(b"transport").flatten();
    transport.is_none_or(|transport| {
        TRANSPORTS
            .iter()
            .any(|known| transport.eq_ignore_ascii_case(known.as_bytes()))
    })
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

fn check_copy_headers(settings: &Settings) -> Result<(), SettingError> {
    let expected = "names of headers that may be copied (the standard forbids some)";
    match settings
        .copy_headers
        .iter()
        .find(|name| !may_be_copied(name))
    {
        Some(name) => Err(SettingError::new("copy_headers", name, expected)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(changes: &[(&str, &str)]) -> Result<Policy, StartError> {
        let mut settings = Settings::new();
        settings.set("domains", "Home1.NET").unwrap();
        for (name, value) in changes {
            settings.set(name, value)?;
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
    fn every_feature_tag_has_an_outgoing_value() {
        //
        let icsi = "+g.3gpp.icsi-ref=urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg";
        for (text, header) in [
            ("+g.oma.sip-im", "+g.oma.sip-im;require;explicit".to_owned()),
            (
                icsi,
                format!(
                    "{};require;explicit",
                    icsi.replace("=", "=\"").replace(".msg", ".msg\"")
                ),
            ),
            (
                "+g.oma.sip-im > +g.x=\"a\" ; explicit",
                "+g.x=\"a\";explicit".to_owned(),
            ),
        ] {
            let policy = with(&[("direct", "1"), ("feature_tags", text)]).unwrap();
            let written = String::from_utf8_lossy(&policy.settings.feature_tags[0].accept_contact);
            assert_eq!(written, format!("Accept-Contact: *;{header}\r\n"));
        }
    }

    #[test]
    fn one_number_under_two_schemes_is_for_ims() {
        // C-3.
        for (changes, same) in [
            (&[("direct", "1")][..], true),
            (&[("direct", "1"), ("identity_mode", "digest")], false),
            (
                &[
                    ("direct", "1"),
                    ("identity_mode", "either"),
                    ("same_number", "1"),
                ],
                true,
            ),
            (&[("direct", "1"), ("same_number", "0")], false),
        ] {
            assert_eq!(with(changes).unwrap().addressing.same_number, same);
        }
    }

    #[test]
    fn dangerous_settings_are_warned_of_at_the_start() {
        for (changes, text) in [
            (
                &[("direct", "1"), ("identity_mode", "none")][..],
                "identity_mode=none",
            ),
            (&[("direct", "1")], "trusted_peers is empty"),
            (
                &[("core_route", "sip:h;orig"), ("trusted_peers", "::1")],
                "`orig`",
            ),
            (
                &[
                    ("direct", "1"),
                    ("trusted_peers", "::1"),
                    ("concurrency", "61"),
                ],
                "above max_breadth",
            ),
            (
                &[
                    ("direct", "1"),
                    ("trusted_peers", "::1"),
                    ("concurrency", "761"),
                    ("max_breadth", "0"),
                ],
                "of forks_in_flight",
            ),
        ] {
            let mut settings = Settings::new();
            settings.set("domains", "h").unwrap();
            for (name, value) in changes {
                settings.set(name, value).unwrap();
            }
            let found = warnings(&settings, &policy(&settings).unwrap());
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(text), "{found:?}");
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
            assert_eq!(
                policy.addressing.next_hop,
                NextHopCapabilities::Core { tls }
            );
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
            (
                &[("core_route", "sip:h;transport=tpc")],
                "expected a transport of udp, tcp",
            ),
            (&[("direct", "1"), ("domains", "")], "parameter domains"),
            (&[("direct", "1"), ("domains", "a b")], "found \"a b\""),
            (
                &[("direct", "1"), ("trusted_peers", "10.0.0.1, host")],
                "found \"host\"",
            ),
            (&[("direct", "1"), ("copy_headers", "m")], "found \"m\""),
            (
                &[("direct", "1"), ("copy_headers", "X-A, via")],
                "found \"via\"",
            ),
            (
                &[("direct", "1"), ("tel_mode", "convert")],
                "parameter tel_domain: expected a domain, such as home1.net, as tel_mode=convert needs one, found \"\"",
            ),
            (
                &[("direct", "1"), ("feature_tags", "+g.oma.sip-im, a b")],
                "found \"a b\"",
            ),
            (
                &[("direct", "1"), ("uri_headers", "Subject, Route")],
                "found \"Route\"",
            ),
            (
                &[("direct", "1"), ("uri_headers", "Content-Type")],
                "found \"Content-Type\"",
            ),
            (&[("direct", "1"), ("uri_headers", "s")], "found \"s\""),
            (
                &[("direct", "1"), ("feature_tags", "")],
                "parameter feature_tags",
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
