# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Can the result be believed? Each check compares one figure with its limit. Pure."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Sequence

from .metrics import percentile
from .record import Record
from .settings import Limits

Check = Dict[str, Any]
_WORDS_LENGTH, _SHOWN_ERRORS = 200, 3


@dataclass(frozen=True)
class Evidence:
    """What the checks look at. None means that it could not be learned, and the check is skipped.

    `records` is None for a client that reports totals alone; such a result gets the checks that totals allow.
    """

    records: Sequence[Record] | None
    vllm_metrics: Mapping[str, Any]
    max_concurrency: int
    open_load: bool
    wanted_input: Sequence[int | None] = ()  # prompt tokens asked for, by index
    wanted_output: Sequence[int | None] = ()  # output tokens asked for, by index
    wanted_output_each: int | None = None  # output tokens asked of every request, where they are equal
    shared_tokens: int = 0  # prompt tokens that any two requests have in common (chat template, lead, prefix)
    repeated_share: float = 0.0  # of the prompts, as many may be equal by construction
    workers: Sequence[Mapping[str, Any]] = ()
    clock_step_ms: float | None = None
    counters: Mapping[str, float | None] = field(default_factory=dict)  # deltas over the run
    throttled_share: float | None = None
    engines: Sequence[str] = ()
    errors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by class: count and example


def evaluate(evidence: Evidence, limits: Limits) -> list[Check]:
    """All checks, in the order in which a reader wants them."""
    checks = _checks_of_totals if evidence.records is None else _checks_of_records
    return checks(evidence, limits)


def _checks_of_records(evidence: Evidence, limits: Limits) -> list[Check]:
    return [
        _failed(len(_records(evidence)) - len(_good(evidence)), len(_records(evidence)), evidence, limits),
        _cold_cache(evidence, limits),
        _prompt_length(evidence, limits),
        *_counters(evidence, limits),
        _total_over_output(evidence, limits),
        _closure(evidence, limits),
        _late_end(evidence, limits),
        _one_engine(evidence),
        _coalesced(evidence, limits),
        _loop_lag(evidence, limits),
        _cpu(evidence, limits),
        _cpu_wait(evidence, limits),
        _send_lag(evidence, limits),
        at_most(
            "clock_step_ms", evidence.clock_step_ms, limits.clock_step_ms, "the time of day was set during the run"
        ),
        _throttled(evidence, limits),
    ]


def _checks_of_totals(evidence: Evidence, limits: Limits) -> list[Check]:
    figures = evidence.vllm_metrics
    sent = figures["completed"] + figures["failed"]
    return [
        _failed(figures["failed"], sent, evidence, limits),
        _output_length(evidence),
        _cold_cache_by_totals(evidence, limits),
        *_counters(evidence, limits),
        _throttled(evidence, limits),
    ]


def failed_names(checks: Sequence[Check]) -> list[str]:
    """The names of the checks that did not pass."""
    return [check["name"] for check in checks if check["status"] == "fail"]


def verdict(
    checks: Sequence[Check], completed: int, cut_short: str = "", others: Sequence[str] = ()
) -> dict[str, str | None]:
    """`status` (ok, invalid, failed) and `reason`, the messages of what did not pass.

    `cut_short` says why the run ended early, if it did; `others` are messages about its other measurements.
    """
    messages = [f"{cut_short}, so the result is partial"] if cut_short else []
    messages += [check["message"] for check in checks if check["status"] == "fail"]
    messages += others
    status = "failed" if not completed else "invalid" if messages else "ok"
    return {"status": status, "reason": "; ".join(messages) or None}


def at_most(name: str, value: float | None, limit: float | None, meaning: str) -> Check:
    """A check that passes while `value` does not exceed `limit`; `meaning` says what a failure means."""
    if value is None:
        return {"name": name, "status": "skip", "value": None, "limit": limit, "message": f"{name}: not known here"}
    passed = limit is None or value <= limit
    message = f"{name} is {value:.6g} (limit {limit:g})" if limit is not None else f"{name} is {value:.6g}"
    return {
        "name": name,
        "status": "pass" if passed else "fail",
        "value": value,
        "limit": limit,
        "message": message if passed else f"{message}: {meaning}",
    }


def _records(evidence: Evidence) -> Sequence[Record]:
    return evidence.records or ()


def _good(evidence: Evidence) -> list[Record]:
    return [record for record in _records(evidence) if record.ok]


def _failed(failed: int, sent: int, evidence: Evidence, limits: Limits) -> Check:
    return at_most("failed_share", failed / sent if sent else 1.0, limits.failed_share, in_words(evidence.errors))


def in_words(errors: Mapping[str, Mapping[str, Any]]) -> str:
    """Errors counted by their class, the most frequent ones with the words of the server."""
    if not errors:
        return "requests failed (none sent)"
    kinds = [f"{error['count']} x {kind}" for kind, error in errors.items()]
    said = [f" ({error['example'][:_WORDS_LENGTH]})" if error["example"] else "" for error in errors.values()]
    shown = [kind + words for kind, words in zip(kinds, said)][:_SHOWN_ERRORS] + kinds[_SHOWN_ERRORS:]
    return f"requests failed: {', '.join(shown)}"


def _cold_cache(evidence: Evidence, limits: Limits) -> Check:
    """Hits beyond what the requests have in common by construction, over the tokens looked up.

    A cache of whole blocks finds nothing in the chat template; one of single tokens finds it in each request.
    """
    queries = evidence.counters.get("prefix_cache_queries")
    hits = evidence.counters.get("prefix_cache_hits")
    if hits is None:
        cached = [record.cached_tokens for record in _good(evidence) if record.cached_tokens is not None]
        hits, queries = (float(sum(cached)), evidence.vllm_metrics["total_input_tokens"]) if cached else (None, None)
    rate = None
    if hits is not None and queries:
        rate = max(0.0, hits - evidence.shared_tokens * len(_records(evidence))) / queries
    elif hits == 0:
        rate = 0.0
    return at_most("prefix_hit_rate", rate, limits.prefix_hit_rate, "the prefix cache was warm")


def _prompt_length(evidence: Evidence, limits: Limits) -> Check:
    pairs = [(r.prompt_tokens, evidence.wanted_input[r.index]) for r in _good(evidence)]
    wrong = [found for found, wanted in pairs if wanted is not None and found != wanted]
    known = any(wanted is not None for sent, wanted in pairs)
    share = len(wrong) / len(pairs) if known else None
    example = f"prompts have another length than asked for, {wrong[0]} tokens for example" if wrong else ""
    return at_most("prompt_length_share", share, limits.prompt_length_share, example)


def _cold_cache_by_totals(evidence: Evidence, limits: Limits) -> Check:
    """Hits over the tokens looked up; where the prompts have a prefix in common, any number of them is right."""
    queries, hits = evidence.counters.get("prefix_cache_queries"), evidence.counters.get("prefix_cache_hits")
    rate = hits / queries if hits is not None and queries else None
    limit = None if evidence.shared_tokens else max(limits.prefix_hit_rate, evidence.repeated_share)
    return at_most("prefix_hit_rate", rate, limit, "the prefix cache was warm")


def _output_length(evidence: Evidence) -> Check:
    """The output tokens of all answers against those asked for."""
    figures, wanted, share = evidence.vllm_metrics, evidence.wanted_output_each, None
    if wanted and figures["completed"]:
        total = figures["completed"] * wanted
        share = abs(total - figures["total_output_tokens"]) / total
    return at_most("output_length", share, 0.0, "answers have another length than asked for")


def _throttled(evidence: Evidence, limits: Limits) -> Check:
    return at_most("throttled_share", evidence.throttled_share, limits.throttled_share, "the GPU slowed itself down")


def _counters(evidence: Evidence, limits: Limits) -> list[Check]:
    return [
        _counter("prompt_tokens", "total_input_tokens", evidence, limits),
        _counter("generation_tokens", "total_output_tokens", evidence, limits),
    ]


def _counter(counter: str, total: str, evidence: Evidence, limits: Limits) -> Check:
    """The server's own count of tokens against the sum over the answers."""
    counted, summed = evidence.counters.get(counter), evidence.vllm_metrics[total]
    failed = evidence.vllm_metrics["failed"]
    mismatch = None if counted is None or not summed or failed else abs(counted - summed) / summed
    meaning = f"the server counted {counted or 0:.0f}, the answers say {summed}; other traffic on the server?"
    return at_most(f"{counter}_mismatch", mismatch, limits.counter_mismatch, meaning)


def _total_over_output(evidence: Evidence, limits: Limits) -> Check:
    """Total over output throughput against the same by the lengths asked for; 8192 in and 2048 out give 5."""
    good, value = _good(evidence), None
    asked = [(evidence.wanted_input[r.index], evidence.wanted_output[r.index]) for r in good if evidence.wanted_output]
    if asked and all(size is not None and answer is not None for size, answer in asked):
        wanted = sum((size or 0) + (answer or 0) for size, answer in asked) / sum(answer or 0 for size, answer in asked)
        found = evidence.vllm_metrics["total_token_throughput"] / evidence.vllm_metrics["output_throughput"]
        value = abs(found / wanted - 1)
    return at_most("total_over_output", value, limits.total_over_output, "the tokens are not those that were asked for")


def _window(evidence: Evidence) -> tuple[list[Record], int, int] | None:
    """The requests of a closed load, and when the first and the last of them were sent; while requests were left, no slot had to be free.

    None for an open load, and for a run that lost requests or has fewer than four waves, of which Little's law says nothing.
    """
    good, slots = _good(evidence), evidence.max_concurrency
    if evidence.open_load or len(good) < 4 * slots or len(good) != len(_records(evidence)):
        return None
    begin, until = min(record.sent_ns for record in good), max(record.sent_ns for record in good)
    return (good, begin, until) if until > begin else None


def _closure(evidence: Evidence, limits: Limits) -> Check:
    """The share of the slots' time in which they held no request. A request holds its slot to the end of its answer."""
    window, value = _window(evidence), None
    if window is not None:
        good, begin, until = window
        busy = sum(min(record.ended_ns, until) - record.sent_ns for record in good)
        value = 1 - busy / (evidence.max_concurrency * (until - begin))
    return at_most("closure", value, limits.closure, "slots stood idle: the client or the connections were too slow")


def _late_end(evidence: Evidence, limits: Limits) -> Check:
    """The share of the slots' time that passed between the last message with choices and the end of the answer."""
    window, value = _window(evidence), None
    if window is not None:
        good, begin, until = window
        held = sum(max(0, min(record.ended_ns, until) - record.event_ns[-1]) for record in good)
        value = held / (evidence.max_concurrency * (until - begin))
    meaning = "the server held the slots after the last token, until usage or [DONE] or the end of the answer came"
    return at_most("late_end", value, limits.late_end, meaning)


def _one_engine(evidence: Evidence) -> Check:
    """All answers name one model and fingerprint, and the server's version did not change."""
    names = sorted({record.identity for record in _good(evidence)})
    count = max(len(names), len(set(evidence.engines))) if names else None
    return at_most("engines", count, 1, f"several engines answered: {', '.join([*names, *evidence.engines])[:200]}")


def _coalesced(evidence: Evidence, limits: Limits) -> Check:
    texts = sum(sum(record.has_text) for record in _good(evidence))
    share = sum(record.coalesced for record in _good(evidence)) / texts if texts else None
    return at_most(
        "coalesced_share", share, limits.coalesced_share, "tokens came together in one read, so gaps are lost"
    )


def lag_ms(workers: Sequence[Mapping[str, Any]], percent: float) -> float | None:
    """How late the workers served their sockets, as a percentile in ms. Unknown where the kernel gives no time."""
    lags = array("I")
    for worker in workers:
        if worker["user_timed"]:
            return None
        lags.extend(worker["lag_us"])
    return percentile(sorted(lags), percent) / 1000 if lags else None


def _loop_lag(evidence: Evidence, limits: Limits) -> Check:
    lag = lag_ms(evidence.workers, 99)
    return at_most("loop_lag_ms", lag, limits.loop_lag_ms, "the client was late (p99); give it CPU or workers")


def _cpu(evidence: Evidence, limits: Limits) -> Check:
    shares = [worker["cpu_s"] / worker["wall_s"] for worker in evidence.workers if worker["wall_s"] > 0]
    return at_most("cpu_share", max(shares, default=None), limits.cpu_share, "a worker was busy; raise workers")


def _cpu_wait(evidence: Evidence, limits: Limits) -> Check:
    shares = [worker["wait_s"] / worker["wall_s"] for worker in evidence.workers if worker["wall_s"] > 0]
    meaning = "a worker waited for a CPU; keep other load off the host"
    return at_most("cpu_wait_share", max(shares, default=None), limits.cpu_wait_share, meaning)


def send_lags_ms(records: Sequence[Record]) -> list[float]:
    """How much later than intended each request of an open load was sent, in ms, sorted."""
    return sorted((record.sent_ns - record.intended_ns) / 1e6 for record in records if record.intended_ns)


def _send_lag(evidence: Evidence, limits: Limits) -> Check:
    lags = send_lags_ms(_records(evidence)) if evidence.open_load else []
    lag = percentile(lags, 99) if lags else None
    return at_most("send_lag_ms", lag, limits.send_lag_ms, "requests went out late (p99), so the rate was not offered")
