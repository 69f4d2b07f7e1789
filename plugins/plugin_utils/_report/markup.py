# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds HTML and SVG from nested calls; whatever is not markup already is escaped. Pure."""

from __future__ import annotations

from html import escape

from ansible_collections.llmfleet.serving.plugins.module_utils._text import one_line

_EMPTY = frozenset({"meta", "link", "br", "line", "rect", "circle", "path", "polyline"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(element: str, /, *children: str, **attributes: str | float | bool | None) -> Markup:
    """An element. `class_` is `class`, other underscores are hyphens; None and False leave an attribute out."""
    written = "".join(
        f" {_name(key)}" if value is True else f' {_name(key)}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if element in _EMPTY and not children:
        return Markup(f"<{element}{written}>" if element in ("meta", "link", "br") else f"<{element}{written}/>")
    return Markup(f"<{element}{written}>{join(*children)}</{element}>")


def join(*children: str) -> Markup:
    """The children one after the other, each escaped unless it is markup."""
    return Markup("".join(child if isinstance(child, Markup) else escape(one_line(child)) for child in children))


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _text(value: str | float) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else one_line(value)
