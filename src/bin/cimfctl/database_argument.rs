//! A database as the command line names it.

use cimf::config::{DbUrl, Settings};

/// Accepts the name of a file, or the value of `db_url` in the proxy's configuration.
pub fn database(value: &str) -> Result<DbUrl, String> {
    if let Some((scheme, _)) = value.split_once("://")
        && scheme != "sqlite"
    {
        let mut settings = Settings::new();
        let set = settings.set("db_url", value);
        return set.map(|()| settings.db_url).map_err(|error| {
            format!(
                "expected the name of a file, or what the proxy's parameter db_url takes: {}; found \"{}\"",
                error.expected,
                error.value.escape_debug()
            )
        });
    }
    match value.strip_prefix("sqlite://").unwrap_or(value) {
        "" => {
            Err("expected a file, such as /var/lib/cimf/cimf.db, or the value of db_url".to_owned())
        }
        path => Ok(DbUrl::Sqlite(path.into())),
    }
}
