#!/bin/sh
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The test's hosts: containers with systemd, a pretended GPU and no Docker of their own yet.
#   sh hosts.sh up HOST SUITE [DOCKER-RUN-OPTION...]   start one anew (its image is built when it is missing)
#   sh hosts.sh down HOST...                           remove them with all they hold
set -eu
here=$(cd "$(dirname "$0")" && pwd)
fixtures=$here/../unit/fixtures/nvidia_smi
prefix=llmfleet-host-
unified=/tmp/llmfleet-host-cgroup2

# Two hosts of one suite that start at once wait for one image.
build() {
    (
        flock 9
        docker image inspect "$2" >/dev/null 2>&1 || sh "$here/build_image.sh" "$1" "$2"
    ) 9>"/tmp/llmfleet-host-$1.lock"
}

# The control groups that a suite's systemd knows: from 258 on (forky) it refuses those of version 1, which this machine may still have.
control_groups() {
    if [ "$1" != forky ] || [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        echo /sys/fs/cgroup
        return
    fi
    mkdir -p "$unified"
    mountpoint -q "$unified" || mount -t cgroup2 none "$unified"
    echo "$unified"
}

up() {
    host=$1
    suite=$2
    shift 2
    image=llmfleet-host:$suite
    down "$host"
    build "$suite" "$image"
    groups=$(control_groups "$suite")
    # --privileged is more than systemd and an engine inside need, and some machines refuse it.
    docker run --detach --name "$prefix$host" --hostname "$host" --label org.llmfleet.test=hosts \
        --cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add MKNOD --cap-add SYS_PTRACE \
        --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined \
        --tmpfs /run --tmpfs /tmp --volume "$groups:/sys/fs/cgroup:rw" --cgroupns host \
        "$@" "$image" /lib/systemd/systemd >/dev/null
    docker cp "$here/pretend" "$prefix$host:/opt/pretend"
    docker cp "$fixtures" "$prefix$host:/opt/pretend/nvidia_smi"
    docker exec "$prefix$host" sh -c 'until systemctl is-system-running 2>/dev/null | grep -Eq "running|degraded"; do sleep 0.2; done'
    docker exec "$prefix$host" sh /opt/pretend/install.sh
}

down() {
    for host in "$@"; do
        docker rm --force --volumes "$prefix$host" >/dev/null 2>&1 || :
        [ "$host" != forky ] || umount "$unified" 2>/dev/null || :
    done
}

verb=${1:?usage: sh hosts.sh up|down ...}
shift
"$verb" "$@"
