//! `cimfctl check`.

use crate::failure::Failure;
use crate::json_shapes::{self, Form};
use crate::parameters::Parameters;
use crate::streams::{confirm, counted, say};
use cimf::config::{DbUrl, Nested};
use cimf::control::NextHopCapabilities;
use cimf::control::addressing::Addressing;
use cimf::server::policy;
use cimf::store;
use clap::{Args, ValueEnum};
use std::io;

/// Check the whole database
///
/// Finds damage, altered tables, a wrong owner, groups and services that no message reaches because
/// their address is outside the proxy's domains, not in canonical form or a duplicate, members that get
/// no message, consents without effect, and rulesets that are malformed or contain unsupported
/// conditions, each with the reason. Given the proxy's parameters, it finds exactly what the proxy
/// would. Exit status 1 if anything was found.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cimfctl check --config /etc/kamailio/kamailio.cfg\n  cimfctl check --domain im.home1.net,home1.net --route core"
)]
pub struct Options {
    /// The proxy's domains: there, sip:+N@DOMAIN;user=phone is the same address as tel:+N
    #[arg(long = "domain", value_name = "DOMAIN", value_delimiter = ',', conflicts_with_all = ["config", "set"])]
    domains: Vec<String>,
    /// Where the proxy sends copies
    #[arg(long, value_enum, default_value_t = Route::CoreTls, conflicts_with_all = ["config", "set"])]
    route: Route,
    #[command(flatten)]
    parameters: Parameters,
    #[command(flatten)]
    form: Form,
}

#[derive(Clone, Copy, ValueEnum)]
enum Route {
    /// core_route without TLS: sips members get no message
    Core,
    /// core_route over TLS: sip, sips and tel members get messages
    CoreTls,
    /// direct=1: tel members get no message
    Direct,
}

pub fn run(db: Option<&DbUrl>, max_members: Option<u32>, options: &Options) -> Result<(), Failure> {
    let (settings, _) = options.parameters.read(db, max_members)?;
    let (addressing, nested) = match options.parameters.are_told() {
        true => {
            let policy = policy(&settings);
            let policy = policy.map_err(|error| options.parameters.unusable(&error.to_string()))?;
            (policy.addressing, policy.settings.nested)
        }
        false => (options.guessed(settings.same_number()), Nested::Skip),
    };
    let db = &settings.db_url;
    let max_members = settings.max_members;
    if options.form.json {
        return print_findings(db, &addressing, nested, max_members);
    }
    if addressing.domains.is_empty() {
        confirm(
            "not checked whether the groups and services are in the proxy's domains; name those with --config FILE, --set domains=DOMAIN,... or --domain DOMAIN,...",
        )?;
    }
    let mut written: io::Result<()> = Ok(());
    let found = store::audit(db, &addressing, nested, max_members, &mut |finding| {
        if written.is_ok() {
            written = say(&finding);
        }
    })?;
    written?;
    if found.findings > 0 {
        return Err(Failure::Findings(found.findings));
    }
    let mut text = format!(
        "{}: no problems found, {}, {}",
        db,
        counted(found.groups, "group"),
        counted(found.members, "member"),
    );
    if found.services > 0 {
        text += &format!(", {}", counted(found.services, "service"));
    }
    Ok(confirm(&text)?)
}

fn print_findings(
    db: &DbUrl,
    addressing: &Addressing,
    nested: Nested,
    max_members: u32,
) -> Result<(), Failure> {
    let mut findings = Vec::new();
    let found = store::audit(db, addressing, nested, max_members, &mut |finding| {
        findings.push(finding);
    })?;
    let checks_domains = !addressing.domains.is_empty();
    json_shapes::print(&json_shapes::audit(&found, &findings, checks_domains))?;
    match found.findings {
        0 => Ok(()),
        count => Err(Failure::Findings(count)),
    }
}

impl Options {
    /// The proxy's addressing, as far as the command line describes it.
    fn guessed(&self, same_number: bool) -> Addressing {
        Addressing {
            next_hop: match self.route {
                Route::Core => NextHopCapabilities::Core { tls: false },
                Route::CoreTls => NextHopCapabilities::Core { tls: true },
                Route::Direct => NextHopCapabilities::Direct,
            },
            same_number,
            tel_domain: None,
            domains: self.domains.clone(),
        }
    }
}
