#!/bin/sh
# The whole test suite in one command:
#
#     ./tests/run.sh
#
# Needs Debian 12 (or later) and Rust's cargo; installs the rest by apt-get where it is missing. Formatting, lints,
# build, then every test: units, layering, header drift, the C program, and the conformance cases against a real
# Kamailio on loopback. With CI=true nothing of that may be skipped.
#
#     ./tests/run.sh --all
#
# installs Chromium and Node.js as well, so that the phones of tests/clients are one more: a browser.
#
#     CIMF_OPENSIPS=/usr/sbin/opensips ./tests/run.sh
#
# runs the conformance cases against that OpenSIPS (3.2 to 4.0) as well, with the same libcimf.so. Its modules are
# looked for beside it, or in CIMF_OPENSIPS_MODULES. It needs auth, auth_db, cfgutils, db_text, maxfwd, mi_fifo,
# rr, signaling, sipmsgops, sl and tm (and event_route before 3.6), of which none has dependencies.

set -eu
cd "$(dirname "$0")/.."
. ./kamailio-config/install-missing.sh

case ${1:-} in
    "") ;;
    --all) export CIMF_ALL=1 ;;
    *) echo "$1: expected --all or nothing" >&2; exit 2 ;;
esac

step=start
finish() {
    status=$?
    trap - EXIT
    if [ "$status" -eq 0 ]; then
        printf '\ntests: PASSED%s\n' "${skipped:+ (skipped:$skipped)}"
    else
        printf '\ntests: FAILED at: %s\n' "$step" >&2
    fi
    exit "$status"
}
skipped=
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

begin() {
    step=$1
    printf '\n==> %s\n' "$step"
}

# A bare toolchain may lack rustfmt and clippy, and the net to fetch them.
optional() {
    component=$1
    shift
    if cargo "$component" --version >/dev/null 2>&1; then
        "$@"
    elif [ "${CI:-}" = true ]; then
        echo "cargo $component is missing, and with CI=true nothing is skipped" >&2
        exit 1
    else
        printf '\n*** SKIPPED: cargo %s is not installed (rustup component add %s) ***\n' "$component" "$component"
        skipped="$skipped $component"
    fi
}

begin "looking for what the tests need"
need_rust || exit 1
modules=/usr/lib/x86_64-linux-gnu/kamailio/modules
install_missing kamailio:kamailio "$modules/db_sqlite.so:kamailio-sqlite-modules" \
    "$modules/tls.so:kamailio-tls-modules" "$modules/websocket.so:kamailio-websocket-modules" \
    "$modules/app_lua.so:kamailio-lua-modules" "$modules/app_python3.so:kamailio-python3-modules" \
    /usr/lib/postgresql:postgresql pgbouncer:pgbouncer prometheus:prometheus \
    openssl:openssl baresip:baresip linphonec:linphone-cli python3:python3 \
    /usr/share/doc/python3-venv:python3-venv sqlite3:sqlite3 valgrind:valgrind gcc:gcc g++:g++ ar:binutils ps:procps header:libc6-dev

begin "phones"
phones=target/clients
if ! "$phones/bin/python3" -c 'import pjsua2' 2>/dev/null; then
    python3 -m venv "$phones"
    "$phones/bin/pip" install --quiet --disable-pip-version-check pjsua2-python==2.15.1.post1
fi
if [ -n "${CIMF_ALL:-}" ]; then
    install_missing chromium:chromium node:nodejs npm:npm
    (cd tests/clients/browser && npm ci --silent --no-audit --no-fund && npm run --silent build)
else
    skipped="$skipped browser"
fi

begin "formatting"
optional fmt cargo fmt --all --check

begin "lints"
optional clippy cargo clippy --workspace --release --all-targets -- -D warnings

begin "build of the product"
cargo build --release --package cimf --package cimf-demo --lib --bins
built=${CARGO_TARGET_DIR:-target}/release
case $built in /*) ;; *) built=$PWD/$built ;; esac
# The product is tested as it is delivered; the profile of the test programs is another.
export CIMF_LIBRARY="${CIMF_LIBRARY:-$built/libcimf.so}" CIMF_CIMFCTL="${CIMF_CIMFCTL:-$built/cimfctl}"

begin "build of tests and benches"
cargo build --workspace --profile tests --all-targets

begin "tests"
# Without the variable the proxy under test is Kamailio.
env -u CIMF_OPENSIPS cargo test --workspace --profile tests

if [ -n "${CIMF_OPENSIPS:-}" ]; then
    begin "conformance with $("$CIMF_OPENSIPS" -V | head -n 1)"
    cargo test --workspace --profile tests --test conformance
    cargo test --workspace --profile tests --test clients opensips
    cargo test --workspace --profile tests --test monitoring
else
    printf '\n*** NOT TESTED: OpenSIPS (set CIMF_OPENSIPS to an opensips binary) ***\n'
    skipped="$skipped OpenSIPS"
fi
