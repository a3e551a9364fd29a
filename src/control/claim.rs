//! Whether a message in a served domain stays ours once it is known what its address stands for: where
//! people and groups share a domain, or messages have no feature tag.
//!
//! It is asked before anything is answered, remembered or counted, so that the script goes on with
//! what is not ours as if nobody had looked at it.

use super::checks::Check;
use super::directory::{Directory, Target};
use super::failure::Failure;
use super::observer::{Note, Observer, Unobserved};
use super::originator::{authenticate, check_from, wants_anonymity};
use super::policy::Policy;
use super::procedure::check_authority;
use super::recognition::{NotOurs, Recognised};
use super::rules::Asker;
use super::world::Source;
use crate::config::{UnknownGroup, Untagged};
use std::time::SystemTime;

impl Recognised<'_> {
    /// Says why the message is left to the script after all, if it is.
    ///
    /// # Errors
    ///
    /// The message is none of ours; the reason is for the log.
    pub fn claim<D: Directory>(
        &self,
        policy: &Policy,
        source: &Source<'_>,
        groups: &mut D,
        now: SystemTime,
        observer: &mut impl Observer,
    ) -> Result<(), NotOurs> {
        let is_tagged = self.feature.is_ok();
        let untagged = || self.feature.clone().err().unwrap_or(NotOurs::NoImTag);
        if is_tagged && policy.settings.unknown_group == UnknownGroup::Reject {
            return Ok(());
        }
        if is_tagged || policy.settings.untagged == Untagged::Groups {
            observer.check(Check::Ownership);
        }
        let address = match &self.target {
            Ok(address) => address,
            // Of a tagged message it is refused; another may be a person's.
            Err(_) if is_tagged => return Ok(()),
            Err(_) => return Err(untagged()),
        };
        let target = match groups.find(address) {
            Ok(target) => target,
            Err(_) if is_tagged => return Ok(()),
            Err(_) if policy.settings.untagged == Untagged::Script => return Err(untagged()),
            Err(error) => return Err(NotOurs::Unavailable(error)),
        };
        observer.note(|| note(self.request.uri, target.as_ref()));
        let Some(target) = target else {
            return Err(
                match is_tagged || policy.settings.untagged == Untagged::Groups {
                    true => NotOurs::NoGroup,
                    false => untagged(),
                },
            );
        };
        if !is_tagged && policy.settings.untagged == Untagged::Script {
            return Err(match untagged() {
                NotOurs::NoImTag => NotOurs::Untagged(target.uri().to_owned()),
                unread => unread,
            });
        }
        if policy.settings.hide_groups && self.is_hidden(target, policy, source, now).is_err() {
            return Err(NotOurs::Hidden);
        }
        Ok(())
    }

    /// Fails for who may not learn that the group exists (A.1): as rows 1 and 7 do.
    fn is_hidden(
        &self,
        target: Target,
        policy: &Policy,
        source: &Source<'_>,
        now: SystemTime,
    ) -> Result<(), Failure> {
        let observer = &mut Unobserved;
        let request = &self.request;
        let mandatory = self.mandatory.as_ref().map_err(Failure::clone)?;
        let from = &mandatory.from;
        let sender = authenticate(request, from, policy, source, observer)?;
        check_from(from, &sender, policy, observer)?;
        let asker = Asker {
            identity: &sender.identity,
            anonymous: wants_anonymity(request, from),
            now,
        };
        check_authority(Some(target), &asker, policy, observer).map(drop)
    }
}

fn note(uri: &[u8], target: Option<&Target>) -> Note {
    match target {
        Some(_) => Note::taken(uri, "a stored group or service"),
        None => Note::left(
            uri,
            "neither a group nor a service: it may be a person's address",
        ),
    }
}
