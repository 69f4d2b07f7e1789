# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a request can end: what counts as a success, and what every other ending is called. Data; `docs/benchmarking.md` shows it."""

from __future__ import annotations

# Class of a request that is no success -> what it means, in the order of a request's life.
ENDINGS = {
    "connect_refused": "nothing listens at the address",
    "connect_timeout": "no connection, or no end of the TLS handshake, within `timeouts.connect_s`",
    "connect_error": "no connection for another reason, as an unreachable network or no file descriptor left",
    "tls_error": "TLS failed, as for a certificate that is not trusted",
    "reset": "the server broke the connection off, or closed it without an answer",
    "connection_error": "the connection failed for another reason",
    "malformed_http": "what came is no HTTP/1.1, or goes on after the end of the answer",
    "malformed_chunking": "a chunk of the answer has no proper size or end",
    "truncated": "the connection was closed before the answer was complete; over TLS also without the end of TLS",
    "oversized_answer": "the answer is far longer than one to this request can be, and was broken off",
    "compressed": "the answer is compressed, which was not asked for",
    "rate_limited": "HTTP 429; the example has Retry-After",
    "http_1xx": "HTTP 1xx and no answer after it",
    "http_2xx": "a success of HTTP other than 200, which brings no answer",
    "http_3xx": "a redirect, which is not followed",
    "http_4xx": "the server refuses the request",
    "http_5xx": "the server, or what stands before it, failed",
    "http_6xx": "HTTP 600 to 999, which mean nothing",
    "first_token_timeout": "no event within `timeouts.first_token_s`",
    "idle_timeout": "silence within the answer for `timeouts.idle_s`",
    "total_timeout": "no end of the answer within `timeouts.total_s`",
    "stream_error": "the server reports an error within its 200 stream, in whatever form; the example has its words",
    "invalid_json": "an event is neither JSON of a message nor an error in words",
    "oversized_event": "an event has more than 256 KiB",
    "bad_usage": "a count of tokens is no number, negative, smaller than before, or above what it is a part of",
    "after_done": "events follow `[DONE]`",
    "no_events": "the answer has no event with `choices`",
    "empty_output": "no event carries text",
    "no_finish_reason": "no event has a `finish_reason`",
    "filtered": "a filter ended the answer",
    "aborted": "the engine gave the answer up",
    "unknown_finish": "the `finish_reason` is none of those below",
    "no_done": "the stream has no `[DONE]`",
    "no_usage": "the stream has no usage block with tokens of the answer",
    "short_output": "fewer tokens than asked for, with `ignore_eos`",
    "long_output": "more tokens than asked for",
    "cancelled": "the run was ended",
    "request_failed": "of `client: vllm`, which does not class its errors",
}

# Finish reason -> the class of a request that ends so; empty where it is the end of a whole answer.
FINISH_REASONS = {
    "stop": "",
    "length": "",
    "tool_calls": "",
    "function_call": "",
    "eos_token": "",
    "stop_sequence": "",
    "content_filter": "filtered",
    "safety": "filtered",
    "recitation": "filtered",
    "abort": "aborted",
    "aborted": "aborted",
    "cancelled": "aborted",
    "canceled": "aborted",
    "error": "aborted",
    "insufficient_system_resource": "aborted",
    "repetition": "aborted",
    "timeout": "aborted",
}


def ending_of(finish_reason: str) -> str:
    """The class of a request whose answer ends so; empty for a success, and where the reason is not known."""
    return "" if not finish_reason else FINISH_REASONS.get(finish_reason.lower(), "unknown_finish")
