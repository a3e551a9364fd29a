#!/bin/sh
# Makes the Debian packages of cimf:
#
#     ./packaging/build.sh
#
#     target/packages/kamailio-cimf-module_VERSION_ARCHITECTURE.deb     the module for Kamailio
#     target/packages/opensips-cimf-module_VERSION_ARCHITECTURE.deb     the same for OpenSIPS
#     target/packages/cimfctl_VERSION_ARCHITECTURE.deb                  groups, manual pages, completions, the manual
#     target/packages/cimf-dbgsym_VERSION_ARCHITECTURE.deb              debug symbols of both
#
# They run on the Debian that they were built on and on later ones. Needs Rust's cargo; installs the rest by apt-get
# where it is missing. From outside: CIMF_REVISION, the number behind the version (1), and CIMF_MAINTAINER, a name and
# an address.

set -eu
cd "$(dirname "$0")/.."
. ./kamailio-config/install-missing.sh

say() { printf '==> %s\n' "$*"; }

fail() {
    printf 'build.sh: %s\n' "$*" >&2
    exit 1
}

command -v dpkg-deb >/dev/null || fail "dpkg-deb is missing: packages are made on Debian, or what descends from it"
need_rust || fail "Rust is needed; what to do is above"
install_missing gcc:gcc objcopy:binutils header:libc6-dev dpkg-shlibdeps:dpkg-dev ||
    fail "not everything that is needed could be installed"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)-${CIMF_REVISION:-1}
architecture=$(dpkg --print-architecture)
libraries=usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
maintainer=${CIMF_MAINTAINER:-Built from source <root@localhost>}
# The same sources make the same packages: files are as old as the last commit.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

say "Building cimf.so and cimfctl, five minutes the first time, with 2 cores"
cargo build --release --locked --package cimf --lib --bins
cargo build --release --locked --package cimf-packaging
built=${CARGO_TARGET_DIR:-target}/release
packages=${CARGO_TARGET_DIR:-target}/packages
# Without those of an earlier version.
rm -rf "$packages"
mkdir -p "$packages"
work=$(mktemp -d "${TMPDIR:-/tmp}/cimf-packages-XXXXXX")
trap 'rm -rf "$work"' EXIT

# install_file FILE PATH: into the package that is being made.
install_file() { install -D -m 644 "$1" "$tree/$2"; }

# install_filled TEMPLATE PATH [MODE]: the same, with names and versions filled in.
install_filled() {
    install -D -m "${3:-644}" /dev/null "$tree/$2"
    sed -e "s|@VERSION@|$version|g" -e "s|@ARCHITECTURE@|$architecture|g" -e "s|@MAINTAINER@|$maintainer|g" \
        -e "s|@LIBRARIES@|$libraries|g" -e "s|@PROXY@|${proxy:-}|g" -e "s|@PROXY_NAME@|${proxy_name:-}|g" \
        -e "s|@DEPENDS@|${depends:-}|g" "$1" >"$tree/$2"
}

# needed PROGRAM: the packages of the libraries that it is linked to, with their least versions.
needed() {
    mkdir -p "$work/needed/debian"
    : >"$work/needed/debian/control"
    program=$(realpath "$1")
    # It warns that the program is in no package yet.
    (cd "$work/needed" && dpkg-shlibdeps -O "$program" >found 2>warnings) ||
        fail "dpkg-shlibdeps: $(cat "$work/needed/warnings")"
    sed -n 's/^shlibs:Depends=//p' "$work/needed/found"
}

# separate FILE PATH: a stripped copy into the package that is being made, its symbols into $work/cimf-dbgsym.
separate() {
    id=$(LC_ALL=C readelf -n "$1" | sed -n 's/.*Build ID: //p')
    [ -n "$id" ] || fail "$1 has no build id, by which debuggers find symbols"
    symbols=$work/cimf-dbgsym/usr/lib/debug/.build-id/$(echo "$id" | cut -c 1-2)/$(echo "$id" | cut -c 3-).debug
    mkdir -p "$(dirname "$symbols")" "$(dirname "$tree/$2")"
    objcopy --only-keep-debug --compress-debug-sections "$1" "$symbols"
    chmod 644 "$symbols"
    objcopy --strip-unneeded --add-gnu-debuglink="$symbols" "$1" "$tree/$2"
}

# finish PACKAGE: makes the file of $tree.
finish() {
    install_file packaging/copyright "usr/share/doc/$1/copyright"
    install_file CHANGELOG.md "usr/share/doc/$1/changelog"
    gzip -9n "$tree/usr/share/doc/$1/changelog"
    find "$tree" -type d -exec chmod 755 {} +
    printf 'Installed-Size: %s\n' "$(du -sk --apparent-size "$tree" | cut -f 1)" >>"$tree/DEBIAN/control"
    (cd "$tree" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) >"$work/md5sums"
    install -m 644 "$work/md5sums" "$tree/DEBIAN/md5sums"
    dpkg-deb --root-owner-group --build "$tree" "$packages" >/dev/null
}

make_cimfctl() {
    tree=$work/cimfctl
    depends=$(needed "$built/cimfctl")
    install_filled packaging/control/cimfctl DEBIAN/control
    separate "$built/cimfctl" usr/bin/cimfctl
    chmod 755 "$tree/usr/bin/cimfctl"
    "$built/cimf-pages" "$version" "$tree/usr/share"
    find "$tree/usr/share/man" -type f -exec gzip -9n {} +
    manual=$tree/usr/share/doc/cimfctl
    mkdir -p "$manual"
    cp -R README.md ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md docs "$manual"
    find "$manual" -type f -exec chmod 644 {} +
    finish cimfctl
}

# make_module PROXY NAME FOLDER FILE...: the examples are files of FOLDER.
make_module() {
    proxy=$1 proxy_name=$2 folder=$3
    shift 3
    package=$proxy-cimf-module
    tree=$work/$package
    depends=$(needed "$built/libcimf.so")
    install_filled "packaging/control/$package" DEBIAN/control
    for script in postinst postrm; do install_filled "packaging/module/$script" "DEBIAN/$script" 755; done
    [ ! -e "packaging/$proxy/prerm" ] || install_filled "packaging/$proxy/prerm" DEBIAN/prerm 755
    separate "$built/libcimf.so" "$libraries/$proxy/modules/cimf.so"
    chmod 644 "$tree/$libraries/$proxy/modules/cimf.so"

    install_file "packaging/$proxy/cimf.cfg" "etc/$proxy/cimf/cimf.cfg"
    echo "/etc/$proxy/cimf/cimf.cfg" >"$tree/DEBIAN/conffiles"
    if [ -e "packaging/$proxy/default" ]; then
        install_file "packaging/$proxy/default" "etc/default/$package"
        echo "/etc/default/$package" >>"$tree/DEBIAN/conffiles"
    fi
    install_file "$folder/cimf-route.cfg" "usr/share/$package/cimf-route.cfg"
    install_file "packaging/$proxy/service.conf" "usr/lib/systemd/system/$proxy.service.d/cimf.conf"
    install_file packaging/module/sysctl.conf "usr/lib/sysctl.d/60-$package.conf"
    examples=usr/share/doc/$package/examples
    for file; do install_file "$folder/$file" "$examples/$file"; done
    ln -s "../../../$package/cimf-route.cfg" "$tree/$examples/cimf-route.cfg"
    finish "$package"
}

make_symbols() {
    tree=$work/cimf-dbgsym
    install_filled packaging/control/cimf-dbgsym DEBIAN/control
    finish cimf-dbgsym
}

say "Making packages of cimf $version for $architecture"
make_cimfctl
make_module kamailio Kamailio kamailio-config balancer.cfg cimf.lua cimf.py digest.cfg dispatcher.list ims-as.cfg \
    kamailio.cfg kemi.cfg small-site.cfg store-and-forward.cfg
make_module opensips OpenSIPS opensips-config balancer.cfg balancer/address balancer/dispatcher balancer/version \
    digest.cfg ims-as.cfg opensips.cfg small-site.cfg
make_symbols
ls -s --block-size=K "$packages"/*.deb
