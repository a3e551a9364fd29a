#!/bin/sh
# One group message through a stock Kamailio, to watch.
#
#     ./kamailio-config/demo.sh
#
# Needs Debian 12 (or later) and Rust's cargo; installs the rest by apt-get where it is missing. Makes a group of
# three in a temporary folder, starts Kamailio on free ports of loopback, sends flow 1, shows and checks what
# arrives, and stops what it started. Touches nothing else.

set -eu
cd "$(dirname "$0")/.."
. ./kamailio-config/install-missing.sh

folder=
kamailio=

say() { printf '\n==> %s\n' "$*"; }

fail() {
    printf '\ndemo: FAILED: %s\n' "$*" >&2
    if [ -n "$folder" ] && [ -s "$folder/kamailio.log" ]; then
        printf '\nThe last lines of Kamailio'\''s log:\n' >&2
        tail -n 20 "$folder/kamailio.log" >&2
    fi
    exit 1
}

alive() { kill -0 "$1" 2>/dev/null; }

clean_up() {
    status=$?
    trap - EXIT INT TERM HUP
    if [ -n "$kamailio" ] && alive "$kamailio"; then
        say "Stopping Kamailio (process $kamailio)"
        kill "$kamailio" 2>/dev/null || true
        left=50
        while alive "$kamailio" && [ "$left" -gt 0 ]; do
            sleep 0.1
            left=$((left - 1))
        done
        # Its workers end with it; should it hang, they go one by one.
        if alive "$kamailio"; then
            for worker in $(ps -o pid= --ppid "$kamailio"); do kill -9 "$worker" 2>/dev/null || true; done
            kill -9 "$kamailio" 2>/dev/null || true
        fi
        wait "$kamailio" 2>/dev/null || true
    fi
    [ -z "$folder" ] || rm -rf "$folder"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "Looking for what the demo needs"
command -v cargo >/dev/null || fail "cargo is missing: install Rust from https://rustup.rs"
install_missing kamailio:kamailio gcc:gcc ar:binutils ps:procps header:libc6-dev || fail "not everything that is needed could be installed"
kamailio_program=${CIMF_KAMAILIO:-$(find_program kamailio)}
"$kamailio_program" -v | head -n 1

say "Building cimf.so, cimfctl and the program that plays Ann, bob and the SIP core"
cargo build --release --lib --bins --example flow_one || fail "the build failed; the reason is above"
built=${CARGO_TARGET_DIR:-target}/release
case $built in /*) ;; *) built=$PWD/$built ;; esac

folder=$(mktemp -d "${TMPDIR:-/tmp}/cimf-demo-XXXXXX")
cp "$built/libcimf.so" "$folder/cimf.so"

group=sip:hikers@im.home1.net
say "Making the group $group of ann, bob and a telephone"
set -x
"$built/cimfctl" --db "$folder/cimf.db" init
"$built/cimfctl" --db "$folder/cimf.db" group add "$group" sip:ann@home1.net sip:bob@home1.net tel:+15551230003
"$built/cimfctl" --db "$folder/cimf.db" group show "$group"
{ set +x; } 2>/dev/null

ports=$("$built/examples/flow_one" ports) || fail "no free ports"
proxy=${ports% *}
core=${ports#* }
say "Starting Kamailio on 127.0.0.1:$proxy; its next hop, the SIP core, is 127.0.0.1:$core"
"$kamailio_program" -DD -E -x tlsf -f "$PWD/kamailio-config/kamailio.cfg" -w "$folder" -Y "$folder" \
    -A "LISTEN_UDP=udp:127.0.0.1:$proxy" \
    -A "LISTEN_TCP=tcp:127.0.0.1:$proxy" \
    -A "CTL_SOCKET=\"unix:$folder/ctl\"" \
    -A "CIMF_MODULE=\"$folder/cimf.so\"" \
    -A "DB_URL=\"sqlite://$folder/cimf.db\"" \
    -A "CORE_ROUTE=\"sip:127.0.0.1:$core;transport=tcp\"" \
    -A "TRUSTED_NEXT_HOP=1" \
    -A 'SERVER_NAME="imas.home1.net"' \
    -A 'IOI="home1.net"' \
    >"$folder/kamailio.log" 2>&1 </dev/null &
kamailio=$!

"$built/examples/flow_one" "$proxy" "$core" "$kamailio" || fail "flow 1 did not go as it should; the reason is above"

say "What Kamailio counted"
"${CIMF_KAMCMD:-$(find_program kamcmd)}" -s "unix:$folder/ctl" cnt.grp_get_all cimf || fail "kamcmd"
alive "$kamailio" || fail "Kamailio ended by itself"

say "The demo went well: one message in, 202 back, one new message for each other member"
