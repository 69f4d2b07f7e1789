# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands for `vllm`: takes the arguments of `bench serve` and writes a result file as vLLM 0.32 does."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

arguments = dict(zip(sys.argv[3::2], sys.argv[4::2]))
if "FAKE_VLLM_SLEEP" in os.environ:
    time.sleep(float(os.environ["FAKE_VLLM_SLEEP"]))
begun_s, duration_s = time.perf_counter(), 2.0
if "FAKE_VLLM_POWER" in os.environ:  # a file that holds what the GPU draws: more while the load runs
    power, duration_s = Path(os.environ["FAKE_VLLM_POWER"]), 1.5
    power.write_text("545")
    time.sleep(duration_s)
    power.write_text("70")
count, tokens = int(arguments["--num-prompts"]), int(arguments["--random-output-len"])
failed = count if "FAKE_VLLM_FAIL" in os.environ else 0
key = os.environ.get("OPENAI_API_KEY", "")  # what a server answers may have it
result = {
    "duration": duration_s,
    "start_times": [begun_s, begun_s + 0.01],
    "completed": count - failed,
    "failed": failed,
    "total_input_tokens": (count - failed) * 100,
    "total_output_tokens": (count - failed) * tokens,
    "request_throughput": count / 2,
    "output_throughput": count * tokens / 2,
    "total_token_throughput": count * (tokens + 100) / 2,
    "request_goodput": None,
    "max_output_tokens_per_s": 1.0,
    "max_concurrent_requests": 2,
    "errors": [f"Traceback: refused {key}"] * failed,
    "key_has": len(key),
    "seed": arguments["--seed"],
}
for name in ("ttft", "tpot", "itl", "e2el"):
    result.update({f"{kind}_{name}_ms": 4.0 for kind in ("mean", "median", "std", "p50", "p90", "p99")})
if "FAKE_VLLM_NOTHING" not in os.environ:
    (Path(arguments["--result-dir"]) / arguments["--result-filename"]).write_text(json.dumps(result))
else:
    if (
        "FAKE_VLLM_FILLS" in os.environ
    ):  # a folder: all the space of its disk is taken, as a result of many answers does
        with suppress(OSError), (Path(os.environ["FAKE_VLLM_FILLS"]) / "other").open("ab", buffering=0) as other:
            while True:
                other.write(bytes(4096))
    print(f"ValueError: no such tokenizer {key}")
