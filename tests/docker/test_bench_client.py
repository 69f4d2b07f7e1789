# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client `vllm` in a real container: it has the key, and Docker does not show it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from ansible_collections.llmfleet.serving.plugins.module_utils._bench.task import Task

from tests.support.bench import OPTIONS
from tests.support.docker_engine import docker
from tests.support.progress import StepFailed
from tests.support.simulator import simulator

KEY = "c4nary-Key-0123456789"


def test_the_key_of_a_measurement_is_in_no_inspect(image: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    shown: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            for container in docker("ps", "--quiet", "--filter", f"ancestor={image}").split():
                try:
                    shown.append(docker("inspect", container) + docker("top", container, "-eo", "pid,args"))
                except StepFailed:  # it has ended meanwhile
                    continue

    watch = threading.Thread(target=look)
    options = {"client": "vllm", "vllm_image": image, "vllm_tokenizer": "/model", "validity": {"counter_mismatch": 1}}
    with simulator(tmp_path, api_key_file=str(tmp_path / "key")) as server:
        watch.start()
        places = {"base_url": server.url, "api_key_file": str(tmp_path / "key"), "state_dir": str(tmp_path / "state")}
        fact = Task({**OPTIONS, **options, **places}).act(False)["benchmark"]
        over.set()
        watch.join()
    result = Path(fact["record_path"]).parent / "vllm-run-1.json"
    assert json.loads(result.read_text())["key_has"] == len(KEY)
    assert [text for text in shown if "bench" in text]
    assert [text for text in shown if KEY in text] == []
