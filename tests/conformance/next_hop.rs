//! What the next hop learns: nothing of the trust domain's if it is outside (I-3, N-5 to N-9), and credentials
//! of other realms only if it is a trusted core (U-10).

use crate::checks::{accepted, sent};
use crate::support::client::{Transport, UNTRUSTED};
use crate::support::core::Fork;
use crate::support::flow::Request;
use crate::support::rig::{BOB, Rig, Setup, TEL};

const OF_THE_DOMAIN: [&str; 5] = [
    "P-Asserted-Service: urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg",
    "Resource-Priority: wps.3",
    "P-Charging-Function-Addresses: ccf=192.0.2.1",
    "Privacy: none",
    "P-Charging-Function-Addresses: ccf=192.0.2.2",
];

/// What no next hop gets.
const NEVER: [&str; 8] = [
    "P-Preferred-Service: urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg.group",
    "P-Preferred-Identity: <sip:ann@home1.net>",
    "P-Access-Network-Info: IEEE-802.11",
    "P-Visited-Network-ID: other.net",
    "P-Served-User: <sip:ann@home1.net>",
    "Identity: abc",
    "Identity-Info: <https://home1.net/cert>",
    "History-Info: <sip:x@home1.net>;index=1",
];

fn laden(request: Request) -> Request {
    let lines = OF_THE_DOMAIN.iter().chain(&NEVER);
    lines.fold(request, |request, line| request.with(line))
}

fn name(line: &str) -> &str {
    line.split(':').next().unwrap_or_default()
}

#[track_caller]
fn has_none(forks: &[Fork], lines: &[&str]) {
    for fork in forks {
        for line in lines {
            assert!(!fork.message.has(name(line)), "{line} in\n{}", fork.message);
        }
    }
}

fn rig(transport: Transport, trusted: i64) -> Rig {
    Setup::new(transport)
        .number("TRUSTED_NEXT_HOP", trusted)
        .text("IDENTITY_MODE", "either")
        .text("CIMF_IDENTITY", "$hdr(X-Identity)")
        .start()
}

/// I-3, I-7, N-5, N-7, H-2.
pub fn a_trusted_next_hop_gets_what_the_domain_says(transport: Transport) {
    let rig = rig(transport, 1);
    let mut client = rig.client();
    let request = laden(Request::another(&client));
    let (_, forks) = sent(&rig, &mut client, &request, 2);
    for fork in &forks {
        for line in OF_THE_DOMAIN {
            let values = fork.message.all(name(line));
            let value = line.split_once(": ").unwrap_or_default().1;
            assert!(values.contains(&value), "no {line} in\n{}", fork.message);
        }
    }
    has_none(&forks, &NEVER);
}

/// T 40 beyond P-headers: I-3, N-5, N-6, N-7, N-9.
pub fn t40_an_untrusted_next_hop_gets_nothing_of_the_domain(transport: Transport) {
    let rig = rig(transport, 0);
    let mut client = rig.client();
    let request = laden(Request::another(&client));
    let (response, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    has_none(&forks, &OF_THE_DOMAIN);
    has_none(&forks, &NEVER);
    has_none(&forks, &["P-Asserted-Identity", "P-Charging-Vector"]);
    // The answer goes back into the domain.
    assert!(response.has("P-Charging-Vector"));
}

/// I-1, N-6: who is outside cannot speak for the domain, to whomever the message goes on.
pub fn an_untrusted_peer_says_nothing_for_the_domain(transport: Transport) {
    let rig = rig(transport, 1);
    let mut client = rig.client_at(UNTRUSTED);
    let request = laden(Request::another(&client)).with("X-Identity: sip:ann@home1.net");
    let (response, forks) = sent(&rig, &mut client, &request, 2);
    let only_of_peers: Vec<_> = OF_THE_DOMAIN
        .into_iter()
        .filter(|line| !line.starts_with("Privacy"))
        .collect();
    has_none(&forks, &only_of_peers);
    has_none(&forks, &NEVER);
    has_none(&forks, &["P-Charging-Vector"]);
    assert!(!response.has("P-Charging-Vector"));
    for fork in forks {
        assert_eq!(
            fork.message.one("P-Asserted-Identity"),
            "<sip:ann@home1.net>"
        );
    }
}

/// U-10.
pub fn credentials_of_other_realms_go_to_a_trusted_core_only(transport: Transport) {
    let own = "Digest username=\"ann\", realm=\"Home1.net\", response=\"1\"";
    let other = "Digest username=\"ann\",\r\n realm=\"home2.net\", response=\"2\"";
    let on_one_line = "Digest username=\"ann\", realm=\"home2.net\", response=\"2\"";
    let odd = "Digest username=\"ann\", response=\"3\"";
    for (trusted, expected) in [(1, vec![on_one_line]), (0, Vec::new())] {
        let rig = rig(transport, trusted);
        let mut client = rig.client();
        let mut request = Request::another(&client);
        for name in ["Authorization", "Proxy-Authorization"] {
            for value in [own, other, odd] {
                request = request.with(&format!("{name}: {value}"));
            }
        }
        let (_, forks) = sent(&rig, &mut client, &request, 2);
        for fork in forks {
            assert_eq!(fork.message.all("Authorization"), expected);
            assert_eq!(fork.message.all("Proxy-Authorization"), expected);
        }
    }
}
