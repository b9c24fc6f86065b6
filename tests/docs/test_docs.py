"""What is documented exists, and what exists is documented."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from openclaw.base.errors import catalogue
from openclaw.config.env import DOCUMENTED_VARIABLES
from openclaw.config.schema.describe import leaves
from tests.docs.generate import DOCS, PAGES, ROOT, commands, flags, metrics, routes

COMMANDS = {path: command for path, command, _ in commands()}
MAKE_TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
BY_DEFAULT = {"openclaw gateway": "run", "openclaw doctor": "look"}
PEOPLE_READ = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), f"docs/{name} is stale: run `make docs`"


def test_every_command_and_flag_has_a_help_text() -> None:
    bare = [path for path, command in COMMANDS.items() if not (command.help or "").strip()]
    bare += [f"{path} {flag.opts[0]}" for path, command in COMMANDS.items() for flag in flags(command) if not flag.help]
    assert bare == []


def test_every_command_and_flag_is_in_the_manual() -> None:
    page = (DOCS / "cli.md").read_text()
    missing = [path for path in COMMANDS if f"\n## {path}\n" not in page]
    missing += [opt for command in COMMANDS.values() for flag in flags(command) for opt in flag.opts if opt not in page]
    assert missing == []


def test_every_error_code_is_in_the_manual() -> None:
    page = (DOCS / "errors.md").read_text()
    assert [code for code in catalogue() if f"\n## {code}\n" not in page] == []


def test_every_setting_and_variable_is_in_the_manual() -> None:
    page = (DOCS / "settings.md").read_text()
    missing = [leaf.path for leaf in leaves() if f"`{leaf.path}`" not in page]
    missing += [name for name in DOCUMENTED_VARIABLES if f"`{name}`" not in page]
    assert missing == []


def test_every_route_is_in_the_manual() -> None:
    page = (DOCS / "http.md").read_text()
    headings = set(re.findall(r"^## ([A-Z]+ /\S*)$", page, re.MULTILINE))
    assert headings == {f"{method} {route.path}" for route in routes() for method in route.methods if method != "HEAD"}


def test_every_metric_of_the_running_program_is_in_the_manual() -> None:
    declared = re.compile(r"METRICS\.(?:counter|histogram|level)\(\s*\"([a-z_]+)\"")
    sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    named = {name.removesuffix("_total") for name, *_ in metrics()}
    assert set(declared.findall(sources)) <= named
    page = (DOCS / "metrics.md").read_text()
    assert [name for name, *_ in metrics() if f"`{name}`" not in page] == []


def _code(path: Path) -> str:
    """Return a page's code: fenced and indented blocks and inline pieces, a line each."""
    text = path.read_text()
    blocks = re.findall(r"```[a-z0-9]*\n(.*?)```", text, re.DOTALL)
    pieces = re.findall(r"^    (\S.*)$", text, re.MULTILINE) + re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    return "\n".join([*blocks, *pieces])


@pytest.mark.parametrize("page", PEOPLE_READ, ids=lambda page: page.name)
def test_the_commands_that_a_page_shows_exist(page: Path) -> None:
    unknown = []
    for line in re.findall(r"(?<!from )(?:^|(?<=[\s(]))(openclaw [a-z][^\n|);]*)", _code(page), re.MULTILINE):
        words = _words(line)
        path = "openclaw"
        while words and f"{path} {words[0]}" in COMMANDS:
            path = f"{path} {words.pop(0)}"
        # `openclaw gateway` alone means `openclaw gateway run`, and so on.
        taking = [COMMANDS[path], *([COMMANDS[f"{path} {BY_DEFAULT[path]}"]] if path in BY_DEFAULT else [])]
        known = {opt for each in taking for flag in flags(each) for opt in flag.opts} | {"--help", "-h"}
        if path == "openclaw" and words and not words[0].startswith("-"):
            unknown.append(line)
        unknown += [f"{line}: {word}" for word in words if word.startswith("--") and word.split("=")[0] not in known]
    assert unknown == []


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)[1:]
    except ValueError:  # an unfinished quote: the command goes on in the next line
        return line.split()[1:2]


@pytest.mark.parametrize("page", PEOPLE_READ, ids=lambda page: page.name)
def test_the_make_targets_that_a_page_shows_exist(page: Path) -> None:
    named = re.findall(r"(?:^|&& |=… )make ([a-z]+)", _code(page), re.MULTILINE)
    assert [target for target in named if target not in MAKE_TARGETS] == []


@pytest.mark.parametrize("page", PEOPLE_READ, ids=lambda page: page.name)
def test_the_files_that_a_page_links_to_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_files_that_the_tour_names_exist() -> None:
    named = re.findall(r"`([a-z_]+(?:/[a-z_]+)+\.py)`", (DOCS / "tour.md").read_text())
    assert len(named) > 20
    assert [path for path in named if not (ROOT / "src" / "openclaw" / path).exists()] == []


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda lock: lock.name)
def test_a_lock_pins_by_hash_and_names_no_registry(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "--find-links" not in text
    pins = re.findall(r"^[a-z0-9][^\n]*", text, re.MULTILINE | re.IGNORECASE)
    assert pins
    assert all("==" in pin for pin in pins)
    assert len(re.findall(r"^    --hash=sha256:", text, re.MULTILINE)) >= len(pins)
