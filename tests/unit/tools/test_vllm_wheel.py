# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from tools.vllm_wheel import wheel_flags

CACHE = """
from enum import Enum
from typing import TYPE_CHECKING, Literal
from .names import *
if TYPE_CHECKING:
    from vllm.layers import Method
else:
    Method = str
DType = Literal["float32", "auto"]
class Backend(Enum):
    TRITON = "triton"
class Limits(dict[str, int]):
    pass
@config
class Inner:
    a: int = 1
@config
class CacheConfig:
    block_size: int = Field(default=16, gt=0)
    dtype: DType | None = None
    open_dtype: DType | str = "auto"
    method: Method | None = None
    quiet: bool = False
    old: bool = False
    \"""Deprecated: has no effect.\"""
    names: list[Word] = field(default_factory=list)
    inner: Inner = field(default_factory=Inner)
    backend: Backend = Backend.TRITON
    token: bool | str | None = None
    limits: Limits = field(default_factory=Limits)
    size: SkipValidation[int] = SIZE
    shared: ClassVar[int] = 3
"""
ARGUMENTS = """
from vllm.config import CacheConfig
from vllm.config.cache import DType
_OLD = (
    "--gone is deprecated "
    "and has no effect."
)
class EngineArgs:
    @staticmethod
    def add_cli_args(parser):
        kwargs = get_kwargs(CacheConfig)
        kwargs["names"]["choices"].remove("third")
        group = parser.add_argument_group(title="Cache")
        if not "--help" in sys.argv:
            group.add_argument("--block-size", "-b", **kwargs["block_size"])
        group.add_argument("--dtype", **kwargs["dtype"])
        group.add_argument("--open-dtype", **kwargs["open_dtype"])
        group.add_argument("--method", **kwargs["method"])
        group.add_argument("--quiet", "-q", **kwargs["quiet"])
        group.add_argument("--old", **{**kwargs["old"], "default": None})
        group.add_argument("--names", **kwargs["names"])
        group.add_argument("--inner", **kwargs["inner"])
        group.add_argument("--backend", **kwargs["backend"])
        group.add_argument("--token", **kwargs["token"])
        group.add_argument("--limits", **kwargs["limits"])
        size_kwargs = kwargs["size"]
        size_kwargs["type"] = lambda text: int(text)
        group.add_argument("--size", **size_kwargs)
        group.add_argument("--gone", action=argparse.BooleanOptionalAction, default=None, help=_OLD)
        group.add_argument("--level", choices=get_args(DType), default=argparse.SUPPRESS)
        group.add_argument("--of-build", choices=["cpu"] + [current_platform.device_type], default="cpu")
        group.add_argument("--reasoning-parser", type=parse_reasoning_parser)
        return parser
class AsyncEngineArgs(EngineArgs):
    enable_log: bool = False
    @staticmethod
    def add_cli_args(parser):
        parser.add_argument("--enable-log", action=argparse.BooleanOptionalAction, default=AsyncEngineArgs.enable_log)
        return parser
"""
SERVE = """
import vllm.envs as envs
from .utils import PORT
class BaseFrontendArgs:
    tool_call_parser: str | None = None
    origins: list[str] = field(default_factory=lambda: ["*"])
    stack: bool = envs.VLLM_DEV
    @classmethod
    def _customize_cli_kwargs(cls, frontend_kwargs):
        frontend_kwargs["tool_call_parser"]["metavar"] = f"{x}"
        return frontend_kwargs
class FrontendArgs(BaseFrontendArgs):
    port: int = PORT
    @classmethod
    def _customize_cli_kwargs(cls, frontend_kwargs):
        frontend_kwargs = super()._customize_cli_kwargs(frontend_kwargs)
        frontend_kwargs["origins"]["type"] = json.loads
        if "nargs" in frontend_kwargs["origins"]:
            del frontend_kwargs["origins"]["nargs"]
        return frontend_kwargs
def make_arg_parser(parser):
    parser.add_argument("model_tag", nargs="?")
    parser.add_argument("--headless", action="store_true", default=False)
    parser = FrontendArgs.add_cli_args(parser)
    return parser
"""
SOURCES = {
    "vllm/config/__init__.py": "from vllm.config.cache import CacheConfig",
    "vllm/config/cache.py": CACHE,
    "vllm/config/names.py": 'Word = Literal["first", "third", "second"]\nSIZE = 4 * 1024',
    "vllm/engine/arg_utils.py": ARGUMENTS,
    "vllm/envs.py": "if TYPE_CHECKING:\n    VLLM_DEV: bool = False",
    "vllm/tool_parsers/__init__.py": '_TOOL_PARSERS_TO_REGISTER = {"lfm2": ("file", "Class"), "hermes": ("file", "Class")}',
    "vllm/reasoning/__init__.py": '_REASONING_PARSERS_TO_REGISTER = {"qwen3": ("file", "Class")}',
}


def flags_with(serve, **more):
    """The flags of sources whose server's part is at that place."""
    sources = {**SOURCES, **more, f"{serve}/cli_args.py": SERVE, f"{serve}/utils/__init__.py": "PORT = 8000"}
    return json.loads(json.dumps(dict(wheel_flags(sources.get))))


@pytest.fixture(scope="module")
def flags():
    return flags_with("vllm/entrypoints/common")


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("--block-size", {"aliases": ["-b"], "values": "one", "default": 16}),
        ("--dtype", {"aliases": [], "values": "one", "choices": ["auto", "float32", None], "default": None}),
        ("--open-dtype", {"aliases": [], "values": "one", "default": "auto"}),
        ("--method", {"aliases": [], "values": "one", "default": None}),
        ("--quiet", {"aliases": ["--no-quiet", "-q"], "values": "none", "default": False}),
        ("--old", {"aliases": ["--no-old"], "values": "none", "default": None, "deprecated": True}),
        ("--names", {"aliases": [], "values": "many", "choices": ["first", "second"], "default": []}),
        ("--inner", {"aliases": [], "values": "one"}),
        ("--backend", {"aliases": [], "values": "one"}),
        ("--token", {"aliases": [], "values": "optional", "default": None}),
        ("--limits", {"aliases": [], "values": "one"}),
        ("--size", {"aliases": [], "values": "one", "default": 4096}),
        ("--gone", {"aliases": ["--no-gone"], "values": "none", "default": None, "deprecated": True}),
        ("--level", {"aliases": [], "values": "one", "choices": ["float32", "auto"]}),
        ("--of-build", {"aliases": [], "values": "one", "default": "cpu"}),
        ("--reasoning-parser", {"aliases": [], "values": "one", "choices": ["qwen3", "none"], "default": None}),
        ("--enable-log", {"aliases": ["--no-enable-log"], "values": "none", "default": False}),
        ("--headless", {"aliases": [], "values": "none", "default": False}),
        ("--tool-call-parser", {"aliases": [], "values": "one", "choices": ["hermes", "lfm2"], "default": None}),
        ("--origins", {"aliases": [], "values": "one", "default": ["*"]}),
        ("--stack", {"aliases": ["--no-stack"], "values": "none", "default": False}),
        ("--port", {"aliases": [], "values": "one", "default": 8000}),
        ("--help", {"aliases": ["-h"], "values": "none"}),
    ],
)
def test_each_form_of_declaration_is_read(flags, name, flag):
    assert flags[name] == flag


def test_nothing_else_is_an_option(flags):
    assert len(flags) == 23


def test_the_server_is_found_where_older_releases_have_it(flags):
    assert flags_with("vllm/entrypoints/launchers") == flags


def test_a_release_that_pairs_enable_with_disable_takes_the_older_negation_too():
    pairs = {"vllm/utils/argparse_utils.py": "class EnableDisableAction(BooleanOptionalAction):\n    pass"}
    flags = flags_with("vllm/entrypoints/common", **pairs)
    assert flags["--enable-log"]["aliases"] == ["--no-enable-log", "--disable-log"]
    assert flags["--quiet"]["aliases"] == ["--no-quiet", "-q"]
