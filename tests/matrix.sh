#!/bin/sh
# The conformance cases against many versions of the proxies, all with one test program and one libcimf.so as it is
# delivered, and a table of what has passed:
#
#     ./tests/matrix.sh                        Kamailio of Debian bookworm, trixie and sid
#     ./tests/matrix.sh trixie /opt/kamailio-5.8/sbin/kamailio /opt/opensips-3.6/sbin/opensips
#     ./tests/matrix.sh sid -- udp::t88 kemi   cases whose names have one of these words
#
# A VERSION is a release of Debian, whose Kamailio runs in a folder made by debootstrap, or the path of a kamailio
# (its kamcmd beside it) or an opensips (its modules where `make install` puts them). Without one: the three above.
# Those that CIMF_KAMAILIO and CIMF_OPENSIPS name are run as well, with the variables that CONTRIBUTING.md says.
#
#     --minutes N    the longest that one version may take (45); what has not ended by then has failed
#     --help         this text
#
#     CIMF_DEBIANS       where the Debians are kept for the next time (cimf/debian in $XDG_CACHE_HOME, or in
#                        ~/.cache); remove one to have it made anew, with what its release has by then
#     CIMF_LIBRARY       another libcimf.so than that of `cargo build --release`
#     CIMF_CIMFCTL       the cimfctl for it
#     CIMF_CASES         another build of the cases than that of `cargo test --profile tests --test conformance`
#     RUST_TEST_THREADS  how many cases run at a time
#
# Prints the table of docs/versions.md on standard output, all else on standard error; each version's output is kept in
# target/matrix. Ends with 0 if nothing has failed, 1 if something has, 2 if it could not run. Needs Rust's cargo, and
# for Debians to be root, and the net the first time; installs the rest by apt-get where it is missing. Stops what it
# started and touches nothing else.

set -eu
export LC_ALL=C
project=$(cd "$(dirname "$0")/.." && pwd)

say() { printf '==> %s\n' "$*" >&2; }

fail() {
    printf 'matrix.sh: %s\n' "$*" >&2
    exit 2
}

running=
unfinished_debian=
work=$(mktemp -d "${TMPDIR:-/tmp}/cimf-matrix-XXXXXX")
clean_up() {
    status=$?
    trap - EXIT INT TERM HUP
    # The test program ends with `timeout`, and the proxies with the test program.
    [ -z "$running" ] || { kill "$running" 2>/dev/null && wait "$running"; } || true
    [ -z "$unfinished_debian" ] || rm -rf --one-file-system "$unfinished_debian"
    rm -rf "$work"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---------------------------------------------------------------- which versions

# Each has a folder in $work. Files in it: `from`, for the table; `environment`, by which the tests find it; `release`,
# if it is Debian's.
count=0
add() {
    count=$((count + 1))
    place=$work/$(printf %02d "$count")
    mkdir "$place"
    echo "$1" >"$place/from"
    # What was set for another version does not count.
    echo "unset CIMF_KAMAILIO CIMF_KAMCMD CIMF_KAMAILIO_MODULES CIMF_OPENSIPS CIMF_OPENSIPS_MODULES" >"$place/environment"
}

# set_for_tests [NAME VALUE]...: variables of the version that was added last; an empty one is left out.
set_for_tests() {
    while [ "$#" -gt 0 ]; do
        [ -z "$2" ] || printf "export %s='%s'\n" "$1" "$2" >>"$place/environment"
        shift 2
    done
}

add_debian() {
    case $1 in
        "" | *[!a-z]*) fail "$1: expected a release of Debian, such as trixie, or the path of a proxy" ;;
    esac
    add "Debian $1"
    echo "$1" >"$place/release"
}

add_program() {
    path=$(realpath -e "$1" 2>/dev/null) || fail "$1: there is no such program"
    [ -x "$path" ] || fail "$1: expected a program that can be run"
    add "own build"
    case ${1##*/} in
        kamailio)
            kamcmd=$(dirname "$path")/kamcmd
            [ -x "$kamcmd" ] || fail "$1: expected its kamcmd beside it; CIMF_KAMAILIO and CIMF_KAMCMD name one elsewhere"
            set_for_tests CIMF_KAMAILIO "$path" CIMF_KAMCMD "$kamcmd"
            ;;
        opensips) set_for_tests CIMF_OPENSIPS "$path" ;;
        *) fail "$1: expected the path of \`kamailio\` or \`opensips\`, or a release of Debian" ;;
    esac
}

minutes=45
while [ "$#" -gt 0 ]; do
    case $1 in
        --help | -h)
            sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
            exit 0
            ;;
        --minutes)
            minutes=${2:-}
            case $minutes in
                "" | 0* | *[!0-9]*) fail "--minutes: expected a number from 1 on, found \`$minutes\`" ;;
            esac
            shift
            ;;
        --)
            shift
            break
            ;;
        -*) fail "$1: expected --minutes or --help" ;;
        */*) add_program "$1" ;;
        *) add_debian "$1" ;;
    esac
    shift
done
# What is left are words of the cases' names.
if [ "$count" -eq 0 ]; then
    for release in bookworm trixie sid; do add_debian "$release"; done
fi
if [ -n "${CIMF_KAMAILIO:-}" ]; then
    add "own build"
    set_for_tests CIMF_KAMAILIO "$CIMF_KAMAILIO" CIMF_KAMCMD "${CIMF_KAMCMD:-}" \
        CIMF_KAMAILIO_MODULES "${CIMF_KAMAILIO_MODULES:-}"
fi
if [ -n "${CIMF_OPENSIPS:-}" ]; then
    add "own build"
    set_for_tests CIMF_OPENSIPS "$CIMF_OPENSIPS" CIMF_OPENSIPS_MODULES "${CIMF_OPENSIPS_MODULES:-}"
fi

# ---------------------------------------------------------------- one library and one test program for all

cd "$project"
. ./kamailio-config/install-missing.sh
. ./packaging/make-debian.sh

say "looking for what is needed"
install_missing openssl:openssl cc:gcc header:libc6-dev >&2 || exit 2

built=${CARGO_TARGET_DIR:-target}
mkdir -p "$built/matrix"
built=$(realpath "$built")
if [ -z "${CIMF_LIBRARY:-}" ] || [ -z "${CIMF_CIMFCTL:-}" ]; then
    say "building the product as it is delivered"
    need_rust || exit 2
    cargo build --release --lib --bins >&2 || fail "the build of the product has failed; the reason is above"
fi
if [ -z "${CIMF_CASES:-}" ]; then
    say "building the cases"
    need_rust || exit 2
    cargo test --profile tests --test conformance --no-run >&2 || fail "the build of the cases has failed; the reason is above"
    CIMF_CASES=$(cargo test --profile tests --test conformance --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
fi
CIMF_LIBRARY=$(realpath "${CIMF_LIBRARY:-$built/release/libcimf.so}")
CIMF_CIMFCTL=$(realpath "${CIMF_CIMFCTL:-$built/release/cimfctl}")
cases=$(realpath "$CIMF_CASES")
for file in "$CIMF_LIBRARY" "$CIMF_CIMFCTL" "$cases"; do [ -f "$file" ] || fail "there is no $file"; done
export CIMF_LIBRARY CIMF_CIMFCTL

# ---------------------------------------------------------------- Debians

# make_ready PLACE: its Debian, with what of the project and of this machine its Kamailio has to see.
make_ready() {
    place=$1
    release=$(cat "$place/release")
    debian=${CIMF_DEBIANS:-${XDG_CACHE_HOME:-$HOME/.cache}/cimf/debian}/$release
    make_debian "$release" "$debian" kamailio kamailio-sqlite-modules kamailio-tls-modules \
        kamailio-websocket-modules kamailio-lua-modules kamailio-python3-modules netbase || exit 2
    folders=/dev:/proc:$(realpath "${TMPDIR:-/tmp}"):$project:$built:${CIMF_LIBRARY%/*}
    # Where the C library's resolver looks.
    files=/etc/hosts:/etc/resolv.conf
    (
        IFS=:
        for folder in $folders; do mkdir -p "$debian$folder"; done
        for file in $files; do [ -e "$debian$file" ] || : >"$debian$file"; done
    )
    for name in kamailio kamcmd; do ln -s "$project/tests/support/in-debian.sh" "$place/$name"; done
    set_for_tests CIMF_KAMAILIO "$place/kamailio" CIMF_KAMCMD "$place/kamcmd" \
        CIMF_KAMAILIO_MODULES "$debian/usr/lib/x86_64-linux-gnu/kamailio/modules" \
        CIMF_DEBIAN "$debian" CIMF_SHARED_PATHS "$folders:$files"
}

for place in "$work"/*/; do
    place=${place%/}
    if [ -e "$place/release" ]; then
        [ "$(id -u)" -eq 0 ] || fail "expected to be run by root, as debootstrap and chroot want"
        install_missing debootstrap:debootstrap >&2 || exit 2
        make_ready "$place"
    fi
    # In words of the manual, such as `Kamailio 5.6.3`.
    (
        . "$place/environment"
        if [ -n "${CIMF_OPENSIPS:-}" ]; then "$CIMF_OPENSIPS" -V; else "$CIMF_KAMAILIO" -v; fi
    ) >"$place/said" || fail "no version of $(cat "$place/from"), which ended with $?"
    sed -n '1s/^version: kamailio \([^ ]*\).*/Kamailio \1/p; 1s/^version: opensips \([^ ]*\).*/OpenSIPS \1/p' \
        "$place/said" >"$place/name"
    [ -s "$place/name" ] || fail "expected a version in its first line, found: $(head -n 1 "$place/said")"
done

# ---------------------------------------------------------------- the run of each, and the table

"$cases" --list "$@" 2>/dev/null | sed -n 's/: test$//p' | sort >"$work/cases"
[ -s "$work/cases" ] || fail "no case has a name with one of these words: $*"
failures=0

# names_of OUTCOME LOG: the cases that ended so, such as `ok`.
names_of() { sed -n "s/^test \(.*\) \.\.\. $1.*/\1/p" "$2" | sort; }

run() {
    place=$1
    name=$(cat "$place/name")
    say "$name ($(cat "$place/from")), at most $minutes minutes; cases: $(wc -l <"$work/cases")"
    shift
    (
        . "$place/environment"
        exec timeout --kill-after=20 "${minutes}m" "$cases" "$@"
    ) >"$place/log" 2>"$place/notes" </dev/null &
    running=$!
    wait "$running" || true
    running=

    names_of '.*' "$place/log" >"$place/ended"
    names_of ok "$place/log" >"$place/ok"
    # A case that stops halfway says so, too.
    sed -n 's/^LEFT OUT with [^:]*: \([a-z0-9_:]*\): .*/\1/p' "$place/notes" | sort -u |
        comm -12 - "$place/ok" >"$place/left-out"
    {
        names_of FAILED "$place/log"
        comm -23 "$work/cases" "$place/ended" | sed 's/$/ (did not end)/'
    } >"$place/failed"
    passed=$(comm -23 "$place/ok" "$place/left-out" | wc -l)
    failed=$(wc -l <"$place/failed")
    failures=$((failures + failed))
    printf '| %-15s | %-15s | %6d | %6d | %8d |\n' "$name" "$(cat "$place/from")" "$passed" "$failed" \
        "$(wc -l <"$place/left-out")" >>"$work/table"
    kept=$built/matrix/$(echo "$name $(cat "$place/from")" | tr ' ' -)
    cat "$place/log" "$place/notes" >"$kept.log"
    say "$name: $passed passed, $failed failed; all it said is in $kept.log"
}

for place in "$work"/*/; do run "${place%/}" "$@"; done

printf '| %-15s | %-15s | %-6s | %-6s | %-8s |\n|---|---|---|---|---|\n' proxy from passed failed "left out"
cat "$work/table"
for place in "$work"/*/; do
    [ ! -s "$place/failed" ] || printf '\n%s: %s\n' "$(cat "$place/name")" "$(paste -sd , "$place/failed" | sed 's/,/, /g')"
done
[ "$failures" -eq 0 ]
