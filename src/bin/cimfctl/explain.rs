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
use cimf::server::Decider;
pub use options::Options;
use outcome::Explanation;
use std::io::Write;
use std::path::Path;

pub fn run(db: Option<&Path>, max_members: Option<u32>, options: &Options) -> Result<(), Failure> {
    let capture = Capture::read(&options.message)?;
    let (settings, script) = options.parameters.read(db, max_members)?;
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
