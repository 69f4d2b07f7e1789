# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether containers can use the GPU, by how a probe container ended.

Pure. The exit statuses 40 to 43 are those of
`roles/nvidia_container_toolkit/files/cuda_context.py`.
"""

from __future__ import annotations

import re
from typing import Any, Mapping

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem

_CAUSES = (
    (
        r"could not select device driver",
        "Docker does not know --gpus",
        "nvidia-container-runtime-hook must be on dockerd's PATH when it starts: systemctl restart docker",
    ),
    (
        r"unresolvable CDI devices|CDI device injection failed|failed to inject CDI devices",
        "Docker does not know the CDI device",
        "write the specification again: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml; `nvidia-ctk cdi list` shows it. Where "
        "`journalctl -u docker` has `unknown field` or `invalid CDI version`, the toolkit is newer than Docker can read",
    ),
    (
        r"driver/library version mismatch",
        "the driver was upgraded while its old kernel module stays loaded",
        "reboot the host",
    ),
    (
        r"unable to find image|pull access denied|manifest unknown|no such image|error response from daemon: get ",
        "the probe image is not available",
        "name one that this host can pull, or has, with nvidia_container_toolkit_probe_image",
    ),
    (
        r"executable file not found",
        "the probe image has no such command",
        "let nvidia_container_toolkit_probe_command fit nvidia_container_toolkit_probe_image",
    ),
    (
        r"nvidia-container-cli|nvidia-container-runtime",
        "the toolkit failed",
        "`nvidia-container-cli -k -d /dev/stderr info` says more",
    ),
)

_STATUSES = {
    40: (
        "libcuda.so.1 is not in the container",
        "the toolkit injected no driver: check `nvidia-ctk cdi list` and the driver on the host",
    ),
    41: (
        "CUDA does not start",
        "error 802 wants the fabric manager, 803 an image that does not put libraries of its own before the host's, "
        "999 and 100 a fresh CDI specification (nvidia-ctk cdi generate) or a reboot",
    ),
    42: (
        "CUDA sees no device",
        "write the CDI specification again: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
    ),
    43: ("a device opens no CUDA context", "`nvidia-smi -q` and `dmesg | grep -i xid` show a faulty GPU"),
    124: (
        "the probe container did not end in time",
        "a GPU may hang: `dmesg | grep -i xid`; or the image is slow to pull",
    ),
}


def verdict(result: Mapping[str, Any], access: str) -> dict[str, Any]:
    """Judge the result (`rc`, `stdout`, `stderr`) of `docker run`.

    Returns `ok`, and a `message` with cause, output and remedy when it is not.
    """
    if result["rc"] == 0:
        return {"ok": True, "message": ""}
    said = "\n".join(text.strip() for text in (result.get("stderr", ""), result.get("stdout", "")) if text.strip())
    cause, remedy = _cause(result["rc"], said)
    problem = Problem(f"A container did not get the GPU (by {access}): {cause}.\n{said}\n", remedy=remedy)
    return {"ok": False, "message": str(problem)}


def _cause(status: int, said: str) -> tuple[str, str]:
    if status in _STATUSES:
        return _STATUSES[status]
    for pattern, cause, remedy in _CAUSES:
        if re.search(pattern, said, re.IGNORECASE):
            return cause, remedy
    return f"the probe ended with status {status}", "run it by hand; the command is above in the task's arguments"
