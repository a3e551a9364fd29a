//! Where the groups are: a SQLite file of this node, or PostgreSQL, which many nodes share.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};

/// How long a node waits for one host of several, where the URL does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for whoever writes.
const WRITER_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long TCP waits for an acknowledgement before a connection counts as lost, where the URL does not say.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection is silent before TCP asks whether it is still there, where the URL does not say.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// The name of the connections of cimf in PostgreSQL's `pg_stat_activity`.
const APPLICATION: &str = "cimf";

/// The value of `db_url`.
#[derive(Clone, Debug)]
pub enum DbUrl {
    /// `sqlite:///FILE`.
    Sqlite(PathBuf),
    /// `postgres://…`.
    Postgres(Box<PostgresUrl>),
}

/// A `postgres://` URL, in the form of PostgreSQL's libpq (section 34.1.1.2 of its manual).
#[derive(Clone)]
pub struct PostgresUrl {
    /// What to connect to, without TLS, which [`Self::tls`] says.
    pub config: Config,
    /// Whether connections are encrypted, and whose certificates count.
    pub tls: Tls,
    /// libpq's `passfile`: where the password is.
    pub password_file: Option<PathBuf>,
    /// The URL without its password.
    shown: String,
}

/// libpq's `sslmode` and `sslrootcert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Whether the server's certificate is checked, and how.
    pub verify: Verify,
    /// The file with the certificates of the authorities that count.
    pub root_certificate: Option<PathBuf>,
}

/// Which certificates of a server count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Any: `disable`, `prefer` and `require` without a root certificate.
    Nothing,
    /// One of a known authority: `verify-ca`, and `require` with a root certificate.
    Authority,
    /// One of a known authority for the host's name: `verify-full`.
    Name,
}

impl Default for DbUrl {
    fn default() -> Self {
        Self::Sqlite(PathBuf::new())
    }
}

impl DbUrl {
    /// Reads the value of `db_url`; nothing where it is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return PostgresUrl::read(text).map(|url| Self::Postgres(Box::new(url)));
        }
        let path = text.strip_prefix("sqlite://")?;
        (path.starts_with('/') && path.len() > 1).then(|| Self::Sqlite(path.into()))
    }
}

/// Without a password, which stands in no log, error or list.
impl fmt::Display for DbUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl PostgresUrl {
    /// The same for a node that writes, under its name: hosts that only read are passed over, and those that do not answer
    /// soon.
    pub fn for_writing(mut self, node: &str) -> Self {
        self.config
            .application_name(format!("{APPLICATION} {node}"));
        self.config
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        let timeout = self.config.get_connect_timeout().copied();
        let timeout = timeout
            .unwrap_or(CONNECT_TIMEOUT)
            .min(WRITER_CONNECT_TIMEOUT);
        self.config.connect_timeout(timeout);
        self
    }

    fn read(text: &str) -> Option<Self> {
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut mode, mut root_certificate, mut password_file) = ("prefer", None, None);
        let mut others = Vec::new();
        for item in query.split('&').filter(|item| !item.is_empty()) {
            match item.split_once('=')? {
                ("sslmode", value) => mode = value,
                ("sslrootcert", value) => root_certificate = Some(PathBuf::from(unescaped(value)?)),
                ("passfile", value) => password_file = Some(PathBuf::from(unescaped(value)?)),
                _ => others.push(item),
            }
        }
        let (ssl_mode, verify) = match (mode, &root_certificate) {
            ("disable", _) => (SslMode::Disable, Verify::Nothing),
            ("prefer", _) => (SslMode::Prefer, Verify::Nothing),
            ("require", None) => (SslMode::Require, Verify::Nothing),
            ("require" | "verify-ca", Some(_)) => (SslMode::Require, Verify::Authority),
            ("verify-full", Some(_)) => (SslMode::Require, Verify::Name),
            _ => return None,
        };
        let rest = match others.is_empty() {
            true => place.to_owned(),
            false => format!("{place}?{}", others.join("&")),
        };
        let mut config: Config = rest.parse().ok()?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return None;
        }
        config.ssl_mode(ssl_mode);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(TCP_USER_TIMEOUT);
        }
        if !others.iter().any(|item| item.starts_with("keepalives")) {
            config.keepalives_idle(KEEPALIVE);
            config.keepalives_interval(KEEPALIVE / 2);
            config.keepalives_retries(3);
        }
        if config.get_application_name().is_none() {
            config.application_name(APPLICATION);
        }
        Some(Self {
            config,
            tls: Tls {
                verify,
                root_certificate,
            },
            password_file,
            shown: without_password(text),
        })
    }
}

/// Without its password.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// A URL, well formed or not, without what may be its password: behind `password=`, and from the first colon of its
/// authority to the last `@`.
pub(super) fn without_password(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("password=") {
        let (before, value) = rest.split_at(at + "password=".len());
        shown += before;
        shown += "***";
        rest = &value[value.find(['&', ' ']).unwrap_or(value.len())..];
    }
    shown += rest;
    // `postgres:/` is a slip of the pen that has a password all the same.
    let scheme = shown.find("://").map(|at| at + 3);
    let Some(scheme) = scheme.or_else(|| shown.find(":/").map(|at| at + 2)) else {
        return shown;
    };
    let authority = &shown[scheme..];
    match (authority.find(':'), authority.rfind('@')) {
        (Some(colon), Some(at)) if colon < at => {
            let (user, place) = (&authority[..colon], &authority[at..]);
            format!("{}{user}:***{place}", &shown[..scheme])
        }
        _ => shown,
    }
}

/// A text with its `%XX` as the characters that they stand for.
fn unescaped(text: &str) -> Option<String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.ok().map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(text: &str) -> PostgresUrl {
        match DbUrl::read(text) {
            Some(DbUrl::Postgres(url)) => *url,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_file_has_its_whole_path() {
        let read = DbUrl::read("sqlite:///var/lib/cimf/cimf.db");
        assert!(matches!(read, Some(DbUrl::Sqlite(path)) if path == *"/var/lib/cimf/cimf.db"));
        for wrong in [
            "",
            "sqlite://",
            "sqlite:///",
            "sqlite://cimf.db",
            "/cimf.db",
        ] {
            assert!(DbUrl::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn several_hosts_may_be_named() {
        let url = postgres("postgres://cimf@db1.home1.net:5432,db2.home1.net:5433/groups");
        assert_eq!(url.config.get_hosts().len(), 2);
        assert_eq!(url.config.get_ports(), [5432, 5433]);
        assert_eq!(url.config.get_dbname(), Some("groups"));
        assert_eq!(url.config.get_application_name(), Some("cimf"));
    }

    #[test]
    fn ssl_modes_are_those_of_libpq() {
        let of = |query: &str| {
            let url = postgres(&format!("postgresql://cimf@db/groups{query}"));
            (url.config.get_ssl_mode(), url.tls)
        };
        let tls = |verify, root: Option<&str>| Tls {
            verify,
            root_certificate: root.map(PathBuf::from),
        };
        for (query, mode, expected) in [
            ("", SslMode::Prefer, tls(Verify::Nothing, None)),
            (
                "?sslmode=disable",
                SslMode::Disable,
                tls(Verify::Nothing, None),
            ),
            (
                "?sslmode=require",
                SslMode::Require,
                tls(Verify::Nothing, None),
            ),
            (
                "?sslmode=require&sslrootcert=/etc/ca.pem",
                SslMode::Require,
                tls(Verify::Authority, Some("/etc/ca.pem")),
            ),
            (
                "?sslmode=verify-ca&sslrootcert=/etc/my%20ca.pem",
                SslMode::Require,
                tls(Verify::Authority, Some("/etc/my ca.pem")),
            ),
            (
                "?connect_timeout=3&sslrootcert=/etc/ca.pem&sslmode=verify-full",
                SslMode::Require,
                tls(Verify::Name, Some("/etc/ca.pem")),
            ),
        ] {
            assert_eq!(of(query), (mode, expected), "{query}");
        }
        for wrong in [
            "?sslmode=on",
            "?sslmode=verify-full",
            "?sslmode",
            "?no_such_parameter=1",
        ] {
            let text = format!("postgres://cimf@db/groups{wrong}");
            assert!(DbUrl::read(&text).is_none(), "{wrong}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        for (text, shown) in [
            (
                "postgres://cimf:s3cret@db/groups",
                "postgres://cimf:***@db/groups",
            ),
            (
                "postgres://cimf@db/groups?password=s3cret&sslmode=disable",
                "postgres://cimf@db/groups?password=***&sslmode=disable",
            ),
            (
                "postgres://cimf:s3cr@t:x@db:5432/groups",
                "postgres://cimf:***@db:5432/groups",
            ),
            (
                "postgres://cimf@db/groups?password=p@ss:word",
                "postgres://cimf@db/groups?password=***",
            ),
            (
                "host=db user=cimf password=s3cret dbname=groups",
                "host=db user=cimf password=*** dbname=groups",
            ),
            ("postgres:/cimf:s3cret@db", "postgres:/cimf:***@db"),
            ("sqlite:///var/lib/cimf.db", "sqlite:///var/lib/cimf.db"),
        ] {
            assert_eq!(without_password(text), shown);
        }
        let url = DbUrl::read("postgres://cimf:s3cret@db/groups").unwrap();
        assert!(!format!("{url} {url:?}").contains("s3cret"));
    }
}
