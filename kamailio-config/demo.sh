#!/bin/sh
# One group message through a stock Kamailio, to watch.
#
#     ./kamailio-config/demo.sh
#     ./kamailio-config/demo.sh --stay     # and a group for your phones afterwards, until Ctrl-C
#
# Needs Debian 12 (or later) and Rust's cargo; installs the rest by apt-get where it is missing. Makes a group of
# three in a temporary folder, starts Kamailio on free ports of loopback, sends flow 1, shows and checks what
# arrives, and stops what it started. With --stay small-site.sh does the rest, in the same temporary folder: it takes
# port 5060 and others of this machine. Touches nothing else.

set -eu
cd "$(dirname "$0")/.."
. ./kamailio-config/demo-steps.sh

demo_options Kamailio "$@"
demo_prepare kamailio:kamailio
kamailio_program=${CIMF_KAMAILIO:-$(find_program kamailio)}
"$kamailio_program" -v | head -n 1
"$kamailio_program" -DD -E -x tlsf -f "$PWD/kamailio-config/kamailio.cfg" -w "$folder" -Y "$folder" \
    -A "LISTEN_UDP=udp:127.0.0.1:$proxy_port" \
    -A "LISTEN_TCP=tcp:127.0.0.1:$proxy_port" \
    -A "CTL_SOCKET=\"unix:$folder/ctl\"" \
    -A "CIMF_MODULE=\"$folder/cimf.so\"" \
    -A "DB_URL=\"sqlite://$folder/cimf.db\"" \
    -A "CORE_ROUTE=\"sip:127.0.0.1:$core_port;transport=tcp\"" \
    -A 'TRUSTED_PEERS="127.0.0.2"' \
    -A "TRUSTED_NEXT_HOP=1" \
    -A 'SERVER_NAME="imas.home1.net"' \
    -A 'IOI="home1.net"' \
    >"$folder/proxy.log" 2>&1 </dev/null &
proxy_process=$!

demo_play "$proxy_process"
"${CIMF_KAMCMD:-$(find_program kamcmd)}" -s "unix:$folder/ctl" cnt.grp_get_all cimf >"$folder/counted" || fail "kamcmd"
grep -v ': 0$' "$folder/counted"
demo_end ./kamailio-config/small-site.sh "$@"
