//! Names of next hops are resolved as RFC 3263 §4 says: with a port by the addresses of the name (A,
//! AAAA), without one by its services (SRV) first. Which transport it is says the URI, or it is UDP, or
//! TLS for `sips`: NAPTR is not asked.

#![forbid(unsafe_code)]

use super::HopName;
use crate::fanout::NotResolved;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{TokioResolver, system_conf};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The most addresses that are looked for: more are not kept.
const MOST: usize = 4;
/// Look-ups that may wait for one name server at once.
const AT_ONCE: usize = 1024;

/// The kinds of addresses that the proxy can send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

/// Where a name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Led {
    /// Best first. A port of 0 is that of the transport.
    pub addresses: Vec<SocketAddr>,
    /// For how long.
    pub time_to_live: Duration,
}

/// Asks name servers. To be made in the process that asks.
#[derive(Clone)]
pub struct Resolver(TokioResolver);

impl Resolver {
    /// Asks these name servers; without any, those of the system.
    pub fn new(name_servers: &[SocketAddr], families: Families) -> Result<Self, NetError> {
        let (config, mut options) = match name_servers {
            [] => system(),
            servers => {
                let servers = servers.iter().map(|&address| server(address));
                let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
                (config, ResolverOpts::default())
            }
        };
        options.ip_strategy = match families {
            Families { v6: false, .. } => LookupIpStrategy::Ipv4Only,
            Families { v4: false, .. } => LookupIpStrategy::Ipv6Only,
            _ => LookupIpStrategy::Ipv4AndIpv6,
        };
        // What was heard is kept in the table of names, where all processes see it.
        options.cache_size = 0;
        options.max_active_requests = AT_ONCE;
        let provider = TokioRuntimeProvider::default();
        let builder = TokioResolver::builder_with_config(config, provider);
        builder.with_options(options).build().map(Self)
    }

    /// Where a name leads.
    pub async fn resolve(&self, name: &HopName<'_>) -> Result<Led, NotResolved> {
        let Some(service) = service(name) else {
            return self.addresses(name.host.to_owned(), name.port).await;
        };
        // Both at once: most names have no services, and to learn that first would take twice as long.
        let (own, host) = (self.clone(), name.host.to_owned());
        let by_address = tokio::spawn(async move { own.addresses(host, 0).await });
        match self.0.lookup(service, RecordType::SRV).await {
            Ok(services) if has_services(&services) => {
                by_address.abort();
                self.by_services(&services).await
            }
            // Some name servers do not answer what they do not know.
            _ => by_address.await.unwrap_or(Err(NotResolved::NoAnswer)),
        }
    }

    async fn addresses(&self, host: String, port: u16) -> Result<Led, NotResolved> {
        let found = self.0.lookup_ip(host).await.map_err(why)?;
        Ok(Led {
            addresses: found
                .iter()
                .map(|ip| SocketAddr::new(ip, port))
                .take(MOST)
                .collect(),
            time_to_live: found
                .valid_until()
                .saturating_duration_since(Instant::now()),
        })
    }

    /// The addresses of the services that come first.
    async fn by_services(&self, services: &Lookup) -> Result<Led, NotResolved> {
        let mut time_to_live = services
            .valid_until()
            .saturating_duration_since(Instant::now());
        let mut asked = JoinSet::new();
        for (number, service) in in_order(services).into_iter().take(MOST).enumerate() {
            let (own, host, port) = (self.clone(), service.target.to_utf8(), service.port);
            asked.spawn(async move { (number, own.addresses(host, port).await) });
        }
        let mut found = Vec::new();
        let mut failure = NotResolved::LeadsNowhere;
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok((number, Ok(led))) => {
                    time_to_live = time_to_live.min(led.time_to_live);
                    found.push((number, led.addresses));
                }
                Ok((_, Err(NotResolved::LeadsNowhere))) => {}
                Ok((_, Err(NotResolved::NoAnswer))) | Err(_) => failure = NotResolved::NoAnswer,
            }
        }
        found.sort_unstable_by_key(|(number, _)| *number);
        let addresses = found.into_iter().flat_map(|(_, addresses)| addresses);
        let addresses: Vec<_> = addresses.take(MOST).collect();
        match addresses.is_empty() {
            true => Err(failure),
            false => Ok(Led {
                addresses,
                time_to_live,
            }),
        }
    }
}

/// What the system says of its name servers; without a word that is the machine itself (resolv.conf(5)).
fn system() -> (ResolverConfig, ResolverOpts) {
    system_conf::read_system_conf().unwrap_or_else(|error| {
        log::warn!("names are asked at 127.0.0.1: /etc/resolv.conf names no name server: {error}");
        let own = server(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![own]);
        (config, ResolverOpts::default())
    })
}

fn server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let connections = connections.map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// The name of a service, where it is asked for (RFC 3263 §4.2).
fn service(name: &HopName<'_>) -> Option<String> {
    let prefix = match name.transport {
        "udp" => "_sip._udp",
        "tcp" => "_sip._tcp",
        "tls" => "_sips._tcp",
        "sctp" => "_sip._sctp",
        _ => return None,
    };
    (name.port == 0).then(|| format!("{prefix}.{}", name.host))
}

fn has_services(lookup: &Lookup) -> bool {
    let mut records = lookup.answers().iter();
    records.any(|record| matches!(record.data, RData::SRV(_)))
}

/// The services by priority, and those of one by chance, as often as their weights say (RFC 2782). A
/// target that is the root says that there is no service.
fn in_order(lookup: &Lookup) -> Vec<&SRV> {
    let services = lookup
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::SRV(service) if !service.target.is_root() => Some(service),
            _ => None,
        });
    let mut services: Vec<_> = services
        .map(|service| (rank(service.weight), service))
        .collect();
    services.sort_by(|(one, first), (other, second)| {
        first
            .priority
            .cmp(&second.priority)
            .then(one.total_cmp(other))
    });
    services.into_iter().map(|(_, service)| service).collect()
}

/// A number by chance; the least of several is that of one whose weight is among theirs what its share
/// of the chances is to be.
fn rank(weight: u16) -> f64 {
    let chance = getrandom::u32().unwrap_or(u32::MAX / 2);
    let chance = (f64::from(chance) + 1.0) / (f64::from(u32::MAX) + 2.0);
    // A weight of 0 has a very small chance.
    -chance.ln() / f64::from(weight).max(1e-3)
}

fn why(error: NetError) -> NotResolved {
    match error.is_no_records_found() {
        true => NotResolved::LeadsNowhere,
        false => NotResolved::NoAnswer,
    }
}
