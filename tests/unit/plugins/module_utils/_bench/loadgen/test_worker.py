# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import threading
from pathlib import Path

from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.clock import now_ns
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.connection import Connection
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.progress import ProgressCounters, Queue
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.loadgen.worker import Load, Request, Worker
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.record import Expectation
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.settings import Timeouts

REFUSED = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nwait"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000


def test_a_refusal_is_no_answer_with_tokens(tmp_path: Path) -> None:
    """It has few bytes: counted as an answer of 100 tokens it would make the tokens of all others many times as many."""
    answers = [REFUSED, ANSWER, REFUSED]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection = listener.accept()[0]
            with connection:
                for answer in answers:
                    connection.recv(1000)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        address = (socket.AF_INET, listener.getsockname())
        requests = [Request(b"GET / HTTP/1.1\r\n\r\n", Expectation(None, 100, 100)) for _answer in answers]
        load = Load(requests, lambda: Connection(address), 1, None, Timeouts(), real_time=False)
        counters, queue = ProgressCounters(1), Queue(len(answers), tmp_path)
        worker = Worker(load, 1, queue, counters, 0)
        worker.connect()
        worker.run(now_ns())
        queue.close()
        worker.records()
    counts = counters.read()
    assert (counts.done, counts.failed) == (3, 2)
    assert (counts.ended_tokens, counts.ended_bytes) == (100, len(ANSWER))
