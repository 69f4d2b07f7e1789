# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.http1 import StreamError
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.sse import events, unfinished
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b": ping\n\ndata: a\n\n", [b"a"]),
        (b"event: x\nid: 1\ndata: a\nretry: 3\n\n", [b"a"]),
        (b"data\n\n", [b""]),
        (
            "data: a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\n\n".encode(),
            ["a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg".encode()],
        ),
        (b"data: a\r\n\rdata: b\n\r\n", [b"a", b"b"]),
        (b"data: \x85\n\n", [b"\x85"]),
        (b"data : a\n\ndata: b\n\n", [b"b"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: \xc3\xa9\n\n", ["é".encode()]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"data: a\n", []),
        (b"data: a", []),
        (b"database: a\n\n", []),
        (b"", []),
    ],
)
def test_events(text: bytes, expected: list[bytes]) -> None:
    assert [data for data, _end, _name in events(text, [])] == expected


def test_an_event_ends_after_its_blank_line() -> None:
    assert [end for _data, end, _name in events(b"data: a\n\n: ping\n\ndata: b\r\n\r\n", [])] == [9, 28]


@given(st.lists(st.sampled_from([b"data: a", b"data:b", b"data", b": ping", b"id: 1", b"", b"", b""]), max_size=20))
def test_the_end_of_its_lines_does_not_change_an_event(lines: list[bytes]) -> None:
    result = {
        end: [data for data, _end, _name in events(b"".join(line + end for line in lines), [])]
        for end in (b"\n", b"\r", b"\r\n")
    }
    assert result[b"\n"] == result[b"\r"] == result[b"\r\n"]
    text = b"".join(line + b"\n" for line in lines)
    assert [end for _data, end, _name in events(text, [])] == [
        end for _data, end, _name in events(text.replace(b"\n", b"\r"), [])
    ]


LINES = st.lists(
    st.sampled_from([b"data: a", b"data:", b"event: error", b"event:", b": ping", b"id: 1", b"a word", b"", b""]),
    max_size=20,
)


def by_the_letter(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Data and name of each event, line by line as WHATWG writes it."""
    found, data, name = [], None, b""
    for line in lines:
        field, _colon, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            found += [] if data is None else [(data, name)]
            data, name = None, b""
        elif field == b"data":
            data = value if data is None else data + b"\n" + value
        elif field == b"event":
            name = value
    return found


@given(LINES, st.sampled_from([b"\n", b"\r", b"\r\n"]))
def test_events_are_those_of_the_rules(lines: list[bytes], end: bytes) -> None:
    text = b"".join(line + end for line in lines)
    assert [(data, name) for data, _end, name in events(text, [])] == by_the_letter(lines)


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        (b"data: [DONE]", 0, b"[DONE]"),
        (b"data: [DONE]\n", 0, b"[DONE]"),
        (b"data:[DONE]\r\n", 0, b"[DONE]"),
        (b"data: a\n\ndata: b\ndata: c", 9, b"b\nc"),
        (b"data: a\n\n: ping\n\n", 9, None),
        (b"data: a\n\n", 9, None),
        (b"", 0, None),
    ],
)
def test_an_event_without_its_blank_line_is_none_but_can_be_named(
    text: bytes, position: int, expected: bytes | None
) -> None:
    assert unfinished(text, position, []) == expected


def test_what_is_no_field_is_kept_for_messages_and_no_more_than_a_little_of_it() -> None:
    stray: list[bytes] = []
    assert [
        data for data, _end, _name in events(b"Out of memory\n\ndata: a\nwhat: b\n\n: ping\n\n" + b"x\n\n" * 99, stray)
    ] == [b"a"]
    assert stray[:2] == [b"Out of memory", b"what: b"] and len(stray) < 10


@given(
    st.lists(st.sampled_from([b"data: a", b": ping", b"x", b"", b"", b"data: " + b"y" * 5000]), max_size=30),
    st.integers(1, 8),
)
def test_an_event_is_found_wherever_a_window_ends(lines: list[bytes], times: int) -> None:
    """What is read window by window is what is read line by line."""
    text = b"".join(line + b"\n" for line in lines) * times
    assert list(events(text, [])) == list(events(text.replace(b"\n", b"\r"), []))


@pytest.mark.parametrize(
    "text", [b"\n" * 290_000, b"data: a\n" + b"\n" * 290_000 + b"data: b\n\n", b"data:" + b"x" * 10**7]
)
def test_a_payload_is_read_in_a_time_that_its_length_asks_for(text: bytes) -> None:
    began = time.process_time()
    assert len(list(events(text, []))) == text.count(b"\n\ndata") + text.startswith(b"data: ")
    assert time.process_time() - began < 2


def test_hardly_anything_but_ends_of_lines_is_no_answer() -> None:
    with pytest.raises(StreamError, match="lines"):
        events(b"x\n" * 400_000, [])
