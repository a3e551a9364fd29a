# For whatever builds cimf. The folder of the project is the current one.
#
#     need_rust                             whether Rust is there and new enough; says what to do if not
#     install_missing PROGRAM:PACKAGE...    installs Debian packages for programs that are missing
#
# `header` stands for the C library's header files; a path stands for itself. Says what it installs; returns non-zero, with the reason said,
# when it cannot.

# Debian keeps servers in /usr/sbin, which is not in everybody's PATH.
find_program() {
    command -v "$1" || { [ -x "/usr/sbin/$1" ] && echo "/usr/sbin/$1"; }
}

need_rust() {
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    found=$(cargo --version 2>/dev/null | cut -d ' ' -f 2)
    # The lower of both, where 1.100 is more than 1.89.
    [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ] || return 0
    if [ -z "$found" ]; then
        echo "cargo is missing: install Rust $wanted or later from https://rustup.rs" >&2
    else
        echo "expected Rust $wanted or later, found $found in $(command -v cargo). Debian's own is older: install Rust from" \
            "https://rustup.rs, or run \`rustup update\` if you have; then ~/.cargo/bin has to come first in PATH" >&2
    fi
    return 1
}

install_missing() {
    packages=
    for pair in "$@"; do
        program=${pair%%:*}
        package=${pair#*:}
        if [ "${program#/}" != "$program" ]; then
            [ -e "$program" ] || packages="$packages $package"
        elif [ "$program" = header ]; then
            [ -e /usr/include/stdio.h ] || packages="$packages $package"
        elif ! find_program "$program" >/dev/null; then
            packages="$packages $package"
        fi
    done
    if [ -z "$packages" ]; then
        echo "everything is there"
        return 0
    fi
    if ! command -v apt-get >/dev/null; then
        echo "missing:$packages, and there is no apt-get to install them with" >&2
        return 1
    fi
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "missing:$packages. Run as root: apt-get install$packages" >&2
            return 1
        fi
        as_root=sudo
    fi
    echo "installing:$packages"
    # Two at once wait for each other instead of failing on the lock. Debian starts no
    # service for a package that is only wanted for its programs.
    # shellcheck disable=SC2086
    $as_root apt-get -o DPkg::Lock::Timeout=300 -qq update &&
        $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
            apt-get -o DPkg::Lock::Timeout=300 -qq -y --no-install-recommends install $packages
}
