//! The options of `cimfctl explain`.

use super::peer::Peer;
use crate::parameters::Parameters;
use cimf::control::date_time;
use clap::Args;
use std::path::PathBuf;
use std::time::SystemTime;

/// Say what the proxy does with a message, step by step, and why
///
/// Runs a captured MESSAGE through the proxy's own checks and prints each with its findings, the
/// answer, and the messages that would be sent. Nothing is sent, counted or changed. What only a
/// running proxy knows is not checked: retransmissions of earlier messages, and whether the queue has
/// room. Exit status 0 if the message was explained, whatever the answer to it is.
#[derive(Args)]
#[command(after_help = "Examples:
  cimfctl explain refused.sip --config /etc/kamailio/kamailio.cfg --from tcp:10.0.0.7
  cimfctl --db cimf.db explain refused.sip --set domains=im.home1.net --set trusted_peers=10.0.0.7 \\
      --set core_route=sip:icscf.home1.net --json

The fields of --json, which are stable: message, settings, source, outcome (accepted, refused, not-ours,
repeated), checks (each check, row, step, requirement, question, result: passed, failed, not-made;
and notes: use, subject, text), reason, answer (code, phrase, headers), forks (count, recipients,
texts).")]
pub struct Options {
    /// A file with the message as received, byte for byte; - is standard input
    #[arg(value_name = "FILE")]
    pub message: PathBuf,
    #[command(flatten)]
    pub parameters: Parameters,
    /// Where the message came from: [udp:|tcp:|tls:]ADDRESS[:PORT]; without it, from one of
    /// trusted_peers
    #[arg(long, value_name = "PEER", value_parser = Peer::parse)]
    pub from: Option<Peer>,
    /// The identity that the script passes to cimf_handle()
    #[arg(long, value_name = "URI")]
    pub identity: Option<String>,
    /// When the message arrived, such as 2026-11-22T16:00:00Z; default: now
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<SystemTime>,
    /// How many of the messages that would be sent are printed in full: a number, or all
    #[arg(long, value_name = "N", default_value = "1", value_parser = count)]
    pub forks: usize,
    /// Print JSON, for machines
    #[arg(long)]
    pub json: bool,
}

fn time(text: &str) -> Result<SystemTime, String> {
    let time = date_time::parse(text);
    time.ok_or_else(|| "expected a time with its zone, such as 2026-11-22T16:00:00Z".to_owned())
}

fn count(text: &str) -> Result<usize, String> {
    match text {
        "all" => Ok(usize::MAX),
        number => number
            .parse()
            .map_err(|_| "expected a number, or all".to_owned()),
    }
}
