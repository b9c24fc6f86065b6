"""The schema's types, read once into small trees that validation, documentation and diffs all walk."""

from __future__ import annotations

import types
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta

from openclaw.base.secret import Secret
from openclaw.config.schema import ReloadClass, Section

Kind = Literal["section", "list", "map", "leaf"]


class Shape(msgspec.Struct, frozen=True):
    """What may stand at one place of the configuration.

    Shape: `section` for kind section, `item` for list and map; `optional` says that a section may also be given as
    the plain values in `type` (`str | ModelChoice`, `LimitsConfig | None`).
    """

    kind: Kind
    type: Any
    meta: Meta | None = None
    section: type[Section] | None = None
    item: Shape | None = None
    optional: bool = False

    @property
    def holds_sections(self) -> bool:
        """Whether this is a list or map of sections, each of which stands or falls alone."""
        return self.item is not None and self.item.kind == "section"

    @property
    def reload(self) -> ReloadClass:
        """What a change here needs; `live` where the schema does not say."""
        extra = self.meta.extra if self.meta else None
        reload: ReloadClass = (extra or {}).get("reload", "live")
        return reload


class Field(msgspec.Struct, frozen=True):
    """A key of a section: attribute name, wire key, shape and default (NODEFAULT = required)."""

    name: str
    key: str
    shape: Shape
    default: Any


@cache
def fields(section: type[Section]) -> dict[str, Field]:
    """Return the fields of a section by wire key, in order."""
    return {
        info.encode_name: Field(
            info.name,
            info.encode_name,
            shape_of(info.type),
            info.default if info.default_factory is NODEFAULT else info.default_factory(),
        )
        for info in msgspec.structs.fields(section)
    }


def shape_of(type_: Any) -> Shape:
    """Read one annotation."""
    base, meta = type_, None
    if hasattr(type_, "__metadata__"):
        base = type_.__origin__
        meta = next((part for part in type_.__metadata__ if isinstance(part, Meta)), None)
    if _is_section(base):
        return Shape("section", type_, meta, section=base)
    origin = get_origin(base)
    if origin in (Union, types.UnionType):
        section = next((part for part in get_args(base) if _is_section(part)), None)
        if section:
            return Shape("section", type_, meta, section=section, optional=True)
    if origin is tuple:
        return Shape("list", type_, meta, item=shape_of(get_args(base)[0]))
    if origin is dict and get_args(base)[1] is not Any:
        return Shape("map", type_, meta, item=shape_of(get_args(base)[1]))
    return Shape("leaf", type_, meta)


def base_types(shape: Shape) -> tuple[Any, ...]:
    """Return the plain types that a shape allows, without metadata: `(Secret, NoneType)`."""
    base = shape.type.__origin__ if hasattr(shape.type, "__metadata__") else shape.type
    if get_origin(base) in (Union, types.UnionType):
        return get_args(base)
    return (base,)


def is_secret(shape: Shape) -> bool:
    """Whether the leaf holds a secret."""
    return Secret in base_types(shape)


def _is_section(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, Section)


_PLAIN_NAMES: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Secret: 'text, or a reference such as "${NAME}"',
    types.NoneType: "",
    Any: "any value",
}


def expected(shape: Shape) -> str:
    """Say in words what may stand here."""
    if shape.kind == "list":
        return f"a list of {_plural(shape.item)}" if shape.item else "a list"
    if shape.kind == "map":
        return "an object { name: … }"
    parts = [_plain(part) for part in base_types(shape)]
    words = " or ".join(part for part in parts if part)
    return words + _bounds(shape.meta)


def _plain(type_: Any) -> str:
    if get_origin(type_) is Literal:
        return "one of " + ", ".join(
            f'"{value}"' if isinstance(value, str) else str(value) for value in get_args(type_)
        )
    if get_origin(type_) is dict:
        return "an object"
    if _is_section(type_):
        return "an object { " + ", ".join(list(fields(type_))[:4]) + ", … }"
    return _PLAIN_NAMES.get(type_, "a value")


def _plural(item: Shape | None) -> str:
    return "objects" if item and item.kind == "section" else "texts"


def _bounds(meta: Meta | None) -> str:
    if meta is None:
        return ""
    if meta.pattern is not None:
        return f" that matches {meta.pattern}"
    if meta.min_length:
        return ", not empty"
    if meta.ge is not None and meta.le is not None:
        return f" from {meta.ge} to {meta.le}"
    if meta.ge is not None:
        return f" of at least {meta.ge}"
    return f" of at most {meta.le}" if meta.le is not None else ""
