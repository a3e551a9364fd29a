//! The groups of one worker, no older than the administrator allows.

#![forbid(unsafe_code)]

use crate::control::{Addressing, Directory, Group, Target, Unavailable};
use crate::fanout::GroupsAge;
use crate::sip::uri::SipUri;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;

/// The store, and how old its replica may be.
pub struct BoundedGroups {
    store: Store,
    /// The age, and the most that it may be; nothing where any age will do.
    bound: Option<(Arc<GroupsAge>, Duration)>,
}

impl BoundedGroups {
    pub fn new(store: Store, bound: Option<(Arc<GroupsAge>, Duration)>) -> Self {
        Self { store, bound }
    }
}

impl Directory for BoundedGroups {
    fn find(&mut self, uri: &SipUri<'_>) -> Result<Option<Target>, Unavailable> {
        if let Some((age, most)) = &self.bound {
            let found = match age.get() {
                Some(age) if age <= *most => None,
                Some(age) => Some(format!("is {} s old", age.as_secs())),
                None => Some("was never compared with PostgreSQL".to_owned()),
            };
            if let Some(found) = found {
                return Err(Unavailable(format!(
                    "the replica {found}, and groups_max_age allows {} s",
                    most.as_secs()
                )));
            }
        }
        self.store.find(uri)
    }

    fn union(
        &mut self,
        parts: &[Arc<Group>],
        without: &[Arc<Group>],
        addressing: &Addressing,
    ) -> Arc<Group> {
        self.store.union(parts, without, addressing)
    }
}
