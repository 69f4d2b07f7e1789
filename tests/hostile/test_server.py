# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Behaviour x module x outcome x seconds x memory: no server keeps a module longer than its limit, fills its memory, or fools it.

Each row runs the module as Ansible does, in a process of its own. `HOSTILE_TABLE=FILE pytest ...` writes the table.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._lambda import api
from ansible_collections.llmfleet.serving.plugins.modules import (
    bench_serve,
    host_info,
    lambda_instance,
    server_ready,
    server_smoke,
)
from ansible_collections.llmfleet.serving.plugins.plugin_utils._report import upload

from tests.support.core import patch_module_args
from tests.support.hostile_answers import BROKEN, ENDLESS, ODD, STREAMS
from tests.support.hostile_server import (
    END_OF_CHUNKS,
    GOOD,
    MODEL,
    STREAM_HEAD,
    Behaviour,
    Peer,
    answer,
    asked_of,
    chunk,
    good_events,
    hostile_server,
    says,
    self_signed,
)

LIMIT_S = 0.4
OVER_S = 1.0  # by how much a module may outlast its limit
MOST_MIB = 64
KEY = "k3y-of-the-hostile-server"
CHAT, PROBED, CLOUD, STORE = "/v1/chat/completions", "/hub", "/instances", "/report.json"
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: the job of a benchmark comes back to who started it


class Ran(NamedTuple):
    """What a module returned, and what it cost."""

    result: dict[str, Any]
    errors: str
    seconds: float
    peak_mib: float


class Row(NamedTuple):
    """One line of the table: a path of a server that is otherwise good, the module that asks it, and what is expected of it."""

    name: str
    module: str
    path: str
    behaviour: Behaviour
    limit_s: float
    expected: Callable[[dict[str, Any]], object]


# -- running a module -------------------------------------------------------------------------------------------------


def run(module: Any, arguments: dict[str, Any]) -> Ran:
    """The module in a process of its own, with all that it starts."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        began, reader_writer = time.monotonic(), os.pipe()
        child = os.fork()
        if child == 0:
            os._exit(_child(module, arguments, out.fileno(), err.fileno(), reader_writer[1]))
        os.close(reader_writer[1])
        with os.fdopen(reader_writer[0]) as figures:
            peak_mib = float(figures.read() or "nan")
        os.waitpid(child, 0)
        seconds = time.monotonic() - began
        for stream in (out, err):
            stream.seek(0)
        text, errors = out.read(), err.read()
    assert text.strip(), errors
    return Ran(json.loads(text.splitlines()[-1]), errors, seconds, peak_mib)


def _child(module: Any, arguments: dict[str, Any], out: int, err: int, figures: int) -> int:
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before_kib = _status_kib("VmRSS")
    try:
        with patch_module_args(arguments):
            module.main()
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    own_kib = _status_kib("VmHWM")
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    children_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    os.write(figures, str((max(own_kib, children_kib) - before_kib) / 1024).encode())
    return 0


def _status_kib(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found.group(1))


# -- the modules ------------------------------------------------------------------------------------------------------


def ready(url: str, folder: Path) -> dict[str, Any]:
    servers = [{"base_url": url}]
    return {
        "servers": servers,
        "served_model_name": MODEL,
        "timeout_s": LIMIT_S,
        "poll_interval_s": 0.05,
        **key(folder),
    }


def smoke(url: str, folder: Path) -> dict[str, Any]:
    tests = {"chat": "report", "stream": "report", "context": "skip", "messages": "skip"}
    return {"base_urls": [url], "served_model_name": MODEL, "timeout_s": LIMIT_S, "tests": tests, **key(folder)}


def bench(url: str, folder: Path) -> dict[str, Any]:
    certificate = folder / "certificate.pem"
    limits = {
        "connect_s": LIMIT_S,
        "first_token_s": LIMIT_S,
        "idle_s": LIMIT_S,
        "total_s": 2 * LIMIT_S,
        "control_s": LIMIT_S,
    }
    return {
        "base_url": url,
        "workload": "smoke",
        "input_tokens": 64,
        "output_tokens": 8,
        "num_prompts": 2,
        "max_concurrency": 2,
        "warmup": 0,
        "timeouts": limits,
        "state_dir": str(folder / "state"),
        **({"ca_path": str(certificate)} if url.startswith("https") else {}),
        **key(folder),
    }


def key(folder: Path) -> dict[str, str]:
    path = folder / "key"
    path.write_text(KEY)
    return {"api_key_file": str(path)}


def probe(url: str, folder: Path) -> dict[str, Any]:
    return {"sections": ["network"], "url": f"{url}{PROBED}", "url_timeout_s": LIMIT_S}


class OneAttempt:
    """lambda_instance without its attempts, between which it waits for minutes."""

    @staticmethod
    def main() -> None:
        api.ATTEMPTS = 1
        lambda_instance.main()


def cloud(url: str, folder: Path) -> dict[str, Any]:
    return {"name": "x", "state": "absent", "api_url": url, "api_key": KEY, "request_timeout_s": LIMIT_S, "wait": False}


class Uploading:
    """What the action report_upload does on the controller."""

    @staticmethod
    def main() -> None:
        module = AnsibleModule(argument_spec={"url": {}, "file": {"type": "path"}})
        try:
            targets = {Path(module.params["file"]): module.params["url"]}
            upload.put(targets, {"Authorization": KEY}, retries=0, timeout_s=LIMIT_S)
        except UserError as error:
            module.fail_json(msg=str(error))
        module.exit_json()


def uploaded(url: str, folder: Path) -> dict[str, Any]:
    (folder / "report.json").write_text("{}")
    return {"url": f"{url}{STORE}", "file": str(folder / "report.json")}


MODULES = {
    "lambda_instance": (OneAttempt, cloud),
    "report_upload": (Uploading, uploaded),
    "host_info": (host_info, probe),
    "server_ready": (server_ready, ready),
    "server_smoke": (server_smoke, smoke),
    "bench_serve": (bench_serve, bench),
}


# -- the table --------------------------------------------------------------------------------------------------------


def says_why(pattern: str) -> Callable[[dict[str, Any]], object]:
    return lambda result: result.get("failed") and re.search(pattern, result["msg"])


def no_failure(result: dict[str, Any]) -> object:
    return not result.get("failed")


def measured(result: dict[str, Any]) -> object:
    return result["benchmark"]["metrics"]["completed"] == 2


def classed(pattern: str) -> Callable[[dict[str, Any]], object]:
    """Every request of the load has this class; without one every request is a success."""

    def judge(result: dict[str, Any]) -> object:
        fact = result["benchmark"]
        if not pattern:
            return (fact["metrics"]["completed"], fact["errors"]) == (2, {})
        errors = fact["errors"]
        counted = all(
            f"{error['count']} x {kind}" in fact["reason"] and error["example"][:40] in fact["reason"]
            for kind, error in errors.items()
        )
        named = all(re.fullmatch(pattern, kind) for kind in errors)
        return (
            named and sum(error["count"] for error in errors.values()) == 2 and fact["status"] == "failed" and counted
        )

    return judge


def streamed(pattern: str) -> Callable[[dict[str, Any]], object]:
    """What the smoke test `stream` says."""

    def judge(result: dict[str, Any]) -> object:
        found = next(each for each in result["results"] if each["test"] == "stream")
        return found["status"] == "pass" if pattern == "pass" else re.search(pattern, found["detail"])

    return judge


def both_fail(pattern: str) -> Callable[[dict[str, Any]], object]:
    return lambda result: all(
        each["status"] == "fail" and re.search(pattern, each["detail"]) for each in result["results"]
    )


def probed(result: dict[str, Any]) -> object:
    """Reachable with a status, or not and why."""
    found = result["host"]["network"]
    return found["http_status"] if found["reachable"] else found["error"] and len(found["error"]) < 1000


def ends_somehow(result: dict[str, Any]) -> object:
    """With a result, or with a sentence."""
    return not result.get("failed") or result["msg"]


def guarded_models(peer: Peer) -> None:
    if peer.headers.get("authorization") == f"Bearer {KEY}":
        GOOD["/v1/models"](peer)
    else:
        peer.send(answer(b"", b"401 Unauthorized"))


def flood(head: bytes, block: bytes) -> Behaviour:
    return lambda peer: (peer.send(head), peer.flood(block))  # type: ignore[return-value]


SMOKE_S = 2 * LIMIT_S  # two tests
LOAD_S = 2 * LIMIT_S  # a request's total limit


def rows() -> Iterator[Row]:
    for name, broken in BROKEN.items():
        yield Row(name, "server_ready", "/v1/models", broken.behaviour, LIMIT_S, says_why(broken.reason))
        yield Row(name, "server_smoke", CHAT, broken.behaviour, SMOKE_S, both_fail(broken.reason))
        yield Row(name, "bench_serve", CHAT, broken.behaviour, LOAD_S, classed(broken.kind))
        yield Row(name, "bench_serve", "/v1/models", broken.behaviour, LIMIT_S, says_why(broken.reason))
        yield Row(name, "host_info", PROBED, broken.behaviour, LIMIT_S, probed)
        yield Row(name, "lambda_instance", CLOUD, broken.behaviour, LIMIT_S, says_why("/instances"))
        yield Row(name, "report_upload", STORE, broken.behaviour, LIMIT_S, ends_somehow)
    for name in ("silence", "a byte now and then", "a reset", "an SSH banner", "half a body"):
        behaviour = BROKEN[name].behaviour
        yield Row(name, "server_ready", "/health", behaviour, LIMIT_S, says_why("/health answers nothing"))
        yield Row(name, "server_ready", "/version", behaviour, LIMIT_S, no_failure)
        yield Row(name, "bench_serve", "/version", behaviour, LIMIT_S, says_why(BROKEN[name].reason))
        yield Row(name, "bench_serve", "/tokenize", behaviour, LIMIT_S, says_why(BROKEN[name].reason))
        yield Row(name, "bench_serve", "/metrics", behaviour, 2 * LIMIT_S, measured)
    for name, (head, block) in ENDLESS.items():
        behaviour = flood(head, block)
        yield Row(name, "server_ready", "/v1/models", behaviour, LIMIT_S, says_why("models|MiB|timed out"))
        yield Row(name, "server_smoke", CHAT, behaviour, SMOKE_S, both_fail("more than 8 MiB|timed out"))
        yield Row(
            name, "bench_serve", CHAT, behaviour, LOAD_S, classed("oversized_answer|first_token_timeout|total_timeout")
        )
        yield Row(name, "bench_serve", "/metrics", behaviour, 2 * LIMIT_S, measured)
        yield Row(name, "lambda_instance", CLOUD, behaviour, LIMIT_S, says_why("/instances"))
        yield Row(name, "report_upload", STORE, behaviour, LIMIT_S, ends_somehow)
    for name, odd in ODD.items():
        yield Row(name, "lambda_instance", CLOUD, says(odd), LIMIT_S, ends_somehow)
        yield Row(name, "report_upload", STORE, says(odd), LIMIT_S, ends_somehow)
        for module, path in (("server_ready", "/v1/models"), ("server_ready", "/version"), ("server_smoke", CHAT)):
            yield Row(name, module, path, says(odd), SMOKE_S, ends_somehow)
        for path in ("/v1/models", "/version", "/tokenize", "/metrics", CHAT):
            yield Row(name, "bench_serve", path, says(odd), SMOKE_S, ends_somehow)
    for name, stream in STREAMS.items():
        yield Row(name, "server_smoke", CHAT, stream.behaviour, SMOKE_S, streamed(stream.smoke))
        yield Row(name, "bench_serve", CHAT, stream.behaviour, LOAD_S, classed(stream.kind))


ROWS = list(rows())


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


def asked(row: Row, folder: Path, certificate: Path | None) -> Ran:
    module, arguments = MODULES[row.module]
    with hostile_server({**GOOD, "/v1/models": guarded_models, row.path: row.behaviour}, certificate) as server:
        return run(module, arguments(server.url, folder))


def check(row: Row, folder: Path, certificate: Path | None) -> None:
    ran = asked(row, folder, certificate)
    for _attempt in range(2):  # a machine that has no time for a module at the moment: what is wrong is wrong each time
        if row.expected(ran.result) and ran.seconds < row.limit_s + OVER_S:
            break
        ran = asked(row, folder, certificate)
    table = os.environ.get("HOSTILE_TABLE")
    if table:
        with Path(table).open("a", encoding="utf-8") as stream:
            stream.write(
                f"{'tls' if certificate else 'plain':5} | {row.name:43} | {row.module:12} | {row.path:20} | {outcome(ran.result):60.60} "
                f"| {ran.seconds:5.2f} s of {row.limit_s:3.1f} | {ran.peak_mib:5.1f} MiB\n"
            )
    text = json.dumps(ran.result)
    assert row.expected(ran.result), text[:2000]
    assert "Traceback" not in text + ran.errors, ran.errors
    assert KEY not in text
    assert ran.seconds < row.limit_s + OVER_S
    assert ran.peak_mib < MOST_MIB
    assert len(text) < 100_000


def outcome(result: dict[str, Any]) -> str:
    """The result in a few words."""
    if result.get("failed"):
        return str(result["msg"]).partition(": ")[2] or str(result["msg"])
    fact = result.get("benchmark")
    if fact:
        return f"{fact['status']} {', '.join(fact['errors'])}"
    return "; ".join(f"{each['test']} {each['status']}" for each in result.get("results", [])) or "ready"


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.module}-{row.path}-{row.name}" for row in ROWS])
def test_a_server_that_is_hostile(row: Row, tmp_path: Path) -> None:
    check(row, tmp_path, None)


SECURED = [row for row in ROWS if row.path in (CHAT, "/v1/models", CLOUD, STORE) and row.name in {**BROKEN, **ENDLESS}]


@pytest.mark.parametrize("row", SECURED, ids=[f"{row.module}-{row.path}-{row.name}" for row in SECURED])
def test_a_server_that_is_hostile_over_tls(
    row: Row, tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):  # the second one is of requests
        monkeypatch.setenv(name, str(certificate))
    (tmp_path / "certificate.pem").write_bytes(certificate.read_bytes())
    check(row, tmp_path, certificate)


def test_the_table_is_long_enough() -> None:
    assert len({(row.name, row.module, row.path) for row in ROWS}) == len(ROWS) >= 500
    assert len({row.name for row in ROWS}) >= 120


def test_an_end_that_comes_late_is_laid_to_the_server(tmp_path: Path) -> None:
    """Usage and [DONE] come 60 ms after the last token of an answer that took no longer."""

    def late(peer: Peer) -> None:
        good = good_events(asked_of(peer))
        peer.send(STREAM_HEAD, *map(chunk, good[:-2]))
        time.sleep(0.06)
        peer.send(*map(chunk, good[-2:]), END_OF_CHUNKS)

    with hostile_server({**GOOD, "/v1/models": guarded_models, CHAT: late}) as server:
        fact = run(bench_serve, {**bench(server.url, tmp_path), "num_prompts": 16}).result["benchmark"]
    checks = {check["name"]: check for check in fact["validity"]["checks"]}
    assert fact["metrics"]["completed"] == 16
    assert (checks["closure"]["status"], checks["late_end"]["status"]) == ("pass", "fail")
    assert "the server held the slots" in fact["reason"]
