//! `cimfctl import`.

use crate::failure::{Failure, unreadable};
use crate::group::note_nested;
use crate::streams::{self, confirm, counted};
use crate::tense::Tense;
use crate::{import_imc, input};
use cimf::config::DbUrl;
use cimf::sip::Uri;
use cimf::store::document::{Document, Entry, GroupDocument, MAX_BYTES, XcapRoot, flatten};
use cimf::store::edit::{Editor, NewList, Put, PutGroup, PutRules};
use clap::Args;
use std::path::PathBuf;

/// Store the groups of documents, or the rooms of the proxies' module imc
///
/// Reads OMA group documents (list-service) and resource lists of RFC 4826. An existing group gets the
/// members of the document and keeps no others. What a document says that cannot be stored is named on
/// standard error with its file and line; all documents are stored, or none.
///
/// References to other documents (external, entry-ref and the lists of rules) are followed only below
/// the folder --xcap-root, at most four deep; nothing is ever fetched. Their addresses become members;
/// import again when those documents have changed.
///
/// With --imc, takes over the rooms and members of the proxies' own module imc: each room becomes the
/// group with its address, and an existing group gets the members of the room and keeps no others. What
/// is left out is named on standard error with its line or id: deleted rooms and members, and who was
/// invited and has not accepted. A second run changes nothing.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cimfctl import hikers.xml\n  cimfctl import --group sip:hikers@im.home1.net friends.xml\n  cimfctl import --xcap-root /srv/xcap\n  cimfctl export | ssh other cimfctl import -\n  mysqldump kamailio imc_rooms imc_members > imc.sql && cimfctl import --imc imc.sql --dry-run\n  cimfctl import --imc postgres://kamailio@db1/kamailio"
)]
pub struct Options {
    /// The documents; - reads one from standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["xcap_root", "imc"])]
    files: Vec<PathBuf>,
    /// The folder in which references are followed; without FILE, all group documents below it are
    /// imported
    #[arg(long, value_name = "DIR")]
    xcap_root: Option<PathBuf>,
    /// The group of a resource list that does not name one
    #[arg(long, value_name = "URI")]
    group: Option<String>,
    /// Take over the tables imc_rooms and imc_members: of postgres://USER@HOST/DATABASE, sqlite:FILE or
    /// a dump (mysqldump, pg_dump, sqlite3 .dump); - reads a dump from standard input
    #[arg(long, value_name = "URL|FILE", conflicts_with_all = ["files", "xcap_root", "group"])]
    imc: Option<String>,
    /// Put the rooms into this domain: sip:hikers@home1.net becomes sip:hikers@DOMAIN
    #[arg(long, value_name = "DOMAIN", requires = "imc", value_parser = room_domain)]
    room_domain: Option<String>,
    /// Only tell what would change
    #[arg(long)]
    dry_run: bool,
}

/// What stands behind the `@` of an address, without a port.
fn room_domain(value: &str) -> Result<String, String> {
    match Uri::parse(format!("sip:room@{value}").as_bytes()) {
        Ok(Uri::Sip(sip)) if sip.host == value.as_bytes() => Ok(value.to_owned()),
        _ => Err(format!(
            "expected a domain as it stands in addresses, such as im.home1.net, found \"{}\"",
            value.escape_debug()
        )),
    }
}

/// Groups to be stored, and the file and line of each of their members.
struct Groups {
    files: Vec<String>,
    groups: Vec<PutGroup>,
    places: Vec<Vec<(usize, usize)>>,
}

pub fn run(db: &DbUrl, max_members: u32, options: Options) -> Result<(), Failure> {
    let mut editor = Editor::open(db, max_members)?;
    if let Some(source) = &options.imc {
        let domain = options.room_domain.as_deref();
        return import_imc::run(&mut editor, source, domain, options.dry_run);
    }
    if options.dry_run {
        editor.rehearse();
    }
    let mut root = None;
    if let Some(folder) = &options.xcap_root {
        let opened =
            XcapRoot::open(folder).map_err(|error| unreadable(folder.display(), &error))?;
        root = Some(opened);
    }
    let files = match (&root, options.files.is_empty()) {
        (Some(root), true) => {
            let folder = options.xcap_root.clone().unwrap_or_default();
            let found = root.group_documents();
            let found = found.map_err(|error| unreadable(folder.display(), &error))?;
            if found.is_empty() {
                return Err(Failure::Document(format!(
                    "{}: no group documents; expected them in org.openmobilealliance.groups/global/byGroupID",
                    folder.display()
                )));
            }
            found
        }
        _ => options.files.clone(),
    };
    let mut all = Groups {
        files: Vec::new(),
        groups: Vec::new(),
        places: Vec::new(),
    };
    for file in &files {
        let name = input::name(file);
        let unusable = |problem: String| Failure::Document(format!("{name}: {problem}"));
        let document = input::read(file, MAX_BYTES)?;
        input::check_utf8(&document).map_err(unusable)?;
        let document = Document::read(&document).map_err(|error| unusable(error.to_string()))?;
        for note in document.notes.iter() {
            streams::note(&format!("{name}: {note}"));
        }
        for group in document.groups {
            all.add(&name, group, &mut root, &options, max_members)?;
        }
        all.files.push(name);
    }
    let put = editor.put_groups(&all.groups)?;
    for (put, places) in put.iter().zip(&all.places) {
        tell(put, &all.files, places, Tense::of(options.dry_run))?;
    }
    if options.dry_run {
        confirm("nothing changed because of --dry-run")?;
    }
    Ok(())
}

impl Groups {
    fn add(
        &mut self,
        file: &str,
        group: GroupDocument,
        root: &mut Option<XcapRoot>,
        options: &Options,
        max_members: u32,
    ) -> Result<(), Failure> {
        let limit = max_members as usize;
        let uri = match (group.uri.as_str(), &options.group) {
            ("", Some(uri)) => uri.clone(),
            ("", None) => {
                return Err(Failure::Document(format!(
                    "{file}: line {}: the list does not name a group; name one with --group URI",
                    group.line
                )));
            }
            (uri, _) => uri.to_owned(),
        };
        let flat = flatten(&group.list, root.as_mut(), limit);
        for (line, note) in &flat.notes {
            streams::note(&format!("{file}: line {line}: {note}"));
        }
        if flat.entries.len() > limit {
            return Err(Failure::Document(format!(
                "{file}: line {}: the group has more than {limit} entries (--max-members, and the proxy's parameter max_members)",
                group.line
            )));
        }
        let file_number = self.files.len();
        let places = flat.entries.iter().map(|entry| (file_number, entry.line));
        let places: Vec<_> = places.collect();
        let named = |entry: Entry| (entry.uri, entry.display_name);
        let members = flat.entries.into_iter().map(named);
        let rules = group.has_rules.then(|| {
            let mut rules = PutRules {
                ruleset: group.ruleset,
                max_participant_count: group.max_participant_count,
                invite_members: group.invite_members,
                lists: Vec::new(),
            };
            let anchors = rules.anchors().into_iter();
            let lists = anchors.map(|anchor| list(file, &uri, anchor, root, limit));
            rules.lists = lists.collect();
            rules
        });
        // Lists for one group are merged, even from different files.
        let mut lists = self.groups.iter();
        let known = lists.position(|it| it.rules.is_none() && it.uri == uri);
        if let Some(at) = known.filter(|_| rules.is_none()) {
            self.groups[at].members.extend(members);
            self.places[at].extend(places);
            return Ok(());
        }
        self.groups.push(PutGroup {
            uri,
            display_name: group.display_name,
            members: members.collect(),
            keeps_names: false,
            rules,
        });
        self.places.push(places);
        Ok(())
    }
}

/// A list that a condition refers to. If it cannot be found, the stored entries are kept.
fn list(
    file: &str,
    group: &str,
    anchor: String,
    root: &mut Option<XcapRoot>,
    limit: usize,
) -> NewList {
    let flat = match root {
        Some(root) => root.list_at(&anchor, limit),
        None => {
            streams::note(&format!(
                "{file}: the rules of {group} name the list {anchor}, which is not looked up without --xcap-root: its stored entries are kept, if any"
            ));
            let entries = None;
            return NewList { anchor, entries };
        }
    };
    for (_, note) in &flat.notes {
        streams::note(&format!("{file}: the rules of {group}: {note}"));
    }
    if flat.entries.len() > limit {
        streams::note(&format!(
            "{file}: the rules of {group} name the list {anchor}, of which only the first {limit} entries are used (--max-members)"
        ));
    }
    let found = flat.notes.is_empty() || !flat.entries.is_empty();
    let entries = flat.entries.into_iter().take(limit).map(|entry| entry.uri);
    let entries = entries.filter(|uri| uri.bytes().all(|byte| byte.is_ascii_graphic()));
    let entries = found.then(|| entries.filter(|uri| uri.contains(':')).collect());
    NewList { anchor, entries }
}

fn tell(
    put: &Put,
    files: &[String],
    places: &[(usize, usize)],
    tense: Tense,
) -> Result<(), Failure> {
    let what = match put.is_new {
        true => tense.tell("added", "add"),
        false => tense.tell("replaced", "replace"),
    };
    let members = counted(put.members.members as u64, "member");
    confirm(&format!("{what} {} with {members}", put.members.group))?;
    for (at, reason) in &put.left_out {
        let (file, line) = places.get(*at).copied().unwrap_or_default();
        let file = files.get(file).map(String::as_str).unwrap_or_default();
        streams::note(&format!("{file}: line {line}: entry is left out: {reason}"));
    }
    note_nested(&put.members.nested);
    Ok(())
}
