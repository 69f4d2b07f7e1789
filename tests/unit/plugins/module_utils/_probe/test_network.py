# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import threading
import time

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._probe.network import probe_url

from tests.support.hostile_server import hostile_server


class _Hub(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def hub():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("status", [200, 401, 503])
def test_any_answer_means_reachable(hub, status):
    probed = probe_url(f"{hub}/{status}", 5.0)
    assert (probed["reachable"], probed["http_status"], probed["error"]) == (True, status, None)
    assert probed["elapsed_ms"] >= 0


def test_a_netrc_is_not_read(hub, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 unfinished")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert probe_url(f"{hub}/200", 5.0)["reachable"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "nonsense", "http://[::1"])
def test_no_answer(url):
    probed = probe_url(url, 1.0)
    assert not probed["reachable"] and probed["error"]


def test_a_byte_now_and_then_does_not_keep_the_probe():
    with hostile_server({"/x": lambda peer: peer.drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 999, 0.1)}) as server:
        began = time.monotonic()
        probed = probe_url(f"{server.url}/x", 0.5)
    assert time.monotonic() - began < 10
    assert not probed["reachable"] and "timed out" in probed["error"]
