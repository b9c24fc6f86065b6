"""The state directory's first moments: made private, and given a strong token if it has none."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from openclaw.base.errors import ConfigError

TOKEN_BYTES = 32
_TEMPLATE = """\
// The configuration of openclaw (JSON5). docs/settings.md describes every setting; changes are picked up live.
{{
  gateway: {{
    auth: {{ mode: "token", token: "{token}" }},
  }},
}}
"""


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


def write_first_config(path: Path) -> bool:
    """Write a configuration with a fresh random token (0600), unless there is one. Say whether it was written."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = _TEMPLATE.format(token=secrets.token_urlsafe(TOKEN_BYTES))
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return True
