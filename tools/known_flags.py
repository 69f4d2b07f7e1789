#!/usr/bin/env python3
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the data files of known flags, one per pinned engine release, out of the engine's own package.

For maintainers, when a pinned release changes. An engine's wheel is read (`pip download --no-deps vllm==VERSION`), because a release that
has no CPU build cannot be imported without a GPU:

    python3 -m tools.known_flags vllm vllm-VERSION-*.whl > FILE
    python3 -m tools.known_flags sglang sglang-VERSION-*.whl > FILE

Without a wheel vLLM is asked itself, in an environment or image that has it; the tests hold that against the files:

    docker run --rm -i --entrypoint python IMAGE - vllm < tools/known_flags.py

The files are roles/inference_server/files/flags/ENGINE-VERSION.json: `engine`, `version` and `flags`, where each flag has
`aliases` (a `--no-` form among them), `values` (none, one, optional, many), and, where known, `choices`, `default` and
`deprecated`.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Flag = dict[str, Any]
Constants = dict[str, Any]

UNKNOWN = object()
PLAIN = (str, int, float, bool, type(None))


def make_flag(
    names: list[str], values: str, choices: Any = UNKNOWN, default: Any = UNKNOWN, help_text: str = ""
) -> tuple[str, Flag]:
    """A flag's entry under its first long name; choices and default are left out where they are not plain data."""
    name = next(name for name in names if name.startswith("--"))
    flag: Flag = {"aliases": [alias for alias in names if alias != name], "values": values}
    if isinstance(choices, (list, tuple, set)):
        flag["choices"] = sorted(choices) if isinstance(choices, set) else list(choices)
    if isinstance(default, PLAIN) or (isinstance(default, list) and all(isinstance(item, PLAIN) for item in default)):
        flag["default"] = default
    if re.match(r"\W*(\S+ (\(\S+\) )?is )?deprecated\b", help_text, re.IGNORECASE):
        flag["deprecated"] = True
    return name, flag


def document(engine: str, version: str, flags: Iterable[tuple[str, Flag]]) -> str:
    """The data file's text, a line per flag."""
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(flag)}" for name, flag in sorted(dict(flags).items()))
    return f'{{\n  "engine": "{engine}",\n  "version": "{version}",\n  "flags": {{\n{lines}\n  }}\n}}\n'


def values_of(nargs: Any) -> str:
    """How many values an option takes, from argparse's `nargs`."""
    return {None: "one", 0: "none", 1: "one", "?": "optional"}.get(nargs, "many")


# --- vLLM: its own parser, in an environment that has it --------------------------------------------------------------

# Options whose choices name the hardware that the build is for, so that a build for CPUs says nothing of one for GPUs.
BUILD_CHOICES = ("--mm-processor-device",)


def vllm_flags() -> Iterator[tuple[str, Flag]]:
    """Every option of `vllm serve`."""
    sys.argv.append("--help")  # without it vLLM leaves out what its options mean, and with it what is deprecated
    from vllm.engine import arg_utils  # noqa: PLC0415

    try:
        from vllm.entrypoints.common.cli_args import make_arg_parser  # noqa: PLC0415
    except ImportError:  # up to 0.32
        from vllm.entrypoints.launchers.cli_args import make_arg_parser  # noqa: PLC0415
    from vllm.reasoning import ReasoningParserManager  # noqa: PLC0415
    from vllm.tool_parsers import ToolParserManager  # noqa: PLC0415
    from vllm.utils.argparse_utils import FlexibleArgumentParser  # noqa: PLC0415

    no_parser = ["none"] if hasattr(arg_utils, "parse_reasoning_parser") else []
    registered = {
        "tool_call_parser": ToolParserManager.list_registered(),
        "reasoning_parser": ReasoningParserManager.list_registered() + no_parser,
    }
    parser = make_arg_parser(FlexibleArgumentParser(prog="vllm serve"))
    for action in parser._actions:
        # Since 0.33 an option has names that its help does not show.
        names = [name for name, owner in parser._option_string_actions.items() if owner is action]
        if any(name.startswith("--") for name in names):
            of_build = names[0] in BUILD_CHOICES
            yield make_flag(
                names,
                values_of(action.nargs),
                UNKNOWN if of_build else registered.get(action.dest, action.choices),
                UNKNOWN if action.default == argparse.SUPPRESS else action.default,
                action.help or "",
            )


def vllm_version() -> str:
    """The release, without the build's own suffix."""
    from importlib.metadata import version  # noqa: PLC0415

    return version("vllm").partition("+")[0]


# --- SGLang: the sources in its wheel -----------------------------------------------------------------------------------

FIELDS = "sglang/srt/arg_groups/fields/"
REGISTRATIONS = "sglang/srt/server_args.py"
CONSTANTS = (
    "sglang/srt/arg_groups/choices.py",
    "sglang/srt/function_call/parser_names.py",
    "sglang/srt/parser/reasoning_parser_names.py",
)
# What server_args.py's add_cli_args calls the two lists that it computes from the constants above.
COMPUTED = {"reasoning_parser_choices": "REASONING_PARSER_NAMES", "tool_call_parser_choices": "TOOL_CALL_PARSER_NAMES"}


def sglang_sources(archive: zipfile.ZipFile) -> dict[str, str]:
    """The sources in its wheel that declare the server's arguments, by path."""
    names = [name for name in archive.namelist() if name.startswith(FIELDS) and name.endswith(".py")]
    return {name: archive.read(name).decode() for name in (*CONSTANTS, *names, REGISTRATIONS)}


def sglang_flags(sources: Mapping[str, str]) -> Iterator[tuple[str, Flag]]:
    """Every option that the annotated fields declare, and those registered by hand."""
    trees = {name: ast.parse(source) for name, source in sources.items()}
    constants: Constants = {}
    for tree in trees.values():
        constants.update(module_constants(tree, constants))
    constants.update({name: constants.get(source, UNKNOWN) for name, source in COMPUTED.items()})
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign) and name.startswith(FIELDS):
                yield from field_flag(node, constants)
            elif isinstance(node, ast.Call) and name == REGISTRATIONS:
                yield from registered_flag(node, constants)


def module_constants(tree: ast.Module, known: Constants) -> Constants:
    """The module's upper-case names with their values, as far as they are plain data."""
    constants: Constants = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
            constants[node.targets[0].id] = evaluate(node.value, {**known, **constants})
    return constants


def evaluate(node: ast.expr | None, constants: Constants) -> Any:
    """A literal, a known constant, a sum or a dict of such; UNKNOWN for anything else."""
    if isinstance(node, ast.Name):
        return constants.get(node.id, UNKNOWN)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = evaluate(node.left, constants), evaluate(node.right, constants)
        return UNKNOWN if UNKNOWN in (left, right) else list(left) + list(right)
    if isinstance(node, ast.Dict):
        return {
            evaluate(key, constants): evaluate(value, constants)
            for key, value in zip(node.keys, node.values, strict=True)
        }
    try:
        return UNKNOWN if node is None else ast.literal_eval(node)
    except ValueError:
        return UNKNOWN


def field_flag(node: ast.AnnAssign, constants: Constants) -> Iterator[tuple[str, Flag]]:
    """The option of one `name: A[type, "help" or Arg(...)] = default`; none for a field without one."""
    annotation = node.annotation
    if not (
        isinstance(node.target, ast.Name)
        and isinstance(annotation, ast.Subscript)
        and isinstance(annotation.value, ast.Name)
        and annotation.value.id == "A"
        and isinstance(annotation.slice, ast.Tuple)
    ):
        return
    declared, metadata = annotation.slice.elts[:2]
    keywords = {keyword.arg: keyword.value for keyword in metadata.keywords} if isinstance(metadata, ast.Call) else {}
    if evaluate(keywords.get("no_cli"), constants) is True:
        return
    arguments = {key: evaluate(value, constants) for key, value in keywords.items()}
    aliases = arguments.get("aliases")
    name = arguments.get("cli_name") or "--" + node.target.id.replace("_", "-")
    yield make_flag(
        with_negation([name, *(aliases if isinstance(aliases, list) else [])], keywords.get("action")),
        field_values(ast.unparse(declared), keywords, arguments),
        arguments.get("choices", literal_choices(declared)),
        evaluate(node.value, constants),
        str(arguments.get("help", "")),
    )


def field_values(declared: str, keywords: Mapping[str | None, ast.expr], arguments: Mapping[str | None, Any]) -> str:
    """How many values the option of a field of this declared type takes."""
    if "action" in keywords:
        extra = arguments.get("action_kwargs")
        boolean = "Boolean" in ast.unparse(keywords["action"])
        return "none" if boolean else values_of(extra.get("nargs") if isinstance(extra, dict) else None)
    if declared in ("bool", "Optional[bool]"):
        return "none"
    if "nargs" in arguments:
        return values_of(arguments["nargs"])
    is_list = re.match(r"(Optional\[)?List\[", declared, re.IGNORECASE)
    return "many" if is_list and "type_parser" not in keywords else "one"


def with_negation(names: list[str], action: ast.expr | None) -> list[str]:
    """The names with `--no-x` behind them where the action is argparse's BooleanOptionalAction."""
    if action is None or not ast.unparse(action).endswith("BooleanOptionalAction"):
        return names
    return names + ["--no-" + name[2:] for name in names if name.startswith("--")]


def literal_choices(declared: ast.expr) -> Any:
    """The values of `Literal[...]`, also inside `Optional[...]`."""
    for node in ast.walk(declared):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
            elements = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return [evaluate(element, {}) for element in elements]
    return UNKNOWN


def registered_flag(node: ast.Call, constants: Constants) -> Iterator[tuple[str, Flag]]:
    """The option of one `parser.add_argument("--name", ...)`."""
    if not (isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument"):
        return
    names = [evaluate(argument, constants) for argument in node.args]
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    action = ast.unparse(keywords["action"]) if "action" in keywords else ""
    bare = "store_true" in action or ("Deprecated" in action and "choices" not in keywords)
    help_text = ast.unparse(keywords["help"]).lstrip("f'\"") if "help" in keywords else ""
    choices = evaluate(keywords.get("choices"), constants)
    yield make_flag(names, "none" if bare else "one", choices, UNKNOWN, help_text)


def read_wheel(engine: str, wheel: Path) -> str:
    """The data file's text for the release in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        if engine == "sglang":
            flags = list(sglang_flags(sglang_sources(archive)))
        else:
            from tools.vllm_wheel import wheel_flags  # noqa: PLC0415 - this file alone is what a container gets

            paths = set(archive.namelist())
            flags = list(wheel_flags(lambda path: archive.read(path).decode() if path in paths else None))
    return document(engine, wheel.name.split("-")[1], flags)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["vllm", "sglang"])
    parser.add_argument("wheel", type=Path, nargs="?", help="without one, the vLLM beside this interpreter is asked")
    arguments = parser.parse_args()
    if arguments.wheel:
        sys.stdout.write(read_wheel(arguments.engine, arguments.wheel))
    elif arguments.engine == "vllm":
        sys.stdout.write(document("vllm", vllm_version(), vllm_flags()))
    else:
        parser.error("SGLang cannot be asked without a GPU: name its wheel")


if __name__ == "__main__":
    main()
