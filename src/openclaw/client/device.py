"""This machine as a device: its key, and the tokens that gateways gave it, each in a file of its own (0600)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from openclaw.base.errors import ConfigError
from openclaw.base.secret import Secret
from openclaw.protocol.device_auth import KEY_BYTES, DeviceKey, decode_base64url, encode_base64url

KEY_FILE: Final = "device-key"
TOKENS_FILE: Final = "device-tokens.json"
MAX_FILE_BYTES: Final = 256 * 1024
MAX_TOKENS: Final = 256


class DeviceStore:
    """A folder with the key and the tokens. Files that others may read are refused, as ssh refuses its keys."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def key(self) -> DeviceKey:
        """Return the device's key; it is made when there is none. Raises: ConfigError."""
        text = self._read(KEY_FILE)
        if text is None:
            key = DeviceKey.new()
            self._write(KEY_FILE, encode_base64url(key.seed).encode() + b"\n")
            return key
        seed = decode_base64url(text.decode("ascii", "replace"), KEY_BYTES)
        if seed is None:
            raise ConfigError(
                f"{self._folder / KEY_FILE} is no device key", hint="Move it away; the device then pairs anew."
            )
        return DeviceKey(seed)

    def token(self, gateway: str, role: str) -> Secret | None:
        """Return the token that a gateway gave this device for a role."""
        found = self._tokens().get(f"{gateway} {role}")
        return Secret(found) if found else None

    def keep_token(self, gateway: str, role: str, token: Secret | None) -> None:
        """Keep a token, or forget it with None."""
        tokens = self._tokens()
        name = f"{gateway} {role}"
        if tokens.get(name) == (token.reveal() if token else None):
            return
        tokens.pop(name, None)
        if token is not None:
            tokens[name] = token.reveal()
        kept = dict(list(tokens.items())[-MAX_TOKENS:])
        self._write(TOKENS_FILE, msgspec.json.encode(kept))

    def _tokens(self) -> dict[str, str]:
        raw = self._read(TOKENS_FILE)
        with suppress(msgspec.MsgspecError):
            return msgspec.json.decode(raw or b"{}", type=dict[str, str])
        return {}  # a damaged file costs one pairing, not the connection

    def _read(self, name: str) -> bytes | None:
        path = self._folder / name
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
        with os.fdopen(fd, "rb") as file:
            if os.fstat(fd).st_mode & 0o077:
                raise ConfigError(f"{path} can be read by others", hint=f"Run: chmod 600 {path}")
            return file.read(MAX_FILE_BYTES)

    def _write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        fresh = path.with_name(f".{name}.{os.getpid()}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                fresh.unlink()
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(fd)
            fresh.replace(path)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
