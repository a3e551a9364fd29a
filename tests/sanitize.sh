#!/bin/sh
# The conformance cases with a libcimf.so that the address sanitizer watches:
#
#     ./tests/sanitize.sh                  all of them
#     ./tests/sanitize.sh udp::t88         those whose names have one of these words
#     ./tests/sanitize.sh --units sip::    unit tests of the library in place of the conformance cases, with the
#                                          queue in plain memory, as for Miri
#
#     CIMF_OPENSIPS=/usr/sbin/opensips ./tests/sanitize.sh      in OpenSIPS in place of Kamailio
#
# Any finding is a failure; the reports are in target/sanitized/findings. Needs what tests/run.sh needs, and gcc's
# libasan. The proxy itself is not watched, so the sanitizer's runtime is loaded before it.

set -eu
cd "$(dirname "$0")/.."
. ./kamailio-config/install-missing.sh
install_missing gcc:gcc header:libc6-dev

what=conformance
case ${1:-} in
    --units)
        what=units
        shift
        ;;
esac

target=x86_64-unknown-linux-gnu
folder=$PWD/target/sanitized
findings=$folder/findings
runtime=$(gcc -print-file-name=libasan.so)
[ -f "$runtime" ] || { echo "sanitize.sh: gcc has no libasan.so" >&2; exit 1; }
runtime=$(readlink -f "$runtime")

# The sanitizer is an option that only nightly toolchains have without this variable.
flags=-Zsanitizer=address
sanitized() {
    RUSTC_BOOTSTRAP=1 RUSTFLAGS=$flags CARGO_TARGET_DIR=$folder cargo "$@" --profile tests --target "$target"
}

# The path of the test program that a build without a run names.
executable() {
    sed -n 's/^ *Executable .*(\(.*\))$/\1/p'
}

rm -rf "$findings"
mkdir -p "$findings"
# Leaks are left out: the sanitizer's own search stops the proxy, and tests/memory.rs looks for them.
export ASAN_OPTIONS="detect_leaks=0:log_path=$findings/report:${ASAN_OPTIONS:-}"

status=0
case $what in
    units)
        flags="$flags --cfg miri"
        sanitized test --lib --no-run
        program=$(sanitized test --lib --no-run 2>&1 | executable)
        "$program" "$@" || status=$?
        ;;
    conformance)
        sanitized build --lib
        library=$folder/$target/tests/libcimf.so
        nm -D --undefined-only "$library" | grep -q __asan_ || {
            echo "sanitize.sh: $library is not sanitized" >&2
            exit 1
        }
        cargo build --profile tests --bin cimfctl
        cargo test --profile tests --test conformance --no-run
        program=$(cargo test --profile tests --test conformance --no-run 2>&1 | executable)
        CIMF_LIBRARY=$library LD_PRELOAD=$runtime "$program" "$@" || status=$?
        ;;
esac

if [ -n "$(ls "$findings")" ]; then
    cat "$findings"/*
    printf '\nsanitize: FAILED: the reports above are in %s\n' "$findings" >&2
    exit 1
fi
[ "$status" -eq 0 ] || { printf '\nsanitize: no report, but tests FAILED\n' >&2; exit "$status"; }
printf '\nsanitize: PASSED\n'
