# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the documents say of the tree is true: links lead somewhere, named paths exist, published figures are those in use."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TRACKED = subprocess.run(
    ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"],
    check=True,
    capture_output=True,
    text=True,
).stdout.splitlines()
FILES = [name for name in TRACKED if (ROOT / name).exists()]
FOLDERS = {str(parent) for name in FILES for parent in Path(name).parents} - {"."}
TOP = {name.partition("/")[0] for name in FILES}
DOCUMENTS = [name for name in FILES if name.endswith(".md") and not name.startswith("tests/")]

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
IN_BACKTICKS = re.compile(r"`([^`\n]+)`")
# `roles/*/README.md`, `vars/models/NAME.yml`, `group_vars/<class>.yml`: what stands for any part of a path.
PLACEHOLDER = re.compile(r"\*|<[^>]*>|\b(NAME|ENGINE|VERSION)\b")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(name):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", read(name)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def exists(path):
    """Whether a file or folder of the tree has that path; placeholders stand for anything."""
    pattern = re.escape(path.rstrip("/"))
    for placeholder in PLACEHOLDER.finditer(path):
        pattern = pattern.replace(re.escape(placeholder[0]), "[^/]*")
    return any(re.fullmatch(pattern, name) for name in (*FILES, *FOLDERS))


def paths_in(name):
    """What a document names in backticks by its path from the top of the tree."""
    words = [word for text in IN_BACKTICKS.findall(FENCE.sub("", read(name))) for word in text.split()]
    return {word.strip("(),;:") for word in words if "/" in word and word.partition("/")[0] in TOP}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_a_file_and_a_heading(name):
    for target in LINK.findall(FENCE.sub("", read(name))):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert file.exists(), target
        assert not anchor or anchor in anchors(str(file.relative_to(ROOT))), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_exist(name):
    beside = Path(name).parent  # a role's README names files of the role
    assert {path for path in paths_in(name) if not exists(path) and not exists(str(beside / path))} == set()


# Headings of README.md that certification asks for, in its order.
CERTIFIED = (
    "Description",
    "Requirements",
    "Installation",
    "Use Cases",
    "Testing",
    "Contributing",
    "Support",
    "Release Notes and Roadmap",
    "Related Information",
    "License Information",
)


def test_the_readme_has_the_headings_of_certification_and_a_trial_before_them():
    headings = re.findall(r"^## (.+)$", FENCE.sub("", read("README.md")), re.MULTILINE)
    assert [heading for heading in headings if heading in CERTIFIED] == list(CERTIFIED)
    assert headings.index("Try it") < headings.index("Requirements")


def test_every_guide_of_the_documentation_site_is_in_its_list():
    listed = yaml.safe_load(read("docs/docsite/extra-docs.yml"))["sections"]
    guides = {Path(name).stem for name in FILES if name.startswith("docs/docsite/rst/")}
    assert {guide for section in listed for guide in section["toctree"]} == guides


def test_a_path_that_does_not_exist_would_be_seen():
    assert exists("roles/*/README.md") and exists("roles/inference_server/vars/models/NAME.yml")
    assert exists("plugins/modules") and exists("group_vars/<class>.yml")
    assert not exists("plugins/modules/no_such.py") and not exists("roles/*/CHANGES.md")


def test_the_changelog_has_one_name():
    config = yaml.safe_load(read("changelogs/config.yaml"))
    assert (ROOT / "changelogs" / config["changelog_filename_template"]).resolve() == ROOT / "CHANGELOG.md"
    assert "CHANGELOG.md" in FILES
    named = {word for name in DOCUMENTS for word in re.findall(r"CHANGELOG\.\w+", read(name))}
    assert named == {"CHANGELOG.md"}


@pytest.mark.parametrize(("engine", "title"), [("sglang", "set 1, taken as SGLang"), ("vllm", "set 2, taken as vLLM")])
def test_the_published_tables_are_those_that_results_are_compared_with(engine, title):
    lines = read("docs/published.md").splitlines()
    begin = lines.index(f"| {title} | B200 | H100 | A100 |")
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[begin + 2 : begin + 8]]
    cells = json.loads(read("roles/report/files/published/LFM2.5-8B-A1B.json"))["results"][engine]
    cells = [cells[gpu] for gpu in ("b200", "h100", "a100")]
    plain = {
        "output tok/s": "output_tok_s",
        "per-user output tok/s": "per_user_tok_s",
        "total tok/s": "total_tok_s",
    }
    pairs = {f"{name.upper()} mean / P99 in ms": f"{name}_ms" for name in ("ttft", "tpot", "itl")}
    wanted = [[title, *(f"{cell[key]:,}" for cell in cells)] for title, key in plain.items()]
    wanted += [
        [title, *(f"{cell[key]['mean']:,} / {cell[key]['p99']:,}" for cell in cells)] for title, key in pairs.items()
    ]
    assert table == wanted


# --- docs/architecture.md ---------------------------------------------------------------------------------------------

ARCHITECTURE = "docs/architecture.md"
SYMBOLS_OF = re.compile(r"`([\w./]+\.py)` \(((?:`\w+`(?:, )?)+)\)")


def architecture():
    return read(ARCHITECTURE)


def resolved(path):
    """The file or folder of the tree whose path ends so; None where there is none, or more than one."""
    path = path.rstrip("/")
    ends = [name for name in (*FILES, *FOLDERS) if name == path or name.endswith("/" + path)]
    code = [name for name in ends if not name.startswith("tests/")] or ends
    return code[0] if len(code) == 1 else None


def defined_in(path):
    """The names of a Python file's functions, classes and upper-case constants."""
    names = re.findall(r"^\s*(?:def|class) (\w+)|^([A-Z_]+)\b.*? = ", read(path), re.MULTILINE)
    return {name for pair in names for name in pair if name}


def test_every_path_in_the_architecture_is_one_of_the_tree():
    text = re.sub(r"^    .*$", "", architecture(), flags=re.MULTILINE)
    words = [word for piece in IN_BACKTICKS.findall(text) for word in piece.split()]
    paths = {word for word in words if re.search(r"/|\.(py|yml|md|json|sh)$", word) and word[0] not in "~/"}
    assert {path for path in paths if not resolved(path) and not exists(path)} == set()


def symbols():
    """Each name that stands in brackets behind the file that defines it, with the file."""
    return {(path, name) for path, names in SYMBOLS_OF.findall(architecture()) for name in re.findall(r"\w+", names)}


def test_every_symbol_in_the_architecture_is_defined_where_it_says():
    assert len(symbols()) > 30
    missing = {(path, symbol) for path, symbol in symbols() if symbol not in defined_in(resolved(path))}
    assert missing == set()


def test_every_other_name_in_the_architecture_occurs_in_the_tree():
    names = {piece for piece in IN_BACKTICKS.findall(architecture()) if re.fullmatch(r"[A-Za-z_]\w*", piece)}
    code = [
        name for name in FILES if name.startswith(("plugins/", "roles/", "playbooks/")) and not name.endswith(".md")
    ]
    words = set(re.findall(r"\w+", "\n".join([*code, *(read(name) for name in code if not (ROOT / name).is_dir())])))
    words |= {part for name in FILES for part in Path(name).parts}
    assert names - words - {symbol for _, symbol in symbols()} == set()


def test_the_files_in_the_pictures_exist():
    picture = "\n".join(re.findall(r"^    .*$", architecture(), re.MULTILINE))
    paths = set(re.findall(r"(?<![\w./])\w+/\w+\.py\b", picture))
    assert len(paths) > 5
    assert {path for path in paths if not resolved(path)} == set()


def test_the_files_and_functions_in_the_picture_of_the_benchmark_client_exist():
    folder = "plugins/module_utils/_bench"
    docstring = read(f"{folder}/task.py").split('"""')[1]
    files = set(re.findall(r"[\w/]+\.py\b", docstring))
    rooms = {Path(name).stem for name in FILES if name.startswith(folder) and "/clients/" not in name} - {"__init__"}
    assert {Path(name).stem for name in files} >= rooms
    assert {name for name in files if not resolved(name) and not exists(name)} == set()
    steps = re.findall(r"([\w/]+\.py) +(\w+)$", docstring, re.MULTILINE)
    assert len(steps) >= 10
    assert {
        (name, function) for name, function in steps if function not in defined_in(resolved(f"_bench/{name}"))
    } == set()


def test_every_folder_of_the_tree_has_one_line():
    section = architecture().partition("## Rooms")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `([^`]+)/` \|", section, re.MULTILINE)
    hidden = {folder for folder in FOLDERS if folder.startswith(".")}
    two_deep = {folder for folder in FOLDERS - hidden if folder.count("/") < 2 or folder.startswith("plugins/")}
    assert sorted(lines) == sorted(two_deep | {folder.partition("/")[0] for folder in hidden})


def test_the_architecture_answers_thirteen_questions():
    section = architecture().partition("## Where is ...?")[2]
    questions = re.findall(r"^\| ([^|]+\?) \| ([^|]+) \|$", section, re.MULTILINE)
    assert len(questions) == 13
    assert all("`" in answer for _, answer in questions)


def test_no_two_filters_share_a_text():
    documented = [
        yaml.safe_load(read(name))["DOCUMENTATION"] for name in FILES if re.match(r"plugins/filter/.*\.yml$", name)
    ]
    texts = [text for each in documented for text in (each["short_description"], *each["description"])]
    assert sorted({text for text in texts if texts.count(text) > 1}) == []
