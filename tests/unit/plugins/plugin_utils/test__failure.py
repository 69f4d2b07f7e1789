# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.llmfleet.serving.plugins.plugin_utils._failure import failure_text, said_once

PRINTS_TWICE = hasattr(AnsibleActionFail, "omit_exception_key")  # ansible-core 2.19 and newer


@pytest.mark.parametrize(
    "result",
    [
        {"changed": True},
        {"failed": False, "msg": "fine"},
        {"failed": True, "msg": "crashed", "module_stderr": "Traceback", "exception": "x"},
    ],
)
def test_what_did_not_fail_or_crashed_is_left_as_it_is(result):
    assert said_once(dict(result)) == result


def test_a_failure_comes_without_what_would_print_it_again():
    failed = {"failed": True, "msg": "no disk", "cause": "disk", "exception": "(traceback)"}
    if not PRINTS_TWICE:
        assert said_once(failed) is failed
        return
    with pytest.raises(AnsibleActionFail) as raised:
        said_once(failed)
    assert raised.value.result_contribution == {"failed": True, "msg": "no disk", "cause": "disk"}
    assert raised.value.omit_exception_key


@pytest.mark.parametrize(
    ("result", "remedy"),
    [
        ({"msg": "Error pulling image: proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused"}, True),
        ({"results": [{"failed": True, "msg": "proxyconnect tcp: no route to host"}, {"msg": "fine"}]}, True),
        ({"msg": "proxyconnect tcp: x. Remedy: another"}, False),
        ({"msg": "no disk"}, False),
    ],
)
def test_what_docker_says_of_a_dead_proxy_comes_with_the_remedy(result, remedy):
    assert ("docker_engine_proxy" in failure_text(result)) == remedy
    assert failure_text(result).count("Remedy: ") <= 1
