//! TLS: as what carries a message, as what tells a peer, and as the way to the core.

use crate::checks::{Before, accepted, is_202, nothing_was_sent, refused};
use crate::support::client::{Client, TRUSTED, Transport};
use crate::support::flow::Request;
use crate::support::port::Port;
use crate::support::proxy::{leave_out, proxy};
use crate::support::rig::{ANN, BOB, Rig, Setup, TEL, until};
use crate::tls_relay::{Papers, TlsRelay};
use std::net::SocketAddr;
use std::time::Duration;

/// A proxy that takes TLS as well, and a core that takes nothing else.
struct TlsRig {
    rig: Rig,
    papers: Papers,
    address: SocketAddr,
    core: TlsRelay,
    _port: Port,
}

/// What differs among the cases.
struct Choice {
    trusted_peers: &'static str,
    asks_clients: bool,
    /// The certificate that the core shows.
    core_is: &'static str,
    /// The next hop, in which `@CORE@` stands for the core's address.
    core_route: &'static str,
}

const USUAL: Choice = Choice {
    trusted_peers: "tls:127.0.0.1",
    asks_clients: false,
    core_is: "core",
    core_route: "sip:@CORE@;transport=tls",
};

/// None if the proxy has no module for TLS.
fn start(choice: Choice) -> Option<TlsRig> {
    let setup = Setup::new(Transport::Tcp);
    let port = Port::reserve();
    let address = SocketAddr::from((TRUSTED, port.number));
    let lines = proxy().tls(setup.folder(), address, choice.asks_clients);
    let Some(lines) = lines else {
        leave_out("it has no modules for TLS");
        return None;
    };
    let papers = Papers::make(setup.folder());
    let core = TlsRelay::before_core(&papers, choice.core_is, setup.core_port());
    let core_route = choice
        .core_route
        .replace("@CORE@", &core.address.to_string());
    let module = "loadmodule @CIMF_MODULE@\n";
    let head = proxy()
        .head()
        .replace(module, &format!("{lines}{}{module}", proxy().waits(3)));
    let mut rig = setup
        .configuration(&format!("{head}cimf_handle(); }}\n"))
        .text("IDENTITY_MODE", "pai")
        .text("TRUSTED_PEERS", choice.trusted_peers)
        .text("CORE_ROUTE", &core_route)
        .group("sip:mixed@im.home1.net", &[ANN, BOB, "sips:cho@home1.net"])
        .start();
    rig.route = format!("<{core_route};lr>");
    rig.sent_by = Some(("TLS", address));
    Some(TlsRig {
        rig,
        papers,
        address,
        core,
        _port: port,
    })
}

impl TlsRig {
    /// A sender whose messages come over TLS, with a certificate or without.
    #[track_caller]
    fn client(&self, certificate: Option<&str>) -> (Client, TlsRelay) {
        let relay = TlsRelay::before_proxy(&self.papers, certificate, self.address);
        let client = Client::new(Transport::Tcp, TRUSTED, relay.address);
        (client.expect("a connection to the relay"), relay)
    }
}

/// A message as who speaks TLS writes it.
fn over_tls(client: &Client) -> Request {
    let request = Request::another(client);
    let via = request.value("Via").replace("/TCP ", "/TLS ");
    request.set("Via", &via)
}

/// 202, and copies over TLS to a core that has shown a certificate of the right authority.
pub fn a_message_over_tls_is_sent_on_over_tls(_: Transport) {
    for core_route in ["sip:@CORE@;transport=tls", "sips:@CORE@"] {
        let choice = Choice {
            core_route,
            ..USUAL
        };
        let Some(tls) = start(choice) else { return };
        let (mut client, relay) = tls.client(None);
        let request = over_tls(&client);
        let (answer, _) = accepted(&tls.rig, &mut client, &request, &[BOB, TEL]);
        let told = "is finished: delivered=2 refused=0 unreachable=0 expired=0 skipped=0";
        tls.rig.wait_for_log(told);
        let before = Before::of(&tls.rig);
        client.send(&request.bytes());
        assert_eq!(client.receive(), answer, "the answer that was sent before");
        nothing_was_sent(&tls.rig, &mut client, &before);
        assert_eq!(relay.faults(), Vec::<String>::new());
        assert_eq!(tls.core.faults(), Vec::<String>::new());
    }
}

/// Neither proxy compares the name: a certificate for another machine will do.
pub fn a_core_is_known_by_the_authority_of_its_certificate(_: Transport) {
    let choice = Choice {
        core_is: "elsewhere",
        ..USUAL
    };
    let Some(tls) = start(choice) else { return };
    let (mut client, _relay) = tls.client(None);
    let request = over_tls(&client);
    accepted(&tls.rig, &mut client, &request, &[BOB, TEL]);
}

/// M-7: with a core over TLS a sips address gets its copy.
pub fn a_sips_member_is_sent_to_over_tls(_: Transport) {
    let Some(tls) = start(USUAL) else { return };
    let (mut client, _relay) = tls.client(None);
    let request = over_tls(&client).group("sip:mixed@im.home1.net");
    accepted(
        &tls.rig,
        &mut client,
        &request,
        &[BOB, "sips:cho@home1.net"],
    );
}

/// I-1: `tls:` in `trusted_peers` is for what came over TLS, and the others are for what did not.
pub fn a_peer_is_trusted_over_tls_alone(_: Transport) {
    for (trusted_peers, over_tls_is, over_tcp_is) in [
        ("tls:127.0.0.1", true, false),
        ("tls:127.0.0.0/8", true, false),
        ("tcp:127.0.0.1", false, true),
        ("tls:127.0.0.2,udp:127.0.0.1", false, false),
        ("127.0.0.1", true, true),
    ] {
        let choice = Choice {
            trusted_peers,
            ..USUAL
        };
        let Some(tls) = start(choice) else { return };
        let (mut secure, _relay) = tls.client(None);
        let mut plain = tls.rig.client();
        let requests = [over_tls(&secure), Request::another(&plain)];
        let senders = [(&mut secure, over_tls_is), (&mut plain, over_tcp_is)];
        for ((client, is_trusted), request) in senders.into_iter().zip(&requests) {
            if is_trusted {
                accepted(&tls.rig, client, request, &[BOB, TEL]);
            } else {
                refused(&tls.rig, client, request, 403);
            }
        }
    }
}

/// Where the proxy asks for certificates, who has one of the right authority is served, and nobody else gets through.
pub fn who_shows_no_certificate_does_not_reach_the_group(_: Transport) {
    let choice = Choice {
        asks_clients: true,
        ..USUAL
    };
    let Some(tls) = start(choice) else { return };
    let (mut client, _relay) = tls.client(Some("client"));
    let request = over_tls(&client);
    accepted(&tls.rig, &mut client, &request, &[BOB, TEL]);
    let before = Before::of(&tls.rig);
    for (certificate, expected) in [
        (None, "CertificateRequired"),
        (Some("stranger"), "UnknownCA"),
    ] {
        let (mut stranger, relay) = tls.client(certificate);
        let request = over_tls(&stranger);
        stranger.send(&request.bytes());
        let answer = stranger.receive_within(Duration::from_secs(5));
        assert!(answer.is_none(), "{certificate:?}: {answer:?}");
        let ended = until(|| (!relay.faults().is_empty()).then(|| relay.faults()));
        let ended = ended.unwrap_or_else(|| panic!("{certificate:?}: the connection stands"));
        let alert = ended.join(", ");
        assert!(alert.contains(expected), "{certificate:?}: {alert}");
    }
    nothing_was_sent(&tls.rig, &mut client, &before);
}

/// The proxy checks whom it speaks to: a core with a certificate of an unknown authority gets nothing.
pub fn a_core_of_an_unknown_authority_gets_no_copy(_: Transport) {
    let choice = Choice {
        core_is: "stranger",
        ..USUAL
    };
    let Some(tls) = start(choice) else { return };
    let (mut client, _relay) = tls.client(None);
    let request = over_tls(&client);
    client.send(&request.bytes());
    is_202(&client.receive(), &request);
    let told = "is finished: delivered=0 refused=0 unreachable=2 expired=0 skipped=0";
    tls.rig.wait_for_log(told);
    assert_eq!(tls.rig.core.count(), 0, "copies that a stranger has got");
    let faults = tls.core.faults();
    let is_told = faults.iter().any(|fault| fault.contains("UnknownCA"));
    assert!(is_told, "the proxy found no such fault: {faults:?}");
}
