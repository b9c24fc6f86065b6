"""Secrets that a program hands out: a password manager's, or a company's own.

The protocol of `source: exec` in the field: the program reads one JSON object
`{protocolVersion: 1, provider, ids: [...]}` and writes `{protocolVersion: 1, values: {id: text}, errors: {id: …}}`.
With `jsonOnly: false` whatever it writes is the one value.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from openclaw.base.errors import Unavailable
from openclaw.base.secret import Secret
from openclaw.config.schema import SecretProviderConfig
from openclaw.secrets.outcome import Found, Means, Unresolved, one_line, secret_of
from openclaw.secrets.pointer import parse_json, pick

PROTOCOL: Final = 1
INHERITED: Final = ("PATH", "HOME", "LANG")
_ONE_ID: Final = "{id}"


async def ask_program(provider: SecretProviderConfig, ids: Sequence[str], means: Means, name: str) -> Found:
    """Run the provider's program: once for all ids, or once for each where it can only answer one.

    Raises: Unresolved when the program cannot be used or ends badly.
    """
    check_program(provider)
    if not provider.json_only or any(_ONE_ID in argument for argument in provider.args):
        answers = await asyncio.gather(*(_one(provider, each, means, name) for each in ids))
        return dict(zip(ids, answers, strict=True))
    return _read(await _run(provider, ids, means, name), ids)


def check_program(provider: SecretProviderConfig) -> None:
    """Raises: Unresolved for a command that is no absolute path of a program, or that others may change."""
    command = provider.command
    if not Path(command).is_absolute():
        raise Unresolved("its provider's command is not an absolute path")
    try:
        status = Path(command).stat()
    except OSError as error:
        raise Unresolved(f"{command} cannot be run: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode) or not os.access(command, os.X_OK):
        raise Unresolved(f"{command} is not a program")
    if status.st_mode & 0o022 and not provider.allow_insecure:
        raise Unresolved(f"{command} may be changed by other users; chmod go-w, or set allowInsecure")


async def _one(provider: SecretProviderConfig, name: str, means: Means, label: str) -> Secret | Unresolved:
    try:
        raw = await _run(provider, [name], means, label)
        if provider.json_only:
            return _read(raw, [name])[name]
        return secret_of(one_line(raw.decode()))
    except UnicodeDecodeError:
        return Unresolved("its program wrote no UTF-8")
    except Unresolved as error:
        return error


async def _run(provider: SecretProviderConfig, ids: Sequence[str], means: Means, name: str) -> bytes:
    asked = {"protocolVersion": PROTOCOL, "provider": name, "ids": list(ids)}
    argv = [provider.command, *(argument.replace(_ONE_ID, ids[0]) for argument in provider.args)]
    try:
        # What it complains of may hold the very secret: none of it is logged.
        done = await means.spawner.run(
            argv,
            name=f"secrets:{name}",
            allow=(*INHERITED, *provider.pass_env),
            env=provider.env,
            input_bytes=msgspec.json.encode(asked),
            log_stderr=False,
            timeout_s=provider.timeout_ms / 1000,
            max_output_bytes=provider.max_bytes,
        )
    except TimeoutError:
        raise Unresolved(f"its program took longer than {provider.timeout_ms} ms") from None
    except OSError as error:
        raise Unresolved(f"its program cannot be run: {error.strerror}") from None
    except Unavailable as error:
        raise Unresolved(error.message) from None
    if done.returncode:
        raise Unresolved(f"its program ended with status {done.returncode}")
    if done.truncated:
        raise Unresolved(f"its program wrote more than {provider.max_bytes} bytes")
    return done.stdout


def _read(raw: bytes, ids: Sequence[str]) -> dict[str, Secret | Unresolved]:
    answer = parse_json(raw)
    values = answer.get("values") if isinstance(answer, dict) else None
    if not isinstance(values, dict) or answer.get("protocolVersion") != PROTOCOL:
        raise Unresolved("its program did not answer { protocolVersion: 1, values: { … } }")
    errors = answer.get("errors")
    return {name: _value(values, errors if isinstance(errors, dict) else {}, name) for name in ids}


def _value(values: dict[str, Any], errors: dict[str, Any], name: str) -> Secret | Unresolved:
    if name not in values:
        # The program's own words are not repeated: nobody knows what they hold.
        return Unresolved("its program has an error for it" if name in errors else "its program gave no value for it")
    try:
        return pick({"": values[name]}, "")
    except Unresolved as error:
        return error
