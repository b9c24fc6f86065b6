"""Where state lives."""

from __future__ import annotations

from pathlib import Path

from openclaw.config.env import Environment
from openclaw.config.paths import resolve_paths


def env_of(**variables: str) -> Environment:
    return Environment((("process", variables),))


def test_everything_hangs_from_the_home_directory() -> None:
    paths = resolve_paths(env_of(HOME="/home/u"))
    assert paths.state_dir == Path("/home/u/.openclaw")
    assert paths.config_path == Path("/home/u/.openclaw/openclaw.json")
    assert paths.db_path.parent == paths.logs_dir.parent == paths.workspace.parent == paths.state_dir
    assert paths.cache_dir == Path("/home/u/.cache/openclaw/models")


def test_openclaw_home_replaces_the_home_directory() -> None:
    paths = resolve_paths(env_of(HOME="/home/u", OPENCLAW_HOME="~/other"))
    assert paths.state_dir == Path("/home/u/other/.openclaw")
    assert paths.cache_dir == Path("/home/u/other/.cache/openclaw/models")


def test_each_path_can_be_chosen() -> None:
    paths = resolve_paths(
        env_of(
            HOME="/home/u",
            OPENCLAW_STATE_DIR="/s",
            OPENCLAW_CONFIG_PATH="/c/x.json",
            OPENCLAW_WORKSPACE_DIR="/w",
            OPENCLAW_CACHE_DIR="/m",
            XDG_CACHE_HOME="/xdg",
        )
    )
    assert (paths.state_dir, paths.config_path, paths.workspace, paths.cache_dir) == (
        Path("/s"),
        Path("/c/x.json"),
        Path("/w"),
        Path("/m"),
    )


def test_an_explicit_config_path_beats_the_variable() -> None:
    env = env_of(HOME="/home/u", OPENCLAW_CONFIG_PATH="/c/x.json")
    assert resolve_paths(env, Path("/d/y.json")).config_path == Path("/d/y.json")


def test_the_shared_cache_is_used_and_a_relative_one_ignored() -> None:
    assert resolve_paths(env_of(HOME="/h", XDG_CACHE_HOME="/xdg")).cache_dir == Path("/xdg/openclaw/models")
    assert resolve_paths(env_of(HOME="/h", XDG_CACHE_HOME="xdg")).cache_dir == Path("/h/.cache/openclaw/models")
