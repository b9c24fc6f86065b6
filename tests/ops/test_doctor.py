"""The doctor sees what is wrong, says how to mend it, and never puts a secret into its report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw.base.errors import Unauthorized, Unavailable
from openclaw.config.env import Environment
from openclaw.config.load import load
from openclaw.config.paths import resolve_paths
from openclaw.ops import doctor
from openclaw.ops.doctor import Finding, Scene, disk_findings, examine

STRONG = "q8Zr1vLx0Pf7Tn3Kd9Ws5Hb2Mc6Jy4Ga"
HEALTHY = {"ok": True, "version": "1"}


def look(
    tmp_path: Path,
    text: str | None = f'{{gateway: {{auth: {{token: "{STRONG}"}}}}}}',
    *,
    model: str = "fake/echo",
    problem: str = "",
    file: Path | None = None,
    answer: Mapping[str, Any] | Exception = HEALTHY,
) -> list[Finding]:
    """Examine a state directory with that configuration and gateway."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    if text is not None:
        path = state / "openclaw.json"
        path.touch(mode=0o600)
        path.write_text(text)
    env = Environment((("process", {"OPENCLAW_STATE_DIR": str(state), "HOME": str(tmp_path)}),))
    paths = resolve_paths(env)

    def probe() -> Mapping[str, Any]:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return examine(
        Scene(
            paths=paths,
            loaded=load(paths, env),
            default_model=model,
            model_problem=problem,
            embedded_model=lambda _: file,
            probe=probe,
        )
    )


def bad(findings: list[Finding]) -> dict[str, Finding]:
    return {each.id: each for each in findings if each.severity in {"warning", "error"}}


def test_a_sound_state_gives_no_complaint(tmp_path: Path) -> None:
    findings = look(tmp_path)
    assert bad(findings) == {}
    assert {each.id for each in findings} >= {"config.file", "state.mode", "gateway.token", "gateway.reachable"}


def test_every_complaint_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    findings = look(
        tmp_path,
        '{gateway: {prot: 1, auth: {token: "weak"}, bind: 5}}',
        model="embedded/smollm2",
        answer=Unavailable("nobody there"),
    )
    complaints = bad(findings)
    assert {"config.unknown-key", "config.invalid-value", "gateway.token", "model.file"} <= set(complaints)
    assert all(each.fix for each in complaints.values())
    assert "line 1" in complaints["config.unknown-key"].evidence


def test_open_modes_of_the_state_and_of_files_with_secrets_are_named(tmp_path: Path) -> None:
    look(tmp_path)
    (tmp_path / "state").chmod(0o755)
    (tmp_path / "state" / "openclaw.json").chmod(0o644)
    complaints = bad(look(tmp_path))
    assert "0755" in complaints["state.mode"].evidence
    assert complaints["state.file-mode"].fix.startswith("chmod 600 ")


@pytest.mark.parametrize(
    ("text", "id_", "severity"),
    [
        ('{gateway: {auth: {token: "short"}}}', "gateway.token", "warning"),
        ('{gateway: {auth: {mode: "none"}}}', "gateway.auth", "warning"),
        ('{gateway: {bind: "lan", auth: {token: "short"}}}', "gateway.refuses", "error"),
        ('{gateway: {bind: "lan", auth: {mode: "none"}}}', "gateway.refuses", "error"),
        ("{}", "gateway.token", "warning"),
    ],
)
def test_a_weak_or_missing_secret_is_worse_beyond_this_machine(
    tmp_path: Path, text: str, id_: str, severity: str
) -> None:
    assert bad(look(tmp_path, text))[id_].severity == severity


def test_the_report_never_holds_the_secret(tmp_path: Path) -> None:
    for text in ('{gateway: {auth: {token: "hunter2-short"}}}', '{gateway: {auth: {token: ["hunter2-short"]}}}'):
        assert b"hunter2" not in msgspec.json.encode(look(tmp_path, text))
    assert STRONG.encode() not in msgspec.json.encode(look(tmp_path))


def test_a_model_that_cannot_be_called_is_an_error(tmp_path: Path) -> None:
    assert bad(look(tmp_path, model="openai/x", problem="no key"))["model.default"].severity == "error"
    assert bad(look(tmp_path, model="embedded/smollm2", file=tmp_path)) == {}


@pytest.mark.parametrize(
    ("answer", "id_"),
    [
        (Unavailable("nobody there"), None),
        (Unauthorized("the token from file was refused"), "gateway.token-parity"),
        ({"ok": True, "status": "live"}, "gateway.token-parity"),
        ({"hello": "I am a web server"}, "gateway.port"),
        ({}, "gateway.port"),
    ],
)
def test_what_answers_on_the_port_is_told_apart(tmp_path: Path, answer: Any, id_: str | None) -> None:
    assert set(bad(look(tmp_path, answer=answer))) == ({id_} if id_ else set())


def test_a_state_that_is_not_there_yet_is_no_fault(tmp_path: Path) -> None:
    findings = look(tmp_path, None, answer=Unavailable("nobody there"))
    assert [each for each in findings if each.severity == "error"] == []


def test_a_nearly_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DISK_WARN_BYTES", 1 << 60)
    assert next(disk_findings(tmp_path)).severity == "warning"
    monkeypatch.setattr(doctor, "DISK_FAIL_BYTES", 1 << 60)
    assert next(disk_findings(tmp_path / "not" / "there")).severity == "error"
