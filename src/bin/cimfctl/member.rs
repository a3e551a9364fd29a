//! `cimfctl member …`.

use crate::address_list::AddressList;
use crate::failure::Failure;
use crate::group::{is_blank, note_nested};
use crate::json_shapes::{self, Form, JsonList};
use crate::streams::{confirm, confirm_each, counted, harmless, note, standard};
use crate::tense::Tense;
use cimf::config::DbUrl;
use cimf::store::edit::{Editor, Emptying, Existing, MembersChange, Membership, Missing};
use clap::{Args, Subcommand};
use std::io::{self, Write};

#[derive(Subcommand)]
pub enum Command {
    /// Add members to a group
    ///
    /// All or none: an address that the group has already, in any spelling, is refused and named, and
    /// so is one to which nothing can be sent. --skip-existing lets those be who are members already.
    #[command(
        after_help = "Example:\n  cimfctl member add sip:hikers@im.home1.net sip:cho@home2.net\n  cimfctl member add sip:hikers@im.home1.net - < members.txt"
    )]
    Add(Add),
    /// Make the members of a group exactly these
    ///
    /// Who is not among them is deleted, who is new is added, and who stays keeps their address as it is
    /// stored, and their name unless another one is given. Prints a line for each member who was added,
    /// deleted or named. The same list again changes nothing.
    #[command(
        after_help = "Examples:\n  cimfctl member set sip:hikers@im.home1.net - < members.txt\n  cimfctl member set sip:hikers@im.home1.net - --dry-run < members.csv"
    )]
    Set(Set),
    /// Find the groups that somebody is in
    ///
    /// One line for each, sorted, with a tab between: the group, the address as it is stored there, the
    /// name. In no group: no line, and exit status 0.
    #[command(after_help = "Example:\n  cimfctl member find tel:+15551230003")]
    Find {
        /// The address, in any spelling
        address: String,
        #[command(flatten)]
        form: Form,
    },
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
    /// Leave those as they are who are members already, in whatever spelling
    #[arg(long)]
    skip_existing: bool,
}

#[derive(Args)]
pub struct Set {
    /// The group's address, in any spelling
    group: String,
    /// All its members: sip, sips and tel addresses; - reads them from standard input, see docs/cimfctl.md
    #[arg(required_unless_present = "allow_empty", value_name = "MEMBER")]
    members: Vec<String>,
    /// Delete all members if the list is empty; without it an empty list is refused
    #[arg(long)]
    allow_empty: bool,
    /// Only tell what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    form: Form,
}

#[derive(Args)]
pub struct Members {
    /// The group's address, in any spelling
    group: String,
    /// sip, sips and tel addresses; - reads them from standard input, see docs/cimfctl.md
    #[arg(required = true, value_name = "MEMBER")]
    members: Vec<String>,
}

pub fn run(db: &DbUrl, max_members: u32, command: Command) -> Result<(), Failure> {
    let mut editor = Editor::open(db, max_members)?;
    match command {
        Command::Add(options) => add(&mut editor, options),
        Command::Set(options) => set(&mut editor, options),
        Command::Find { address, form } => find(&mut editor, &address, form),
        Command::Name {
            group,
            member,
            name,
        } => {
            if name.as_deref().is_some_and(is_blank) {
                return Err(Failure::Unusable(format!(
                    "the name: expected text, found none; nothing was changed, `cimfctl member name {group} {member}` without NAME removes it"
                )));
            }
            let (member, _) = editor.name_member(&group, &member, name.as_deref())?;
            Ok(confirm(&named_line(&member, name.as_deref(), Tense::Done))?)
        }
        Command::Del(Members { group, members }) => {
            let list = AddressList::read(members)?;
            let change = list.with(&mut editor, |editor, list| {
                editor.delete_members(&group, list.addresses(), Missing::Refused)
            })?;
            let lines = change.deleted.iter();
            let lines = lines.map(|member| format!("deleted {}", harmless(member)));
            Ok(confirm_each(lines)?)
        }
    }
}

fn add(editor: &mut Editor, options: Add) -> Result<(), Failure> {
    let Members { group, members } = options.members;
    let mut list = AddressList::read(members)?;
    match options.name {
        Some(name) if is_blank(&name) => {
            return Err(Failure::Unusable(
                "--name: expected text, found none; nothing was added, leave --name out for a member without a name"
                    .to_owned(),
            ));
        }
        Some(name) => list.name(name)?,
        None => {}
    }
    let existing = match options.skip_existing {
        true => Existing::Skipped,
        false => Existing::Refused,
    };
    let change = list.with(editor, |editor, list| {
        editor.add_members(&group, list.members(), existing)
    })?;
    let count = counted(change.added.len() as u64, "member");
    let mut text = format!("added {count} to {}", change.group);
    if options.skip_existing {
        text += &format!(", {}", skipped(&change));
    }
    confirm(&text)?;
    note_nested(&change.nested);
    Ok(())
}

fn set(editor: &mut Editor, options: Set) -> Result<(), Failure> {
    let list = AddressList::read(options.members)?;
    let emptying = match options.allow_empty {
        true => Emptying::Allowed,
        false => Emptying::Refused,
    };
    if options.dry_run {
        editor.rehearse();
    }
    let change = list.with(editor, |editor, list| {
        editor.set_members(&options.group, list.members(), emptying)
    })?;
    if options.form.json {
        let members = list.named(&change.added);
        json_shapes::print(&json_shapes::members_change(
            &change,
            &members,
            options.dry_run,
        ))?;
    } else {
        tell(&change, Tense::of(options.dry_run))?;
        confirm(&summary(&change, options.dry_run))?;
    }
    note_nested(&change.nested);
    Ok(())
}

fn find(editor: &mut Editor, address: &str, form: Form) -> Result<(), Failure> {
    let found = editor.find_member(address)?;
    if form.json {
        let mut list = JsonList::start(standard())?;
        for membership in &found {
            list.add(&json_shapes::membership(membership))?;
        }
        return Ok(list.end()?);
    }
    let mut out = standard();
    for Membership {
        group,
        member,
        name,
    } in &found
    {
        let name = harmless(name.as_deref().unwrap_or_default());
        writeln!(out, "{group}\t{}\t{name}", harmless(member))?;
    }
    out.flush()?;
    if found.is_empty() {
        note(&format!("{} is in no group", harmless(address)));
    }
    Ok(())
}

/// A line for each member who was added, deleted or named.
fn tell(change: &MembersChange, tense: Tense) -> io::Result<()> {
    let (what, gone) = (tense.tell("added", "add"), tense.tell("deleted", "delete"));
    let added = change.added.iter();
    let added = added.map(|member| format!("{what} {}", harmless(member)));
    let deleted = change.deleted.iter();
    let deleted = deleted.map(|member| format!("{gone} {}", harmless(member)));
    let named = change.named.iter();
    let named = named.map(|(member, name)| named_line(member, name.as_deref(), tense));
    confirm_each(added.chain(deleted).chain(named))
}

fn summary(change: &MembersChange, dry_run: bool) -> String {
    let group = &change.group;
    let members = counted(change.members as u64, "member");
    let mut text = match (change.is_none(), dry_run) {
        (true, _) => format!("not changed: {group}, {members}"),
        (false, false) => format!("set {group}, {members}"),
        (false, true) => format!("would set {group}, {members}"),
    };
    let counts = [
        (change.added.len(), "added"),
        (change.deleted.len(), "deleted"),
        (change.named.len(), "named"),
        (change.repeated, "given more than once"),
    ];
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        text += &format!(", {count} {what}");
    }
    text
}

/// How many were left as they are.
fn skipped(change: &MembersChange) -> String {
    let existing = change.existing;
    match change.repeated {
        0 => format!("{existing} had been there"),
        repeated => format!("{existing} had been there, {repeated} given more than once"),
    }
}

fn named_line(member: &str, name: Option<&str>, tense: Tense) -> String {
    let member = harmless(member);
    match name {
        Some(name) => format!(
            "{member} {} {}",
            tense.tell("is named", "be named"),
            harmless(name)
        ),
        None => format!("{member} {}", tense.tell("has no name", "have no name")),
    }
}
