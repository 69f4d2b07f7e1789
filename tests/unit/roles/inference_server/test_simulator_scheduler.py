# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import time

import llmfleet_simulator as simulator
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator_calibration import closed_loop

PLAIN = simulator.Timing()
EXACT = PLAIN._replace(frontend_ms=0, decode_base_ms=10, decode_expert_ms=0, decode_us_per_sequence=0)
EXACT = EXACT._replace(decode_ns_per_context_token=0, prefill_base_ms=0, prefill_us_per_token=1000, step_tokens=100)


def run(scheduler, arrivals):
    """Token times of each (time, job), in order; the scheduler runs until nothing is left."""
    tokens = {job: [] for _, job in arrivals}
    for at, job in sorted(arrivals, key=lambda pair: pair[0]):
        scheduler.submit(job, at)
    now = scheduler.next_ready()
    while now is not None:
        end = scheduler.begin(now)
        if end is None:
            now = scheduler.next_ready()
            continue
        assert end > now
        assert scheduler.running <= scheduler.max_num_seqs
        step, now = scheduler.finish(), end
        for job in step.decoded + step.finished:
            tokens[job].append(end)
    return tokens


def make(*prompts, target=3):
    return [simulator.Job(tokens, target) for tokens in prompts]


JOBS = st.lists(st.tuples(st.floats(0, 1), st.integers(1, 400), st.integers(1, 20)), min_size=1, max_size=20)


@settings(max_examples=50)
@given(JOBS, st.sampled_from(["vllm", "sglang"]), st.integers(1, 8))
def test_every_job_gets_its_tokens_once(drawn, engine, slots):
    jobs = [(at, simulator.Job(prompt, target)) for at, prompt, target in drawn]
    scheduler = simulator.Scheduler(EXACT, engine, slots)
    tokens = run(scheduler, jobs)
    for at, job in jobs:
        assert len(tokens[job]) == job.target
        assert tokens[job] == sorted(set(tokens[job]))
        assert tokens[job][0] > at
    assert scheduler.generation_tokens_total == sum(job.target for _, job in jobs)
    assert scheduler.prompt_tokens_total == sum(job.prompt_tokens for _, job in jobs)
    assert (scheduler.running, len(scheduler.waiting), scheduler.context_tokens) == (0, 0, 0)
    by_arrival = [tokens[job][0] for _, job in sorted(jobs, key=lambda pair: pair[0])]
    assert by_arrival == sorted(by_arrival)


@settings(max_examples=50)
@given(JOBS, st.sampled_from(["vllm", "sglang"]), st.sets(st.integers(0, 19)), st.integers(0, 12))
def test_an_aborted_job_leaves_no_trace(drawn, engine, victims, after):
    scheduler = simulator.Scheduler(EXACT, engine, 4)
    jobs = [simulator.Job(prompt, target) for _, prompt, target in drawn]
    for job in jobs:
        scheduler.submit(job, 0.0)
    now, steps, dead = 0.0, 0, set()
    while True:
        if steps == after:
            dead = {job for i, job in enumerate(jobs) if i in victims and job.state != "done"}
            for job in dead:
                scheduler.abort(job)
        end = scheduler.begin(now)
        if end is None and steps >= after:
            break
        step, now, steps = scheduler.finish(), end or now, steps + 1
        assert not dead & set(step.decoded + step.finished)
    assert all(job.state == "done" for job in jobs)
    assert (scheduler.running, len(scheduler.waiting), scheduler.context_tokens) == (0, 0, 0)


def test_a_job_aborted_within_a_step_gets_nothing_from_it():
    scheduler = simulator.Scheduler(EXACT)
    (job,) = make(150)
    scheduler.submit(job, 0)
    end = scheduler.begin(0)
    scheduler.abort(job)
    assert scheduler.finish() == ([], [], [])
    assert scheduler.begin(end) is None


def test_vllm_mixes_prefill_into_decode_steps():
    one, two = make(50, 150)
    tokens = run(simulator.Scheduler(EXACT), [(0, one), (0, two)])
    # step 1: 50 + 50 tokens; step 2: a decode and 99 tokens; step 3: a decode and the last token
    assert tokens[one] == pytest.approx([0.1, 0.209, 0.220])
    assert tokens[two] == pytest.approx([0.220, 0.230, 0.240])


def test_sglang_lets_decode_stall_while_it_prefills():
    one, two = make(50, 150)
    tokens = run(simulator.Scheduler(EXACT, "sglang"), [(0, one), (0.02, two)])
    # 50 tokens; then, before any decode, 100 and 50 tokens of the second prompt
    assert tokens[one] == pytest.approx([0.05, 0.21, 0.22])
    assert tokens[two] == pytest.approx([0.20, 0.21, 0.22])


def test_a_full_engine_lets_others_wait():
    one, two = make(10, 10)
    tokens = run(simulator.Scheduler(EXACT, max_num_seqs=1), [(0, one), (0, two)])
    assert tokens[two][0] == pytest.approx(tokens[one][-1] + 0.01)


def test_the_front_end_delays_a_request():
    (job,) = make(10)
    tokens = run(simulator.Scheduler(EXACT._replace(frontend_ms=500)), [(1, job)])
    assert tokens[job][0] == pytest.approx(1.51)


def test_a_decode_step_grows_with_batch_and_context():
    assert PLAIN.decode_s(1, 100) < PLAIN.decode_s(2, 100) < PLAIN.decode_s(2, 10_000)
    assert PLAIN.decode_s(1, 0) == pytest.approx((2 + 2 * 0.125 + 0.01) * 1e-3)
    assert PLAIN.decode_s(1000, 0) == pytest.approx((2 + 2 + 10) * 1e-3)


def test_prefill_is_slow_after_idleness_only():
    timing = EXACT._replace(cold_tokens=10, cold_factor=3)
    jobs = make(10, 10, 10, target=1)
    tokens = run(simulator.Scheduler(timing), list(zip((0, 0.5, 5), jobs)))
    assert [tokens[job][0] for job in jobs] == pytest.approx([0.03, 0.51, 5.03])


def test_jitter_is_the_same_in_every_run_and_moves_no_mean():
    def gaps(seed):
        (job,) = make(10, target=2001)
        times = run(simulator.Scheduler(EXACT._replace(jitter=0.1), seed=seed), [(0, job)])[job]
        return [b - a for a, b in zip(times, times[1:])]

    assert gaps(1) == gaps(1) != gaps(2)
    assert len(set(gaps(1))) > 1000
    assert sum(gaps(1)) / 2000 == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_latency_and_throughput_grow_with_concurrency(engine):
    curve = [closed_loop(PLAIN, engine, 2048, 128, 64, streams) for streams in (1, 4, 16)]
    for name in ("mean_ttft_ms", "mean_tpot_ms", "output_throughput"):
        values = [figures[name] for figures in curve]
        assert values == sorted(values), name
        assert values[-1] > 1.2 * values[0], name


def test_ttft_grows_with_the_prompt():
    short, long = (closed_loop(PLAIN, "vllm", tokens, 16, 8, 1)["mean_ttft_ms"] for tokens in (100, 8000))
    assert long > 5 * short


def prompt(first, tokens=100):
    return simulator.array("H", range(first, first + tokens))


def test_the_prefix_cache_skips_what_it_has_seen():
    cache = simulator.PrefixCache(max_tokens=1600)
    scheduler = simulator.Scheduler(EXACT, cache=cache)
    jobs = [simulator.Job(100, 1, cache.hashes(prompt(0))) for _ in range(2)]
    jobs.append(simulator.Job(100, 1, cache.hashes(prompt(0, 50) + prompt(500, 50))))
    tokens = run(scheduler, list(zip((0, 1, 2), jobs)))
    assert [job.cached_tokens for job in jobs] == [0, 96, 48]
    assert [tokens[job][0] for job in jobs] == pytest.approx([0.1, 1.004, 2.052])
    assert (cache.queries, cache.hits) == (300, 144)


def test_the_last_token_of_a_cached_prompt_is_computed():
    cache = simulator.PrefixCache(1600)
    hashes = cache.hashes(prompt(0, 96))
    cache.insert(hashes)
    assert cache.lookup(hashes, 96) == 80


def test_the_prefix_cache_forgets_what_was_used_longest_ago():
    cache = simulator.PrefixCache(max_tokens=64)
    old, used, new = (cache.hashes(prompt(first, 32)) for first in (0, 1000, 2000))
    cache.insert(old)
    cache.insert(used)
    cache.lookup(old, 33)
    cache.insert(new)
    assert [cache.lookup(hashes, 33) for hashes in (old, used, new)] == [32, 0, 32]
    cache.clear()
    assert cache.lookup(new, 33) == 0


class FakeAlarm:
    """Keeps the times that an engine asks to be woken at."""

    def __init__(self, loop, callback):
        self.times = []
        loop.append(self)

    def set(self, at):
        self.times.append(at)


class Counter:
    def __init__(self):
        self.tokens = 0

    def token(self):
        self.tokens += 1

    finish = token


def test_deadlines_are_absolute_however_late_the_engine_wakes(monkeypatch):
    monkeypatch.setattr(simulator, "Alarm", FakeAlarm)
    alarms = []
    engine = simulator.Engine(simulator.Scheduler(EXACT), 2.0, alarms)
    job = simulator.Job(10, 4, reply=Counter())
    engine.submit(job, 50.0)
    for _ in range(5):  # whenever that is
        engine._wake()
    assert alarms[0].times == pytest.approx([50.0, 50.005, 50.010, 50.015, 50.020])
    assert job.reply.tokens == 4
    assert engine.due == pytest.approx(50.020)


def test_a_job_that_became_ready_within_a_step_waits_for_its_end():
    scheduler = simulator.Scheduler(EXACT)
    jobs = make(10, 10, target=1)
    scheduler.submit(jobs[0], 0)
    end = scheduler.begin(0)
    scheduler.finish()
    assert scheduler.begin(end) is None
    scheduler.submit(jobs[1], end / 2)
    assert scheduler.begin(end / 2) == pytest.approx(2 * end)


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_an_alarm_rings_once_for_its_last_setting_and_never_early(platform, monkeypatch):
    monkeypatch.setattr(simulator.sys, "platform", platform)

    async def ring():
        rung = []
        alarm = simulator.Alarm(asyncio.get_running_loop(), lambda: rung.append(time.monotonic()))
        alarm.set(time.monotonic() + 0.05)
        alarm.set(at := time.monotonic() + 0.1)
        await asyncio.sleep(0.5)
        alarm.set(0.001)  # long over: at once
        await asyncio.sleep(0.5)
        return at, rung

    at, rung = asyncio.run(ring())
    assert len(rung) == 2
    assert rung[0] >= at
