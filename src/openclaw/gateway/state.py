"""The state directory's first moment: made, private to its owner."""

from __future__ import annotations

import os
from pathlib import Path

from openclaw.base.errors import ConfigError


def prepare(state_dir: Path, *private: Path) -> None:
    """Make the state directory and the private ones in it, mode 0700.

    Raises: ConfigError when it cannot be made or written.
    """
    for folder in (state_dir, *private):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(
                f"cannot make {folder}: {error.strerror}",
                hint="Set OPENCLAW_STATE_DIR to a folder that this user may write.",
            ) from error
    if not os.access(state_dir, os.W_OK | os.X_OK):
        raise ConfigError(
            f"cannot write to {state_dir}", hint="Set OPENCLAW_STATE_DIR to a folder that this user may write."
        )
