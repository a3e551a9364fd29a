#!/bin/sh
# Tries the packages of the module for Kamailio as an administrator uses them, in fresh Debians with nothing but
# Debian's kamailio:
#
#     ./packaging/try.sh [RELEASE...]        # bookworm and trixie
#
# Installs them, includes the configuration by one line, starts Kamailio by the command line of its unit, and sends
# flow 1; then an upgrade with a message that is not finished, a downgrade, removal, and purge. Needs to be root on
# Debian, debootstrap, unshare, and Rust's cargo. The Debians are kept in target/debian, for the next time; each run
# has a copy, and a network of its own.

set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
cd "$(dirname "$0")/.."
project=$PWD
built=${CARGO_TARGET_DIR:-$project/target}
. ./packaging/make-debian.sh

say() { printf '\n==> %s\n' "$*"; }

fail() {
    printf '\ntry.sh: FAILED: %s\n' "$*" >&2
    if [ -n "${root:-}" ] && [ -s "$root/proxy.log" ]; then tail -n 20 "$root/proxy.log" >&2; fi
    exit 1
}

# expect WHAT COMMAND...: the command has to succeed.
expect() {
    what=$1
    shift
    "$@" || fail "$what: expected \`$*\` to succeed"
    echo "checked: $what"
}

# refuse WHAT COMMAND...: the command has to fail.
refuse() {
    what=$1
    shift
    if "$@" 2>/dev/null; then fail "$what: expected \`$*\` to fail"; fi
    echo "checked: $what"
}

# wait_for WHAT COMMAND...: until the command succeeds, for 20 seconds.
wait_for() {
    what=$1
    shift
    tries=200
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "$what: expected it within 20 seconds"
        sleep 0.1
    done
}

# ---------------------------------------------------------------- before: packages and Debians

prepare_packages() {
    say "Making the packages twice, the second time as a later version"
    for revision in 1 2; do
        CIMF_REVISION=$revision ./packaging/build.sh || fail "the build of the packages failed; the reason is above"
        rm -rf "$work/$revision"
        cp -R "$built/packages" "$work/$revision"
    done
    cargo build --release --package cimf-demo || fail "the build of what plays sender and members failed"
}

# ---------------------------------------------------------------- what an administrator does

in_root() { chroot "$root" "$@"; }

install_packages() {
    cp "$work/$1"/*.deb "$root/root/"
    in_root sh -c "cd /root && apt-get install -qq -y --allow-downgrades --no-install-recommends \
        ./kamailio-cimf-module_*-$1_*.deb ./cimfctl_*-$1_*.deb" || fail "apt-get install of revision $1"
}

# As systemd reads it: the last ExecStart of the unit and of what is dropped in, with the variables of all.
start_proxy() {
    unit=$root/usr/lib/systemd/system/kamailio.service
    set -- "$unit"
    for file in "$unit.d"/*.conf; do [ ! -e "$file" ] || set -- "$@" "$file"; done
    variables=$(sed -n "s/^Environment=//p" "$@" | tr '\n' ' ')
    command=$(sed -n 's/^ExecStart=//p' "$@" | tail -n 1)
    echo "$command"
    install -d -m 770 "$root/run/kamailio"
    in_root chown kamailio:kamailio /run/kamailio
    rm -f "$root/run/kamailio/kamailio.pid"
    chroot --userspec=kamailio:kamailio "$root" sh -c "export $variables; exec $command -E" >"$root/proxy.log" 2>&1 ||
        fail "Kamailio does not start"
    wait_for "Kamailio has written its process id" test -s "$root/run/kamailio/kamailio.pid"
    process=$(cat "$root/run/kamailio/kamailio.pid")
    wait_for "Kamailio answers kamcmd" answers_commands
    head -n 1 "$root/version.txt"
}

stop_proxy() {
    [ -n "${process:-}" ] || return 0
    kill "$process" 2>/dev/null || true
    wait_for "Kamailio has stopped" has_ended "$process"
    process=
}

answers_commands() { in_root kamcmd core.version >"$root/version.txt" 2>/dev/null; }

counts() { in_root kamcmd cimf.stats 2>/dev/null | grep -q accepted; }

has_ended() { ! kill -0 "$1" 2>/dev/null; }

listens() { ss -ltn | grep -q "127.0.0.1:$1 "; }

play() { "$built/release/flow_one" "$@" >"$root/player.log" 2>&1 || { cat "$root/player.log"; false; }; }

count_groups() { [ "$(in_root cimfctl group list | wc -l)" = "$1" ]; }

owned_by_kamailio() { [ "$(in_root stat -c %U:%G "$1")" = kamailio:kamailio ]; }

# ---------------------------------------------------------------- the trial of one Debian, in its own network

try_release() {
    ip link set lo up
    mount -t tmpfs tmpfs "$root/dev/shm"
    mount -t devpts devpts "$root/dev/pts"
    trap 'stop_proxy' EXIT
    core_port=5070
    group=sip:hikers@im.home1.net

    say "$release: installing"
    install_packages 1
    for path in /var/lib/cimf /var/lib/cimf/cimf.db; do
        expect "$path belongs to Kamailio" owned_by_kamailio "$path"
    done
    expect "cimf(7) and cimfctl(8) are there" test -e "$root/usr/share/man/man7/cimf.7.gz" -a -e "$root/usr/share/man/man8/cimfctl.8.gz"

    say "$release: the settings, one line in kamailio.cfg, and a group"
    sed -i -e 's/^#!trydef DOMAINS .*/#!define DOMAINS "im.home1.net,home1.net"/' \
        -e 's/^#!trydef TRUSTED_PEERS .*/#!define TRUSTED_PEERS "127.0.0.2"/' \
        -e "s/^#!trydef CORE_ROUTE .*/#!define CORE_ROUTE \"sip:127.0.0.1:$core_port;transport=tcp\"/" \
        -e '1i #!define TRUSTED_NEXT_HOP 1\n#!define SERVER_NAME "imas.home1.net"\n#!define IOI "home1.net"\n#!define DURABILITY "journal"' \
        "$root/etc/kamailio/cimf/cimf.cfg"
    sed -i 's|^request_route {|import_file "/etc/kamailio/cimf/cimf.cfg"\n&|' "$root/etc/kamailio/kamailio.cfg"
    # Not for cimf: so the player sees that Kamailio is there, which answers OPTIONS about its own domain.
    echo 'alias="im.home1.net"' >>"$root/etc/kamailio/kamailio.cfg"
    in_root cimfctl group add "$group" sip:ann@home1.net sip:bob@home1.net tel:+15551230003
    start_proxy
    expect "a group message is sent" play 5060 "$core_port" "$process"
    expect "cimf counts" counts

    say "$release: an upgrade, with a message that is not finished"
    expect "a message is accepted, and its members are silent" play promise 5060 "$core_port"
    stop_proxy
    install_packages 2
    expect "the group is still there" count_groups 1
    # It goes on as soon as Kamailio is there.
    play receive "$core_port" 2 &
    members=$!
    wait_for "the members are there" listens "$core_port"
    start_proxy
    expect "the members receive what was not finished" wait "$members"
    expect "a group message is sent" play deliver 5060 "$core_port" 2
    stop_proxy

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
    refuse "nothing is left" find "$root/var/lib/cimf" "$root/etc/kamailio/cimf" -maxdepth 0
    start_proxy
    stop_proxy
    say "$release: everything went well"
}

if [ "${1:-}" = --in-own-network ]; then
    release=$2 root=$3 work=$4
    try_release
    exit 0
fi

[ "$(id -u)" -eq 0 ] || fail "expected to be run by root, as debootstrap and chroot want"
command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
[ "$#" -gt 0 ] || set -- bookworm trixie
work=$(mktemp -d "${TMPDIR:-/tmp}/cimf-try-XXXXXX")
unfinished_debian=
trap 'rm -rf --one-file-system "$work" ${unfinished_debian:+"$unfinished_debian"}' EXIT
prepare_packages
for release; do
    say "Looking for a Debian $release with its kamailio"
    make_debian "$release" "$built/debian/$release" kamailio || fail "the reason is above"
    cp -a "$built/debian/$release" "$work/$release"
    unshare --net --mount "./packaging/try.sh" --in-own-network "$release" "$work/$release" "$work"
done
