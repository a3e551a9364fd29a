//! A small site as it is shipped: small-site.sh with its configuration, on free ports of loopback.

use crate::built;
use crate::port::Port;
use crate::script::{Proxy, Script, Stop, as_from_a_shell, options_of_ports};
use std::path::PathBuf;
use tempfile::TempDir;

pub const DOMAIN: &str = "example.net";
pub const GROUP: &str = "sip:hikers@example.net";

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
    options: Vec<String>,
    running: Option<Script>,
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
        let mut options = options_of_ports(&ports);
        let folder_name = folder.path().display().to_string();
        for [name, value] in [
            ["--domain", DOMAIN],
            ["--users", users],
            ["--folder", &folder_name],
        ] {
            options.extend([name.to_owned(), value.to_owned()]);
        }
        let mut site = Site {
            server: format!("127.0.0.1:{sip}"),
            secure_server: format!("127.0.0.1:{tls}"),
            socket: format!("ws://127.0.0.1:{web}"),
            secure_socket: format!("wss://127.0.0.1:{secure_web}"),
            copies: format!("127.0.0.1:{copies}"),
            folder,
            script: proxy.script("small-site.sh"),
            options,
            running: None,
            _ports: ports,
        };
        site.run();
        site
    }

    fn run(&mut self) {
        let temporary = std::env::temp_dir();
        let (script, _) = Script::run(&self.script, &self.options, &temporary);
        self.running = Some(script);
    }

    /// What the script says when it is started once more with these options besides; it must not go well.
    #[track_caller]
    pub fn start_is_refused(&self, options: &[&str]) -> String {
        let output = as_from_a_shell(&self.script)
            .args(&self.options)
            .args(options)
            .stdin(std::process::Stdio::null())
            .output();
        let output = output.expect("the script");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Stops the site, and starts it again.
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
        if let Some(mut script) = self.running.take() {
            script.stop(Stop::Kill);
        }
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
