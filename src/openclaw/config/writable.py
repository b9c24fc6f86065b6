"""Read-only mode: a configuration that comes with an image or from a repository is changed there, never here."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from openclaw.base.errors import NotSupported
from openclaw.config.env import Environment

VARIABLE: Final = "OPENCLAW_CONFIG_READONLY"
CODE: Final = "CONFIG_READONLY"


def is_readonly(env: Environment) -> bool:
    """Whether the operator said that nothing here may write the configuration file."""
    return (env.get(VARIABLE) or "").strip().lower() not in ("", "0", "false", "no", "off")


def require_writable(env: Environment, path: Path) -> None:
    """Raises: NotSupported (details code CONFIG_READONLY) in read-only mode."""
    if is_readonly(env):
        raise NotSupported(
            f"{path} is not written: {VARIABLE} is set ({env.source(VARIABLE)})",
            hint=f"Change the file where it comes from, or unset {VARIABLE} and start again.",
            details={"code": CODE},
        )
