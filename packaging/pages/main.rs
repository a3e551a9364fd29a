//! Writes the manual pages and the completions of shells into a folder, as they lie below `/usr/share`:
//!
//!     cimf-pages VERSION FOLDER
//!
//! `cimfctl(8)` and the pages of its commands are made from what clap reads the command line by, `cimf(7)` from the
//! table of parameters.

#![forbid(unsafe_code)]
#![allow(clippy::print_stderr)]

/// The files of cimfctl, which is no library: they are compiled here as well, for the command line alone.
#[allow(dead_code)]
#[path = "../../src/bin/cimfctl"]
mod cimfctl {
    pub mod address_list;
    pub mod check;
    pub mod columns;
    pub mod command_line;
    pub mod database_argument;
    pub mod explain;
    pub mod export;
    pub mod failure;
    pub mod group;
    pub mod import;
    pub mod import_imc;
    pub mod input;
    pub mod json_shapes;
    pub mod ledger;
    pub mod member;
    pub mod nodes;
    pub mod parameters;
    pub mod script;
    pub mod service;
    pub mod shown_message;
    pub mod streams;
    pub mod tense;
}
// Where they look for each other.
use cimfctl::*;

mod command_pages;
mod module_page;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [version, folder] = &arguments[..] else {
        eprintln!("usage: cimf-pages VERSION FOLDER");
        return ExitCode::from(2);
    };
    let folder = Path::new(folder);
    let written =
        command_pages::write(version, folder).and_then(|()| module_page::write(version, folder));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cimf-pages: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
