# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the answers of the Lambda Cloud API (1.10) mean. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .._errors import Problem
from .._text import one_line

API_URL = "https://cloud.lambda.ai/api/v1"
NAME_LIMIT = 64
# An instance in any other state has ended and is not billed.
LIVE = ("booting", "active", "unhealthy")
NO_CAPACITY = "instance-operations/launch/insufficient-capacity"
NOT_FOUND = "global/object-does-not-exist"
# Where these errors are met, another region may still do.
TRY_ELSEWHERE = (NO_CAPACITY, "instance-operations/launch/file-system-in-wrong-region")
# The API takes one request a second, and one launch in twelve.
PACE_S = 1.0
LAUNCH_PACE_S = 12.0

# Names that Ansible or the collection's playbooks give a meaning; the classes of GPUs and the inventory's other groups come to them.
RESERVED = frozenset(
    {"all", "ungrouped", "localhost", "inference", "gateway", "monitoring", "lambda_campaign", "cpu", "simulated"}
)
MADE_GROUPS = ("status_", "region_", "tag_")  # what the names of groups begin with that are made of an account's words
_HOST_NAME = re.compile(r"(?!\d+(?:\.\d+)+$)[0-9A-Za-z][0-9A-Za-z._-]{0,63}")

_ADDRESS = re.compile(r"[0-9A-Za-z:][0-9A-Za-z:._-]{0,252}")
_TYPE = re.compile(r"^gpu_(?P<count>\d+)x_(?P<gpu>[a-z]+\d+[a-z]*)(?:_|$)")


def gpu_class(instance_type: str) -> str:
    """The GPU class in a type's name, such as `h100` of `gpu_8x_h100_sxm5`; `cpu` of a `cpu_...`, else an empty string."""
    match = _TYPE.match(instance_type)
    if match:
        return match["gpu"]
    return "cpu" if instance_type.startswith("cpu_") else ""


def gpu_count(instance_type: str) -> int:
    """The number of GPUs in a type's name."""
    match = _TYPE.match(instance_type)
    return int(match["count"]) if match else 0


def can_be_host(name: str, taken: Collection[str] = ()) -> bool:
    """Whether a name from outside may be that of a host: no pattern selects it but its own name.

    `taken` are the groups and hosts that exist already. A name with another character than letters, digits, `.`, `_` and `-` could be
    read as a pattern, a list, a range or a port; a number as an address.
    """
    known = name in taken or name.lower() in RESERVED
    return bool(_HOST_NAME.fullmatch(name)) and not known and not name.lower().startswith(MADE_GROUPS)


def host_names(instances: Sequence[Mapping[str, Any]], taken: Collection[str] = ()) -> list[str]:
    """A unique name for each instance: its own, else its identifier, else one made of that."""
    times = Counter([entry["name"] for entry in instances] + [entry["id"] for entry in instances])
    taken = {*taken, *(entry["gpu_class"] for entry in instances)}
    return [
        next(
            (name for name in (entry["name"], entry["id"]) if times[name] == 1 and can_be_host(name, taken)),
            f"lambda-{hashlib.sha256(entry['id'].encode('utf-8', 'replace')).hexdigest()[:16]}",
        )
        for entry in instances
    ]


def group_name(words: str) -> str:
    """A group's name made of words from outside: what a pattern could take for more than a name becomes `_`."""
    return re.sub(r"[^0-9A-Za-z_]", "_", words)


def group_names(entry: Mapping[str, Any]) -> Iterator[str]:
    """The groups of one instance beside its class. What its name begins with keeps each apart from groups of another meaning."""
    yield group_name(f"status_{entry['status']}")
    if entry["region"]:
        yield group_name(f"region_{entry['region']}")
    for key, value in entry["tags"].items():
        yield group_name(f"tag_{key}_{value}" if value else f"tag_{key}")


def name_problem(name: str, groups: Collection[str] = ()) -> Problem | None:
    """Why a campaign's host cannot have a name; None where it can. `groups` are those of the inventory."""
    if can_be_host(name, groups):
        return None
    found = f"lambda_campaign_instances has the name {one_line(name, NAME_LIMIT) or '(empty)'}"
    return Problem(
        found,
        "letters, digits, '.', '_' and '-', and no name of a group: Ansible would take it for a pattern or for the group",
        "give the instance another name, such as campaign-1",
    )


def usd(cents: object) -> float | None:
    """Dollars of a price in cents; None when there is no price."""
    return cents / 100 if isinstance(cents, (int, float)) and not isinstance(cents, bool) else None


def _address(value: object) -> str:
    """An address or host name; empty where it could be none, or could be taken for an option of ssh."""
    return value if isinstance(value, str) and _ADDRESS.fullmatch(value) else ""


def instance(raw: Mapping[str, Any]) -> dict[str, Any]:
    """One instance with every key, whatever the API left out, and without the Jupyter secrets it carries.

    Raises AttributeError, KeyError, TypeError or ValueError for what is none.
    """
    kind = raw.get("instance_type") or {}
    type_name = str(kind.get("name") or "")
    return {
        "id": str(raw.get("id") or ""),
        "name": str(raw.get("name") or ""),
        "status": str(raw.get("status") or "unknown"),
        "ip": _address(raw.get("ip")),
        "private_ip": _address(raw.get("private_ip")),
        "hostname": _address(raw.get("hostname")),
        "region": str((raw.get("region") or {}).get("name") or ""),
        "instance_type": type_name,
        "gpu_class": gpu_class(type_name),
        "gpus": int((kind.get("specs") or {}).get("gpus") or gpu_count(type_name)),
        "usd_per_hour": usd(kind.get("price_cents_per_hour")),
        "ssh_key_names": [str(name) for name in raw.get("ssh_key_names") or []],
        "file_system_names": [str(name) for name in raw.get("file_system_names") or []],
        "tags": {str(tag["key"]): str(tag.get("value") or "") for tag in raw.get("tags") or [] if tag.get("key")},
    }


def instance_type(name: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """One type with its price and the regions that have room according to the API."""
    kind = raw.get("instance_type") or {}
    regions = raw.get("regions_with_capacity_available") or []
    return {
        "name": name,
        "gpu_class": gpu_class(name),
        "gpus": int((kind.get("specs") or {}).get("gpus") or gpu_count(name)),
        "usd_per_hour": usd(kind.get("price_cents_per_hour")),
        "regions": [str(region["name"]) for region in regions if region.get("name")],
    }


def named(instances: Iterable[Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    """The live instances of this name."""
    return [dict(entry) for entry in instances if entry["name"] == name and entry["status"] in LIVE]


def has_tags(entry: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
    """Whether an instance carries all of these tags."""
    return all(entry["tags"].get(key) == str(value) for key, value in tags.items())


def candidates(offered: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The regions to try: those with room, in the order they are wanted; any with room when none is named."""
    return [region for region in wanted if region in offered] if wanted else list(offered)


def account_usd_per_hour(
    instances: Iterable[Mapping[str, Any]], prices: Mapping[str, float | None]
) -> tuple[float, list[str]]:
    """What all live instances cost in dollars an hour, and the names of those without a known price."""
    total, unknown = 0.0, []
    for entry in instances:
        if entry["status"] not in LIVE:
            continue
        price = entry["usd_per_hour"] if entry["usd_per_hour"] is not None else prices.get(entry["instance_type"])
        if price is None:
            unknown.append(entry["name"] or entry["id"])
        else:
            total += price
    return round(total, 2), unknown


def refusal(price: float | None, running: float, unknown: Sequence[str], limit: float) -> Problem | None:
    """Why a launch would break the cost limit; None when it would not. Dollars an hour throughout."""
    if price is None:
        return Problem("the type has no price, so the cost limit cannot be kept")
    if unknown:
        return Problem(
            f"the running instances {', '.join(unknown)} have no known price, so the cost limit cannot be kept"
        )
    total = round(running + price, 2)
    if total <= limit:
        return None
    return Problem(
        f"it costs {price:.2f} USD an hour, and with the {running:.2f} that already run the account would cost {total:.2f}",
        f"at most max_usd_per_hour={limit:.2f}",
        "terminate something, or raise the limit",
    )


def launch_body(params: Mapping[str, Any], region: str) -> dict[str, Any]:
    """The request of a launch in one region; what is not set is left to the API."""
    body: dict[str, Any] = {
        "name": params["name"],
        "region_name": region,
        "instance_type_name": params["instance_type"],
        "ssh_key_names": [params["ssh_key"]],
    }
    if params.get("image_id"):
        body["image"] = {"id": params["image_id"]}
    elif params.get("image_family"):
        body["image"] = {"family": params["image_family"]}
    if params.get("file_systems"):
        body["file_system_names"] = list(params["file_systems"])
    if params.get("user_data"):
        body["user_data"] = params["user_data"]
    if params.get("tags"):
        body["tags"] = [{"key": key, "value": str(value)} for key, value in params["tags"].items()]
    return body


def error_of(payload: object) -> tuple[str, str]:
    """Code and message of an error's body; both empty when the body is none of an error."""
    error = payload.get("error") if isinstance(payload, Mapping) else None
    if not isinstance(error, Mapping):
        return "", ""
    words = [str(error[key]) for key in ("message", "suggestion") if error.get(key)]
    return one_line(error.get("code") or ""), one_line(" ".join(words))
