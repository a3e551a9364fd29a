//! What an administrator can do about a message that was refused or left to the script.

use cimf::control::{NotOurs, Reason};

/// What to do about a refusal. The compiler demands an advice for each new reason.
pub fn of_refusal(reason: Reason) -> &'static str {
    match reason {
        Reason::Malformed => {
            "The sending client or a proxy before this one writes broken messages, or the capture \
             was cut or edited (Content-Length counts every byte after the empty line)."
        }
        Reason::AcceptContact => {
            "The client repeats a parameter within one value of Accept-Contact, or sends more than \
             20 values. Fix it in the client."
        }
        Reason::InDialog => {
            "A group message is not part of a dialog: the client has to omit the tag of To."
        }
        Reason::Merged => {
            "The same message arrived on two paths (a merged request). Look for a proxy that forks to \
             this server twice, or for a second DNS record that leads here."
        }
        Reason::TooManyHops => {
            "The message passed too many hops, usually in a loop: look at its Via headers."
        }
        Reason::NoBreadth => {
            "The client or a proxy before this one forbids forking of the message \
             (Max-Breadth: 0); a group message needs at least 1."
        }
        Reason::PagerMode => {
            "If it should be on: pager_mode=1 for the server; for one group or service, add it again \
             without --no-pager-mode (`cimfctl group list` shows the flag)."
        }
        Reason::Scheme => {
            "The client sends to one of its own body parts (cid:): it has to send to the service's \
             address; with draft_list_param=1 the part may be named by the address's parameter `list`."
        }
        Reason::UnknownGroup => {
            "`cimfctl group list` and `cimfctl service list` show all groups and services in the \
             file of db_url. User, port and transport of the address have to match, the user \
             case-sensitively."
        }
        Reason::Extension => {
            "The client requires an extension that this server does not support: switch it off in \
             the client."
        }
        Reason::OptionTagMissing => {
            "The client omits `Require: recipient-list-message`; strict_require=0 allows that."
        }
        Reason::NoIdentity => {
            "With identity_mode=pai, the peer that sends here has to be in trusted_peers, with its \
             transport if one is written there, and has to send P-Asserted-Identity. With digest, \
             the script has to verify credentials and pass the identity to cimf_handle()."
        }
        Reason::BadIdentity => {
            "The trusted peer writes a P-Asserted-Identity that violates RFC 3325. Fix it in that \
             peer."
        }
        Reason::FromMismatch => {
            "From is not the address of the client's user. Fix the client, or set \
             from_mismatch to copy or rewrite."
        }
        Reason::NotAuthorised => {
            "If the sender should be permitted: make them a member (`cimfctl member add GROUP ADDRESS`), \
             change the group's rules (`cimfctl export`, `cimfctl import`), or for a service add \
             them to service_acl. P-Asserted-Identity identifies the sender, not From."
        }
        Reason::Privacy => "The client writes a Privacy header that contradicts itself.",
        Reason::Anonymity => {
            "The standard forbids it. anonymity_policy=group lets a group allow it, by the action \
             allow-anonymity of its rules; with nested=expand the groups in it have to allow it too."
        }
        Reason::NotCleanable => {
            "A body that is a message itself, such as message/cpim, or that is signed names its \
             sender and must not be changed: send without anonymity, or another body."
        }
        Reason::Header => "The client or a proxy writes a broken header field, named above.",
        Reason::Expired => {
            "The message arrived late, or the clocks of sender and server differ. For an old capture \
             give the time of arrival with --at."
        }
        Reason::ContentType => "The client has to describe its body in Content-Type.",
        Reason::Notification => {
            "Notifications about a message go to its sender only, never to a group: \
             the client has to send it there."
        }
        Reason::Loop => {
            "A member of the group is a group of another server, which sends back to this one. Remove \
             one of them from the other. With loop_cache=0 the loop would last until Max-Forwards \
             ends it, with thousands of copies if there are several such groups."
        }
        Reason::BadEntry => {
            "Fix the entry that is named above, or skip such entries with bad_entry=skip."
        }
        Reason::GroupWithList => {
            "A message goes to a group, or to a list at a service, not both. To send to a list, \
             address a service (`cimfctl service list`)."
        }
        Reason::Body => {
            "The client writes a broken body or list, or an ambiguous multipart; the details \
             are above. Fix it in the client."
        }
        Reason::NoList => {
            "A message to a service has a multipart/mixed body with the text in one part and the \
             recipients in another, whose Content-Disposition is recipient-list."
        }
        Reason::ListType => {
            "The list has to be application/resource-lists+xml, neither compressed nor within \
             multipart/signed."
        }
        Reason::ListTooLong => "The list has more than 64 KiB: send several messages.",
        Reason::TooLarge => {
            "Messages outside of a session are short (RFC 3428 §8). If no hop of your network uses \
             UDP, large_ok=1 sends longer ones by TCP or TLS."
        }
        Reason::NobodyListed => {
            "Every entry of the list was skipped; the reason is beside each, above."
        }
        Reason::TooManyRecipients => {
            "Send several messages, or raise max_entries or max_recipients."
        }
        Reason::GroupListed => {
            "A list must not name groups or services of this server: send to the group itself."
        }
        Reason::ForeignListed => {
            "foreign_recipients=allow or foreign_recipients=consent permits services to send there."
        }
        Reason::NoConsent => {
            "When they have consented: `cimfctl consent add SERVICE ADDRESS`, for each that \
             Permission-Missing names."
        }
        Reason::Unavailable => {
            "`cimfctl check` checks the database; the proxy's user has to be able to read and \
             write it and its folder."
        }
        Reason::NotText => {
            "The client has to send text as UTF-8, without Content-Encoding. utf8_only=0 accepts other \
             bodies, if no member is a browser."
        }
        Reason::NoRecipients => {
            "Add members to whom messages can be sent (`cimfctl group show GROUP`); the originator \
             is a recipient only with skip_originator=never."
        }
    }
}

/// What to do about a message that is left to the script.
pub fn of_not_ours(reason: &NotOurs) -> &'static str {
    match reason {
        NotOurs::Unreadable(_) => {
            "Check that the file is a complete SIP request, from its first line on."
        }
        NotOurs::Method => "Only the method MESSAGE is handled.",
        NotOurs::NoImTag => {
            "A client marks a group message with `Accept-Contact: *;+g.oma.sip-im`. If it marks it \
             with another tag, add that to feature_tags; ordinary phones send no tag, and \
             untagged=groups serves them."
        }
        NotOurs::Unknown(_) => {
            "A malformed value of Accept-Contact may have been the one that marks a group \
             message. Fix it in the client."
        }
        NotOurs::Untagged(_) => {
            "To serve phones that send no tag, set untagged=groups. Otherwise the client has to mark \
             the message with `Accept-Contact: *;+g.oma.sip-im`."
        }
        NotOurs::NoGroup => {
            "If it should be a group: `cimfctl group add ADDRESS MEMBER...`. If it is a person's \
             address, your script delivers the message."
        }
        NotOurs::Hidden => {
            "If the sender should be able to use the group: make them a member (`cimfctl member add GROUP \
             ADDRESS`), or let its rules allow them to send."
        }
        NotOurs::Unavailable(_) => "The log line names the database and what is wrong with it.",
        NotOurs::ForeignDomain => {
            "If this server is to serve that domain, add it to domains. The Request-URI decides, \
             not To."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_an_advice_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for &reason in Reason::ALL {
            let advice = of_refusal(reason);
            assert!(
                advice.ends_with('.') && seen.insert(advice),
                "{reason:?}: {advice}"
            );
        }
        assert!(seen.len() > 20);
    }
}
