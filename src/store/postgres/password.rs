//! The password for PostgreSQL where the URL has none: libpq's `PGPASSWORD` and password file (sections 34.15 and 34.16
//! of PostgreSQL's manual).

#![forbid(unsafe_code)]

use crate::config::PostgresUrl;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// What to connect to, with a password if there is one.
pub fn with_password(url: &PostgresUrl) -> Config {
    let mut config = url.config.clone();
    if config.get_password().is_some() {
        return config;
    }
    let variable = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
    if let Some(password) = variable("PGPASSWORD").and_then(|value| value.into_string().ok()) {
        config.password(password);
        return config;
    }
    let at_home = || variable("HOME").map(|home| Path::new(&home).join(".pgpass"));
    let file = url.password_file.clone();
    let file = file.or_else(|| variable("PGPASSFILE").map(PathBuf::from));
    if let Some(password) = file.or_else(at_home).and_then(|file| found(&file, &config)) {
        config.password(password);
    }
    config
}

/// The password that a file has for a connection.
fn found(file: &Path, config: &Config) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let mode = file.metadata().ok()?.permissions().mode();
    if mode & 0o077 != 0 {
        log::warn!(
            "{}: others than its owner may read it, so its passwords are not used: chmod 600",
            file.display()
        );
        return None;
    }
    let host = config.get_hosts().first().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(_) => "localhost".to_owned(),
    });
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user()?;
    let wanted = [
        host?,
        port.to_string(),
        config.get_dbname().unwrap_or(user).to_owned(),
        user.to_owned(),
    ];
    text.lines().find_map(|line| password(line, &wanted))
}

/// The last field of a line whose first four match: host, port, database and user, each `*` or the text, with `\` before a
/// colon or backslash of its own.
fn password(line: &str, wanted: &[String; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let (mut fields, mut field) = (Vec::new(), String::new());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => field.extend(characters.next()),
            ':' if fields.len() < wanted.len() => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    let matches = |(field, wanted): (&String, &String)| field == "*" || field == wanted;
    let is_whole = fields.len() == wanted.len();
    (is_whole && fields.iter().zip(wanted).all(matches)).then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_password_file_is_for_whom_it_says() {
        let wanted = ["db1", "5432", "groups", "cimf"].map(str::to_owned);
        for (line, expected) in [
            ("db1:5432:groups:cimf:s3cret", Some("s3cret")),
            ("*:*:*:*:s3cret", Some("s3cret")),
            ("*:*:*:cimf:s3\\:cr\\\\et", Some("s3:cr\\et")),
            ("*:*:*:cimf:with:colon", Some("with:colon")),
            ("db2:5432:groups:cimf:s3cret", None),
            ("db1:5432:groups:cimf", None),
            ("#db1:5432:groups:cimf:s3cret", None),
            ("", None),
        ] {
            assert_eq!(password(line, &wanted).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        std::fs::write(&file, "# a comment\n*:*:*:cimf:s3cret\n").unwrap();
        let config: Config = "postgres://cimf@db1/groups".parse().unwrap();
        let of_mode = |mode| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            found(&file, &config)
        };
        assert_eq!(of_mode(0o644), None);
        assert_eq!(of_mode(0o600).as_deref(), Some("s3cret"));
    }
}
