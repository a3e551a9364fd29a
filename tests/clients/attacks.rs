//! A small site as it is shipped, attacked by somebody who has an account and by somebody who has none.

use crate::script::Proxy;
use crate::site::{DOMAIN, GROUP, Site};
use md5::{Digest, Md5};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// How an attacker reaches the server.
enum Wire {
    Udp(UdpSocket),
    /// With what has come and is not read yet.
    Tcp(TcpStream, Vec<u8>),
}

/// A client that writes what it likes.
struct Attacker {
    wire: Wire,
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
    /// The header that says how long the body is.
    length: Option<&'a str>,
    without_password: bool,
}

const PATIENCE: Duration = Duration::from_secs(20);

impl Wire {
    fn address(&self) -> SocketAddr {
        match self {
            Wire::Udp(socket) => socket.local_addr(),
            Wire::Tcp(stream, _) => stream.local_addr(),
        }
        .expect("an address")
    }

    fn be_patient(&self, patience: Duration) {
        match self {
            Wire::Udp(socket) => socket.set_read_timeout(Some(patience)),
            Wire::Tcp(stream, _) => stream.set_read_timeout(Some(patience)),
        }
        .expect("a time limit");
    }

    fn send(&mut self, bytes: &[u8], server: &str) {
        match self {
            Wire::Udp(socket) => socket.send_to(bytes, server).map(|_| ()),
            Wire::Tcp(stream, _) => stream.write_all(bytes),
        }
        .expect("bytes that are sent");
    }

    /// The next message; none when patience ends.
    fn receive(&mut self) -> Option<String> {
        let mut bytes = [0; 4096];
        let text = |bytes: &[u8]| Some(String::from_utf8_lossy(bytes).into_owned());
        match self {
            Wire::Udp(socket) => {
                let length = socket.recv(&mut bytes).ok()?;
                text(&bytes[..length])
            }
            Wire::Tcp(stream, unread) => loop {
                if let Some(length) = length_as_the_careless_read_it(unread) {
                    let message: Vec<u8> = unread.drain(..length).collect();
                    return text(&message);
                }
                let length = stream.read(&mut bytes).ok().filter(|length| *length > 0)?;
                unread.extend_from_slice(&bytes[..length]);
            },
        }
    }
}

/// Where the first message on a stream ends for a phone that is as easily misled as any: of all lines that look like a
/// Content-Length it takes the one that says the least.
fn length_as_the_careless_read_it(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let said = head.split(['\r', '\n']).filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name.trim().to_ascii_lowercase();
        let is_length = ["content-length", "l"].contains(&name.as_str());
        is_length.then(|| value.trim().parse().unwrap_or(0))
    });
    let length = end + 4 + said.min().unwrap_or(0);
    (bytes.len() >= length).then_some(length)
}

impl Attacker {
    fn new(server: &str) -> Attacker {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        Attacker::at(Wire::Udp(socket), server)
    }

    fn by_tcp(server: &str) -> Attacker {
        let stream = TcpStream::connect(server).expect("a connection");
        Attacker::at(Wire::Tcp(stream, Vec::new()), server)
    }

    fn at(wire: Wire, server: &str) -> Attacker {
        wire.be_patient(PATIENCE);
        Attacker {
            wire,
            server: server.to_owned(),
            sent: 0,
        }
    }

    /// Sends a request as `user`, with the password where it is asked for; gives the final status, or 0 if there is none.
    fn ask(&mut self, method: &str, user: &str, password: &str, lie: &Lie<'_>) -> u16 {
        let status = self.send(method, user, lie, "");
        let header = match status.0 {
            401 => "Authorization",
            407 => "Proxy-Authorization",
            _ => return status.0,
        };
        if lie.without_password {
            return status.0;
        }
        let credentials = credentials(&status.1, method, user, password, &uri(method, lie));
        let credentials = format!("{header}: {credentials}");
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
        let (own, number) = (self.wire.address(), self.sent);
        let transport = match self.wire {
            Wire::Udp(_) => "UDP",
            Wire::Tcp(..) => "TCP",
        };
        let from = lie.from.unwrap_or(user);
        let to = match method {
            "REGISTER" => format!("sip:{user}@{DOMAIN}"),
            _ => uri(method, lie),
        };
        let body = lie.body.unwrap_or(b"hello");
        let length = format!("Content-Length: {}", body.len());
        let request = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/{transport} {own};branch=z9hG4bK-{number}x{};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{from}@{DOMAIN}>;tag=a{number}\r\nTo: <{to}>\r\nCall-ID: {number}-{}\r\nCSeq: {number} {method}\r\n\
             {}{credentials}Content-Type: text/plain\r\n{}\r\n\r\n",
            uri(method, lie),
            own.port(),
            own.port(),
            lie.headers,
            lie.length.unwrap_or(&length),
        );
        let bytes = [request.as_bytes(), body].concat();
        self.wire.send(&bytes, &self.server);
        loop {
            let Some(text) = self.wire.receive() else {
                return (0, String::new());
            };
            let mut words = text.split(' ');
            let is_answer = words.next() == Some("SIP/2.0");
            let code = words.next().and_then(|code| code.parse::<u16>().ok());
            match code.filter(|&code| is_answer && code >= 200) {
                Some(code) if text.contains(&format!("CSeq: {number} ")) => return (code, text),
                _ => {}
            }
        }
    }

    /// Takes the next message that comes, and answers it.
    #[track_caller]
    fn take_message(&mut self) -> String {
        loop {
            let text = self.wire.receive().expect("a message");
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
            self.wire.send(answer.as_bytes(), &self.server);
            return text;
        }
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

/// Writes to the group with the password of `user`, and with the name of somebody in From; gives the final status.
pub fn write_as(server: &str, user: &str, password: &str, from: &str) -> u16 {
    let lie = Lie {
        from: Some(from),
        ..Lie::default()
    };
    Attacker::new(server).ask("MESSAGE", user, password, &lie)
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
            eve.take_message();
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

/// What stands behind the name of the header, by RFC 2617 with qop=auth.
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
        "Digest username=\"{user}\", realm=\"{DOMAIN}\", nonce=\"{nonce}\", uri=\"{uri}\", qop=auth, \
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
        eve.wire.be_patient(Duration::from_secs(2));
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
        let text = ann.take_message();
        assert!(text.ends_with("one name"), "{text}");
        assert_eq!(status.join().expect("a status"), 200);
    });
}

/// What a message says about its length ends it nowhere but at its end, also for a phone that reads it from a stream
/// and is easily misled: what follows would be a message of anybody's, from the server.
pub fn nobody_ends_a_message_early(proxy: Proxy) {
    let site = Site::start(proxy, "ann bob eve");
    let to_bob = format!("sip:bob@{DOMAIN}");
    let mut bob = Attacker::by_tcp(&site.server);
    let phone = Lie {
        headers: "Contact: <sip:bob@192.0.2.1;transport=tcp>\r\n",
        body: Some(b""),
        ..Lie::default()
    };
    let status = bob.ask("REGISTER", "bob", &site.password("bob"), &phone);
    assert_eq!(status, 200);
    let forged = format!(
        "MESSAGE sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP {};branch=z9hG4bK-f\r\nMax-Forwards: 70\r\n\
         From: <sip:ann@{DOMAIN}>;tag=f\r\nTo: <{to_bob}>\r\nCall-ID: f\r\nCSeq: 1 MESSAGE\r\n\
         Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
        site.server
    );
    let body = format!("hello{forged}");
    let whole = body.len();
    let password = site.password("eve");
    let send = |mut eve: Attacker, body: &str, length: &str| {
        eve.wire.be_patient(Duration::from_secs(2));
        let lie = Lie {
            to: Some(&to_bob),
            body: Some(body.as_bytes()),
            length: Some(length),
            ..Lie::default()
        };
        eve.ask("MESSAGE", "eve", &password, &lie)
    };
    std::thread::scope(|scope| {
        let phone = scope.spawn(|| {
            let mut texts = Vec::new();
            while !texts
                .last()
                .is_some_and(|text: &String| text.ends_with("the end"))
            {
                texts.push(bob.take_message());
            }
            texts
        });
        for length in [
            "Content-Length: 5".to_owned(),
            "l: 5".to_owned(),
            "Content-Length : 5".to_owned(),
            format!("Content-Length: {whole}\r\nContent-Length: 5"),
            format!("Content-Length: 5\r\nContent-Length: {whole}"),
            format!("Content-Length: {whole}\r\nl: 5"),
            format!("Content-Length:\r\n {whole}"),
            format!("Content-Length: {whole}\r\n 5"),
            format!("l:\r\n\t{whole}"),
            format!("Content-Length\r\n : {whole}"),
            format!("Content-Length: {whole}\r\nSubject: a\r\n Content-Length: 5"),
            format!("Subject: a\r\n\tl: 5\r\nContent-Length: {whole}"),
            "Subject: a\r\n Content-Length: 5".to_owned(),
            "Subject: a\r\r\n Content-Length: 5".to_owned(),
            "Subject: a\0\r\n Content-Length: 5".to_owned(),
        ] {
            send(Attacker::new(&site.server), &body, &length);
        }
        // What is right, a text about such lines too, comes as it was sent.
        let right = "hello\r\n Content-Length: 2\r\n l: 1";
        for length in ["Content-Length: 32", "l: 32", "Subject: no length"] {
            let status = send(Attacker::new(&site.server), right, length);
            assert_eq!(status, 200, "{length}");
        }
        for (body, length) in [
            (right, "Content-Length: 32"),
            ("", "l: 0"),
            ("the end", "l: 7"),
        ] {
            let status = send(Attacker::by_tcp(&site.server), body, length);
            assert_eq!(status, 200, "{length} by TCP");
        }
        let texts = phone.join().expect("what bob's phone shows");
        let of_eve = format!("From: <sip:eve@{DOMAIN}>");
        // Each shows the message before it, which ends early.
        let other = texts.windows(2).find(|pair| !pair[1].contains(&of_eve));
        assert_eq!(other, None);
        let came = texts.iter().filter(|text| text.ends_with(right)).count();
        assert_eq!(came, 4, "{texts:?}");
    });
}
