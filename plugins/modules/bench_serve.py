#!/usr/bin/python
# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bench_serve
short_description: Measure an inference server, and say whether the result can be believed
version_added: 0.1.0
author: The llmfleet authors (@llmfleet)
description:
  - Sends a workload to an OpenAI-compatible server (vLLM, SGLang) and measures throughput and latency.
  - Arrival times are those of the kernel, so a busy client does not falsify them. Prompts have exactly the wanted number of tokens,
    as the server counts them, and share nothing with those of an earlier run.
  - Metrics come by two sets of definitions, those of C(vllm bench serve) (RV(benchmark.metrics)) and strict ones (RV(benchmark.strict)).
  - The result judges itself. Its status is V(ok), V(invalid) when a check of RV(benchmark.validity) failed, or V(failed) when no request
    succeeded. All three are results, so the task itself succeeds; what cannot be measured at all fails the task before any load is sent.
  - Measuring does not change the server, so only O(state=cancelled) can report a change. The record of each run is kept in O(state_dir).
  - A run is a detached job on the target, so it goes on when the connection drops. Calling the module again with the same
    settings joins it, and with others (of O(validity) and O(percentiles) too) is refused; there is never a second load on one server
    (address and port, where all addresses of the host itself are the same).
  - The controller shows how far each host is every O(progress_interval) seconds.
extends_documentation_fragment:
  - llmfleet.serving.attributes.action_group
attributes:
  check_mode:
    description:
      - Checks the options, asks the server (models, version, tokenizer) and returns the plan. Sends no load.
      - Where the server has no C(/tokenize), random prompts are not tried out, for that would take requests.
    support: full
  idempotent:
    description: Every call measures again, unless the same measurement is in progress.
    support: none
options:
  base_url:
    description: Where the server listens, C(http://HOST:PORT) or C(https://HOST:PORT). A trailing C(/v1) is dropped.
    type: str
    required: true
  model:
    description: Name under which the server serves the model. Left out, the server must serve exactly one.
    type: str
  endpoint_type:
    description: V(openai-chat) measures C(/v1/chat/completions), V(openai) measures C(/v1/completions).
    type: str
    choices: [openai-chat, openai]
    default: openai-chat
  client:
    description:
      - What sends the load. V(native) is this module itself.
      - V(vllm) is C(vllm bench serve), run in the server's own image, with a fresh seed each time and the chat endpoint where it belongs.
      - V(vllm) gives no strict metrics and no steady state, its input length comes without the chat template, and its raw result is kept as
        C(vllm-NAME.json) in the run's folder.
    type: str
    choices: [native, vllm]
    default: native
  vllm_command:
    description:
      - Command for O(client=vllm) that stands for C(vllm) on the target, instead of a container.
      - It finds the key of O(api_key_file) in its environment as E(OPENAI_API_KEY). A container gets it on its standard input.
    type: list
    elements: str
  vllm_image:
    description: Image for O(client=vllm). The default is the server's, from O(server_fact).
    type: str
  vllm_tokenizer:
    description: Name or path of the tokenizer, as O(client=vllm) sees it. The default is the model of O(server_fact).
    type: str
  vllm_volumes:
    description: Volumes of the container of O(client=vllm), C(HOST:CONTAINER[:ro]), such as the model cache.
    type: list
    elements: str
    default: []
  workload:
    description:
      - Named set of values for the options that are left out.
      - V(published) is the workload of the published figures, 8192 input and 2048 output tokens, 512 prompts, 32 at once.
      - V(smoke) is 128/32 tokens, 16 prompts, 4 at once. V(latency) is 8192/256 tokens, 32 prompts, one at a time.
      - V(saturation) is 1024/256 tokens, 1024 prompts at each of 16, 32, 64, 128 and 256 at once.
    type: str
    choices: [published, smoke, latency, saturation]
    default: published
    aliases: [workload_name]
  dataset:
    description: V(random) makes prompts of random words and exact length. V(file) takes them from O(dataset_path).
    type: str
    choices: [random, file]
    default: random
  dataset_path:
    description:
      - JSONL file on the target, one object a line, with C(messages) (a chat) or C(prompt) (a text), and optionally C(output_tokens).
      - Needed for O(dataset=file).
    type: path
  input_tokens:
    description: Prompt tokens of each request as the server counts them, chat template included.
    type: int
  output_tokens:
    description: Tokens to generate for each request.
    type: int
  range_ratio:
    description:
      - Spread of both lengths. They are uniform between C(n * (1 - range_ratio)) and C(n * (1 + range_ratio)), as in C(vllm bench serve).
    type: float
    default: 0.0
  prefix_tokens:
    description: So many tokens at the beginning of each prompt are the same in all, to measure the prefix cache. They count as input.
    type: int
    default: 0
  num_prompts:
    description: Number of requests. The default for O(dataset=file) is the whole file.
    type: int
  max_concurrency:
    description:
      - Requests in flight. In a closed load (no O(request_rate)) each answer makes room for the next request.
      - In an open load it is an upper bound, and V(0), the default of an open load, is none.
    type: int
  request_rate:
    description: Requests per second of an open load, or V(inf) for a closed load.
    type: str
    default: inf
  burstiness:
    description:
      - Shape of the gamma distribution of the intervals of an open load. V(1) is Poisson, less is burstier, more is more even,
        V(inf) is constant.
    type: str
    default: '1'
  seed:
    description: Decides lengths, words and arrivals, together with O(salt).
    type: int
    default: 0
  salt:
    description:
      - Decides, with O(seed), the words of the prompts. Left out, each run has its own, so that it meets a cold cache.
      - Give the recorded salt to repeat the very same prompts.
    type: str
  ignore_eos:
    description:
      - Asks the server to generate exactly O(output_tokens), and counts a shorter answer as a failure.
      - The default is true for O(dataset=random).
    type: bool
  sampling:
    description: Sampling parameters, sent with every request.
    type: dict
    default: {temperature: 0.0, top_p: 1.0}
  continuous_usage:
    description:
      - Asks the server to count tokens in every event (C(stream_options.continuous_usage_stats)), which makes the strict ITL exact where
        an event carries several tokens. Events grow by some 80 bytes.
    type: bool
    default: false
  warmup:
    description:
      - Number of requests before the measurement, at the same concurrency and input length, with prompts of their own and at most 32
        output tokens. The default is O(max_concurrency).
    type: int
  sweep:
    description: Levels of concurrency to measure one after the other. The metrics are then those of the fastest level.
    type: list
    elements: int
  repeats:
    description:
      - Number of measurements. The metrics are then those of the measurement with the median output throughput.
      - A check that any of them failed makes the result invalid.
    type: int
    default: 1
  repeat_until:
    description:
      - Stops O(repeats) early, after three or more, when the 95 % confidence interval of the output throughput is within this share of
        its mean. V(0) never does.
    type: float
    default: 0.0
  slo:
    description: Objectives in milliseconds by metric (C(ttft), C(tpot), C(e2el)). Requests that meet all of them count as goodput.
    type: dict
    default: {}
  percentiles:
    description: Percentiles to report, besides 50, 90 and 99. At most 16.
    type: list
    elements: float
    default: [50, 90, 95, 99]
  workers:
    description: Worker processes. V(0) is one for every 64 connections of a measurement, on at most a quarter of the CPUs.
    type: int
    default: 0
  real_time:
    description:
      - Gives the workers real-time priority while they measure, where the user may (root), so that other processes do not delay them.
      - On a host with few CPUs they then preempt the engine itself and slow it down, by some 3 % where both shared two CPUs.
    type: bool
    default: false
  timeouts:
    description: Limits of one request in seconds. What is left out keeps its default.
    type: dict
    default: {}
    suboptions:
      connect_s:
        description: To connect.
        type: float
        default: 5
      first_token_s:
        description: From the request to the first event.
        type: float
        default: 300
      idle_s:
        description: Longest silence within an answer.
        type: float
        default: 60
      total_s:
        description: From the request to the end of the answer.
        type: float
        default: 1800
      control_s:
        description: >-
          For a question that is no part of the load, about models, tokens or counters.
          All counting of tokens may take ten times as long.
        type: float
        default: 30
  validity:
    description: Limits of the checks; a figure above its limit makes the result invalid. What is left out keeps its default.
    type: dict
    default: {}
    suboptions:
      failed_share:
        description: Share of failed requests.
        type: float
        default: 0
      prefix_hit_rate:
        description: Share of prompt tokens found in the prefix cache, beyond what the prompts have in common by design.
        type: float
        default: 0.001
      prompt_length_share:
        description: Share of prompts whose length is not O(input_tokens).
        type: float
        default: 0
      counter_mismatch:
        description: Relative difference between the server's token counters and the sum over the answers.
        type: float
        default: 0.001
      total_over_output:
        description: Relative difference of total over output throughput from what the lengths asked for give.
        type: float
        default: 0.001
      closure:
        description: Share of time that slots of a closed load stood idle while requests were left to send.
        type: float
        default: 0.1
      late_end:
        description: Share of that time in which the server held slots after the last token, until usage and C([DONE]) ended the answer.
        type: float
        default: 0.1
      coalesced_share:
        description:
          - Share of events with text that came in one read with an earlier event, so that the gap between them is lost.
          - Means, TTFT and TPOT do not suffer from it, percentiles of ITL do.
        type: float
        default: 0.25
      loop_lag_ms:
        description: Milliseconds from a segment's arrival to the end of its service (p99).
        type: float
        default: 50
      cpu_share:
        description: CPU time over wall time of the busiest worker.
        type: float
        default: 0.9
      cpu_wait_share:
        description: Share of the time for which a worker was ready to run and no CPU was free.
        type: float
        default: 0.2
      send_lag_ms:
        description: Milliseconds by which requests of an open load went out late (p99).
        type: float
        default: 10
      clock_step_ms:
        description: Milliseconds by which the time of day was stepped.
        type: float
        default: 1
      throttled_share:
        description: Share of the samples in which a GPU slowed itself down for heat or lack of power.
        type: float
        default: 0.01
  api_key_file:
    description: File on the target that holds the server's API key.
    type: path
  validate_certs:
    description: Whether the certificate of an C(https) server must be trusted.
    type: bool
    default: true
  ca_path:
    description: File on the target with the certificates to trust, instead of the system's.
    type: path
  server_fact:
    description:
      - The C(llmfleet_server) fact of the server, kept as the origin of the result.
      - Where it is given, no deployment, rollback or teardown changes the server while it is measured, and a server that one changes is
        not measured. The lock is C(lock.json) in O(state_dir).
    type: dict
    default: {}
  lock_takeover:
    description:
      - The run whose lock on the server is taken over, because it is dead. Filled in on the controller for one of its own whose process
        has ended.
    type: str
    default: ""
  fleet_run:
    description:
      - Names the run over a fleet that this measurement is part of, such as the number of a workflow. It is kept with the result, so
        that a report distinguishes what that run measured from older results.
      - A call that joins a run in progress leaves that run's name.
    type: str
  state:
    description:
      - V(measured) measures. V(cancelled) ends the measurement that runs on this server, if any, and returns what it has.
    type: str
    choices: [measured, cancelled]
    default: measured
  run_id:
    description:
      - Returns the result of this run, which was started before, instead of starting a run. It is judged by the limits that it was
        started with.
      - With O(state=cancelled) it has no meaning; what is ended is the run that measures this server.
    type: str
  wait:
    description: Whether to wait for the result. A run that is not waited for goes on; O(run_id) fetches it later.
    type: bool
    default: true
  on_disconnect:
    description:
      - What a run does when no caller has waited for it for a minute, because the connection broke or the play was cancelled.
      - V(continue) goes on to the end, and calling the module again joins it. V(cancel) ends it and keeps what it has.
    type: str
    choices: [continue, cancel]
    default: continue
  progress_interval:
    description: Seconds between two lines of progress that the controller shows. V(0) shows none.
    type: float
    default: 10.0
  state_dir:
    description:
      - Folder on the target for records (C(runs/RUN_ID/result.json)) and the latest fact (C(facts.d/llmfleet_benchmark.fact)).
    type: path
    default: ~/.local/state/llmfleet
"""

EXAMPLES = r"""
- name: Measure the published workload
  llmfleet.serving.bench_serve:
    base_url: http://127.0.0.1:8000
    model: lfm25_8b_a1b

- name: Measure the same server quickly
  llmfleet.serving.bench_serve:
    base_url: http://127.0.0.1:8000
    workload: smoke

- name: Measure ten requests a second, Poisson, with objectives
  llmfleet.serving.bench_serve:
    base_url: http://127.0.0.1:8000
    input_tokens: 1024
    output_tokens: 128
    num_prompts: 600
    request_rate: 10
    slo:
      ttft: 500
      tpot: 20
"""

RETURN = r"""
benchmark:
  description: The result, also returned as the fact C(llmfleet_benchmark). At most 32 KiB.
  returned: when something was measured
  type: dict
  contains:
    schema_version:
      description: Version of this structure.
      type: int
      returned: always
      sample: 1
    status:
      description: V(ok), V(invalid) or V(failed).
      type: str
      returned: always
      sample: ok
    reason:
      description: Why the status is not V(ok), else null.
      type: str
      returned: always
      sample: null
    simulated:
      description: Whether the server is a simulator.
      type: bool
      returned: always
      sample: false
    run_id:
      description: Name of the run and of its folder.
      type: str
      returned: always
      sample: 20261122T155700Z-3fa9c1
    fleet_run:
      description: O(fleet_run), null where none was given.
      type: str
      returned: always
    started_at:
      description: Begin, in ISO 8601, UTC.
      type: str
      returned: always
      sample: '2026-11-22T15:57:00Z'
    finished_at:
      description: End, in ISO 8601, UTC.
      type: str
      returned: always
      sample: '2026-11-22T15:59:41Z'
    workload:
      description:
        - What was sent, by the names of the options. C(prompt_overhead_tokens) are the tokens of chat template and lead word that each
          prompt begins with.
      type: dict
      returned: always
      sample: {name: published, input_tokens: 8192, output_tokens: 2048, num_prompts: 512, max_concurrency: 32, seed: 0}
    client:
      description:
        - What measured, and how it fared. C(clock) is V(kernel) or V(user); C(real_time) whether the workers had real-time priority;
          C(cpu_s) and C(decode_cpu_s) CPU seconds of all workers while the clock ran and after it; C(max_rss_mib) their memory in MiB;
          C(loop_lag_p99_ms) milliseconds from arrival to service.
      type: dict
      returned: always
      sample: {name: native, version: 1.0.0, workers: 1, clock: kernel, cpu_s: 4.1}
    metrics:
      description: The figures by the definitions of C(vllm bench serve) 0.32, under its names.
      type: dict
      returned: always
      contains:
        # Made from module_utils/_metric_table.py by `./run fix`; what is written here by hand is lost.
        duration:
          description: Seconds from the start of the load to the end of the last request.
          type: float
          returned: always
          sample: 149.9
        completed:
          description: Requests that succeeded, by the strict rules.
          type: int
          returned: always
          sample: 512
        failed:
          description: Requests that did not.
          type: int
          returned: always
          sample: 0
        total_input_tokens:
          description: Prompt tokens of the completed requests, as the server counts them.
          type: int
          returned: always
          sample: 4194304
        total_output_tokens:
          description: Generated tokens of the completed requests, as the server counts them.
          type: int
          returned: always
          sample: 1048576
        request_throughput:
          description: Completed requests per second.
          type: float
          returned: always
          sample: 3.41
        output_throughput:
          description: Generated tokens per second.
          type: float
          returned: always
          sample: 6995.2
        per_user_output_throughput:
          description: Tokens per second that one user sees, 1000 / RV(benchmark.metrics.mean_tpot_ms).
          type: float
          returned: always
          sample: 241.5
        total_token_throughput:
          description: Prompt and generated tokens per second.
          type: float
          returned: always
          sample: 34976.0
        max_output_tokens_per_s:
          description: Most events (RV(benchmark.strict), tokens) in a second.
          type: float
          returned: always
          sample: 9245.0
        max_concurrent_requests:
          description: Most requests that touch one second (RV(benchmark.strict), that are in flight at one moment).
          type: int
          returned: always
          sample: 40
        request_goodput:
          description: Completed requests per second that meet O(slo); null without it.
          type: float
          returned: always
          sample: null
        mean_ttft_ms:
          description:
            - Mean time to first token in milliseconds. Besides it there are C(median_), C(std_) and C(pNN_) for each of O(percentiles), and
              all of them for C(tpot), C(itl) and C(e2el); null where nothing could be measured.
          type: float
          returned: always
          sample: 882.3
        mean_tpot_ms:
          description: Mean time per output token after the first, in milliseconds.
          type: float
          returned: always
          sample: 4.14
        mean_itl_ms:
          description: Mean gap between events (RV(benchmark.strict), tokens) in milliseconds.
          type: float
          returned: always
          sample: 4.15
        mean_e2el_ms:
          description: Mean time to the last token in milliseconds.
          type: float
          returned: always
          sample: 9357.0
        # End of what is made.
    strict:
      description:
        - The same keys by the strict definitions, from the first event with text, and in an open load from the intended time. Null for
          O(client=vllm).
        - C(itl_basis) says whether ITL is per V(token) or per V(chunk).
      type: dict
      returned: always
      sample: {mean_ttft_ms: 882.9, itl_basis: token}
    steady_state:
      description:
        - The part of the run in which the server was kept busy, C(window_s) seconds long; rates and latencies as above; null without one.
      type: dict
      returned: always
      sample: {window_s: 138.2, output_throughput: 7310.1}
    repeats:
      description: Main figures of each repeat, with the names of the checks it failed (C(invalid)).
      type: list
      elements: dict
      returned: always
      sample: []
    confidence:
      description:
        - For each main metric C(mean), C(half_width) of the 95 % interval, and that as a share (C(relative)), over the repeats that
          completed requests; null for one repeat.
      type: dict
      returned: always
      sample: null
    sweep:
      description: Main figures of each level of O(sweep).
      type: list
      elements: dict
      returned: always
      sample: []
    points_left_out:
      description: Number of repeats or levels, the oldest, that are left out to keep the result within 32 KiB. The record has them.
      type: int
      returned: always
      sample: 0
    energy:
      description:
        - What the GPUs of O(server_fact) (else all) used from the first request to the end of the last, sampled once a second; null where
          there is no C(nvidia-smi).
        - C(energy_j) and C(energy_per_output_token_j) in joules, C(mean_power_w) in watts, C(mean_sm_clock_mhz), C(max_temperature_c),
          C(throttle_reasons), and C(throttled_share), the share of samples with a slowdown for heat or lack of power.
      type: dict
      returned: always
      sample: null
    server_counters:
      description:
        - What the server's counters grew by, C(prompt_tokens), C(generation_tokens), C(prefix_cache_queries), C(prefix_cache_hits) (tokens)
          and C(preemptions); null where it has none.
      type: dict
      returned: always
      sample: {prompt_tokens: 4194304.0, generation_tokens: 1048576.0, prefix_cache_hits: 0.0}
    errors:
      description: For each class of error its C(count) over all measurements, and an C(example).
      type: dict
      returned: always
      sample: {}
    validity:
      description: The C(checks), each with C(name), C(status) (V(pass), V(fail) or V(skip)), C(value), C(limit) and C(message).
      type: dict
      returned: always
      sample: {checks: [{name: failed_share, status: pass, value: 0.0, limit: 0.0, message: failed_share is 0 (limit 0)}]}
    provenance:
      description: Where the result comes from, the server's fact, engine version, host, client version, seed, and the call that repeats it.
      type: dict
      returned: always
      sample: {engine_version: 0.32.0, seed: 0}
    record_path:
      description:
        - The full record on the target, with one row for each request of each measurement (C(measurement), from 1).
        - Null where it could not be written, for RV(benchmark.record_error).
      type: str
      returned: always
      sample: /home/me/.local/state/llmfleet/runs/20261122T155700Z-3fa9c1/result.json
    record_error:
      description: Why there is no record, a full disk for example; null where there is one.
      type: str
      returned: always
      sample: null
run_id:
  description: Name of the run, also of one that failed.
  returned: when a run was started, joined or cancelled
  type: str
  sample: 20261122T155700Z-3fa9c1
joined:
  description: Who began the run (C(started_by)) and when (C(started_at)).
  returned: when the call joined a run that was measuring the same already
  type: dict
  sample: {started_by: ubuntu from 192.0.2.7, started_at: "2026-11-22T15:57:00Z"}
run_folder:
  description: The run's folder on the target.
  returned: with O(wait=false)
  type: str
  sample: /home/me/.local/state/llmfleet/runs/20261122T155700Z-3fa9c1
progress:
  description:
    - How far the run is, with its C(state), C(phase), requests C(done), C(failed) and in C(total), C(tokens) generated so far, also by
      requests that have not ended, C(share) of the phase that is done (0 to 1), C(output_tok_s) (tokens per second, over ten seconds; null
      while none has come), C(elapsed_s) and C(eta_s) (seconds).
  returned: with O(wait=false)
  type: dict
  sample: {state: running, phase: run-1, done: 128, failed: 0, total: 512, tokens: 327680, share: 0.31, output_tok_s: 6980.0, eta_s: 112.0}
workload:
  description: What the run was to measure, as in RV(benchmark.workload).
  returned: when a run that was started has no result
  type: dict
  sample: {name: published, input_tokens: 8192, output_tokens: 2048, num_prompts: 512, max_concurrency: 32}
plan:
  description: What would be measured; workload, model, workers, and what the server says of itself.
  returned: in check mode
  type: dict
  sample: {model: lfm25_8b_a1b, workers: 1, simulated: false, has_tokenize: true}
ansible_facts:
  description: The result as a fact.
  returned: when something was measured
  type: dict
  contains:
    llmfleet_benchmark:
      description: The same as RV(benchmark).
      type: dict
      returned: always
      sample: {schema_version: 1, status: ok}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.lock import Held
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.options import ARGUMENT_SPEC
from ansible_collections.llmfleet.serving.plugins.module_utils._bench.task import RunFailed, Task
from ansible_collections.llmfleet.serving.plugins.module_utils._errors import UserError
from ansible_collections.llmfleet.serving.plugins.module_utils._openai.key import read_key
from ansible_collections.llmfleet.serving.plugins.module_utils._secrets import mask


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    mask(module)
    try:
        mask(module, read_key(module.params["api_key_file"]))
        result = Task(module.params).act(module.check_mode)
    except RunFailed as error:
        module.fail_json(msg=str(error), run_id=error.run_id, workload=error.workload, **error.first._asdict())
    except Held as error:
        module.fail_json(msg=str(error), held=error.holder, **error.first._asdict())
    except UserError as error:
        module.fail_json(msg=str(error), **error.first._asdict())
    module.exit_json(**{"changed": False, **result})


if __name__ == "__main__":
    main()
