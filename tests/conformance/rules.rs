//! Who may send by a group's own rules, and groups within groups.

use crate::checks::{accepted, refused, sent, warning};
use crate::lists;
use crate::support::client::{Client, Transport};
use crate::support::flow::Request;
use crate::support::rig::{ANN, BOB, HIKERS, Rig, Setup, TEL};

const EVE: &str = "sip:eve@home2.net";
const CHO: &str = "sip:cho@home2.net";
const DEE: &str = "sip:dee@home1.net";
const WALKERS: &str = "sip:walkers@im.home1.net";
const RUNNERS: &str = "sip:runners@im.home1.net";

const SEND: &str = "allow-initiate-conference";

/// A rule: its conditions, and the action that it allows.
fn rule(conditions: &str, action: &str) -> String {
    format!(
        "<cp:rule id=\"r\"><cp:conditions>{conditions}</cp:conditions>\
         <cp:actions><{action}>true</{action}></cp:actions></cp:rule>"
    )
}

/// Imports the group, with these members and rules, as an administrator does.
#[track_caller]
fn import(rig: &Rig, group: &str, members: &[&str], rules: &str) {
    let entries = members.iter().map(|uri| format!("<entry uri=\"{uri}\"/>"));
    let entries: String = entries.collect();
    let document = format!(
        "<group xmlns=\"urn:oma:xml:poc:list-service\" \
         xmlns:cp=\"urn:ietf:params:xml:ns:common-policy\" \
         xmlns:ocp=\"urn:oma:xml:xdm:common-policy\">\
         <list-service uri=\"{group}\"><list>{entries}</list>\
         <cp:ruleset>{rules}</cp:ruleset></list-service></group>"
    );
    let file = rig.folder().join("group.xml");
    std::fs::write(&file, document).expect("a document");
    rig.cimfctl(&["import", &file.display().to_string()]);
}

#[track_caller]
fn hikers(rig: &Rig, rules: &str) {
    import(rig, HIKERS, &[ANN, BOB, TEL], rules);
}

/// The Warning of the refusal that a message of `sender` gets.
#[track_caller]
fn refused_of(rig: &Rig, client: &mut Client, sender: &str) -> String {
    let request = Request::another(client).sender(sender);
    warning(&refused(rig, client, &request, 403)).to_owned()
}

#[track_caller]
fn accepted_of(rig: &Rig, client: &mut Client, sender: &str, members: &[&str]) {
    let request = Request::another(client).sender(sender);
    accepted(rig, client, &request, members);
}

/// A-7, G-3, G-4.
pub fn a_ruleset_lets_a_stranger_send_and_may_keep_a_member_out(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    assert_eq!(
        refused_of(&rig, &mut client, EVE),
        "Originator not authorised"
    );
    let one = format!("<cp:identity><cp:one id=\"{EVE}\"/></cp:identity>");
    hikers(&rig, &rule(&one, SEND));
    accepted_of(&rig, &mut client, EVE, &[ANN, BOB, TEL]);
    assert_eq!(
        refused_of(&rig, &mut client, ANN),
        "Originator not authorised"
    );
    hikers(&rig, &(rule(&one, SEND) + &rule("<is-list-member/>", SEND)));
    accepted_of(&rig, &mut client, ANN, &[BOB, TEL]);
    hikers(&rig, "");
    assert_eq!(
        refused_of(&rig, &mut client, ANN),
        "Originator not authorised"
    );
}

/// G-3, I-2: one address that is excepted excepts the person.
pub fn an_exception_counts_by_any_of_the_senders_addresses(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let many = "<cp:identity><cp:many domain=\"home1.net\">\
                <cp:except id=\"tel:+1-555-123-0001\"/></cp:many></cp:identity>";
    hikers(&rig, &rule(many, SEND));
    // B0 comes from sip:ann@home1.net, who is tel:+15551230001 too.
    let request = Request::b0(&client);
    refused(&rig, &mut client, &request, 403);
    accepted_of(&rig, &mut client, DEE, &[ANN, BOB, TEL]);
    assert_eq!(
        refused_of(&rig, &mut client, EVE),
        "Originator not authorised"
    );
}

/// G-3.
pub fn a_rule_counts_while_it_is_valid(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let valid = |from: &str, until: &str| {
        let during = format!(
            "<cp:validity><cp:from>{from}</cp:from><cp:until>{until}</cp:until></cp:validity>"
        );
        rule(&during, SEND)
    };
    hikers(&rig, &valid("2001-01-01T00:00:00Z", "2002-01-01T00:00:00Z"));
    assert_eq!(
        refused_of(&rig, &mut client, ANN),
        "Originator not authorised"
    );
    hikers(
        &rig,
        &valid("2001-01-01T00:00:00Z", "2999-01-01T00:00:00+02:00"),
    );
    accepted_of(&rig, &mut client, ANN, &[BOB, TEL]);
    hikers(&rig, &valid("2998-01-01T00:00:00Z", "2999-01-01T00:00:00Z"));
    assert_eq!(
        refused_of(&rig, &mut client, ANN),
        "Originator not authorised"
    );
}

/// G-3, A-8: row 7 looks whether the request is anonymous, row 8 refuses that it is.
pub fn an_anonymous_request_is_told_apart_before_anonymity_is_refused(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    hikers(&rig, &rule("<ocp:anonymous-request/>", SEND));
    assert_eq!(
        refused_of(&rig, &mut client, ANN),
        "Originator not authorised"
    );
    let request = Request::another(&client).with("Privacy: id");
    let response = refused(&rig, &mut client, &request, 403);
    assert_eq!(warning(&response), "Anonymity not allowed");
}

/// Lets each member of the group hide who they are.
#[track_caller]
pub fn let_anybody_stay_anonymous(rig: &Rig) {
    let rules = rule("<is-list-member/>", SEND) + &rule("", "allow-anonymity");
    hikers(rig, &rules);
}

/// A-8, G-4, I-6; T 39: the rule that applies to the sender decides, not one that others have.
pub fn a_rule_lets_some_stay_anonymous_and_others_not(transport: Transport) {
    let rig = Setup::new(transport)
        .text("ANONYMITY_POLICY", "group")
        .number("TRUSTED_NEXT_HOP", 1)
        .start();
    let mut client = rig.client();
    let ann = format!("<cp:identity><cp:one id=\"{ANN}\"/></cp:identity>");
    let members = rule("<is-list-member/>", SEND);
    hikers(&rig, &(members.clone() + &rule(&ann, "allow-anonymity")));
    let request = Request::another(&client).with("Privacy: id");
    let (_, forks) = sent(&rig, &mut client, &request, 2);
    for fork in forks {
        let from = fork.message.one("From");
        assert!(from.contains("<sip:anonymous@anonymous.invalid>"), "{from}");
    }
    let request = Request::another(&client).sender(BOB).with("Privacy: id");
    let response = refused(&rig, &mut client, &request, 403);
    assert_eq!(warning(&response), "Anonymity not allowed");
    hikers(&rig, &members);
    let request = Request::another(&client).with("Privacy: id");
    refused(&rig, &mut client, &request, 403);
}

/// A-8, H-4, I-6: what made somebody a recipient allows it, all of it, or they get no copy.
pub fn an_anonymous_message_goes_around_groups_that_forbid_it(transport: Transport) {
    let rig = Setup::new(transport)
        .text("ANONYMITY_POLICY", "group")
        .text("NESTED", "expand")
        .text("GROUP_WITH_LIST", "union")
        .number("LARGE_OK", 1)
        .number("TRUSTED_NEXT_HOP", 1)
        .group(WALKERS, &[ANN, CHO, TEL])
        .start();
    let mut client = rig.client();
    let everybody = rule("", SEND) + &rule("", "allow-anonymity");
    import(&rig, HIKERS, &[ANN, BOB, TEL, WALKERS], &everybody);
    accepted_of(&rig, &mut client, ANN, &[BOB, TEL, CHO]);
    let mut sent_to = |rig: &Rig, recipients: &[&str]| {
        let request = Request::another(&client).with("Privacy: id");
        let (_, forks) = sent(rig, &mut client, &request, recipients.len());
        let mut found: Vec<_> = forks
            .iter()
            .map(|fork| fork.message.request_uri())
            .collect();
        found.sort_unstable();
        assert_eq!(found, recipients);
    };
    // The number is in both groups.
    sent_to(&rig, &[BOB]);
    rig.wait_for_log("is anonymous, which groups in it do not allow");
    import(&rig, WALKERS, &[ANN, CHO, TEL], &everybody);
    sent_to(&rig, &[BOB, CHO, TEL]);
    import(&rig, WALKERS, &[ANN, CHO, TEL], &rule("", SEND));
    import(&rig, HIKERS, &[ANN, WALKERS], &everybody);
    let request = Request::another(&client).with("Privacy: id");
    let response = refused(&rig, &mut client, &request, 403);
    assert_eq!(warning(&response), "Anonymity not allowed");
    // A list adds others with the word of a service, which is none.
    import(&rig, HIKERS, &[ANN, BOB], &everybody);
    let with_list = |client: &Client, uris: &[&str]| {
        let list = lists::list(&lists::entries(uris));
        let request = lists::message(client, &[lists::TEXT, &list]).group(HIKERS);
        request.with("Privacy: id")
    };
    let request = with_list(&client, &[BOB, DEE]);
    let (_, forks) = sent(&rig, &mut client, &request, 1);
    assert_eq!(forks[0].message.request_uri(), BOB);
    import(&rig, HIKERS, &[ANN], &everybody);
    let request = with_list(&client, &[DEE]);
    let response = refused(&rig, &mut client, &request, 403);
    assert_eq!(warning(&response), "Anonymity not allowed");
}

/// G-4.
pub fn the_action_that_counts_is_the_administrators_choice(transport: Transport) {
    let rig = Setup::new(transport)
        .text("SEND_ACTION", "allow-pager-message")
        .start();
    let mut client = rig.client();
    hikers(&rig, &rule("", SEND));
    assert_eq!(
        refused_of(&rig, &mut client, ANN),
        "Originator not authorised"
    );
    hikers(&rig, &rule("", "allow-pager-message"));
    accepted_of(&rig, &mut client, ANN, &[BOB, TEL]);
}

/// G-3: what an edit by hand has broken lets nobody in.
pub fn a_ruleset_that_cannot_be_read_lets_nobody_send(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let connection = rusqlite::Connection::open(rig.database()).expect("the database");
    let sql = "UPDATE im_group SET ruleset = '<ruleset' WHERE uri = ?1";
    connection.execute(sql, [HIKERS]).expect("SQL");
    assert_eq!(
        refused_of(&rig, &mut client, ANN),
        "Originator not authorised"
    );
    rig.wait_for_log("nobody may send to it, as its ruleset cannot be read");
}

/// H-4.
pub fn t86_members_that_are_groups_or_services_get_nothing(transport: Transport) {
    let rig = Setup::new(transport).group(WALKERS, &[ANN, CHO]).start();
    let mut client = rig.client();
    rig.cimfctl(&["service", "add", "sip:listsvc@im.home1.net"]);
    rig.cimfctl(&["member", "add", HIKERS, WALKERS, "sip:listsvc@im.home1.net"]);
    accepted_of(&rig, &mut client, ANN, &[BOB, TEL]);
}

/// H-4: a circle of three groups; who is in several gets one copy, and each change counts.
pub fn nested_groups_are_expanded_once_each(transport: Transport) {
    let rig = Setup::new(transport)
        .text("NESTED", "expand")
        .group(WALKERS, &[ANN, BOB, CHO, RUNNERS])
        .group(RUNNERS, &[ANN, "SIP:%63ho@HOME2.net", HIKERS])
        .start();
    let mut client = rig.client();
    rig.cimfctl(&["member", "add", HIKERS, WALKERS]);
    accepted_of(&rig, &mut client, ANN, &[BOB, TEL, CHO]);
    rig.cimfctl(&["member", "add", RUNNERS, DEE]);
    accepted_of(&rig, &mut client, ANN, &[BOB, TEL, CHO, DEE]);
    rig.cimfctl(&["group", "del", RUNNERS]);
    // What was a group is an ordinary address now.
    accepted_of(&rig, &mut client, ANN, &[BOB, TEL, CHO, RUNNERS]);
    rig.cimfctl(&["group", "del", WALKERS]);
    accepted_of(&rig, &mut client, ANN, &[BOB, TEL, WALKERS]);
}

/// H-4: a group in a group is sent to only by those who may send to it.
pub fn nested_groups_have_rules_of_their_own(transport: Transport) {
    let rig = Setup::new(transport)
        .text("NESTED", "expand")
        .group(WALKERS, &[BOB, CHO])
        .start();
    let mut client = rig.client();
    rig.cimfctl(&["member", "add", HIKERS, WALKERS]);
    accepted_of(&rig, &mut client, ANN, &[BOB, TEL]);
    accepted_of(&rig, &mut client, BOB, &[ANN, TEL, CHO]);
    // To be in the inner group is not to be in the outer one.
    assert_eq!(
        refused_of(&rig, &mut client, CHO),
        "Originator not authorised"
    );
    import(&rig, WALKERS, &[BOB, CHO], &rule("", SEND));
    accepted_of(&rig, &mut client, ANN, &[BOB, TEL, CHO]);
}

/// H-4, S-3.
pub fn all_nested_groups_share_the_limit_of_members(transport: Transport) {
    let rig = Setup::new(transport)
        .text("NESTED", "expand")
        .number("MAX_MEMBERS", 5)
        .group(WALKERS, &[ANN, CHO])
        .start();
    let mut client = rig.client();
    rig.cimfctl(&["member", "add", HIKERS, WALKERS]);
    let request = Request::another(&client);
    refused(&rig, &mut client, &request, 500);
    rig.wait_for_log("has more members than max_members allows (5)");
    rig.cimfctl(&["member", "del", HIKERS, TEL]);
    accepted_of(&rig, &mut client, ANN, &[BOB, CHO]);
}
