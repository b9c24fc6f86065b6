"""A search for secrets in everything that a gateway and its commands leave behind, in any spelling."""

from __future__ import annotations

import base64
import gzip
import html
import json
import tarfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

GZIP: Final = b"\x1f\x8b"


@cache
def spellings(secret: str) -> frozenset[bytes]:
    """Return a secret as it may stand in a file or an answer, also in the middle of something that is encoded."""
    raw = secret.encode()
    once = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    texts = {secret, *once, *(json.dumps(each)[1:-1] for each in once)}
    texts |= {quote(secret, safe=""), quote(secret), quote_plus(secret), html.escape(secret)}
    found = {text.encode() for text in texts} | {raw.hex().encode(), raw.hex().upper().encode()}
    for encoded in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            # Of what is encoded behind other bytes, the first and the last characters depend on its neighbours.
            found.add(encoded(b"\0" * before + raw)[(0, 2, 3)[before] :].rstrip(b"=")[:-1])
    return frozenset(found)


def found_in(data: bytes, secrets: Mapping[str, str]) -> list[str]:
    """Return the names of the secrets that are in it."""
    return [name for name, secret in secrets.items() if any(each in data for each in spellings(secret))]


def contents(root: Path) -> Iterator[tuple[str, Path, bytes]]:
    """Yield every file below a folder: its path from there, and its bytes; packed ones once more, unpacked."""
    for path in root.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        name, data = str(path.relative_to(root)), path.read_bytes()
        yield name, path, data
        if data.startswith(GZIP):
            yield f"{name}|", path, gzip.decompress(data)
            with tarfile.open(path) as archive:
                for member in archive:
                    if member.name.endswith("manifest.json"):
                        file = archive.extractfile(member)
                        yield f"{name}|{member.name}", path, file.read() if file else b""
