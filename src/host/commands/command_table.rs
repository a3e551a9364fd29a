//! The commands, the same in every proxy.

#![forbid(unsafe_code)]

use super::command::{Command, Run};
use super::parameter::{Parameter, needed, optional, several};
use super::{
    group_commands, kept_commands, member_commands, node_commands, queue_commands, service_commands,
};

const GROUP: Parameter = needed("group", "GROUP");
const MEMBERS: Parameter = several("members", "MEMBER");
const SERVICE: Parameter = needed("service", "SERVICE");
const ADDRESSES: Parameter = several("addresses", "ADDRESS");
const SET: Parameter = needed("set", "SET");
const COUNT: Parameter = optional("count", "COUNT");
const AFTER: Parameter = optional("after", "AFTER");

const fn command(
    name: &'static str,
    parameters: &'static [Parameter],
    run: Run,
    help: &'static str,
) -> Command {
    Command {
        name,
        help,
        parameters,
        is_list: false,
        run,
    }
}

const fn list(
    name: &'static str,
    parameters: &'static [Parameter],
    run: Run,
    help: &'static str,
) -> Command {
    Command {
        is_list: true,
        ..command(name, parameters, run, help)
    }
}

/// An array of a function for each command, which has the number of the command as its parameter. The compiler holds its
/// length to that of the table.
macro_rules! of_each_command {
    ($function:ident) => {
        $crate::host::commands::of_each_command!($function:
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        )
    };
    ($function:ident: $($number:literal)*) => { [$($function::<$number>),*] };
}
pub(in crate::host) use of_each_command;

/// All of them.
pub static COMMANDS: [Command; 32] = [
    command(
        "stats",
        &[],
        Run::Here(queue_commands::stats),
        "all figures",
    ),
    list(
        "fanouts",
        &[],
        Run::Here(queue_commands::fanouts),
        "lists the messages under way: id, group, originator, seconds since the 202, recipients by state",
    ),
    command(
        "cancel",
        &[needed("id", "ID")],
        Run::Here(queue_commands::cancel),
        "sends no more copies of a message, and says how many recipients get none (skipped), whose copies are under way and still get their answers (in_flight), and had ended before",
    ),
    list(
        "kept",
        &[optional("address", "ADDRESS")],
        Run::Here(kept_commands::kept),
        "lists what is kept for members who are away, or for one of them: id, recipient, group, originator, code, for how many seconds it has been kept and will be; at most 1,000 copies",
    ),
    command(
        "kept_drop",
        &[needed("address", "ADDRESS")],
        Run::Here(kept_commands::kept_drop),
        "drops what is kept for a member, except what is being sent",
    ),
    list(
        "nodes",
        &[],
        Run::Here(node_commands::nodes),
        "lists the nodes that share the ledger (durability=cluster), as they were some seconds ago: node, run, seconds for which its lease holds, unfinished messages, whether it drains",
    ),
    command(
        "drain",
        &[],
        Run::Here(node_commands::drain),
        "refuses new messages with 503 before maintenance, and says how many messages and recipients are still on their way",
    ),
    command(
        "undrain",
        &[],
        Run::Here(node_commands::undrain),
        "accepts them again",
    ),
    list(
        "group_list",
        &[COUNT, AFTER],
        Run::Reads(group_commands::list),
        "lists groups, sorted by address",
    ),
    command(
        "group_show",
        &[GROUP],
        Run::Reads(group_commands::show),
        "shows a group, without its members",
    ),
    command(
        "group_add",
        &[GROUP, optional("name", "NAME")],
        Run::Changes(group_commands::add),
        "adds a group without members; one that is there stays as it is (added=0)",
    ),
    command(
        "group_name",
        &[GROUP, optional("name", "NAME")],
        Run::Changes(group_commands::name),
        "sets the display name of a group; without NAME removes it",
    ),
    command(
        "group_pager_mode",
        &[GROUP, needed("pager_mode", "0|1")],
        Run::Changes(group_commands::pager_mode),
        "has a group refuse messages (0) or accept them (1)",
    ),
    command(
        "group_rename",
        &[GROUP, needed("new", "NEW")],
        Run::Changes(group_commands::rename),
        "gives a group another address; members, names and rules stay",
    ),
    command(
        "group_del",
        &[GROUP],
        Run::Changes(group_commands::delete),
        "deletes a group with its members; one that is not there is gone already (deleted=0)",
    ),
    list(
        "member_list",
        &[GROUP, COUNT, AFTER],
        Run::Reads(member_commands::list),
        "lists the members of a group with their names, sorted by address",
    ),
    list(
        "member_find",
        &[needed("address", "ADDRESS")],
        Run::Reads(member_commands::find),
        "lists the groups that somebody is in, with the address as it is stored there; at most 1,000",
    ),
    command(
        "member_add",
        &[GROUP, MEMBERS],
        Run::Changes(member_commands::add),
        "adds members, all or none; who is one already, in any spelling, stays as they are (existing)",
    ),
    command(
        "member_del",
        &[GROUP, MEMBERS],
        Run::Changes(member_commands::delete),
        "deletes members, all or none; who is none is passed over (missing)",
    ),
    command(
        "member_set",
        &[GROUP, MEMBERS],
        Run::Changes(member_commands::set),
        "makes the members of a group exactly these: adds, deletes and names as that takes",
    ),
    command(
        "member_clear",
        &[GROUP],
        Run::Changes(member_commands::clear),
        "deletes all members of a group",
    ),
    command(
        "member_name",
        &[GROUP, needed("member", "MEMBER"), optional("name", "NAME")],
        Run::Changes(member_commands::name),
        "sets the name of a member; without NAME removes it",
    ),
    command(
        "member_set_begin",
        &[GROUP],
        Run::Reads(member_commands::begin_set),
        "begins a set of members that are given in parts, and gives its name SET",
    ),
    command(
        "member_set_add",
        &[SET, MEMBERS],
        Run::Reads(member_commands::add_to_set),
        "adds members to a set; the group stays as it is",
    ),
    command(
        "member_set_commit",
        &[SET],
        Run::Changes(member_commands::commit_set),
        "makes the members of the group exactly those of the set, as member_set does; a set that is refused stays open",
    ),
    command(
        "member_set_drop",
        &[SET],
        Run::Reads(member_commands::drop_set),
        "drops a set",
    ),
    list(
        "service_list",
        &[COUNT, AFTER],
        Run::Reads(service_commands::list),
        "lists URI-list services, sorted by address",
    ),
    command(
        "service_add",
        &[SERVICE],
        Run::Changes(service_commands::add),
        "adds a URI-list service; one that is there stays as it is (added=0)",
    ),
    command(
        "service_del",
        &[SERVICE],
        Run::Changes(service_commands::delete),
        "deletes a URI-list service with its consents; one that is not there is gone already (deleted=0)",
    ),
    list(
        "consent_list",
        &[SERVICE, COUNT, AFTER],
        Run::Reads(service_commands::consents),
        "lists who has consented to receive messages from a service",
    ),
    command(
        "consent_add",
        &[SERVICE, ADDRESSES],
        Run::Changes(service_commands::add_consents),
        "adds consents, all or none; who has consented already stays as they are",
    ),
    command(
        "consent_del",
        &[SERVICE, ADDRESSES],
        Run::Changes(service_commands::delete_consents),
        "deletes consents; who has not consented is passed over",
    ),
];
