# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module bench_serve does with its options: check, start, join or cancel a run. The benchmark client begins here.

Four things happen one after the other, and no file does two of them:

    settle    options.py settings.py prompts.py words.py arrivals.py target.py
              the user's options become settings and requests as bytes; the server is asked what it is
    send      loadgen/load.py worker.py connection.py tls_connection.py clock.py progress.py
              THE TIMED PART: writes bytes, notes bytes and the kernel's time of each read (recording.py), decodes nothing
    decode    record.py, with _openai/http1.py and sse.py
              after the clock has stopped: bytes become times of events, tokens, and a success or a class of error
    judge     metrics.py repeats.py validity.py gpu_power.py, written down by result.py
              pure functions on records: figures, intervals, checks; then the fact and the record

What holds them together: task.py (this file: the verbs of the module), job.py (the detached process), lock.py (one load at a time),
runner.py (repeats and levels), clients/base.py (what is done around any load), clients/native.py and clients/vllm.py (what can
send one), child_process.py (programs that end with the job).

A run outlives the connection that started it, and its load is sent by processes of its own. Hence two forks:

    module bench_serve            the job                           the workers
    ------------------            -------                           -----------
    task.py    _measure
      checks options and server
      takes the server's lock
    job.py     start
      | FIRST FORK, twice with
      | setsid between ---------> job.py      _live
      v                           runner.py   run_benchmark
    task.py    _join                clients/base.py    observed
      wait=false: back at once        counters of the server
      else: job.py wait               power sampler starts
                                      clients/native.py  drive
                                      loadgen/load.py    run_load
                                        | SECOND FORK, one for
                                        | each worker ------------>  loadgen/load.py    _work
                                        |                              connect
                                        | <------------------- R (ready)
                                        | start time ------------->    loadgen/worker.py  run
                                        | progress (shared memory) <-    send, receive, record
                                        | <------------------- D (done)
                                        | power sampler stops
                                        | P (parse) -------------->    record.py          decode
                                        v <--------------- records (pickle)
                                      metrics, counters, checks
                                    result.py   fact and record
                                  progress.json: done
      fact.json

Both forks leave by os._exit: a child never gets back into its parent's code. The parent of a fork has no threads. The client
`vllm` has no second fork; it starts `vllm bench serve` in its place.

Who may import whom in here is a table in tests/unit/test_architecture.py; docs/architecture.md has the way of one number.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from .._errors import Problem, UserError
from .._files import is_disk_full
from .._openai.endpoint import Access, parse_base_url, resolve
from .._openai.key import read_key
from .._secrets import hidden_document
from .clients.base import Client, Session
from .clients.table import CLIENTS
from .gpu_power import gpus_of
from .job import JobFolder, Monitor, Running, caller, differences, disk_full, start, wait
from .lock import Measured, ServerLock
from .options import make_settings
from .runner import FACT_NAME, Run, new_run_id, run_benchmark, run_folder
from .settings import Settings
from .target import Target

_PATHS = ("state_dir", "dataset_path", "api_key_file", "ca_path")
# Options that do not change what is measured, or that concern this call alone.
_NO_PART_OF_THE_COMMAND = (
    "server_fact",
    "fleet_run",
    "api_key_file",
    "lock_takeover",
    "state",
    "run_id",
    "wait",
    "on_disconnect",
    "progress_interval",
)

_CLIENT_AND_MODEL = ("client", "model", "vllm_command", "vllm_image", "vllm_tokenizer", "vllm_volumes")
_SHOWN = 5  # differences between two calls


def _begun(note: dict[str, Any]) -> str:
    """Who began the run of a note and when, in words; empty for a note that does not say."""
    return f", which {note['started_by']} began at {note.get('started_at')}," if note.get("started_by") else ""


def repeat_command(params: dict[str, Any], salt: str) -> str:
    """The ad-hoc call that repeats this very measurement, prompts included, as a line for a shell; without secrets."""
    given = {name: value for name, value in params.items() if value not in (None, {}, [])}
    options = {name: value for name, value in given.items() if name not in _NO_PART_OF_THE_COMMAND}
    document = json.dumps(hidden_document({**options, "salt": salt}))
    return f"ansible HOST -m llmfleet.serving.bench_serve -a {shlex.quote(document)}"


class RunFailed(UserError):
    """A run that was started and has no result: `run_id`, the `workload` that it was to measure, and the problems of the job."""

    def __init__(self, run_id: str, workload: dict[str, Any], cause: UserError) -> None:
        self.run_id, self.workload = run_id, workload
        super().__init__(*cause.problems)


class Task:
    """One call of the module."""

    def __init__(self, params: dict[str, Any]) -> None:
        paths = {name: str(Path(params[name]).absolute()) for name in _PATHS if params[name]}
        self._params = {**params, **paths}  # absolute, for the job works elsewhere
        self._state_dir = Path(self._params["state_dir"])
        self._endpoint = parse_base_url(params["base_url"])
        self._address = resolve(self._endpoint)
        self._running = Running(self._state_dir, ServerLock.name_for(self._address))

    def act(self, check_mode: bool) -> dict[str, Any]:
        """Does what the task asks for and returns the module's result. Raises UserError."""
        try:
            if self._params["state"] == "cancelled":
                return self._cancel(check_mode)
            return self._predict() if check_mode else self._measure()
        except OSError as error:
            if not is_disk_full(error):
                raise
            raise UserError(disk_full(self._state_dir, error)) from error

    # -- measured -----------------------------------------------------------------------------------------------------

    def _predict(self) -> dict[str, Any]:
        """Checks everything that can be checked without load."""
        run, client = self._prepare(new_run_id())
        client.verify(may_send=False)
        session = run.session
        session.target.close()
        workload = session.settings.workload.describe()
        return {"plan": {**vars(session.info), "workers": client.workers, "workload": workload}}

    def _measure(self) -> dict[str, Any]:
        """Starts a job, or joins the one that measures the same thing on this server already."""
        if self._params["run_id"]:
            return self._join(self._params["run_id"])
        lock = ServerLock.acquire(self._address, self._state_dir)
        if lock is None:
            note = self._same_run()
            joined = {name: str(note.get(name) or "unknown") for name in ("started_by", "started_at")}
            return {**self._join(note["run_id"]), "joined": joined}
        measured = Measured(lock)
        try:
            run_id = new_run_id()
            if self._params["server_fact"]:
                measured.keep_from_changes(self._state_dir, run_id, caller(), self._params["lock_takeover"])
            run, client = self._prepare(run_id)
            client.verify()
        except BaseException:
            measured.release()
            raise
        session = run.session
        session.target.close()  # the job opens a connection of its own
        folder = JobFolder(session.folder)
        alone = self._params["on_disconnect"] == "cancel"
        monitor = Monitor(folder, session.settings.workload.output_tokens, cancel_when_alone=alone)
        session.target.give_up_when(lambda: monitor.stopping)
        folder.write_workload(session.settings.workload.describe())
        self._running.write(run.run_id, self._asked(session.settings))
        start(folder, measured, monitor, lambda: run_benchmark(run, client, monitor.tick))
        return self._join(run.run_id)

    def _prepare(self, run_id: str) -> tuple[Run, Client]:
        params = self._params
        settings = make_settings(params, salt=run_id)
        key = read_key(params["api_key_file"])
        access = Access(self._endpoint, key, params["validate_certs"], params["ca_path"])
        target = Target(access, settings.timeouts.control_s)
        info = target.inspect(params["model"], settings.workload.endpoint_type)
        gpus = gpus_of(params["server_fact"], self._endpoint.url)
        session = Session(settings, access, target, info, run_folder(self._state_dir, run_id), gpus)
        command = repeat_command(params, settings.workload.salt)
        run = Run(run_id, session, self._state_dir, params["server_fact"], command, params["fleet_run"] or None)
        return run, CLIENTS[params["client"]](session, params)

    # -- joining ------------------------------------------------------------------------------------------------------

    def _asked(self, settings: Settings) -> dict[str, Any]:
        """Everything that decides over this call's result, by the names of the options."""
        named = {name: self._params[name] for name in _CLIENT_AND_MODEL}
        return {"base_url": self._endpoint.url, **named, **settings.asked()}

    def _same_run(self) -> dict[str, Any]:
        """The note about the run in progress, when it measures what this call would, and judges it alike. Raises UserError."""
        note = self._note()
        if not note:
            raise self._foreign_load()
        different = differences(note["asked"], self._asked(make_settings(self._params, salt="")))
        if different:
            raise UserError(
                Problem(
                    f"Run {note['run_id']}{_begun(note)} is measuring {self._endpoint.url} with other settings: "
                    f"{', '.join(different[:_SHOWN])}.",
                    "one load at a time on a server; the same call joins it.",
                    "Wait for it, end it with state=cancelled, or ask for the same.",
                )
            )
        return note

    def _foreign_load(self) -> UserError:
        return UserError(
            Problem(
                f"Another load is running on {self._endpoint.url}, not from {self._state_dir}, or is just starting.",
                "one load at a time on a server.",
                "Try again; if it goes on, wait for it, or use the state_dir that it was started with.",
            )
        )

    def _note(self) -> dict[str, Any]:
        """The note about the load on this server; empty when its job is dead, so that the load is of another state_dir."""
        note = self._running.read()
        return note if note and self._folder(note["run_id"]).alive() else {}

    def _folder(self, run_id: str) -> JobFolder:
        return JobFolder(run_folder(self._state_dir, run_id))

    def _join(self, run_id: str) -> dict[str, Any]:
        folder = self._folder(run_id)
        if not folder.path.is_dir():
            raise UserError(
                Problem(f"There is no run {run_id} in {self._state_dir}.", "one that was started.", "Correct run_id.")
            )
        if not self._params["wait"]:
            return {"run_id": run_id, "run_folder": str(folder.path), "progress": folder.progress()}
        return self._result(run_id)

    def _result(self, run_id: str) -> dict[str, Any]:
        folder = self._folder(run_id)
        try:
            fact = wait(folder)
        except UserError as error:
            raise RunFailed(run_id, folder.workload(), error) from error
        return {"run_id": run_id, "benchmark": fact, "ansible_facts": {FACT_NAME: fact}}

    # -- cancelled ----------------------------------------------------------------------------------------------------

    def _cancel(self, check_mode: bool) -> dict[str, Any]:
        """Ends the load on this server, if there is one, and returns what it had measured."""
        if not ServerLock.held(self._address, self._state_dir):
            return {}
        run_id = self._note().get("run_id")
        if run_id is None:
            raise self._foreign_load()
        if check_mode:
            return {"changed": True, "run_id": run_id}
        self._folder(run_id).ask_to_stop()
        return {"changed": True, **self._result(run_id)}
