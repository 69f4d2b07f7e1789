# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

import pytest
from ansible_collections.llmfleet.serving.plugins.module_utils._lambda import api

from tests.support.hostile_server import hostile_server, stands_still
from tests.support.lambda_cloud import KEY, Account, serve, ssh_banner

BODY = {"name": "a", "region_name": "us-west-3", "instance_type_name": "gpu_1x_h100_sxm5", "ssh_key_names": ["fleet"]}
BUSY = (429, {"error": {"code": "global/too-many-requests", "message": "slow down"}}, {"Retry-After": "3"})
BROKEN = (503, "upstream is away", {})


@pytest.fixture
def account():
    return Account()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def client(account, waits):
    with serve(account) as url:
        yield api.LambdaApi(url, KEY, timeout_s=5, sleep=waits.append)


def test_all_pages_are_read(client, account):
    account.page_size = 2
    for number in range(5):
        account.add(f"host-{number}")
    assert [entry["name"] for entry in client.instances()] == [f"host-{number}" for number in range(5)]
    assert len(account.requests) == 3


def test_an_empty_account_and_missing_fields(client, account):
    assert client.instances() == []
    account.instances["1"] = {"id": "1"}
    assert client.instances()[0]["status"] == "unknown"


def test_a_wrong_key_is_named_and_not_repeated(account):
    with serve(account) as url, pytest.raises(api.ApiError, match="LAMBDA_API_KEY") as caught:
        api.LambdaApi(url, "wrong").instances()
    assert caught.value.status == 401
    assert len(account.requests) == 1


def test_a_netrc_does_not_replace_the_key(client, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert client.instances() == []


@pytest.mark.parametrize(("fault", "slept"), [(BUSY, [3.0, 3.0]), (BROKEN, [1.0, 2.0])], ids=["429", "503"])
def test_what_passes_is_asked_again(client, account, waits, fault, slept):
    account.answers["/instances"] = [fault, fault]
    assert client.instances() == []
    assert waits == slept


def test_what_does_not_pass_ends(client, account):
    account.answers["/instances"] = [BROKEN] * 50
    with pytest.raises(api.ApiError, match="503"):
        client.instances()
    assert len(account.requests) == api.ATTEMPTS


def test_no_server(waits):
    with pytest.raises(api.ApiError, match=r"127\.0\.0\.1:1/"):
        api.LambdaApi("http://127.0.0.1:1/api/v1", KEY, sleep=waits.append).instances()


def test_an_answer_that_is_no_json(client, account):
    account.answers["/instances"] = [(200, "<html>", {})] * 50
    with pytest.raises(api.ApiError):
        client.instances()


def test_a_redirect_is_not_followed_with_the_key(client, account):
    account.answers["/instances"] = [(301, "", {"Location": "https://elsewhere.example.org/"})]
    with pytest.raises(api.ApiError, match="api_url"):
        client.instances()


def test_a_launch(client, account):
    assert client.launch(BODY) == next(iter(account.instances))


def test_a_launch_refused_for_its_rate_is_sent_again(client, account, waits):
    account.answers["/instance-operations/launch"] = [BUSY]
    client.launch(BODY)
    assert waits == [3.0]
    assert len(account.live("a")) == 1


@pytest.mark.parametrize("when", ["after", "before"])
def test_a_launch_whose_answer_is_lost_is_not_sent_again(client, account, when):
    account.lose_launch = when
    with pytest.raises(api.LaunchUnknown):
        client.launch(BODY)
    assert account.launches() == 1


def test_a_launch_that_breaks_the_server_is_not_sent_again(client, account):
    account.answers["/instance-operations/launch"] = [BROKEN]
    with pytest.raises(api.LaunchUnknown):
        client.launch(BODY)
    assert account.launches() == 1


def test_a_launch_that_never_left_is_sent_again(waits):
    with pytest.raises(api.ApiError) as caught:
        api.LambdaApi("http://127.0.0.1:1/api/v1", KEY, sleep=waits.append).launch(BODY)
    assert not isinstance(caught.value, api.LaunchUnknown)
    assert len(waits) == api.ATTEMPTS - 1


def test_one_that_is_gone_keeps_no_other_alive(client, account):
    entry = account.add("a")
    client.terminate([entry["id"], "gone"])
    assert account.live("a") == []


@pytest.mark.parametrize(("key", "file"), [("k", None), (None, "key")])
def test_the_key_comes_from_the_option_or_the_file(tmp_path, key, file):
    (tmp_path / "key").write_text("k\n")
    assert api.read_key(key, file and str(tmp_path / file)) == "k"


@pytest.mark.parametrize("file", [None, "absent", "empty"])
def test_no_key_is_an_error(tmp_path, file):
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(api.ApiError):
        api.read_key(None, file and str(tmp_path / file))


@pytest.mark.parametrize(
    ("greeting", "answers"), [(b"SSH-2.0-x\r\n", True), (b"HTTP/1.1 400\r\n", False), (b"", False)]
)
def test_only_an_ssh_server_answers(greeting, answers):
    with ssh_banner(greeting) as port:
        assert api.ssh_answers("127.0.0.1", port) is answers


def test_a_closed_port_does_not_answer():
    assert not api.ssh_answers("127.0.0.1", 1)


# What an API never says, and a page of a proxy or another service may.
FORMLESS = [
    {"data": 7},
    {"data": {"a": 1}},
    {"data": "no"},
    {"data": [7]},
    {"data": [None]},
    {"data": [{"region": 7}]},
    {"data": [{"tags": 7}]},
    {"data": [{"tags": [7]}]},
    {"data": [{"instance_type": [1]}]},
    {"data": [{"instance_type": {"specs": {"gpus": "many"}}}]},
    {"data": [{"instance_type": {"specs": {"gpus": 1e400}}}]},
    {"data": [{"ssh_key_names": 7}]},
]


@pytest.mark.parametrize("payload", FORMLESS, ids=str)
def test_an_answer_without_the_apis_form_is_named(client, account, payload):
    account.answers["/instances"] = [(200, payload, {})]
    with pytest.raises(api.ApiError, match="has not the form"):
        client.instances()


@pytest.mark.parametrize(
    "payload", [{"data": 7}, {"data": []}, {"data": {"instance_ids": 7}}, {"data": {"instance_ids": "a"}}]
)
def test_a_launch_with_a_formless_answer_may_have_succeeded(client, account, payload):
    account.answers["/instance-operations/launch"] = [(200, payload, {})]
    with pytest.raises(api.LaunchUnknown):
        client.launch(BODY)


def test_an_instance_without_the_apis_form_is_not_quoted(client, account):
    """It carries the address and token of its Jupyter."""
    odd = {"jupyter_url": "https://jupyter-c4nary-Token000.example/lab", "region": 7}
    account.answers["/instances"] = [(200, {"data": [odd]}, {})]
    with pytest.raises(api.ApiError) as caught:
        client.instances()
    assert "c4nary" not in str(caught.value)


def test_pages_without_end_end(client, account):
    account.answers["/instances"] = [(200, {"data": [], "page_token": "more"}, {})] * 1000
    with pytest.raises(api.ApiError, match="100 pages"):
        client.instances()


def test_a_key_that_the_api_repeats_is_not_quoted(client, account):
    account.answers["/instances"] = [(400, {"error": {"code": "x", "message": f"no {KEY}\n\x1b[31m"}}, {})]
    with pytest.raises(api.ApiError) as caught:
        client.instances()
    assert KEY not in str(caught.value) and "\x1b" not in str(caught.value)


@pytest.mark.parametrize("slow", [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 99, b"HTTP/1.1 100 Continue\r\n\r\n" * 99])
def test_an_answer_a_byte_at_a_time_has_a_limit(waits, slow):
    with hostile_server({"/instances": lambda peer: peer.drip(slow, 0.05)}) as server:
        began = time.monotonic()
        with pytest.raises(api.ApiError, match="no answer within"):
            api.LambdaApi(server.url, KEY, timeout_s=0.2, sleep=waits.append).instances()
    assert time.monotonic() - began < 0.2 * api.ATTEMPTS + 8


def test_a_launch_that_is_not_answered_in_time_may_have_succeeded():
    with hostile_server({"/instance-operations/launch": stands_still}) as server, pytest.raises(api.LaunchUnknown):
        api.LambdaApi(server.url, KEY, timeout_s=0.2).launch(BODY)
