# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The benchmark client: measures an OpenAI-compatible server, and says whether the result can be believed.

Four things happen one after the other, and no file does two of them:

    settle    options.py settings.py prompts.py words.py arrivals.py target.py
              the user's options become settings and requests as bytes; the server is asked what it is
    send      loadgen/load.py worker.py connection.py tls_connection.py clock.py progress.py
              THE TIMED PART: writes bytes, notes bytes and the kernel's time of each read (recording.py), decodes nothing
    decode    record.py, with _openai/http1.py and sse.py
              after the clock has stopped: bytes become times of events, tokens, and a success or a class of error
    judge     metrics.py repeats.py validity.py gpu_power.py, written down by result.py
              pure functions on records: figures, intervals, checks; then the fact and the record

What holds them together: task.py (the verbs of the module), job.py (the detached process), lock.py (one load at a time),
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
