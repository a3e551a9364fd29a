# shellcheck shell=sh
# For try.sh and its siblings: what they share. The folder of the project is the current one, $proxy is kamailio or
# opensips, and $log_option has it write its log to the standard error output.
#
#     try_options "$@"             reads the options: $services is `commands`, or `systemd` with --systemd
#     prepare_packages             makes the packages in $work/1, as a later version in $work/2, and what plays sender
#                                  and members
#     prepare_debian RELEASE PACKAGE...   in $root a copy of a Debian with these, where no service starts
#     try_alone SCRIPT             runs SCRIPT --alone, in a network of its own, with what is prepared
#     begin_alone "$@"             what that one begins with
#     install_packages REVISION    the module of that version and cimfctl, by apt-get in $root
#     set_kamailio FOLDER, add_group   settings and a group for flow 1
#     start_proxy, stop_proxy      by the command line of the unit, or by systemd
#     try_upgrade                  to revision 2, with a message that is not finished
#     play ARGUMENT..., play_first   the program of demo/; flow 1 with it
#
# `say`, `fail`, `expect`, `refuse` and `wait_for` tell what is done. What is prepared is removed at the end; the Debians
# are kept in target/debian, for the next time.

. ./packaging/make-debian.sh

export LC_ALL=C DEBIAN_FRONTEND=noninteractive
built=${CARGO_TARGET_DIR:-$PWD/target}
# Where the members are.
core_port=5070

say() { printf '\n==> %s\n' "$*"; }

fail() {
    printf '\n%s: FAILED: %s\n' "${0##*/}" "$*" >&2
    if [ -n "${leader:-}" ]; then in_root journalctl --no-pager --lines 30 >&2; fi
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

try_options() {
    services=commands
    if [ "${1:-}" = --systemd ]; then services=systemd; fi
    prepare_work
    if [ "$services" = systemd ]; then
        command -v systemd-nspawn >/dev/null || fail "systemd-nspawn is missing: apt-get install systemd-container"
    fi
}

prepare_work() {
    [ "$(id -u)" -eq 0 ] || fail "expected to be run by root, as debootstrap and chroot want"
    command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
    work=$(mktemp -d "${TMPDIR:-/tmp}/cimf-try-XXXXXX")
    unfinished_debian=
    trap 'rm -rf --one-file-system "$work" ${unfinished_debian:+"$unfinished_debian"}' EXIT
}

prepare_packages() {
    say "Making the packages twice, the second time as a later version"
    for revision in 1 2; do
        CIMF_REVISION=$revision ./packaging/build.sh || fail "the build of the packages failed; the reason is above"
        cp -R "$built/packages" "$work/$revision"
    done
    cargo build --release --package cimf-demo || fail "the build of what plays sender and members failed"
}

prepare_debian() {
    release=$1
    shift
    name=$release-$proxy
    if [ "$services" = systemd ]; then
        name=$name-systemd
        set -- "$@" systemd-sysv dbus
    fi
    say "Looking for a Debian $release with $*"
    make_debian "$release" "$built/debian/$name" "$@" || fail "the reason is above"
    root=$work/$name
    cp -a "$built/debian/$name" "$root"
}

try_alone() { unshare --net --mount "$1" --alone "$services" "$release" "$root" "$work"; }

begin_alone() {
    services=$2 release=$3 root=$4 work=$5
    process=
    leader=
    ip link set lo up
    trap end_alone EXIT
    case $services in
        systemd) boot ;;
        commands)
            mount -t tmpfs tmpfs "$root/dev/shm"
            mount -t devpts devpts "$root/dev/pts"
            mount -t proc proc "$root/proc"
            ;;
    esac
}

end_alone() {
    status=$?
    trap - EXIT
    if [ -n "$leader" ]; then
        # As `poweroff` does it.
        kill -s RTMIN+4 "$leader" || true
        wait "$machine" || true
    elif [ -n "$process" ]; then
        kill "$process" || true
    fi
    exit "$status"
}

# With the network that is here already, and without asking the host's systemd, if it has one.
boot() {
    say "$release: starting its systemd"
    systemd-nspawn --quiet --register=no --keep-unit --directory="$root" --boot </dev/null >"$work/console" 2>&1 &
    machine=$!
    wait_for "systemd has begun" first_process
    wait_for "systemd is up" is_up
}

first_process() {
    leader=$(ps -o pid= --ppid "$machine" | tr -d ' ')
    [ -n "$leader" ]
}

is_up() {
    state=$(in_root systemctl is-system-running 2>/dev/null)
    # Not everything that Debian starts works in here.
    [ "$state" = running ] || [ "$state" = degraded ]
}

# ---------------------------------------------------------------- what an administrator does

in_root() {
    if [ -n "${leader:-}" ]; then
        nsenter --target "$leader" --mount --uts --ipc --pid --root --wd "$@"
    else
        chroot "$root" "$@"
    fi
}

# set_kamailio FOLDER: the settings in cimf.cfg, and one line in kamailio.cfg.
set_kamailio() {
    sed -i -e 's/^#!trydef DOMAINS .*/#!define DOMAINS "im.home1.net,home1.net"/' \
        -e 's/^#!trydef TRUSTED_PEERS .*/#!define TRUSTED_PEERS "127.0.0.2"/' \
        -e "s/^#!trydef CORE_ROUTE .*/#!define CORE_ROUTE \"sip:127.0.0.1:$core_port;transport=tcp\"/" \
        -e '1i #!define TRUSTED_NEXT_HOP 1\n#!define SERVER_NAME "imas.home1.net"\n#!define IOI "home1.net"\n#!define DURABILITY "journal"' \
        "$1/cimf/cimf.cfg"
    sed -i 's|^request_route {|import_file "/etc/kamailio/cimf/cimf.cfg"\n&|' "$1/kamailio.cfg"
    # Not for cimf: so the player sees that Kamailio is there, which answers OPTIONS about its own domain.
    echo 'alias="im.home1.net"' >>"$1/kamailio.cfg"
}

add_group() { in_root cimfctl group add sip:hikers@im.home1.net sip:ann@home1.net sip:bob@home1.net tel:+15551230003; }

install_packages() {
    cp "$work/$1"/*.deb "$root/root/"
    in_root sh -c "cd /root && apt-get install -qq -y --allow-downgrades --no-install-recommends \
        ./$proxy-cimf-module_*-$1_*.deb ./cimfctl_*-$1_*.deb" || fail "apt-get install of revision $1"
    if [ "$services" = systemd ]; then
        expect "systemd has read the files of the package" is_true "$(in_root systemctl show -P NeedDaemonReload "$proxy")" no
        expect "systemd finds nothing wrong with them" in_root systemd-analyze --man=no verify "$proxy.service"
    fi
}

# From revision 1, which runs, to 2; the proxy is stopped in the end.
try_upgrade() {
    say "$release: an upgrade, with a message that is not finished"
    expect "a message is accepted, and its members are silent" play promise 5060 "$core_port"
    stop_proxy
    install_packages 2
    expect "the group is still there" count_groups 1
    # It goes on as soon as the proxy is there.
    play receive "$core_port" 2 &
    members=$!
    wait_for "the members are there" listens "$core_port"
    start_proxy
    expect "the members receive what was not finished" wait "$members"
    expect "a group message is sent" play deliver 5060 "$core_port" 2
    stop_proxy
}

is_true() { [ "$1" = "$2" ]; }

start_proxy() {
    case $services in
        systemd)
            in_root systemctl restart "$proxy" || fail "systemd does not start $proxy"
            ;;
        commands)
            unit_command
            echo "$command"
            install -d -m 770 "$root/run/$proxy"
            in_root chown "$proxy:$proxy" "/run/$proxy"
            rm -f "$root/run/$proxy/$proxy.pid"
            chroot --userspec="$proxy:$proxy" "$root" sh -c "export $variables; exec $command $log_option" >"$root/proxy.log" 2>&1 ||
                fail "$proxy does not start"
            ;;
    esac
    wait_for "$proxy has written its process id" in_root test -s "/run/$proxy/$proxy.pid"
    process=$(in_root cat "/run/$proxy/$proxy.pid")
    wait_for "$proxy answers commands" answers_commands
}

# As systemd reads it: the last ExecStart of the unit and of what is dropped in, with the variables of all. Those of
# files count more than those of units.
unit_command() {
    unit=$root/usr/lib/systemd/system/$proxy.service
    set -- "$unit"
    for file in "$unit.d"/*.conf; do [ ! -e "$file" ] || set -- "$@" "$file"; done
    variables=$(sed -n 's/^Environment=//p' "$@" | tr '\n' ' ')
    for file in $(sed -n 's/^EnvironmentFile=-//p' "$@"); do
        [ ! -f "$root$file" ] || variables="$variables $(grep '^[A-Z_]*=' "$root$file" | tr '\n' ' ')"
    done
    command=$(sed -n 's/^ExecStart=//p' "$@" | tail -n 1 | sed 's|%t|/run|g')
}

stop_proxy() {
    [ -n "$process" ] || return 0
    case $services in
        systemd) in_root systemctl stop "$proxy" || fail "systemd does not stop $proxy" ;;
        commands)
            kill "$process" 2>/dev/null || true
            wait_for "$proxy has stopped" has_ended "$process"
            ;;
    esac
    process=
}

# started_with WORDS: whether the command line of the running proxy has these.
started_with() {
    case $services in
        systemd) in_root cat "/proc/$process/cmdline" ;;
        *) cat "/proc/$process/cmdline" ;;
    esac | tr '\0' ' ' | grep -q -e "$1"
}

# Whose end it notices while it waits for the proxy is seen from here: that process, or the first one of the Debian.
play_first() { play 5060 "$core_port" "${leader:-$process}"; }

play() { "$built/release/flow_one" "$@" >"$work/player.log" 2>&1 || { cat "$work/player.log"; false; }; }

count_groups() { [ "$(in_root cimfctl group list | wc -l)" = "$1" ]; }

owned_by_proxy() { [ "$(in_root stat -c %U:%G "$1")" = "$proxy:$proxy" ]; }

has_ended() { ! kill -0 "$1" 2>/dev/null; }

listens() { ss -ltn | grep -q "127.0.0.1:$1 "; }
