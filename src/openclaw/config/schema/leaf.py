"""What every section is made of: the base of all sections, and the declaration of one leaf."""

from typing import Any, Literal

import msgspec
from msgspec import Meta

ReloadClass = Literal["live", "room", "process"]


def leaf(doc: str, reload: ReloadClass, unit: str = "", **bounds: Any) -> Meta:
    """Declare a leaf: its one-line doc, reload class, unit and bounds (ge, le, min_length, pattern …).

    The JSON Schema tells class and unit as `x-reload` and `x-unit`.
    """
    extra: dict[str, str] = {"reload": reload}
    if unit:
        extra["unit"] = unit
    told = {f"x-{key}": value for key, value in extra.items()}
    return Meta(description=doc, extra=extra, extra_json_schema=told, **bounds)


class Section(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of all sections. Unknown keys never reach here: load quarantines them first."""
