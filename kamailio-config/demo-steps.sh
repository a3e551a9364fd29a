# For demo.sh of each proxy: what both do, before and after the proxy is started. The folder of the project is the
# current one.
#
#     demo_options NAME "$@"           reads the options, and looks for Rust before anything else
#     demo_prepare [PACKAGE...]        what is needed, the build, a temporary $folder with cimf.so and a group,
#                                      and two free ports: $proxy_port, $core_port
#     demo_play PID                    sends flow 1 through the proxy with that process id, and checks it
#     demo_end SCRIPT "$@"             whether the proxy is still there; with --stay one for phones, by SCRIPT
#
# Between demo_prepare and demo_play the demo starts the proxy, with its log in $folder/proxy.log, and leaves its
# process id in $proxy_process: it is stopped at the end, whatever happens.

. ./kamailio-config/install-missing.sh

folder=
proxy_process=

say() { printf '\n==> %s\n' "$*"; }

fail() {
    printf '\ndemo: FAILED: %s\n' "$*" >&2
    if [ -n "$folder" ] && [ -s "$folder/proxy.log" ]; then
        printf '\nThe last lines of the log of %s:\n' "$proxy_name" >&2
        tail -n 20 "$folder/proxy.log" >&2
    fi
    exit 1
}

alive() { kill -0 "$1" 2>/dev/null; }

stop_proxy() {
    if [ -n "$proxy_process" ] && alive "$proxy_process"; then
        say "Stopping $proxy_name (process $proxy_process)"
        kill "$proxy_process" 2>/dev/null || true
        left=50
        while alive "$proxy_process" && [ "$left" -gt 0 ]; do
            sleep 0.1
            left=$((left - 1))
        done
        # Its workers end with it; should it hang, they go one by one.
        if alive "$proxy_process"; then
            for worker in $(ps -o pid= --ppid "$proxy_process"); do kill -9 "$worker" 2>/dev/null || true; done
            kill -9 "$proxy_process" 2>/dev/null || true
        fi
        wait "$proxy_process" 2>/dev/null || true
    fi
    proxy_process=
}

clean_up() {
    status=$?
    trap - EXIT INT TERM HUP
    stop_proxy
    if [ -n "$folder" ]; then
        rm -rf "$folder"
        say "Removed $folder"
    fi
    exit "$status"
}

usage() {
    cat <<END
$0 [--stay [OPTION VALUE]...]

Sends one group message through $proxy_name, and shows and checks what arrives.

  --stay   afterwards $proxy_name stays up for phones, and what to type into them is printed.
           The options behind it are those of small-site.sh but --folder, such as --domain or --port.
END
}

demo_options() {
    proxy_name=$1
    shift
    case ${1:-} in
        "" | --stay) ;;
        --help | -h) usage; exit 0 ;;
        *) usage >&2; fail "$1: expected --stay or nothing" ;;
    esac
    for word; do
        [ "$word" != --folder ] || fail "--folder: the demo keeps nothing, and removes its folder; small-site.sh keeps one"
    done
    need_rust || fail "Rust is needed; what to do is above"
}

demo_prepare() {
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP

    say "Looking for what the demo needs"
    install_missing "$@" gcc:gcc ar:binutils ps:procps header:libc6-dev || fail "not everything that is needed could be installed"

    say "Building cimf.so, cimfctl and the program that plays Ann, bob and the SIP core (five minutes the first time, with 2 cores)"
    cargo build --release --package cimf --package cimf-demo --lib --bins || fail "the build failed; the reason is above"
    built=${CARGO_TARGET_DIR:-target}/release
    case $built in /*) ;; *) built=$PWD/$built ;; esac

    folder=$(mktemp -d "${TMPDIR:-/tmp}/cimf-demo-XXXXXX")
    cp "$built/libcimf.so" "$folder/cimf.so"

    group=sip:hikers@im.home1.net
    say "Making the group $group of ann, bob and a telephone"
    set -x
    "$built/cimfctl" --db "$folder/cimf.db" init
    "$built/cimfctl" --db "$folder/cimf.db" group add "$group" sip:ann@home1.net sip:bob@home1.net tel:+15551230003
    "$built/cimfctl" --db "$folder/cimf.db" group show "$group"
    { set +x; } 2>/dev/null

    ports=$("$built/flow_one" ports) || fail "no free ports"
    proxy_port=${ports% *}
    core_port=${ports#* }
    say "Starting $proxy_name on 127.0.0.1:$proxy_port; its next hop, the SIP core, is 127.0.0.1:$core_port"
}

demo_play() {
    "$built/flow_one" "$proxy_port" "$core_port" "$1" || fail "flow 1 did not go as it should; the reason is above"
    say "What $proxy_name counted"
}

demo_end() {
    alive "$proxy_process" || fail "$proxy_name ended by itself"
    say "The demo went well: one message in, 202 back, one new message for each other member"
    script=$1
    shift
    if [ "${1:-}" = --stay ]; then
        shift
        demo_stay "$@"
    fi
}

# Phones need a registrar and passwords, which the configuration of before, made for a SIP core, has not.
demo_stay() {
    stop_proxy
    # What fails from here on does not stand in it.
    rm "$folder/proxy.log"
    # To be stopped is how it ends.
    trap 'exit 0' INT TERM HUP
    say "$proxy_name again, now with small-site.cfg, which registers phones"
    # Behind this shell, so that a signal is not kept waiting.
    "$script" "$@" --folder "$folder/site" &
    proxy_process=$!
    wait "$proxy_process" || fail "$script: the reason is above"
    proxy_process=
}
