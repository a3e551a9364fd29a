//! What may fail with a connection.

#![forbid(unsafe_code)]

use crate::config::PostgresUrl;
use std::error::Error;
use std::fmt;
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// Why PostgreSQL did not do what it was asked for.
#[derive(Debug)]
pub enum PostgresError {
    /// It says no, or the connection is lost: what was done, and the error.
    Said {
        /// The URL without its password.
        url: String,
        /// What was being done.
        action: &'static str,
        /// The error.
        error: tokio_postgres::Error,
    },
    /// Nobody answers, or not any more.
    Silent {
        /// The URL without its password.
        url: String,
        /// What was being done.
        action: &'static str,
        /// How long was waited.
        patience: Duration,
    },
    /// The file with the password cannot be used.
    PasswordFile {
        /// The file and what is wrong with it.
        text: String,
    },
    /// The file with the certificates of authorities cannot be used.
    RootCertificate {
        /// The file and what is wrong with it.
        text: String,
    },
    /// The system has no room for a connection.
    System(std::io::Error),
}

impl PostgresError {
    /// Makes errors of what is being done.
    pub fn doing(
        url: &PostgresUrl,
        action: &'static str,
    ) -> impl Fn(tokio_postgres::Error) -> Self {
        let url = url.to_string();
        move |error| Self::Said {
            url: url.clone(),
            action,
            error,
        }
    }

    /// Whether the same may go well later without anybody's doing.
    pub fn may_pass(&self) -> bool {
        match (self, self.state()) {
            // Connections, resources, an operator's intervention, the system: classes of appendix A of PostgreSQL's manual.
            (Self::Said { .. }, Some(state)) => ["08", "53", "57", "58"]
                .iter()
                .any(|class| state.code().starts_with(class)),
            (Self::Said { .. } | Self::Silent { .. } | Self::System(_), _) => true,
            (Self::PasswordFile { .. } | Self::RootCertificate { .. }, _) => false,
        }
    }

    /// What PostgreSQL says is wrong, if it says so.
    pub fn state(&self) -> Option<&SqlState> {
        match self {
            Self::Said { error, .. } => error.code(),
            _ => None,
        }
    }
}

impl fmt::Display for PostgresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said { url, action, error } => {
                write!(f, "{url}: {action}: ")?;
                match error.as_db_error() {
                    Some(said) => write!(f, "PostgreSQL says: {}", said.message()),
                    None => write_chain(f, error),
                }
            }
            Self::Silent {
                url,
                action,
                patience,
            } => write!(
                f,
                "{url}: {action}: no answer within {} s",
                patience.as_secs_f64()
            ),
            Self::PasswordFile { text } => write!(f, "passfile: {text}"),
            Self::RootCertificate { text } => write!(f, "sslrootcert: {text}"),
            Self::System(error) => write!(f, "cannot connect to PostgreSQL: {error}"),
        }
    }
}

/// The error with all its causes, each of which says a part.
fn write_chain(f: &mut fmt::Formatter<'_>, error: &dyn Error) -> fmt::Result {
    write!(f, "{error}")?;
    let mut shown = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !shown.contains(&text) {
            write!(f, ": {text}")?;
        }
        shown = text;
        cause = error.source();
    }
    Ok(())
}

impl Error for PostgresError {}
