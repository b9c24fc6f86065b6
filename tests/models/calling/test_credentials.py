"""Credentials from auth-profiles.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw.base.clock import ManualClock
from openclaw.base.secret import Secret
from openclaw.models.calling.credentials import MAX_PROFILES, Credentials

KEY = {"type": "api_key", "provider": "anthropic", "key": "sk-one-123456"}


def write(folder: Path, raw: Any, mode: int = 0o600) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "auth-profiles.json"
    path.write_text(raw if isinstance(raw, str) else json.dumps(raw))
    path.chmod(mode)
    return path


def read(folder: Path, heard: list[Secret] | None = None, clock: ManualClock | None = None) -> Credentials:
    found = Credentials(folder, clock=clock or ManualClock(), on_secret=(heard if heard is not None else []).append)
    found.load()
    return found


def names(found: Credentials, provider: str = "anthropic", agent: str = "") -> list[str]:
    return [credential.name for credential in found.of(provider, agent)]


def test_a_file_from_the_wild_is_read_and_unknown_fields_are_tolerated(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "version": 1,
            "profiles": {
                "anthropic:default": {**KEY, "email": "someone@example.com"},
                "anthropic:work": {"type": "token", "provider": "Anthropic", "token": " sk-two-123456 ", "expires": 0},
                "openai:default": {"type": "api_key", "provider": "openai", "key": "sk-three-12345"},
            },
            "order": {"anthropic": ["anthropic:work", "anthropic:gone"]},
            "lastGood": {"anthropic": "anthropic:default"},
            "usageStats": {"anthropic:default": {"lastUsed": 1, "errorCount": 3}},
            "somethingNew": [1],
        },
    )
    heard: list[Secret] = []
    found = read(tmp_path, heard)
    assert found.issues == ()
    assert names(found) == ["anthropic:work", "anthropic:default"]
    assert [credential.key.reveal() for credential in found.of("anthropic")] == ["sk-two-123456", "sk-one-123456"]
    assert names(found, "openai") == ["openai:default"]
    assert len(heard) == 3


def test_without_a_file_there_is_nothing_to_say(tmp_path: Path) -> None:
    found = read(tmp_path / "missing")
    assert found.issues == ()
    assert found.of("anthropic") == ()
    assert found.first("anthropic") is None


def test_an_agents_own_take_the_place_of_the_shared_ones(tmp_path: Path) -> None:
    write(tmp_path, {"profiles": {"anthropic:default": KEY}})
    write(tmp_path / "agents" / "main", {"profiles": {"anthropic:default": {**KEY, "key": "sk-own-1234567"}}})
    (tmp_path / "agents" / "stray").write_text("not a folder")
    found = read(tmp_path)
    assert found.issues == ()
    assert names(found, agent="main") == ["main/anthropic:default"]
    assert names(found, agent="other") == ["anthropic:default"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_a_warning(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path, {"profiles": {"anthropic:default": KEY}}, mode)
    found = read(tmp_path)
    (issue,) = found.issues
    assert issue.severity == "warning"
    assert issue.path == str(path)
    assert f"{mode:04o}" in issue.message
    assert "chmod 600" in issue.hint
    assert names(found) == ["anthropic:default"]


@pytest.mark.parametrize(
    "profile",
    [
        "text",
        {"type": "api_key", "provider": "anthropic"},
        {"type": "api_key", "provider": "", "key": "k"},
        {"type": "api_key", "provider": "anthropic", "key": 7},
        {"type": "api_key", "provider": "anthropic", "key": "line\nbreak-123"},
        {"type": "oauth", "provider": "anthropic", "access": "a", "refresh": "r"},
        {"type": ["api_key"], "provider": "anthropic", "key": "k"},
        {"type": "token", "provider": "anthropic", "token": "sk-old", "expires": 1},
    ],
)
def test_a_profile_that_cannot_be_used_is_named_and_the_others_work(tmp_path: Path, profile: Any) -> None:
    write(tmp_path, {"profiles": {"bad:one": profile, "anthropic:default": KEY}})
    found = read(tmp_path)
    assert names(found) == ["anthropic:default"]
    assert [("bad:one" in issue.message, issue.severity) for issue in found.issues] == [(True, "warning")]


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b'{"profiles": []}', b'"sk-secret-here"', b"\xff", b"[" * 100_000, b"x" * 2_000_000]
)
def test_a_file_that_cannot_be_read_is_an_error_that_quotes_nothing(tmp_path: Path, raw: bytes) -> None:
    write(tmp_path, "").write_bytes(raw)
    found = read(tmp_path)
    assert [issue.severity for issue in found.issues] == ["error"]
    assert "sk-secret" not in str(found.issues)


def test_more_profiles_than_the_limit_are_not_read(tmp_path: Path) -> None:
    write(tmp_path, {"profiles": {f"anthropic:{n}": KEY for n in range(MAX_PROFILES + 5)}})
    found = read(tmp_path)
    assert len(found.of("anthropic")) == MAX_PROFILES
    assert len(found.issues) == 1


def test_the_one_that_failed_longest_ago_comes_first(tmp_path: Path) -> None:
    clock = ManualClock()
    write(tmp_path, {"profiles": {f"anthropic:{n}": KEY for n in "abc"}})
    found = read(tmp_path, clock=clock)
    for _ in range(3):
        found.failed(found.of("anthropic")[0])
        clock.advance(1)
    assert names(found) == ["anthropic:a", "anthropic:b", "anthropic:c"]
    found.failed(found.of("anthropic")[0])
    assert names(found) == ["anthropic:b", "anthropic:c", "anthropic:a"]
    first = found.first("anthropic")
    assert first is not None
    assert first.name == "anthropic:a"


def test_a_second_reading_takes_the_place_of_the_first(tmp_path: Path) -> None:
    write(tmp_path, {"profiles": {"anthropic:a": KEY}})
    found = read(tmp_path)
    write(tmp_path, {"profiles": {"anthropic:b": KEY}})
    assert found.load() == ()
    assert names(found) == ["anthropic:b"]


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    profiles=st.dictionaries(
        st.text(max_size=8),
        JSON | st.fixed_dictionaries({"type": JSON | st.just("api_key"), "provider": JSON, "key": JSON}),
        max_size=4,
    ),
    rest=st.fixed_dictionaries({"order": JSON, "lastGood": JSON}),
)
def test_no_shape_of_the_file_breaks_the_start(tmp_path: Path, profiles: dict[str, Any], rest: dict[str, Any]) -> None:
    path = write(tmp_path, "")
    path.write_bytes(msgspec.json.encode({"profiles": profiles, **rest}))
    read(tmp_path)
