//! OpenSIPS's samples with other settings. An OpenSIPS script takes none from outside, so each line that sets
//! something is written anew.

use super::opensips::in_units_of_opensips;
use super::proxy::Start;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Settings by the names that Kamailio's samples give them.
pub struct Settings {
    values: BTreeMap<String, String>,
}

impl Settings {
    pub fn new(start: &Start<'_>, modules: &Path) -> Settings {
        let mut values = in_units_of_opensips(&start.defines);
        let folder = start.folder.display();
        for (name, value) in [
            ("LISTEN_UDP", format!("udp:{}", start.address)),
            ("LISTEN_TCP", format!("tcp:{}", start.address)),
            ("MODULES", format!("\"{}/\"", modules.display())),
            ("FIFO", format!("\"{folder}/fifo\"")),
            ("REPLIES", format!("\"{folder}/\"")),
        ] {
            values.insert(name.to_owned(), value);
        }
        Settings { values }
    }

    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The setting that a line makes, and what stands before its value. A line that is commented out makes it
    /// once it has a value.
    fn of<'a>(&self, line: &'a str) -> Option<(String, &'a str)> {
        let plain = line.strip_prefix('#').unwrap_or(line);
        if let Some(rest) = plain.strip_prefix("modparam(\"") {
            let (module, rest) = rest.split_once("\", \"")?;
            let (parameter, _) = rest.split_once("\", ")?;
            let name = match (module, parameter) {
                ("cimf", parameter) => parameter.to_ascii_uppercase(),
                ("tm", "fr_timeout") => "TM_FR_TIMER".to_owned(),
                ("tm", "wt_timer") => "TM_WT_TIMER".to_owned(),
                ("mi_fifo", "fifo_name") => "FIFO".to_owned(),
                ("mi_fifo", "reply_dir") => "REPLIES".to_owned(),
                ("auth_db", "db_url") => "USERS".to_owned(),
                // Its balancer.cfg has all its lists in one folder.
                ("dispatcher" | "permissions", "db_url") => "NODES".to_owned(),
                _ => return None,
            };
            let start = format!("modparam(\"{module}\", \"{parameter}\", ").len();
            return Some((name, &plain[..start]));
        }
        let starts = [
            ("socket=udp:", "LISTEN_UDP", "socket=".len()),
            ("socket=tcp:", "LISTEN_TCP", "socket=".len()),
            ("udp_workers=", "CHILDREN", "udp_workers=".len()),
            ("tcp_workers=", "TCP_CHILDREN", "tcp_workers=".len()),
            (
                "tcp_max_connections=",
                "TCP_CONNECTIONS",
                "tcp_max_connections=".len(),
            ),
            ("log_level=", "LOG_LEVEL", "log_level=".len()),
            ("mpath=", "MODULES", "mpath=".len()),
            ("loadmodule \"cimf.so\"", "CIMF_MODULE", "loadmodule ".len()),
        ];
        starts
            .iter()
            .find(|(start, ..)| line.starts_with(start))
            .map(|&(_, name, length)| (name.to_owned(), &line[..length]))
    }

    /// A sample's line, and the name of the setting that it makes now.
    fn line(&self, line: &str) -> (String, Option<String>) {
        // With `direct` there is no next hop.
        let is_next_hop = line.starts_with("modparam(\"cimf\", \"core_route\"");
        if is_next_hop && self.get("DIRECT").is_some() && self.get("CORE_ROUTE").is_none() {
            return (format!("#{line}"), None);
        }
        if let Some(identity) = self.get("CIMF_IDENTITY")
            && line.trim() == "route(CIMF);"
        {
            let call = format!("route(CIMF, {});", identity.trim_matches('"'));
            return (
                line.replace("route(CIMF);", &call),
                Some("CIMF_IDENTITY".to_owned()),
            );
        }
        if let Some((before, rest)) = line.split_once("$rd =~ \"^(")
            && let Some(domains) = self.get("DOMAINS")
        {
            let pattern = domains.trim_matches('"').replace('.', "\\.");
            let rest = rest.split_once(')').map_or(rest, |(_, rest)| rest);
            let pattern = pattern.replace(',', "|");
            return (format!("{before}$rd =~ \"^({pattern}){rest}"), None);
        }
        // Its ims-as.cfg names the trusted peers in its route, too.
        let nobody = "{ip.matches,0.0.0.0/32}";
        if line.contains(nobody)
            && let Some(peers) = self.get("TRUSTED_PEERS")
        {
            let peers = format!("{{ip.matches,{}}}", peers.trim_matches('"'));
            return (line.replace(nobody, &peers), None);
        }
        let Some((name, start)) = self.of(line) else {
            return (line.to_owned(), None);
        };
        let Some(value) = self.get(&name) else {
            return (line.to_owned(), None);
        };
        let end = if start.ends_with(", ") { ")" } else { "" };
        (format!("{start}{value}{end}"), Some(name))
    }

    /// A whole sample, and the settings that it makes.
    fn text(&self, text: &str) -> (String, BTreeSet<String>) {
        let mut made = BTreeSet::new();
        let mut lines = String::new();
        for line in text.lines() {
            let (line, name) = self.line(line);
            made.extend(name);
            lines += &line;
            lines.push('\n');
        }
        (lines, made)
    }
}

/// A sample with the settings in it; the file that it includes, if it runs cimf, is written into the folder.
#[track_caller]
pub fn written(settings: &Settings, samples: &Path, sample: &str, folder: &Path) -> String {
    let read = |name: &str| {
        let path = samples.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let (mut text, mut made) = settings.text(&read(sample));
    let included = "include_file \"cimf-route.cfg\"";
    if text.contains(included) {
        let (include, of_include) = settings.text(&read("cimf-route.cfg"));
        made.extend(of_include);
        let path = folder.join("cimf-route.cfg");
        std::fs::write(&path, include).expect("writing the include");
        text = text.replace(included, &format!("include_file \"{}\"", path.display()));
    }
    let missing: Vec<_> = settings
        .values()
        .keys()
        .filter(|name| !made.contains(*name))
        .collect();
    assert!(missing.is_empty(), "{sample} has no line for {missing:?}");
    text
}
