"""Every setting as data: for `config.schema`, for completion and suggestions, and for docs/settings.md.

`python -m openclaw.config.schema.describe > docs/settings.md` writes the page; a test fails when it is stale.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import NODEFAULT

from openclaw.base.secret import Secret
from openclaw.config.env import DOCUMENTED_VARIABLES
from openclaw.config.reference import SOURCES
from openclaw.config.schema import Config, ReloadClass, Section
from openclaw.config.schema.shape import Shape, base_types, expected, fields, is_secret

_SECRET: Mapping[str, Any] = {
    "type": ["string", "object"],
    "format": "password",
    "writeOnly": True,
    "properties": {"source": {"enum": list(SOURCES)}, "provider": {"type": "string"}, "id": {"type": "string"}},
    "required": ["source", "id"],
    "additionalProperties": False,
}
"""A secret's place takes a text, or a reference (config.reference)."""


class Leaf(msgspec.Struct, frozen=True):
    """One setting. `path` has `[]` for any list item and `*` for any name."""

    path: str
    type: str
    default: Any
    """JSON value, or None where there is none."""
    required: bool
    reload: ReloadClass
    unit: str
    doc: str
    secret: bool


@cache
def leaves() -> tuple[Leaf, ...]:
    """Return every setting in the schema's order."""
    return tuple(leaf for _, group in _sections(Config, "") for leaf in group)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the configuration file."""
    schema: dict[str, Any] = msgspec.json.schema(Config, schema_hook=_secret_schema)
    return schema


def _secret_schema(type_: type) -> dict[str, Any]:
    if type_ is Secret:
        return {**_SECRET}
    raise NotImplementedError(type_)


def settings_markdown() -> str:
    """Return the text of docs/settings.md."""
    parts = [_HEAD]
    for section, group in _sections(Config, ""):
        title = group[0].path.rpartition(".")[0] if group else ""
        if group:
            doc = (section.__doc__ or "").splitlines()[0] if title else "What belongs to no other part."
            parts.append(f"\n## {_heading(title)}\n\n{doc}\n\n{_TABLE}")
            parts.extend(_row(leaf) for leaf in group)
    parts.append("\n## Environment variables\n\n| variable | what it does |\n|---|---|")
    parts.extend(f"| `{name}` | {doc} |" for name, doc in DOCUMENTED_VARIABLES.items())
    return "\n".join(parts) + "\n"


_HEAD = """# Settings

Every setting of `openclaw.json` (JSON5: comments and trailing commas are welcome), generated from the schema.
The same settings can be written in YAML, see [YAML](yaml.md).
`[]` stands for any list item and `*` for any name of your choice. `${NAME}` in any text takes the value of an
environment variable; `$${NAME}` keeps it as it is written.

*Takes effect*: **live** at once, **room** after its part of the gateway has been rebuilt without losing a turn,
**process** at the next start of the gateway."""
_TABLE = "| setting | value | default | takes effect | what it does |\n|---|---|---|---|---|"


def _heading(title: str) -> str:
    return f"`{title}`" if title else "Top level"


def _row(leaf: Leaf) -> str:
    unit = f" ({leaf.unit})" if leaf.unit else ""
    default = "required" if leaf.required else _default(leaf.default)
    cells = [f"`{leaf.path}`", leaf.type + unit, default, leaf.reload, leaf.doc]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(value: Any) -> str:
    return "" if value in (None, "", [], {}) else f"`{msgspec.json.encode(value).decode()}`"


def _sections(section: type[Section], path: str) -> list[tuple[type[Section], list[Leaf]]]:
    """Return each section below (and with) this one and its own leaves, outer before inner."""
    own: list[Leaf] = []
    inner: list[tuple[type[Section], list[Leaf]]] = []
    for key, field in fields(section).items():
        place = f"{path}.{key}" if path else key
        shape = field.shape
        plain = shape.kind != "section" and not shape.holds_sections
        if plain or (shape.optional and shape.meta):
            own.append(_leaf(shape, place, field.default))
        nested, place = _nested(shape, place)
        if nested:
            inner.extend(_sections(nested, place))
    return [(section, own), *inner]


def _nested(shape: Shape, place: str) -> tuple[type[Section] | None, str]:
    if shape.item and shape.holds_sections:
        return shape.item.section, place + ("[]" if shape.kind == "list" else ".*")
    return shape.section, place


def _leaf(shape: Shape, path: str, default: Any) -> Leaf:
    extra = shape.meta.extra if shape.meta and shape.meta.extra else {}
    return Leaf(
        path=path,
        type=expected(shape),
        default=None if default is NODEFAULT else msgspec.to_builtins(default),
        required=default is NODEFAULT and type(None) not in base_types(shape),
        reload=shape.reload,
        unit=extra.get("unit", ""),
        doc=(shape.meta.description if shape.meta else "") or "",
        secret=is_secret(shape),
    )


if __name__ == "__main__":
    import sys

    sys.stdout.write(settings_markdown())
