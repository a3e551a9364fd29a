//! `cimfctl service …` and `cimfctl consent …`.

use crate::address_list::AddressList;
use crate::failure::Failure;
use crate::group::check_address;
use crate::json_shapes::{self, Form, JsonList};
use crate::streams::{confirm, confirm_each, counted, harmless, standard};
use cimf::config::DbUrl;
use cimf::store::edit::{Editor, Missing};
use clap::Subcommand;
use std::io::Write;

#[derive(Subcommand)]
pub enum Command {
    /// Add a service
    ///
    /// A message to a service carries the list of its recipients itself. The address is stored in
    /// canonical form, which is printed; no group may have the same.
    #[command(after_help = "Example:\n  cimfctl service add sip:listsvc@im.home1.net")]
    Add {
        /// The service's address: sip:USER@HOST, HOST one of the proxy's domains
        uri: String,
        /// Refuse messages to this service with 403 for now
        #[arg(long)]
        no_pager_mode: bool,
    },
    /// Delete a service with all its consents
    #[command(after_help = "Example:\n  cimfctl service del sip:listsvc@im.home1.net")]
    Del {
        /// The service's address, in any spelling
        uri: String,
    },
    /// List all services
    ///
    /// One line for each service, sorted, with a tab between: address, number of consents, pager
    /// mode (1 or 0).
    #[command(after_help = "Example:\n  cimfctl service list")]
    List {
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Subcommand)]
pub enum Consent {
    /// Record that addresses have consented to get messages from a service
    ///
    /// Consents take effect with the proxy's parameters consent=1, and foreign_recipients=consent for
    /// addresses in other domains. An address that has consented already is not changed.
    #[command(
        after_help = "Example:\n  cimfctl consent add sip:listsvc@im.home1.net sip:cho@home2.net tel:+15551230003\n  cimfctl consent add sip:listsvc@im.home1.net - < addresses.txt"
    )]
    Add {
        /// The service's address, in any spelling
        service: String,
        /// sip, sips and tel addresses; - reads them from standard input, see docs/cimfctl.md
        #[arg(required = true, value_name = "URI")]
        uris: Vec<String>,
    },
    /// Record that addresses no longer consent
    ///
    /// All or none. An address is found in any spelling.
    #[command(
        after_help = "Example:\n  cimfctl consent del sip:listsvc@im.home1.net sip:cho@home2.net"
    )]
    Del {
        /// The service's address, in any spelling
        service: String,
        /// sip, sips and tel addresses; - reads them from standard input, see docs/cimfctl.md
        #[arg(required = true, value_name = "URI")]
        uris: Vec<String>,
    },
    /// List the addresses that have consented, one per line
    #[command(after_help = "Example:\n  cimfctl consent list sip:listsvc@im.home1.net")]
    List {
        /// The service's address, in any spelling
        service: String,
        #[command(flatten)]
        form: Form,
    },
}

pub fn run(db: &DbUrl, max_members: u32, command: Command) -> Result<(), Failure> {
    let mut editor = Editor::open(db, max_members)?;
    match command {
        Command::Add { uri, no_pager_mode } => {
            check_address(&uri)?;
            let service = editor.add_service(&uri, !no_pager_mode)?;
            Ok(confirm(&format!("added service {}", service.uri))?)
        }
        Command::Del { uri } => {
            let service = editor.delete_service(&uri)?;
            let consents = counted(service.consents, "consent");
            Ok(confirm(&format!(
                "deleted service {} with {consents}",
                service.uri
            ))?)
        }
        Command::List { form } if form.json => {
            let mut list = JsonList::start(standard())?;
            for service in editor.services()? {
                list.add(&json_shapes::service(&service))?;
            }
            Ok(list.end()?)
        }
        Command::List { .. } => {
            let mut out = standard();
            for service in editor.services()? {
                let (uri, pager) = (&service.uri, u8::from(service.pager_mode));
                writeln!(out, "{uri}\t{}\t{pager}", service.consents)?;
            }
            Ok(out.flush()?)
        }
    }
}

pub fn consent(db: &DbUrl, max_members: u32, command: Consent) -> Result<(), Failure> {
    let mut editor = Editor::open(db, max_members)?;
    match command {
        Consent::Add { service, uris } => {
            let list = AddressList::read(uris)?;
            let (service, added) = list.with(&mut editor, |editor, list| {
                editor.add_consents(&service, list.addresses())
            })?;
            let count = counted(added as u64, "consent");
            Ok(confirm(&format!("added {count} to {}", service.uri))?)
        }
        Consent::Del { service, uris } => {
            let list = AddressList::read(uris)?;
            let (_, deleted) = list.with(&mut editor, |editor, list| {
                editor.delete_consents(&service, list.addresses(), Missing::Refused)
            })?;
            let lines = deleted
                .iter()
                .map(|uri| format!("deleted {}", harmless(uri)));
            Ok(confirm_each(lines)?)
        }
        Consent::List { service, form } => {
            let consents = editor.consents(&service)?;
            let mut out = standard();
            if form.json {
                let mut list = JsonList::start(out)?;
                for address in consents {
                    list.add(&json_shapes::consent(&address))?;
                }
                return Ok(list.end()?);
            }
            for uri in consents {
                writeln!(out, "{}", harmless(&uri))?;
            }
            Ok(out.flush()?)
        }
    }
}
