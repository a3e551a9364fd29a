#!/bin/sh
# Tries Containerfile: makes an image of the packages, and sends flow 1 through a container with Debian's kamailio.cfg
# and the line of cimf; then a container of a later version, with the volume of the first.
#
#     ./packaging/try-container.sh
#
# The Debian below is made by debootstrap, and has the name in the file, so that no registry of images is asked. Needs
# to be root on Debian, podman, debootstrap, unshare, and Rust's cargo. Images and containers are in a folder of their
# own, and gone afterwards. From outside: CIMF_PODMAN, the program and options such as `podman --runtime runc`, and
# CIMF_PODMAN_RUN, options for each container such as `--ulimit nofile=1024:1024`.

set -eu
cd "$(dirname "$0")/.."
proxy=kamailio
. ./packaging/try-steps.sh

podman() {
    # shellcheck disable=SC2086
    command ${CIMF_PODMAN:-podman} --root "$work/storage" --runroot "$work/running" --storage-driver vfs \
        --cgroup-manager cgroupfs "$@"
}

run() {
    # shellcheck disable=SC2086
    podman run --network host ${CIMF_PODMAN_RUN:-} "$@"
}

make_images() {
    image=$(sed -n 's/^ARG DEBIAN=//p' packaging/Containerfile)
    say "Making $image by debootstrap"
    make_debian bookworm "$built/debian/bookworm-container" apt || fail "the reason is above"
    tar -C "$built/debian/bookworm-container" -c . | podman import --quiet --change CMD=/bin/sh - "$image" >/dev/null
    for revision in 1 2; do
        say "Making the image of revision $revision"
        podman build --quiet --isolation chroot --network host --tag "cimf:$revision" --file packaging/Containerfile \
            "$work/$revision" || fail "podman build"
    done
}

# In the container, once there is one.
in_root() { podman exec cimf "$@"; }

# start_container REVISION
start_container() {
    run --detach --name cimf --volume "$work/kamailio:/etc/kamailio:ro" --volume cimf:/var/lib/cimf "cimf:$1" >/dev/null ||
        fail "podman run"
    process=$(podman inspect --format '{{.State.Pid}}' cimf)
    wait_for "Kamailio listens" listens 5060
}

stop_container() {
    podman logs cimf >"$work/log" 2>&1
    expect "the log is the container's" grep -q "cimf" "$work/log"
    podman stop --time 30 cimf >/dev/null
    expect "Kamailio has stopped by itself" is_true "$(podman inspect --format '{{.State.ExitCode}}' cimf)" 0
    podman rm cimf >/dev/null
    process=
}

try_container() {
    say "a configuration, from the image"
    run --rm --entrypoint tar cimf:1 -C /etc -c kamailio | tar -C "$work" -x
    set_kamailio "$work/kamailio"

    say "a container"
    start_container 1
    expect "Kamailio runs with tlsf and 256 MB" started_with "-x tlsf -m 256"
    expect "/var/lib/cimf belongs to Kamailio" owned_by_proxy /var/lib/cimf
    add_group
    expect "a group message is sent" play_first
    expect "a message is accepted, and its members are silent" play promise 5060 "$core_port"
    stop_container

    say "a container of a later version, with the same volume"
    play receive "$core_port" 2 &
    members=$!
    wait_for "the members are there" listens "$core_port"
    start_container 2
    expect "the group is still there" count_groups 1
    expect "the members receive what was not finished" wait "$members"
    stop_container
    say "everything went well"
}

if [ "${1:-}" = --alone ]; then
    begin_alone "$@"
    try_container
    exit 0
fi

prepare_work
command -v podman >/dev/null || fail "podman is missing: apt-get install podman"
prepare_packages
make_images
services=none release=bookworm root=$work
try_alone ./packaging/try-container.sh
