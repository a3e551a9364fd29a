//! `cimfctl member …`.

use crate::failure::Failure;
use crate::group::note_nested;
use crate::input;
use crate::output::{counted, say, standard};
use cimf::store::edit::Editor;
use clap::{Args, Subcommand};
use std::io::Write;
use std::path::Path;

#[derive(Subcommand)]
pub enum Command {
    /// Add members to a group
    ///
    /// All or none: an address that the group has already, in whatever spelling, is refused and
    /// named, and so is one that can never be sent to.
    #[command(
        after_help = "Example:\n  cimfctl member add sip:hikers@im.home1.net sip:cho@home2.net\n  cimfctl member add sip:hikers@im.home1.net - < members.txt"
    )]
    Add(Members),
    /// Delete members from a group
    ///
    /// All or none. A member is found as it is stored, or in any other spelling of the same address.
    #[command(
        after_help = "Example:\n  cimfctl member del sip:hikers@im.home1.net tel:+1-555-123-0003"
    )]
    Del(Members),
}

#[derive(Args)]
pub struct Members {
    /// The group's address, in any spelling
    group: String,
    /// sip, sips and tel addresses; - reads one a line from standard input
    #[arg(required = true, value_name = "MEMBER")]
    members: Vec<String>,
}

pub fn run(db: &Path, max_members: u32, command: Command) -> Result<(), Failure> {
    let mut editor = Editor::open(db, max_members)?;
    match command {
        Command::Add(Members { group, members }) => {
            let members = input::members(members)?;
            let added = editor.add_members(&group, members.iter().map(String::as_str))?;
            let count = counted(added.count as u64, "member");
            say(&format!("added {count} to {}", added.group))?;
            note_nested(&added.nested);
            Ok(())
        }
        Command::Del(Members { group, members }) => {
            let members = input::members(members)?;
            let deleted = editor.delete_members(&group, members.iter().map(String::as_str))?;
            let mut out = standard();
            for member in deleted {
                writeln!(out, "deleted {}", member.escape_debug())?;
            }
            Ok(out.flush()?)
        }
    }
}
