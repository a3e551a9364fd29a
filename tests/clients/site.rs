//! A small site as it is shipped: small-site.sh with its configuration, on free ports of loopback.

use crate::built;
use crate::port::Port;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the script may take: it builds where nothing was built.
const PATIENCE: Duration = Duration::from_secs(600);

pub const DOMAIN: &str = "example.net";
pub const GROUP: &str = "sip:hikers@example.net";

/// Which proxy the site runs.
#[derive(Clone, Copy, Debug)]
pub enum Proxy {
    Kamailio,
    OpenSips,
}

/// A running site. Dropping it ends it.
pub struct Site {
    pub server: String,
    /// For phones that come by TLS.
    pub secure_server: String,
    pub socket: String,
    pub secure_socket: String,
    copies: String,
    folder: TempDir,
    script: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
    _ports: [Port; 5],
}

impl Site {
    /// Starts the script with these users.
    pub fn start(proxy: Proxy, users: &str) -> Site {
        let folder = tempfile::Builder::new().prefix("cimf-site-").tempdir();
        let folder = folder.expect("a temporary folder");
        let ports = [(); 5].map(|()| Port::reserve());
        let [sip, tls, web, secure_web, copies] =
            ports.each_ref().map(|port| port.number.to_string());
        let samples = match proxy {
            Proxy::Kamailio => "kamailio-config",
            Proxy::OpenSips => "opensips-config",
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(samples);
        let arguments = [
            ["--domain", DOMAIN],
            ["--address", "127.0.0.1"],
            ["--port", &sip],
            ["--tls-port", &tls],
            ["--web-port", &web],
            ["--secure-web-port", &secure_web],
            ["--copies-port", &copies],
            ["--users", users],
            ["--folder", &folder.path().display().to_string()],
        ];
        let arguments = arguments.concat().into_iter().map(str::to_owned).collect();
        let mut site = Site {
            server: format!("127.0.0.1:{sip}"),
            secure_server: format!("127.0.0.1:{tls}"),
            socket: format!("ws://127.0.0.1:{web}"),
            secure_socket: format!("wss://127.0.0.1:{secure_web}"),
            copies: format!("127.0.0.1:{copies}"),
            folder,
            script: script.join("small-site.sh"),
            arguments,
            child: None,
            _ports: ports,
        };
        site.run();
        site
    }

    fn run(&mut self) {
        let mut child = Command::new(&self.script)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("small-site.sh");
        let output = child.stdout.take().expect("its output");
        let (ready, is_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut all = String::new();
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                all += &line;
                all.push('\n');
                if line.contains("It runs until Ctrl-C") {
                    let _ = ready.send(());
                }
            }
            all
        });
        self.child = Some(child);
        if is_ready.recv_timeout(PATIENCE).is_err() {
            panic!("small-site.sh did not start; its log:\n{}", self.log());
        }
    }

    /// Stops the site as Ctrl-C does, and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.run();
    }

    /// Where copies come back to the proxy.
    pub fn copies(&self) -> &str {
        &self.copies
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("proxy.log")).unwrap_or_default()
    }

    /// The password that the script has made for a user.
    #[track_caller]
    pub fn password(&self, user: &str) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("passwords"));
        let text = text.expect("the passwords");
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(name, _)| *name == user);
        found.expect("a password of each user").1.to_owned()
    }

    /// The certificate that the script has made, which phones are told to trust.
    pub fn certificate(&self) -> String {
        self.folder
            .path()
            .join("certificate.pem")
            .display()
            .to_string()
    }

    /// Runs cimfctl on the site's groups.
    #[track_caller]
    pub fn cimfctl(&self, words: &[&str]) {
        built::cimfctl(&self.folder.path().join("cimf.db"), words);
    }

    fn stop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let id = i32::try_from(child.id()).expect("a process id");
        // SAFETY: a signal to the child that was just started and not waited for.
        unsafe { libc::kill(id, libc::SIGTERM) };
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        panic!("small-site.sh did not stop in 30 seconds");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the proxy's log\n{}", self.log());
        }
        self.stop();
    }
}
