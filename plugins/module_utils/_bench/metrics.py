# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From records to metrics, by two sets of definitions. Pure.

`vllm_metrics` is what `vllm bench serve` 0.32 computes (vllm/benchmarks/serve.py, calculate_metrics, and
lib/endpoint_request_func.py). `strict_metrics` says what a user of the server would. They differ in this:

=====================  ==============================================  ================================================
metric                 vllm_metrics                                    strict_metrics
=====================  ==============================================  ================================================
start                  sent                                            intended (the same in a closed load)
TTFT                   first message with choices, even without text   first message with text, reasoning included
ITL                    every gap between messages, pooled              every gap per token, where tokens are known
E2EL                   last message with choices                       the same message, from the strict start
TPOT                   (E2EL - TTFT) / (output tokens - 1)             (last text - first text) / tokens after the first
peak tok/s             messages in one-second buckets                  tokens in one-second buckets
peak concurrency       requests that touch a one-second bucket         requests in flight at one moment
=====================  ==============================================  ================================================

Only requests that succeeded by the strict rules (record.py) are counted, in both. Percentiles interpolate linearly
and the standard deviation is that of the population, as numpy's do by default.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import accumulate
from typing import Any, Iterable, Mapping, Optional, Sequence, Tuple

from .._metric_table import LATENCIES, statistic_keys
from .record import Record

_MS = 1e6  # nanoseconds
_S = 1e9
Window = Tuple[int, int]  # nanoseconds
Latencies = Mapping[str, Sequence[Optional[float]]]  # ttft, tpot and e2el in ms, one entry for each request


# -- statistics -------------------------------------------------------------------------------------------------------


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The percentile of sorted values, linearly interpolated (numpy.percentile's default)."""
    position = (len(ordered) - 1) * percent / 100
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def summary(name: str, values: Iterable[float], percents: Sequence[float]) -> dict[str, float | None]:
    """Mean, median, standard deviation and percentiles of values in ms; each is None without values."""
    ordered = sorted(values)
    keys = statistic_keys(name, percents)
    if not ordered:
        return dict.fromkeys(keys)
    mean = math.fsum(ordered) / len(ordered)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in ordered) / len(ordered))
    figures = [mean, percentile(ordered, 50), deviation] + [percentile(ordered, percent) for percent in percents]
    return dict(zip(keys, figures))


# -- one request, as vllm bench serve sees it -------------------------------------------------------------------------


def vllm_ttft_ms(record: Record) -> float:
    return (record.event_ns[0] - record.sent_ns) / _MS


def vllm_e2el_ms(record: Record) -> float:
    return (record.event_ns[-1] - record.sent_ns) / _MS


def vllm_tpot_ms(record: Record) -> float | None:
    """None for an answer of one token, which has no time per output token."""
    if record.completion_tokens <= 1:
        return None
    return (vllm_e2el_ms(record) - vllm_ttft_ms(record)) / (record.completion_tokens - 1)


def gaps_ms(times_ns: Sequence[int]) -> Iterable[float]:
    """The gaps between successive times."""
    return ((later - earlier) / _MS for earlier, later in zip(times_ns, times_ns[1:]))


# -- one request, strictly --------------------------------------------------------------------------------------------


def strict_start_ns(record: Record) -> int:
    """When the request was due: its intended time in an open load, else the time it was sent.

    To count a late request from its sending would leave out the wait that a slow server causes: coordinated omission.
    """
    return record.intended_ns or record.sent_ns


def text_times_ns(record: Record) -> list[int]:
    """When the messages with text arrived."""
    return [time for time, has_text in zip(record.event_ns, record.has_text) if has_text]


def tokens_per_text(record: Record) -> list[int] | None:
    """How many tokens each message with text brought, or None where that is not known.

    Known when the server counts with every message (upwards, and not past the whole), or when there are as many such messages
    as tokens.
    """
    if len(record.cumulative) == len(record.event_ns):
        counts, before = [], 0
        for total, has_text in zip(record.cumulative, record.has_text):
            if has_text:
                counts.append(total - before)
                before = total
        if counts and min(counts) >= 0 and before <= record.completion_tokens:
            return counts
    texts = sum(record.has_text)
    return [1] * texts if texts == record.completion_tokens else None


def strict_ttft_ms(record: Record) -> float:
    return (record.event_ns[record.has_text.index(1)] - strict_start_ns(record)) / _MS


def strict_e2el_ms(record: Record) -> float:
    return (record.event_ns[-1] - strict_start_ns(record)) / _MS


def strict_tpot_ms(record: Record) -> float | None:
    """None when all tokens came with the first message that has text."""
    times, counts = text_times_ns(record), tokens_per_text(record)
    later_tokens = record.completion_tokens - (counts[0] if counts else 1)
    return (times[-1] - times[0]) / _MS / later_tokens if later_tokens > 0 and len(times) > 1 else None


def token_gaps(record: Record) -> Iterable[tuple[int, float]]:
    """(arrival, gap in ms) of each token after the first message: a message of n tokens gives n times an nth of its gap.

    Where tokens are not known, each message is one.
    """
    times, counts = text_times_ns(record), tokens_per_text(record)
    later = zip(times[1:], gaps_ms(times), counts[1:] if counts else [1] * len(times))
    return ((time, gap / count) for time, gap, count in later for _token in range(count))


def strict_itl_ms(record: Record) -> Iterable[float]:
    """The gaps of one request, without their times."""
    return (gap for _time, gap in token_gaps(record))


# -- all requests -----------------------------------------------------------------------------------------------------


def totals(records: Sequence[Record], duration_s: float) -> dict[str, Any]:
    """Counts and rates over the run; rates are per second of `duration_s`."""
    good = [record for record in records if record.ok]
    input_tokens = sum(record.prompt_tokens for record in good)
    output_tokens = sum(record.completion_tokens for record in good)
    return {
        "duration": duration_s,
        "completed": len(good),
        "failed": len(records) - len(good),
        "total_input_tokens": input_tokens,
        "total_output_tokens": output_tokens,
        "request_throughput": len(good) / duration_s,
        "output_throughput": output_tokens / duration_s,
        "total_token_throughput": (input_tokens + output_tokens) / duration_s,
    }


def duration_s(records: Sequence[Record], start_ns: int) -> float:
    """From the start of the load to the end of the last request, failed ones included."""
    return max(1, max((record.ended_ns for record in records), default=start_ns) - start_ns) / _S


def goodput(latencies: Latencies, slo: Mapping[str, float], seconds: float) -> float:
    """Requests per second that meet every objective (inclusive). An answer without a TPOT has one of 0."""
    wanted = [latencies[name] for name in slo]
    return sum(all((x or 0.0) <= limit for x, limit in zip(row, slo.values())) for row in zip(*wanted)) / seconds


def _summaries(latencies: Latencies, itl: Iterable[float], percents: Sequence[float]) -> dict[str, float | None]:
    """Statistics of ttft, tpot, itl and e2el, in the order of `vllm bench serve`."""
    figures: dict[str, float | None] = {}
    for name in (latency.name for latency in LATENCIES):
        values = itl if name == "itl" else latencies[name]
        figures.update(summary(name, (value for value in values if value is not None), percents))
    return figures


def derived(figures: Mapping[str, Any]) -> dict[str, Any]:
    """What follows from other figures, whatever measured them: the rate one user sees, None without a mean TPOT."""
    mean_tpot = figures["mean_tpot_ms"]
    return {"per_user_output_throughput": 1000 / mean_tpot if mean_tpot else None}


def _finish(figures: dict[str, Any], latencies: Latencies, slo: Mapping[str, float]) -> dict[str, Any]:
    """Adds what follows from the latencies: the derived figures, and the goodput when there are objectives."""
    figures.update(derived(figures))
    figures["request_goodput"] = goodput(latencies, slo, figures["duration"]) if slo else None
    return figures


def vllm_metrics(
    records: Sequence[Record], start_ns: int, percents: Sequence[float], slo: Mapping[str, float]
) -> dict[str, Any]:
    """All metrics as `vllm bench serve` defines them. Latencies in ms, duration in s, rates per second."""
    good = [record for record in records if record.ok]
    figures = totals(records, duration_s(records, start_ns))
    figures["max_output_tokens_per_s"], figures["max_concurrent_requests"] = vllm_peaks(good)
    latencies: Latencies = {
        "ttft": [vllm_ttft_ms(record) for record in good],
        "tpot": [vllm_tpot_ms(record) for record in good],
        "e2el": [vllm_e2el_ms(record) for record in good],
    }
    figures.update(_summaries(latencies, (gap for record in good for gap in gaps_ms(record.event_ns)), percents))
    return _finish(figures, latencies, slo)


def strict_metrics(
    records: Sequence[Record], start_ns: int, percents: Sequence[float], slo: Mapping[str, float]
) -> dict[str, Any]:
    """All metrics by the strict definitions. `itl_basis` says whether the gaps of ITL are per `token` or per `chunk`."""
    good = [record for record in records if record.ok]
    figures = totals(records, duration_s(records, start_ns))
    figures["max_output_tokens_per_s"] = strict_peak_tokens_per_s(good, start_ns)
    figures["max_concurrent_requests"] = strict_peak_concurrency(records)
    figures["itl_basis"] = "token" if all(tokens_per_text(record) for record in good) else "chunk"
    latencies: Latencies = {
        "ttft": [strict_ttft_ms(record) for record in good],
        "tpot": [strict_tpot_ms(record) for record in good],
        "e2el": [strict_e2el_ms(record) for record in good],
    }
    figures.update(_summaries(latencies, (gap for record in good for gap in strict_itl_ms(record)), percents))
    return _finish(figures, latencies, slo)


# -- peaks ------------------------------------------------------------------------------------------------------------


def vllm_peaks(good: Sequence[Record]) -> tuple[float, int]:
    """Most messages in a one-second bucket, and most requests that touch one, counted from the first start.

    What a clock that was set puts outside counts in the first or last bucket.
    """
    if not good:
        return 0.0, 0
    origin = min(record.sent_ns for record in good)
    last = max(0, int((max(record.event_ns[-1] for record in good) - origin) // _S))
    messages: Counter[int] = Counter()
    changes: Counter[int] = Counter()

    def bucket(time: int) -> int:
        return min(max(0, int((time - origin) // _S)), last)

    for record in good:
        messages.update(map(bucket, record.event_ns))
        first, end = bucket(record.sent_ns), bucket(record.event_ns[-1]) + 1
        if first < end:
            changes.update({first: 1})
            changes.subtract({end: 1})
    active = accumulate(changes[second] for second in sorted(changes))
    return float(max(messages.values())), max(active, default=0)


def token_events(record: Record) -> Iterable[tuple[int, float]]:
    """(time, tokens) of each message with text; where tokens are not known, an equal share of the answer's."""
    times, counts = text_times_ns(record), tokens_per_text(record)
    shares: Sequence[float] = counts or [record.completion_tokens / len(times)] * len(times)
    return zip(times, shares)


def strict_peak_tokens_per_s(good: Sequence[Record], start_ns: int) -> float:
    """Most tokens in a one-second bucket, counted from the start."""
    buckets: dict[int, float] = {}
    for record in good:
        for time, tokens in token_events(record):
            second = int((time - start_ns) // _S)
            buckets[second] = buckets.get(second, 0.0) + tokens
    return max(buckets.values(), default=0.0)


def in_flight(records: Sequence[Record]) -> list[tuple[int, int]]:
    """(time, requests in flight from then on), in order of time. A request that ends as another starts makes room."""
    changes = [(record.sent_ns, 1) for record in records] + [(record.ended_ns, -1) for record in records]
    level, levels = 0, []
    for time, change in sorted(changes, key=lambda item: (item[0], item[1])):
        level += change
        levels.append((time, level))
    return levels


def strict_peak_concurrency(records: Sequence[Record]) -> int:
    """Most requests in flight at one moment."""
    return max((level for time, level in in_flight(records)), default=0)


# -- steady state -----------------------------------------------------------------------------------------------------


def steady_window(records: Sequence[Record], share: float = 0.95) -> Window | None:
    """The part of the run in which the server was kept busy, or None when there is none to speak of.

    It begins when the first request has ended (the opening wave of prefills is past) and at least `share` of the peak
    concurrency has been reached, and ends when less than that is in flight for good. It must hold as many ends of
    requests as the peak concurrency.
    """
    levels = in_flight(records)
    peak = max((level for time, level in levels), default=0)
    busy = [time for time, level in levels if level >= share * peak]
    if not busy:
        return None
    first_end = min(record.ended_ns for record in records)
    begin = max(busy[0], first_end)
    end = next((time for time, level in levels if time > busy[-1]), busy[-1])
    ended = sum(begin < record.ended_ns <= end for record in records)
    return (begin, end) if end > begin and ended >= peak else None


def steady_state(records: Sequence[Record], percents: Sequence[float]) -> dict[str, Any] | None:
    """Metrics of the steady window, by the strict definitions; None without one.

    Tokens count by the time they arrived; TTFT and ITL by the time they ended, an ITL for each token as in `strict_metrics`; TPOT and
    E2EL by the end of the request.
    """
    window = steady_window(records)
    if window is None:
        return None
    begin, end = window
    good = [record for record in records if record.ok]
    seconds = (end - begin) / _S
    tokens = sum(count for record in good for time, count in token_events(record) if begin < time <= end)
    ended = [record for record in good if begin < record.ended_ns <= end]
    started = [record for record in good if begin < record.event_ns[record.has_text.index(1)] <= end]
    figures: dict[str, Any] = {
        "window_s": seconds,
        "completed": len(ended),
        "output_throughput": tokens / seconds,
        "request_throughput": len(ended) / seconds,
    }
    latencies: Latencies = {
        "ttft": [strict_ttft_ms(record) for record in started],
        "tpot": [strict_tpot_ms(record) for record in ended],
        "e2el": [strict_e2el_ms(record) for record in ended],
    }
    gaps = (gap for record in good for time, gap in token_gaps(record) if begin < time <= end)
    figures.update(_summaries(latencies, gaps, percents))
    return figures
