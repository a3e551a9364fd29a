#!/bin/sh
# Runs the program by whose name it is called, such as `kamailio`, in the Debian of the folder CIMF_DEBIAN: there each
# path in CIMF_SHARED_PATHS, separated by colons, leads to what it leads to outside. Its process is that of the program,
# and what it mounts is its own and ends with it.

set -eu
if [ "${1:-}" != --with-own-mounts ]; then exec unshare --mount "$0" --with-own-mounts "$@"; fi
shift
IFS=:
for path in $CIMF_SHARED_PATHS; do mount --rbind "$path" "$CIMF_DEBIAN$path"; done
exec chroot "$CIMF_DEBIAN" "/usr/sbin/${0##*/}" "$@"
