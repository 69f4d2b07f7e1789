#!/usr/bin/env python3
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes entry points and variables into every roles/*/README.md, from the role's meta/argument_specs.yml and its defaults.

What stands between the two markers is replaced, what stands around them is kept; a README without markers gets them at its end.

    tools/role_readmes.py            write what is out of date (a part of `./run fix`)
    tools/role_readmes.py --check    name what is out of date and end with status 1
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "<!-- Made from meta/argument_specs.yml by `./run fix`; what is written here by hand is lost. -->"
END = "<!-- End of what is made. -->"
Options = Mapping[str, Mapping[str, Any]]

# Ansible's markup: one letter and parentheses; a closing parenthesis, comma or backslash inside is escaped by a backslash.
MACRO = re.compile(r"\b(RV|[BCEILMOPUV])\(((?:[^()\\]|\\.)*)\)")


def markdown(text: str) -> str:
    """Ansible's semantic markup as Markdown, for running text."""
    return MACRO.sub(lambda match: macro(match[1], re.sub(r"\\(.)", r"\1", match[2])), text)


def macro(kind: str, content: str) -> str:
    """One piece of markup, such as `V(true)` or `O(ns.collection.name#module:option)`, as Markdown."""
    if kind in "BI":
        return f"**{content}**" if kind == "B" else f"*{content}*"
    if kind in "LU":
        text, _, address = content.rpartition(",")
        return f"[{text.strip()}]({address.strip()})" if kind == "L" else f"<{content}>"
    plugin, hash_sign, name = content.partition("#")
    if not hash_sign or kind not in ("O", "P", "RV"):
        return code(content)
    if kind == "P":
        return code(plugin)
    return f"{code(name.rpartition(':')[2])} of {name.partition(':')[0]} {code(plugin)}"


def code(text: str) -> str:
    """Text in backticks, in more of them where it holds some itself."""
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def paragraph(description: str | Iterable[str]) -> str:
    """A description, a sentence or a list of them, as one line of Markdown."""
    sentences = [description] if isinstance(description, str) else description
    return " ".join(markdown(" ".join(sentence.split())) for sentence in sentences)


def value(default: Any) -> str:
    """A default as it would be typed into a YAML file, on one line."""
    plain = isinstance(default, str) and default and "\n" not in default
    return code(default if plain else json.dumps(default, ensure_ascii=False))


def type_of(option: Mapping[str, Any]) -> str:
    """`list of str` for a list with elements, else the type."""
    return option["type"] + (" of " + option["elements"] if "elements" in option else "")


def meaning(option: Mapping[str, Any]) -> str:
    """The description, with the choices behind it."""
    text = paragraph(option["description"])
    if "choices" not in option:
        return text
    lead = "Any of" if option["type"] == "list" else "One of"
    return f"{text} {lead} {', '.join(map(value, option['choices']))}."


def rows(options: Options, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Name, type, default and meaning of each option, those of a nested one behind it as `name.key` or `name[].key`."""
    for name, option in options.items():
        default = "*required*" if option.get("required") else value(option["default"]) if "default" in option else ""
        yield code(prefix + name), type_of(option), default, meaning(option)
        nested = prefix + name + ("[]." if option["type"] == "list" else ".")
        yield from rows(option.get("options", {}), nested)


def table(options: Options) -> str:
    """The options as a Markdown table."""
    lines = [("Variable", "Type", "Default", "Meaning"), ("---",) * 4, *rows(options)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def entry_points(specs: Mapping[str, Mapping[str, Any]]) -> str:
    """The role's entry points (files of tasks/), each with what it does."""
    return "\n".join(
        f"- `{name}`: {spec['short_description']}. {paragraph(spec['description'])}" for name, spec in specs.items()
    )


def variables(specs: Mapping[str, Mapping[str, Any]]) -> str:
    """A table for each set of options; entry points with the same options share one."""
    tables: dict[str, list[str]] = {}
    for name, spec in specs.items():
        if spec.get("options"):
            tables.setdefault(table(spec["options"]), []).append(name)
    if len(tables) < 2:
        return "".join(tables)
    return "\n\n".join(f"Of {', '.join(map(code, names))}:\n\n{text}" for text, names in tables.items())


def section(specs: Mapping[str, Mapping[str, Any]]) -> str:
    """What stands between the markers, markers included."""
    parts = [BEGIN, "## Entry points", entry_points(specs)]
    listed = variables(specs)
    if listed:
        parts += ["## Variables", listed]
    return "\n\n".join([*parts, END])


def renewed(readme: str, generated: str) -> str:
    """The README with the made section in the place of its old one, or at its end."""
    before, begin, rest = readme.partition(BEGIN)
    if not begin:
        return readme.rstrip() + "\n\n" + generated + "\n"
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the README has the first marker without the second, {END}")
    return before + generated + after


def completed(specs: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The specs with every default: one that is computed stands in the role's defaults alone."""
    return {
        entry: {**spec, "options": {name: _defaulted(name, each, defaults) for name, each in options.items()}}
        if (options := spec.get("options"))
        else spec
        for entry, spec in specs.items()
    }


def _defaulted(name: str, option: Mapping[str, Any], defaults: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**option, "default": defaults[name]} if name in defaults else option


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}


def outdated(roles: Path) -> Iterator[tuple[Path, str]]:
    """Each README that differs from its role's argument_specs, with the text that it should have."""
    for file in sorted(roles.glob("*/meta/argument_specs.yml")):
        readme = file.parent.parent / "README.md"
        text = (
            readme.read_text(encoding="utf-8") if readme.exists() else f"# llmfleet.serving.{file.parent.parent.name}\n"
        )
        specs = completed(read(file)["argument_specs"], read(readme.parent / "defaults" / "main.yml"))
        wanted = renewed(text, section(specs))
        if wanted != text:
            yield readme, wanted


def main(arguments: list[str] | None = None, roles: Path = ROOT / "roles") -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; end with status 1 where something is out of date"
    )
    check = parser.parse_args(arguments).check
    changed = list(outdated(roles))
    for readme, wanted in changed:
        print(f"{readme.relative_to(roles.parent)}: " + ("out of date, type ./run fix" if check else "written"))
        if not check:
            readme.write_text(wanted, encoding="utf-8")
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
