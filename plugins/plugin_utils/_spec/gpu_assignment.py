# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of a host's GPUs each server instance gets, and how Docker is asked for them.

Pure functions over what module host_info reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError

from .._gpu_access import CDI_KIND


def group_gpus(uuids: Sequence[str], instances: int, gpus_each: int, left: Sequence[str] = ()) -> list[list[str]]:
    """One list of GPU UUIDs per instance, in the driver's order.

    `instances` 0 means as many as the GPUs allow. `left` are the host's GPUs that this server may not use, in words.
    A host without GPUs gets its instances with no GPU each.
    Raises UserError when there are fewer GPUs than that takes.
    """
    if not uuids:
        return [[] for instance in range(instances or 1)]
    wanted = instances or max(1, len(uuids) // gpus_each)
    if wanted * gpus_each > len(uuids):
        raise UserError(
            Problem(
                f"the host has {len(uuids) + len(left)} GPU(s)"
                + (f", {len(uuids)} of them for this server; left alone: {'; '.join(left)}" if left else ""),
                f"{wanted * gpus_each}, for {wanted} instance(s) of inference_server_tensor_parallel_size {gpus_each}",
                "lower inference_server_instances or inference_server_tensor_parallel_size",
            )
        )
    return [list(uuids[at * gpus_each : (at + 1) * gpus_each]) for at in range(wanted)]


def device_requests(uuids: Sequence[str] | None, cdi: bool) -> list[dict[str, Any]]:
    """The GPUs as Docker takes them: all of them when `uuids` is None, none when it is empty."""
    if uuids is not None and not uuids:
        return []
    if cdi and uuids is not None:
        return [{"driver": "cdi", "device_ids": [f"{CDI_KIND}={uuid}" for uuid in uuids]}]
    chosen = {"count": -1} if uuids is None else {"device_ids": list(uuids)}
    return [{"driver": "nvidia", "capabilities": [["gpu"]], **chosen}]


def as_reported(requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Requests in the form in which a Docker engine reports those of a container.

    An engine keeps a count that was left out as 0; module docker_container, which compares, would take the two for different.
    """
    return [{"count": 0, **request} for request in requests]


def docker_flags(requests: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same as options of `docker run`."""
    flags: list[str] = []
    for request in requests:
        if request["driver"] == "cdi":
            flags += [token for name in request["device_ids"] for token in ("--device", name)]
        elif request.get("count") == -1:
            flags += ["--gpus", "all"]
        else:
            flags += ["--gpus", '"device=' + ",".join(request["device_ids"]) + '"']
    return flags
