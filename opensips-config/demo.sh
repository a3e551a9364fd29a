#!/bin/sh
# One group message through a stock OpenSIPS, to watch.
#
#     CIMF_OPENSIPS=/usr/sbin/opensips ./opensips-config/demo.sh
#     CIMF_OPENSIPS=/usr/sbin/opensips ./opensips-config/demo.sh --stay     # and a group for your phones afterwards
#
# Needs an OpenSIPS 3.2 to 4.0 (in CIMF_OPENSIPS, if it is not in PATH; its modules are looked for beside it, or in
# CIMF_OPENSIPS_MODULES) and Rust's cargo; installs the rest by apt-get where it is missing. Makes a group of three
# in a temporary folder, starts OpenSIPS on free ports of loopback with opensips.cfg, sends flow 1, shows and checks
# what arrives, and stops what it started. With --stay small-site.sh does the rest until Ctrl-C, in the same temporary
# folder: it takes port 5060 and others of this machine. Touches nothing else.

set -eu
cd "$(dirname "$0")/.."
. ./kamailio-config/demo-steps.sh
. ./opensips-config/find-modules.sh

demo_options OpenSIPS "$@"
find_modules
demo_prepare
"$opensips" -V | head -n 1

# An OpenSIPS script takes no settings from outside: here are the lines that differ in a copy of the sample.
set_lines() {
    sed -e "s|^mpath=.*|mpath=\"$modules/\"|" \
        -e "s|^\(socket=[a-z]*\):.*|\1:127.0.0.1:$proxy_port|" \
        -e "s|^\(modparam(\"mi_fifo\", \"fifo_name\"\), .*|\1, \"$folder/fifo\")|" \
        -e "s|^\(modparam(\"mi_fifo\", \"reply_dir\"\), .*|\1, \"$folder/\")|" \
        -e "s|^loadmodule \"cimf.so\"|loadmodule \"$folder/cimf.so\"|" \
        -e "s|^\(modparam(\"cimf\", \"db_url\"\), .*|\1, \"sqlite://$folder/cimf.db\")|" \
        -e "s|^\(modparam(\"cimf\", \"core_route\"\), .*|\1, \"sip:127.0.0.1:$core_port;transport=tcp\")|" \
        -e "s|^\(modparam(\"cimf\", \"trusted_peers\"\), .*|\1, \"127.0.0.2\")|" \
        -e "s|^#*\(modparam(\"cimf\", \"trusted_next_hop\"\), .*|\1, 1)|" \
        -e "s|^#*\(modparam(\"cimf\", \"server_name\"\), .*|\1, \"imas.home1.net\")|" \
        -e "s|^#*\(modparam(\"cimf\", \"ioi\"\), .*|\1, \"home1.net\")|" \
        "opensips-config/$1" >"$folder/$1"
}
set_lines opensips.cfg
set_lines cimf-route.cfg

"$opensips" -F -m 256 -f "$folder/opensips.cfg" -w "$folder" >"$folder/proxy.log" 2>&1 </dev/null &
proxy_process=$!

demo_play "$proxy_process"
mkfifo "$folder/reply"
head -n 1 "$folder/reply" >"$folder/counted" &
reader=$!
printf ':reply:{"jsonrpc":"2.0","id":1,"method":"cimf_stats"}\n' >"$folder/fifo"
wait "$reader" || fail "mi_fifo"
sed 's/.*"result":{//; s/}.*//' "$folder/counted" | tr ',' '\n' | grep -v ':0$' || fail "mi_fifo"
demo_end ./opensips-config/small-site.sh "$@"
