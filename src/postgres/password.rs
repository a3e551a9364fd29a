//! The password for PostgreSQL where the URL has none: libpq's `PGPASSWORD` and password file (sections 34.15 and 34.16
//! of PostgreSQL's manual).

#![forbid(unsafe_code)]

use super::postgres_error::PostgresError;
use crate::config::PostgresUrl;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// What to connect to, with a password if there is one.
pub fn with_password(url: &PostgresUrl) -> Result<Config, PostgresError> {
    let mut config = url.config.clone();
    if config.get_password().is_some() {
        return Ok(config);
    }
    let variable = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
    if let Some(password) = variable("PGPASSWORD").and_then(|value| value.into_string().ok()) {
        config.password(password);
        return Ok(config);
    }
    let named = url.password_file.clone();
    let named = named.or_else(|| variable("PGPASSFILE").map(PathBuf::from));
    let at_home = variable("HOME").map(|home| Path::new(&home).join(".pgpass"));
    // The one at home need not be there.
    let file = named.or_else(|| at_home.filter(|file| file.exists()));
    if let Some(file) = file
        && let Some(password) = found(&file, &config)?
    {
        config.password(password);
    }
    Ok(config)
}

/// The password that a file has for a connection.
fn found(file: &Path, config: &Config) -> Result<Option<String>, PostgresError> {
    let wrong = |problem: String| PostgresError::PasswordFile {
        text: format!("{}: {problem}", file.display()),
    };
    let read = || {
        Ok((
            std::fs::read_to_string(file)?,
            file.metadata()?.permissions(),
        ))
    };
    let (text, permissions) =
        read().map_err(|error: std::io::Error| wrong(format!("cannot be read: {error}")))?;
    if permissions.mode() & 0o077 != 0 {
        return Err(wrong(
            "expected mode 0600, found more: others than its owner may use it".to_owned(),
        ));
    }
    Ok(of_connection(&text, config))
}

fn of_connection(text: &str, config: &Config) -> Option<String> {
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
        let error = of_mode(0o644).unwrap_err().to_string();
        assert!(error.contains("expected mode 0600"), "{error}");
        assert_eq!(of_mode(0o600).unwrap().as_deref(), Some("s3cret"));
        std::fs::remove_file(&file).unwrap();
        let error = found(&file, &config).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
