//! Kamailio, asked by kamcmd.

use super::flow::in_project;
use super::proxy::{
    Figures, Given, Proxy, Start, figures, filled_in, first_line, numbers, program,
};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Kamailio;

impl Kamailio {
    /// Says whether kamcmd succeeded, and what it printed.
    pub fn kamcmd_output(folder: &Path, words: &[&str]) -> (bool, String) {
        let output = Command::new(program("CIMF_KAMCMD", "kamcmd"))
            .arg("-s")
            .arg(socket(folder))
            .args(words)
            .output()
            .expect("kamcmd");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = text + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    }

    /// Where it looks for its modules by itself.
    fn folders_of_modules(&self) -> Vec<PathBuf> {
        let output = Command::new(self.program()).arg("-I").output();
        let output = output.expect("kamailio -I");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let folders = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Default paths to modules: "))
            .unwrap_or_else(|| panic!("kamailio -I names no folder of modules:\n{text}"));
        folders.split(':').map(PathBuf::from).collect()
    }

    #[track_caller]
    pub fn kamcmd(folder: &Path, words: &[&str]) -> String {
        let (is_well, text) = Kamailio::kamcmd_output(folder, words);
        assert!(
            is_well && !text.starts_with("error"),
            "kamcmd {words:?}: {text}"
        );
        text
    }
}

/// One of the numbers that a command tells.
#[track_caller]
fn value(folder: &Path, command: &str, name: &str) -> u64 {
    let text = Kamailio::kamcmd(folder, &[command]);
    let number = figures(&text)
        .get(name)
        .and_then(|value| value.parse().ok());
    number.unwrap_or_else(|| panic!("{command} has no number {name}:\n{text}"))
}

fn socket(folder: &Path) -> String {
    format!("unix:{}", folder.join("ctl").display())
}

impl Proxy for Kamailio {
    fn name(&self) -> &'static str {
        "Kamailio"
    }

    fn program(&self) -> PathBuf {
        program("CIMF_KAMAILIO", "kamailio")
    }

    fn version(&self) -> String {
        first_line(&self.program(), "-v")
    }

    fn samples(&self) -> PathBuf {
        in_project("kamailio-config")
    }

    fn small_sample(&self) -> &'static str {
        "kamailio.cfg"
    }

    fn memory(&self, mebibytes: u32) -> Vec<String> {
        ["-x", "tlsf", "-m", &mebibytes.to_string()]
            .map(str::to_owned)
            .to_vec()
    }

    fn memory_manager(&self) -> &'static str {
        "-x"
    }

    fn arguments(&self, start: Start<'_>) -> Vec<OsString> {
        let mut defines = start.defines;
        defines.insert("LISTEN_UDP".to_owned(), format!("udp:{}", start.address));
        defines.insert("LISTEN_TCP".to_owned(), format!("tcp:{}", start.address));
        let control = format!("\"{}\"", socket(start.folder));
        defines.insert("CTL_SOCKET".to_owned(), control);
        let configuration = match start.configuration {
            None => self.samples().join(start.sample),
            Some(text) => {
                let path = start.folder.join("kamailio.cfg");
                std::fs::write(&path, filled_in(text, &defines))
                    .expect("writing the configuration");
                path
            }
        };
        let mut line: Vec<OsString> = ["-DD", "-E", "-f"].map(OsString::from).to_vec();
        line.push(configuration.into());
        for option in ["-w", "-Y"] {
            line.push(option.into());
            line.push(start.folder.into());
        }
        for (name, value) in &defines {
            line.push("-A".into());
            line.push(format!("{name}={value}").into());
        }
        line
    }

    fn statistics(&self, folder: &Path) -> Figures {
        figures(&Kamailio::kamcmd(folder, &["cnt.grp_get_all", "cimf"]))
    }

    fn counter(&self, folder: &Path, name: &str) -> u64 {
        let text = Kamailio::kamcmd(folder, &["cnt.get", "cimf", name]);
        text.trim()
            .parse()
            .unwrap_or_else(|_| panic!("counter {name} is {text:?}"))
    }

    fn command(
        &self,
        folder: &Path,
        name: &str,
        given: &[Given<'_>],
    ) -> Result<Vec<Figures>, String> {
        let name = format!("cimf.{name}");
        let given = given.iter().flat_map(|(_, texts)| texts.iter().copied());
        let words: Vec<_> = [name.as_str()].into_iter().chain(given).collect();
        let (is_well, text) = Kamailio::kamcmd_output(folder, &words);
        if let Some((_, fault)) = text.split_once("error: ") {
            return Err(fault.replacen(" - ", " ", 1).trim_end().to_owned());
        }
        match is_well {
            true => {
                let all = text.split("\n}").map(figures);
                Ok(all.filter(|fields| !fields.is_empty()).collect())
            }
            false => Err(text),
        }
    }

    fn transactions(&self, folder: &Path) -> u64 {
        value(folder, "tm.stats", "current")
    }

    fn transactions_over(&self, folder: &Path) -> u64 {
        value(folder, "tm.stats", "waiting")
    }

    fn shared_memory_used(&self, folder: &Path) -> u64 {
        value(folder, "core.shmmem", "real_used")
    }

    fn processes(&self, folder: &Path) -> Option<Vec<(u32, String)>> {
        let text = Kamailio::kamcmd(folder, &["core.psx"]);
        let values = |key: &'static str| {
            text.lines()
                .filter_map(move |line| line.trim().strip_prefix(key))
                .map(str::trim)
        };
        let processes = values("PID:")
            .map(|pid| pid.parse().expect("a process number"))
            .zip(values("DSC:").map(str::to_owned));
        // The one for TCP comes last.
        text.contains("tcp main process")
            .then(|| processes.collect())
    }

    fn is_udp_worker(&self, what: &str) -> bool {
        what.contains("udp receiver")
    }

    fn head(&self) -> &'static str {
        HEAD
    }

    fn event_route(&self, event: &str, body: &str) -> String {
        format!("event_route[cimf:{event}] {{ {body} }}\n")
    }

    fn event_value(&self, name: &str) -> String {
        format!("$cimf({name})")
    }

    fn local_route(&self, body: &str) -> String {
        format!("event_route[tm:local-request] {{ {body} }}\n")
    }

    fn tls(&self, folder: &Path, address: SocketAddr, asks_clients: bool) -> Option<String> {
        if !self.has_module("tls") {
            return None;
        }
        let path = folder.join("tls.cfg");
        let shown = folder.display();
        let side = |name: &str, asks: bool| {
            let asks = if asks { "yes" } else { "no" };
            format!(
                "[{name}:default]
                method = TLSv1.2+
                verify_certificate = {asks}
                require_certificate = {asks}
                ca_list = {shown}/ca.pem
                certificate = {shown}/proxy.pem
                private_key = {shown}/proxy.key
"
            )
        };
        let text = side("server", asks_clients) + &side("client", true);
        std::fs::write(&path, text).expect("writing tls.cfg");
        Some(format!(
            "enable_tls=yes\nlisten=tls:{address}\nloadmodule \"tls.so\"\n\
             modparam(\"tls\", \"config\", \"{}\")\n",
            path.display()
        ))
    }

    fn waits(&self, seconds: u32) -> String {
        format!("modparam(\"tm\", \"fr_timer\", {seconds}000)\n")
    }

    fn has_module(&self, name: &str) -> bool {
        let folders = match std::env::var_os("CIMF_KAMAILIO_MODULES") {
            Some(folder) => vec![PathBuf::from(folder)],
            None => self.folders_of_modules(),
        };
        folders
            .iter()
            .any(|folder| folder.join(format!("{name}.so")).is_file())
    }

    fn passes_over(&self) -> &'static [&'static str] {
        &["\r\n", "\r\n\r\n", "\n", "\r", " ", "\t", "\0"]
    }

    fn has_faults_of_tcp(&self) -> bool {
        false
    }

    fn drops_unreadable_from(&self) -> bool {
        numbers(&self.version()) >= (6, 1)
    }

    fn has_steps_elsewhere(&self) -> bool {
        true
    }

    fn translated(&self, script: &str) -> String {
        script.to_owned()
    }
}

const HEAD: &str = r#"#!KAMAILIO
debug=2
children=1
tcp_children=1
listen=@LISTEN_UDP@
listen=@LISTEN_TCP@
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "ctl.so"
loadmodule "counters.so"
loadmodule "kex.so"
loadmodule "xlog.so"
modparam("ctl", "binrpc", @CTL_SOCKET@)
loadmodule @CIMF_MODULE@
modparam("cimf", "db_url", @DB_URL@)
modparam("cimf", "domains", @DOMAINS@)
modparam("cimf", "trusted_peers", @TRUSTED_PEERS@)
modparam("cimf", "server_name", @SERVER_NAME@)
modparam("cimf", "core_route", @CORE_ROUTE@)
modparam("cimf", "identity_mode", @IDENTITY_MODE@)
modparam("tm", "wt_timer", @TM_WT_TIMER@)
request_route {
    if ($rm == "OPTIONS") { sl_send_reply("200", "OK"); exit; }
"#;
