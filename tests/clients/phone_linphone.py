"""Debian's linphonec as a phone for tests/clients; see phone_pjsip.py for what it reads and says.

    python3 phone_linphone.py USER PASSWORD DOMAIN SERVER TRANSPORT [CERTIFICATE]

CERTIFICATE is the file of those that it trusts with TLS.
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

SETTINGS = """\
[sip]
sip_port=0
sip_tcp_port=-2
sip_tls_port={tls_port}
root_ca={certificate}
verify_server_certs=1
verify_server_cn=1
default_proxy=0
register_only_when_network_is_up=0
[proxy_0]
reg_proxy=<sip:{server};transport={transport}>
reg_route=<sip:{server};transport={transport};lr>
reg_identity=sip:{user}@{domain}
reg_expires=3600
reg_sendregister=1
[auth_info_0]
username={user}
passwd={password}
realm={domain}
domain={domain}
"""


def say(*words):
    print(*words, flush=True)


def listen(output):
    registered = False
    for line in output:
        if status := re.search(r"registered(=-?\d+|, identity)", line):
            if registered != status.group(1).startswith(","):
                registered = not registered
                say("registered", 200 if registered else 0)
        elif shown := re.search(r"Message received from (?:\"?([^\"<]*?)\"? )?<?(sips?:[^>: ]+[^>: ]*)>?: (.*)$", line):
            say("message", shown.group(1) or "-", f"<{shown.group(2)}>", shown.group(3))
        elif refused := re.search(r"SSL handshake failed : (.*[Cc]ertificate.*)", line):
            say("refuses", refused.group(1))
        elif "assword for" in line:
            say("asks-for-password", line.strip())


def main(user, password, domain, server, transport, certificate=""):
    # 0 turns a transport off, -2 is any free port.
    tls_port = -2 if transport == "tls" else 0
    with tempfile.TemporaryDirectory(prefix="cimf-linphone-") as folder:
        where = Path(folder)
        (where / ".local/share/linphone").mkdir(parents=True)
        # linphonec writes into its settings when it ends.
        (where / "settings").write_text(SETTINGS.format(**locals()))
        phone = subprocess.Popen(
            ["linphonec", "-c", str(where / "settings")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=dict(os.environ, HOME=folder),
        )
        threading.Thread(target=listen, args=(phone.stdout,), daemon=True).start()

        def tell(line):
            phone.stdin.write(f"{line}\n")
            phone.stdin.flush()

        # linphonec says so only when it is asked.
        ended = threading.Event()

        def ask():
            while not ended.wait(0.5):
                tell("status register")

        threading.Thread(target=ask, daemon=True).start()
        for line in sys.stdin:
            verb, _, rest = line.rstrip("\n").partition(" ")
            if verb == "quit":
                break
            if verb == "send":
                address, _, text = rest.partition(" ")
                tell(f"chat {address} {text}")
        ended.set()
        tell("quit")
        try:
            phone.wait(10)
        except subprocess.TimeoutExpired:
            phone.kill()


main(*sys.argv[1:])
