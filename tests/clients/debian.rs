//! What docs/packages.md says of a Kamailio at which phones register: its lines in the configuration that Debian's
//! package installs, with the settings of the package for cimf.

use crate::port::Port;
use crate::{
    DOMAIN, GROUP, Kind, Phone, User, address, attacks, built, is_there, manual, start_at,
};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// What Debian's package installs.
const CONFIGURATION: &str = "/etc/kamailio/kamailio.cfg";

/// Each with another phone; eve is no member.
const PHONES: [User; 4] = [
    ("ann", Kind::Pjsip, "udp"),
    ("bob", Kind::Baresip, "tcp"),
    ("cho", Kind::Linphone, "tcp"),
    ("eve", Kind::Pjsip, "tcp"),
];

/// A running Kamailio. Dropping it ends it.
struct Debian {
    server: String,
    folder: TempDir,
    proxy: Child,
    _port: Port,
}

/// The text with `more` behind the only place that has `line`.
#[track_caller]
fn behind(text: &str, line: &str, more: &str) -> String {
    assert_eq!(text.matches(line).count(), 1, "{line:?}");
    text.replacen(line, &format!("{line}{more}"), 1)
}

/// The lines of docs/packages.md with this name.
fn lines(name: &str) -> String {
    manual::block_of("docs/packages.md", &format!("phones {name}"))
}

/// cimf.cfg of the package, for phones and in this folder.
fn settings(folder: &Path, port: &Port) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("packaging/kamailio/cimf.cfg"));
    let text = text.expect("the settings of the package");
    let included = "/usr/share/kamailio-cimf-module";
    assert!(text.contains(included), "{text}");
    let text = text.replace(
        included,
        &root.join("kamailio-config").display().to_string(),
    );
    for line in ["##!define FOR_PHONES", "\"im.example.net\""] {
        assert_eq!(text.matches(line).count(), 1, "{line}");
    }
    let text = text.replace("##!define FOR_PHONES", "#!define FOR_PHONES");
    let text = text.replace("\"im.example.net\"", &format!("\"{DOMAIN}\""));
    format!(
        "#!define CIMF_MODULE \"{}\"\n#!define DB_URL \"sqlite://{}\"\n\
         #!define CORE_ROUTE \"sip:127.0.0.1:{}\"\n{text}",
        built::library().display(),
        folder.join("cimf.db").display(),
        port.number,
    )
}

/// Debian's configuration with passwords, and what the manual adds to it.
fn configuration(folder: &Path, port: &Port) -> String {
    let text = std::fs::read_to_string(CONFIGURATION).expect("the configuration of Debian");
    // Four slashes before an absolute path, as db_sqlite takes away three.
    let url = format!("sqlite:///{}", folder.join("users.db").display());
    let text = behind(
        &text,
        "#!KAMAILIO\n",
        &format!("#!define WITH_AUTH\n#!define DBURL \"{url}\"\n"),
    );
    let text = behind(
        &text,
        "loadmodule \"jsonrpcs.so\"\n",
        "loadmodule \"db_sqlite.so\"\n",
    );
    let included = format!(
        "\nlisten=udp:127.0.0.1:{number}\nlisten=tcp:127.0.0.1:{number}\nalias=\"{DOMAIN}\"\n\
         import_file \"{}\"\n\nrequest_route {{",
        folder.join("cimf.cfg").display(),
        number = port.number,
    );
    let begins = "\nrequest_route {";
    assert_eq!(text.matches(begins).count(), 1);
    let text = text.replacen(begins, &included, 1);
    let text = behind(&text, "\troute(REQINIT);\n", &lines("first"));
    let text = behind(&text, "\troute(AUTH);\n", &lines("call"));
    let text = behind(&text, "\t\t\tconsume_credentials();\n", &lines("identity"));
    let saved = "\tif (!save(\"location\")) {\n\t\tsl_reply_error();\n\t}\n";
    behind(&text, saved, &lines("registered"))
}

fn password(user: &str) -> String {
    format!("secret-of-{user}")
}

/// The users with their passwords, as Debian's `kamdbctl` and `kamctl` keep them.
fn users(file: &Path) {
    let mut script = String::new();
    for table in ["standard", "auth_db", "usrloc"] {
        let path = format!("/usr/share/kamailio/db_sqlite/{table}-create.sql");
        script += &std::fs::read_to_string(path).expect("a table of Kamailio");
    }
    for (user, ..) in PHONES {
        script += &format!(
            "INSERT INTO subscriber (username, domain, password) VALUES ('{user}', '{DOMAIN}', '{}');\n",
            password(user)
        );
    }
    let status = Command::new("sqlite3").arg(file).arg(script).status();
    assert!(status.expect("sqlite3").success());
}

impl Debian {
    fn start() -> Debian {
        let folder = tempfile::Builder::new().prefix("cimf-debian-").tempdir();
        let folder = folder.expect("a temporary folder");
        let path = folder.path();
        let port = Port::reserve();
        users(&path.join("users.db"));
        let database = path.join("cimf.db");
        built::cimfctl(&database, &["init"]);
        let members = ["ann", "bob", "cho"].map(address);
        let members = members.each_ref().map(String::as_str);
        built::cimfctl(
            &database,
            &[&["group", "add", GROUP][..], &members].concat(),
        );
        let files = [
            ("cimf.cfg", settings(path, &port)),
            ("kamailio.cfg", configuration(path, &port)),
        ];
        for (name, text) in files {
            std::fs::write(path.join(name), text).expect("a file of the configuration");
        }
        let log = std::fs::File::create(path.join("log")).expect("a log");
        let program = std::env::var_os("CIMF_KAMAILIO");
        let program = program.map_or_else(|| PathBuf::from("kamailio"), PathBuf::from);
        let proxy = Command::new(program)
            .args(["-DD", "-E", "-m", "256", "-x", "tlsf", "-f"])
            .arg(path.join("kamailio.cfg"))
            .arg("-w")
            .arg(path)
            .arg("-Y")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("Kamailio");
        Debian {
            server: format!("127.0.0.1:{}", port.number),
            folder,
            proxy,
            _port: port,
        }
    }

    /// A phone that has registered. It tries again until the proxy is there.
    fn phone(&self, user: &User) -> Phone {
        let phone = start_at(&self.server, *user, &password(user.0), "");
        phone.registered(0);
        phone
    }

    /// Waits until its proxy answers.
    #[track_caller]
    fn answers(&mut self) {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while std::net::TcpStream::connect(&self.server).is_err() {
            let ended = self.proxy.try_wait().expect("its state");
            assert!(ended.is_none(), "Kamailio has ended: {ended:?}");
            assert!(std::time::Instant::now() < end, "Kamailio does not answer");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            eprintln!("--- the proxy's log\n{}", log.unwrap_or_default());
        }
        let id = i32::try_from(self.proxy.id()).expect("a process id");
        // SAFETY: a signal to the child that was started here and not waited for.
        unsafe { libc::kill(id, libc::SIGTERM) };
        let _ = self.proxy.wait();
    }
}

/// Phones that register at Debian's Kamailio share a group, a member who was away gets what they missed, and nobody
/// speaks as another.
pub fn phones_share_a_group() {
    for needed in [
        CONFIGURATION,
        "/usr/share/kamailio/db_sqlite/auth_db-create.sql",
    ] {
        if !Path::new(needed).exists() {
            println!("LEFT OUT: Debian's Kamailio is not there: {needed}");
            return;
        }
    }
    let there = PHONES.iter().filter(|(_, kind, _)| is_there(*kind));
    let there: Vec<_> = there.collect();
    let members = there.iter().filter(|(user, ..)| *user != "eve");
    let members: Vec<_> = members.collect();
    assert!(members.len() >= 2, "fewer than two phones are there");
    let mut debian = Debian::start();
    debian.answers();

    let mut first = debian.phone(members[0]);
    let away = "said while the others were off";
    first.send(GROUP, away);
    first.wait("that it was sent", 0, |line| {
        (line == "sent 202").then_some(())
    });
    let mut phones = vec![first];
    phones.extend(members[1..].iter().map(|user| debian.phone(user)));
    let missed = format!("{}: {away}", phones[0].user);
    for phone in &phones[1..] {
        assert_eq!(phone.shows(&missed).address, GROUP, "{}", phone.user);
    }
    crate::everybody_talks(&mut phones, "a word");

    for (user, from, expected) in [
        ("ann", "ann", 202),
        ("eve", "eve", 403),
        // The password is not that of who is named: it is asked for again.
        ("eve", "ann", 407),
    ] {
        let status = attacks::write_as(&debian.server, user, &password(user), from);
        assert_eq!(status, expected, "{user} as {from}");
    }
    // From person to person as before.
    let second = address(phones[1].user);
    phones[0].send(&second, "just for you");
    let message = phones[1].shows("just for you");
    assert_eq!(message.address, address(phones[0].user));
}
