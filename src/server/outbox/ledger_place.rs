//! Where the ledger is to be.

#![forbid(unsafe_code)]

use crate::config::{Away, DbUrl, Durability, SettingError, Settings};
use crate::ledger::cluster::ClusterPlace;
use crate::server::StartError;
use std::path::PathBuf;
use std::time::Duration;

/// The file, beside the replica of the groups, in which a node follows what nodes keep for members who are away.
const KEPT: &str = "kept.db";

/// Where the ledger is.
#[derive(Debug)]
pub(super) enum LedgerPlace {
    /// In a file of this node.
    File(PathBuf),
    /// In PostgreSQL, for all nodes.
    Cluster(Box<ClusterPlace>),
}

impl LedgerPlace {
    /// Where the ledger is to be, if there is to be one.
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, StartError> {
        if settings.durability != Durability::Cluster {
            let has_file =
                settings.durability == Durability::Journal || settings.away == Away::Keep;
            return Ok(has_file.then(|| Self::File(settings.ledger())));
        }
        let DbUrl::Postgres(url) = &settings.db_url else {
            let expected = "none or journal, as db_url is a file of this node alone: cluster needs db_url=postgres://…";
            return Err(SettingError::new("durability", "cluster", expected).into());
        };
        Ok(Some(Self::Cluster(Box::new(ClusterPlace {
            url: (**url).clone(),
            node: settings.node(),
            lease: Duration::from_secs(settings.lease.into()),
            kept: (settings.away == Away::Keep).then(|| settings.replica.with_file_name(KEPT)),
        }))))
    }
}
