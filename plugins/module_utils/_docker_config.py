# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker's configuration file: merging, checking, and what it takes for a change to come into force. Pure."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

# What dockerd takes over on SIGHUP (docs.docker.com, dockerd, "Configuration reload behavior"). Anything else needs a
# restart. `features` is left out although it is reloaded: CDI is set up only when Docker starts.
RELOADABLE = frozenset(
    {
        "authorization-plugins",
        "debug",
        "default-runtime",
        "insecure-registries",
        "labels",
        "live-restore",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "registry-mirrors",
        "runtimes",
        "shutdown-timeout",
    }
)

_TYPES: dict[str, type] = {
    **dict.fromkeys(
        ("debug", "experimental", "icc", "ip-forward", "ip-masq", "iptables", "ip6tables", "ipv6", "live-restore"), bool
    ),
    **dict.fromkeys(("no-new-privileges", "selinux-enabled", "tls", "tlsverify", "userland-proxy"), bool),
    **dict.fromkeys(("bip", "bridge", "cgroup-parent", "containerd", "data-root", "default-cgroupns-mode"), str),
    **dict.fromkeys(("default-ipc-mode", "default-runtime", "default-shm-size", "exec-root", "group"), str),
    **dict.fromkeys(("log-driver", "log-level", "pidfile", "storage-driver", "userns-remap"), str),
    **dict.fromkeys(("authorization-plugins", "default-address-pools", "dns", "dns-opts", "dns-search"), list),
    **dict.fromkeys(("cdi-spec-dirs", "exec-opts", "hosts", "insecure-registries", "labels"), list),
    **dict.fromkeys(("registry-mirrors", "storage-opts"), list),
    **dict.fromkeys(("builder", "default-ulimits", "features", "log-opts", "proxies", "runtimes"), dict),
    **dict.fromkeys(("max-concurrent-downloads", "max-concurrent-uploads", "mtu", "shutdown-timeout"), int),
}

# Options of the command line whose key in the file is spelled otherwise.
_FLAG_KEYS = {
    "H": "hosts",
    "host": "hosts",
    "D": "debug",
    "G": "group",
    "l": "log-level",
    "s": "storage-driver",
    "g": "data-root",
    "graph": "data-root",
    "add-runtime": "runtimes",
    "authorization-plugin": "authorization-plugins",
    "default-ulimit": "default-ulimits",
    "dns-opt": "dns-opts",
    "exec-opt": "exec-opts",
    "feature": "features",
    "insecure-registry": "insecure-registries",
    "label": "labels",
    "log-opt": "log-opts",
    "registry-mirror": "registry-mirrors",
    "storage-opt": "storage-opts",
}

_DRIVERS_WITH_ROTATION = ("json-file", "local")


def merge_config(current: Mapping[str, Any], defaults: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The file's next content: its content now, over the defaults, under the options.

    Dicts are merged key by key, everything else is replaced as a whole, keys that neither names are kept. Defaults for
    log options fall away when the log driver in force takes none of them.
    """
    driver = options.get("log-driver", current.get("log-driver", defaults.get("log-driver")))
    if driver not in (*_DRIVERS_WITH_ROTATION, None):
        defaults = {key: value for key, value in defaults.items() if key != "log-opts"}
    return _over(_over(defaults, current), options)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = {str(key): _plain(value) for key, value in below.items()}
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[str(key)] = _over(result[key], value) if both else _plain(value)
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The keys of the file whose value differs."""
    missing = object()
    return sorted(key for key in {*before, *after} if before.get(key, missing) != after.get(key, missing))


def steps_to_apply(keys: Sequence[str], live_restore_now: bool, force_restart: bool = False) -> list[str]:
    """How a running Docker takes the change over: `reload` and/or `restart`, in this order.

    Switching live-restore on comes first, by a reload: a restart that brings it along would still stop the containers.
    """
    restart = force_restart or any(key not in RELOADABLE for key in keys)
    reload_first = "live-restore" in keys and not live_restore_now
    steps = ["reload"] if keys and (reload_first or not restart) else []
    return [*steps, "restart"] if restart else steps


def stages(
    current: Mapping[str, Any], wanted: Mapping[str, Any], live_restore_now: bool, force_restart: bool = False
) -> list[tuple[str, dict[str, Any]]]:
    """The way from one configuration to another on a running Docker: steps, each with the file that it brings into force.

    Where a restart follows the reload, the reload's file holds live-restore alone, so that what a refused restart falls
    back to still protects the containers.
    """
    steps = steps_to_apply(changed_keys(current, wanted), live_restore_now, force_restart)
    protected = {**current, "live-restore": wanted.get("live-restore")}
    return [(step, protected if step == "reload" and "restart" in steps else dict(wanted)) for step in steps]


def config_problems(config: Mapping[str, Any], flags: Sequence[str]) -> list[str]:
    """Why Docker would not start with this file: wrong types, and keys that its command line sets as well."""
    problems = [
        f"{key} must be {_article(_TYPES[key])}, not {value!r}"
        for key, value in config.items()
        if key in _TYPES and not _is_a(value, _TYPES[key])
    ]
    if isinstance(config.get("log-opts"), Mapping):
        problems += [
            f"log-opts.{key} must be a string, not {value!r}"
            for key, value in config["log-opts"].items()
            if not isinstance(value, str)
        ]
    both = sorted(set(flag_keys(flags)) & set(config))
    return problems + [f"{key} is set in the file and on dockerd's command line (systemctl cat docker)" for key in both]


def flag_keys(flags: Sequence[str]) -> list[str]:
    """The keys of the file that a command line sets."""
    names = [flag.lstrip("-").partition("=")[0] for flag in flags if flag.startswith("-")]
    return [_FLAG_KEYS.get(name, name) for name in names]


def _is_a(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _article(kind: type) -> str:
    names = {bool: "true or false", str: "a string", list: "a list", dict: "an object", int: "a whole number"}
    return names[kind]
