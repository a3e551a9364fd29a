//! Real phones in one group, behind small-site.sh as it is shipped: baresip, linphone, PJSIP and a browser. What is
//! asserted is what each of them shows.
//!
//! `tests/run.sh` installs baresip, linphone and PJSIP; the browser only with `--all`. A phone that is not there is
//! left out with a line that says so, and with CI=true that is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout
)]

#[path = "../support/built.rs"]
mod built;
#[path = "../monitoring/manual.rs"]
mod manual;
#[path = "../support/port.rs"]
mod port;

mod attacks;
mod debian;
mod demo;
mod phone;
mod script;
mod site;

use phone::{Phone, folder};
use script::{Proxy, Stop};
use site::{DOMAIN, GROUP, Site};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A kind of phone, and the user who has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pjsip,
    Baresip,
    Linphone,
    Browser,
}

/// Who has which phone, and how it comes to the server.
type User = (&'static str, Kind, &'static str);

/// All are members of the group but eve.
const PHONES: [User; 9] = [
    ("ann", Kind::Pjsip, "udp"),
    ("bob", Kind::Baresip, "tcp"),
    ("cho", Kind::Linphone, "tcp"),
    ("dee", Kind::Browser, "ws"),
    ("fay", Kind::Pjsip, "tls"),
    ("gus", Kind::Baresip, "tls"),
    ("hal", Kind::Linphone, "tls"),
    ("ivy", Kind::Browser, "wss"),
    ("eve", Kind::Pjsip, "tcp"),
];

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Python with PJSIP, as tests/run.sh makes it.
fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/bin/python3");
    match own.exists() {
        true => own,
        false => "python3".into(),
    }
}

fn has_opensips() -> bool {
    let found = std::env::var_os("CIMF_OPENSIPS").is_some();
    if !found {
        println!("LEFT OUT: OpenSIPS is not there; set CIMF_OPENSIPS to its program");
    }
    found
}

fn is_there(kind: Kind) -> bool {
    let has = |program: &str| Path::new("/usr/bin").join(program).exists();
    let found = match kind {
        Kind::Pjsip => std::process::Command::new(python())
            .args(["-c", "import pjsua2"])
            .stderr(std::process::Stdio::null())
            .status()
            .is_ok_and(|status| status.success()),
        Kind::Baresip => has("baresip"),
        Kind::Linphone => has("linphonec"),
        Kind::Browser => {
            let built = folder().join("browser/built/page.js");
            built.exists() && folder().join("browser/node_modules").exists() && has("chromium")
        }
    };
    if !found {
        let may_lack = kind == Kind::Browser && std::env::var("CIMF_ALL").is_err();
        assert!(
            !is_ci() || may_lack,
            "{kind:?} is not there, and with CI=true no phone is left out"
        );
        println!("LEFT OUT: {kind:?} is not there; `tests/run.sh --all` installs it");
    }
    found
}

/// Starts a phone that trusts the certificates in this file.
fn start(site: &Site, user: User, certificate: &str) -> Phone {
    let server = match user.2 {
        "ws" => &site.socket,
        "wss" => &site.secure_socket,
        "tls" => &site.secure_server,
        _ => &site.server,
    };
    start_at(server, user, &site.password(user.0), certificate)
}

/// The same for a server of any kind.
fn start_at(
    server: &str,
    (user, kind, transport): User,
    password: &str,
    certificate: &str,
) -> Phone {
    let program = |name: &str| folder().join(name).display().to_string();
    let common = |name: &str| -> Vec<String> {
        vec![
            program(name),
            user.to_owned(),
            password.to_owned(),
            DOMAIN.to_owned(),
        ]
    };
    let (runner, mut arguments) = match kind {
        Kind::Pjsip => (python(), common("phone_pjsip.py")),
        Kind::Baresip => (PathBuf::from("python3"), common("phone_baresip.py")),
        Kind::Linphone => (PathBuf::from("python3"), common("phone_linphone.py")),
        Kind::Browser => (PathBuf::from("node"), common("browser/phone.mjs")),
    };
    arguments.push(server.to_owned());
    if kind != Kind::Browser {
        arguments.push(transport.to_owned());
    }
    arguments.push(certificate.to_owned());
    if kind == Kind::Baresip {
        arguments.extend([GROUP.to_owned(), address("ann")]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Phone::start(user, &runner, &arguments)
}

fn address(user: &str) -> String {
    format!("sip:{user}@{DOMAIN}")
}

/// Everybody writes to the group once, and each of the others shows it once: in the group's conversation, with the
/// sender's name.
fn everybody_talks(phones: &mut [Phone], round: &str) {
    for sender in 0..phones.len() {
        let user = phones[sender].user;
        let text = format!("{round} of {user}");
        phones[sender].send(GROUP, &text);
        let shown = format!("{user}: {text}");
        for (index, phone) in phones.iter().enumerate() {
            if index == sender {
                continue;
            }
            let message = phone.shows(&shown);
            assert_eq!(message.address, GROUP, "{}: {message:?}", phone.user);
            // baresip and linphonec show no name but what stands in the text.
            let names = ["-", user];
            assert!(
                names.contains(&message.name.as_str()),
                "{}: {message:?}",
                phone.user
            );
        }
    }
    // The last message has come everywhere, so that all earlier ones have, as often as they do.
    for phone in phones.iter() {
        for sender in phones.iter().map(|sender| sender.user) {
            let text = format!("{sender}: {round} of {sender}");
            let wanted = usize::from(sender != phone.user);
            assert_eq!(
                phone.messages(&text).len(),
                wanted,
                "{}: {text}",
                phone.user
            );
        }
    }
}

/// Waits until a phone is in reach: the first writes to it until it shows that.
#[track_caller]
fn reached(first: &mut Phone, phone: &Phone) {
    for attempt in 0..60 {
        let text = format!("are you there, {attempt}?");
        first.send(&address(phone.user), &text);
        if phone.shows_within(&text, Duration::from_secs(2)) {
            return;
        }
    }
    panic!(
        "the phone of {} is not in reach two minutes after the restart",
        phone.user
    );
}

/// Those that trust only the authorities that they know stay out, and so it is the certificate that lets the others
/// in. baresip 1.0 is not asked: it accepts any.
fn a_certificate_that_nobody_has_told_them_of_is_refused(site: &Site, there: &[User]) {
    let secure = there.iter().filter(|(_, kind, transport)| {
        matches!(*transport, "tls" | "wss") && *kind != Kind::Baresip
    });
    let phones: Vec<Phone> = secure.map(|phone| start(site, *phone, "")).collect();
    for phone in &phones {
        phone.wait("that it refuses the certificate", 0, |line| {
            assert_ne!(line, "registered 200", "the phone of {}", phone.user);
            line.starts_with("refuses ").then_some(())
        });
    }
}

fn phones_share_a_group(proxy: Proxy) {
    let users: Vec<_> = PHONES.iter().map(|(user, ..)| *user).collect();
    let mut site = Site::start(proxy, &users.join(" "));
    site.cimfctl(&["member", "del", GROUP, &address("eve")]);
    let there = PHONES.iter().filter(|(_, kind, _)| is_there(*kind));
    let there: Vec<_> = there.copied().collect();
    a_certificate_that_nobody_has_told_them_of_is_refused(&site, &there);
    let certificate = site.certificate();
    let start = |phone: &_| start(&site, *phone, &certificate);
    let mut phones: Vec<Phone> = there.iter().map(start).collect();
    for phone in &phones {
        phone.registered(0);
    }
    let eve = phones.iter().position(|phone| phone.user == "eve");
    let mut eve = eve.map(|at| phones.remove(at));
    assert!(phones.len() >= 2, "fewer than two phones are there");

    everybody_talks(&mut phones, "a word");
    everybody_talks(&mut phones, "an answer");

    if let Some(eve) = &mut eve {
        // From person to person, beside the group; and a stranger to the group is refused.
        eve.send(&address("ann"), "just for you");
        let message = phones[0].shows("just for you");
        assert_eq!(message.address, address("eve"));
        eve.wait("that it was sent", 0, |line| {
            (line == "sent 200").then_some(())
        });
        let seen = eve.lines();
        eve.send(GROUP, "let me in");
        let code = eve.wait("the answer", seen, |line| {
            line.strip_prefix("sent ").map(str::to_owned)
        });
        assert_eq!(code, "403");
    }

    // A text that is no UTF-8 costs a browser nothing: Kamailio sends it as bytes, and behind OpenSIPS it is refused.
    let browsers = |(user, kind, _): &User| (*kind == Kind::Browser).then_some(*user);
    for user in there.iter().filter_map(browsers) {
        let status = attacks::send_bytes(&site, "eve", &address(user), b"caf\xe9");
        assert!(
            matches!(proxy, Proxy::Kamailio) || status == 415,
            "{status}"
        );
        let status = attacks::send_bytes(&site, "eve", &address(user), "café".as_bytes());
        assert_eq!(status, 200);
        let phone = phones.iter().find(|phone| phone.user == user);
        let phone = phone.expect("the browser");
        phone.shows("café");
        assert!(!phone.has_shown("registered 0"), "{user} was cut off");
    }

    site.restart();
    // ann's phone, by UDP, is known as before; one with a connection is when it has registered anew, and not every
    // phone says so.
    let (ann, others) = phones.split_first_mut().expect("ann's phone");
    for phone in others {
        reached(ann, phone);
    }
    everybody_talks(&mut phones, "after the restart");
    for phone in &phones {
        assert!(phone.messages("eve: let me in").is_empty());
    }
}

/// Members whose phones are off while three messages come, and stay off through a restart of the proxy, get them when
/// they register: each once, in order, in the group's conversation, before what comes then.
fn phones_get_what_they_missed(proxy: Proxy) {
    let users: Vec<_> = PHONES.iter().map(|(user, ..)| *user).collect();
    let mut site = Site::start(proxy, &users.join(" "));
    let certificate = site.certificate();
    let mut there = PHONES.iter().filter(|(_, kind, _)| is_there(*kind));
    let &ann = there.next().expect("a phone");
    let mut ann = start(&site, ann, &certificate);
    ann.registered(0);
    let send = |ann: &mut Phone, number: usize| {
        let seen = ann.lines();
        ann.send(GROUP, &format!("missed {number}"));
        ann.wait("that it was sent", seen, |line| {
            (line == "sent 202").then_some(())
        });
    };
    for number in 1..=3 {
        send(&mut ann, number);
    }
    site.restart();
    send(&mut ann, 4);
    let others: Vec<Phone> = there
        .map(|&user| start(&site, user, &certificate))
        .collect();
    assert!(!others.is_empty(), "only one phone is there");
    for phone in &others {
        phone.registered(0);
        phone.shows("ann: missed 4");
    }
    send(&mut ann, 5);
    for phone in &others {
        let message = phone.shows("ann: missed 5");
        assert_eq!(message.address, GROUP, "{}", phone.user);
        let expected: Vec<String> = (1..=5)
            .map(|number| format!("ann: missed {number}"))
            .collect();
        assert_eq!(phone.texts(), expected, "{}", phone.user);
    }
}

#[test]
fn phones_of_all_kinds_get_what_they_missed_behind_kamailio() {
    phones_get_what_they_missed(Proxy::Kamailio);
}

#[test]
fn phones_of_all_kinds_get_what_they_missed_behind_opensips() {
    if has_opensips() {
        phones_get_what_they_missed(Proxy::OpenSips);
    }
}

/// Neither disturbs the site that runs, and each says what is in the way.
fn a_second_start_is_refused(proxy: Proxy) {
    let site = Site::start(proxy, "ann bob");
    let again = site.start_is_refused(&[]);
    assert!(again.contains("a site runs there already"), "{again}");
    // OpenSIPS notices later that its ports are taken.
    if matches!(proxy, Proxy::Kamailio) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let other = folder.path().display().to_string();
        let taken = site.start_is_refused(&["--folder", &other]);
        assert!(taken.contains("in use"), "{taken}");
        assert!(
            taken.contains("FAILED: the proxy does not answer"),
            "{taken}"
        );
    }
    let (user, password) = ("ann", site.password("ann"));
    let status = attacks::write_as(&site.server, user, &password, user);
    assert_eq!(status, 202);
}

#[test]
fn a_second_start_is_refused_with_kamailio() {
    a_second_start_is_refused(Proxy::Kamailio);
}

#[test]
fn a_second_start_is_refused_with_opensips() {
    if has_opensips() {
        a_second_start_is_refused(Proxy::OpenSips);
    }
}

#[test]
fn phones_share_a_group_behind_debians_kamailio() {
    debian::phones_share_a_group();
}

/// docs/picture.py, with its phones, comes to its end.
#[test]
fn the_picture_of_the_manual_is_made() {
    if ![Kind::Pjsip, Kind::Browser].into_iter().all(is_there) {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let picture = folder.path().join("conversation.png");
    let status = script::as_from_a_shell("timeout")
        .arg("100")
        .arg("python3")
        .arg(root.join("docs/picture.py"))
        .arg(&picture)
        .stdout(std::process::Stdio::null())
        .status()
        .expect("docs/picture.py");
    assert!(status.success(), "docs/picture.py: {status}");
    let made = std::fs::read(&picture).expect("the picture");
    assert!(made.starts_with(b"\x89PNG") && made.len() > 5000);
}

#[test]
fn the_demo_of_kamailio_stays_for_phones_until_it_is_stopped() {
    if is_there(Kind::Pjsip) {
        for stop in [Stop::Kill, Stop::CtrlC] {
            demo::the_demo_stays_for_phones(Proxy::Kamailio, stop);
        }
    }
}

#[test]
fn the_demo_of_opensips_stays_for_phones_until_it_is_stopped() {
    if has_opensips() && is_there(Kind::Pjsip) {
        for stop in [Stop::Kill, Stop::CtrlC] {
            demo::the_demo_stays_for_phones(Proxy::OpenSips, stop);
        }
    }
}

#[test]
fn nobody_speaks_as_another_behind_kamailio() {
    attacks::nobody_speaks_as_another(Proxy::Kamailio);
}

#[test]
fn nobody_speaks_as_another_behind_opensips() {
    if has_opensips() {
        attacks::nobody_speaks_as_another(Proxy::OpenSips);
    }
}

#[test]
fn nobody_has_two_names_behind_kamailio() {
    attacks::nobody_has_two_names(Proxy::Kamailio);
}

#[test]
fn nobody_has_two_names_behind_opensips() {
    if has_opensips() {
        attacks::nobody_has_two_names(Proxy::OpenSips);
    }
}

#[test]
fn nobody_ends_a_message_early_behind_kamailio() {
    attacks::nobody_ends_a_message_early(Proxy::Kamailio);
}

#[test]
fn nobody_ends_a_message_early_behind_opensips() {
    if has_opensips() {
        attacks::nobody_ends_a_message_early(Proxy::OpenSips);
    }
}

#[test]
fn nobody_leads_kamailio_to_another_machine() {
    attacks::nobody_leads_the_server_to_another_machine(Proxy::Kamailio);
}

#[test]
fn nobody_leads_opensips_to_another_machine() {
    if has_opensips() {
        attacks::nobody_leads_the_server_to_another_machine(Proxy::OpenSips);
    }
}

#[test]
fn phones_of_all_kinds_share_a_group_behind_kamailio() {
    phones_share_a_group(Proxy::Kamailio);
}

#[test]
fn phones_of_all_kinds_share_a_group_behind_opensips() {
    if has_opensips() {
        phones_share_a_group(Proxy::OpenSips);
    }
}
