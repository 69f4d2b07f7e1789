# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._files import (
    free_room,
    hold_room,
    is_disk_full,
    log_tail,
    read_json,
    stat_fields,
    write_json,
)

from tests.support.small_disk import fill


def test_a_document_replaces_the_one_before_and_is_its_owners(tmp_path):
    path = tmp_path / "state" / "record.json"
    for document in ({"b": 1, "a": [2]}, {"c": None}):
        write_json(path, document)
        assert read_json(path) == document
        assert [entry.name for entry in path.parent.iterdir()] == ["record.json"]
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_document_that_cannot_be_written_leaves_the_one_before(tmp_path):
    write_json(tmp_path / "record.json", {"pid": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "record.json", {"pid": 2, "x": object()})
    assert read_json(tmp_path / "record.json") == {"pid": 1}


def test_a_document_has_room_on_a_disk_that_filled_up(small_disk):
    hold_room(small_disk / "a" / "fact.json", 64 * 1024)
    write_json(small_disk / "a" / "other.json", {"old": 1})
    fill(small_disk)
    with pytest.raises(OSError, match="No space") as error:
        write_json(small_disk / "a" / "other.json", {"x": "y" * 60_000})
    assert is_disk_full(error.value)
    write_json(small_disk / "a" / "fact.json", {"x": "y" * 60_000}, in_room=True)
    assert read_json(small_disk / "a" / "fact.json") == {"x": "y" * 60_000}
    assert read_json(small_disk / "a" / "other.json") == {"old": 1}
    assert sorted(entry.name for entry in (small_disk / "a").iterdir()) == ["fact.json", "other.json"]


def test_room_that_is_not_there_is_refused_and_leaves_nothing(small_disk):
    with pytest.raises(OSError, match="No space"):
        hold_room(small_disk / "fact.json", 2 * 1024 * 1024)
    assert list(small_disk.iterdir()) == []


def test_room_that_was_not_used_is_given_back(tmp_path):
    for held in (True, False):
        if held:
            hold_room(tmp_path / "fact.json", 4096)
            assert sum(entry.stat().st_size for entry in tmp_path.iterdir()) == 4096
        free_room(tmp_path / "fact.json")
        assert list(tmp_path.iterdir()) == []


def test_room_that_another_job_has_just_taken_is_done_without(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda _path: True)
    write_json(tmp_path / "fact.json", {"a": 1}, in_room=True)
    assert read_json(tmp_path / "fact.json") == {"a": 1}


def test_a_document_shorter_than_its_room_ends_where_it_ends(tmp_path):
    hold_room(tmp_path / "fact.json", 4096)
    write_json(tmp_path / "fact.json", {"a": 1}, in_room=True)
    assert (tmp_path / "fact.json").read_text() == '{\n "a": 1\n}\n'


def test_what_cannot_be_written_leaves_no_half(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "record.json", {"x": object()})
    assert list(tmp_path.iterdir()) == []


def test_the_format_of_a_document_is_the_callers(tmp_path):
    write_json(tmp_path / "x.json", {"b": 1, "a": 2}, indent=2, sort_keys=True, mode=0o644)
    assert (tmp_path / "x.json").read_text() == json.dumps({"a": 2, "b": 1}, indent=2) + "\n"
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"a": "' + b"x" * 100_000 + b'"}']
)
def test_what_is_no_document(tmp_path, content):
    if content is not None:
        (tmp_path / "record.json").write_bytes(content)
    assert read_json(tmp_path / "record.json", at_most_bytes=100_000) is None


def test_a_document_of_any_length(tmp_path):
    (tmp_path / "long.json").write_text(json.dumps("x" * 1000))
    assert read_json(tmp_path / "long.json", at_most_bytes=1002) == "x" * 1000
    assert read_json(tmp_path / "long.json", at_most_bytes=1001) is None
    assert read_json(tmp_path / "long.json", at_most_bytes=None) == "x" * 1000


def test_the_end_of_a_log(tmp_path):
    log = tmp_path / "x.log"
    assert log_tail(log) == []
    log.write_bytes(b"\xff first\n" + b"".join(b"line %d\n" % number for number in range(30_000)))
    assert log_tail(log, 2) == ["line 29998", "line 29999"]
    assert 5_000 < len(log_tail(log, 30_000)) < 10_000  # of a long log at most 64 KiB are read


@pytest.mark.parametrize(
    ("text", "fields"),
    [("7 (a b) R 1 7", ["R", "1", "7"]), ("7 (odd) name)) S 2", ["S", "2"]), ("", []), (None, [])],
)
def test_the_fields_of_a_process(text, fields):
    assert stat_fields(text) == fields
