//! The rules of a group, compiled: which of them apply to whom (G-3, G-4; RFC 4745).
//!
//! A rule applies when all its conditions hold; what one rule that applies allows is allowed. A
//! condition that is not known, or that asks for what is not known here (a sphere), never holds.
//! Transformations are not read: there is nothing here that they could change.

use super::addressing::Addressing;
use super::date_time;
use super::member_list::MemberList;
use super::ruleset::{Condition, Except, Identity, Ruleset};
use crate::sip::Uri;
use crate::sip::identity::AssertedIdentity;
use crate::sip::uri_equality::same_host;
use std::sync::Arc;
use std::time::SystemTime;

/// Who asks, how and when.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a, 'm> {
    /// All their asserted addresses: one that matches suffices (I-2), and one that is excepted excepts the person.
    pub identity: &'a AssertedIdentity<'m>,
    /// Whether they want to stay anonymous.
    pub anonymous: bool,
    /// The time of arrival.
    pub now: SystemTime,
}

/// Whether one of the asker's addresses is among those of `group`.
pub(super) fn is_in(group: &MemberList, asker: &Asker<'_, '_>, addressing: &Addressing) -> bool {
    let mut addresses = asker.identity.addresses.iter();
    addresses.any(|address| group.has_user(&address.uri, addressing))
}

/// A ruleset, ready for use.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<CompiledRule>,
    weight: usize,
}

#[derive(Debug)]
pub(super) struct CompiledRule {
    pub id: String,
    checks: Vec<CompiledCondition>,
    /// The actions that are allowed.
    allowed: Vec<String>,
}

#[derive(Debug)]
enum CompiledCondition {
    AnyOf(Box<MemberList>, Vec<Many>),
    During(Vec<(SystemTime, SystemTime)>),
    Member,
    InLists(Vec<Arc<MemberList>>),
    Other,
    Anonymous,
    Never,
}

#[derive(Debug)]
struct Many {
    domain: Option<String>,
    except_domains: Vec<String>,
    except: MemberList,
}

impl Rules {
    /// Makes a ruleset ready. `list` has the addresses of a list by its address, if it is known.
    pub fn compile(
        ruleset: &Ruleset,
        addressing: &Addressing,
        mut list: impl FnMut(&str) -> Option<Arc<MemberList>>,
    ) -> Self {
        let mut weight = 0;
        let rules = ruleset.rules.iter().map(|rule| {
            let checks = rule.conditions.iter();
            let checks =
                checks.map(|it| CompiledCondition::compile(it, addressing, &mut list, &mut weight));
            let allowed = rule.actions.iter().filter(|(_, allows)| *allows);
            CompiledRule {
                id: rule.id.clone(),
                checks: checks.collect(),
                allowed: allowed.map(|(name, _)| name.clone()).collect(),
            }
        });
        let rules = rules.collect();
        Self { rules, weight }
    }

    /// Rules that allow nobody anything, for a ruleset that cannot be read.
    pub fn nobody() -> Self {
        Self::default()
    }

    /// About how many addresses the rules keep in memory.
    pub fn weight(&self) -> usize {
        self.weight + self.rules.len()
    }

    /// Which of `actions` the rules that apply allow (G-3).
    pub(super) fn allow<const COUNT: usize>(
        &self,
        actions: [&str; COUNT],
        group: &MemberList,
        asker: &Asker<'_, '_>,
        addressing: &Addressing,
    ) -> [bool; COUNT] {
        let mut allowed = [false; COUNT];
        self.apply(group, asker, addressing, |rule, obstacle| {
            if obstacle.is_none() {
                for (allowed, action) in allowed.iter_mut().zip(actions) {
                    *allowed |= rule.allows(action);
                }
            }
        });
        allowed
    }

    /// Tells of every rule the condition that keeps it from applying, or that there is none.
    pub(super) fn apply(
        &self,
        group: &MemberList,
        asker: &Asker<'_, '_>,
        addressing: &Addressing,
        mut tell: impl FnMut(&CompiledRule, Option<&'static str>),
    ) {
        let mut any_applies = false;
        // Whether a rule with other-identity applies hangs on all others: those come first.
        for others in [false, true] {
            let rules = self.rules.iter();
            for rule in rules.filter(|rule| rule.asks_others() == others) {
                let obstacle = match others && any_applies {
                    true => Some("other-identity (another rule applies)"),
                    false => rule.obstacle(group, asker, addressing),
                };
                any_applies |= !others && obstacle.is_none();
                tell(rule, obstacle);
            }
        }
    }
}

impl CompiledRule {
    fn asks_others(&self) -> bool {
        self.checks
            .iter()
            .any(|check| matches!(check, CompiledCondition::Other))
    }

    pub fn allows(&self, action: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed == action)
    }

    /// The first condition that does not hold; none if the rule applies.
    fn obstacle(
        &self,
        group: &MemberList,
        asker: &Asker<'_, '_>,
        addressing: &Addressing,
    ) -> Option<&'static str> {
        let mut checks = self.checks.iter();
        let failed = checks.find(|check| !check.holds(group, asker, addressing));
        failed.map(CompiledCondition::name)
    }
}

impl CompiledCondition {
    fn compile(
        condition: &Condition,
        addressing: &Addressing,
        list: &mut impl FnMut(&str) -> Option<Arc<MemberList>>,
        weight: &mut usize,
    ) -> Self {
        match condition {
            Condition::Identity(identities) => {
                let ones = identities.iter().filter_map(|identity| match identity {
                    Identity::One(id) => Some(id.as_str()),
                    Identity::Many { .. } => None,
                });
                let ones = MemberList::of(ones, addressing);
                let many = identities.iter().filter_map(|identity| match identity {
                    Identity::One(_) => None,
                    Identity::Many { domain, except } => {
                        Some(Many::compile(domain.as_deref(), except, addressing))
                    }
                });
                let many: Vec<_> = many.collect();
                let excepted = many.iter().map(|many| 1 + many.except.members());
                *weight += ones.members() + excepted.sum::<usize>();
                Self::AnyOf(Box::new(ones), many)
            }
            Condition::Validity(times) => {
                let times = times.iter();
                let read = |(from, until): &(String, String)| {
                    Some((date_time::parse(from)?, date_time::parse(until)?))
                };
                Self::During(times.filter_map(read).collect())
            }
            Condition::IsListMember => Self::Member,
            Condition::ExternalList(anchors) => {
                let lists = anchors.iter().filter_map(|anchor| list(anchor));
                let lists: Vec<_> = lists.collect();
                *weight += lists.iter().map(|list| list.members()).sum::<usize>();
                Self::InLists(lists)
            }
            Condition::OtherIdentity => Self::Other,
            Condition::AnonymousRequest => Self::Anonymous,
            Condition::Sphere(_) | Condition::Unknown(..) => Self::Never,
        }
    }

    /// The condition's name in a ruleset.
    fn name(&self) -> &'static str {
        match self {
            Self::AnyOf(..) => "identity",
            Self::During(_) => "validity",
            Self::Member => "is-list-member",
            Self::InLists(_) => "external-list",
            Self::Other => "other-identity",
            Self::Anonymous => "anonymous-request",
            Self::Never => "sphere, or one that is not known here",
        }
    }

    /// Whether the condition holds; of other-identity it is the caller who knows.
    fn holds(&self, group: &MemberList, asker: &Asker<'_, '_>, addressing: &Addressing) -> bool {
        match self {
            Self::AnyOf(ones, many) => {
                is_in(ones, asker, addressing)
                    || many.iter().any(|many| many.includes(asker, addressing))
            }
            Self::During(times) => {
                let mut times = times.iter();
                times.any(|(from, until)| *from <= asker.now && asker.now < *until)
            }
            Self::Member => is_in(group, asker, addressing),
            Self::InLists(lists) => {
                let mut lists = lists.iter();
                lists.any(|list| is_in(list, asker, addressing))
            }
            Self::Anonymous => asker.anonymous,
            Self::Other => true,
            Self::Never => false,
        }
    }
}

impl Many {
    fn compile(domain: Option<&str>, except: &[Except], addressing: &Addressing) -> Self {
        let ids = except.iter().filter_map(|except| match except {
            Except::Id(id) => Some(id.as_str()),
            Except::Domain(_) => None,
        });
        let domains = except.iter().filter_map(|except| match except {
            Except::Domain(domain) => Some(domain.clone()),
            Except::Id(_) => None,
        });
        Self {
            domain: domain.map(str::to_owned),
            except_domains: domains.collect(),
            except: MemberList::of(ids, addressing),
        }
    }

    fn includes(&self, asker: &Asker<'_, '_>, addressing: &Addressing) -> bool {
        let mut addresses = asker.identity.addresses.iter();
        let is_meant = match &self.domain {
            None => true,
            Some(domain) => addresses.any(|address| is_in_domain(&address.uri, domain)),
        };
        let mut addresses = asker.identity.addresses.iter();
        is_meant
            && !is_in(&self.except, asker, addressing)
            && !addresses.any(|address| {
                let mut domains = self.except_domains.iter();
                domains.any(|domain| is_in_domain(&address.uri, domain))
            })
    }
}

/// Whether the host of `uri` is `domain`, not below it (RFC 4745 §7.1.2).
fn is_in_domain(uri: &Uri<'_>, domain: &str) -> bool {
    matches!(uri, Uri::Sip(sip) if same_host(sip.host, domain.as_bytes()))
}

#[cfg(test)]
mod tests;
