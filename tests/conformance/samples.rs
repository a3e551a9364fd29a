//! The samples as they are shipped: who is trusted, what a sender may send, and what is taken out of a message before
//! it is relayed. A-7, S-5.

use crate::checks::{Before, nothing_was_sent, refused};
use crate::digest::{authorization, plain, setup as digest};
use crate::support::client::{Client, Transport, UNTRUSTED};
use crate::support::flow::{Request, unique};
use crate::support::proxy::proxy;
use crate::support::rig::{Rig, Setup};
use std::path::Path;

/// A whole configuration, or what one includes.
struct Sample {
    name: String,
    text: String,
}

/// All of both proxies.
fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for folder in ["kamailio-config", "opensips-config"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for file in std::fs::read_dir(&path).expect("the samples") {
            let path = file.expect("a sample").path();
            if path.extension().is_some_and(|extension| extension == "cfg") {
                samples.push(Sample {
                    name: path.display().to_string(),
                    text: std::fs::read_to_string(&path).expect("a sample"),
                });
            }
        }
    }
    assert!(samples.len() >= 9, "{} samples", samples.len());
    samples
}

impl Sample {
    /// What each line that gives a setting a value says, without quotes.
    fn values(&self, name: &str) -> Vec<&str> {
        let define = format!("#!trydef {} ", name.to_ascii_uppercase());
        let parameter = format!("modparam(\"cimf\", \"{name}\", \"");
        let lines = self.text.lines();
        lines
            .filter_map(|line| match line.strip_prefix(&parameter) {
                Some(rest) => rest.strip_suffix("\")"),
                None => line
                    .strip_prefix(&define)
                    .map(|rest| rest.trim_matches('"')),
            })
            .collect()
    }

    fn is_include(&self) -> bool {
        self.name.ends_with("cimf-route.cfg")
    }
}

/// No sample trusts anybody before its administrator says whom.
pub fn nobody_is_trusted_unless_the_administrator_says_so(_: Transport) {
    for sample in samples() {
        let values = sample.values("trusted_peers");
        assert!(!sample.is_include() || values.len() == 1, "{}", sample.name);
        assert!(
            values.iter().all(|value| value.is_empty()),
            "{}: {values:?}",
            sample.name
        );
    }
}

/// MESSAGES/SECONDS of the file that all samples of the proxy include.
#[track_caller]
fn quota() -> usize {
    let folder = proxy().samples().file_name().expect("a folder").to_owned();
    let mut quota = None;
    for sample in samples() {
        let values = sample.values("quota_originator");
        assert_eq!(
            values.len(),
            usize::from(sample.is_include()),
            "{}: {values:?}",
            sample.name
        );
        let is_ours = sample.name.contains(folder.to_str().expect("a name"));
        if let ([value], true) = (&values[..], is_ours) {
            let (messages, seconds) = value.split_once('/').expect("MESSAGES/SECONDS");
            assert!(
                (10..=600).contains(&seconds.parse().expect("seconds")),
                "{value}"
            );
            quota = Some(messages.parse().expect("messages"));
        }
    }
    quota.expect("a quota")
}

/// As many as the shipped file says, and no more.
#[track_caller]
fn sends_its_quota(
    rig: &Rig,
    client: &mut Client,
    mut request: impl FnMut(&mut Client) -> Request,
) {
    let quota = quota();
    assert!((5..=100).contains(&quota), "{quota} messages");
    for number in 0..quota {
        let request = request(client);
        let response = client.ask(&request);
        assert_eq!(response.status(), 202, "message {number}: {response}");
    }
    rig.wait_for_counter("forks_delivered", 2 * quota as u64);
    let request = request(client);
    refused(rig, client, &request, 480);
    assert_eq!(rig.counter("refused_originator_quota"), 1);
}

/// The small sample and the one for IMS.
pub fn a_sender_has_the_quota_of_the_shipped_file(transport: Transport) {
    let small = || Setup::new(transport).without("QUOTA_ORIGINATOR");
    let ims = || {
        small()
            .sample("ims-as.cfg")
            .without("SERVER_NAME")
            .text("TRUSTED_PEERS", "127.0.0.1/32")
            .text("DOMAINS", "im.home1.net")
    };
    for setup in [small(), ims()] {
        let rig = setup.start();
        let mut client = rig.client();
        sends_its_quota(&rig, &mut client, |client| Request::another(client));
    }
}

/// digest.cfg: by user, whatever they write into From.
pub fn a_user_with_a_password_has_the_quota_of_the_shipped_file(transport: Transport) {
    let rig = digest(transport, "").without("QUOTA_ORIGINATOR").start();
    let mut client = rig.client_at(UNTRUSTED);
    let mut number = 0;
    sends_its_quota(&rig, &mut client, |client| {
        number += 1;
        let first = plain(client).set("From", &format!("<sip:ann@home1.net>;tag={number}"));
        let challenge = client.ask(&first);
        let challenge = challenge.one("WWW-Authenticate");
        let line = authorization(challenge, "ann", "secret", "sip:hikers@im.home1.net");
        let branch = unique();
        let request = first.set("CSeq", "42 MESSAGE").via(client, &branch);
        request.with(&format!("Authorization: {line}"))
    });
}

/// What only the core may say about who somebody is.
const CLAIMS: [&str; 12] = [
    "P-Asserted-Identity: <sip:ann@home1.net>",
    "p-preferred-identity: <sip:ann@home1.net>",
    "P-Served-User: <sip:ann@home1.net>;sescase=orig",
    "P-ASSERTED-SERVICE: urn:urn-7:3gpp-service.ims.icsi.mmtel",
    "P-Preferred-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel",
    "P-Charging-Vector: icid-value=forged",
    "P-Charging-Function-Addresses: ccf=192.0.2.1",
    "P-Access-Network-Info: 3GPP-UTRAN-TDD",
    "P-Visited-Network-ID: forged",
    "Remote-Party-ID: <sip:ann@home1.net>;privacy=off",
    "History-Info: <sip:ann@home1.net>;index=1",
    "diversion : <sip:ann@home1.net>;reason=unconditional",
];

/// A sample that relays where it answered 404 until now, as an administrator makes one of it.
fn relaying(transport: Transport, sample: &str) -> Rig {
    let setup = Setup::new(transport);
    let folder = proxy().samples();
    let path = folder.join(sample);
    let text = std::fs::read_to_string(&path).expect("a sample");
    let end = text
        .rfind("_reply(\"404\"")
        .or_else(|| text.rfind("_reply(404"))
        .expect("a 404");
    let start = text[..end].rfind("sl_send").expect("a reply");
    let length = text[start..].find(';').expect("its end");
    let core = setup.core_port();
    let relay = format!(
        "$du = \"sip:127.0.0.1:{core};transport={}\"; t_relay()",
        transport.in_uri()
    );
    let text = format!("{}{relay}{}", &text[..start], &text[start + length..]);
    let edited = setup.folder().join("relaying.cfg");
    std::fs::write(&edited, text).expect("writing the sample");
    let included = setup.folder().join("cimf-route.cfg");
    std::fs::copy(folder.join("cimf-route.cfg"), included).expect("copying its other half");
    setup.sample(&edited.display().to_string()).start()
}

/// Whoever is not trusted has nothing relayed that says who they are.
pub fn what_only_the_core_may_say_is_not_relayed_for_strangers(transport: Transport) {
    relays_no_claims(&relaying(transport, proxy().small_sample()));
}

/// What a stranger claims goes no further.
pub fn relays_no_claims(rig: &Rig) {
    let mut stranger = rig.client_at(UNTRUSTED);
    let mut request = plain(&stranger).group("sip:bob@elsewhere.net");
    for claim in CLAIMS {
        request = request.with(claim);
    }
    stranger.send(&request.bytes());
    assert_eq!(stranger.receive().status(), 200);
    let relayed = rig.core.wait_for(1).remove(0).message;
    for claim in CLAIMS {
        let name = claim.split(':').next().unwrap_or_default().trim();
        let found = relayed
            .headers
            .iter()
            .find(|(other, _)| other.trim().eq_ignore_ascii_case(name));
        assert_eq!(found, None, "\n{relayed}");
    }
    // The rest is the sender's own.
    assert_eq!(relayed.one("From"), request.value("From"));
    assert_eq!(relayed.body, request.body);
}

/// As they stand, no sample relays anything for a stranger, whatever Request-URI and Route say.
pub fn no_sample_relays_for_strangers(transport: Transport) {
    for sample in [proxy().small_sample(), "digest.cfg", "ims-as.cfg"] {
        let rig = match sample {
            "digest.cfg" => digest(transport, "").start(),
            "ims-as.cfg" => Setup::new(transport)
                .sample("ims-as.cfg")
                .without("SERVER_NAME")
                .without("TRUSTED_PEERS")
                .text("DOMAINS", "im.home1.net")
                .start(),
            _ => Setup::new(transport).without("TRUSTED_PEERS").start(),
        };
        relays_for_nobody(&rig, sample);
    }
}

/// Neither for a stranger nor for whoever is on the same machine.
pub fn relays_for_nobody(rig: &Rig, sample: &str) {
    for from in [UNTRUSTED, crate::support::client::TRUSTED] {
        let mut stranger = rig.client_at(from);
        let core = rig.core.port;
        let before = Before::of(rig);
        for uri in [
            format!("sip:bob@127.0.0.1:{core}"),
            format!("sip:bob@elsewhere.net;maddr=127.0.0.1:{core}"),
            format!("sip:hikers@im.home1.net;maddr=127.0.0.1:{core}"),
            "sip:hikers@im.home1.net".to_owned(),
        ] {
            for method in ["MESSAGE", "INVITE", "REGISTER", "SUBSCRIBE", "ACK"] {
                let route = format!("<sip:{};lr>, <sip:127.0.0.1:{core};lr>", rig.address);
                let mut request = Request::another(&stranger)
                    .group(&uri)
                    .with(&format!("Route: {route}"))
                    .set("CSeq", &format!("1 {method}"));
                request.start = request.start.replace("MESSAGE", method);
                stranger.send(&request.bytes());
                if method != "ACK" {
                    let status = stranger.receive().status();
                    assert!(
                        (400..500).contains(&status),
                        "{sample}: {method} {uri}: {status}"
                    );
                }
            }
        }
        nothing_was_sent(rig, &mut stranger, &before);
        assert_eq!(rig.counter("accepted"), 0, "{sample}");
    }
}
