# For whatever tries something in a Debian of another release than this one. Needs to be root.
#
#     make_debian RELEASE FOLDER PACKAGE...    a Debian with these packages in the folder, where no service starts
#
# A folder that is there already stays as it is, but for packages that it lacks. A new one has another name until it
# is complete: `unfinished_debian` is that folder, for whoever is interrupted. Says what takes long; returns non-zero,
# with the reason said, when it cannot.

make_debian() {
    if [ ! -e "$2" ]; then
        echo "making a Debian $1 in $2" >&2
        mkdir -p "$(dirname "$2")" && unfinished_debian=$(mktemp -d "$2-unfinished-XXXXXX") || return
        # mktemp makes a folder that is closed to all users but root.
        chmod 755 "$unfinished_debian"
        if ! debootstrap --variant=minbase "$1" "$unfinished_debian" >"$2.log" 2>&1; then
            rm -rf --one-file-system "$unfinished_debian"
            echo "debootstrap has made no Debian $1; the reason is in $2.log" >&2
            return 1
        fi
        rm "$2.log"
        printf '#!/bin/sh\nexit 101\n' >"$unfinished_debian/usr/sbin/policy-rc.d"
        chmod 755 "$unfinished_debian/usr/sbin/policy-rc.d"
        mv "$unfinished_debian" "$2" || return
        unfinished_debian=
    fi
    debian=$2
    shift 2
    # Where nothing is missing no registry is asked.
    ! chroot "$debian" dpkg-query --status "$@" >/dev/null 2>&1 || return 0
    echo "installing $* in $debian" >&2
    # Without the newest lists those that are there will do.
    chroot "$debian" apt-get -qq update >&2 || true
    if ! chroot "$debian" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y --no-install-recommends install "$@" >&2; then
        echo "$debian has no $*; the reason is above. If it is no complete Debian, remove it" >&2
        return 1
    fi
}
