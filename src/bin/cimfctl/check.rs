//! `cimfctl check`.

use crate::failure::Failure;
use crate::output::{counted, say};
use cimf::control::Reach;
use cimf::control::group::Addressing;
use cimf::store;
use clap::{Args, ValueEnum};
use std::io;
use std::path::Path;

/// Look the whole database over
///
/// Finds damage, altered tables, a wrong owner, addresses of groups and services that no message
/// can match, members that get no message, consents that count for nothing, and rulesets that
/// cannot be read or that ask for what is not known here, each with the reason. Says what the proxy
/// would see more exactly if told its domains and its route. Exit status 1 if anything was found.
#[derive(Args)]
#[command(after_help = "Example:\n  cimfctl check --domain im.home1.net,home1.net --route core")]
pub struct Options {
    /// The proxy's domains: there, sip:+N@DOMAIN;user=phone is the same address as tel:+N
    #[arg(long = "domain", value_name = "DOMAIN", value_delimiter = ',')]
    domains: Vec<String>,
    /// Where the proxy sends to
    #[arg(long, value_enum, default_value_t = Route::CoreTls)]
    route: Route,
}

#[derive(Clone, Copy, ValueEnum)]
enum Route {
    /// core_route without TLS: sips members get no message
    Core,
    /// core_route over TLS: sip, sips and tel members are sent to
    CoreTls,
    /// direct=1: tel members get no message
    Direct,
}

pub fn run(db: &Path, max_members: u32, options: Options) -> Result<(), Failure> {
    let addressing = Addressing {
        reach: match options.route {
            Route::Core => Reach::Core { tls: false },
            Route::CoreTls => Reach::Core { tls: true },
            Route::Direct => Reach::Direct,
        },
        same_number: true,
        tel_domain: None,
        domains: options.domains,
    };
    let mut written: io::Result<()> = Ok(());
    let found = store::audit(db, &addressing, max_members, &mut |finding| {
        if written.is_ok() {
            written = say(&finding);
        }
    })?;
    written?;
    if found.findings > 0 {
        return Err(Failure::Findings(found.findings));
    }
    let mut text = format!(
        "{}: nothing to put right, {}, {}",
        db.display(),
        counted(found.groups, "group"),
        counted(found.members, "member"),
    );
    if found.services > 0 {
        text += &format!(", {}", counted(found.services, "service"));
    }
    Ok(say(&text)?)
}
