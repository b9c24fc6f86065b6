"""openclaw: a self-hosted AI agent gateway.

Importing it costs nothing: the names for action authors load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "2026.11.0"

if TYPE_CHECKING:
    from openclaw.sdk import Action, Context, action

__all__ = ["Action", "Context", "__version__", "action"]


def __getattr__(name: str) -> Any:
    if name in {"Action", "Context", "action"}:
        from openclaw import sdk

        return getattr(sdk, name)
    raise AttributeError(f"module 'openclaw' has no attribute {name!r}")
