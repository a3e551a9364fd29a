//! What the rules of a group come to for one originator, told to an administrator.

use super::{ALLOW_ANONYMITY, Asker, Rules, is_in};
use crate::control::group::{Addressing, Group};
use crate::control::observer::Note;
use crate::control::policy::Policy;

impl Group {
    /// What [`Group::permissions`] goes by: the rules, each with whether it applies, or membership.
    pub fn notes_of_permissions(&self, asker: &Asker<'_, '_>, policy: &Policy) -> Vec<Note> {
        let addressing = &policy.addressing;
        match self.rules() {
            Some(rules) => rules.notes(self, asker, policy),
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

impl Rules {
    fn notes(&self, group: &Group, asker: &Asker<'_, '_>, policy: &Policy) -> Vec<Note> {
        let mut notes = Vec::new();
        let send = policy.settings.send_action.as_str();
        self.apply(group, asker, &policy.addressing, |rule, obstacle| {
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
