//! Debian's Prometheus, with the project's configuration, in a folder of its own.

use crate::support::child::{end, ends_with_the_tests};
use crate::support::port::Port;
use crate::support::rig::until;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A running one. Dropping it ends it.
pub struct Prometheus {
    port: Port,
    process: Child,
    _folder: TempDir,
}

impl Prometheus {
    /// One that asks a proxy at this port each second.
    pub fn start(target: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let scrape = std::fs::read_to_string("docs/prometheus/scrape.yml").expect("scrape.yml");
        let alerts = std::fs::canonicalize("docs/prometheus/alerts.yml").expect("alerts.yml");
        assert!(scrape.contains("127.0.0.1:9494"));
        let scrape = scrape.replace("127.0.0.1:9494", &format!("127.0.0.1:{target}"));
        let text = format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: [\"{}\"]\n{scrape}",
            alerts.display()
        );
        let settings = folder.path().join("prometheus.yml");
        std::fs::write(&settings, text).expect("the settings");
        let port = Port::reserve();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", settings.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{}", port.number))
            .arg("--log.level=error")
            .stdin(Stdio::null());
        ends_with_the_tests(&mut command, libc::SIGTERM);
        let process = command.spawn().expect("Debian's package prometheus");
        Self {
            port,
            process,
            _folder: folder,
        }
    }

    fn ask(&self, path: &str) -> Option<Value> {
        let answer: Value = serde_json::from_str(&http(self.port.number, path, None)?).ok()?;
        (answer["status"] == "success").then(|| answer["data"].clone())
    }

    /// Waits until it has asked the proxy so often.
    pub fn has_asked(&self, often: u32) {
        let asked = || {
            let count = self.value("count_over_time(cimf_accepted[1m])")?;
            (count >= f64::from(often)).then_some(())
        };
        until(asked).expect("a Prometheus that asks the proxy");
    }

    /// The first value of a query; nothing if it has none.
    pub fn value(&self, query: &str) -> Option<f64> {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let data = self.ask(&format!("/api/v1/query?query={escaped}"))?;
        let values = data["result"].as_array()?;
        values.first()?["value"][1].as_str()?.parse().ok()
    }

    /// The queries of its alerts, each of which it can evaluate; a comparison gives 0 or 1.
    pub fn alerts(&self) -> Vec<String> {
        let evaluated = || {
            let data = self.ask("/api/v1/rules")?;
            let groups = data["groups"].as_array()?;
            let rules = groups
                .iter()
                .filter_map(|group| group["rules"].as_array())
                .flatten();
            let rules: Vec<Value> = rules.cloned().collect();
            rules
                .iter()
                .all(|rule| rule["health"] == "ok")
                .then_some(rules)
        };
        let rules = until(evaluated).expect("alerts that can be evaluated");
        let compare = |rule: &Value| {
            let query = rule["query"].as_str().expect("a query").to_owned();
            let bool_query = [" > ", " < ", " == "].iter().fold(query, |query, sign| {
                query.replace(sign, &format!("{sign}bool "))
            });
            assert!(bool_query.contains("bool"), "{bool_query}");
            bool_query
        };
        rules.iter().map(compare).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// The type of what is asked and answered.
pub const JSON: &str = "application/json";

/// The body of the answer to GET, or to POST where there is a body; nothing if there is none yet.
pub fn http(port: u16, path: &str, body: Option<&str>) -> Option<String> {
    let (head, body) = asked(port, path, JSON, body)?;
    head.contains(" 200 ").then_some(body)
}

/// The same to POST, with this type of its body, and whatever the status.
pub fn http_answer(port: u16, path: &str, content_type: &str, body: &str) -> Option<String> {
    asked(port, path, content_type, Some(body)).map(|(_, body)| body)
}

/// Head and body of what is answered.
fn asked(
    port: u16,
    path: &str,
    content_type: &str,
    body: Option<&str>,
) -> Option<(String, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .ok()?;
    let method = if body.is_some() { "POST" } else { "GET" };
    let body = body.unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    let mut piece = [0; 65536];
    // Some keep the connection open: then the length says where it ends.
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_it = name.eq_ignore_ascii_case("Content-Length");
                is_it.then(|| value.trim().parse::<usize>().ok()).flatten()
            });
            if length.is_some_and(|length| body.len() >= length) {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        match stream.read(&mut piece).ok()? {
            0 => break,
            length => answer.extend_from_slice(&piece[..length]),
        }
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.to_owned(), body.to_owned()))
}
