# Copyright (c) 2026, the llmfleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the options of `vllm serve` out of the sources in a wheel of vLLM, for a release that cannot be run here.

vLLM derives its options from annotated fields of configuration classes (`get_kwargs` of its arg_utils.py) and registers them in a few
functions. Here the fields become the same keywords of argparse, without importing anything, and the functions' statements are followed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tools.known_flags import UNKNOWN, Flag, make_flag, values_of

Keywords = dict[str, Any]
Kinds = dict[str, list[Any]]  # kind of a type -> the values of a literal or of a collection's elements
Read = Callable[[str], "str | None"]

ENGINE = "vllm.engine.arg_utils"
# Where the parser of `vllm serve` is made: since 0.33, and up to 0.32.
SERVE = ("vllm.entrypoints.common.cli_args", "vllm.entrypoints.launchers.cli_args")
REGISTERED = {
    "--tool-call-parser": ("vllm.tool_parsers", "_TOOL_PARSERS_TO_REGISTER"),
    "--reasoning-parser": ("vllm.reasoning", "_REASONING_PARSERS_TO_REGISTER"),
}
NO_PARSER = "parse_reasoning_parser"  # the type of an option that takes `none` too
PLAIN_NAMES = (NO_PARSER, "BooleanOptionalAction")  # what means something here although it is no data
OPPOSITE = {"enable": "--disable-", "disable": "--enable-"}
SIMPLE = ("bool", "str", "int", "float", "tuple", "list", "set", "dict")


class Sources:
    """The modules of a package, read when they are asked for; `read` gives a file's text by its path, None where there is none."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._bindings: dict[str, dict[str, ast.stmt]] = {}

    def bindings(self, module: str) -> dict[str, ast.stmt]:
        """The names that a module binds at its top, each with the statement that does."""
        if module not in self._bindings:
            path = module.replace(".", "/")
            source = self._read(f"{path}.py") or self._read(f"{path}/__init__.py") or ""
            self._bindings[module] = dict(_bound(ast.parse(source).body))
        return self._bindings[module]

    def _imported_from(self, module: str, statement: ast.ImportFrom) -> str:
        """The full name of the module that a statement imports from."""
        if not statement.level:
            return statement.module or ""
        is_package = self._read(f"{module.replace('.', '/')}/__init__.py") is not None
        parts = module.split(".")
        parts = parts[: len(parts) - statement.level + is_package]
        return ".".join([*parts, *([statement.module] if statement.module else [])])

    def find(self, module: str, name: str) -> tuple[str, ast.stmt] | None:
        """The module and the statement that really define a name, imports followed; None where that is outside the package."""
        statement = self.bindings(module).get(name)
        if statement is None:
            stars = [star for key, star in self.bindings(module).items() if key.startswith("*")]
            everywhere = [self.find(self._imported_from(module, star), name) for star in stars]  # type: ignore[arg-type]
            return next((found for found in everywhere if found), None)
        if not isinstance(statement, ast.ImportFrom):
            return None if isinstance(statement, ast.Import) else (module, statement)
        alias = next(alias for alias in statement.names if (alias.asname or alias.name) == name)
        return self.find(self._imported_from(module, statement), alias.name)

    def find_class(self, module: str, name: str) -> tuple[str, ast.ClassDef] | None:
        found = self.find(module, name)
        return (found[0], found[1]) if found and isinstance(found[1], ast.ClassDef) else None

    def function(self, module: str, *path: str) -> ast.FunctionDef:
        """A function of a module, or of a class in it; KeyError where there is none."""
        body: Sequence[ast.stmt] = list(self.bindings(module).values())
        for name in path:
            found = [node for node in body if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name]
            if not found:
                raise KeyError(f"{module} has no {'.'.join(path)}")
            node, body = found[0], found[0].body
        assert isinstance(node, ast.FunctionDef)
        return node


def _bound(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    for statement in body:
        if isinstance(statement, ast.If):  # `if TYPE_CHECKING:`: at run time it is the other branch
            yield from _bound(statement.body)
            yield from _bound(statement.orelse)
        elif isinstance(statement, ast.Try):
            yield from _bound(statement.body)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            where = statement.module if isinstance(statement, ast.ImportFrom) else ""
            for alias in statement.names:
                yield f"*{where}" if alias.name == "*" else alias.asname or alias.name, statement
        elif isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
            yield statement.name, statement
        elif isinstance(statement, ast.Assign):
            yield from ((target.id, statement) for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id, statement


# --- types --------------------------------------------------------------------------------------------------------------


def kinds_of(sources: Sources, module: str, node: ast.expr) -> Kinds:
    """What a type hint admits: bool, str, int, float, none, literal, tuple, list, set, dict, dataclass, other."""
    if isinstance(node, ast.BinOp):
        return _union([kinds_of(sources, module, side) for side in (node.left, node.right)])
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return kinds_of(sources, module, ast.parse(node.value, mode="eval").body)
        return {"none": []} if node.value is None else {"other": []}
    if isinstance(node, ast.Subscript):
        return _kinds_of_subscript(sources, module, node)
    if isinstance(node, ast.Name):
        return {node.id: []} if node.id in SIMPLE else _kinds_of_name(sources, module, node.id)
    return {"other": []}


def _union(parts: Sequence[Kinds]) -> Kinds:
    merged: Kinds = {}
    for part in parts:
        for kind, values in part.items():
            merged[kind] = [*merged.get(kind, []), *values]
    return merged


def _kinds_of_subscript(sources: Sources, module: str, node: ast.Subscript) -> Kinds:
    outer = ast.unparse(node.value).rpartition(".")[2]
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if outer == "Literal":
        return {"literal": [value for element in inner for value in _literals(sources, module, element)]}
    if outer == "Optional":
        return _union([kinds_of(sources, module, inner[0]), {"none": []}])
    if outer == "Union":
        return _union([kinds_of(sources, module, element) for element in inner])
    if outer in ("Annotated", "SkipValidation"):
        return kinds_of(sources, module, inner[0])
    # Of a collection, the values that its elements may have.
    return {outer: kinds_of(sources, module, inner[0]).get("literal", [])} if outer in SIMPLE else {"other": []}


def _literals(sources: Sources, module: str, node: ast.expr) -> list[Any]:
    if isinstance(node, ast.Name):
        return kinds_of(sources, module, node).get("literal", [])
    return [ast.literal_eval(node)]


def _kinds_of_name(sources: Sources, module: str, name: str) -> Kinds:
    found = sources.find(module, name)
    if found is None:
        return {"other": []}
    where, statement = found
    if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
        return kinds_of(sources, where, statement.value)
    if isinstance(statement, ast.ClassDef):
        return {_kind_of_class(sources, where, statement): []}
    return {"other": []}


def _kind_of_class(sources: Sources, module: str, node: ast.ClassDef) -> str:
    if any("config" in ast.unparse(mark) or "dataclass" in ast.unparse(mark) for mark in node.decorator_list):
        return "dataclass"
    bases = [ast.unparse(base).partition("[")[0] for base in node.bases]
    if "dict" in bases:
        return "dict"
    parents = [sources.find_class(module, base) for base in bases]
    return next((_kind_of_class(sources, *parent) for parent in parents if parent), "other")


def keywords_of_kinds(kinds: Kinds) -> Keywords:
    """The keywords of argparse that vLLM makes of a type; the order of the questions is its own."""
    if "dataclass" in kinds:
        return {}
    if kinds.keys() == {"bool", "str", "none"}:
        return {"nargs": "?"}
    if "bool" in kinds:
        return {"action": "BooleanOptionalAction"}
    if "literal" in kinds:
        if "str" in kinds:
            return {}
        return _with_choices({}, kinds["literal"], kinds)
    collection = next((kind for kind in ("tuple", "list", "set") if kind in kinds), None)
    return _with_choices({"nargs": "+"}, kinds[collection], kinds) if collection else {}


def _with_choices(keywords: Keywords, values: list[Any], kinds: Kinds) -> Keywords:
    return {**keywords, "choices": sorted(values) + ([None] if "none" in kinds else [])} if values else keywords


# --- fields -------------------------------------------------------------------------------------------------------------


def fields_of(sources: Sources, module: str, node: ast.ClassDef) -> dict[str, tuple[str, ast.AnnAssign, str]]:
    """The annotated fields of a class and its parents, each with the module of its declaration and its documentation."""
    found: dict[str, tuple[str, ast.AnnAssign, str]] = {}
    for base in node.bases:
        parent = sources.find_class(module, ast.unparse(base))
        if parent:
            found.update(fields_of(sources, *parent))
    for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        if any(word in ast.unparse(statement.annotation) for word in ("ClassVar", "InitVar")):
            continue
        text = following.value if isinstance(following, ast.Expr) else None
        found[statement.target.id] = (module, statement, text.value if _is_text(text) else "")  # type: ignore[union-attr]
    return found


def _is_text(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def keywords_of_class(sources: Sources, module: str, name: str) -> dict[str, Keywords]:
    """The keywords of argparse for each field of a configuration class: vLLM's `get_kwargs`."""
    found = sources.find_class(module, name)
    if found is None:
        raise KeyError(f"{module} knows no class {name}")
    keywords = {}
    for field, (where, statement, text) in fields_of(sources, *found).items():
        of_kinds = keywords_of_kinds(kinds_of(sources, where, statement.annotation))
        default = UNKNOWN if statement.value is None else Reader(sources, where).value(statement.value)
        keywords[field] = {**of_kinds, "default": default, "help": text.strip()}
    return keywords


# --- statements ---------------------------------------------------------------------------------------------------------


class Reader:
    """Follows the statements of a function that registers options; what is no plain data becomes UNKNOWN."""

    def __init__(self, sources: Sources, module: str, names: dict[str, Any] | None = None) -> None:
        self.sources = sources
        self.module = module
        self.names = dict(names or {})
        self.registered: list[tuple[list[str], Keywords]] = []

    def follow(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, ast.If):
                self.follow(statement.body)
            elif isinstance(statement, ast.Assign):
                self._assign(statement.targets[0], self.value(statement.value))
            elif isinstance(statement, ast.Delete):
                for target in statement.targets:
                    if isinstance(target, ast.Subscript):
                        self.value(target.value).pop(self.value(target.slice), None)
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                self._call(statement.value)

    def _assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Subscript):
            self.value(target.value)[self.value(target.slice)] = value
        elif isinstance(target, ast.Name) and (value is not UNKNOWN or target.id not in self.names):
            self.names[target.id] = value

    def _call(self, call: ast.Call) -> None:
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if method == "add_argument":
            names = [self.value(argument) for argument in call.args]
            if any(isinstance(name, str) and name.startswith("--") for name in names):
                self.registered.append((names, self._keywords(call.keywords)))
        elif method == "remove" and isinstance(call.func, ast.Attribute):
            self.value(call.func.value).remove(self.value(call.args[0]))

    def _keywords(self, keywords: Sequence[ast.keyword]) -> Keywords:
        made: Keywords = {}
        for keyword in keywords:
            value = self.value(keyword.value)
            made.update(value if keyword.arg is None else {keyword.arg: value})
        return made

    def value(self, node: ast.expr) -> Any:
        """The value of an expression, as far as it is plain data."""
        if isinstance(node, ast.Name):
            if node.id in PLAIN_NAMES:
                return node.id
            return self.names[node.id] if node.id in self.names else self._constant(node.id)
        if isinstance(node, ast.Subscript):
            container, key = self.value(node.value), self.value(node.slice)
            return container[key] if isinstance(container, dict) and key is not UNKNOWN else UNKNOWN
        if isinstance(node, ast.Dict):
            return self._dict(node)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Call):
            return self._result(node)
        if isinstance(node, ast.BinOp):
            return self._arithmetic(node)
        try:
            return ast.literal_eval(node)
        except ValueError:
            return UNKNOWN

    def _dict(self, node: ast.Dict) -> Any:
        made: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                made.update(self.value(value))
            else:
                made[self.value(key)] = self.value(value)
        return made

    def _constant(self, name: str) -> Any:
        found = self.sources.find(self.module, name)
        if not found or not isinstance(found[1], (ast.Assign, ast.AnnAssign)) or found[1].value is None:
            return UNKNOWN
        return Reader(self.sources, found[0]).value(found[1].value)

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = ast.unparse(node.value)
        if node.attr in PLAIN_NAMES:
            return node.attr
        if owner == "envs":
            return Reader(self.sources, "vllm.envs")._constant(node.attr)
        found = self.sources.find_class(self.module, owner)
        field = fields_of(self.sources, *found).get(node.attr) if found else None
        return Reader(self.sources, field[0]).value(field[1].value) if field and field[1].value else UNKNOWN

    def _arithmetic(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        if UNKNOWN in (left, right):
            return UNKNOWN
        work = {ast.Add: lambda: left + right, ast.Mult: lambda: left * right, ast.Pow: lambda: left**right}
        return work.get(type(node.op), lambda: UNKNOWN)()

    def _result(self, call: ast.Call) -> Any:
        name = ast.unparse(call.func)
        if name == "get_kwargs":
            return keywords_of_class(self.sources, self.module, ast.unparse(call.args[0]))
        if name == "get_args":
            return kinds_of(self.sources, self.module, call.args[0]).get("literal", UNKNOWN)
        if name in ("field", "Field", "dataclasses.field"):
            return self._field_default(call)
        if name == "int" and call.args:
            return self.value(call.args[0])
        return UNKNOWN

    def _field_default(self, call: ast.Call) -> Any:
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        if "default_factory" in keywords:
            factory = keywords["default_factory"]
            if isinstance(factory, ast.Lambda):
                return self.value(factory.body)
            return {"list": [], "dict": {}}.get(ast.unparse(factory), UNKNOWN)
        given = keywords.get("default", call.args[0] if call.args else None)
        return UNKNOWN if given is None else self.value(given)


# --- all of it ----------------------------------------------------------------------------------------------------------


def wheel_flags(read: Read) -> Iterator[tuple[str, Flag]]:
    """Every option of `vllm serve`, from the sources that `read` gives by their path in the wheel."""
    sources = Sources(read)
    serve = next(module for module in SERVE if sources.bindings(module))
    engine = Reader(sources, ENGINE)
    for owner in ("EngineArgs", "AsyncEngineArgs"):
        engine.follow(sources.function(ENGINE, owner, "add_cli_args").body)
    start = Reader(sources, serve)
    start.follow(sources.function(serve, "make_arg_parser").body)
    yield make_flag(["-h", "--help"], "none")
    for names, keywords in [*engine.registered, *start.registered, *_frontend(sources, serve)]:
        yield _flag(sources, names, keywords)


def _frontend(sources: Sources, serve: str) -> Iterator[tuple[list[str], Keywords]]:
    """The options of the server around the engine, after what their classes change of what their fields say."""
    keywords = keywords_of_class(sources, serve, "FrontendArgs")
    for owner in ("BaseFrontendArgs", "FrontendArgs"):
        reader = Reader(sources, serve, {"frontend_kwargs": keywords})
        reader.follow(sources.function(serve, owner, "_customize_cli_kwargs").body)
    for name, entry in keywords.items():
        yield ["--" + name.replace("_", "-")], entry


def _with_opposites(names: list[str], *, pairs: bool) -> list[str]:
    """The names with `--no-x` behind each, and where the release has such `pairs` (since 0.33) with `--disable-x` for `--enable-x`."""
    named = [form for name in names for form in ([name, "--no-" + name[2:]] if name.startswith("--") else [name])]
    swapped = [re.sub("^--(enable|disable)-", lambda found: OPPOSITE[found.group(1)], name) for name in names]
    return named + [new for new, name in zip(swapped, names, strict=True) if pairs and new != name]


def _flag(sources: Sources, names: list[str], keywords: Keywords) -> tuple[str, Flag]:
    action = keywords.get("action")
    if action == "BooleanOptionalAction":
        names = _with_opposites(names, pairs="EnableDisableAction" in sources.bindings("vllm.utils.argparse_utils"))
    values = "none" if action in ("store_true", "BooleanOptionalAction") else values_of(keywords.get("nargs"))
    choices = keywords.get("choices", UNKNOWN)
    if names[0] in REGISTERED:
        module, table = REGISTERED[names[0]]
        choices = sorted(Reader(sources, module)._constant(table))
        if keywords.get("type") == NO_PARSER:
            choices.append("none")
    default = keywords.get("default", False if action == "store_true" else None)
    help_text = keywords.get("help", "")
    return make_flag(names, values, choices, default, help_text if isinstance(help_text, str) else "")
