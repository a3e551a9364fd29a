//! `cimfctl group …`.

use crate::failure::Failure;
use crate::streams::{self, complain, counted, say, standard};
use cimf::config::DbUrl;
use cimf::store::edit::{Editor, GroupRecord, NamedMember, NewGroup};
use clap::{Args, Subcommand};
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

#[derive(Subcommand)]
pub enum Command {
    Add(Add),
    /// Delete a group with all its members
    #[command(after_help = "Example:\n  cimfctl group del sip:hikers@im.home1.net")]
    Del {
        /// The group's address, in any spelling
        uri: String,
    },
    /// Show a group and its members
    ///
    /// One line for each property, its name first: group, display-name, pager-mode (1 or 0), changed,
    /// members (their number), then a line "member URI" for each.
    #[command(
        after_help = "Example, the members alone:\n  cimfctl group show sip:hikers@im.home1.net | sed -n 's/^member //p'"
    )]
    Show {
        /// The group's address, in any spelling
        uri: String,
    },
    /// List all groups
    ///
    /// One line for each group, sorted, with a tab between: address, number of members, pager mode
    /// (1 or 0), display name.
    #[command(
        after_help = "Example, the largest group:\n  cimfctl group list | sort -t '\t' -k 2 -n | tail -1"
    )]
    List,
}

/// Add a group
///
/// The address is stored in canonical form (host in lower case, no insignificant parameters), which is
/// printed. If one member is invalid, nothing is added.
#[derive(Args)]
#[command(
    after_help = "Example:\n  cimfctl group add sip:hikers@im.home1.net sip:ann@home1.net tel:+15551230003\n  cimfctl group add sip:all@im.home1.net - < members.txt"
)]
pub struct Add {
    /// The group's address: sip:USER@HOST, HOST one of the proxy's domains
    uri: String,
    /// Its members: sip, sips and tel addresses; - reads them from standard input, one per line
    #[arg(value_name = "MEMBER")]
    members: Vec<String>,
    /// The display name
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Refuse messages to this group with 403 for now
    #[arg(long)]
    no_pager_mode: bool,
}

pub fn run(db: &DbUrl, max_members: u32, command: Command) -> Result<(), Failure> {
    let mut editor = Editor::open(db, max_members)?;
    match command {
        Command::Add(add) => add_group(&mut editor, add),
        Command::Del { uri } => {
            let group = editor.delete_group(&uri)?;
            let members = counted(group.members, "member");
            Ok(say(&format!("deleted {} with {members}", group.uri))?)
        }
        Command::Show { uri } => {
            let (group, members) = editor.group(&uri)?;
            Ok(show(&group, &members)?)
        }
        Command::List => {
            let mut out = standard();
            editor.groups(|group| list_line(&mut out, group))??;
            Ok(out.flush()?)
        }
    }
}

fn add_group(editor: &mut Editor, add: Add) -> Result<(), Failure> {
    let members = streams::members(add.members)?;
    let new = NewGroup {
        uri: &add.uri,
        display_name: add.display_name.as_deref(),
        pager_mode: !add.no_pager_mode,
    };
    let added = editor.add_group(new, members.iter().map(String::as_str))?;
    let count = counted(added.count as u64, "member");
    say(&format!("added {} with {count}", added.group))?;
    note_nested(&added.nested);
    Ok(())
}

/// Names the new members that get no message because they are groups.
pub fn note_nested(nested: &[String]) {
    for member in nested {
        complain(&format!(
            "note: {member} is a group or service here: as a member it gets no message, unless it is a group and the proxy's parameter is nested=expand"
        ));
    }
}

fn show(group: &GroupRecord, members: &[NamedMember]) -> io::Result<()> {
    let mut out = standard();
    writeln!(out, "group {}", group.uri)?;
    if let Some(name) = &group.display_name {
        writeln!(out, "display-name {}", name.escape_debug())?;
    }
    writeln!(out, "pager-mode {}", u8::from(group.pager_mode))?;
    let changed = Duration::from_micros(group.revision.unsigned_abs());
    if let Some(changed) = UNIX_EPOCH.checked_add(changed) {
        writeln!(out, "changed {}", httpdate::fmt_http_date(changed))?;
    }
    writeln!(out, "members {}", members.len())?;
    for (member, name) in members {
        let member = member.escape_debug();
        match name {
            Some(name) => writeln!(out, "member {member}\t{}", name.escape_debug())?,
            None => writeln!(out, "member {member}")?,
        }
    }
    out.flush()
}

fn list_line(out: &mut impl Write, group: &GroupRecord) -> io::Result<()> {
    let name = group.display_name.as_deref().unwrap_or_default();
    let (uri, members, pager) = (&group.uri, group.members, u8::from(group.pager_mode));
    writeln!(out, "{uri}\t{members}\t{pager}\t{}", name.escape_debug())
}
