//! What a group allows somebody: by its rules, or by membership where it has none (G-3, G-4).

use super::addressing::Addressing;
use super::group::Group;
use super::observer::Note;
use super::policy::Policy;
use super::rules::{Asker, Rules, is_in};
use super::ruleset::ALLOW_ANONYMITY;

/// What a group allows somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// To send to it.
    pub send: bool,
    /// To stay anonymous (I-6).
    pub anonymity: bool,
}

impl Permissions {
    /// What a group without rules allows: its members may send, and nobody may stay anonymous (G-4).
    pub(super) fn without_rules(is_member: bool) -> Self {
        Self {
            send: is_member,
            anonymity: false,
        }
    }
}

impl Group {
    /// What the group allows `asker`.
    pub fn permissions(&self, asker: &Asker<'_, '_>, policy: &Policy) -> Permissions {
        let addressing = &policy.addressing;
        match self.rules() {
            None => Permissions::without_rules(is_in(self, asker, addressing)),
            Some(rules) => {
                let send = policy.settings.send_action.as_str();
                let [send, anonymity] =
                    rules.allow([send, ALLOW_ANONYMITY], self, asker, addressing);
                Permissions { send, anonymity }
            }
        }
    }

    /// What [`Group::permissions`] goes by: the rules, each with whether it applies, or membership.
    pub fn notes_of_permissions(&self, asker: &Asker<'_, '_>, policy: &Policy) -> Vec<Note> {
        let addressing = &policy.addressing;
        match self.rules() {
            Some(rules) => notes_of_rules(rules, self, asker, policy),
            None if is_in(self, asker, addressing) => {
                let text = "a member of the group, which has no rules: its members may send";
                vec![Note::taken(own_address(self, asker, addressing), text)]
            }
            None => {
                let text = "none of these is a member of the group, which has no rules: only its \
                            members may send";
                vec![Note::left(all_addresses(asker), text)]
            }
        }
    }
}

fn notes_of_rules(
    rules: &Rules,
    group: &Group,
    asker: &Asker<'_, '_>,
    policy: &Policy,
) -> Vec<Note> {
    let mut notes = Vec::new();
    let send = policy.settings.send_action.as_str();
    rules.apply(group, asker, &policy.addressing, |rule, obstacle| {
        let rule_name = format!("rule {}", rule.id);
        notes.push(match obstacle {
            Some(condition) => Note::left(
                rule_name,
                format!("does not apply: its condition {condition} does not hold"),
            ),
            None => {
                let mut allows = Vec::new();
                if rule.allows(send) {
                    allows.push("to send");
                }
                if rule.allows(ALLOW_ANONYMITY) {
                    allows.push("to stay anonymous");
                }
                match allows.as_slice() {
                    [] => Note::left(
                        rule_name,
                        format!("applies, but allows neither {send} nor {ALLOW_ANONYMITY}"),
                    ),
                    allows => Note::taken(
                        rule_name,
                        format!("applies, and allows {}", allows.join(" and ")),
                    ),
                }
            }
        });
    });
    if notes.is_empty() {
        let text = "its ruleset has no rule that can be used (`cimfctl check` says why)";
        notes.push(Note::left(group.uri(), text));
    }
    notes
}

/// The address by which the originator is found in the group.
fn own_address(group: &Group, asker: &Asker<'_, '_>, addressing: &Addressing) -> String {
    let mut addresses = asker.identity.addresses.iter();
    let own = addresses.find(|address| group.has_user(&address.uri, addressing));
    own.map(|own| own.uri.print(crate::sip::uri::Form::Whole))
        .unwrap_or_default()
}

fn all_addresses(asker: &Asker<'_, '_>) -> String {
    let addresses = asker.identity.addresses.iter();
    let printed = addresses.map(|address| address.uri.print(crate::sip::uri::Form::Whole));
    printed.collect::<Vec<_>>().join(", ")
}
