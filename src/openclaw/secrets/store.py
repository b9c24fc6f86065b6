"""Writes secrets where the gateway finds them: secrets.json or .env of the state directory, mode 0600."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from openclaw.base.errors import ConfigError, InvalidRequest
from openclaw.base.secret import Secret
from openclaw.config.disk import locked_folder, make_private, write_atomically
from openclaw.config.env import parse_env

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def put_member(path: Path, name: str, secret: Secret) -> bytes | None:
    """Set a member of a JSON file, which is made when it is missing. Return what it replaced, None for no file.

    Raises: ConfigError when the file is no JSON object.
    """
    make_private(path.parent)
    with locked_folder(path.parent):
        old = _read(path)
        members = members_of(path, old)
        members[name] = secret.reveal()
        _write(path, msgspec.json.format(msgspec.json.encode(members), indent=2) + b"\n")
    return old


def put_variable(path: Path, name: str, secret: Secret) -> bytes | None:
    """Set a variable in a `.env` file; every other line stays as it is. Return what the file held, None for no file.

    Raises: InvalidRequest for what is no name of a variable.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"{name!r} is not the name of a variable", hint="Letters, digits and _, e.g. MY_API_KEY.")
    value = "".join(_ESCAPES.get(char, char) for char in secret.reveal())
    make_private(path.parent)
    with locked_folder(path.parent):
        old = _read(path)
        lines = (old or b"").decode("utf-8", "surrogateescape").splitlines(keepends=True)
        kept = [line for line in lines if name not in parse_env(line)[0]]
        if kept and not kept[-1].endswith(("\n", "\r")):
            kept[-1] += "\n"
        kept.append(f'{name}="{value}"\n')
        _write(path, "".join(kept).encode("utf-8", "surrogateescape"))
    return old


def put_back(path: Path, old: bytes | None) -> None:
    """Undo a change."""
    with locked_folder(path.parent):
        if old is None:
            path.unlink(missing_ok=True)
        else:
            _write(path, old)


def members_of(path: Path, raw: bytes | None) -> dict[str, Any]:
    """Return the members of a JSON file's text. Raises: ConfigError when it is no JSON object."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Any]) if raw and raw.strip() else {}
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeError):
        raise ConfigError(f"{path} is not a JSON object", hint="Mend or move the file; nothing was changed.") from None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Path, data: bytes) -> None:
    if path.exists():
        path.chmod(0o600)
    write_atomically(path, data)
