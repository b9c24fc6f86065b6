"""What the adapters of every family use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from openclaw.protocol.validate import Params

Adapt: TypeAlias = Callable[[Any], Any]
"""From protocol 4's shape to protocol 3's."""

Results: TypeAlias = Mapping[str, Adapt]
Errors: TypeAlias = Mapping[str, Adapt]

Refusals: TypeAlias = Mapping[str, Mapping[str, Any]]
"""By method and `details.code`: the answer that a protocol gives instead of that refusal."""

OldParams: TypeAlias = Mapping[str, type[Params]]

NOT_SENT: Final = object()
"""What an event's payload becomes for a version that does not know it."""


def without(*names: str) -> Adapt:
    """Return an adapter that leaves out some keys of an object."""
    dropped = frozenset(names)

    def adapt(result: Any) -> Any:
        return {key: value for key, value in result.items() if key not in dropped}

    return adapt
