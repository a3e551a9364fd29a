#!/bin/sh
# A group for your phones, with a stock Kamailio: makes users, passwords, a certificate and a group, starts Kamailio
# with small-site.cfg, and prints what to type into a phone. It stays until Ctrl-C.
#
#     ./kamailio-config/small-site.sh [--domain example.net] [--address 192.0.2.7]       (--help for all)
#
# Needs Debian 12 (or later) and Rust's cargo; installs the rest by apt-get where it is missing.

set -eu
cd "$(dirname "$0")/.."
. ./kamailio-config/small-site-steps.sh

site_options "$@"
modules=/usr/lib/x86_64-linux-gnu/kamailio/modules
site_prepare kamailio:kamailio "$modules/db_sqlite.so:kamailio-sqlite-modules" \
    "$modules/tls.so:kamailio-tls-modules" "$modules/websocket.so:kamailio-websocket-modules"

if [ ! -e "$folder/phones.db" ]; then
    for table in standard auth_db usrloc; do
        cat "/usr/share/kamailio/db_sqlite/$table-create.sql"
    done | sqlite3 "$folder/phones.db"
fi
# One process writes where phones are while others read passwords.
sqlite3 "$folder/phones.db" 'PRAGMA journal_mode = WAL; DELETE FROM subscriber' >/dev/null
site_digests | while read -r user digest; do
    echo "INSERT INTO subscriber (username, domain, ha1) VALUES ('$user', '$domain', '$digest');"
done | sqlite3 "$folder/phones.db"
cat >"$folder/tls.cfg" <<END
[server:default]
method = TLSv1.2+
certificate = $folder/certificate.pem
private_key = $folder/key.pem
[client:default]
method = TLSv1.2+
END

kamailio=${CIMF_KAMAILIO:-$(find_program kamailio)}
kamcmd=${CIMF_KAMCMD:-$(find_program kamcmd)}
site_answers() { "$kamcmd" -s "unix:$folder/ctl" cimf.stats >/dev/null 2>&1; }
figures="$kamcmd -s unix:$folder/ctl cimf.stats"

say "Starting $("$kamailio" -v | head -n 1)"
site_run "$kamailio" -DD -E -x tlsf -m 128 -f "$PWD/kamailio-config/small-site.cfg" -w "$folder" -Y "$folder" \
    -A "DOMAIN=\"$domain\"" \
    -A "PHONES=\"sqlite:///$folder/phones.db\"" \
    -A "DB_URL=\"sqlite://$folder/cimf.db\"" \
    -A "CIMF_MODULE=\"$folder/cimf.so\"" \
    -A "CTL_SOCKET=\"unix:$folder/ctl\"" \
    -A "TLS_CONFIG=\"$folder/tls.cfg\"" \
    -A "LISTEN_UDP=udp:$address:$port" \
    -A "LISTEN_TCP=tcp:$address:$port" \
    -A "LISTEN_TLS=tls:$address:$tls_port" \
    -A "LISTEN_WS=tcp:$address:$web_port" \
    -A "LISTEN_WSS=tls:$address:$secure_web_port" \
    -A "LISTEN_COPIES_UDP=udp:127.0.0.1:$copies_port" \
    -A "LISTEN_COPIES_TCP=tcp:127.0.0.1:$copies_port" \
    -A "CORE_ROUTE=\"sip:127.0.0.1:$copies_port\"" \
    -A "CORE_SOCKET=\"udp:127.0.0.1:$copies_port\""
