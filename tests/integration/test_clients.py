# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of clients.yml, run: with a name that a shell could take for commands, two servers, with and without a key."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Fleet

NAME = 'it\'s "$(touch pwned)" `touch pwned` \\n ü; touch pwned #'
KEY = "c4nary\"Key\\$(>pwned)'0123456789"

CURL = """#!{python}
import json, sys
with open("curl.jsonl", "a") as calls:
    print(json.dumps({{"argv": sys.argv[1:], "headers": sys.stdin.read()}}), file=calls)
"""
OPENAI = """
import json
class OpenAI:
    def __init__(self, **options):
        self.options, self.chat, self.completions = options, self, self
        self.choices, self.message, self.content = [self], self, "hello"
    def create(self, **request):
        with open("openai.jsonl", "a") as calls:
            print(json.dumps([self.options, request["model"]]), file=calls)
        return self
"""


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def ran(folder: Path, *command: str, **environment: str) -> str:
    """What a command prints that runs in a folder with stand-ins for curl and OpenAI's package, as a minimal host has neither."""
    stand_ins = folder / "stand-ins"
    stand_ins.mkdir(exist_ok=True)
    (stand_ins / "curl").write_text(CURL.format(python=sys.executable))
    (stand_ins / "curl").chmod(0o755)
    (stand_ins / "openai.py").write_text(OPENAI)
    environment = {"PATH": f"{stand_ins}:{os.environ['PATH']}", "PYTHONPATH": str(stand_ins), **environment}
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("key", ["", KEY])
def test_each_file_does_what_it_says_whatever_the_name(fleet: Fleet, key: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1] + 10
    key_file = fleet.folder / "it's a key"
    key_file.write_text(key)
    options = {"inference_server_api_key_file": str(key_file)} if key else {}
    fleet.add(
        "one",
        inference_server_port=port,
        inference_server_instances=2,
        inference_server_served_model_name=NAME,
        **options,
    )
    urls = [f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"]
    for playbook in ("deploy.yml", "clients.yml"):
        played = fleet.play(playbook)
        assert played.rc == 0, played.output
    clients = fleet.folder / "state" / "one" / "clients"
    sent = key or "dummy"

    each = 'for INSTANCE in "" 1 2; do . ./claude-code.env; printf "%s\\n" "$ANTHROPIC_BASE_URL"; done'
    shown = f'{each}; printf %s "$ANTHROPIC_MODEL"'
    assert ran(clients, "sh", "-c", shown) == "\n".join([urls[0], *urls, NAME])
    variable = "ANTHROPIC_AUTH_TOKEN" if key else "ANTHROPIC_API_KEY"
    assert ran(clients, "sh", "-c", f'. ./claude-code.env; printf %s "${variable}"') == sent

    ran(clients, "sh", "curl.sh")
    calls = lines(clients / "curl.jsonl")
    assert [call["argv"][7] for call in calls] == [f"{url}/v1/chat/completions" for url in urls]
    assert {call["headers"] for call in calls} == {f"Authorization: Bearer {sent}\nx-api-key: {sent}\n"}
    assert {json.loads(call["argv"][9])["model"] for call in calls} == {NAME}
    assert not key or KEY not in json.dumps([call["argv"] for call in calls])

    assert ran(clients, sys.executable, "openai_client.py") == "hello\nhello\n"
    calls = lines(clients / "openai.jsonl")
    assert [call[0]["base_url"] for call in calls] == [f"{url}/v1" for url in urls]
    assert {(call[0]["api_key"], call[0]["default_headers"]["x-api-key"], call[1]) for call in calls} == {
        (sent, sent, NAME)
    }

    assert list(fleet.folder.rglob("pwned")) == []
    assert (
        not key or [path for path in clients.glob("*.*") if KEY in path.read_text() and path.suffix != ".jsonl"] == []
    )


@pytest.mark.parametrize("other", [None, "notes.txt"])
def test_a_teardown_takes_the_clients_files_and_leaves_what_is_someone_elses(fleet: Fleet, other: str | None) -> None:
    fleet.add("one")
    for playbook in ("deploy.yml", "clients.yml"):
        assert fleet.play(playbook).rc == 0
    clients = fleet.folder / "state" / "one" / "clients"
    if other:
        (clients / other).write_text("mine")
    assert fleet.play("teardown.yml").rc == 0
    assert [path.name for path in clients.glob("*")] == ([other] if other else [])
    assert clients.exists() == bool(other)
    assert fleet.play("teardown.yml").changed("one") == 0
