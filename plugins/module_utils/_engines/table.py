# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collection knows of each inference engine: its counters, the phrases of its log, the tags of its images.

Data. How an engine is started is the file of its name in `roles/inference_server/vars/engines/`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Sequence

from . import sglang, simulator, vllm


@dataclass(frozen=True)
class Engine:
    """One engine. What it does not say of itself is empty or None.

    Patterns are regular expressions. A log is read without knowing which engine wrote it, so a pattern must not fit another engine's lines.
    """

    name: str  # as in inference_server_backend
    title: str  # as its makers write it, for messages
    runtimes: tuple[str, ...] = ("docker", "process")  # what it can run as; the first is the default

    # A name in `_openai.counters.COUNTERS` -> this engine's Prometheus counters, newest name first.
    counters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    counters_appear_late: bool = False  # a counter has no sample before its first count: a missing one is 0
    # Paths that show its version as `version` of a JSON object, for an engine without `/version`.
    version_paths: Sequence[str] = ()

    # A phase in `_server.start_phases.PHASES` -> patterns whose group is seconds, in any case of letters; a phase can have several, one
    # after the other.
    phase_seconds: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # Where the log gives no seconds of compilation: the texts of the lines at its begin and end, and the pattern of a line's time, whose
    # group is in this format of strptime, without the year.
    warm_up: tuple[str, str] | None = None
    log_time: str = ""
    log_time_format: str = ""
    # A stage in `_server.start_phases.STAGES` -> pattern of the lines that say that it began.
    stages: Mapping[str, str] = field(default_factory=dict)
    # Pattern of a log line's beginning; its group is the process that wrote the line. None: there is one process.
    log_process: str | None = None

    # The name of a cause in `_server.failure_causes.CAUSES` -> pattern of this engine's own text for it, in any case of letters.
    failure_texts: Mapping[str, str] = field(default_factory=dict)
    # Pattern of errors that only say that another error came before.
    consequences: str = ""
    memory_share_flag: str | None = None  # the option that sets which share of a GPU's memory it takes
    context_flag: str | None = None  # the option that sets the context's length

    # The end of its images' repository, and which of them are for CUDA 13: those of this release and newer, when the tag says nothing else.
    # The suffix makes a tag the same release for CUDA 12; of releases after the last such tag none for CUDA 12 is known ("": of each one).
    image_repository: str | None = None
    cuda13_since: tuple[int, ...] = ()
    cuda12_suffix: str = ""
    cuda12_last: str = ""


# By name, in the order in which they are offered; written by tools/choices.py, as are the choices of inference_server_backend.
# Each is imported by its name: what Ansible ships to a host is what is imported.
ENGINES: dict[str, Engine] = {
    entry["name"]: Engine(**entry) for entry in (vllm.ENGINE, sglang.ENGINE, simulator.ENGINE)
}
