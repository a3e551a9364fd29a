#!/usr/bin/env python3
"""Makes conversation.png beside this file: the group's conversation in a browser, as its members see it.

    ./tests/run.sh --all       # once: installs the phones
    python3 docs/picture.py [FILE]
"""

import os
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PHONES = ROOT / "tests/clients"
DOMAIN, GROUP = "example.net", "sip:hikers@example.net"
PORTS = ["--port", "--tls-port", "--web-port", "--secure-web-port", "--copies-port"]


class Phone:
    def __init__(self, *command):
        self.child = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, errors="replace"
        )

    def tell(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def end(self):
        # The end of its input ends it.
        self.child.communicate(timeout=30)

    def wait(self, words):
        for line in self.child.stdout:
            if words in line:
                return
        sys.exit(f"a phone ended before it showed {words!r}")


def stop(site):
    site.terminate()
    site.communicate(timeout=90)


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    numbers = [str(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return numbers


def main(picture=ROOT / "docs/conversation.png"):
    with ExitStack() as at_end:
        folder = at_end.enter_context(tempfile.TemporaryDirectory(prefix="cimf-picture-"))
        ports = dict(zip(PORTS, free_ports(len(PORTS))))
        options = [word for pair in ports.items() for word in pair]
        site = subprocess.Popen(
            [ROOT / "kamailio-config/small-site.sh", "--address", "127.0.0.1", "--users", "ann bob dee", "--folder", folder]
            + options,
            stdout=subprocess.PIPE,
            text=True,
        )
        at_end.callback(stop, site)
        for line in site.stdout:
            if "runs until" in line:
                break
        else:
            sys.exit("small-site.sh did not start")
        passwords = dict(line.split() for line in Path(folder, "passwords").read_text().splitlines())
        built = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), "release")
        for user, name in {"ann": "Ann", "bob": "Bob Li"}.items():
            subprocess.run(
                [built / "cimfctl", "--db", f"{folder}/cimf.db", "member", "name", GROUP, f"sip:{user}@{DOMAIN}", name],
                check=True,
            )
        own = ROOT / "target/clients/bin/python3"
        python = own if own.exists() else sys.executable

        def phone(*command):
            started = Phone(*command)
            at_end.callback(started.end)
            return started

        server = f"127.0.0.1:{ports['--port']}"
        ann, bob = (
            phone(python, PHONES / "phone_pjsip.py", user, passwords[user], DOMAIN, server, "udp") for user in ("ann", "bob")
        )
        browsers = f"ws://127.0.0.1:{ports['--web-port']}"
        dee = phone("node", PHONES / "browser/phone.mjs", "dee", passwords["dee"], DOMAIN, browsers)
        for started in (ann, bob, dee):
            started.wait("registered 200")
        for sender, text in [
            (ann, "Trail closed at the bridge. Meet at the gate."),
            (bob, "I bring the map. Who has a stove?"),
            (dee, "I have one, and coffee."),
            (ann, "Then nine o'clock!"),
        ]:
            sender.tell(f"send {GROUP} {text}")
            dee.wait("sent 202" if sender is dee else text)
        dee.tell(f"picture {Path(picture).resolve()}")


main(*sys.argv[1:])
