"""A phone made with PJSIP's own library, for tests/clients: it registers, sends what it is told on standard
input, and says on standard output what it would show.

    python3 phone_pjsip.py USER PASSWORD DOMAIN SERVER TRANSPORT [CERTIFICATE]

CERTIFICATE is the file of those that it trusts with TLS.

    send ADDRESS TEXT   on standard input sends a message
    quit                ends

    registered CODE
    refuses REASON      the server's certificate
    sent CODE           the answer to a message
    message NAME <ADDRESS> TEXT
"""

import re
import sys
import threading

import pjsua2 as pj


def say(*words):
    print(*words, flush=True)


class Phone(pj.Account):
    """One account. PJSIP shows who sent a message by its From, name and address."""

    def onRegState(self, prm):
        say("registered", prm.code)
        if "certificate" in prm.reason:
            say("refuses", prm.reason)

    def onInstantMessage(self, prm):
        shown = re.match(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^<]*?))\s*<([^>]*)>', prm.fromUri)
        name = (shown.group(1) or shown.group(2) or "") if shown else ""
        address = shown.group(3) if shown else prm.fromUri
        say("message", name or "-", f"<{address}>", prm.msgBody.replace("\n", "\\n"))

    def onInstantMessageStatus(self, prm):
        say("sent", prm.code)


TRANSPORTS = {
    "udp": pj.PJSIP_TRANSPORT_UDP,
    "tcp": pj.PJSIP_TRANSPORT_TCP,
    "tls": pj.PJSIP_TRANSPORT_TLS,
}


def main(user, password, domain, server, transport, certificate=""):
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.logConfig.level = 1
    config.logConfig.consoleLevel = 0
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    endpoint.libInit(config)
    own = pj.TransportConfig()
    own.boundAddress = "127.0.0.1"
    own.tlsConfig.CaListFile = certificate
    own.tlsConfig.verifyServer = True
    endpoint.transportCreate(TRANSPORTS[transport], own)
    endpoint.audDevManager().setNullDev()
    endpoint.libStart()

    account = pj.AccountConfig()
    account.idUri = f'"{user} as it calls itself" <sip:{user}@{domain}>'
    account.regConfig.registrarUri = f"sip:{domain}"
    # Otherwise one try while the server starts anew, and then none for five minutes.
    account.regConfig.retryIntervalSec = 5
    account.regConfig.firstRetryIntervalSec = 1
    account.sipConfig.proxies.append(f"sip:{server};transport={transport};lr")
    account.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, password))
    phone = Phone()
    phone.create(account)

    lines = []
    ended = threading.Event()

    def read():
        for line in sys.stdin:
            lines.append(line.rstrip("\n"))
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    buddies = []
    while True:
        endpoint.libHandleEvents(20)
        while lines:
            verb, _, rest = lines.pop(0).partition(" ")
            if verb == "quit":
                ended.set()
            if verb == "send":
                address, _, text = rest.partition(" ")
                buddy = pj.Buddy()
                settings = pj.BuddyConfig()
                settings.uri = address
                buddy.create(phone, settings)
                message = pj.SendInstantMessageParam()
                message.content = text.replace("\\n", "\n")
                buddy.sendInstantMessage(message)
                buddies.append(buddy)
        if ended.is_set() and not lines:
            break
    del buddies
    phone.shutdown()
    endpoint.libDestroy()


main(*sys.argv[1:])
