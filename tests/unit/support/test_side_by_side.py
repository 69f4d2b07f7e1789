# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tests.support.side_by_side import compare, disagreements, table

RUN = {
    "completed": 64,
    "failed": 0,
    "total_input_tokens": 17088,
    "total_output_tokens": 8192,
    "output_throughput": 1000.0,
    "mean_tpot_ms": 6.0,
}
# Nine pairs of the same engine on two busy cores, the peer's as 1,000.
SWINGING = [1230.0, 1153.0, 1455.0, 724.0, 1269.0, 1009.0, 1035.0, 1279.0, 871.0]


def runs(**series):
    """One run per value of each series, the rest as in RUN."""
    return [{**RUN, **dict(zip(series, values, strict=True))} for values in zip(*series.values(), strict=True)]


def test_a_row_holds_medians_and_the_median_of_the_pairs_ratios():
    rows = compare(runs(output_throughput=[900.0, 1000.0, 500.0]), runs(output_throughput=[1000.0, 1000.0, 400.0]))
    row = next(row for row in rows if row.metric == "output_throughput")
    assert (row.ours, row.theirs, row.ratio) == (900.0, 1000.0, 1.0)


def test_a_metric_that_one_run_lacks_has_no_row():
    with_it = runs(mean_itl_ms=[5.0])
    assert "mean_itl_ms" in [row.metric for row in compare(with_it, with_it)]
    assert "mean_itl_ms" not in [row.metric for row in compare(with_it, [RUN])]


@pytest.mark.parametrize(
    ("ours", "theirs", "start"),
    [
        ([RUN] * 3, [RUN] * 3, None),
        (runs(output_throughput=[1099.0, 2000.0, 900.0]), [RUN] * 3, None),
        (runs(output_throughput=[1201.0, 1220.0, 1190.0]), [RUN] * 3, "output_throughput"),
        (
            runs(output_throughput=[1111.0, 2000.0, 900.0]),
            [RUN] * 3,
            None,
        ),  # a machine that swings, or two of them that agree
        (runs(output_throughput=SWINGING), [RUN] * 9, None),
        (runs(output_throughput=[1.3 * each for each in SWINGING]), [RUN] * 9, "output_throughput"),
        (runs(mean_tpot_ms=[5.0, 5.0, 5.1]), [RUN] * 3, "mean_tpot_ms"),
        (runs(total_input_tokens=[17088, 17089, 17088]), [RUN] * 3, "total_input_tokens"),
        ([RUN] * 3, runs(completed=[64, 64, 63]), "completed"),
        (runs(failed=[1]), [RUN], "failed"),
    ],
)
def test_disagreement_is_listed_by_metric(ours, theirs, start):
    lines = disagreements(ours, theirs, 0.10)
    assert len(lines) == (start is not None)
    assert all(line.startswith(start or "") for line in lines)


def test_the_table_shows_every_pair():
    text = table(runs(output_throughput=[900.0, 901.0]), runs(output_throughput=[950.0, 951.0]))
    assert "900.00/950.00" in text
    assert "901.00/951.00" in text
