# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The preflight's verdict on a host: what `llmfleet.serving.host_info` read, held against what the deployment needs.

Pure. None of the checks stops the others.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Mapping

from ansible_collections.llmfleet.serving.plugins.module_utils._errors import Problem, UserError

from .checks import Host, Want, skip
from .gpu_checks import GPU_CHECKS, choice_of, with_usable
from .host_checks import HOST_CHECKS

CheckResult = Dict[str, Any]  # a verdict with the check's name and severity

CHECKS = {**HOST_CHECKS, **GPU_CHECKS}

# What does not keep a server from running, but should be reported.
WARNINGS = frozenset(
    {
        *("persistence_mode", "power_limit", "row_remap", "reboot_required", "firewall", "clock_skew", "mig_pending"),
        *("cdi_specification", "daemon_reload"),
    }
)


SEVERITIES = ("error", "warning", "ignore")


def evaluate(host: Host, want: Want, severities: Mapping[str, str]) -> list[CheckResult]:
    """Every check of a host, in the order of `CHECKS`.

    `host`: the return of `llmfleet.serving.host_info`, all sections.
    `want`: `gpu` (`required`, `count`, `named`, `mig`, `profile`, `profile_problem`, `model_problem`), `image`, `ports`, `disk_free_gib`,
        `disk_free_deployed_gib`, `memory_gib`, `offline`, `clock_skew_s`, `proxy`, `bind_address`,
        `runtime`.
    `severities`: `error`, `warning` or `ignore` by check, over the checks' own.
    Returns `name`, `status` (`pass`, `fail`, `skip`), `severity`, `found`, `needed` and `remedy`; the remedy
        only with a failure, `needed` empty with a skip.
    Raises UserError for a check or a severity that there is none of: it would switch a check off, or leave it on, unseen.
    """
    _check_severities(severities)
    host, checks = with_usable(host, choice_of(host, want)), []
    for name, check in CHECKS.items():
        severity = severities.get(name, "warning" if name in WARNINGS else "error")
        verdict = check(host, want) if severity != "ignore" else skip("switched off")
        checks.append({"name": name, "severity": severity, **verdict})
    return checks


def _check_severities(severities: Mapping[str, str]) -> None:
    known = {"check": tuple(CHECKS), "severity": SEVERITIES}
    given = {"check": list(severities), "severity": list(severities.values())}
    for kind, words in given.items():
        unknown = [str(word) for word in words if word not in known[kind]]
        if unknown:
            found = f"gpu_preflight_severities names the {kind} {', '.join(unknown)}, which there is not"
            raise UserError(Problem(found, ", ".join(known[kind]), "correct gpu_preflight_severities"))


def failures(checks: Iterable[CheckResult], severity: str) -> list[CheckResult]:
    """The failed checks of a severity."""
    return [check for check in checks if check["status"] == "fail" and check["severity"] == severity]


def message(hostname: str, checks: list[CheckResult]) -> str:
    """All that is wrong with a host, in one text."""
    errors = failures(checks, "error")
    lines = [f"{hostname}: {len(errors)} of {len(checks)} checks failed. Nothing was changed."]
    lines += [f"- {check['name']}: {Problem(check['found'], check['needed'], check['remedy'])}" for check in errors]
    return "\n".join(lines)


def verdict_of(checks: list[CheckResult]) -> str:
    """`failed`, `warned` or `ok`."""
    if failures(checks, "error"):
        return "failed"
    return "warned" if failures(checks, "warning") else "ok"


def summary(host: Host, checks: list[CheckResult], want: Want | None = None) -> dict[str, Any]:
    """What is kept of a preflight as a fact: the verdict, what is in the host, and the checks that did not pass.

    With `want` its GPUs are those that the server may use; the others are in `left`, in words.
    """
    gpu = (with_usable(host, choice_of(host, want)) if want else host)["gpu"]
    return {
        "schema_version": 1,
        "verdict": verdict_of(checks),
        "failed": [check["name"] for check in failures(checks, "error")],
        "warned": [check["name"] for check in failures(checks, "warning")],
        "checks": [check for check in checks if check["status"] == "fail"],
        "gpu": {
            "state": gpu["state"],
            "count": len(gpu["cards"]),
            "name": gpu["cards"][0]["name"] if gpu["cards"] else None,
            "left": gpu.get("left", []),
            "driver_version": gpu["driver_version"],
        },
        "docker_version": host["docker"]["version"],
        "toolkit_version": host["toolkit"]["version"],
    }


def notes(kept: Mapping[str, Any]) -> list[str]:
    """What is to be known of a host that can serve, from its summary: what it is warned of, and GPUs that are left alone."""
    warned, left = ", ".join(kept["warned"]), "; ".join(kept["gpu"].get("left", []))
    said = [f"the preflight warns of {warned}; prepare.yml --tags preflight -v says why"] if warned else []
    return [*said, *([f"left alone: {left}"] if left else [])]


def table(rows: Iterable[tuple[str, Mapping[str, Any] | None]]) -> str:
    """The fleet's summaries in one table, hosts with failures first. A host without a summary was not reached."""
    heads = ("host", "verdict", "GPU", "driver", "Docker", "toolkit", "failed (warned)")
    rows = list(rows)
    cells = sorted((_row(*row) for row in rows), key=lambda row: (_ORDER.index(row[1]), row[0]))
    widths = [max(len(row[column]) for row in [heads, *cells]) for column in range(len(heads))]
    ruled = [heads, tuple("-" * width for width in widths), *cells]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in ruled]
    return "\n".join([*lines, *_left_alone(rows)])


def _left_alone(rows: Iterable[tuple[str, Mapping[str, Any] | None]]) -> list[str]:
    """The GPUs that are left alone, with the hosts that have the same ones in one line."""
    hosts: dict[str, list[str]] = {}
    for name, kept in rows:
        words = "; ".join(kept["gpu"].get("left", [])) if kept else ""
        if words:
            hosts.setdefault(words, []).append(name)
    return [f"left alone on {', '.join(names)}: {words}" for words, names in hosts.items()]


_ORDER = ["unreached", "failed", "warned", "ok"]


def _row(name: str, summary: Mapping[str, Any] | None) -> tuple[str, ...]:
    if summary is None:
        return (name, "unreached", "", "", "", "", "")
    gpu = summary["gpu"]
    return (
        name,
        summary["verdict"],
        f"{gpu['count']} x {gpu['name']}" if gpu["count"] else gpu["state"],
        gpu["driver_version"] or "-",
        summary["docker_version"] or "-",
        summary["toolkit_version"] or "-",
        " ".join([*summary["failed"], *(f"({warned})" for warned in summary["warned"])]),
    )
