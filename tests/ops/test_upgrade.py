"""The upgrade check says what a start of this version would do, and does none of it."""

from __future__ import annotations

from pathlib import Path

from openclaw.config.env import Environment
from openclaw.config.load import load
from openclaw.config.paths import resolve_paths
from openclaw.ops.upgrade import DEPRECATIONS, Report, check, extras


def look(tmp_path: Path, text: str) -> Report:
    (tmp_path / "openclaw.json").write_text(text)
    env = Environment((("process", {"OPENCLAW_STATE_DIR": str(tmp_path), "HOME": str(tmp_path)}),))
    paths = resolve_paths(env)
    before = sorted(tmp_path.iterdir())
    report = check(load(paths, env), paths.db_path)
    assert sorted(tmp_path.iterdir()) == before
    return report


def test_a_healthy_state_passes(tmp_path: Path) -> None:
    report = look(tmp_path, "{}")
    assert report.ok
    assert (report.refusals, report.deprecated) == ((), ())


def test_a_configuration_that_would_not_start_is_told(tmp_path: Path) -> None:
    report = look(tmp_path, "{gateway: {bind: 'lan', auth: {mode: 'none'}}}")
    assert not report.ok
    assert report.refusals


def test_deprecated_keys_in_use_are_named_with_their_successors(tmp_path: Path) -> None:
    report = look(tmp_path, "{gateway: {nodes: {allowCommands: ['camera.snap']}}}")
    assert [each.instead for each in report.deprecated] == ["gateway.nodes.commands.allow"]
    assert report.ok
    older = look(tmp_path, "{agent: {model: 'fake/echo'}, gateway: {token: 'x'}, telegram: {}, routing: {agents: {}}}")
    assert {each.what for each in older.deprecated} == {"agent.*", "gateway.token", "telegram", "routing.agents"}


def test_every_deprecation_is_documented_with_both_versions_and_what_is_to_be_used() -> None:
    page = (Path(__file__).parents[2] / "docs" / "service.md").read_text()
    for each in DEPRECATIONS:
        what = f"`{each.what}`" if each.path else each.what
        assert f"| {what} | {each.since} | {each.until} | " in page, each.what
        assert each.instead.partition(";")[0] in page
        assert each.since < each.until


def test_a_store_that_is_none_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "openclaw.db").write_bytes(b"not a database, but long enough to be looked at" * 40)
    report = look(tmp_path, "{}")
    assert not report.ok
    assert report.store_problem


def test_the_optional_parts_are_named() -> None:
    assert {"aws", "embedded", "mcp", "yaml"} <= set(extras())
