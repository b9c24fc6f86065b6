"""State directories in every state, and the scene that the doctor sees there."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openclaw.base.errors import Unavailable
from openclaw.cli.doctoring import usable
from openclaw.config.env import load_environment
from openclaw.config.paths import resolve_paths
from openclaw.ops.doctor.scene import Scene
from openclaw.ops.quotas import LOCK_NAME
from openclaw.ops.token.units import unit_folders

STRONG = "q8Zr1vLx0Pf7Tn3Kd9Ws5Hb2Mc6Jy4Ga"
OTHER = "Xw2Lk9Qe4Rt7Yu1Io5Pa8Sd3Fg6Hj0Zx"
HEALTHY = {"ok": True, "version": "1"}
NOW_MS = 1_800_000_000_000


@dataclass
class Place:
    """A home with a state directory."""

    root: Path
    process: dict[str, str] = field(default_factory=dict)
    answer: Mapping[str, Any] | Exception = field(default_factory=lambda: Unavailable("nobody there"))

    @property
    def state(self) -> Path:
        return self.root / "state"

    def make(self, mode: int = 0o700) -> Place:
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.state.chmod(mode)
        return self

    def write(self, name: str, data: str | bytes, mode: int = 0o600, mtime_s: int = 1_700_000_000) -> Path:
        """Write a file below the state directory, of that mode and time."""
        path = self.state / name
        for folder in reversed([one for one in path.parents if not one.exists()]):
            folder.mkdir(mode=0o700)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        path.chmod(mode)
        os.utime(path, (mtime_s, mtime_s))
        return path

    def scene(self, **more: Any) -> Scene:
        environ = {"OPENCLAW_STATE_DIR": str(self.state), "HOME": str(self.root), **self.process}
        env = load_environment(self.root, None, environ)
        paths = resolve_paths(env, system_config=self.root / "none.yaml")
        loaded, broken = usable(paths, env)

        def probe() -> Mapping[str, Any]:
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        facts: dict[str, Any] = {
            "default_model": "fake/echo",
            "model_problem": "",
            "embedded_model": lambda _: None,
            "now_ms": NOW_MS,
            "uid": os.getuid(),
            "proc": self.root / "no-proc",
            "units": unit_folders(self.root)[:1],
        }
        return Scene(
            paths=paths,
            loaded=loaded,
            broken=broken,
            probe=probe,
            env=env,
            cwd=self.root,
            **{**facts, **more},
        )

    def tree(self, keep: Callable[[Path], bool] = lambda _: True) -> dict[str, tuple[Any, ...]]:
        """Return every path with its kind, mode, content and (for files) time."""
        found: dict[str, tuple[Any, ...]] = {}
        for path in sorted([self.state, *self.state.rglob("*")]):
            if keep(path):
                facts = path.lstat()
                content = (path.read_bytes(), facts.st_mtime_ns) if path.is_file() else ()
                found[str(path.relative_to(self.root))] = (stat.S_IMODE(facts.st_mode), *content)
        return found

    def own_tree(self) -> dict[str, tuple[Any, ...]]:
        """Return the same without what `--fix` keeps for the way back."""
        places = (self.state / "snapshots", self.state / "trash", self.state / LOCK_NAME)
        return self.tree(lambda path: not any(path == place or place in path.parents for place in places))
