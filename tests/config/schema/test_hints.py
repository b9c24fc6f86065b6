"""What forms are drawn from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no stubs
import msgspec
import pytest

from openclaw.base.errors import ConfigError, InvalidRequest
from openclaw.config.reading.parse import parse
from openclaw.config.schema.describe import leaves
from openclaw.config.schema.hints import form_schema, lookup, places, ui_hints

DOCS = Path(__file__).parents[3]


def test_the_schema_refers_to_nothing_outside_itself() -> None:
    text = msgspec.json.encode(form_schema()).decode()
    assert "$ref" not in text
    assert "$defs" not in text
    jsonschema.Draft7Validator.check_schema(form_schema())
    assert form_schema()["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_every_setting_has_a_place_and_a_hint() -> None:
    assert {leaf.path for leaf in leaves()} <= set(places())
    for leaf in leaves():
        hint = ui_hints()[leaf.path]
        assert hint["help"] == leaf.doc
        assert hint.get("sensitive", False) is leaf.secret
        assert hint["label"]
        assert (
            lookup(leaf.path)["reloadKind"] == ("restart" if leaf.reload == "process" else "hot")
            or (lookup(leaf.path)["children"])
        )


def test_what_our_own_pages_show_fits_the_schema() -> None:
    found = 0
    for page in (DOCS / "docs").glob("*.md"):
        for block in re.findall(r"```json5\n(.*?)```", page.read_text(), re.DOTALL):
            text = block if block.lstrip().startswith("{") else f"{{{block}}}"
            try:
                value = parse(text)
            except ConfigError:  # a fragment, not a configuration
                continue
            jsonschema.validate(value, form_schema(), jsonschema.Draft7Validator)
            found += 1
    assert found > 0


@pytest.mark.parametrize(
    ("path", "place", "reload"),
    [
        ("gateway", "gateway", "restart"),
        ("gateway/auth/mode", "gateway.auth.mode", "hot"),
        ("gateway.reload", "gateway.reload", "hot"),
        ("agents.list[3].name", "agents.list[].name", "hot"),
        ("agents.list.3.name", "agents.list[].name", "hot"),
        ("agents.list.*.limits.steps", "agents.list[].limits.steps", "hot"),
        ("agents.list[]", "agents.list[]", "hot"),
        ("models.providers.mine.models[].id", "models.providers.*.models[].id", "hot"),
        ("models.providers.*", "models.providers.*", "hot"),
        ("channels.telegram", "channels.*", "hot"),
        ("agents.defaults.model.primary", "agents.defaults.model.primary", "hot"),
    ],
)
def test_a_place_is_found_however_it_is_written(path: str, place: str, reload: str) -> None:
    found: dict[str, Any] = lookup(path)
    assert (found["path"], found["hintPath"], found["reloadKind"]) == (path, place, reload)
    assert "properties" not in found["schema"]


def test_children_say_what_they_are() -> None:
    children = {child["key"]: child for child in lookup("agents.list[]")["children"]}
    assert children["id"]["required"] is True
    order = children["id"]["hint"]["order"]
    assert children["name"] == {
        "key": "name",
        "path": "agents.list[].name",
        "type": "string",
        "required": False,
        "hasChildren": False,
        "reloadKind": "hot",
        "hint": {"label": "Name", "group": "Agents", "order": order, "help": "Shown to people.", "tags": ["live"]},
        "hintPath": "agents.list[].name",
    }  # fmt: skip
    assert children["limits"]["hasChildren"] is True


@pytest.mark.parametrize("path", ["nope", "gateway.nope", "gateway.port.deeper", "[0]", "agents.list.name", "...", "*"])
def test_an_unknown_place_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest, match="config schema path not found") as caught:
        lookup(path)
    assert caught.value.details["code"] == "CONFIG_SCHEMA_PATH_NOT_FOUND"
