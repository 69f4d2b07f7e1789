# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load shapes and metrics against what the simulator logged."""

from __future__ import annotations

import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.clients import base, native
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.progress import Counts
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.worker import Worker
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.record import Record
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError

from tests.support.bench import TOLERANT, access_to, benchmark, measure
from tests.support.simulator import Simulator, simulator

QUICK = {"frontend_ms": 0.1, "decode_base_ms": 1.0, "decode_expert_ms": 0.2, "prefill_base_ms": 0.1}
LOAD: dict[str, Any] = {"num_prompts": 12, "max_concurrency": 3, "input_tokens": 64, "output_tokens": 16}


def failed_checks(fact: dict[str, Any]) -> set[str]:
    return {check["name"] for check in fact["validity"]["checks"] if check["status"] == "fail"}


@pytest.mark.parametrize("endpoint_type", ["openai-chat", "openai"])
def test_every_event_is_recorded_and_every_prompt_exact(tmp_path: Path, endpoint_type: str) -> None:
    with simulator(tmp_path, timing=QUICK) as server:
        measurement = measure(server.url, tmp_path, endpoint_type=endpoint_type, **LOAD)
        sent = server.sent()
    assert len(sent) == LOAD["num_prompts"]
    for record in measurement.outcome.records:
        line = sent[f"test-{record.index}"]
        messages = [before for kind, before in zip(line["kind"], line["before_ns"]) if kind in "rtf"]
        assert record.ok
        assert len(record.event_ns) == len(messages)
        assert all(arrived >= before for arrived, before in zip(record.event_ns, messages))
        assert line["prompt_tokens"] == record.prompt_tokens == LOAD["input_tokens"]
        assert line["cached_tokens"] == 0


def certificate(folder: Path) -> dict[str, str]:
    """Options of a simulator with a certificate of its own."""
    path = folder / "server.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(path), "-out", str(path)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return {"certfile": str(path), "keyfile": str(path)}


def test_tls_is_measured_like_plain_text(tmp_path: Path) -> None:
    with simulator(tmp_path, timing=QUICK, **certificate(tmp_path)) as server:
        assert server.url.startswith("https:")
        trusting = access_to(server.url, ca_path=str(tmp_path / "server.pem"))
        measurement = measure(server.url, tmp_path, access=trusting, **LOAD)
        sent = server.sent()
        assert [record.error for record in measurement.outcome.records] == [""] * LOAD["num_prompts"]
        for record in measurement.outcome.records:
            line = sent[f"test-{record.index}"]
            messages = [before for kind, before in zip(line["kind"], line["before_ns"]) if kind in "rtf"]
            assert all(arrived >= before for arrived, before in zip(record.event_ns, messages))
        assert all(worker["user_timed"] == 0 for worker in measurement.outcome.workers)
        with pytest.raises(UserError, match="CERTIFICATE_VERIFY_FAILED"):
            measure(server.url, tmp_path, **LOAD)
        unverified = access_to(server.url, validate_certs=False)
        faults = measure(server.url, tmp_path, access=unverified, **LOAD)
        assert faults.outcome.vllm_metrics["completed"] == LOAD["num_prompts"]
        assert isinstance(trusting.tls_context(), ssl.SSLContext)


def test_a_fault_over_tls(tmp_path: Path) -> None:
    faults = [{"kind": "truncate", "every": 3}]
    with simulator(tmp_path, timing=QUICK, **certificate(tmp_path), faults=faults) as server:
        measurement = measure(server.url, tmp_path, access=access_to(server.url, validate_certs=False), **LOAD)
    errors = [record.error for record in measurement.outcome.records if not record.ok]
    assert errors == ["truncated"] * 4


@pytest.mark.parametrize("bound", [None, 2])
def test_an_open_load(tmp_path: Path, bound: int | None) -> None:
    with simulator(tmp_path, timing=QUICK) as server:
        measurement = measure(server.url, tmp_path, **{**LOAD, "max_concurrency": bound}, request_rate="50")
    records = measurement.outcome.records
    assert [record.error for record in records] == [""] * LOAD["num_prompts"]
    due = [record.intended_ns - measurement.outcome.start_ns for record in records]
    assert due == sorted(due)
    assert due[-1] == pytest.approx(LOAD["num_prompts"] / 50 * 1e9)
    assert all(record.sent_ns >= record.intended_ns for record in records)
    assert measurement.outcome.strict_metrics["mean_ttft_ms"] >= measurement.outcome.vllm_metrics["mean_ttft_ms"]
    assert measurement.outcome.strict_metrics["max_concurrent_requests"] <= (bound or LOAD["num_prompts"])


def test_several_workers_share_one_queue(tmp_path: Path) -> None:
    with simulator(tmp_path, timing=QUICK) as server:
        measurement = measure(server.url, tmp_path, workers=3, **LOAD)
    assert len(measurement.outcome.workers) == 3
    assert [record.index for record in measurement.outcome.records] == list(range(LOAD["num_prompts"]))
    assert measurement.outcome.strict_metrics["max_concurrent_requests"] == LOAD["max_concurrency"]


def test_the_level_of_a_sweep_decides_on_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "worker_count", lambda connections, cpus: connections)
    with simulator(tmp_path, timing=QUICK) as server:
        fact = benchmark(server.url, tmp_path, sweep=[3], **{**LOAD, "max_concurrency": 1})
    assert fact["client"]["workers"] == 3


def test_the_gpus_are_sampled_until_the_clock_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoding, stopped_before_it = tmp_path / "decoding", []
    decode = Worker.records

    class FakeSampler(base.Sampler):
        def stop(self) -> None:
            stopped_before_it.append(not decoding.exists())

    def records(worker: Worker) -> list[Record]:
        decoding.touch()
        return decode(worker)

    monkeypatch.setattr(base, "Sampler", FakeSampler)
    monkeypatch.setattr(Worker, "records", records)
    with simulator(tmp_path, timing=QUICK) as server:
        outcome = measure(server.url, tmp_path, **LOAD).outcome
    assert stopped_before_it[0]
    ends = max(record.ended_ns for record in outcome.records)
    assert outcome.window == pytest.approx((outcome.start_ns / 1e9, ends / 1e9), rel=0, abs=1e-6)


def test_a_sweep(tmp_path: Path) -> None:
    with simulator(tmp_path, timing=QUICK) as server:
        fact = benchmark(server.url, tmp_path, sweep=[1, 4], validity=TOLERANT, **LOAD)
    assert [point["max_concurrency"] for point in fact["sweep"]] == [1, 4]
    assert fact["sweep"][1]["output_throughput"] > fact["sweep"][0]["output_throughput"]
    assert fact["workload"]["max_concurrency"] == 4
    assert fact["metrics"]["output_throughput"] == fact["sweep"][1]["output_throughput"]
    assert (fact["status"], fact["server_counters"]["prefix_cache_hits"]) == ("ok", 0)


def test_repeats(tmp_path: Path) -> None:
    with simulator(tmp_path, timing=QUICK) as server:
        fact = benchmark(server.url, tmp_path, repeats=5, repeat_until=10.0, validity=TOLERANT, **LOAD)
    assert len(fact["repeats"]) == 3
    assert fact["confidence"]["output_throughput"]["half_width"] > 0
    assert fact["status"] == "ok"


def test_ranges_prefix_and_goodput(tmp_path: Path) -> None:
    shape = {
        "input_tokens": 128,
        "range_ratio": 0.5,
        "prefix_tokens": 32,
        "slo": {"ttft": 60_000},
        "validity": TOLERANT,
    }
    with simulator(tmp_path, timing=QUICK) as server:
        fact = benchmark(server.url, tmp_path, **{**LOAD, **shape})
    assert fact["status"] == "ok", fact["reason"]
    assert fact["server_counters"]["prefix_cache_hits"] > 0
    assert fact["metrics"]["request_goodput"] == fact["metrics"]["request_throughput"]


def test_a_shared_salt_meets_a_warm_cache_and_says_so(tmp_path: Path) -> None:
    with simulator(tmp_path, timing=QUICK) as server:
        first, again = (benchmark(server.url, tmp_path, salt="same", validity=TOLERANT, **LOAD) for _ in range(2))
    assert first["status"] == "ok"
    assert (again["status"], failed_checks(again)) == ("invalid", {"prefix_hit_rate"})


def test_a_file_of_prompts(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "Why?"}\n{"messages": [{"role": "user", "content": "How?"}], "output_tokens": 3}\n')
    with simulator(tmp_path, timing=QUICK) as server:
        fact = benchmark(server.url, tmp_path, dataset="file", dataset_path=str(path), warmup=2, validity=TOLERANT)
    assert fact["workload"]["num_prompts"] == 2
    assert fact["metrics"]["completed"] == 2
    assert fact["status"] == "ok", fact["reason"]


def test_exact_lengths_without_a_tokenizer(tmp_path: Path) -> None:
    with simulator(tmp_path, timing=QUICK, faults=[{"kind": "status,404", "path": "/tokenize"}]) as server:
        fact = benchmark(server.url, tmp_path, validity=TOLERANT, **LOAD)
    assert fact["status"] == "ok", fact["reason"]
    assert fact["metrics"]["total_input_tokens"] == LOAD["num_prompts"] * LOAD["input_tokens"]


def test_continuous_usage_and_several_tokens_an_event(tmp_path: Path) -> None:
    with simulator(tmp_path, timing=QUICK, stream_interval=4) as server:
        chunks = benchmark(server.url, tmp_path, validity=TOLERANT, **LOAD)
        tokens = benchmark(server.url, tmp_path, validity=TOLERANT, continuous_usage=True, **LOAD)
    assert (chunks["strict"]["itl_basis"], tokens["strict"]["itl_basis"]) == ("chunk", "token")
    assert tokens["strict"]["mean_itl_ms"] < chunks["strict"]["mean_itl_ms"]


@contextmanager
def stranger(server: Simulator) -> Iterator[None]:
    """Another client that keeps sending requests to the server."""
    question = '{"model": "sim", "prompt": "Who is there?", "max_tokens": 5, "ignore_eos": true}'
    command = (
        f"while :; do curl -s {server.url}/v1/completions -H 'content-type: application/json' -d '{question}'; done"
    )
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def test_other_traffic_is_noticed(tmp_path: Path) -> None:
    with simulator(tmp_path, timing=QUICK) as server, stranger(server):
        fact = benchmark(server.url, tmp_path, validity=TOLERANT, **{**LOAD, "output_tokens": 200})
    assert failed_checks(fact) == {"prompt_tokens_mismatch", "generation_tokens_mismatch"}


@pytest.mark.parametrize("options", [{"ignore_eos": True}, {"continuous_usage": True}], ids=str)
def test_tokens_are_counted_as_they_come_not_when_a_request_ends(tmp_path: Path, options: dict[str, Any]) -> None:
    """One wave of eight answers: none ends before all have nearly come."""
    seen: list[tuple[float, Counts]] = []

    def on_tick(phase: str, total: int, counts: Counts) -> bool:
        seen.append((time.monotonic(), counts))
        return True

    load = {"num_prompts": 8, "max_concurrency": 8, "input_tokens": 32, "output_tokens": 150}
    with simulator(tmp_path, timing={"decode_base_ms": 20.0, "decode_expert_ms": 0, "frontend_ms": 0.1}) as server:
        measured = measure(server.url, tmp_path, on_tick=on_tick, **load, **options)
    assert measured.outcome.vllm_metrics["completed"] == 8
    tokens = [(at, counts.received_bytes * counts.tokens_per_byte, counts.done) for at, counts in seen]
    under_way = [(at, count) for at, count, done in tokens if not done and 200 < count < 1000]
    assert len(under_way) >= 4
    (begin, first), (end, last) = under_way[0], under_way[-1]
    mean = 1200 / measured.outcome.vllm_metrics["duration"]
    assert (last - first) / (end - begin) == pytest.approx(mean, rel=0.25)
    assert max(count for _at, count, _done in tokens) == pytest.approx(1200, rel=0.15)
