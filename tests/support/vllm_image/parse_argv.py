# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hands command lines to the real parser of `vllm serve`; runs inside the test image.

Reads a JSON list of argument lists from standard input, writes a JSON list: null for one that parses, else the error.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

try:
    from vllm.entrypoints.common.cli_args import make_arg_parser, validate_parsed_serve_args
except ImportError:  # up to 0.32
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.entrypoints.launchers.launcher import validate_api_server_args
from vllm.reasoning import ReasoningParserManager
from vllm.utils.argparse_utils import FlexibleArgumentParser


def error_of(argv: list[str]) -> str | None:
    """What the parser says against the arguments; None when they are right."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            args = make_arg_parser(FlexibleArgumentParser(prog="vllm serve")).parse_args(argv)
        validate_parsed_serve_args(args)
        validate_api_server_args(args)
        if args.reasoning_parser:
            ReasoningParserManager.get_reasoning_parser(args.reasoning_parser)
    except SystemExit:
        return errors.getvalue().strip().splitlines()[-1]
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


json.dump([error_of(argv) for argv in json.load(sys.stdin)], sys.stdout)
