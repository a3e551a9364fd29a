#!/usr/bin/env python3
"""Makes conversation.png beside this file: the group's conversation in a browser, as its members see it.

    ./tests/run.sh --all       # once: installs the phones
    python3 docs/picture.py
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PHONES = ROOT / "tests/clients"
DOMAIN, GROUP = "example.net", "sip:hikers@example.net"
PORTS = {"--port": "25060", "--tls-port": "25061", "--web-port": "25088", "--copies-port": "25062"}


class Phone:
    def __init__(self, *command):
        self.child = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, errors="replace"
        )

    def tell(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def wait(self, words):
        for line in self.child.stdout:
            if words in line:
                return
        sys.exit(f"a phone ended before it showed {words!r}")


def main():
    with tempfile.TemporaryDirectory(prefix="cimf-picture-") as folder:
        options = [word for pair in PORTS.items() for word in pair]
        site = subprocess.Popen(
            [ROOT / "kamailio-config/small-site.sh", "--address", "127.0.0.1", "--users", "ann bob dee", "--folder", folder]
            + options,
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in site.stdout:
            if "runs until" in line:
                break
        else:
            sys.exit("small-site.sh did not start")
        passwords = dict(line.split() for line in Path(folder, "passwords").read_text().splitlines())
        for user, name in {"ann": "Ann", "bob": "Bob Li"}.items():
            subprocess.run(
                [ROOT / "target/release/cimfctl", "--db", f"{folder}/cimf.db", "member", "name", GROUP,
                 f"sip:{user}@{DOMAIN}", name],
                check=True,
            )
        own = PHONES / ".." / ".." / "target/clients/bin/python3"
        python = own if own.exists() else sys.executable
        server = f"127.0.0.1:{PORTS['--port']}"
        phones = {
            user: Phone(python, PHONES / "phone_pjsip.py", user, passwords[user], DOMAIN, server, "udp")
            for user in ("ann", "bob")
        }
        browser = Phone(
            "node", PHONES / "browser/phone.mjs", "dee", passwords["dee"], DOMAIN, f"ws://127.0.0.1:{PORTS['--web-port']}"
        )
        for phone in (*phones.values(), browser):
            phone.wait("registered 200")
        for user, text in [
            ("ann", "Trail closed at the bridge. Meet at the gate."),
            ("bob", "I bring the map. Who has a stove?"),
            ("dee", "I have one, and coffee."),
            ("ann", "Then nine o'clock!"),
        ]:
            if user == "dee":
                browser.tell(f"send {GROUP} {text}")
                browser.wait("sent 202")
            else:
                phones[user].tell(f"send {GROUP} {text}")
                browser.wait(text)
        browser.tell(f"picture {ROOT / 'docs/conversation.png'}")
        for phone in (*phones.values(), browser):
            phone.tell("quit")
            phone.child.wait()
        site.terminate()
        site.wait()


main()
