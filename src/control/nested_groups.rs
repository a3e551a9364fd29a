//! Groups within groups (H-4).
//!
//! Which of them count hangs on who asks, so a group is compiled without them and keeps their
//! addresses. A group that has none is used as it is, for the price of looking at an empty list.
//! One that has some is put together for the message from its parts, each looked up as any group
//! is: so a change of a part counts for the next message, like every other change.

use super::check_reasons::Reason;
use super::directory::{Directory, Target};
use super::failure::Failure;
use super::group::Group;
use super::observer::{Note, Observer};
use super::policy::Policy;
use super::rules::Asker;
use crate::config::Nested;
use crate::sip::Uri;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Groups below the one that was asked for: deeper nesting is a mistake that nobody can oversee.
const MAX_DEPTH: u32 = 4;

/// A group with the members of the groups in it.
pub(super) struct Expanded {
    pub group: Arc<Group>,
    /// Whether some group in it keeps its members from an anonymous message.
    pub kept_out: bool,
}

/// The group with the members of the groups in it to which the asker may send, if the policy
/// wants that.
///
/// A group that is met again, refuses them or takes no pager-mode messages adds nothing. With more
/// members in all than the policy allows, the whole message is refused.
///
/// An anonymous message goes to nobody whom a group that forbids anonymity has made a recipient, alone
/// or besides others: not to its members, nor to those of the groups in it. What the group that
/// was asked for allows has been looked at before.
pub(super) fn expand<D: Directory>(
    group: Arc<Group>,
    directory: &mut D,
    asker: &Asker<'_, '_>,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<Expanded, Failure> {
    let alone = |group| Expanded {
        group,
        kept_out: false,
    };
    let max_members = policy.settings.max_members;
    if policy.settings.nested == Nested::Skip || group.nested().is_empty() {
        return Ok(alone(group));
    }
    let mut visited = HashSet::from([group.uri().to_owned()]);
    let mut members = group.members();
    let mut parts = vec![group];
    let mut forbids = vec![false];
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
                    observer
                        .note(|| Note::left(uri, "a member that is not a group, or no longer one"));
                    continue;
                };
                if !nested.pager_mode() {
                    observer.note(|| Note::left(uri, "a group within: its pager mode is off"));
                    continue;
                }
                let permissions = nested.permissions(asker, policy);
                if !permissions.send {
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
                forbids.push(asker.anonymous && !permissions.anonymity);
            }
        }
        level = level.end..parts.len();
    }
    forbid_within(&parts, &mut forbids);
    let (mut allowing, mut forbidding) = (Vec::new(), Vec::new());
    for (part, forbids) in parts.into_iter().zip(forbids) {
        let half = if forbids {
            &mut forbidding
        } else {
            &mut allowing
        };
        half.push(part);
    }
    let group = directory.union(&allowing, &forbidding, &policy.addressing);
    tell_of_forbidding(&group, &forbidding, observer);
    Ok(Expanded {
        group,
        kept_out: !forbidding.is_empty(),
    })
}

/// Marks the groups within those that forbid anonymity, but for the first, which was asked for.
fn forbid_within(parts: &[Arc<Group>], forbids: &mut [bool]) {
    let numbers = parts.iter().zip(0..).map(|(part, at)| (part.uri(), at));
    let numbers: HashMap<&str, usize> = numbers.collect();
    let mut open: Vec<usize> = (0..parts.len()).filter(|&at| forbids[at]).collect();
    while let Some(at) = open.pop() {
        for uri in parts[at].nested() {
            match numbers.get(uri.as_str()) {
                Some(&within) if within != 0 && !forbids[within] => {
                    forbids[within] = true;
                    open.push(within);
                }
                _ => {}
            }
        }
    }
}

/// Says which groups keep their members from an anonymous message.
fn tell_of_forbidding(group: &Group, forbidding: &[Arc<Group>], observer: &mut impl Observer) {
    if forbidding.is_empty() {
        return;
    }
    observer.notes(|| {
        let text = "a group within that allows no anonymity: its members get no copy (A-8)";
        let notes = forbidding.iter().map(|part| Note::left(part.uri(), text));
        notes.collect::<Vec<_>>()
    });
    let uris: Vec<&str> = forbidding.iter().map(|part| part.uri()).collect();
    log::info!(
        "a message to <{}> is anonymous, which groups in it do not allow: their members get no copy: {}",
        group.uri(),
        uris.join(" "),
    );
}

#[cfg(test)]
mod tests {
    use super::super::access::tests::{addressing, identity, policy};
    use super::*;
    use crate::control::directory::Unavailable;
    use crate::control::observer::Unobserved;
    use crate::control::rules::Rules;
    use crate::control::ruleset::{ALLOW_ANONYMITY, Rule, Ruleset};
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

    fn anybody_anonymously() -> Rules {
        let actions = ["allow-initiate-conference", ALLOW_ANONYMITY];
        let rule = Rule {
            actions: actions.map(|action| (action.to_owned(), true)).to_vec(),
            ..Rule::default()
        };
        let rules = vec![rule];
        Rules::compile(&Ruleset { rules }, &addressing(), |_| None)
    }

    fn groups(groups: &[(&str, &str)]) -> Groups {
        let compiled = groups.iter().map(|(name, members)| {
            let members: Vec<_> = members.split_whitespace().map(address).collect();
            let members = members.iter().map(String::as_str);
            let is_ours = |sip: &SipUri<'_>| sip.user.is_some_and(|user| user.len() == 1);
            let uri = address(name);
            let pager_mode = *name != "q";
            let group = Group::compile(uri.clone(), pager_mode, members, &addressing(), is_ours);
            let group = match name.chars().all(char::is_uppercase) {
                true => group.with_rules(anybody_anonymously()),
                false => group,
            };
            (uri, Arc::new(group))
        });
        let groups = compiled.collect();
        Groups { groups, asked: 0 }
    }

    /// Who gets the message of ann to group a, or the detail of the refusal.
    fn expanded(directory: &mut Groups, nested: (Nested, u32)) -> Result<String, String> {
        let all = expanded_for(directory, nested, false)?;
        assert!(
            !all.1,
            "nobody is kept out of a message that is not anonymous"
        );
        Ok(all.0)
    }

    /// The same for one that is `anonymous`, with whether anybody is kept out.
    fn expanded_for(
        directory: &mut Groups,
        (nested, max_members): (Nested, u32),
        anonymous: bool,
    ) -> Result<(String, bool), String> {
        let policy = policy(|settings| {
            settings.nested = nested;
            settings.max_members = max_members;
        });
        let ann = identity("<sip:ann@home1.net>");
        let asker = Asker {
            identity: &ann,
            anonymous,
            now: SystemTime::now(),
        };
        let group = directory.groups[&address("a")].clone();
        let Expanded { group, kept_out } =
            expand(group, directory, &asker, &policy, &mut Unobserved)
                .map_err(|failure| failure.detail)?;
        assert_eq!(group.uri(), address("a"));
        let recipients = (0..group.members() as u32).filter_map(|number| group.recipient(number));
        let users = recipients.map(|uri| match Uri::parse(uri).unwrap() {
            Uri::Sip(sip) => String::from_utf8_lossy(sip.user.unwrap()).into_owned(),
            other => panic!("{other:?}"),
        });
        Ok((users.collect::<Vec<_>>().join(" "), kept_out))
    }

    /// `nested`, and `max_members`.
    const EXPAND: (Nested, u32) = (Nested::Expand, 100);

    #[test]
    fn a_cycle_is_walked_once_and_everybody_gets_one_message() {
        let mut directory = groups(&[
            ("a", "ann bob b c"),
            ("b", "ann cho a b"),
            ("c", "ann bob dee b"),
        ]);
        assert_eq!(expanded(&mut directory, EXPAND).unwrap(), "ann bob cho dee");
        assert_eq!(directory.asked, 2);
        let alone = expanded(&mut directory, (Nested::Skip, 100));
        assert_eq!(alone.unwrap(), "ann bob");
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
    fn an_anonymous_message_goes_to_nobody_whom_a_group_that_forbids_it_has_made_a_recipient() {
        // A-8, I-6: groups in capitals let everybody send anonymously, the others only members by name.
        let anonymous =
            |members: &[(&str, &str)]| expanded_for(&mut groups(members), EXPAND, true).unwrap();
        let kept_out = |users: &str| (users.to_owned(), true);
        let found = anonymous(&[("a", "ann bob b C"), ("b", "ann cho"), ("C", "dee")]);
        assert_eq!(found, kept_out("bob dee"));
        // Whoever is in two groups needs the word of both.
        let found = anonymous(&[("a", "ann bob cho b"), ("b", "ann bob")]);
        assert_eq!(found, kept_out("cho"));
        let found = anonymous(&[
            ("a", "ann bob b C"),
            ("b", "ann D"),
            ("C", "cho D"),
            ("D", "dee"),
        ]);
        assert_eq!(found, kept_out("bob cho"));
        // A group that refuses the originator makes nobody a recipient.
        let found = anonymous(&[("a", "ann bob b"), ("b", "bob")]);
        assert_eq!(found, ("ann bob".to_owned(), false));
        // The group that was asked for has allowed it, whatever contains it.
        let found = anonymous(&[("a", "bob B"), ("B", "cho a"), ("C", "")]);
        assert_eq!(found, ("bob cho".to_owned(), false));
        let found = anonymous(&[("a", "bob b"), ("b", "ann a cho")]);
        assert_eq!(found, kept_out("bob"));
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
        assert_eq!(
            expanded(&mut directory, (Nested::Expand, 7)).unwrap(),
            "ann bob cho"
        );
        let detail = expanded(&mut directory, (Nested::Expand, 6)).unwrap_err();
        assert!(detail.contains("max_members allows (6)"), "{detail}");
    }

    #[test]
    fn a_group_without_groups_in_it_costs_nothing() {
        let mut directory = groups(&[("a", "ann bob")]);
        expanded(&mut directory, EXPAND).unwrap();
        assert_eq!(directory.asked, 0);
    }
}
