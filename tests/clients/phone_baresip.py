"""Debian's baresip as a phone for tests/clients; see phone_pjsip.py for what it reads and says.

    python3 phone_baresip.py USER PASSWORD DOMAIN SERVER TRANSPORT CERTIFICATE ADDRESS...

CERTIFICATE is the file of those that it trusts with TLS. The addresses are those that it can send to: baresip sends to the contact that was chosen last.
"""

import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:0
sip_cafile {certificate}
module_path /usr/lib/baresip/modules
module stdio.so
module g711.so
module_tmp account.so
module_app contact.so
module_app menu.so
"""


def say(*words):
    print(*words, flush=True)


def listen(output):
    for line in output:
        line = re.sub(r"\x1b\[[0-9;]*m", "", line).split("\r")[-1].strip()
        if registered := re.search(r"\} (\d{3}) .*\[\d+ binding", line):
            say("registered", registered.group(1))
        elif shown := re.match(r'(sips?:\S+): "(.*)"$', line):
            # baresip shows the address and no name.
            say("message", "-", f"<{shown.group(1)}>", shown.group(2))
        elif refused := re.match(r"(\d{3}) [A-Z]", line):
            say("sent", refused.group(1))


def main(user, password, domain, server, transport, certificate, *addresses):
    with tempfile.TemporaryDirectory(prefix="cimf-baresip-") as folder:
        where = Path(folder)
        (where / "config").write_text(CONFIG.format(certificate=certificate))
        (where / "accounts").write_text(
            f"<sip:{user}@{domain};transport={transport}>;auth_user={user};auth_pass={password}"
            f';outbound="sip:{server};transport={transport}"\n'
        )
        (where / "contacts").write_text("".join(f'"C{at}" <{uri}>\n' for at, uri in enumerate(addresses)))
        phone = subprocess.Popen(
            ["baresip", "-f", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        threading.Thread(target=listen, args=(phone.stdout,), daemon=True).start()

        def tell(line):
            phone.stdin.write(f"/{line}\n")
            phone.stdin.flush()

        chosen = 0
        for line in sys.stdin:
            verb, _, rest = line.rstrip("\n").partition(" ")
            if verb == "quit":
                break
            if verb == "send":
                address, _, text = rest.partition(" ")
                wanted = addresses.index(address)
                step = "contact_next" if wanted > chosen else "contact_prev"
                for _ in range(abs(wanted - chosen) or 1):
                    tell(step)
                chosen = wanted
                tell(f"message {text}")
        tell("quit")
        try:
            phone.wait(10)
        except subprocess.TimeoutExpired:
            phone.kill()


main(*sys.argv[1:])
