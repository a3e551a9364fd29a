//! OpenSIPS, asked by its module mi_fifo.

use super::fifo;
use super::flow::in_project;
use super::opensips_settings::{Settings, written};
use super::proxy::{Figures, Given, Proxy, Start, filled_in, first_line, numbers};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// An OpenSIPS of some version, and where its modules are.
pub struct OpenSips {
    binary: PathBuf,
    modules: PathBuf,
    version: (u32, u32),
}

impl OpenSips {
    /// `CIMF_OPENSIPS` names the binary, and `CIMF_OPENSIPS_MODULES` its modules if they are not where its
    /// `make install` puts them.
    pub fn of_the_environment() -> Option<OpenSips> {
        let binary = PathBuf::from(std::env::var_os("CIMF_OPENSIPS")?);
        let modules = match std::env::var_os("CIMF_OPENSIPS_MODULES") {
            Some(folder) => PathBuf::from(folder),
            None => modules_of(&binary),
        };
        let version = numbers(&first_line(&binary, "-V"));
        Some(OpenSips {
            binary,
            modules,
            version,
        })
    }

    /// Asks the running OpenSIPS; an error is told with its code.
    fn ask(&self, folder: &Path, method: &str, parameters: Value) -> Result<Value, String> {
        fifo::ask(folder, method, &parameters)
    }

    #[track_caller]
    fn ask_well(&self, folder: &Path, method: &str, parameters: Value) -> Value {
        let answer = self.ask(folder, method, parameters);
        answer.unwrap_or_else(|error| panic!("MI {method}: {error}"))
    }

    /// A statistic of a module. Asked for alone it would be found under any module that has one of its name.
    #[track_caller]
    fn statistic(&self, folder: &Path, module: &str, name: &str) -> u64 {
        number(&self.statistics_of(folder, module), module, name)
    }

    /// All statistics of a module, `module:name` each.
    #[track_caller]
    fn statistics_of(&self, folder: &Path, module: &str) -> Value {
        self.ask_well(folder, "get_statistics", json!([[format!("{module}:")]]))
    }

    /// The lines that a version needs and another does not know.
    fn of_this_version(&self) -> String {
        let mut lines = String::new();
        lines += match self.version >= (3, 4) {
            true => "stderror_enabled=yes\nsyslog_enabled=no\n",
            false => "log_stderror=yes\n",
        };
        // With more threads 4.0.1 reads one connection with two of them at once (its issue 4232), and answers
        // get lost. The samples tell who runs 4.0 of this line.
        if self.version >= (4, 0) {
            lines += "tcp_threads=1\n";
        }
        lines
    }
}

/// The modules that belong to a binary: `sbin/opensips` beside `lib64/opensips/modules` or `lib/...`.
fn modules_of(binary: &Path) -> PathBuf {
    let prefix = binary.parent().and_then(Path::parent);
    let prefix = prefix.unwrap_or(Path::new("/"));
    let places = ["lib64", "lib", "lib/x86_64-linux-gnu"];
    let folders = places.map(|place| prefix.join(place).join("opensips/modules"));
    let found = folders.iter().find(|folder| folder.join("tm.so").is_file());
    found.cloned().unwrap_or_else(|| {
        panic!(
            "no tm.so in {folders:?}: set CIMF_OPENSIPS_MODULES to the modules of {}",
            binary.display()
        )
    })
}

#[track_caller]
fn number(values: &Value, module: &str, name: &str) -> u64 {
    let value = values[format!("{module}:{name}")].as_u64();
    value.unwrap_or_else(|| panic!("statistic {module}:{name}: {values}"))
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn figures_of(fields: &Map<String, Value>) -> Figures {
    let texts = fields
        .iter()
        .map(|(name, value)| (name.clone(), text_of(value)));
    texts.collect()
}

impl Proxy for OpenSips {
    fn name(&self) -> &'static str {
        "OpenSIPS"
    }

    fn program(&self) -> PathBuf {
        self.binary.clone()
    }

    fn version(&self) -> String {
        first_line(&self.binary, "-V")
    }

    fn samples(&self) -> PathBuf {
        in_project("opensips-config")
    }

    fn small_sample(&self) -> &'static str {
        "opensips.cfg"
    }

    fn memory(&self, mebibytes: u32) -> Vec<String> {
        vec!["-m".to_owned(), mebibytes.to_string()]
    }

    fn memory_manager(&self) -> &'static str {
        "-a"
    }

    fn arguments(&self, start: Start<'_>) -> Vec<OsString> {
        let settings = Settings::new(&start, &self.modules);
        let path = start.folder.join("opensips.cfg");
        let lines = self.of_this_version();
        let text = match start.configuration {
            Some(text) => {
                let mut values = settings.values().clone();
                let event_route = match self.version >= (3, 6) {
                    true => "",
                    false => "loadmodule \"event_route.so\"",
                };
                values.insert("EVENT_ROUTE".to_owned(), event_route.to_owned());
                filled_in(text, &values)
            }
            None => written(&settings, &self.samples(), start.sample, start.folder),
        };
        std::fs::write(&path, lines + &text).expect("writing the configuration");
        let mut line = vec![OsString::from("-F"), "-f".into(), path.into()];
        line.extend(["-w".into(), start.folder.into()]);
        line
    }

    fn statistics(&self, folder: &Path) -> Figures {
        let values = self.statistics_of(folder, "cimf");
        let fields = values.as_object().expect("an object of statistics");
        let own = figures_of(fields).into_iter();
        own.filter_map(|(name, value)| Some((name.strip_prefix("cimf:")?.to_owned(), value)))
            .collect()
    }

    fn counter(&self, folder: &Path, name: &str) -> u64 {
        self.statistic(folder, "cimf", name)
    }

    fn command(
        &self,
        folder: &Path,
        name: &str,
        given: &[Given<'_>],
    ) -> Result<Vec<Figures>, String> {
        let parameters = given.iter().map(|(name, texts)| {
            let value = match texts {
                [one] => json!(one),
                several => json!(several),
            };
            ((*name).to_owned(), value)
        });
        let parameters = Value::Object(parameters.collect());
        let answer = self.ask(folder, &format!("cimf_{name}"), parameters)?;
        let objects = match answer {
            Value::Array(all) => all,
            one => vec![one],
        };
        let all = objects
            .iter()
            .map(|one| figures_of(one.as_object().expect("an object")));
        Ok(all.collect())
    }

    fn transactions(&self, folder: &Path) -> u64 {
        self.statistic(folder, "tm", "inuse_transactions")
    }

    fn transactions_over(&self, folder: &Path) -> u64 {
        // tm counts by their final responses those that have ended, and not those that it has forgotten.
        let values = self.statistics_of(folder, "tm");
        let of = |name: &str| number(&values, "tm", name);
        let ended = (2..7).map(|class| of(&format!("{class}xx_transactions")));
        let begun = of("UAS_transactions") + of("UAC_transactions");
        let forgotten = begun - of("inuse_transactions");
        ended.sum::<u64>().saturating_sub(forgotten)
    }

    fn shared_memory_used(&self, folder: &Path) -> u64 {
        self.statistic(folder, "shmem", "real_used_size")
    }

    fn processes(&self, folder: &Path) -> Option<Vec<(u32, String)>> {
        let values = self.ask(folder, "ps", json!([])).ok()?;
        let processes: Vec<_> = values["Processes"].as_array()?.iter().collect();
        let of = |process: &&Value| {
            let number = process["PID"].as_u64()?.try_into().ok()?;
            Some((number, process["Type"].as_str()?.to_owned()))
        };
        // The one for TCP comes last.
        processes
            .iter()
            .any(|process| process["Type"] == "TCP main")
            .then(|| processes.iter().filter_map(of).collect())
    }

    fn is_udp_worker(&self, what: &str) -> bool {
        what.starts_with("SIP receiver udp:")
    }

    fn head(&self) -> &'static str {
        HEAD
    }

    fn event_route(&self, event: &str, body: &str) -> String {
        format!(
            "event_route[E_CIMF_{}] {{ {body} }}\n",
            event.to_ascii_uppercase()
        )
    }

    fn event_value(&self, name: &str) -> String {
        format!("$param({name})")
    }

    fn local_route(&self, body: &str) -> String {
        format!("local_route {{ {body} }}\n")
    }

    fn tls(&self, folder: &Path, address: SocketAddr, asks_clients: bool) -> Option<String> {
        let modules = ["proto_tls", "tls_openssl", "tls_mgm"];
        if !modules.iter().all(|name| self.has_module(name)) {
            return None;
        }
        let shown = folder.display();
        let mut lines = format!("socket=tls:{address}\n");
        for module in modules {
            lines += &format!("loadmodule \"{module}.so\"\n");
        }
        // 100 ms unless told, which a busy machine needs for a handshake alone.
        for name in ["tls_handshake_timeout", "tls_send_timeout"] {
            lines += &format!("modparam(\"proto_tls\", \"{name}\", 5000)\n");
        }
        let mut set = |name: &str, value: String| {
            lines += &format!("modparam(\"tls_mgm\", \"{name}\", \"{value}\")\n");
        };
        for (domain, side, asks) in [
            ("server_domain", "server", asks_clients),
            ("client_domain", "client", true),
        ] {
            set(domain, side.to_owned());
            set("match_ip_address", format!("[{side}]*"));
            for name in ["verify_cert", "require_cert"] {
                set(name, format!("[{side}]{}", u8::from(asks)));
            }
            set("ca_list", format!("[{side}]{shown}/ca.pem"));
            set("certificate", format!("[{side}]{shown}/proxy.pem"));
            set("private_key", format!("[{side}]{shown}/proxy.key"));
        }
        Some(lines)
    }

    fn waits(&self, seconds: u32) -> String {
        format!("modparam(\"tm\", \"fr_timeout\", {seconds})\n")
    }

    fn has_module(&self, name: &str) -> bool {
        self.modules.join(format!("{name}.so")).exists()
    }

    fn passes_over(&self) -> &'static [&'static str] {
        &["\r\n", "\r\n\r\n", "\n", "\r"]
    }

    fn has_faults_of_tcp(&self) -> bool {
        self.version >= (4, 0)
    }

    fn drops_unreadable_from(&self) -> bool {
        false
    }

    fn has_steps_elsewhere(&self) -> bool {
        false
    }

    fn translated(&self, script: &str) -> String {
        // Status codes are numbers here.
        let mut pieces = script.split("_reply(\"");
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            text += "_reply(";
            text += &piece.replacen('"', "", 1);
        }
        text
    }
}

/// Settings that a test's own configuration may want under OpenSIPS's names and units.
pub fn in_units_of_opensips(defines: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let convert = |(name, value): (&String, &String)| {
        let number = value.parse::<i64>();
        let value = match (name.as_str(), number) {
            // Milliseconds there, whole seconds here, and no less than 2.
            ("TM_FR_TIMER" | "TM_WT_TIMER", Ok(number)) => {
                number.unsigned_abs().div_ceil(1000).max(2).to_string()
            }
            // Errors are -1 in both; there is no 0 here.
            ("LOG_LEVEL", Ok(number)) if number >= 0 => (number + 1).to_string(),
            _ => value.clone(),
        };
        (name.clone(), value)
    };
    defines.iter().map(convert).collect()
}

const HEAD: &str = r#"log_level=3
udp_workers=1
tcp_workers=1
socket=@LISTEN_UDP@
socket=@LISTEN_TCP@
auto_aliases=no
mpath=@MODULES@
loadmodule "proto_udp.so"
loadmodule "proto_tcp.so"
loadmodule "signaling.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "sipmsgops.so"
loadmodule "mi_fifo.so"
@EVENT_ROUTE@
modparam("mi_fifo", "fifo_name", @FIFO@)
modparam("mi_fifo", "reply_dir", @REPLIES@)
modparam("proto_tcp", "tcp_async_max_postponed_chunks", 2000)
modparam("proto_tcp", "tcp_max_msg_chunks", 64)
loadmodule @CIMF_MODULE@
modparam("cimf", "db_url", @DB_URL@)
modparam("cimf", "domains", @DOMAINS@)
modparam("cimf", "trusted_peers", @TRUSTED_PEERS@)
modparam("cimf", "server_name", @SERVER_NAME@)
modparam("cimf", "core_route", @CORE_ROUTE@)
modparam("cimf", "identity_mode", @IDENTITY_MODE@)
modparam("tm", "wt_timer", @TM_WT_TIMER@)
route {
    if ($rm == "OPTIONS") { sl_send_reply(200, "OK"); exit; }
"#;
