#!/bin/sh
# cimf beside what Kamailio and OpenSIPS have for the same task, on this machine in one go:
#
#     ./benches/peers.sh                   everything: some 20 minutes on an idle machine
#     ./benches/peers.sh --quick           does it all work? Under a minute, figures that mean little
#     ./benches/peers.sh --instructions    instructions instead of time: repeatable, however busy the machine
#     ./benches/peers.sh --help            all options
#
#     CIMF_OPENSIPS=/usr/sbin/opensips ./benches/peers.sh                     Kamailio, then OpenSIPS too
#     CIMF_OPENSIPS=/usr/sbin/opensips ./benches/peers.sh --proxy opensips    OpenSIPS only
#
# Those who take part: cimf, the proxy's own module imc, and with Kamailio a loop over tm in the script; with
# --baseline FILE another libcimf.so too, such as the one before a change. All have the same proxy with the same
# configuration (benches/peers/kamailio.cfg, benches/peers/opensips.cfg), the same sender and the same receiver, and
# take turns: A B C A B C. Measured are recipients a second, processor time for each recipient, retransmissions, the
# time until the sender's answer, and memory for each live fork; with the proxy's default memory manager, and with
# Kamailio's `-x tlsf` too. Prints Markdown.
#
# CIMF_OPENSIPS names a binary of OpenSIPS 3.2 to 4.0 with its modules tm, sl, signaling, sipmsgops, mi_fifo, db_text
# and imc; CIMF_OPENSIPS_MODULES their folder, if they are not where OpenSIPS's `make install` puts them.
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
    # Its proxies end with it.
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

# Which proxies: all there are, unless --proxy names one.
proxies="kamailio${CIMF_OPENSIPS:+ opensips}"
before=
for word in "$@"; do
    case $before in
        --proxy) proxies=$word ;;
    esac
    before=$word
    case $word in
        --proxy=*) proxies=${word#--proxy=} ;;
        -h | --help)
            sed -n '2,/^$/s/^# \{0,1\}//p' benches/peers.sh
            proxies=kamailio
            ;;
        --instructions) valgrind=valgrind:valgrind ;;
    esac
done

{
    need_rust || exit 1
    case $proxies in
        *kamailio*) kamailio="kamailio:kamailio kamcmd:kamailio" ;;
    esac
    install_missing ${kamailio:-} gcc:gcc ar:binutils header:libc6-dev ${valgrind:-}
    cargo build --release --lib --bins
    cargo bench --package cimf-benches --bench peers --no-run
} >&2
built=$(cargo bench --package cimf-benches --bench peers --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
[ -x "$built" ] || { echo "peers.sh: cargo does not say where the program peers is" >&2; exit 1; }

# Without any word, the program takes itself for one of `cargo bench`'s.
[ "$#" -gt 0 ] || set -- --parts speed,rate,memory
for parameter in $cimf_parameters; do
    set -- --cimf-parameter "$parameter" "$@"
done
folder=$(mktemp -d "${TMPDIR:-/tmp}/cimf-peers-XXXXXX")
[ -n "${CIMF_OPENSIPS:-}" ] || echo "OpenSIPS does not take part: CIMF_OPENSIPS names no binary" >&2
for proxy in $proxies; do
    case $proxy in
        # The program takes the proxy that the variable names, or else Kamailio.
        kamailio) env -u CIMF_OPENSIPS TMPDIR="$folder" "$built" "$@" & ;;
        *) TMPDIR=$folder "$built" "$@" & ;;
    esac
    program=$!
    wait "$program"
done
