//! A site whose script is in Lua or Python: the samples as they stand, and each function with what it returns.

use crate::checks::{accepted, not_ours, refused};
use crate::samples::{relays_for_nobody, relays_no_claims};
use crate::support::client::{Client, Transport, UNTRUSTED};
use crate::support::core::Answer;
use crate::support::flow::Request;
use crate::support::proxy::{leave_out, proxy};
use crate::support::rig::{ANN, BOB, HIKERS, Rig, Setup, TEL};

/// A language for scripts.
struct Language {
    /// Its module.
    module: &'static str,
    /// Where Debian has it.
    package: &'static str,
    /// How Kamailio is told.
    engine: &'static str,
    sample: &'static str,
    /// Calls what the header X-Calls names, and logs what comes of it.
    script: &'static str,
}

const LANGUAGES: [Language; 2] = [
    Language {
        module: "app_lua",
        package: "kamailio-lua-modules",
        engine: "lua",
        sample: "cimf.lua",
        script: r#"
local function value(name)
    return tostring(KSR.pv.get("$cimf(" .. name .. ")") or "nothing")
end

function ksr_request_route()
    if KSR.pv.get("$rm") == "OPTIONS" then
        KSR.sl.send_reply(200, "OK")
        return 1
    end
    local result
    local answered = false
    for name, given in KSR.pv.gete("$hdr(X-Calls)"):gmatch("([%w_]+)%(([^)]*)%)") do
        if given == "" then
            result = KSR.cimf[name]()
        else
            result = KSR.cimf[name](given)
        end
        KSR.notice(name .. ": " .. result .. "|" .. value("code") .. "|" .. value("group") .. "|" .. value("requirement") .. ".\n")
        answered = answered or result == 0 or (result > 0 and (name:find("handle") or name == "reply"))
    end
    if answered then
        KSR.x.exit()
    end
    KSR.sl.send_reply(404, "The End")
    return 1
end

function ksr_tm_event(name)
    KSR.notice("sent: " .. value("group") .. "|" .. value("originator") .. ".\n")
    return 1
end

function ksr_told(event)
    KSR.notice(event .. ": " .. value("id") .. "|" .. value("code") .. "|" .. value("recipient") .. "|" .. KSR.pv.get("$rm") .. ".\n")
    KSR.x.exit()
end
"#,
    },
    Language {
        module: "app_python3",
        package: "kamailio-python3-modules",
        engine: "python",
        sample: "cimf.py",
        script: r#"
import re
import KSR

def value(name):
    found = KSR.pv.get(f"$cimf({name})")
    return "nothing" if found is None else found

def mod_init():
    return Script()

class Script:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, message):
        if KSR.pv.get("$rm") == "OPTIONS":
            KSR.sl.send_reply(200, "OK")
            return 1
        answered = False
        for name, given in re.findall(r"(\w+)\(([^)]*)\)", KSR.pv.gete("$hdr(X-Calls)")):
            function = getattr(KSR.cimf, name)
            result = function(given) if given else function()
            KSR.notice(f"{name}: {result}|{value('code')}|{value('group')}|{value('requirement')}.\n")
            answered |= result == 0 or (result > 0 and ("handle" in name or name == "reply"))
        if not answered:
            KSR.sl.send_reply(404, "The End")
        return 1

    def ksr_tm_event(self, message, name):
        KSR.notice(f"sent: {value('group')}|{value('originator')}.\n")
        return 1

    def ksr_told(self, message, event):
        KSR.notice(f"{event}: {value('id')}|{value('code')}|{value('recipient')}|{KSR.pv.get('$rm')}.\n")
        return 1
"#,
    },
];

impl Language {
    /// Whether the proxy has this language; says so where it has not.
    fn is_there(&self) -> bool {
        let is_kamailio = proxy().name() == "Kamailio";
        let found = is_kamailio && proxy().has_module(self.module);
        if !found {
            leave_out(&format!("no Kamailio with {}", self.package));
            let is_debians = is_kamailio && std::env::var_os("CIMF_KAMAILIO").is_none();
            let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!is_debians || !is_ci, "with CI=true nothing is left out");
        }
        found
    }

    /// The sample with its script as it stands.
    fn sample(&self, transport: Transport) -> Setup {
        let script = proxy().samples().join(self.sample);
        let setup = Setup::new(transport)
            .sample("kemi.cfg")
            .text("SCRIPT", &script.display().to_string());
        match self.engine {
            "python" => setup.word("PYTHON", ""),
            _ => setup,
        }
    }

    /// A proxy with the script of this test, and these further lines of its configuration.
    fn calling(&self, transport: Transport, lines: &str) -> Rig {
        let setup = Setup::new(transport).text("IDENTITY_MODE", "digest");
        let script = setup.folder().join(self.sample);
        std::fs::write(&script, self.script).expect("writing the script");
        let engine = format!(
            "loadmodule \"{0}.so\"\nmodparam(\"{0}\", \"load\", \"{1}\")\n\
             modparam(\"cimf\", \"away\", \"keep\")\nmodparam(\"cimf\", \"copy_mark\", 1)\n{lines}\n\
             kemi.reply_route_callback=\"none\"\ncfgengine \"{2}\"\n",
            self.module,
            script.display(),
            self.engine
        );
        let head = proxy().head();
        let native = head.find("request_route").expect("its route");
        let configuration = format!("{}{engine}", &head[..native]);
        setup.configuration(&configuration).start()
    }
}

/// Each language that is there.
fn languages() -> impl Iterator<Item = Language> {
    LANGUAGES.into_iter().filter(Language::is_there)
}

/// What kamailio.cfg does with the same messages.
pub fn a_script_in_another_language_runs_as_it_is_shipped(transport: Transport) {
    for language in languages() {
        let rig = language.sample(transport).text("AWAY", "keep").start();
        let mut client = rig.client();
        let request = Request::another(&client);
        accepted(&rig, &mut client, &request, &[BOB, TEL]);
        // It is answered again, once, and not sent again.
        client.send(&request.bytes());
        assert_eq!(client.receive().status(), 202);
        client.fence();
        assert_eq!(rig.counter("retransmissions"), 1);
        assert_eq!(rig.core.count(), 2);

        let request = Request::another(&client).sender("sip:dora@home1.net");
        refused(&rig, &mut client, &request, 403);
        let untagged = Request::another(&client).without("Accept-Contact");
        not_ours(&rig, &mut client, &untagged, 403, "Feature Tag Missing");
        let elsewhere = untagged.group("sip:bob@elsewhere.net");
        not_ours(&rig, &mut client, &elsewhere, 404, "Not Routed Here");
        // Nobody but a trusted peer says who they are.
        let mut stranger = rig.client_at(UNTRUSTED);
        let request = Request::another(&stranger);
        refused(&rig, &mut stranger, &request, 403);
        // About a group, and about nothing.
        let mut request = Request::another(&client).set("CSeq", "1 OPTIONS");
        request.start = request.start.replace("MESSAGE", "OPTIONS");
        client.send(&request.bytes());
        let answer = client.receive();
        assert_eq!(answer.status(), 200, "{answer}");
        assert!(answer.one("Allow").contains("MESSAGE"), "{answer}");
        client.fence();

        rig.core.answer("bob", Answer::Code(480));
        let request = Request::another(&client);
        accepted(&rig, &mut client, &request, &[BOB, TEL]);
        rig.wait_for_log(&format!("kept message 2 of {HIKERS} for {BOB}"));
    }
}

/// As safe as kamailio.cfg: nothing is relayed, and who makes a relaying proxy of it relays nobody's claims.
pub fn a_script_in_another_language_relays_for_nobody(transport: Transport) {
    for language in languages() {
        let rig = language.sample(transport).without("TRUSTED_PEERS").start();
        relays_for_nobody(&rig, language.sample);

        let setup = language.sample(transport);
        let path = proxy().samples().join(language.sample);
        let script = std::fs::read_to_string(&path).expect("the script");
        let relay = format!(
            "KSR.pv.sets(\"$du\", \"sip:127.0.0.1:{};transport={}\"); KSR.tm.t_relay()",
            setup.core_port(),
            transport.in_uri()
        );
        let relaying = script.replace("KSR.sl.send_reply(404, \"Not Routed Here\")", &relay);
        assert_ne!(relaying, script);
        let edited = setup.folder().join(language.sample);
        std::fs::write(&edited, relaying).expect("writing the script");
        let rig = setup.text("SCRIPT", &edited.display().to_string()).start();
        relays_no_claims(&rig);
    }
}

/// Sends a message with which the script calls these functions; From is the address that they get, or ann's.
fn calling(client: &mut Client, calls: &str) -> Request {
    let from = calls
        .split(['(', ')'])
        .find(|word| word.contains("@home1.net"));
    let request = Request::another(client)
        .sender(from.unwrap_or(ANN))
        .with(&format!("X-Calls: {calls}"));
    client.send(&request.bytes());
    request
}

/// Each function, what it returns, and what `$cimf()` says then; what the first copy knows of its group.
pub fn every_function_is_called_from_another_language(transport: Transport) {
    for language in languages() {
        let event = "modparam(\"tm\", \"event_callback\", \"ksr_tm_event\")";
        let rig = language.calling(transport, event);
        let mut client = rig.client();
        let mut expect = |calls: &str, code: u16, lines: &[&str]| {
            let request = calling(&mut client, calls);
            let answer = client.receive();
            assert_eq!(answer.status(), code, "{calls}: {answer}");
            for line in lines {
                rig.wait_for_log(line);
            }
            (request, rig.core.count())
        };
        let ann = "(sip:ann@home1.net)";
        let dora = "(sip:dora@home1.net)";
        // With digest the sender is who the script says: nobody, if it says nothing.
        expect("handle()", 403, &["handle: 2|403|sip:hikers@im.home1.net|"]);
        let line = "handle_as: 2|403|sip:hikers@im.home1.net|A-7.";
        expect(&format!("handle_as{dora}"), 403, &[line]);
        let line = "handle_as: 1|202|sip:hikers@im.home1.net|nothing.";
        let (request, _) = expect(&format!("handle_as{ann}"), 202, &[line]);
        rig.wait_for_counter("forks_delivered", 2);
        let line = "retransmission: -1|nothing|nothing|nothing.";
        expect("retransmission()", 404, &[line]);
        expect(
            "is_copy() is_utf8()",
            404,
            &["is_copy: -1|nothing", "is_utf8: 1|nothing"],
        );
        expect("check()", 404, &["check: 2|403|sip:hikers@im.home1.net|"]);
        let calls = format!("check_as{dora} reply()");
        let (_, sent) = expect(&calls, 403, &["check_as: 2|403|", "reply: 2|403|"]);
        assert_eq!(sent, 2);
        let calls = format!("check_as{ann} reply() fork()");
        let lines = ["check_as: 1|202|", "reply: 1|202|", "fork: 1|202|"];
        expect(&calls, 202, &lines);
        rig.wait_for_counter("forks_delivered", 4);
        expect("deliver(sip:bob@home1.net)", 404, &["deliver: -1|nothing"]);
        // A retransmission has been answered, and the script goes on all the same.
        client.send(&request.bytes());
        assert_eq!(client.receive().status(), 202);
        rig.wait_for_log("handle_as: 0|nothing|nothing|nothing.");
        client.fence();
        let log = rig.log();
        let told = log.lines().filter(|line| line.contains("sent: ")).count();
        let named = "sent: sip:hikers@im.home1.net|sip:ann@home1.net.";
        assert_eq!((told, log.matches(named).count()), (4, 4), "{log}");
    }
}

/// `event_callback` takes the place of the event routes, and what is kept is delivered.
pub fn another_language_is_told_of_events(transport: Transport) {
    for language in languages() {
        let lines = "modparam(\"cimf\", \"event_callback\", \"ksr_told\")\n\
                     event_route[cimf:finished] { xlog(\"in the native route\\n\"); }";
        let rig = language.calling(transport, lines);
        let mut client = rig.client();
        rig.core.answer("bob", Answer::Code(480));
        rig.core.answer("+15551230003", Answer::Code(603));
        let calls = "handle_as(sip:ann@home1.net)";
        calling(&mut client, calls);
        assert_eq!(client.receive().status(), 202);
        rig.wait_for_log(&format!("cimf:kept: 1|480|{BOB}|MESSAGE."));
        rig.wait_for_log(&format!("cimf:undelivered: 1|603|{TEL}|MESSAGE."));
        rig.wait_for_log("cimf:finished: 1|nothing|nothing|OPTIONS.");
        rig.core.answer("bob", Answer::Code(200));
        calling(&mut client, &format!("deliver({BOB})"));
        assert_eq!(client.receive().status(), 404);
        rig.wait_for_log("deliver: 1|");
        rig.wait_for_log(&format!("cimf:delivered: 1|200|{BOB}|MESSAGE."));
        rig.core.answer("bob", Answer::Code(480));
        calling(&mut client, calls);
        assert_eq!(client.receive().status(), 202);
        rig.wait_for_log(&format!("cimf:kept: 2|480|{BOB}|MESSAGE."));
        rig.kamcmd(&["cimf.kept_drop", BOB]);
        rig.wait_for_log(&format!("cimf:expired: 2|480|{BOB}|MESSAGE."));
        let log = rig.log();
        assert!(!log.contains("in the native route"), "{log}");
        assert!(!log.contains("which the script does not have"), "{log}");
    }
}

/// A function that the script does not have is called in vain, and Kamailio is silent: cimf says it at the start, and not
/// again with each event.
pub fn a_function_for_events_that_is_missing_is_named(transport: Transport) {
    for language in languages() {
        let lines = "modparam(\"cimf\", \"event_callback\", \"ksr_tld\")";
        let rig = language.calling(transport, lines);
        let missing = "event_callback is \"ksr_tld\", which the script does not have: expected ";
        rig.wait_for_log(missing);
        let mut client = rig.client();
        calling(&mut client, "handle_as(sip:ann@home1.net)");
        assert_eq!(client.receive().status(), 202);
        rig.wait_for_counter("forks_delivered", 2);
        rig.wait_for_log("message 1 to <sip:hikers@im.home1.net> is finished");
        let log = rig.log();
        let place = match language.engine {
            "lua" => "a global function of the Lua script",
            _ => "a method of the object that mod_init() of the Python script returns",
        };
        assert!(
            log.contains(&format!("{missing}{place}; no event is told")),
            "{log}"
        );
        assert_eq!(log.matches(missing).count(), 1, "{log}");
    }
}
