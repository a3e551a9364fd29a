# cimf.py - what kamailio.cfg's request_route does, in Python. kemi.cfg starts Kamailio with it.
#
# In Kamailio's own language a script ends by itself where cimf answers a retransmission. Python
# goes on: so ask is_handled(), and return if it is. (Python has no KSR.x.exit().)

import KSR


def mod_init():
    return Script()


class Script:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, message):
        method = KSR.pv.get("$rm")

        # Monitors ask whether we are alive. No state is kept for them.
        if method == "OPTIONS":
            # About a group or service? Then it is answered in there.
            if not self.is_handled():
                KSR.sl.send_reply(200, "OK")
            return 1

        # An ACK is never answered; it can only belong to one of our stateless refusals.
        if method == "ACK":
            return 1

        # Group messages.
        if self.is_handled():
            return 1

        # An instant message to our domain that lacks the feature tag g.oma.sip-im: there is nobody
        # behind this proxy who could take it.
        if method == "MESSAGE" and self.is_served(KSR.pv.get("$rd")):
            KSR.sl.send_reply(403, "Feature Tag Missing")
            return 1

        # What belongs to the core, or is only claimed, is taken out before anything is relayed.
        KSR.textops.remove_hf_re(
            "^(P-.*|Remote-Party-ID|Diversion|History-Info|Resource-Priority)$"
        )

        # Everything else. This is the place for a real proxy's routing; as long as there is none,
        # nothing is passed on: an open relay is worse than a 404.
        KSR.sl.send_reply(404, "Not Routed Here")
        return 1

    # Whether it is a group message, or a question about a group or service. If so nothing is left to do.
    def is_handled(self):
        # With identity_mode "digest": KSR.cimf.handle_as(identity), the user whose credentials this
        # script has checked.
        result = KSR.cimf.handle()
        # 1 accepted, 2 refused, 3 OPTIONS answered, 0 a retransmission, answered again, -1 not cimf's.
        # -2, an internal error: nothing was answered, the log says what happened.
        if result == -2:
            KSR.sl.send_reply(500, "Server Internal Error")
        return result != -1

    # Whether a domain is among DOMAINS of cimf-route.cfg, which have quotes around them.
    def is_served(self, domain):
        domains = KSR.pv.gete("$def(DOMAINS)").strip('"')
        return domain is not None and KSR.textops.in_list(domain.lower(), domains, ",") > 0

    # What has become of a copy, or of all copies of a message. The message here is the copy itself.
    def ksr_outcome(self, message, event):
        # The member is away: the place for a push notification.
        if event == "cimf:kept":
            number, group = KSR.pv.get("$cimf(id)"), KSR.pv.get("$cimf(group)")
            recipient = KSR.pv.get("$cimf(recipient)")
            KSR.notice(f"kept message {number} of {group} for {recipient}\n")
        return 1
