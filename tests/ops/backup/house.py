"""A small state directory with everything in it, and archives made by hand, letter by letter."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from openclaw.base.clock import ManualClock
from openclaw.base.secret import Secret
from openclaw.config.env import Environment
from openclaw.config.load import load
from openclaw.config.paths import StatePaths, resolve_paths
from openclaw.ops.backup.create import Made, Plan, create
from openclaw.ops.backup.database import KNOWN_SCHEMA
from openclaw.ops.backup.desk import Backups
from openclaw.ops.backup.manifest import seal
from openclaw.ops.backup.parts import PARTS, Part
from openclaw.protocol.device_auth import DeviceKey
from openclaw.store.sqlite import SqliteStore

KEY = DeviceKey(bytes(range(32)))
PASSPHRASE = Secret("correct horse battery staple")
CHEAP = 10
NOW_MS = 1_800_000_000_000
CONFIG = '// kept to the letter\n{gateway: {auth: {token: "${GATEWAY_SECRET}"}}}\n'


async def furnish(state: Path) -> None:
    """Make a state directory with a store, every part, and what never belongs to a backup."""
    store = await SqliteStore.open(state / "openclaw.db", clock=ManualClock())
    await store.close()
    for path, text, mode in (
        ("openclaw.json", CONFIG, 0o600),
        (".env", "GATEWAY_SECRET=q8Zr1vLx0Pf7Tn3Kd9Ws5Hb2Mc6Jy4Ga\n", 0o600),
        ("credentials/gateway-token", "token\n", 0o600),
        ("secrets.json", "{}", 0o600),
        ("gateway/tls/gateway-key.pem", "key\n", 0o600),
        ("agents/main/auth-profiles.json", "{}", 0o600),
        ("former-secrets.json", "[]", 0o600),
        ("skills/weather/SKILL.md", "# weather\n", 0o644),
        ("workspace/notes/a.txt", "a note\n", 0o640),
        ("workspace/run.sh", "#!/bin/sh\n", 0o755),
        ("workspace-second/Grüße – 你好.txt", "hello\n", 0o600),
        (f"workspace/{'long-' * 30}/{'name-' * 30}.txt", "deep\n", 0o600),
        ("snapshots/1.json", "{}", 0o600),
        ("logs/openclaw.log", "never\n", 0o600),
        ("model-catalog.json", "{}", 0o600),
        ("chat-history", "never\n", 0o600),
        ("strange/file", "never\n", 0o600),
    ):
        place = state / path
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)


def paths_of(state: Path) -> StatePaths:
    return resolve_paths(environment(state))


def environment(state: Path) -> Environment:
    return Environment((("process", {"OPENCLAW_STATE_DIR": str(state), "HOME": str(state.parent)}),))


def backups_of(state: Path, clock: ManualClock) -> Backups:
    """Return the desk of a state directory, whose configuration is read at each use."""
    paths, env = paths_of(state), environment(state)
    return Backups(paths, lambda: load(paths, env), clock, "1")


def make(
    state: Path, folder: Path, *, parts: frozenset[Part] = frozenset(PARTS), passphrase: Secret | None = None
) -> Made:
    """Make a backup in a new folder, with a cheap passphrase."""
    folder.mkdir()
    plan = Plan(
        state_dir=state,
        database=state / "openclaw.db",
        configs=(state / "openclaw.json",),
        parts=parts,
        now_ms=NOW_MS,
        host="here",
        version="1",
        passphrase=passphrase,
        work=CHEAP,
    )
    return create(plan, KEY, folder)


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return each file below a folder with its mode and content."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mode & 0o777, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Forge:
    """An archive as an attacker makes it: a valid one with one thing changed. Its signature is valid unless spoiled."""

    def __init__(self, database: bytes) -> None:
        self.files: list[tuple[str, str, bytes]] = [
            ("store", "openclaw.db", database),
            ("config", "openclaw.json", b"{}"),
            ("workspace", "workspace/a.txt", b"a note"),
        ]
        self.entries: list[dict[str, Any]] | None = None
        self.fields: dict[str, Any] = {}
        self.spoil_manifest: Callable[[bytes], bytes] = lambda raw: raw
        self.spoil_seal: Callable[[bytes], bytes] = lambda raw: raw
        self.members: list[tuple[tarfile.TarInfo, bytes]] | None = None
        self.spoil_tar: Callable[[bytes], bytes] = lambda raw: raw
        self.spoil_gzip: Callable[[bytes], bytes] = lambda raw: raw

    def listed(self) -> list[dict[str, Any]]:
        return [
            {"path": path, "part": part, "size": len(data), "mode": 0o600, "sha256": hashlib.sha256(data).hexdigest()}
            for part, path, data in self.files
        ]

    def manifest(self) -> bytes:
        whole = {
            "format": 1,
            "version": "1",
            "schema": KNOWN_SCHEMA,
            "createdAtMs": NOW_MS,
            "host": "there",
            "config": "openclaw.json",
            "parts": ["store", "config", "secrets", "agents", "skills", "workspace"],
            "files": self.listed() if self.entries is None else self.entries,
        }
        return msgspec.json.encode({**whole, **self.fields})

    def bytes(self) -> bytes:
        raw = self.manifest()
        signed = seal(raw, KEY)
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
            heads = [("manifest.json", self.spoil_manifest(raw)), ("manifest.sig", self.spoil_seal(signed))]
            members = [plain(f"files/{path}", data) for _, path, data in self.files]
            for info, data in [plain(*head) for head in heads] + (members if self.members is None else self.members):
                archive.addfile(info, io.BytesIO(data))
        return self.spoil_gzip(gzip.compress(self.spoil_tar(tar.getvalue()), 6))


def plain(path: str, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(path)
    info.size = len(data)
    return info, data
