//! A small site as it is shipped, attacked by somebody who has an account and by somebody who has none.

use crate::site::{DOMAIN, GROUP, Proxy, Site};
use md5::{Digest, Md5};
use std::net::UdpSocket;
use std::time::Duration;

/// A client that writes what it likes.
struct Attacker {
    socket: UdpSocket,
    server: String,
    sent: u32,
}

/// What an attacker changes in a message of their own.
#[derive(Default)]
struct Lie<'a> {
    from: Option<&'a str>,
    to: Option<&'a str>,
    headers: &'a str,
    body: Option<&'a [u8]>,
    without_password: bool,
}

impl Attacker {
    fn new(server: &str) -> Attacker {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let patience = Some(Duration::from_secs(20));
        socket.set_read_timeout(patience).expect("a time limit");
        Attacker {
            socket,
            server: server.to_owned(),
            sent: 0,
        }
    }

    /// Sends a request as `user`, with the password where it is asked for; gives the final status, or 0 if there is none.
    fn ask(&mut self, method: &str, user: &str, password: &str, lie: &Lie<'_>) -> u16 {
        let status = self.send(method, user, lie, "");
        if status.0 != 401 || lie.without_password {
            return status.0;
        }
        let credentials = credentials(&status.1, method, user, password, &uri(method, lie));
        self.send(method, user, lie, &credentials).0
    }

    fn send(
        &mut self,
        method: &str,
        user: &str,
        lie: &Lie<'_>,
        credentials: &str,
    ) -> (u16, String) {
        self.sent += 1;
        let (own, number) = (self.socket.local_addr().expect("an address"), self.sent);
        let from = lie.from.unwrap_or(user);
        let to = match method {
            "REGISTER" => format!("sip:{user}@{DOMAIN}"),
            _ => uri(method, lie),
        };
        let body = lie.body.unwrap_or(b"hello");
        let request = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK-{number}x{};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{from}@{DOMAIN}>;tag=a{number}\r\nTo: <{to}>\r\nCall-ID: {number}-{}\r\nCSeq: {number} {method}\r\n\
             {}{credentials}Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            uri(method, lie),
            own.port(),
            own.port(),
            lie.headers,
            body.len(),
        );
        self.socket
            .send_to(&[request.as_bytes(), body].concat(), &self.server)
            .expect("a request that is sent");
        let mut answer = [0; 4096];
        loop {
            let Ok((length, _)) = self.socket.recv_from(&mut answer) else {
                return (0, String::new());
            };
            let text = String::from_utf8_lossy(&answer[..length]).into_owned();
            let mut words = text.split(' ');
            let is_answer = words.next() == Some("SIP/2.0");
            let code = words.next().and_then(|code| code.parse::<u16>().ok());
            match code.filter(|&code| is_answer && code >= 200) {
                Some(code) if text.contains(&format!("CSeq: {number} ")) => return (code, text),
                _ => {}
            }
        }
    }
}

/// Takes a message that comes to this socket, and answers it.
fn take_message(socket: &UdpSocket) -> String {
    let mut bytes = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut bytes).expect("a message");
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if !text.starts_with("MESSAGE ") {
            continue;
        }
        let names = ["Via", "From", "To", "Call-ID", "CSeq"];
        let same = text.split("\r\n").filter(|line| {
            let name = line.split(':').next().unwrap_or_default();
            names.contains(&name)
        });
        let same: String = same.map(|line| format!("{line}\r\n")).collect();
        let answer = format!("SIP/2.0 200 OK\r\n{same}Content-Length: 0\r\n\r\n");
        socket.send_to(answer.as_bytes(), from).expect("an answer");
        return text;
    }
}

/// Sends a text of any bytes as a user; gives the final status.
pub fn send_bytes(site: &Site, user: &str, to: &str, body: &[u8]) -> u16 {
    let lie = Lie {
        to: Some(to),
        body: Some(body),
        ..Lie::default()
    };
    Attacker::new(&site.server).ask("MESSAGE", user, &site.password(user), &lie)
}

/// A user is reached where they have registered from, whatever else their REGISTER says.
pub fn nobody_leads_the_server_to_another_machine(proxy: Proxy) {
    let site = Site::start(proxy, "ann eve");
    let victim = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let place = victim.local_addr().expect("an address");
    let copies = site.copies();
    let to = format!("sip:eve@{DOMAIN}");
    let mut eve = Attacker::new(&site.server);
    for header in [
        format!("Contact: <sip:eve@{place}>"),
        format!("Contact: <sip:eve@192.0.2.1;maddr={place}>"),
        format!("Path: <sip:{place};lr>\r\nSupported: path\r\nContact: <sip:eve@192.0.2.1>"),
        format!("Path: <sip:{copies};lr>\r\nSupported: path\r\nContact: <sip:eve@192.0.2.1>"),
    ] {
        let lines = format!("{header}\r\n");
        let lie = Lie {
            headers: &lines,
            ..Lie::default()
        };
        let password = site.password("eve");
        assert_eq!(eve.ask("REGISTER", "eve", &password, &lie), 200, "{header}");
        std::thread::scope(|scope| {
            let status = scope.spawn(|| send_bytes(&site, "ann", &to, b"where are you?"));
            take_message(&eve.socket);
            assert_eq!(status.join().expect("a status"), 200, "{header}");
        });
        let all = Lie {
            headers: "Contact: *\r\nExpires: 0\r\n",
            ..Lie::default()
        };
        assert_eq!(eve.ask("REGISTER", "eve", &password, &all), 200);
    }
    victim.set_nonblocking(true).expect("no waiting");
    assert!(victim.recv(&mut [0; 4096]).is_err());
}

fn uri(method: &str, lie: &Lie<'_>) -> String {
    match method {
        "REGISTER" => format!("sip:{DOMAIN}"),
        _ => lie.to.unwrap_or(GROUP).to_owned(),
    }
}

/// RFC 2617 with qop=auth.
fn credentials(challenge: &str, method: &str, user: &str, password: &str, uri: &str) -> String {
    let hash = |text: String| {
        let bytes = Md5::digest(text.as_bytes());
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>()
    };
    let nonce = challenge.split_once("nonce=\"").expect("a nonce").1;
    let nonce = nonce.split('"').next().unwrap_or_default();
    let ha1 = hash(format!("{user}:{DOMAIN}:{password}"));
    let ha2 = hash(format!("{method}:{uri}"));
    let response = hash(format!("{ha1}:{nonce}:00000001:c:auth:{ha2}"));
    format!(
        "Authorization: Digest username=\"{user}\", realm=\"{DOMAIN}\", nonce=\"{nonce}\", uri=\"{uri}\", qop=auth, \
         nc=00000001, cnonce=\"c\", response=\"{response}\"\r\n"
    )
}

/// Neither a stranger nor a user speaks as somebody else, and nobody makes a copy but cimf.
pub fn nobody_speaks_as_another(proxy: Proxy) {
    let site = Site::start(proxy, "ann eve");
    site.cimfctl(&["member", "del", GROUP, &format!("sip:eve@{DOMAIN}")]);
    let (ann, eve) = (site.password("ann"), site.password("eve"));
    let mut attacker = Attacker::new(&site.server);
    let mut status = |method: &str, user: &str, lie: Lie<'_>| {
        let password = if user == "ann" { &ann } else { &eve };
        attacker.ask(method, user, password, &lie)
    };
    // What is right, so that the refusals below are not those of a broken client.
    assert_eq!(status("REGISTER", "eve", Lie::default()), 200);
    let to_eve = format!("sip:eve@{DOMAIN}");
    let asserted = format!("P-Asserted-Identity: <sip:ann@{DOMAIN}>\r\n");
    for (what, method, lie) in [
        ("no member", "MESSAGE", Lie::default()),
        (
            "a member's From",
            "MESSAGE",
            Lie {
                from: Some("ann"),
                ..Lie::default()
            },
        ),
        (
            "a member's asserted identity",
            "MESSAGE",
            Lie {
                headers: &asserted,
                ..Lie::default()
            },
        ),
        (
            "another's From, to a person",
            "MESSAGE",
            Lie {
                from: Some("ann"),
                to: Some(&to_eve),
                ..Lie::default()
            },
        ),
        (
            "a foreign domain",
            "MESSAGE",
            Lie {
                to: Some("sip:bob@elsewhere.example"),
                ..Lie::default()
            },
        ),
    ] {
        assert_eq!(status(method, "eve", lie), 403, "{what}");
    }
    let stranger = Lie {
        headers: &asserted,
        without_password: true,
        ..Lie::default()
    };
    assert_eq!(status("MESSAGE", "ann", stranger), 401);
    // Straight to the listener of copies, with a mark that is none, and led there by a Route.
    let copies = site.copies().to_owned();
    for mark in ["", ";cimf=00000000000000000000000000000000"] {
        let route = format!("Route: <sip:{copies};lr{mark}>\r\n");
        let lie = || Lie {
            to: Some(&to_eve),
            headers: &route,
            without_password: true,
            ..Lie::default()
        };
        assert_eq!(
            Attacker::new(&copies).ask("MESSAGE", "ann", "", &lie()),
            403
        );
        assert_eq!(
            Attacker::new(&site.server).ask("MESSAGE", "ann", "", &lie()),
            401
        );
    }
    assert!(site.log().contains("none of our copies"), "{}", site.log());
}

/// A request with two From headers names another sender to a phone that reads the last one.
pub fn nobody_has_two_names(proxy: Proxy) {
    let site = Site::start(proxy, "ann bob eve");
    let mut ann = Attacker::new(&site.server);
    let phone = Lie {
        headers: "Contact: <sip:ann@192.0.2.1>\r\n",
        ..Lie::default()
    };
    let status = ann.ask("REGISTER", "ann", &site.password("ann"), &phone);
    assert_eq!(status, 200);
    let to_ann = format!("sip:ann@{DOMAIN}");
    for name in ["From", "f", "FROM"] {
        let second = format!("{name}: <sip:bob@{DOMAIN}>;tag=second\r\n");
        let lie = Lie {
            to: Some(&to_ann),
            headers: &second,
            ..Lie::default()
        };
        let mut eve = Attacker::new(&site.server);
        let patience = Some(Duration::from_secs(2));
        eve.socket.set_read_timeout(patience).expect("a time limit");
        // Kamailio drops what it cannot parse.
        let expected = match proxy {
            Proxy::Kamailio => 0,
            Proxy::OpenSips => 400,
        };
        let status = eve.ask("MESSAGE", "eve", &site.password("eve"), &lie);
        assert_eq!(status, expected, "{name}");
    }
    // What is right goes there, and is the first that comes.
    std::thread::scope(|scope| {
        let status = scope.spawn(|| send_bytes(&site, "eve", &to_ann, b"one name"));
        let text = take_message(&ann.socket);
        assert!(text.ends_with("one name"), "{text}");
        assert_eq!(status.join().expect("a status"), 200);
    });
}
