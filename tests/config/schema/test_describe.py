"""The settings as data and as a page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from openclaw.config.env import DOCUMENTED_VARIABLES
from openclaw.config.reading.override import OVERRIDES
from openclaw.config.reading.wild import KNOWN_ELSEWHERE
from openclaw.config.schema import Config, Section
from openclaw.config.schema.describe import json_schema, leaves, settings_markdown
from openclaw.config.schema.hints import places, ui_hints
from openclaw.config.schema.shape import fields
from tests.config.make import loaded
from tests.gateway.readers import values

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_every_leaf_says_what_it_is_for() -> None:
    assert [leaf.path for leaf in leaves() if not leaf.doc] == []
    assert len({leaf.path for leaf in leaves()}) == len(leaves())


def test_every_section_says_what_it_is_for() -> None:
    assert [section.__name__ for section in Section.__subclasses__() if not section.__doc__] == []


def test_the_page_is_what_the_schema_says() -> None:
    assert PAGE.read_text() == settings_markdown(), "run: python -m openclaw.config.schema.describe > docs/settings.md"


def test_leaves_are_described_with_type_default_and_reload_class() -> None:
    by_path = {leaf.path: leaf for leaf in leaves()}
    port = by_path["gateway.port"]
    assert (port.type, port.default, port.reload) == ("a whole number from 1 to 65535", 18789, "process")
    assert by_path["models.providers.*.apiKey"].secret
    assert by_path["agents.list[].id"].required
    assert by_path["agents.list[].limits.steps"].default == 50
    assert by_path["agents.defaults.model"].type.startswith("text or an object")
    assert by_path["gateway.auth.rateLimit.windowMs"].unit == "ms"


def test_the_json_schema_can_be_encoded_and_knows_the_wire_names() -> None:
    text = msgspec.json.encode(json_schema()).decode()
    assert '"customBindHost"' in text
    assert "custom_bind_host" not in text


def test_every_overriding_variable_is_documented() -> None:
    assert {name for _, names in OVERRIDES for name in names} <= set(DOCUMENTED_VARIABLES)


@pytest.mark.parametrize("pattern", list(KNOWN_ELSEWHERE))
def test_no_setting_is_listed_as_unavailable(pattern: str) -> None:
    section: type[Section] | None = Config
    for key in [part for part in pattern.replace("[]", "").split(".") if part and part != "*"]:
        assert section is not None
        shape = fields(section)[key].shape
        section = shape.item.section if shape.item else shape.section
    assert section is not None
    assert not KNOWN_ELSEWHERE[pattern] & set(fields(section))


def test_loading_stays_cheap_and_imports_nothing_heavy() -> None:
    code = """
import sys, time
from pathlib import Path
from openclaw.config.load import load_text
from openclaw.config.env import Environment
from openclaw.config.paths import resolve_paths
env = Environment((("process", {"HOME": "/nowhere", "K": "x"}),))
paths = resolve_paths(env)
text = '''{ gateway: { port: 19000, auth: { token: "${K}" } },
  agents: { defaults: { model: { primary: "x/y" } }, list: [{ id: "main" }, { id: "two" }] },
  models: { providers: { x: { baseUrl: "http://h/v1", apiKey: "${K}", models: [{ id: "y" }] } } } }'''
load_text(text, paths, env)
best = 1.0
for _ in range(20):
    start = time.process_time()
    load_text(text, paths, env)
    best = min(best, time.process_time() - start)
heavy = {"asyncio", "aiohttp", "uvicorn", "click", "apsw", "difflib", "subprocess", "pydantic"} & set(sys.modules)
print(best < 0.005, sorted(heavy))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "True []"


COUNTS = frozenset(
    ("port", "maxAttempts", "maxConcurrent", "steps", "toolCalls", "identicalOutcomes", "cap", "size", "maxDepth")
) | {"maxChildren", "maxConcurrentRuns", "maxFiles", "kvVersion", "queued", "cpus", "pidsLimit", "maxProcesses"}
"""Numbers that count what their own name says."""


def test_every_number_has_a_unit_or_counts_what_it_is_called() -> None:
    numbers = [leaf for leaf in leaves() if "number" in leaf.type or isinstance(leaf.default, int | float)]
    plain = [leaf for leaf in numbers if not leaf.unit and not isinstance(leaf.default, bool)]
    assert [leaf.path for leaf in plain if leaf.path.rpartition(".")[2] not in COUNTS] == []
    assert len(numbers) > 50


def test_class_unit_default_and_doc_are_in_the_schema_and_the_hints_of_every_setting() -> None:
    for leaf in leaves():
        place, hint = places()[leaf.path], ui_hints()[leaf.path]
        assert place.schema["x-reload"] == leaf.reload, leaf.path
        assert place.schema.get("x-unit", "") == leaf.unit, leaf.path
        assert place.schema["description"] == hint["help"] == leaf.doc, leaf.path
        assert leaf.required == ("default" not in place.schema), leaf.path
        assert place.schema.get("default") == leaf.default or leaf.required, leaf.path
        assert hint["tags"] == [leaf.reload, *([leaf.unit] if leaf.unit else [])], leaf.path
        assert place.reload == ("restart" if leaf.reload == "process" else "hot"), leaf.path


def test_the_documented_defaults_are_those_of_an_empty_file() -> None:
    documented = {leaf.path: leaf.default for leaf in leaves()}
    used = {path: msgspec.to_builtins(value, enc_hook=str) for path, _, value in values(loaded("{}").config)}
    assert {path: value for path, value in used.items() if documented.get(path, value) != value} == {}
    assert len(used) > 100


def test_what_needs_a_restart_stands_at_a_fixed_place() -> None:
    places_ = [leaf.path for leaf in leaves() if leaf.reload == "process"]
    assert [path for path in places_ if "[]" in path or "*" in path] == []  # config.plan.held puts them back one by one
