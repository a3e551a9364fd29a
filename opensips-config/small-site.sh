#!/bin/sh
# A group for your phones, with a stock OpenSIPS: makes users, passwords, a certificate and a group, starts OpenSIPS
# with small-site.cfg, and prints what to type into a phone. It stays until Ctrl-C.
#
#     CIMF_OPENSIPS=/usr/sbin/opensips ./opensips-config/small-site.sh [--domain example.net]     (--help for all)
#
# Needs an OpenSIPS 3.2 to 4.0 (in CIMF_OPENSIPS, if it is not in PATH; its modules are looked for beside it, or in
# CIMF_OPENSIPS_MODULES) with the modules that small-site.cfg loads, and Rust's cargo; installs the rest by apt-get
# where it is missing.

set -eu
cd "$(dirname "$0")/.."
. ./kamailio-config/small-site-steps.sh
. ./opensips-config/find-modules.sh

site_options "$@"
find_modules
site_prepare

phones=$folder/phones
mkdir -p "$phones"
printf '%s\n' 'table_name(string) table_version(int)' 'subscriber:8' 'location:1013' >"$phones/version"
columns='username(string) domain(string) ha1(string)'
{
    echo "$columns"
    site_digests | while read -r user digest; do echo "$user:$domain:$digest"; done
} >"$phones/subscriber"
[ -e "$phones/location" ] || cat >"$phones/location" <<'END'
contact_id(long,auto) username(string) domain(string,null) contact(string) received(string,null) path(string,null) expires(int) q(double) callid(string) cseq(int) last_modified(int) flags(int) cflags(string,null) user_agent(string) socket(string,null) methods(int,null) sip_instance(string,null) kv_store(string,null) attr(string,null)
END

# An OpenSIPS script takes no settings from outside: here are the lines that differ in a copy of the sample. The port of
# the copies is marked first and set last: the other ports may have its digits.
set_lines() {
    sed -e "s|5062|@COPIES@|g" \
        -e "s|^mpath=.*|mpath=\"$modules/\"|" \
        -e "s|^socket=udp:127.0.0.1:5060|socket=udp:$address:$port|" \
        -e "s|^socket=tcp:127.0.0.1:5060|socket=tcp:$address:$port|" \
        -e "s|^socket=tls:.*|socket=tls:$address:$tls_port|" \
        -e "s|^socket=wss:.*|socket=wss:$address:$secure_web_port|" \
        -e "s|^socket=ws:.*|socket=ws:$address:$web_port|" \
        -e "s|example\.net|$domain|g" \
        -e "s|/etc/opensips/phones|$phones|" \
        -e "s|/etc/opensips/|$folder/|" \
        -e "s|^\(modparam(\"mi_fifo\", \"fifo_name\"\), .*|\1, \"$folder/fifo\")|" \
        -e "s|^\(modparam(\"mi_fifo\", \"reply_dir\"\), .*|\1, \"$folder/\")|" \
        -e "s|^loadmodule \"cimf.so\"|loadmodule \"$folder/cimf.so\"|" \
        -e "s|^\(modparam(\"cimf\", \"db_url\"\), .*|\1, \"sqlite://$folder/cimf.db\")|" \
        -e "s|@COPIES@|$copies_port|g" \
        "opensips-config/$1" >"$folder/$1"
}
set_lines small-site.cfg
set_lines cimf-route.cfg

rm -f "$folder/fifo"
# The FIFO is there once all processes have started.
figures="opensips-cli -o fifo_file=$folder/fifo -o fifo_reply_dir=$folder -x mi cimf_stats"
site_answers() { [ -p "$folder/fifo" ] && [ -n "$(ps -o pid= --ppid "$proxy")" ]; }

say "Starting $("$opensips" -V | head -n 1)"
site_run "$opensips" -F -m 256 -f "$folder/small-site.cfg" -w "$folder"
