#!/bin/sh
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Run inside a test's host: give it a pretended GPU with its driver, a repository with the pretended toolkit, and a
# container registry on 127.0.0.1:5000 that holds one small image.
set -eu
here=/opt/pretend
install -m 755 "$here/nvidia-smi" /usr/bin/nvidia-smi
mkdir -p /etc/pretend /etc/udev/rules.d
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/unsafe-io # a test may lose its host
cp "$here/nvidia_smi/h100.xml" /etc/pretend/smi.xml

repository=/opt/toolkit-repository/deb/$(dpkg --print-architecture)
mkdir -p "$repository"
for version in 1.18.2 1.20.0; do
    for package in nvidia-container-toolkit nvidia-container-toolkit-base libnvidia-container-tools libnvidia-container1; do
        folder=$(mktemp -d)
        mkdir -p "$folder/DEBIAN"
        cat >"$folder/DEBIAN/control" <<CONTROL
Package: $package
Version: $version-1
Architecture: all
Maintainer: The llmfleet authors <nobody@example.com>
Description: A stand-in for $package
CONTROL
        if [ "$package" = nvidia-container-toolkit-base ]; then
            mkdir -p "$folder/usr/bin"
            sed "s/@VERSION@/$version/" "$here/nvidia-ctk" >"$folder/usr/bin/nvidia-ctk"
            cp "$here/nvidia-container-runtime-hook" "$here/nvidia-container-runtime" "$folder/usr/bin/"
            chmod 755 "$folder"/usr/bin/*
        fi
        chmod 755 "$folder"
        dpkg-deb --build --root-owner-group "$folder" "$repository/${package}_$version.deb" >/dev/null
        rm -rf "$folder"
    done
done
for deb in "$repository"/*.deb; do
    dpkg-deb --field "$deb"
    echo "Filename: ./${deb##*/}"
    echo "Size: $(stat -c %s "$deb")"
    echo "SHA256: $(sha256sum "$deb" | cut -d' ' -f1)"
    echo
done >"$repository/Packages"

cat >/etc/systemd/system/registry.service <<UNIT
[Service]
ExecStart=/usr/bin/python3 $here/registry.py /usr/bin/busybox
UNIT
systemctl start registry.service
