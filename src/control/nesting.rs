//! Groups within groups (H-4).
//!
//! Which of them count hangs on who asks, so a group is compiled without them and keeps their
//! addresses. A group that has none is used as it is, for the price of looking at an empty list.
//! One that has some is put together for the message from its parts, each looked up as any group
//! is: so a change of a part counts for the next message, like every other change.

use super::access::Nested;
use super::directory::{Directory, Target};
use super::failure::Failure;
use super::group::Group;
use super::observer::{Note, Observer};
use super::policy::Policy;
use super::refusal::Reason;
use super::rules::Asker;
use crate::sip::Uri;
use std::collections::HashSet;
use std::sync::Arc;

/// Groups below the one that was asked for: deeper nesting is a mistake that nobody can oversee.
const MAX_DEPTH: u32 = 4;

/// The group with the members of the groups in it to which the asker may send, if the policy
/// wants that.
///
/// A group that is met again, refuses him or takes no pager-mode messages adds nothing. With more
/// members in all than the policy allows, the whole message is refused.
pub(super) fn expand<D: Directory>(
    group: Arc<Group>,
    directory: &mut D,
    asker: &Asker<'_, '_>,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<Arc<Group>, Failure> {
    let Nested::Expand { max_members } = policy.access.nested else {
        return Ok(group);
    };
    if group.nested().is_empty() {
        return Ok(group);
    }
    let mut visited = HashSet::from([group.uri().to_owned()]);
    let mut members = group.members();
    let mut parts = vec![group];
    let mut level = 0..1;
    for _ in 0..MAX_DEPTH {
        for at in level.clone() {
            let part = parts[at].clone();
            for uri in part.nested() {
                // Before it is looked up: a group that is met a thousand times costs one look-up.
                if !visited.insert(uri.clone()) {
                    observer.note(|| Note::left(uri, "a group within: met before"));
                    continue;
                }
                let Ok(Uri::Sip(sip)) = Uri::parse(uri.as_bytes()) else {
                    continue;
                };
                let found = directory.find(&sip);
                let found = found.map_err(|error| Failure::new(Reason::Unavailable, error))?;
                // A service is no group, and a group may have gone since.
                let Some(Target::Group(nested)) = found else {
                    observer.note(|| Note::left(uri, "a member that is no group, or no longer"));
                    continue;
                };
                if !nested.pager_mode() {
                    observer.note(|| Note::left(uri, "a group within: its pager mode is off"));
                    continue;
                }
                if !nested.permissions(asker, policy).send {
                    observer.note(|| {
                        Note::left(uri, "a group within: the originator may not send to it")
                    });
                    continue;
                }
                observer.note(|| {
                    let count = nested.members();
                    Note::taken(uri, format!("a group within, members: {count}"))
                });
                members += nested.members();
                if members > max_members as usize {
                    let uri = parts[0].uri();
                    let detail = format!(
                        "the group {uri} with the groups in it has more members than max_members allows ({max_members}); delete members or raise max_members"
                    );
                    return Err(Failure::new(Reason::Unavailable, detail));
                }
                parts.push(nested);
            }
        }
        level = level.end..parts.len();
    }
    Ok(directory.union(&parts, &policy.addressing))
}

#[cfg(test)]
mod tests {
    use super::super::access::Access;
    use super::super::access::tests::{addressing, identity, policy};
    use super::*;
    use crate::control::directory::Unavailable;
    use crate::control::observer::Unobserved;
    use crate::sip::SipUri;
    use crate::sip::uri::Form;
    use std::collections::HashMap;
    use std::time::SystemTime;

    /// Groups by the user of their address, each with its members, shortened likewise: one letter
    /// is a group, more are a person of home1.net.
    struct Groups {
        groups: HashMap<String, Arc<Group>>,
        asked: usize,
    }

    impl Directory for Groups {
        fn find(&mut self, uri: &SipUri<'_>) -> Result<Option<Target>, Unavailable> {
            self.asked += 1;
            let uri = Uri::Sip(*uri).print(Form::Provisioned);
            Ok(self.groups.get(&uri).cloned().map(Target::Group))
        }
    }

    fn address(user: &str) -> String {
        format!("sip:{user}@home1.net")
    }

    fn groups(groups: &[(&str, &str)]) -> Groups {
        let compiled = groups.iter().map(|(name, members)| {
            let members: Vec<_> = members.split_whitespace().map(address).collect();
            let members = members.iter().map(String::as_str);
            let is_ours = |sip: &SipUri<'_>| sip.user.is_some_and(|user| user.len() == 1);
            let uri = address(name);
            let pager_mode = *name != "q";
            let group = Group::compile(uri.clone(), pager_mode, members, &addressing(), is_ours);
            (uri, Arc::new(group))
        });
        let groups = compiled.collect();
        Groups { groups, asked: 0 }
    }

    /// Who gets the message of ann to group a, or the detail of the refusal.
    fn expanded(directory: &mut Groups, nested: Nested) -> Result<String, String> {
        let policy = policy(Access {
            nested,
            ..Access::default()
        });
        let ann = identity("<sip:ann@home1.net>");
        let asker = Asker {
            identity: &ann,
            anonymous: false,
            now: SystemTime::now(),
        };
        let group = directory.groups[&address("a")].clone();
        let group = expand(group, directory, &asker, &policy, &mut Unobserved)
            .map_err(|failure| failure.detail)?;
        assert_eq!(group.uri(), address("a"));
        let recipients = (0..group.members() as u32).filter_map(|number| group.recipient(number));
        let users = recipients.map(|uri| match Uri::parse(uri).unwrap() {
            Uri::Sip(sip) => String::from_utf8_lossy(sip.user.unwrap()).into_owned(),
            other => panic!("{other:?}"),
        });
        Ok(users.collect::<Vec<_>>().join(" "))
    }

    const EXPAND: Nested = Nested::Expand { max_members: 100 };

    #[test]
    fn a_cycle_is_walked_once_and_everybody_gets_one_message() {
        let mut directory = groups(&[
            ("a", "ann bob b c"),
            ("b", "ann cho a b"),
            ("c", "ann bob dee b"),
        ]);
        assert_eq!(expanded(&mut directory, EXPAND).unwrap(), "ann bob cho dee");
        assert_eq!(directory.asked, 2);
        assert_eq!(expanded(&mut directory, Nested::Skip).unwrap(), "ann bob");
    }

    #[test]
    fn a_group_that_the_originator_may_not_use_adds_nothing() {
        let mut directory = groups(&[
            ("a", "ann b c q x"),
            ("b", "cho d"),
            ("c", "ann dee d"),
            ("d", "ann eve"),
            ("q", "ann fay"),
        ]);
        assert_eq!(expanded(&mut directory, EXPAND).unwrap(), "ann dee eve");
    }

    #[test]
    fn four_groups_deep_is_deep_enough() {
        let mut directory = groups(&[
            ("a", "ann b"),
            ("b", "ann bob c"),
            ("c", "ann cho d"),
            ("d", "ann dee e"),
            ("e", "ann eve f"),
            ("f", "ann fay"),
        ]);
        assert_eq!(
            expanded(&mut directory, EXPAND).unwrap(),
            "ann bob cho dee eve"
        );
    }

    #[test]
    fn all_groups_share_the_limit_of_members() {
        let mut directory = groups(&[("a", "ann b c"), ("b", "ann bob"), ("c", "ann cho")]);
        let expand = |directory: &mut Groups, max_members| {
            expanded(directory, Nested::Expand { max_members })
        };
        assert_eq!(expand(&mut directory, 7).unwrap(), "ann bob cho");
        let detail = expand(&mut directory, 6).unwrap_err();
        assert!(detail.contains("max_members allows (6)"), "{detail}");
    }

    #[test]
    fn a_group_without_groups_in_it_costs_nothing() {
        let mut directory = groups(&[("a", "ann bob")]);
        expanded(&mut directory, EXPAND).unwrap();
        assert_eq!(directory.asked, 0);
    }
}
