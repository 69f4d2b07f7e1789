#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_smoke
short_description: Check what a served model must be able to do
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Sends each server one small request for each ability and judges the answer.
  - A V(required) test that fails, fails the module. A test with V(report) that fails is in RV(reported). A test with V(skip) is
    not sent.
extends_documentation_fragment:
  - llmfleet.serving.attributes.action_group
attributes:
  check_mode:
    description: Sends nothing.
    support: full
options:
  base_urls:
    description: Where the servers answer, without C(/v1).
    type: list
    elements: str
    required: true
  served_model_name:
    description: The name that the model is served under.
    type: str
    required: true
  adapters:
    description: Names of LoRA adapters that the servers offer besides.
    type: list
    elements: str
    default: []
  api_key_file:
    description: File on the host that holds the servers' key.
    type: path
  keyless_key:
    description:
      - What clients without a key send in its place. Some servers want the header C(x-api-key) or C(Authorization), whatever its value;
        clients of OpenAI's and Anthropic's kind always send one. Unused with O(api_key_file).
    type: str
  context_tokens:
    description: Length of the context in tokens that C(/v1/models) must report. Without it any length passes.
    type: int
  tests:
    description: Whether each test is required, only reported, or skipped.
    type: dict
    default: {}
    suboptions:
      chat:
        description: A chat completion brings text.
        type: str
        choices: [required, report, skip]
        default: required
      stream:
        description: A streamed chat completion brings events with text and ends with C([DONE]).
        type: str
        choices: [required, report, skip]
        default: required
      lora:
        description: A chat completion with each of O(adapters) brings text.
        type: str
        choices: [required, report, skip]
        default: required
      context:
        description: The context is as long as O(context_tokens).
        type: str
        choices: [required, report, skip]
        default: report
      messages:
        description: The Anthropic route C(/v1/messages) answers.
        type: str
        choices: [required, report, skip]
        default: report
      tool_call:
        description: A tool is called by its name with arguments that parse.
        type: str
        choices: [required, report, skip]
        default: skip
      reasoning:
        description: Reasoning comes in a field of its own, apart from the answer.
        type: str
        choices: [required, report, skip]
        default: skip
  timeout_s:
    description: Longest time for one answer in seconds.
    type: float
    default: 120
"""

EXAMPLES = r"""
- name: Test the model
  llmfleet.serving.server_smoke:
    base_urls: [http://127.0.0.1:8000]
    served_model_name: lfm25_8b_a1b
    tests:
      tool_call: required
"""

RETURN = r"""
summary:
  description: Each test's worst outcome over all servers, V(pass), V(fail) or V(skip).
  returned: always
  type: dict
  sample: {chat: pass, stream: pass, lora: skip, context: pass, messages: pass, tool_call: fail, reasoning: skip}
reported:
  description: The tests that failed and are only reported, as text; empty where there are none.
  returned: success
  type: str
  sample: "tool_call at http://127.0.0.1:8000: expected a call of get_weather, found text"
results:
  description: Each test on each server that was sent.
  returned: always
  type: list
  elements: dict
  contains:
    base_url:
      description: The server.
      type: str
      returned: always
      sample: http://127.0.0.1:8000
    test:
      description: Name of the test.
      type: str
      returned: always
      sample: chat
    status:
      description: V(pass) or V(fail).
      type: str
      returned: always
      sample: pass
    detail:
      description: Summary of the answer, or what was wrong with it and what was expected.
      type: str
      returned: always
      sample: 41 characters
    elapsed_s:
      description: Seconds until the answer was complete.
      type: float
      returned: always
      sample: 0.31
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._openai import smoke
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.client import MOST_BYTES, NoAnswer, ask
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.endpoint import parse_base_url
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.key import read_key
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import mask

DEFAULTS = {
    "chat": "required",
    "stream": "required",
    "lora": "required",
    "context": "report",
    "messages": "report",
    "tool_call": "skip",
    "reasoning": "skip",
}


def body_of(base_url: str, test: smoke.SmokeTest, headers: dict, timeout_s: float) -> bytes:
    """The whole answer to one test's request. Raises SmokeError when no answer came, or none with status 200."""
    try:
        answer = ask(base_url.rstrip("/") + test.path, headers, timeout_s, test.body)
    except NoAnswer as error:
        raise smoke.SmokeError(f"{test.path} does not answer: {error}") from error
    if not 200 <= answer.status < 300:
        said = answer.excerpt if answer.location else smoke.refusal_of(answer.body)
        raise smoke.SmokeError(f"{test.path} answers {answer.status}: {said}")
    if not answer.whole:
        raise smoke.SmokeError(f"{test.path} answers with more than {MOST_BYTES // 2**20} MiB")
    return answer.body


def run(base_url: str, test: smoke.SmokeTest, headers: dict, timeout_s: float) -> dict:
    """One test on one server, as an item of `results`."""
    began = time.monotonic()
    try:
        status, detail = "pass", test.judge(body_of(base_url, test, headers, timeout_s))
    except smoke.SmokeError as error:
        status, detail = "fail", str(error)
    return {
        "base_url": base_url,
        "test": test.name,
        "status": status,
        "detail": detail,
        "elapsed_s": round(time.monotonic() - began, 3),
    }


def summarise(results: list) -> dict:
    """Each test's worst outcome."""
    summary = dict.fromkeys(DEFAULTS, "skip")
    for result in results:
        if summary[result["test"]] != "fail":
            summary[result["test"]] = result["status"]
    return summary


def in_words(failed: list) -> str:
    """Failed tests in one line."""
    return "; ".join(f"{item['test']} at {item['base_url']}: {' '.join(item['detail'].split())}" for item in failed)


def main() -> None:
    mode = {"type": "str", "choices": list(smoke.MODES)}
    module = AnsibleModule(
        argument_spec={
            "base_urls": {"type": "list", "elements": "str", "required": True},
            "served_model_name": {"type": "str", "required": True},
            "adapters": {"type": "list", "elements": "str", "default": []},
            "api_key_file": {"type": "path", "no_log": False},
            "keyless_key": {"type": "str", "no_log": False},
            "context_tokens": {"type": "int", "no_log": False},
            "tests": {
                "type": "dict",
                "default": {},
                "options": {name: {**mode, "default": default} for name, default in DEFAULTS.items()},
            },
            "timeout_s": {"type": "float", "default": 120},
        },
        supports_check_mode=True,
    )
    params = module.params
    modes = {**DEFAULTS, **params["tests"]}
    headers = {"anthropic-version": "2023-06-01"}
    mask(module)
    try:
        key = None if module.check_mode else read_key(params["api_key_file"])
        base_urls = [parse_base_url(url).url for url in params["base_urls"]]
    except UserError as error:
        module.fail_json(msg=str(error))
    mask(module, key)
    sent = params["keyless_key"] if key is None else key
    if sent:
        headers.update({"Authorization": f"Bearer {sent}", "x-api-key": sent})
    results = [
        run(base_url, test, headers, params["timeout_s"])
        for base_url in ([] if module.check_mode else base_urls)
        for test in smoke.smoke_tests(params["served_model_name"], params["context_tokens"], params["adapters"])
        if modes[test.name] != "skip"
    ]
    failed = [item for item in results if item["status"] == "fail"]
    report = {"changed": False, "results": results, "summary": summarise(results)}
    broken = [item for item in failed if modes[item["test"]] == "required"]
    if broken:
        module.fail_json(
            msg=f"the server answers, but does not do what is required of it (inference_server_smoke): {in_words(broken)}",
            **report,
        )
    module.exit_json(reported=in_words(failed), **report)


if __name__ == "__main__":
    main()
