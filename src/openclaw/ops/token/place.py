"""The text of a file with another credential at one place, and nothing else changed."""

from __future__ import annotations

import re

from openclaw.base.errors import InvalidRequest
from openclaw.base.secret import Secret
from openclaw.config.writing.edit import set_value
from openclaw.ops.token.copies import Copy


def replaced(text: str, copy: Copy, secret: Secret) -> str:
    """Return a file's text with the secret where the copy's is. Raises: InvalidRequest when the place is not found."""
    if copy.kind == "token-file":
        return f"{secret.reveal()}\n"
    if copy.kind in ("config", "config-env", "remote"):
        return set_value(text, copy.key, secret.reveal())
    return _in_env_file(text, copy, secret)


def _in_env_file(text: str, copy: Copy, secret: Secret) -> str:
    line = re.compile(rf"^([^\S\n]*(?:export[^\S\n]+)?{re.escape(copy.key)}[^\S\n]*=[^\S\n]*)(.*)$", re.MULTILINE)
    value = secret.reveal()
    if not re.fullmatch(r"[A-Za-z0-9_.~+/=-]+", value):
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    # A later line wins, so every one is replaced; what stands behind a quoted value is a comment and stays.
    changed, count = line.subn(lambda found: found[1] + value + _comment(found[2]), text)
    if not count:
        raise InvalidRequest(f"{copy.where}: the line was not found")
    return changed


def _comment(old: str) -> str:
    found = re.fullmatch(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|\S*)([^\S\n]+\#.*)?""", old.rstrip("\r"))
    tail = found[1] if found and found[1] else ""
    return tail + ("\r" if old.endswith("\r") else "")
