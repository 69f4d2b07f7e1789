# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.known_flags import REGISTRATIONS, document, sglang_flags

FLAGS = Path(__file__).resolve().parents[3] / "roles" / "inference_server" / "files" / "flags"
FIELDS = """
class Parallel:
    _NS_PATH = "parallel"
    rank = Derived(doc="no option")
    plain: int = 3
    host: A[str, "The host."] = "127.0.0.1"
    quiet: A[bool, "Say less."] = False
    tp_size: A[int, Arg(help="Width.", aliases=["--tensor-parallel-size"], resolvable=True)] = 1
    named: A[str, Arg(help="Other name.", cli_name="--other")] = "x"
    lora: A[Optional[bool], "Serve adapters."] = None
    hidden: A[bool, Arg(help="Not an option.", no_cli=True)] = False
    level: A[Optional[Literal["low", "high"]], "Level."] = None
    quantization: A[str, Arg(help="How.", choices=QUANTIZATION_CHOICES)] = "fp8"
    kernel: A[str, Arg(help="Which.", choices=list(KERNELS))] = "auto"
    urls: A[List[str], "Several."] = msgspec.field(default_factory=list)
    parsed: A[List[str], Arg(help="One text.", type_parser=json_list_type)] = None
    paths: A[List[str], Arg(help="Own action.", action=PathAction, action_kwargs={"type": str, "nargs": "*"})] = None
    overlap: A[Optional[bool], Arg(help="Either.", action=argparse.BooleanOptionalAction)] = None
    maybe: A[str, Arg(help="With or without a value.", nargs="?", const="")] = None
"""
REGISTERED = """
class ServerArgs:
    @staticmethod
    def add_cli_args(parser):
        parser.add_argument("--config", type=str, help="A file.")
        parser.add_argument("--tool-call-parser", choices=["auto"] + tool_call_parser_choices, help=f"One of {x}.")
        parser.add_argument("--old", action=DeprecatedStoreTrueAction, help="Deprecated. Use --new.")
        parser.add_argument("--older", action=DeprecatedStoreConstAction, choices=["amd"], help="Deprecated.")
"""


@pytest.fixture(scope="module")
def flags():
    return dict(
        sglang_flags(
            {
                "sglang/srt/arg_groups/choices.py": 'QUANTIZATION_CHOICES = ["awq", "fp8"]',
                "sglang/srt/function_call/parser_names.py": 'TOOL_CALL_PARSER_NAMES = ("lfm2", "pythonic")',
                "sglang/srt/arg_groups/fields/parallel.py": FIELDS,
                REGISTRATIONS: REGISTERED,
            }
        )
    )


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("--host", {"aliases": [], "values": "one", "default": "127.0.0.1"}),
        ("--quiet", {"aliases": [], "values": "none", "default": False}),
        ("--lora", {"aliases": [], "values": "none", "default": None}),
        ("--tp-size", {"aliases": ["--tensor-parallel-size"], "values": "one", "default": 1}),
        ("--other", {"aliases": [], "values": "one", "default": "x"}),
        ("--level", {"aliases": [], "values": "one", "choices": ["low", "high"], "default": None}),
        ("--quantization", {"aliases": [], "values": "one", "choices": ["awq", "fp8"], "default": "fp8"}),
        ("--kernel", {"aliases": [], "values": "one", "default": "auto"}),
        ("--urls", {"aliases": [], "values": "many"}),
        ("--parsed", {"aliases": [], "values": "one", "default": None}),
        ("--paths", {"aliases": [], "values": "many", "default": None}),
        ("--overlap", {"aliases": ["--no-overlap"], "values": "none", "default": None}),
        ("--maybe", {"aliases": [], "values": "optional", "default": None}),
        ("--config", {"aliases": [], "values": "one"}),
        ("--tool-call-parser", {"aliases": [], "values": "one", "choices": ["auto", "lfm2", "pythonic"]}),
        ("--old", {"aliases": [], "values": "none", "deprecated": True}),
        ("--older", {"aliases": [], "values": "one", "choices": ["amd"], "deprecated": True}),
    ],
)
def test_each_form_of_declaration_is_read(flags, name, flag):
    assert flags[name] == flag


def test_fields_without_an_option_are_left_out(flags):
    assert len(flags) == 17
    assert not {"--rank", "--plain", "--hidden"} & flags.keys()


def test_the_file_is_json_with_a_line_per_flag():
    text = document("engine", "1.2.3", [("--b", {"values": "one"}), ("--a", {"values": "none"})])
    assert json.loads(text)["flags"] == {"--a": {"values": "none"}, "--b": {"values": "one"}}
    assert [line.strip()[:5] for line in text.splitlines() if "values" in line] == ['"--a"', '"--b"']


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("vllm-0.31.0.json", {"--model", "--max-model-len", "--tool-call-parser", "--enable-prefix-caching"}),
        ("vllm-0.32.0.json", {"--model", "--max-model-len", "--tool-call-parser", "--enable-prefix-caching"}),
        ("vllm-0.33.0.json", {"--model", "--max-model-len", "--tool-call-parser", "--watchdog-config"}),
        (
            "sglang-0.5.23.json",
            {"--model-path", "--mem-fraction-static", "--tool-call-parser", "--disable-radix-cache"},
        ),
    ],
)
def test_the_kept_files_hold_the_flags_of_their_release(file, names):
    kept = json.loads((FLAGS / file).read_text())
    assert file == f"{kept['engine']}-{kept['version']}.json"
    assert kept["flags"].keys() > names
    assert "lfm2" in kept["flags"]["--tool-call-parser"]["choices"]
