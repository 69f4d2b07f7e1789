# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.llmfleet.serving.plugins.filter.server_spec import client_urls

TWO = [{"port": port, "base_url": f"http://127.0.0.1:{port}"} for port in (8000, 8001)]


@pytest.mark.parametrize(
    ("client_url", "urls"),
    [
        ("", ["http://127.0.0.1:8000", "http://127.0.0.1:8001"]),
        ("http://10.0.0.7:8000/", ["http://10.0.0.7:8000", "http://10.0.0.7:8001"]),
        ("https://gpu.example:443/llm", ["https://gpu.example:443/llm", "https://gpu.example:444/llm"]),
        ("http://[::1]:9000", ["http://[::1]:9000", "http://[::1]:9001"]),
        ("https://gateway.example/llm", ["https://gateway.example/llm"]),
    ],
)
def test_each_instance_has_an_address(client_url: str, urls: list[str]) -> None:
    assert client_urls({"endpoint": "http://127.0.0.1:8000", "instances": TWO}, client_url) == urls


def test_a_fact_without_instances_has_its_endpoint() -> None:
    assert client_urls({"endpoint": "http://127.0.0.1:8000"}) == ["http://127.0.0.1:8000"]


@pytest.mark.parametrize(
    "url",
    [
        "10.0.0.7:8000",
        "gpu.example",
        "http://h:port",
        "http://h:99999",
        "http://:8000",
        "ftp://h",
        "http://me:c4nary-Pass@h:8000",
    ],
)
def test_an_address_that_no_client_could_use_is_refused_by_name(url: str) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^inference_server_client_url is .*http://10\.0\.0\.7:8000"):
        client_urls({"endpoint": "http://127.0.0.1:8000", "instances": TWO}, url)


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        client_urls({"endpoint": "http://127.0.0.1:8000", "instances": TWO}, "http://me:c4nary-Pass@h:8000")
    assert "c4nary" not in str(caught.value)
