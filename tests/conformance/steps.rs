//! `cimf_check()`, `cimf_reply()` and `cimf_fork()` for scripts that decide between them, and what `$cimf()` says.

use crate::checks::{
    Before, accepted, is_202, is_refusal, not_ours, nothing_was_sent, refused, sent,
};
use crate::script::{self, setup};
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::proxy::proxy;
use crate::support::rig::{BOB, Rig, TEL};

/// Says everything there is to say, after the word `at`.
fn tell(at: &str) -> String {
    format!(
        "xlog(\"L_NOTICE\", \"{at}: $cimf(code)|$cimf(reason)|$cimf(requirement)|$cimf(group)|$cimf(originator)|$cimf(count).\\n\");\n"
    )
}

/// The three steps, one after the other, with what each of them returned.
const STEPS: &str = r#"
    cimf_check();
    $var(result) = $rc;
    xlog("L_NOTICE", "check gave $var(result);\n");
    if ($var(result) < 0) { sl_send_reply(404, "Not Routed Here"); exit; }
"#;
const REPLY_AND_FORK: &str = r#"
    cimf_reply();
    $var(result) = $rc;
    xlog("L_NOTICE", "reply gave $var(result);\n");
    if ($var(result) == 1) {
        cimf_fork();
        xlog("L_NOTICE", "fork gave $rc;\n");
    }
    exit;
}
"#;

/// The script around the three steps that says what it reads before the answer and in the end.
fn steps_telling_all(transport: Transport) -> Rig {
    let (checked, answered) = (tell("checked"), tell("answered"));
    let script = format!(
        "{STEPS}{checked}{}",
        REPLY_AND_FORK.replace("    exit;", &format!("{answered}    exit;"))
    );
    setup(transport, &script).start()
}

#[track_caller]
fn logged(rig: &Rig, words: &str, times: usize) {
    let log = rig.log();
    let found = log.lines().filter(|line| line.contains(words)).count();
    assert_eq!(found, times, "lines with {words:?}");
}

/// Issue 3, item 9.
pub fn the_three_steps_do_what_cimf_handle_does(transport: Transport) {
    let rig = setup(transport, &format!("{STEPS}{REPLY_AND_FORK}")).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let request = Request::another(&client).sender("sip:dora@home1.net");
    refused(&rig, &mut client, &request, 403);
    for (words, times) in [
        ("check gave 1;", 1),
        ("reply gave 1;", 1),
        ("fork gave 1;", 1),
        ("check gave 2;", 1),
        ("reply gave 2;", 1),
    ] {
        logged(&rig, words, times);
    }
    logged(&rig, "fork gave", 1);
}

/// Issue 3, item 9: before the answer as after it.
pub fn a_script_reads_the_verdict_on_an_accepted_message(transport: Transport) {
    let rig = steps_telling_all(transport);
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let facts = "202|Accepted|<null>|sip:hikers@im.home1.net|sip:ann@home1.net|2.";
    rig.wait_for_log(&format!("checked: {facts}"));
    rig.wait_for_log(&format!("answered: {facts}"));
}

/// Issue 3, item 9: whatever is known of a message that is refused.
pub fn a_script_reads_the_verdict_on_a_refused_message(transport: Transport) {
    let rig = steps_telling_all(transport);
    let mut client = rig.client();
    let request = Request::another(&client).with("Privacy: id");
    refused(&rig, &mut client, &request, 403);
    let facts = "403|Anonymity not allowed|A-8|sip:hikers@im.home1.net|sip:ann@home1.net|<null>.";
    rig.wait_for_log(&format!("checked: {facts}"));
    rig.wait_for_log(&format!("answered: {facts}"));
    let request = Request::another(&client).without("P-Asserted-Identity");
    refused(&rig, &mut client, &request, 403);
    rig.wait_for_log(
        "checked: 403|Originator not authenticated|A-7|sip:hikers@im.home1.net|<null>|<null>.",
    );
}

/// Issue 3, item 9.
pub fn a_script_reads_the_verdict_after_cimf_handle(transport: Transport) {
    let script = format!("cimf_handle();\n{}exit;\n}}", tell("handled"));
    let rig = setup(transport, &script).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_log("handled: 202|Accepted|<null>|sip:hikers@im.home1.net|sip:ann@home1.net|2.");
    let request = Request::another(&client).group("sip:nobody@im.home1.net");
    refused(&rig, &mut client, &request, 404);
    rig.wait_for_log("handled: 404|No such group|A-6|sip:nobody@im.home1.net|<null>|<null>.");
}

/// An answer of its own for one requirement, and cimf's for all others.
const OWN_ANSWER: &str = r#"
    if ($cimf(requirement) == "A-8") {
        t_reply(433, "Anonymity Disallowed");
        exit;
    }
"#;

/// Issue 3, item 9: that is what the steps are for.
pub fn a_script_answers_for_itself(transport: Transport) {
    let rig = setup(transport, &format!("{STEPS}{OWN_ANSWER}{REPLY_AND_FORK}")).start();
    let mut client = rig.client();
    let before = Before::of(&rig);
    let response = client.ask(&Request::another(&client).with("Privacy: id"));
    assert_eq!(response.start, "SIP/2.0 433 Anonymity Disallowed");
    assert!(
        !response.has("Warning"),
        "the module answered too:\n{response}"
    );
    nothing_was_sent(&rig, &mut client, &before);
    let request = Request::another(&client).sender("sip:dora@home1.net");
    let response = client.ask(&request);
    is_refusal(&response, &request, 403);
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}

/// The page of the manual about this proxy: its script does what it says.
pub fn the_script_of_the_manual_works(transport: Transport) {
    let page = match proxy().name() {
        "Kamailio" => include_str!("../../docs/kamailio.md"),
        _ => include_str!("../../docs/opensips.md"),
    };
    let start = page.find("    cimf_check();\n").expect("a script");
    let end = "    exit;\n\n";
    let length = page[start..].find(end).expect("its end") + end.len();
    let script = &page[start..start + length];
    assert!(script.contains("cimf_fork()"), "{script}");
    let rig = setup(transport, &format!("{script}}}")).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let response = client.ask(&Request::another(&client).with("Privacy: id"));
    assert_eq!(response.start, "SIP/2.0 433 Anonymity Disallowed");
    let request = Request::another(&client).sender("sip:dora@home1.net");
    let before = Before::of(&rig);
    let response = client.ask(&request);
    is_refusal(&response, &request, 403);
    nothing_was_sent(&rig, &mut client, &before);
}

/// A-7: the script's identity reaches the check as it reaches `cimf_handle()`.
pub fn an_identity_of_the_script_is_checked(transport: Transport) {
    let steps = STEPS.replace("check()", "check(\"sip:$hdr(Subject)@home1.net\")");
    let rig = setup(transport, &format!("{steps}{REPLY_AND_FORK}"))
        .text("IDENTITY_MODE", "digest")
        .start();
    let mut client = rig.client();
    let asked = |client: &_, user: &str| {
        Request::another(client)
            .without("P-Asserted-Identity")
            .with(&format!("Subject: {user}"))
    };
    let request = asked(&client, "ann");
    sent(&rig, &mut client, &request, 2);
    let request = asked(&client, "dora");
    refused(&rig, &mut client, &request, 403);
}

/// A-10: not even when the script asks for it.
pub fn nothing_is_sent_before_the_202(transport: Transport) {
    let script = format!(
        "{STEPS} cimf_fork(); xlog(\"L_NOTICE\", \"early $rc;\\n\"); if ($hdr(Subject) == \"never\") {{ t_reply(480, \"Never\"); exit; }} {REPLY_AND_FORK}"
    );
    let rig = setup(transport, &script).start();
    let mut client = rig.client();
    let before = Before::of(&rig);
    let response = client.ask(&Request::another(&client).with("Subject: never"));
    assert_eq!(response.status(), 480);
    nothing_was_sent(&rig, &mut client, &before);
    rig.wait_for_log("early -2;");
    rig.wait_for_log("cimf_reply() comes first");
    // The attempt has spoilt nothing.
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}

/// Issue 3, item 9: a verdict is used once.
pub fn each_step_is_taken_once(transport: Transport) {
    let twice = r#"
    cimf_reply();
    cimf_reply();
    xlog("L_NOTICE", "second reply gave $rc;\n");
    cimf_fork();
    cimf_fork();
    xlog("L_NOTICE", "second fork gave $rc;\n");
    exit;
}
"#;
    let rig = setup(transport, &format!("{STEPS}{twice}")).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_log("second reply gave -2;");
    rig.wait_for_log("second fork gave -2;");
    rig.wait_for_log("the message has been answered already");
    rig.wait_for_log("has been sent already");
    // To send what was refused is to send nothing.
    let request = Request::another(&client).sender("sip:dora@home1.net");
    refused(&rig, &mut client, &request, 403);
    rig.wait_for_log("second fork gave 2;");
}

/// A-10: one final answer, and without a 202 no fork.
pub fn after_an_answer_of_the_script_nothing_is_sent(transport: Transport) {
    let own = "t_reply(480, \"Not Now\"); cimf_reply(); xlog(\"L_NOTICE\", \"late $rc;\\n\"); cimf_fork(); xlog(\"L_NOTICE\", \"forked $rc;\\n\"); exit; }";
    let rig = setup(transport, &format!("{STEPS}{own}")).start();
    let mut client = rig.client();
    let before = Before::of(&rig);
    let response = client.ask(&Request::another(&client));
    assert_eq!(response.start, "SIP/2.0 480 Not Now");
    nothing_was_sent(&rig, &mut client, &before);
    assert_eq!(rig.counter("accepted"), 0);
    rig.wait_for_log("late -2;");
    rig.wait_for_log("forked -2;");
}

/// Checks what has no Subject; answers, sends or reads for those whose Subject says so.
const BY_SUBJECT: &str = r#"
    if ($hdr(Subject) == "reply") {
        t_newtran();
        cimf_reply();
        xlog("L_NOTICE", "stolen reply $rc;\n");
    } else if ($hdr(Subject) == "fork") {
        t_newtran();
        cimf_fork();
        xlog("L_NOTICE", "stolen fork $rc;\n");
    } else {
        cimf_check();
        if ($hdr(Subject) == "answered") { cimf_reply(); exit; }
        xlog("L_NOTICE", "first: $cimf(code).\n");
    }
"#;

/// Issue 3, item 9: what one script has dropped is nothing to the next.
pub fn a_verdict_ends_with_its_message(transport: Transport) {
    let script = format!(
        "{}{BY_SUBJECT}{} t_reply(480, \"Dropped\"); exit; }}",
        tell("start"),
        tell("end")
    );
    let rig = setup(transport, &script).start();
    let mut client = rig.client();
    let before = Before::of(&rig);
    assert_eq!(client.ask(&Request::another(&client)).status(), 480);
    rig.wait_for_log("first: 202.");
    for subject in ["reply", "fork"] {
        let request = Request::another(&client).with(&format!("Subject: {subject}"));
        let response = client.ask(&request);
        assert_eq!(response.status(), 480, "\n{response}");
        rig.wait_for_log(&format!("stolen {subject} -2;"));
    }
    nothing_was_sent(&rig, &mut client, &before);
    logged(&rig, "start: <null>|<null>|<null>|<null>|<null>|<null>.", 3);
    logged(&rig, "end: <null>|<null>|<null>|<null>|<null>|<null>.", 2);
    logged(&rig, "has no verdict", 2);
    assert_eq!(rig.counter("accepted"), 0);
    // A verdict that was answered is not sent by another message either.
    let request = Request::another(&client).with("Subject: answered");
    let response = client.ask(&request);
    is_202(&response, &request);
    let request = Request::another(&client).with("Subject: fork");
    assert_eq!(client.ask(&request).status(), 480);
    nothing_was_sent(&rig, &mut client, &before);
}

/// A 202 that leads to nothing is the script's doing, and the log says so when it happens.
pub fn a_message_that_is_answered_and_not_sent_is_logged_at_once(transport: Transport) {
    let rig = setup(transport, &format!("{STEPS} cimf_reply(); exit; }}")).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    let response = client.ask(&request);
    is_202(&response, &request);
    let line = rig.wait_for_log("without cimf_fork()");
    assert!(line.contains("its recipients get nothing"), "{line}");
    // They are told of as all others are.
    let line = rig.wait_for_log("message 1 to <sip:hikers@im.home1.net> is finished");
    assert!(
        line.contains("delivered=0 refused=0 unreachable=0 expired=0 skipped=2; skipped: <"),
        "{line}"
    );
    logged(&rig, "did not receive it: not sent: cancelled", 2);
    assert_eq!(rig.counter("forks_sent"), 0);
    assert_eq!(rig.counter("forks_skipped"), 2);
    assert_eq!(rig.core.count(), 0);
    // A refusal needs no more than its answer.
    let request = Request::another(&client).sender("sip:dora@home1.net");
    refused(&rig, &mut client, &request, 403);
    logged(&rig, "without cimf_fork()", 1);
}

/// In the route for requests of the proxy's own the message is one of our forks.
pub fn the_steps_belong_to_request_route(transport: Transport) {
    let body = format!(
        "cimf_check(); cimf_reply(); cimf_fork(); {}",
        tell("elsewhere")
    );
    let elsewhere = proxy().local_route(&body);
    if !proxy().has_steps_elsewhere() {
        for step in ["check", "reply", "fork"] {
            let route = proxy().local_route(&format!("cimf_{step}();"));
            let setup = setup(transport, &format!("{STEPS}{REPLY_AND_FORK}{route}"));
            script::does_not_start_with(&setup, &format!("cimf_{step}"));
        }
        return;
    }
    let script = format!("{STEPS}{REPLY_AND_FORK}{elsewhere}");
    let rig = setup(transport, &script).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    for step in ["check", "reply", "fork"] {
        rig.wait_for_log(&format!("cimf_{step}() works in request_route only"));
    }
    logged(
        &rig,
        "elsewhere: <null>|<null>|<null>|sip:hikers@im.home1.net|sip:ann@home1.net|<null>.",
        2,
    );
}

/// A.1, row 2: the script goes on as if nothing had been called.
pub fn what_is_not_ours_has_no_verdict(transport: Transport) {
    let script = format!(
        "cimf_check(); xlog(\"L_NOTICE\", \"check gave $rc;\\n\"); {} sl_send_reply(404, \"Not Routed Here\"); exit; }}",
        tell("foreign")
    );
    let rig = setup(transport, &script).start();
    let mut client = rig.client();
    let request = Request::another(&client).without("Accept-Contact");
    not_ours(&rig, &mut client, &request, 404, "Not Routed Here");
    rig.wait_for_log("check gave -1;");
    rig.wait_for_log("foreign: <null>|<null>|<null>|<null>|<null>|<null>.");
}

/// H-3: there is nothing to decide about it.
pub fn a_retransmission_after_tm_has_forgotten_is_answered_by_the_check(transport: Transport) {
    let rig = setup(transport, &format!("{STEPS}{REPLY_AND_FORK}")).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_counter("forks_delivered", 2);
    rig.wait_until_tm_holds_at_most(0);
    let before = Before::of(&rig);
    let again = client.ask(&request);
    is_202(&again, &request);
    nothing_was_sent(&rig, &mut client, &before);
    logged(&rig, "check gave", 1);
}

/// H-3: the check has made a transaction, which repeats whatever is answered in it.
pub fn an_answer_of_the_script_is_repeated_for_retransmissions(transport: Transport) {
    let script = format!("{STEPS} t_reply(480, \"Not Now\"); exit; }}");
    let rig = setup(transport, &script).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    for _ in 0..6 {
        client.send(&request.bytes());
    }
    let first = client.receive();
    assert_eq!(first.start, "SIP/2.0 480 Not Now");
    for _ in 0..5 {
        assert_eq!(client.receive(), first, "the answer that was sent before");
    }
    rig.wait_for_counter("retransmissions", 5);
    logged(&rig, "check gave", 1);
}
