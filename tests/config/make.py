"""A configuration on disk in a temporary folder, loaded as the gateway loads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from openclaw.config.env import Environment, load_environment
from openclaw.config.issue import Issue
from openclaw.config.load import Loaded, load, load_text
from openclaw.config.paths import StatePaths, resolve_paths


class Home:
    """A state folder with its own environment; nothing of the machine leaks in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        self.variables: dict[str, str] = {"HOME": str(folder), "OPENCLAW_STATE_DIR": str(self.state)}

    def env(self) -> Environment:
        """Read the environment anew."""
        return load_environment(self.folder, None, self.variables)

    def paths(self) -> StatePaths:
        """Resolve the paths anew."""
        return resolve_paths(self.env())

    def write(self, text: str) -> None:
        """Write the configuration file."""
        self.paths().config_path.write_text(text)

    def load(self, text: str | None = None, variables: Mapping[str, str] | None = None) -> Loaded:
        """Load the file, written first if a text is given."""
        self.variables.update(variables or {})
        if text is not None:
            self.write(text)
        return load(self.paths(), self.env())


def loaded(text: str, **variables: str) -> Loaded:
    """Load a text with these variables only."""
    env = Environment((("process", {"HOME": "/nowhere", **variables}),))
    return load_text(text, resolve_paths(env), env)


def issue_at(loaded: Loaded, path: str) -> Issue:
    """Return the one issue of that path."""
    found = [issue for issue in loaded.issues if issue.path == path]
    assert len(found) == 1, [str(issue) for issue in loaded.issues]
    return found[0]


def errors(loaded: Loaded) -> list[str]:
    """Return the paths of the issues that are errors."""
    return [issue.path for issue in loaded.issues if issue.severity == "error"]
