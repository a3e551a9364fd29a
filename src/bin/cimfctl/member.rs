//! `cimfctl member …`.

use crate::failure::Failure;
use crate::group::note_nested;
use crate::streams::{self, counted, say, standard};
use cimf::config::DbUrl;
use cimf::store::edit::Editor;
use clap::{Args, Subcommand};
use std::io::Write;

#[derive(Subcommand)]
pub enum Command {
    /// Add members to a group
    ///
    /// All or none: an address that the group has already, in any spelling, is refused and named, and
    /// so is one to which nothing can be sent.
    #[command(
        after_help = "Example:\n  cimfctl member add sip:hikers@im.home1.net sip:cho@home2.net\n  cimfctl member add sip:hikers@im.home1.net - < members.txt"
    )]
    Add(Add),
    /// Set or change the name of a member
    ///
    /// With fork_from=group copies name their sender by it. Without NAME the name is removed, and the
    /// user part of the address is used instead.
    #[command(
        after_help = "Example:\n  cimfctl member name sip:hikers@im.home1.net sip:cho@home2.net 'Cho Li'"
    )]
    Name {
        /// The group's address, in any spelling
        group: String,
        /// The member's address, in any spelling
        member: String,
        /// The name
        name: Option<String>,
    },
    /// Delete members from a group
    ///
    /// All or none. A member is found as it is stored, or in any other spelling of the same address.
    #[command(
        after_help = "Example:\n  cimfctl member del sip:hikers@im.home1.net tel:+1-555-123-0003"
    )]
    Del(Members),
}

#[derive(Args)]
pub struct Add {
    #[command(flatten)]
    members: Members,
    /// The name of the member, if only one is added; see `cimfctl member name --help`
    #[arg(long)]
    name: Option<String>,
}

#[derive(Args)]
pub struct Members {
    /// The group's address, in any spelling
    group: String,
    /// sip, sips and tel addresses; - reads them from standard input, one per line
    #[arg(required = true, value_name = "MEMBER")]
    members: Vec<String>,
}

pub fn run(db: &DbUrl, max_members: u32, command: Command) -> Result<(), Failure> {
    let mut editor = Editor::open(db, max_members)?;
    match command {
        Command::Add(Add { members, name }) => {
            let Members { group, members } = members;
            let members = streams::members(members)?;
            let added = match (name, members.as_slice()) {
                (None, members) => {
                    editor.add_members(&group, members.iter().map(String::as_str))?
                }
                (Some(name), [member]) => editor.add_named_member(&group, member, &name)?,
                (Some(_), members) => {
                    let found = members.len();
                    return Err(Failure::Unusable(format!(
                        "--name: expected one member, found {found}; nothing was changed; name the members of a group with `cimfctl member name`"
                    )));
                }
            };
            let count = counted(added.count as u64, "member");
            say(&format!("added {count} to {}", added.group))?;
            note_nested(&added.nested);
            Ok(())
        }
        Command::Name {
            group,
            member,
            name,
        } => {
            let member = editor.name_member(&group, &member, name.as_deref())?;
            let member = member.escape_debug();
            say(&match name {
                Some(name) => format!("{member} is named {}", name.escape_debug()),
                None => format!("{member} has no name"),
            })?;
            Ok(())
        }
        Command::Del(Members { group, members }) => {
            let members = streams::members(members)?;
            let deleted = editor.delete_members(&group, members.iter().map(String::as_str))?;
            let mut out = standard();
            for member in deleted {
                writeln!(out, "deleted {}", member.escape_debug())?;
            }
            Ok(out.flush()?)
        }
    }
}
