# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may import whom. One table, and what follows from the imports of every file below plugins/; nothing is imported or run here."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
COLLECTION = "ansible_collections.llmfleet.serving.plugins."

GROUND = tuple(
    f"module_utils.{name}"
    for name in (
        "_secrets",
        "_errors",
        "_text",
        "_files",
        "_owners",
        "_patience",
        "_bearer",
        "_processes",
        "_lease",
        "_docker_config",
        "_metric_table",
        "_engines",
    )
)
CONTROLLER_GROUND = tuple(
    f"plugin_utils.{name}"
    for name in (
        "_plain",
        "_border",
        "_knobs",
        "_version",
        "_version_floors",
        "_gpu_access",
        "_ownership",
        "_gpu_choice",
        "_state_folder",
        "_failure",
        "_smoke",
        "_proxies",
        "_role_settings",
        "_kept_facts",
        "_this_run",
    )
)
OPENAI = "module_utils._openai"
HTTP = tuple(f"{OPENAI}.{name}" for name in ("http1", "sse", "documents", "stream", "endings"))
BENCH = "module_utils._bench"


def bench(*names: str) -> tuple[str, ...]:
    return tuple(f"{BENCH}.{name}" for name in names)


# Room -> the rooms that its files may import; a room is a file or a folder with all that is in it. The longest name counts, so a file has
# its folder's row unless it has one of its own. A room that is not named among its own imports keeps its files apart.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    # -- on the hosts ---------------------------------------------------------------------------------------------------
    "module_utils._secrets": (),
    "module_utils._errors": ("module_utils._secrets",),  # the text of an error leaves without secrets
    "module_utils._text": (),
    "module_utils._files": (),
    "module_utils._owners": ("module_utils._errors",),
    "module_utils._patience": (),
    "module_utils._bearer": (),
    "module_utils._processes": ("module_utils._files",),
    "module_utils._lease": tuple(
        f"module_utils.{name}" for name in ("_errors", "_files", "_owners", "_processes", "_text")
    ),
    "module_utils._docker_config": (),
    "module_utils._metric_table": (),
    "module_utils._engines": ("module_utils._engines",),
    "module_utils._probe": (*GROUND, "module_utils._probe"),
    "module_utils._lambda": (
        *GROUND,
        f"{OPENAI}.documents",
        "module_utils._lambda",
    ),  # JSON of a server, bounded, is read in one way
    OPENAI: (*GROUND, OPENAI),
    "module_utils._server": (*GROUND, OPENAI, "module_utils._server"),
    # The benchmark client from the bottom up. Every file has its row, for here the order is the architecture.
    BENCH: (),
    f"{BENCH}.settings": (),
    f"{BENCH}.recording": (),
    f"{BENCH}.words": (),
    f"{BENCH}.arrivals": (),
    f"{BENCH}.child_process": (),
    f"{BENCH}.gpu_power": bench("child_process"),
    f"{BENCH}.options": (*GROUND, *bench("settings")),
    f"{BENCH}.prompts": (*GROUND, *bench("words")),
    # Decoding, after the clock has stopped. What HTTP and a stream of events are stands in _openai, for smoke tests and probes too.
    f"{BENCH}.record": (*GROUND, *bench("recording"), *HTTP),
    f"{BENCH}.metrics": (*GROUND, *bench("record", "settings")),
    f"{BENCH}.repeats": GROUND,
    f"{BENCH}.validity": (*GROUND, *bench("metrics", "record", "settings")),
    f"{BENCH}.target": (*GROUND, OPENAI, *bench("prompts", "settings")),
    # The timed part. Its workers decode what they received before they hand it over, hence record.
    f"{BENCH}.loadgen": (*GROUND, *HTTP, f"{OPENAI}.endpoint", *bench("loadgen", "settings", "recording", "record")),
    # Everything below them, and nothing of what runs them.
    f"{BENCH}.clients": (
        *(*GROUND, OPENAI),
        *bench("settings", "arrivals", "child_process", "gpu_power", "prompts", "record", "metrics", "validity"),
        *bench("target", "loadgen", "clients"),
    ),
    f"{BENCH}.result": (*GROUND, *bench("settings", "record", "metrics", "repeats", "validity", "clients.base")),
    f"{BENCH}.runner": (*GROUND, *bench("settings", "repeats", "result", "clients.base")),
    f"{BENCH}.lock": (*GROUND, f"{OPENAI}.endpoint"),
    f"{BENCH}.job": (*GROUND, *bench("settings", "loadgen.progress", "lock")),  # progress is what a job writes down
    f"{BENCH}.task": (*GROUND, OPENAI, BENCH),
    # -- on the controller ----------------------------------------------------------------------------------------------
    "plugin_utils._plain": (),
    "plugin_utils._border": ("module_utils._text", "plugin_utils._plain"),
    "plugin_utils._knobs": (
        "module_utils._errors",
        "module_utils._secrets",
        "module_utils._text",
        "plugin_utils._plain",
    ),
    "plugin_utils._role_settings": (
        *("module_utils._errors", "module_utils._secrets"),
        *("plugin_utils._knobs", "plugin_utils._plain"),
    ),
    "plugin_utils._kept_facts": ("module_utils._text", "plugin_utils._border", "plugin_utils._plain"),
    "plugin_utils._this_run": ("module_utils._processes", "module_utils._text"),
    "plugin_utils._version": (),
    "plugin_utils._failure": (),
    "plugin_utils._smoke": ("module_utils._text", "plugin_utils._failure"),
    "plugin_utils._version_floors": (),
    "plugin_utils._gpu_choice": ("module_utils._errors", "module_utils._text"),
    "plugin_utils._proxies": ("module_utils._errors", "module_utils._secrets", "plugin_utils._version"),
    "plugin_utils._gpu_access": ("plugin_utils._version", "plugin_utils._version_floors"),
    "plugin_utils._state_folder": ("module_utils._errors", "module_utils._text", "module_utils._probe.servers"),
    "plugin_utils._ownership": ("module_utils._errors", "module_utils._text"),
    # The design gives the report the ground alone; but Student's t stands once, with the repeats that a host counts.
    "plugin_utils._report": (*GROUND, *CONTROLLER_GROUND, f"{BENCH}.repeats", "plugin_utils._report"),
    # What is wanted of a host or a server shares names and sentences with what looks at it there.
    "plugin_utils._host": (*GROUND, *CONTROLLER_GROUND, "plugin_utils._host", "module_utils._probe"),
    "plugin_utils._spec": (
        *GROUND,
        *CONTROLLER_GROUND,
        "plugin_utils._spec",
        "module_utils._probe",
        "module_utils._server",
    ),
    # The set-up of AWX: what this project offers there, and the client that brings it.
    "plugin_utils._awx": (
        *(*GROUND, *CONTROLLER_GROUND),
        f"{OPENAI}.documents",
        "plugin_utils._awx",
    ),  # JSON of a server, bounded, is read in one way
    # -- what Ansible calls: never each other ---------------------------------------------------------------------------
    "modules": ("module_utils",),
    "action": ("module_utils", "plugin_utils"),
    "filter": ("module_utils", "plugin_utils"),
    "inventory": ("module_utils", "plugin_utils"),
    "doc_fragments": (),
}

# Files that compute and do nothing else, and the whole of what they, and all that they import, may take from outside the collection.
PURE = bench("settings", "recording", "record", "metrics", "repeats", "validity")
PURE_LIBRARY = {
    "__future__", "array", "bisect", "collections", "dataclasses", "functools", "hashlib", "itertools", "json", "math", "operator", "re",
    "typing", "zlib",
}  # fmt: skip

FLOORS = 10  # files in the longest chain of imports within module_utils, from the module's verbs down to what is secret


class File(NamedTuple):
    """One source file's imports: of ours, by name below plugins/, and of others."""

    ours: frozenset[str]
    others: frozenset[str]


Graph = dict[str, File]


# -- reading ----------------------------------------------------------------------------------------------------------


def sources() -> dict[str, str]:
    """The text of every file by its dotted name below plugins/; a package's own file ends with `.__init__`."""
    return {
        ".".join(path.relative_to(PLUGINS).with_suffix("").parts): path.read_text()
        for path in sorted(PLUGINS.rglob("*.py"))
    }


def graph_of(texts: dict[str, str]) -> Graph:
    modules = {name.removesuffix(".__init__") for name in texts}
    graph = {}
    for name, text in texts.items():
        ours, others = set(), set()
        for imported in imports(name, text):
            if imported.startswith(COLLECTION):
                ours.add(nearest(imported.removeprefix(COLLECTION), modules))
            else:
                others.add(imported.removesuffix(".*"))
        graph[name.removesuffix(".__init__")] = File(frozenset(ours), frozenset(others))
    return graph


@lru_cache(maxsize=None)
def imports(name: str, text: str) -> tuple[str, ...]:
    """Everything that a file imports, anywhere in it: relative imports resolved, those for type checkers too.

    What comes from a module of others is the module, followed by `.*`; from one of ours it may be a module of its own.
    """
    package = name.split(".")[:-1]
    problems = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            problems += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package[: len(package) - node.level + 1]
                base = COLLECTION + ".".join([*above, *([node.module] if node.module else [])])
            ours = (base + ".").startswith(COLLECTION)
            problems += [f"{base}.{alias.name}" if ours else f"{base}.*" for alias in node.names]
    return tuple(problems)


def nearest(imported: str, modules: set[str]) -> str:
    """The module that an import names, or holds what it names."""
    return imported if imported in modules else imported.rpartition(".")[0]


# -- judging ----------------------------------------------------------------------------------------------------------


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def room_of(name: str) -> str | None:
    return max((room for room in MAY_IMPORT if within(name, room)), key=len, default=None)


def forbidden(graph: Graph) -> list[str]:
    """Imports that the table does not allow, and files that it does not know."""
    problems = []
    for name, file in graph.items():
        room = room_of(name)
        if room is None or (room == BENCH and name != BENCH):
            problems.append(f"{name} has no row in MAY_IMPORT")
            continue
        allowed = MAY_IMPORT[room]
        problems += [
            f"{name} imports {other}" for other in sorted(file.ours) if not any(within(other, r) for r in allowed)
        ]
    return problems


def circles(graph: Graph) -> list[str]:
    """Circles of imports, each as a path; every file that is left when those without an open import are taken off one by one."""
    rest = {name: {other for other in file.ours if other in graph} for name, file in graph.items()}
    while True:
        closed = [name for name, others in rest.items() if not others & rest.keys()]
        if not closed:
            break
        for name in closed:
            del rest[name]
    return [_path_to_itself(name, rest) for name in sorted(rest) if _path_to_itself(name, rest)]


def _path_to_itself(name: str, rest: dict[str, set[str]]) -> str:
    paths = [[name]]
    seen: set[str] = set()
    while paths:
        path = paths.pop(0)
        for other in sorted(rest[path[-1]] & rest.keys()):
            if other == name:
                return " -> ".join([*path, name])
            if other not in seen:
                seen.add(other)
                paths.append([*path, other])
    return ""


def reached(graph: Graph, starts: list[str]) -> set[str]:
    """The files that are imported by these, directly or through others, with these themselves."""
    seen: set[str] = set()
    rest = list(starts)
    while rest:
        name = rest.pop()
        if name in graph and name not in seen:
            seen.add(name)
            rest += graph[name].ours
    return seen


def unreached(graph: Graph, packages: set[str]) -> list[str]:
    """Files of module_utils that no module needs: they belong to plugin_utils, or nowhere."""
    needed = reached(graph, [name for name in graph if within(name, "modules")])
    return [name for name in graph if within(name, "module_utils") and name not in needed | packages]


def impure(graph: Graph) -> list[str]:
    """What a pure file takes from outside, itself or through what it imports, that is not on the list."""
    problems = []
    for name in PURE:
        for part in sorted(reached(graph, [name])):
            taken = sorted(graph[part].others - PURE_LIBRARY)
            problems += [f"{name} is pure, and {part} imports {other}" for other in taken]
    return problems


def floors(graph: Graph, below: str) -> dict[str, int]:
    """For each file of a wing the length of the longest chain of imports from it down. The graph has no circle."""
    heights: dict[str, int] = {}

    def height(name: str) -> int:
        if name not in heights:
            heights[name] = 1 + max((height(other) for other in graph[name].ours if within(other, below)), default=0)
        return heights[name]

    return {name: height(name) for name in graph if within(name, below)}


# -- the project ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return sources()


@pytest.fixture(scope="module")
def graph(texts: dict[str, str]) -> Graph:
    return graph_of(texts)


def packages(texts: dict[str, str]) -> set[str]:
    return {name.removesuffix(".__init__") for name in texts if name.endswith(".__init__")}


def test_every_import_is_in_the_table(graph: Graph) -> None:
    assert forbidden(graph) == []


def test_no_import_leads_back(graph: Graph) -> None:
    assert circles(graph) == []


def test_a_module_needs_every_file_that_goes_to_hosts(texts: dict[str, str], graph: Graph) -> None:
    assert unreached(graph, packages(texts)) == []


def test_what_computes_does_nothing_else(graph: Graph) -> None:
    assert impure(graph) == []


def test_only_the_ground_lies_directly_in_module_utils_and_plugin_utils(texts: dict[str, str]) -> None:
    flat = {name for name in texts if name.count(".") == 1 and name.startswith(("module_utils.", "plugin_utils."))}
    assert flat <= {*GROUND, *CONTROLLER_GROUND}


def test_every_row_of_the_table_is_about_something(graph: Graph) -> None:
    rooms = {*MAY_IMPORT, *(room for allowed in MAY_IMPORT.values() for room in allowed)}
    assert [room for room in sorted(rooms) if not any(within(name, room) for name in graph)] == []


def test_the_longest_chain_of_imports_does_not_grow(graph: Graph) -> None:
    heights = floors(graph, "module_utils")
    assert max(heights.values()) <= FLOORS, sorted(heights.items(), key=lambda item: -item[1])[:3]


# -- the judges themselves --------------------------------------------------------------------------------------------

SINS = [
    ("plugin_utils._report.facts", "from .._spec.flags import parse_args", forbidden, "_report.facts imports plugin_utils._spec"),
    ("plugin_utils._spec.flags", "if TYPE_CHECKING:\n    from .._report import svg", forbidden, "_spec.flags imports plugin_utils._report"),
    ("module_utils._probe.gpu", f"import {COLLECTION}plugin_utils._plain", forbidden, "_probe.gpu imports plugin_utils._plain"),
    ("module_utils._errors", "from ._bench import words", forbidden, "_errors imports module_utils._bench.words"),
    ("modules.host_fact", f"from {COLLECTION}modules import host_info", forbidden, "host_fact imports modules.host_info"),
    ("module_utils._bench.loadgen.clock", "from ..target import Target", forbidden, "clock imports module_utils._bench.target"),
    ("module_utils._bench.extra", "", forbidden, "module_utils._bench.extra has no row"),
    ("module_utils._bench.words", "from .prompts import Prompt", circles, "prompts -> module_utils._bench.words"),
    ("module_utils._bench.metrics", "import socket", impure, "metrics is pure, and module_utils._bench.metrics imports socket"),
    ("module_utils._bench.record", "def f():\n    from select import poll", impure, "validity is pure, and module_utils._bench.record"),
    ("module_utils._openai.sse", "from .client import Answer", impure, "pure, and module_utils._openai.client imports"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "line", "judge", "verdict"), SINS, ids=[f"{sin[0]}: {sin[1]}" for sin in SINS])
def test_a_planted_sin_is_seen(texts, name, line, judge, verdict) -> None:
    problems = judge(graph_of({**texts, name: f"{texts.get(name, '')}\n{line}\n"}))
    assert any(verdict in problem for problem in problems), problems


def test_a_file_that_only_the_controller_needs_is_seen(texts: dict[str, str]) -> None:
    planted = {
        **texts,
        "module_utils._probe.extra": "",
        "filter.extra": f"from {COLLECTION}module_utils._probe import extra",
    }
    assert unreached(graph_of(planted), packages(texts)) == ["module_utils._probe.extra"]


# -- what Ansible's sanity tests refuse, and `./run sanity` alone would show ---------------------------------------------


def test_the_files_that_make_packages_are_empty(texts: dict[str, str]) -> None:
    """The test empty-init of ansible-core 2.16 and 2.17; an exception to it is refused by ansible-lint."""
    assert [name for name, text in texts.items() if name.endswith(".__init__") and text] == []


def test_nothing_has_a_name_that_pylint_refuses(texts: dict[str, str]) -> None:
    """`_` is the name of a function that translates, in Ansible's own code; the others say nothing."""
    refused = {"_", "foo", "bar", "baz", "toto", "tutu", "tata"}
    assert [name for name, text in texts.items() if refused & _assigned(text)] == []


def _assigned(text: str) -> set[str]:
    return {
        node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
