//! The proxy's parameters, as given on the command line.

use crate::failure::Failure;
use crate::script::Script;
use cimf::config::{DbUrl, Settings};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub struct Parameters {
    /// Read the parameters from a configuration of Kamailio or OpenSIPS, with the files that it
    /// includes
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Define a name for --config first, as `kamailio -A` does
    #[arg(short = 'A', long, value_name = "NAME=VALUE", requires = "config")]
    define: Vec<String>,
    /// Set a parameter of the module; overrides --config
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl Parameters {
    /// Whether the command line gives any.
    pub fn are_told(&self) -> bool {
        self.config.is_some() || !self.set.is_empty()
    }

    /// The settings (the defaults, overridden by the script, overridden by the command line), and the
    /// script.
    pub fn read(
        &self,
        db: Option<&DbUrl>,
        max_members: Option<u32>,
    ) -> Result<(Settings, Script), Failure> {
        let script = match &self.config {
            Some(file) => Script::read(file, &self.define)?,
            None => Script::default(),
        };
        let mut settings = Settings::new();
        for parameter in &script.parameters {
            let stored = settings.set(&parameter.name, &parameter.value);
            stored.map_err(|error| Failure::Unusable(format!("{}: {error}", parameter.place)))?;
        }
        for item in &self.set {
            let (name, value) = item.split_once('=').ok_or_else(|| {
                Failure::Unusable(format!("--set: expected NAME=VALUE, found \"{item}\""))
            })?;
            let stored = settings.set(name.trim(), value);
            stored.map_err(|error| Failure::Unusable(format!("--set: {error}")))?;
        }
        if let Some(db) = db {
            settings.db_url = db.clone();
        }
        if let Some(max_members) = max_members {
            settings.max_members = max_members;
        }
        Ok((settings, script))
    }

    /// Why the parameters are unusable in combination, and what to do.
    pub fn unusable(&self, error: &str) -> Failure {
        let hint = match self.config {
            Some(_) => "",
            None => "; give the proxy's parameters with --config FILE or --set NAME=VALUE",
        };
        Failure::Unusable(format!("{error}{hint}"))
    }
}
