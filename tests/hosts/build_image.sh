#!/bin/sh
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Make the Docker image of a bare Debian host with systemd as its first process: sh build_image.sh SUITE IMAGE
# Nothing is fetched from a container registry: debootstrap reads the Debian mirror of this machine's own apt.
set -eu
suite=${1:?usage: sh build_image.sh SUITE IMAGE}
image=${2:?usage: sh build_image.sh SUITE IMAGE}

mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' |
    awk '$2 !~ /security/ { print $2; exit }')
[ -n "$mirror" ] || { echo "this machine's apt knows no Debian mirror" >&2; exit 1; }

# In memory: dpkg writes every file through to a disk, which takes three times as long.
if ! command -v debootstrap >/dev/null; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends debootstrap
fi >/dev/null

# A suite that is younger than this machine's debootstrap is built as the newest one is.
script=/usr/share/debootstrap/scripts/$suite
[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid

folder=$(mktemp -d)
mount -t tmpfs -o mode=755 tmpfs "$folder"
trap 'umount "$folder"; rmdir "$folder"' EXIT
debootstrap --variant=minbase \
    --include=python3,systemd,systemd-sysv,dbus,sudo,ca-certificates,iproute2,busybox-static,openssh-server \
    "$suite" "$folder/root" "$mirror" "$script" >"$folder/log" 2>&1 || { tail -20 "$folder/log" >&2; exit 1; }
rm -rf "$folder"/root/var/cache/apt/archives/*.deb "$folder"/root/var/lib/apt/lists/*
# The lists of a suite that is not released yet are out of date after a week, on a mirror that stands still.
echo 'Acquire::Check-Valid-Until "false";' >"$folder/root/etc/apt/apt.conf.d/dated"
tar -C "$folder/root" -c . | docker import --change 'CMD ["/lib/systemd/systemd"]' - "$image" >/dev/null
