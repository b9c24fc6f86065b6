"""Secrets in files that nobody else may read: one value, or members of a JSON text."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from openclaw.base.secret import Secret
from openclaw.config.disk import locked_folder, write_atomically
from openclaw.config.env import Environment, expand
from openclaw.config.schema import SecretProviderConfig
from openclaw.secrets.outcome import Found, Means, Unresolved, Written, one_line, secret_of
from openclaw.secrets.pointer import parse_json, pick, replace, split_id

NO_FILE = "not a file"
Stamp: TypeAlias = tuple[int, int, int]
"""Time of the last change (ns), inode, size: a mount that points elsewhere is seen by its inode."""


async def read_files(provider: SecretProviderConfig, ids: Sequence[str], means: Means) -> Found:
    """Return values from the provider's file, or for a provider without one from the file that each id names.

    Shape: the id is a member of the provider's file; else `path` or `path#member`.
    """
    return await asyncio.to_thread(lambda: {name: _read(provider, name, means) for name in ids})


def _read(provider: SecretProviderConfig, name: str, means: Means) -> Secret | Unresolved:
    file, pointer = (provider.path, name) if provider.path else split_id(name)
    path = file_path(file, means.env, means.state_dir)
    try:
        raw = read_private(path, provider.max_bytes, allow_insecure=provider.allow_insecure)
        if _is_json(provider, path, pointer):
            return pick(parse_json(raw), pointer)
        return secret_of(one_line(raw.decode()))
    except UnicodeDecodeError:
        return Unresolved(f"{path} is not UTF-8")
    except Unresolved as error:
        return error


def file_target(provider: SecretProviderConfig, name: str, means: Means) -> Path:
    """Return the file that a secret would be replaced in. Raises: Unresolved when it is not ours to write."""
    path = _path_of(provider, name, means.env, means.state_dir)
    try:
        status = path.lstat()
    except OSError as error:
        raise Unresolved(f"{path} cannot be written: {error.strerror}") from None
    if stat.S_ISLNK(status.st_mode):
        raise Unresolved(f"{path} is a link: rotate it where the link's maker keeps the secret")
    if status.st_uid != os.geteuid():
        raise Unresolved(f"{path} belongs to another user, who must rotate it")
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise Unresolved(f"{path} may not be written")
    return path


async def write_file(provider: SecretProviderConfig, name: str, secret: Secret, means: Means) -> Written:
    """Replace a file's value, or one member of it. Raises: Unresolved, OSError."""
    return await asyncio.to_thread(_write, provider, name, secret, means)


def _write(provider: SecretProviderConfig, name: str, secret: Secret, means: Means) -> Written:
    path = file_target(provider, name, means)
    pointer = name if provider.path else split_id(name)[1]
    with locked_folder(path.parent):
        raw = read_private(path, provider.max_bytes, allow_insecure=provider.allow_insecure)
        if _is_json(provider, path, pointer):
            value = parse_json(raw)
            replace(value, pointer, secret)
            data = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
        else:
            data = secret.reveal().encode() + (b"\n" if raw.endswith(b"\n") else b"")
        write_atomically(path, data)
    return Written(str(path))


def _is_json(provider: SecretProviderConfig, path: Path, pointer: str) -> bool:
    if provider.path and provider.mode != "auto":
        return provider.mode == "json"
    return path.suffix == ".json" if provider.path else bool(pointer)


def file_path(text: str, env: Environment, state_dir: Path) -> Path:
    """Return the absolute path; a relative one hangs from the state directory."""
    return expand(env, text) if text.startswith(("/", "~")) else state_dir / text


def _path_of(provider: SecretProviderConfig, name: str, env: Environment, state_dir: Path) -> Path:
    return file_path(provider.path or split_id(name)[0], env, state_dir)


def stamp_of(provider: SecretProviderConfig, name: str, env: Environment, state_dir: Path) -> Stamp | None:
    """Return what tells one state of a secret's file from another, None while it cannot be seen."""
    try:
        status = _path_of(provider, name, env, state_dir).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def read_private(path: Path, limit_bytes: int, *, allow_insecure: bool = False) -> bytes:
    """Return the content of a file that only its owner, who is we or root, may read.

    Raises: Unresolved naming the path and what to do.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:  # a Path takes no opener
            weak = weakness(os.fstat(file.fileno()))
            if weak == NO_FILE:
                raise Unresolved(f"{path} is {NO_FILE}")
            if weak and not allow_insecure:
                raise Unresolved(f"{path} {weak}; chmod 600 and own it, or set allowInsecure")
            raw = file.read(limit_bytes + 1)
    except OSError as error:
        raise Unresolved(f"{path} cannot be read: {error.strerror}") from None
    if len(raw) > limit_bytes:
        raise Unresolved(f"{path} is larger than {limit_bytes} bytes")
    return raw


def _without_waiting(path: str, flags: int) -> int:
    """Open as `open` does; a pipe is not waited for until somebody writes to it."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def weakness(status: os.stat_result) -> str:
    """Say why a file is no place for a secret, or ""."""
    if not stat.S_ISREG(status.st_mode):
        return NO_FILE
    if status.st_mode & 0o077:
        return f"is open to other users (mode {stat.S_IMODE(status.st_mode):04o})"
    if status.st_uid not in (os.geteuid(), 0):
        return "belongs to another user"
    return ""
