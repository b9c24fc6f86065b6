"""The schema as clients draw forms from it: one JSON Schema without references, a hint per setting, and lookups."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

import msgspec

from openclaw.base.errors import InvalidRequest
from openclaw.config.schema import Config, ReloadClass
from openclaw.config.schema.describe import json_schema
from openclaw.config.schema.shape import Field, Shape, fields, is_secret

ANY_ITEM: Final = "[]"
ANY_NAME: Final = "*"
_RELOAD: Final[dict[ReloadClass, str]] = {"live": "hot", "room": "hot", "process": "restart"}
_STEP: Final = re.compile(r"\[(\d*)\]|[^.\[\]/]+")
_INDEX: Final = re.compile(r"\d+|\*|\[\]")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_-]+")
_WORDS: Final = {"ui": "UI", "url": "URL", "id": "ID", "ms": "(ms)", "mcp": "MCP", "api": "API", "http": "HTTP"}


class Place(msgspec.Struct, frozen=True):
    """One place of the schema. `path` has `[]` for any list item and `*` for any name."""

    path: str
    label: str
    help: str
    reload: str
    """`hot`, or `restart` when anything below it needs one."""
    sensitive: bool
    required: bool
    schema: dict[str, Any]
    children: tuple[tuple[str, str], ...] = ()
    """Key and path of each."""


@cache
def form_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft-07) of the configuration with every reference written out. Do not change it.

    Keys that the schema does not name are allowed, as the gateway allows them: it reports and ignores them.
    """
    schema = json_schema()
    whole: dict[str, Any] = _inlined(schema, schema.get("$defs", {}))
    return {"$schema": "http://json-schema.org/draft-07/schema#", **whole}


@cache
def places() -> dict[str, Place]:
    """Return every place of the schema by its path, parents before children. Do not change it."""
    found: dict[str, Place] = {}
    root = Field("", "", Shape("section", Config, section=Config), Config())
    _place("", root, form_schema(), found)
    return found


@cache
def ui_hints() -> dict[str, dict[str, Any]]:
    """Return the hint of every place but the root by its path. Do not change it."""
    order = {key: number for number, key in enumerate(fields(Config), start=1)}
    return {path: _hint(place, order) for path, place in places().items() if path}


def lookup(path: str) -> dict[str, Any]:
    """Return one place of the schema with its children. A path may name entries (`agents.list[0]`) or any of them.

    Raises: InvalidRequest when there is no such place.
    """
    place = _find(path)
    children = [_child(key, places()[inner]) for key, inner in place.children]
    shallow = {name: value for name, value in place.schema.items() if name not in ("properties", "items", "anyOf")}
    return {"path": path, "schema": shallow, "reloadKind": place.reload, **_hinted(place), "children": children}


def _find(path: str) -> Place:
    known = places()
    here = known[""]
    for found in _STEP.finditer(path):
        step = found[1] if found[1] is not None else found[0]
        keys = dict(here.children)
        if ANY_ITEM in keys and (not step or _INDEX.fullmatch(step)):
            here = known[keys[ANY_ITEM]]
        elif step in keys or ANY_NAME in keys:
            here = known[keys.get(step, keys.get(ANY_NAME, ""))]
        else:
            here = known[""]
            break
    if not here.path:
        raise InvalidRequest(
            f"config schema path not found: {path[:200]}",
            hint="config.schema lists every setting; docs/settings.md describes them.",
            details={"code": "CONFIG_SCHEMA_PATH_NOT_FOUND", "path": path[:200]},
        )
    return here


def _child(key: str, place: Place) -> dict[str, Any]:
    row: dict[str, Any] = {"key": key, "path": place.path}
    if (kind := place.schema.get("type")) is not None:
        row["type"] = kind
    more = {"required": place.required, "hasChildren": bool(place.children), "reloadKind": place.reload}
    return {**row, **more, **_hinted(place)}


def _hinted(place: Place) -> dict[str, Any]:
    return {"hint": ui_hints()[place.path], "hintPath": place.path}


def _hint(place: Place, order: dict[str, int]) -> dict[str, Any]:
    top = place.path.partition(".")[0].partition("[")[0]
    hint: dict[str, Any] = {"label": place.label, "group": _humanised(top), "order": order[top]}
    if place.help:
        hint["help"] = place.help
    if place.sensitive:
        hint["sensitive"] = True
    if tags := [place.schema[key] for key in ("x-reload", "x-unit") if key in place.schema]:
        hint["tags"] = tags
    return hint


def _place(
    path: str, field: Field, schema: dict[str, Any], found: dict[str, Place], above: ReloadClass = "live"
) -> list[str]:
    """Enter a place and all below it. Return their reload kinds, its own first; what says none has the one `above`."""
    shape = field.shape
    found[path] = _BLANK  # keeps parents before children
    inner, object_schema = _members(shape, schema)
    reload = shape.reload if shape.meta else above
    kinds = [_RELOAD[reload]]
    children: list[tuple[str, str]] = []
    for key, member in inner.items():
        here = path + key if key == ANY_ITEM else f"{path}.{key}" if path else key
        children.append((key, here))
        kinds += _place(here, member, _schema_of(key, object_schema), found, reload)
    meta_doc = (shape.meta.description if shape.meta else "") or ""
    section_doc = (shape.section.__doc__ or "").splitlines()[0] if shape.section else ""
    found[path] = Place(
        path=path,
        label=_label(path),
        help=meta_doc or section_doc,
        reload="restart" if "restart" in kinds else "hot",
        sensitive=is_secret(shape),
        required=field.default is msgspec.NODEFAULT,
        schema={**schema, "title": _label(path)} if path else schema,
        children=tuple(children),
    )
    return kinds


_BLANK: Final = Place("", "", "", "hot", False, False, {})


def _members(shape: Shape, schema: dict[str, Any]) -> tuple[dict[str, Field], dict[str, Any]]:
    """Return what stands directly below a shape, and the part of its schema that describes that."""
    if shape.section is not None:
        return fields(shape.section), _object_part(schema)
    if shape.item is not None and shape.kind in ("list", "map"):
        key = ANY_ITEM if shape.kind == "list" else ANY_NAME
        return {key: Field("", key, shape.item, None)}, schema
    return {}, schema


def _object_part(schema: dict[str, Any]) -> dict[str, Any]:
    if "properties" in schema:
        return schema
    options = schema.get("anyOf", ())
    return next((option for option in options if "properties" in option), {})


def _schema_of(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    if key == ANY_ITEM:
        return dict(schema.get("items", {}))
    if key == ANY_NAME:
        inner = schema.get("additionalProperties")
        return inner if isinstance(inner, dict) else {}
    return dict(schema.get("properties", {}).get(key, {}))


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        target = definitions[str(schema["$ref"]).rsplit("/", 1)[-1]]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return {
        # A default, an enum or a constant is data, whatever its keys are called.
        key: value if key in ("default", "enum", "const", "$defs") else _inlined(value, definitions)
        for key, value in schema.items()
        if key != "$defs" and not (key == "title" and "properties" in schema)
    }


def _label(path: str) -> str:
    last = path.removesuffix(ANY_ITEM).rpartition(".")[2]
    parent = path.removesuffix(ANY_ITEM).rpartition(".")[0]
    if path.endswith(ANY_ITEM) or last == ANY_NAME:
        return f"{_humanised(last if last != ANY_NAME else parent.rpartition('.')[2])} entry"
    return _humanised(last)


def _humanised(key: str) -> str:
    words = [word for word in _HUMP.split(key) if word]
    return " ".join(_WORDS.get(word.lower(), word[:1].upper() + word[1:]) for word in words)
