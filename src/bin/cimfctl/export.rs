//! `cimfctl export`.

use crate::failure::Failure;
use crate::output::{complain, standard};
use cimf::store::document::Format;
use cimf::store::edit::{Editor, Exported};
use clap::Args;
use std::io::{self, Write};
use std::path::Path;

/// Write groups as a document
///
/// Writes an OMA group document to standard output, with members, names and rules; with --lists,
/// resource lists of RFC 4826, each named by the address of its group. Standard error says what a
/// document has no place for. `cimfctl import` reads both.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cimfctl export > groups.xml\n  cimfctl export --lists sip:hikers@im.home1.net > hikers.xml"
)]
pub struct Options {
    /// The groups' addresses, in any spelling; none means all
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// Write resource lists of RFC 4826, which have no rules
    #[arg(long)]
    lists: bool,
}

pub fn run(db: &Path, max_members: u32, options: Options) -> Result<(), Failure> {
    let mut editor = Editor::open(db, max_members)?;
    let format = match options.lists {
        true => Format::Lists,
        false => Format::Groups,
    };
    let mut out = standard();
    out.write_all(format.head().as_bytes())?;
    editor.export(&options.groups, |group| -> io::Result<()> {
        note(group, format);
        out.write_all(format.group(&group.written).as_bytes())
    })??;
    out.write_all(format.tail().as_bytes())?;
    Ok(out.flush()?)
}

/// Says what the document has no place for.
fn note(group: &Exported, format: Format) {
    let Exported {
        written,
        pager_mode,
        listed,
        ruleset,
    } = group;
    let note = |text: &str| complain(&format!("note: group {}: {text}", written.uri));
    if !pager_mode {
        note("pager-mode 0 is left out: where it is imported, the group takes messages");
    }
    if format == Format::Lists {
        if written.ruleset.is_some() {
            note("its ruleset is left out: a resource list has none");
        }
        if written.max_participant_count.is_some() {
            note("max-participant-count is left out: a resource list has none");
        }
        if written.invite_members.is_some() {
            note("invite-members is left out: a resource list has none");
        }
        return;
    }
    match ruleset {
        Ok(notes) => notes
            .iter()
            .for_each(|text| note(&format!("its ruleset: {text}"))),
        Err(error) => note(&format!(
            "its ruleset cannot be read and nobody may send to it; an empty one is written: {error}"
        )),
    }
    if *listed > 0 {
        note("who is in the lists that its rules name is left out; import with --xcap-root");
    }
}
