//! `cimfctl group …`.

use crate::address_list::AddressList;
use crate::failure::Failure;
use crate::json_shapes::{self, Form, JsonList};
use crate::streams::{confirm, counted, harmless, note, standard};
use cimf::config::DbUrl;
use cimf::store::edit::{EditError, Editor, GroupRecord, GroupSettings, NamedMember, NewGroup};
use clap::{Args, Subcommand};
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

#[derive(Subcommand)]
pub enum Command {
    Add(Add),
    Set(Set),
    /// Give a group another address
    ///
    /// Members, names and rules stay. Groups that have the old address as a member are named on standard
    /// error: they keep it.
    #[command(
        after_help = "Example:\n  cimfctl group rename sip:hikers@im.home1.net sip:walkers@im.home1.net"
    )]
    Rename {
        /// The group's address, in any spelling
        from: String,
        /// Its new address: sip:USER@HOST, HOST one of the proxy's domains
        to: String,
    },
    /// Delete a group with all its members
    #[command(after_help = "Example:\n  cimfctl group del sip:hikers@im.home1.net")]
    Del {
        /// The group's address, in any spelling
        uri: String,
    },
    /// Show a group and its members
    ///
    /// One line for each property, its name first: group, display-name, pager-mode (1 or 0), changed,
    /// members (their number), then a line "member URI" for each, with a tab and the name if it has one.
    #[command(
        after_help = "Examples, the members alone:\n  cimfctl group show sip:hikers@im.home1.net | sed -n 's/^member //p'\n  cimfctl group show sip:hikers@im.home1.net --json | jq -r '.members[].member'"
    )]
    Show {
        /// The group's address, in any spelling
        uri: String,
        #[command(flatten)]
        form: Form,
    },
    /// List all groups
    ///
    /// One line for each group, sorted, with a tab between: address, number of members, pager mode
    /// (1 or 0), display name.
    #[command(
        after_help = "Example, the largest group:\n  cimfctl group list | sort -t '\t' -k 2 -n | tail -1"
    )]
    List {
        #[command(flatten)]
        form: Form,
    },
}

/// Set the display name and the pager mode of a group
///
/// What is not given stays. What is so already is not changed.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cimfctl group set sip:hikers@im.home1.net --display-name 'The hikers'\n  cimfctl group set sip:hikers@im.home1.net --no-pager-mode"
)]
pub struct Set {
    /// The group's address, in any spelling
    uri: String,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct Settings {
    /// The display name
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Remove the display name
    #[arg(long, conflicts_with = "display_name")]
    no_display_name: bool,
    /// Accept messages to this group
    #[arg(long)]
    pager_mode: bool,
    /// Refuse messages to this group with 403 for now
    #[arg(long, conflicts_with = "pager_mode")]
    no_pager_mode: bool,
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
    /// Its members: sip, sips and tel addresses; - reads them from standard input, see docs/cimfctl.md
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
        Command::Set(Set { uri, settings }) => set(&mut editor, &uri, &settings),
        Command::Rename { from, to } => rename(&mut editor, &from, &to),
        Command::Del { uri } => {
            let group = editor.delete_group(&uri)?;
            let members = counted(group.members, "member");
            Ok(confirm(&format!("deleted {} with {members}", group.uri))?)
        }
        Command::Show { uri, form } => {
            let (group, members) = editor.group(&uri)?;
            let shown = match form.json {
                true => json_shapes::print(&json_shapes::group_with(&group, &members)),
                false => show(&group, &members),
            };
            Ok(shown?)
        }
        Command::List { form } => {
            let mut out = standard();
            if form.json {
                let mut list = JsonList::start(out)?;
                editor.groups(|group| list.add(&json_shapes::group(group)))??;
                return Ok(list.end()?);
            }
            editor.groups(|group| list_line(&mut out, group))??;
            Ok(out.flush()?)
        }
    }
}

fn add_group(editor: &mut Editor, add: Add) -> Result<(), Failure> {
    check_address(&add.uri)?;
    if add.display_name.as_deref().is_some_and(is_blank) {
        return Err(Failure::Unusable(
            "--display-name: expected text, found none; nothing was added, leave it out for a group without a name"
                .to_owned(),
        ));
    }
    let list = AddressList::read(add.members)?;
    let new = NewGroup {
        uri: &add.uri,
        display_name: add.display_name.as_deref(),
        pager_mode: !add.no_pager_mode,
    };
    let change = list.with(editor, |editor, list| editor.add_group(new, list.members()))?;
    let count = counted(change.added.len() as u64, "member");
    confirm(&format!("added {} with {count}", change.group))?;
    note_nested(&change.nested);
    Ok(())
}

/// Refuses a telephone number as the address of a group or service, with the address that may be meant.
pub fn check_address(given: &str) -> Result<(), Failure> {
    let number = given.strip_prefix("tel:").unwrap_or(given);
    match number.starts_with('+') && !number.contains('@') {
        true => Err(Failure::Unusable(format!(
            "\"{given}\" cannot be the address of a group or service: expected sip:USER@HOST, HOST one of the proxy's domains; nothing was changed, if it has this number, write sip:{number}@HOST"
        ))),
        false => Ok(()),
    }
}

/// Whether a name shows nothing.
pub fn is_blank(name: &str) -> bool {
    name.trim().is_empty()
}

fn set(editor: &mut Editor, uri: &str, settings: &Settings) -> Result<(), Failure> {
    if settings.display_name.as_deref().is_some_and(is_blank) {
        return Err(Failure::Unusable(
            "--display-name: expected text, found none; nothing was changed, --no-display-name removes the name"
                .to_owned(),
        ));
    }
    let display_name = match (&settings.display_name, settings.no_display_name) {
        (Some(name), _) => Some(Some(name.as_str())),
        (None, true) => Some(None),
        (None, false) => None,
    };
    let pager_mode = match (settings.pager_mode, settings.no_pager_mode) {
        (false, false) => None,
        (on, _) => Some(on),
    };
    let (group, is_changed) = editor.set_group(
        uri,
        GroupSettings {
            display_name,
            pager_mode,
        },
    )?;
    let what = if is_changed { "set" } else { "not changed:" };
    let name = match &group.display_name {
        Some(name) => format!("display-name {}", harmless(name)),
        None => "no display-name".to_owned(),
    };
    let (uri, pager) = (group.uri, u8::from(group.pager_mode));
    Ok(confirm(&format!(
        "{what} {uri}: pager-mode {pager}, {name}"
    ))?)
}

fn rename(editor: &mut Editor, from: &str, to: &str) -> Result<(), Failure> {
    check_address(to)?;
    // Before the change: nothing fails behind it.
    let nested = editor.find_member(from)?;
    let renamed = editor.rename_group(from, to);
    let (group, is_changed) = renamed.map_err(|error| match error {
        EditError::GroupExists(taken) => Failure::Unusable(format!(
            "there is a group {taken} already; nothing was changed: choose another address, or move the members there with `cimfctl group show {from} | sed -n 's/^member //p' | cimfctl member add --skip-existing {taken} -` and delete {from}"
        )),
        error => error.into(),
    })?;
    let members = counted(group.members, "member");
    if !is_changed {
        return Ok(confirm(&format!("not changed: {}, {members}", group.uri))?);
    }
    confirm(&format!("renamed to {}, {members}", group.uri))?;
    for found in nested {
        let (group, member) = (found.group, found.member);
        note(&format!(
            "group {group} has the old address as a member still: delete it with `cimfctl member del {group} {member}`, and add the new one"
        ));
    }
    Ok(())
}

/// Names the new members that get no message because they are groups.
pub fn note_nested(nested: &[String]) {
    for member in nested {
        note(&format!(
            "{member} is a group or service here: as a member it gets no message, unless it is a group and the proxy's parameter is nested=expand"
        ));
    }
}

fn show(group: &GroupRecord, members: &[NamedMember]) -> io::Result<()> {
    let mut out = standard();
    writeln!(out, "group {}", group.uri)?;
    if let Some(name) = &group.display_name {
        writeln!(out, "display-name {}", harmless(name))?;
    }
    writeln!(out, "pager-mode {}", u8::from(group.pager_mode))?;
    let changed = Duration::from_micros(group.revision.unsigned_abs());
    if let Some(changed) = UNIX_EPOCH.checked_add(changed) {
        writeln!(out, "changed {}", httpdate::fmt_http_date(changed))?;
    }
    writeln!(out, "members {}", members.len())?;
    for (member, name) in members {
        let member = harmless(member);
        match name {
            Some(name) => writeln!(out, "member {member}\t{}", harmless(name))?,
            None => writeln!(out, "member {member}")?,
        }
    }
    out.flush()
}

fn list_line(out: &mut impl Write, group: &GroupRecord) -> io::Result<()> {
    let name = group.display_name.as_deref().unwrap_or_default();
    let (uri, members, pager) = (&group.uri, group.members, u8::from(group.pager_mode));
    writeln!(out, "{uri}\t{members}\t{pager}\t{}", harmless(name))
}
