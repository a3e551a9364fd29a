#!/bin/sh
# Tries the package of the module for OpenSIPS, as try.sh does with Kamailio's. Debian has no package opensips, so that
# one is made of a build of yours, with the paths, unit and scripts that its source has for Debian:
#
#     CIMF_OPENSIPS=/usr/local/sbin/opensips CIMF_OPENSIPS_SOURCE=opensips-3.6 ./packaging/try-opensips.sh [--systemd] [RELEASE]
#
# The build has to run on that release, bookworm unless told; its modules are looked for beside it, or in
# CIMF_OPENSIPS_MODULES. The configuration is the one that OpenSIPS comes with, with the two lines of cimf, and TCP.

set -eu
cd "$(dirname "$0")/.."
proxy=opensips
# It is in the configuration.
log_option=
. ./kamailio-config/install-missing.sh
. ./packaging/try-steps.sh
. ./opensips-config/find-modules.sh

# The package opensips, in $work.
make_opensips() {
    say "Making a package of $("$opensips" -V | sed -n "s/^version: //p")"
    source=${CIMF_OPENSIPS_SOURCE:-}
    debian=$source/packaging/debian
    [ -e "$debian/opensips.service" ] || fail "CIMF_OPENSIPS_SOURCE: expected the folder of OpenSIPS's source, found '$source'"
    tree=$work/opensips
    libraries=usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
    install -D "$opensips" "$tree/usr/sbin/opensips"
    mkdir -p "$tree/$libraries/opensips" "$tree/DEBIAN"
    cp -R "$modules" "$tree/$libraries/opensips/modules"
    install -D -m 644 "$debian/opensips.service" "$tree/usr/lib/systemd/system/opensips.service"
    install -D -m 644 "$debian/opensips.default" "$tree/etc/default/opensips"
    install -D -m 644 "$debian/opensips.tmpfile" "$tree/usr/lib/tmpfiles.d/opensips.conf"
    install -D -m 644 "$source/etc/opensips.cfg" "$tree/etc/opensips/opensips.cfg"
    sed -i "s|^mpath=.*|mpath=\"/$libraries/opensips/modules/\"|" "$tree/etc/opensips/opensips.cfg"
    install "$debian/opensips.postinst" "$tree/DEBIAN/postinst"
    printf '%s\n' /etc/default/opensips /etc/opensips/opensips.cfg >"$tree/DEBIAN/conffiles"
    cat >"$tree/DEBIAN/control" <<END
Package: opensips
Version: $("$opensips" -V | sed -n 's/^version: opensips \([0-9.]*\).*/\1/p')-1
Architecture: $(dpkg --print-architecture)
Maintainer: Built from source <root@localhost>
Depends: adduser, procps
Description: OpenSIPS for a trial of its module cimf
END
    dpkg-deb --root-owner-group -Znone --build "$tree" "$work/opensips.deb" >/dev/null
}

answers_commands() { listens 5060 && in_root test -p /run/opensips/opensips_fifo; }

counts() {
    in_root rm -f /tmp/answer
    in_root mkfifo -m 666 /tmp/answer
    # shellcheck disable=SC2016
    in_root timeout 10 sh -c 'cat /tmp/answer & echo ":answer:{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"cimf_stats\"}" >/run/opensips/opensips_fifo; wait' |
        grep -q '"accepted":1'
}

try_release() {
    config=$root/etc/opensips/opensips.cfg

    say "$release: installing"
    cp "$work/opensips.deb" "$root/root/"
    in_root apt-get install -qq -y --no-install-recommends /root/opensips.deb || fail "apt-get install of OpenSIPS"
    install_packages 1
    for path in /var/lib/cimf /var/lib/cimf/cimf.db; do
        expect "$path belongs to OpenSIPS" owned_by_proxy "$path"
    done

    say "$release: the settings, two lines in opensips.cfg, and a group"
    sed -i -e 's/^\(modparam("cimf", "domains", \).*/\1"im.home1.net,home1.net")/' \
        -e 's/^\(modparam("cimf", "trusted_peers", \).*/\1"127.0.0.2")/' \
        -e "s/^\(modparam(\"cimf\", \"core_route\", \).*/\1\"sip:127.0.0.1:$core_port;transport=tcp\")/" \
        -e '$a modparam("cimf", "trusted_next_hop", 1)\nmodparam("cimf", "durability", "journal")' \
        "$root/etc/opensips/cimf/cimf.cfg"
    sed -i -e 's/^stderror_enabled=.*/stderror_enabled=yes/' -e 's/^socket=.*/&\nsocket=tcp:127.0.0.1:5060/' \
        -e 's/^loadmodule "proto_udp.so"/&\nloadmodule "proto_tcp.so"\n\ninclude_file "\/etc\/opensips\/cimf\/cimf.cfg"/' \
        -e 's/^route *{/&\n\troute(CIMF);/' "$config"
    add_group
    start_proxy
    expect "OpenSIPS runs with 256 MB" started_with "-m 256 "
    expect "a group message is sent" play deliver 5060 "$core_port" 2
    expect "cimf counts" counts

    try_upgrade

    say "$release: removal"
    in_root apt-get remove -qq -y opensips-cimf-module >"$work/removal" 2>&1 || fail "apt-get remove"
    expect "it is said that the lines are still there" grep -q "calls cimf still" "$work/removal"
    sed -i -e '/cimf\/cimf.cfg/d' -e '/route(CIMF)/d' "$config"
    expect "the groups are still there" count_groups 1
    start_proxy
    refuse "OpenSIPS has started without cimf" counts
    stop_proxy

    say "$release: purge"
    in_root apt-get purge -qq -y opensips-cimf-module cimfctl
    for path in /var/lib/cimf /etc/opensips/cimf /etc/default/opensips-cimf-module; do
        refuse "$path is gone" test -e "$root$path"
    done
    start_proxy
    stop_proxy
    say "$release: everything went well"
}

if [ "${1:-}" = --alone ]; then
    begin_alone "$@"
    try_release
    exit 0
fi

try_options "$@"
[ "$services" = commands ] || shift
[ "$#" -gt 0 ] || set -- bookworm
find_modules
prepare_packages
make_opensips
for release; do
    prepare_debian "$release" adduser procps
    try_alone ./packaging/try-opensips.sh
done
