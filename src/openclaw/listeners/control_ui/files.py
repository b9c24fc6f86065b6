"""The files of a UI, found once and served by name: what was not there at the start cannot be asked for.

1. Only regular files below the root are taken; links are not followed, and names that begin with a dot are left out.
2. A path of a request is looked up in that list, so there is nothing for `..` to climb.
3. The page may run its own scripts, and inline ones that stood in its index at the start, by their hash.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from openclaw.base.errors import ConfigError

MAX_FILES: Final = 10_000
MAX_FILE_BYTES: Final = 32 * 1024 * 1024
INDEX: Final = "index.html"

_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".map": "application/json; charset=utf-8",
    ".webmanifest": "application/manifest+json; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".ico": "image/x-icon",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".txt": "text/plain; charset=utf-8",
}
_INLINE: Final = re.compile(rb"<script(?![^>]*\ssrc\s*=)[^>]*>(.*?)</script\s*>", re.DOTALL | re.IGNORECASE)


class UiFile(msgspec.Struct, frozen=True):
    """A file as it was at the start. `path` is where to read it; `etag` changes with it."""

    path: str
    media: str
    size: int
    etag: str


class Bundle(msgspec.Struct, frozen=True):
    """Every file of a UI by its path below the root, and the policy that its page runs under."""

    files: Mapping[str, UiFile]
    policy: str


def find_files(root: Path) -> Bundle:
    """Return what is below a folder. Blocking. Raises: ConfigError when there is no index.html to show."""
    files: dict[str, UiFile] = {}
    for name, entry in _walk(root, ""):
        info = entry.stat(follow_symlinks=False)
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  # a name, not a path
        media = _TYPES.get(suffix, "application/octet-stream")
        files[name] = UiFile(entry.path, media, info.st_size, f'"{info.st_mtime_ns:x}-{info.st_size:x}"')
        if len(files) > MAX_FILES:
            raise ConfigError(f"{root} has more than {MAX_FILES} files", hint="Name the folder of a UI build.")
    if INDEX not in files:
        raise ConfigError(f"{root} has no {INDEX}", hint="Set gateway.controlUi.root to a folder with a built UI.")
    return Bundle(files, _policy(read_file(files[INDEX])))


def read_file(file: UiFile) -> bytes:
    """Return a file's bytes. Blocking. Raises: OSError when it is gone or is no longer a plain file of bounded size."""
    fd = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as opened:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_size > MAX_FILE_BYTES:
            raise OSError(f"{file.path} is no file of at most {MAX_FILE_BYTES} bytes")
        return opened.read(MAX_FILE_BYTES)


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read: {error.strerror}", hint="Check gateway.controlUi.root.") from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            yield f"{prefix}{entry.name}", entry


def _policy(index: bytes) -> str:
    hashes = [base64.b64encode(sha256(script).digest()).decode() for script in _INLINE.findall(index) if script.strip()]
    inline = "".join(f" 'sha256-{value}'" for value in hashes)
    return (
        "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        f"script-src 'self'{inline}; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
        "img-src 'self' data: blob:; media-src 'self' blob:; "
        "connect-src 'self' data:; manifest-src 'self'; worker-src 'self' blob:"
    )
