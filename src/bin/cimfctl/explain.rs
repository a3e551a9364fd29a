//! `cimfctl explain`: what the proxy would do with a message, and why.
//!
//! The checks are those of the proxy, with an observer that records them. Nothing here decides about a
//! message.

mod advice;
mod capture;
mod json;
mod options;
mod outcome;
mod peer;
mod text;

use crate::failure::Failure;
use crate::streams::standard;
use capture::Capture;
use cimf::config::{DbUrl, Settings};
use cimf::server::Decider;
use cimf::store::edit::EditError;
use cimf::store::postgres;
pub use options::Options;
use outcome::Explanation;
use std::io::Write;
use tempfile::TempDir;

pub fn run(db: Option<&DbUrl>, max_members: Option<u32>, options: &Options) -> Result<(), Failure> {
    let capture = Capture::read(&options.message)?;
    let (mut settings, script) = options.parameters.read(db, max_members)?;
    // Kept until the end: the groups are read from it.
    let _copy = copied(&mut settings)?;
    let decider = Decider::open(&settings)
        .map_err(|error| options.parameters.unusable(&error.to_string()))?;
    let explanation = Explanation::of(&decider, &capture, options);
    let mut out = standard();
    match options.json {
        true => json::write(&explanation, &decider, &settings, &script, &mut out)?,
        false => text::write(&explanation, &decider, &settings, &script, &mut out)?,
    }
    Ok(out.flush()?)
}

/// Where the groups are in PostgreSQL and this machine has no replica of them, a copy for this command.
fn copied(settings: &mut Settings) -> Result<Option<TempDir>, Failure> {
    let DbUrl::Postgres(url) = &settings.db_url else {
        return Ok(None);
    };
    if postgres::age(settings.groups()).is_some() {
        return Ok(None);
    }
    let folder = tempfile::tempdir()?;
    let replica = folder.path().join("replica.db");
    postgres::replicate(url, &replica).map_err(EditError::from)?;
    settings.replica = replica;
    Ok(Some(folder))
}
