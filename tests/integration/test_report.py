# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as a play: what hosts keep is read and reported, whatever their state, and nothing is hidden from the exit status."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import facts as sample
import jsonschema
import pytest
import yaml

from .conftest import ROOT, Fleet, Outcome


class Kept(Fleet):
    """A fleet whose hosts already keep results; nothing is started."""

    def keep(self, host: str, group: str = "h100", **result: Any) -> None:
        """Adds a host with a result (none when `result` has nothing_known)."""
        self.add(host, group)
        if not result.pop("nothing_known", False):
            self.write_facts(host, sample.benchmark(host, group, **result))

    def lose(self, host: str, group: str = "h100") -> None:
        """Adds a host that cannot be reached."""
        self.add(host, group, ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=9)

    def write_facts(self, host: str, benchmark: dict[str, Any]) -> None:
        folder = self.folder / "state" / host / "facts.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "llmfleet_benchmark.fact").write_text(json.dumps(benchmark))
        (folder / "llmfleet_server.fact").write_text(json.dumps(benchmark["provenance"]["server"]))

    def statuses(self) -> dict[str, str]:
        return {row["host"]: row["status"] for row in self.report()["hosts"]}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def custom_stats(played: Outcome) -> dict[str, Any]:
    """What set_stats left for a workflow."""
    stats = [event["event_data"] for event in played.events if event["event"] == "playbook_on_stats"]
    return stats[-1]["artifact_data"]


def test_all_forms_are_written_and_the_table_comes_last(kept: Kept) -> None:
    kept.keep("one")
    kept.keep("two", "a100", simulated=True)
    played = kept.play("report.yml")
    assert played.rc == 0, played.output
    files = {path.name for path in (kept.reports / "latest").iterdir()}
    assert files == {"report.json", "report.csv", "report.html", "report.md", "report.txt"}
    jsonschema.validate(kept.report(), json.loads((ROOT / "roles/report/files/report.schema.json").read_text()))
    text = (kept.reports / "latest" / "report.txt").read_text()
    assert text.strip() in played.output
    after = played.output[played.output.index(text.strip()) + len(text.strip()) :]
    assert "TASK" not in after and f"Report: {kept.reports}" in after and "PLAY RECAP" in after
    digest = custom_stats(played)["llmfleet_report"]
    assert digest["sha256"] == hashlib.sha256((kept.reports / "latest" / "report.json").read_bytes()).hexdigest()
    assert played.stats["changed"] == {}


def test_every_state_has_a_row_and_the_exit_status_reports_failures(kept: Kept) -> None:
    kept.keep("good")
    kept.keep("warm", status="invalid", reason="12 % of the prompt was cached")
    kept.keep("dead", status="failed", reason="the server died")
    kept.keep("new", nothing_known=True)
    kept.lose("gone")
    played = kept.play("report.yml")
    assert played.rc != 0
    assert kept.statuses() == {
        "good": "ok",
        "warm": "invalid",
        "dead": "failed",
        "new": "missing",
        "gone": "unreachable",
    }
    assert set(played.stats["failures"]) == {"warm", "dead", "gone"}
    assert "12 % of the prompt was cached" in played.failures("warm")
    assert "1 of 5 hosts with a valid result" in played.output
    lenient = kept.play("report.yml", report_fail_on=[])
    assert lenient.rc == 0, lenient.output


def test_a_limit_reports_the_others_as_not_part_of_the_run(kept: Kept) -> None:
    kept.keep("one")
    kept.keep("two", "a100")
    assert kept.play("report.yml", limit="h100").rc == 0
    assert kept.statuses() == {"one": "ok", "two": "missing"}


def test_all_hosts_lost_is_reported_too(kept: Kept) -> None:
    kept.lose("a")
    kept.lose("b", "a100")
    played = kept.play("report.yml")
    assert played.rc != 0
    assert kept.statuses() == {"a": "unreachable", "b": "unreachable"}
    assert "0 of 2 hosts" in played.output


def test_batches_are_reported_once_and_whole(kept: Kept) -> None:
    kept.keep("one")
    kept.keep("two", status="invalid", reason="warm")
    kept.keep("three", "a100")
    kept.lose("four")
    playbook = kept.folder / "batches.yml"
    playbook.write_text(BATCHES)
    (kept.folder / "collections").symlink_to(ROOT / "playbooks" / "collections")
    played = kept.play(str(playbook))
    assert played.rc != 0
    assert kept.statuses() == {"one": "ok", "two": "invalid", "four": "unreachable", "three": "ok"}
    assert len([path for path in kept.reports.iterdir() if path.is_dir() and not path.is_symlink()]) == 1


def test_the_user_says_what_a_folder_holds(kept: Kept) -> None:
    folder, model = "/models/x", sample.PUBLISHED["model"]
    kept.keep("one")
    fact = sample.benchmark("one")
    fact["provenance"]["server"]["model"] = folder
    kept.write_facts("one", fact)
    assert kept.play("report.yml", report_model_names={folder: model}).rc == 0
    (group,) = kept.report()["groups"]
    assert (group["model"], group["published"]["taken_as"]) == (folder, model)
    assert group["published"]["comparable"]


BATCHES = """
- hosts: inference
  gather_facts: false
  serial: 1
  tasks:
    - ansible.builtin.include_role: {name: llmfleet.serving.report, tasks_from: read}
- hosts: inference
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: llmfleet.serving.report}
"""


def test_a_regression_fails_the_play_when_asked(kept: Kept) -> None:
    for host in ("one", "two"):
        kept.keep(host)
    assert kept.play("report.yml", report_label="v1").rc == 0
    for host in ("one", "two"):
        kept.write_facts(host, sample.benchmark(host, factor=0.9, run_id="later"))
    assert kept.play("report.yml", report_label="").rc == 0
    assert [each["run"] for each in kept.report()["regressions"]] == ["v1"]
    played = kept.play("report.yml", report_label="", report_baseline="v1", report_fail_on_regression=True)
    assert played.rc != 0
    assert "-10.0 %" in played.failures("one") and "v1" in played.failures("one")
    assert len((kept.reports / "history.jsonl").read_text().splitlines()) == 2
    unknown = kept.play("report.yml", report_baseline="v2")
    assert unknown.rc != 0 and "v1" in unknown.failures("one")
    assert kept.report()["baseline"] is None and "Token throughput" in unknown.output


def test_the_report_is_uploaded_copied_and_queried(kept: Kept) -> None:
    kept.keep("one")
    arrived: dict[str, bytes] = {}

    class Store(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            arrived[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/{{run}}/report.html?signature=s3cret"
        played = kept.play(
            "report.yml",
            report_upload_urls={"report.html": url},
            report_copy_host="one",
            report_copy_dir=str(kept.folder / "copies"),
            report_query="hosts[].host",
        )
        server.shutdown()
    assert played.rc == 0, played.output
    name = os.readlink(kept.reports / "latest")
    assert arrived == {f"/{name}/report.html?signature=s3cret": (kept.reports / "latest" / "report.html").read_bytes()}
    assert "s3cret" not in played.output
    assert (kept.folder / "copies" / name / "report.json").is_file()
    artifacts = custom_stats(played)
    assert artifacts["llmfleet_report"]["answer"] == ["one"]
    assert artifacts["llmfleet_report_uploaded"] == {"report.html": url.partition("?")[0].replace("{run}", name)}


def test_reports_lie_where_the_user_works(kept: Kept) -> None:
    """Not beside the playbook, which may belong to an installed collection."""
    kept.keep("one")
    kept.write()
    work = kept.folder / "work"
    work.mkdir()
    inventory = yaml.safe_load(kept.inventory.read_text())
    del inventory["inference"]["vars"]["report_dir"]
    kept.inventory.write_text(yaml.safe_dump(inventory))
    played = subprocess.run(
        ["ansible-playbook", "-i", kept.inventory, ROOT / "playbooks" / "report.yml"],
        cwd=work,
        env={**os.environ, "PWD": str(ROOT)},  # what a shell wrote there need not be true
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert {path.name for path in (work / "reports").iterdir()} == {
        "latest",
        "history.jsonl",
        os.readlink(work / "reports" / "latest"),
    }


def test_check_mode_writes_nothing(kept: Kept) -> None:
    kept.keep("one")
    played = kept.play("report.yml", check=True, report_copy_host="one", report_copy_dir=str(kept.folder / "copies"))
    assert played.rc == 0, played.output
    assert "No report was written" in played.output
    assert not kept.reports.exists() and not (kept.folder / "copies").exists()


def test_a_place_that_cannot_be_written_is_named(kept: Kept) -> None:
    kept.keep("one")
    kept.reports.write_text("a file where the folder should be")
    played = kept.play("report.yml")
    assert played.rc != 0
    assert str(kept.reports) in played.failures("one") and "report_dir" in played.failures("one")


def test_every_published_table_of_the_role_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "files" / "published"
    folder.mkdir(parents=True)
    names = ["A-new-model.json", "LFM2.5-8B-A1B.json"]
    for name in names:
        (folder / name).write_text("{}")
    defaults = ROOT / "roles" / "report" / "defaults" / "main.yml"
    asked = ["-m", "ansible.builtin.debug", "-a", "var=report_published_files", "-e", f"@{defaults}"]
    done = subprocess.run(
        ["ansible", "localhost", *asked, "-e", json.dumps({"role_path": str(tmp_path)})],
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout.partition("=>")[2])
    assert answer["report_published_files"] == [str(folder / name) for name in names]


BROKEN = {
    "no-json": "{",
    "text": '"ok"',
    "digits": json.dumps({**sample.benchmark("digits"), "seed": 0}).replace('"seed": 0', f'"seed": {"9" * 5000}'),
    "deep": "[" * 900 + "]" * 900,
    "deeper": '{"a":' * 5000 + "1" + "}" * 5000,
    "nan": json.dumps(sample.benchmark("nan", metrics={"output_throughput": float("nan")})),
    "power": json.dumps(sample.benchmark("power", metrics={"output_throughput": "²"})),
    "large": json.dumps({**sample.benchmark("large"), "junk": "x" * 3_000_000}),
    "escape": json.dumps(sample.benchmark("escape", status="failed", reason="x\n\x1b[2Jok: 9 of 9 hosts\u202e")),
}


def test_a_fact_that_cannot_be_used_costs_its_host_alone_and_says_what_to_do(kept: Kept) -> None:
    kept.keep("good")
    for host, text in BROKEN.items():
        kept.keep(host)
        (kept.folder / "state" / host / "facts.d" / "llmfleet_benchmark.fact").write_text(text)
    played = kept.play("report.yml")
    assert played.rc != 0 and "Traceback" not in played.output and "\x1b[2J" not in played.output
    rows = {row["host"]: row for row in kept.report()["hosts"]}
    assert {host: row["status"] for host, row in rows.items()} == {"good": "ok", **dict.fromkeys(BROKEN, "failed")}
    assert rows["good"]["metrics"] == sample.metrics("h100")
    assert "metrics.output_throughput is '²'" in rows["power"]["reason"]
    assert "more than" in rows["large"]["reason"] and "llmfleet_benchmark.fact" in rows["large"]["reason"]
    for host in ("no-json", "text", "digits"):
        assert "llmfleet_benchmark.fact cannot be used" in rows[host]["reason"], rows[host]["reason"]
