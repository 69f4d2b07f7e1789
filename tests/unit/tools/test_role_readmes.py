# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each role's README lists the entry points and variables of its argument_specs, as `./run fix` writes them."""

from __future__ import annotations

import pytest
import yaml

from tools.role_readmes import BEGIN, END, main, markdown, outdated, renewed, section
from tools.role_readmes import ROOT as CHECKOUT

SPECS = """
argument_specs:
  main:
    short_description: Do the work
    description: [Does C(all) of it., Twice.]
    options: &options
      toy_mode: {type: str, default: fast, choices: [fast, slow], description: How.}
      toy_parts:
        type: list
        elements: dict
        required: true
        description: What is made.
        options:
          name: {type: str, required: true, description: Its name.}
      toy_size: {type: int, default: 3, description: "Size; see O(toy_mode)."}
      toy_way: {type: str, default: "{{ a | default('') }}", description: The way.}
      toy_place: {type: path, description: "Where, V(~/x\\\\)) or not."}
  again:
    short_description: Do it again
    description: The same.
    options: *options
"""
MADE = """## Entry points

- `main`: Do the work. Does `all` of it. Twice.
- `again`: Do it again. The same.

## Variables

| Variable | Type | Default | Meaning |
| --- | --- | --- | --- |
| `toy_mode` | str | `fast` | How. One of `fast`, `slow`. |
| `toy_parts` | list of dict | *required* | What is made. |
| `toy_parts[].name` | str | *required* | Its name. |
| `toy_size` | int | `3` | Size; see `toy_mode`. |
| `toy_way` | str | `{{ a \\| default('') }}` | The way. |
| `toy_place` | path |  | Where, `~/x)` or not. |
"""


@pytest.fixture
def roles(tmp_path):
    """A folder of one role with SPECS and without a README."""
    (tmp_path / "roles" / "toy" / "meta").mkdir(parents=True)
    (tmp_path / "roles" / "toy" / "meta" / "argument_specs.yml").write_text(SPECS)
    return tmp_path / "roles"


def specs():
    return yaml.safe_load(SPECS)["argument_specs"]


def test_the_readmes_of_this_checkout_are_current():
    old = [str(readme.relative_to(CHECKOUT)) for readme, _ in outdated(CHECKOUT / "roles")]
    assert not old, "type ./run fix, or python tools/role_readmes.py"


def test_every_option_has_its_name_type_default_and_meaning():
    assert section(specs()) == f"{BEGIN}\n\n{MADE}\n{END}"


def test_entry_points_with_options_of_their_own_have_a_table_of_their_own():
    different = specs()
    different["again"]["options"] = {"toy_count": {"type": "int", "description": "How often."}}
    text = section(different)
    assert "Of `main`:\n\n| Variable" in text
    assert (
        "Of `again`:\n\n| Variable | Type | Default | Meaning |\n| --- | --- | --- | --- |\n| `toy_count` | int" in text
    )


def test_a_role_without_options_has_no_table():
    assert "## Variables" not in section({"main": {"short_description": "Do", "description": "Does."}})


@pytest.mark.parametrize(
    ("ansible", "text"),
    [
        ("V(true) and E(HOME)", "`true` and `HOME`"),
        (
            "O(ns.coll.thing#module:size) or O(ns.coll.way#role:main:size)",
            "`size` of module `ns.coll.thing` or `size` of role `ns.coll.way`",
        ),
        ("role P(ns.coll.thing#role)", "role `ns.coll.thing`"),
        ("RV(x) and V(1), but no API(y)", "`x` and `1`, but no API(y)"),
        ("U(https://a.example) L(this page, https://a.example)", "<https://a.example> [this page](https://a.example)"),
        ("B(bold) I(slanted)", "**bold** *slanted*"),
        (r"V(a\)b)", "`a)b`"),
        ("C(with ` inside)", "`` with ` inside ``"),
    ],
)
def test_markup_becomes_markdown(ansible, text):
    assert markdown(ansible) == text


def test_what_stands_around_the_markers_is_kept():
    before = "# Role\n\nBy hand.\n\n"
    assert renewed(before, f"{BEGIN}\nnew\n{END}") == before + f"{BEGIN}\nnew\n{END}\n"
    assert (
        renewed(f"{before}{BEGIN}\nold\n{END}\n\nBelow.\n", f"{BEGIN}\nnew\n{END}")
        == f"{before}{BEGIN}\nnew\n{END}\n\nBelow.\n"
    )


def test_a_lost_second_marker_is_no_reason_to_overwrite_the_rest():
    with pytest.raises(ValueError, match="first marker without the second"):
        renewed(f"{BEGIN}\nold\n\nBy hand.\n", "new")


def test_check_writes_nothing_and_fails_until_the_readme_is_written(roles, capsys):
    readme = roles / "toy" / "README.md"
    assert main(["--check"], roles) == 1
    assert "roles/toy/README.md: out of date" in capsys.readouterr().out
    assert not readme.exists()
    assert main([], roles) == 0
    assert MADE in readme.read_text()
    assert main(["--check"], roles) == 0
