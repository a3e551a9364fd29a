//! `cimfctl export`.

use crate::failure::Failure;
use crate::streams::{self, standard};
use cimf::config::DbUrl;
use cimf::store::document::{Format, XcapTree};
use cimf::store::edit::{Editor, Exported};
use clap::Args;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Write groups as a document
///
/// Writes an OMA group document to standard output, with members, names and rules; with --lists,
/// resource lists of RFC 4826, each named by the address of its group. With --xcap-root, a folder of
/// documents in XCAP layout: one for each group, and the lists that rules refer to. What a document
/// cannot hold is named on standard error. `cimfctl import` reads all three.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cimfctl export > groups.xml\n  cimfctl export --lists sip:hikers@im.home1.net > hikers.xml\n  cimfctl export --xcap-root backup"
)]
pub struct Options {
    /// The groups' addresses, in any spelling; none means all
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// Write resource lists of RFC 4826, which have no rules
    #[arg(long)]
    lists: bool,
    /// Write documents below this folder, which must be empty or missing
    #[arg(long, value_name = "DIR", conflicts_with = "lists")]
    xcap_root: Option<PathBuf>,
}

pub fn run(db: &DbUrl, max_members: u32, options: Options) -> Result<(), Failure> {
    let mut editor = Editor::open(db, max_members)?;
    if let Some(folder) = &options.xcap_root {
        return write_tree(&mut editor, &options.groups, folder);
    }
    let format = match options.lists {
        true => Format::Lists,
        false => Format::Groups,
    };
    let mut out = standard();
    // Not before the groups are known to exist.
    let mut head = Some(format.head());
    editor.export(&options.groups, |group| -> io::Result<()> {
        note(group, format, false);
        out.write_all(head.take().unwrap_or_default().as_bytes())?;
        out.write_all(format.group(&group.written).as_bytes())
    })??;
    out.write_all(head.unwrap_or_default().as_bytes())?;
    out.write_all(format.tail().as_bytes())?;
    Ok(out.flush()?)
}

/// Writes a tree of documents, with the lists that rules refer to.
fn write_tree(editor: &mut Editor, groups: &[String], folder: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Unusable(format!("{}: {error}", folder.display()));
    let mut tree = XcapTree::create(folder).map_err(failed)?;
    editor
        .export(groups, |group| -> io::Result<()> {
            note(group, Format::Groups, true);
            for (anchor, entries) in &group.lists {
                tree.add_list(&group.written.uri, anchor, entries);
            }
            tree.add_group(&group.written)
        })?
        .map_err(failed)?;
    for (group, anchor) in tree.finish().map_err(failed)? {
        streams::note(&format!(
            "group {group}: its rules name the list {anchor}, and no document there can hold it: where the group is imported, that list is empty or a different one"
        ));
    }
    Ok(())
}

/// Names what the document cannot hold.
fn note(group: &Exported, format: Format, has_lists: bool) {
    let Exported {
        written,
        pager_mode,
        lists,
        ruleset,
    } = group;
    let note = |text: &str| streams::note(&format!("group {}: {text}", written.uri));
    if !pager_mode {
        note("pager-mode 0 is left out: where the group is imported, it accepts messages");
    }
    if format == Format::Lists {
        if written.ruleset.is_some() {
            note("its ruleset is left out: a resource list cannot have one");
        }
        if written.max_participant_count.is_some() {
            note("max-participant-count is left out: a resource list cannot have one");
        }
        if written.invite_members.is_some() {
            note("invite-members is left out: a resource list cannot have it");
        }
        return;
    }
    match ruleset {
        Ok(notes) => notes
            .iter()
            .for_each(|text| note(&format!("its ruleset: {text}"))),
        Err(error) => note(&format!(
            "its ruleset is malformed, so nobody may send to it; an empty one is written: {error}"
        )),
    }
    if !has_lists && lists.values().any(|entries| !entries.is_empty()) {
        note(
            "the entries of the lists that its rules name are left out; --xcap-root writes them too",
        );
    }
}
