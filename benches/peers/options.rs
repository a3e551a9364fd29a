//! What the command line of `benches/peers.sh` may say.

use crate::support::proxy::proxy;
use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Runs cimf beside what the proxy has for the same task: same proxy, same receiver, same sender, in turns.
#[derive(Clone, Debug, Parser)]
#[command(name = "benches/peers.sh", max_term_width = 110)]
pub struct Options {
    /// A short run that shows whether everything works; its figures mean little.
    #[arg(long)]
    pub quick: bool,

    /// Count instructions with valgrind instead of measuring time: one worker, no retransmissions.
    #[arg(long)]
    pub instructions: bool,

    /// The proxy; all there are if nothing is said. OpenSIPS is there if the variable CIMF_OPENSIPS names its binary.
    #[arg(long, value_name = "NAME")]
    pub proxy: Option<ProxyName>,

    /// What to measure.
    #[arg(
        long,
        value_name = "PART,...",
        value_delimiter = ',',
        default_value = "speed,rate,memory"
    )]
    pub parts: Vec<Part>,

    /// Who takes part. OpenSIPS has no loop.
    #[arg(
        long,
        value_name = "NAME,...",
        value_delimiter = ',',
        default_value = "cimf,imc,loop"
    )]
    pub contenders: Vec<Name>,

    /// Another libcimf.so that takes part as "baseline", without any --cimf-parameter.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,

    /// Recipients of one message.
    #[arg(
        long,
        value_name = "NUMBER,...",
        value_delimiter = ',',
        default_value = "10,100,1000"
    )]
    pub sizes: Vec<usize>,

    /// The proxy's memory managers: `default` is its own choice [default: default, and tlsf with Kamailio; of
    /// OpenSIPS's the default is the fastest that everybody has]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub allocators: Vec<String>,

    /// How often each contender has its turn; the figures are medians.
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub rounds: usize,

    /// Recipients of one turn, all messages together.
    #[arg(long, value_name = "NUMBER", default_value_t = 40_000)]
    pub recipients: usize,

    /// Recipients under way at a time, for the highest speed; at least one message is.
    #[arg(long, value_name = "NUMBER", default_value_t = 300)]
    pub outstanding: usize,

    /// How long one turn at a given rate lasts.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub rate_seconds: f64,

    /// Groups of a thousand, which get the messages in turns; of smaller ones there are up to twelve times as many.
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    pub groups: usize,

    /// The proxy's workers for UDP.
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    pub children: u32,

    /// The proxy's shared memory in megabytes. cimf uses half of it for transactions (tm_memory): of 1024 that is no
    /// more than 57,000 copies a second at a wt_timer of one second.
    #[arg(long, value_name = "MEGABYTES", default_value_t = 4096)]
    pub shared_memory: u32,

    /// The most bytes of the proxy's receive buffer (maxbuffer), as in the sample configurations; the proxies' own is
    /// 262144. The kernel's net.core.rmem_max bounds it, too.
    #[arg(long, value_name = "BYTES", default_value_t = 4_194_304)]
    pub receive_buffer: u32,

    /// tm's fr_timer in milliseconds; OpenSIPS takes whole seconds.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 30_000)]
    pub fr_timer: u32,

    /// tm's wt_timer in milliseconds; OpenSIPS takes whole seconds, and no less than two. At the usual 5000 a fast
    /// contender would fill the memory.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000)]
    pub wt_timer: u32,

    /// A parameter of cimf, such as max_breadth=0 or core_route="sip:a.b"; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub cimf_parameter: Vec<String>,

    /// Where --instructions leaves valgrind's files, for callgrind_annotate.
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
}

/// One of the proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProxyName {
    Kamailio,
    Opensips,
}

/// One of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The highest speed.
    Speed,
    /// The highest rate at which imc is clean, and all at that rate.
    Rate,
    /// Memory for each live fork.
    Memory,
}

/// One of those who can send to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// This build of cimf.
    Cimf,
    /// The proxy's module imc.
    Imc,
    /// A while loop of the script over `uac_req_send()`, which is tm's t_request.
    Loop,
}

impl Options {
    /// The options as they count, those of a quick run included.
    pub fn effective(mut self) -> Self {
        // benches/peers.sh starts this program for one proxy, which the variable CIMF_OPENSIPS says.
        let is_opensips = proxy().name() == "OpenSIPS";
        if let Some(name) = self.proxy {
            let is_there = (name == ProxyName::Opensips) == is_opensips;
            assert!(is_there, "--proxy opensips: CIMF_OPENSIPS names no binary");
        }
        if is_opensips {
            self.contenders.retain(|name| *name != Name::Loop);
        }
        if self.quick {
            self.rounds = 1;
            self.recipients = 1000;
            self.rate_seconds = 0.2;
            self.wt_timer = 200;
            self.groups = 2;
            self.sizes = vec![10, 1000];
        }
        if is_opensips {
            // What it really counts with.
            self.fr_timer = self.fr_timer.next_multiple_of(1000);
            self.wt_timer = self.wt_timer.next_multiple_of(1000).max(2000);
        }
        if self.allocators.is_empty() {
            let all: &[&str] = match (is_opensips, self.quick) {
                (true, _) => &["default"],
                (false, true) => &["tlsf"],
                (false, false) => &["default", "tlsf"],
            };
            self.allocators = all.iter().map(ToString::to_string).collect();
        }
        self
    }

    /// How many groups of this size there are: enough that messages under way at one time are to different members.
    pub fn groups_of(&self, size: usize) -> usize {
        (self.groups * 1000 / size).clamp(self.groups, self.groups * 12)
    }
}
