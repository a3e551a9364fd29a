#!/bin/sh
# cimf beside what Kamailio has for the same task, on this machine in one go:
#
#     ./benches/peers.sh                   everything: some 20 minutes on an idle machine
#     ./benches/peers.sh --quick           does it all work? Under a minute, figures that mean little
#     ./benches/peers.sh --instructions    instructions instead of time: repeatable, however busy the machine
#     ./benches/peers.sh --help            all options
#
# Those who take part: cimf, Kamailio's module imc, and a loop over tm in the script; with --baseline FILE another
# libcimf.so too, such as the one before a change. All have the same Kamailio with the same configuration
# (benches/peers/kamailio.cfg), the same sender and the same receiver, and take turns: A B C A B C. Measured are
# recipients a second, processor time for each recipient, retransmissions, the time until the sender's answer, and
# memory for each live fork; with Kamailio's default memory manager and with `-x tlsf`. Prints Markdown.
#
# Needs Debian 12 (or later) and Rust's cargo; installs the rest by apt-get where it is missing. Stops what it
# started and touches nothing else.

set -eu
cd "$(dirname "$0")/.."
. ./kamailio-config/install-missing.sh

# cimf's parameters in these runs, besides groups and next hop: NAME=VALUE, separated by blanks. Empty: the defaults,
# which are what users get. --cimf-parameter adds to them.
cimf_parameters=""

folder=
program=

clean_up() {
    status=$?
    trap - EXIT INT TERM HUP
    # Its Kamailios end with it.
    if [ -n "$program" ] && kill -0 "$program" 2>/dev/null; then
        kill "$program" 2>/dev/null || true
        wait "$program" 2>/dev/null || true
        sleep 2
    fi
    [ -z "$folder" ] || rm -rf "$folder"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

for word in "$@"; do
    case $word in
        -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' benches/peers.sh ;;
        --instructions) valgrind=valgrind:valgrind ;;
    esac
done

{
    command -v cargo >/dev/null || { echo "cargo is missing: install Rust from https://rustup.rs"; exit 1; }
    install_missing kamailio:kamailio kamcmd:kamailio gcc:gcc ar:binutils header:libc6-dev ${valgrind:-}
    cargo bench --bench peers --no-run
} >&2
built=$(cargo bench --bench peers --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
[ -x "$built" ] || { echo "peers.sh: cargo does not say where the program peers is" >&2; exit 1; }

# Without any word, the program takes itself for one of `cargo bench`'s.
[ "$#" -gt 0 ] || set -- --parts speed,rate,memory
for parameter in $cimf_parameters; do
    set -- --cimf-parameter "$parameter" "$@"
done
folder=$(mktemp -d "${TMPDIR:-/tmp}/cimf-peers-XXXXXX")
TMPDIR=$folder "$built" "$@" &
program=$!
wait "$program"
