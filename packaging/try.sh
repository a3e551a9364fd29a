#!/bin/sh
# Tries the packages of the module for Kamailio as an administrator uses them, in fresh Debians with nothing but
# Debian's kamailio:
#
#     ./packaging/try.sh [--systemd] [RELEASE...]        # bookworm and trixie
#
# Installs them, includes the configuration by one line, starts Kamailio by the command line of its unit, and sends
# flow 1; then an upgrade with a message that is not finished, a downgrade, removal, and purge. With --systemd the Debian
# is booted by systemd-nspawn, and its systemd starts and stops Kamailio. Needs to be root on Debian, debootstrap,
# unshare, and Rust's cargo. The Debians are kept in target/debian, for the next time; each run has a copy, and a network
# of its own.

set -eu
cd "$(dirname "$0")/.."
proxy=kamailio
log_option=-E
. ./packaging/try-steps.sh

answers_commands() { in_root kamcmd core.version >/dev/null 2>&1; }

counts() { in_root kamcmd cimf.stats 2>/dev/null | grep -q accepted; }

try_release() {
    say "$release: installing"
    install_packages 1
    for path in /var/lib/cimf /var/lib/cimf/cimf.db; do
        expect "$path belongs to Kamailio" owned_by_proxy "$path"
    done
    expect "cimf(7) and cimfctl(8) are there" test -e "$root/usr/share/man/man7/cimf.7.gz" -a -e "$root/usr/share/man/man8/cimfctl.8.gz"

    say "$release: the settings, one line in kamailio.cfg, and a group"
    set_kamailio "$root/etc/kamailio"
    add_group
    start_proxy
    expect "Kamailio runs with tlsf and 256 MB" started_with "-m 256 .*-x tlsf"
    expect "a group message is sent" play_first
    expect "cimf counts" counts

    try_upgrade

    say "$release: a downgrade"
    install_packages 1
    expect "the group is still there" count_groups 1
    start_proxy
    expect "a group message is sent" play deliver 5060 "$core_port" 2
    stop_proxy

    say "$release: removal, with the line left in kamailio.cfg"
    in_root apt-get remove -qq -y kamailio-cimf-module
    refuse "the module is gone" grep -rqs cimf_handle "$root/usr/lib/x86_64-linux-gnu/kamailio/modules"
    expect "the groups are still there" count_groups 1
    start_proxy
    refuse "Kamailio has started without cimf" counts
    stop_proxy

    say "$release: installed again"
    install_packages 2
    start_proxy
    expect "a group message is sent, by the settings of before" play deliver 5060 "$core_port" 2
    stop_proxy

    say "$release: purge, with the line left in kamailio.cfg"
    in_root apt-get purge -qq -y kamailio-cimf-module cimfctl
    for path in /var/lib/cimf /etc/kamailio/cimf; do refuse "$path is gone" test -e "$root$path"; done
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
[ "$#" -gt 0 ] || set -- bookworm trixie
prepare_packages
for release; do
    prepare_debian "$release" kamailio
    try_alone ./packaging/try.sh
done
