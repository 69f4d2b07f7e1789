# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comments, docstrings, messages and documents avoid the words that a stranger has to read twice.

A word that is forbidden here has a plain one in its place. Names in Python code are not judged, what Python code says is.
"""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FILES = (
    "plugins/**/*.py",
    "plugins/**/*.yml",
    "roles/**/*.yml",
    "playbooks/*.yml",
    "docs/*.md",
    "README.md",
    "CONTRIBUTING.md",
)

# The pattern of a word, whatever its case -> what to write instead.
WORDS = {
    r"anew": "again",
    r"nobody": "no user, no caller, no request ...: who it is",
    r"somebody": "another user, a client ...: who it is",
    r"tells?|telling|told": "says, shows, reports, lists, distinguishes",
    r"mend|mends|mended|mending": "correct, repair",
    r"the source's|the source table": "the published benchmark (docs/published.md)",
    r"the page's (?:own|command|commands|nightly|table|words)": "the published benchmark (docs/published.md)",
    # `cards` is a public key of the fact and of module host_info; a model has a card.
    r"(?<!model )(?<![\w.`\"'(-])cards?(?![\w`\"':-])": "GPU, GPUs",
    r"private to (?:the|this) collection": "nothing: the underscore in the name says so",
}

# Where a word is right: file -> word as written there -> reason.
ALLOWED = {
    "plugins/module_utils/_bench/words.py": dict.fromkeys(("tell", "told"), "the vocabulary of random prompts"),
}

PATTERNS = {re.compile(rf"\b(?:{word})\b", re.IGNORECASE): instead for word, instead in WORDS.items()}


def judged_files() -> list[str]:
    """Paths from the top of the tree; a link and the collections below playbooks/ are not followed."""
    paths = {path.relative_to(ROOT).as_posix() for pattern in FILES for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(paths)


def prose(name: str, text: str) -> list[tuple[int, str]]:
    """Number and text of each line that a person reads: all of a document or YAML file, comments and strings of Python."""
    if not name.endswith(".py"):
        return list(enumerate(text.splitlines(), 1))
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type in kinds]
    return [(token.start[0] + below, line) for token in tokens for below, line in enumerate(token.string.splitlines())]


def problems(name: str, text: str) -> list[str]:
    """Each forbidden word of a file: where it stands, and what to write instead."""
    allowed = ALLOWED.get(name, {})
    return [
        f"{name}:{number}: {match[0]!r}; write {instead}"
        for number, line in prose(name, text)
        for pattern, instead in PATTERNS.items()
        for match in pattern.finditer(line)
        if match[0].lower() not in allowed
    ]


@pytest.mark.parametrize("name", judged_files())
def test_words(name: str) -> None:
    assert problems(name, (ROOT / name).read_text(encoding="utf-8")) == []


def test_there_are_files_of_each_kind() -> None:
    assert all(any(ROOT.glob(pattern)) for pattern in FILES)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.py", '"""Starts it anew."""\n', ["anew"]),
        ("a.py", "x = 1  # nobody asked, Somebody told\n", ["nobody", "Somebody", "told"]),
        ("a.py", "told = nobody(anew)\n", []),
        ("a.py", 'raise Fault(f"{x} does not tell its context")\n', ["tell"]),
        ("a.py", '"""One.\n\nPrivate to this collection.\n"""\n', ["Private to this collection"]),
        ("a.py", 'gpus = host["gpu"]["cards"]  # two cards\n', ["cards"]),
        (
            "a.yml",
            "x: '{{ host.gpu.cards | first }}'\n# the model card\ncards:\n- name: Mend the card\n",
            ["Mend", "card"],
        ),
        (
            "a.md",
            "the page's command; the page of the report; The source's table\n",
            ["the page's command", "The source's"],
        ),
    ],
)
def test_what_is_seen(name: str, text: str, words: list[str]) -> None:
    found = [re.findall(r": '(.*)'; write|: \"(.*)\"; write", problem)[0] for problem in problems(name, text)]
    assert sorted(a or b for a, b in found) == sorted(words)


def test_what_is_allowed_is_there() -> None:
    for name, words in ALLOWED.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        assert all(re.search(rf"\b{word}\b", text) for word in words)
