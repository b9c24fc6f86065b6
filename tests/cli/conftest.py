"""A private state directory and a way to run a command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw.cli.app import run
from tests.gateway.process import free_port


@dataclass(frozen=True)
class Ran:
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return msgspec.json.decode(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of this test's own, and no variable of the machine's owner."""
    for name in ("OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PORT", "PORT", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(state))
    monkeypatch.setenv("OPENCLAW_CACHE_DIR", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    return state


@pytest.fixture
def quiet_port(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No gateway of this machine's owner answers: the usual port may be his."""
    monkeypatch.setenv("OPENCLAW_GATEWAY_PORT", str(free_port()))


@pytest.fixture
def command(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command line in this process against that state directory."""

    def run_it(*arguments: str) -> Ran:
        capsys.readouterr()
        code = run(arguments)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run_it
