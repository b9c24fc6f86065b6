"""Annotations become plain schemas, and arguments typed values."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from openclaw.base.errors import ConfigError, InvalidRequest
from openclaw.base.secret import Secret
from openclaw.tools.registry import builtin_tools
from openclaw.tools.schema import Parameters, config_arguments


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Point:
    x: int
    y: int = 0


@dataclass
class Line:
    start: Point
    end: Point


@dataclass
class Tree:
    value: int
    children: list[Tree]


class Options(TypedDict):
    depth: int
    label: NotRequired[str]


class Window(msgspec.Struct):
    since: date
    days: Annotated[int, Meta(ge=1)] = 7


class Owner(pydantic.BaseModel):
    name: str


class Pet(pydantic.BaseModel):
    name: str = pydantic.Field(description="What it is called.")
    owner: Owner


class Node(pydantic.BaseModel):
    value: int
    next: Node | None = None


POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}},
    "required": ["x"],
    "additionalProperties": False,
}

GOLDENS: list[tuple[Any, dict[str, Any]]] = [
    (str, {"type": "string"}),
    (int, {"type": "integer"}),
    (float, {"type": "number"}),
    (bool, {"type": "boolean"}),
    (Any, {}),
    (list[str], {"type": "array", "items": {"type": "string"}}),
    (set[int], {"type": "array", "items": {"type": "integer"}}),
    (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
    (dict[str, Any], {"type": "object"}),
    (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
    (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    (Literal["a", "b"], {"enum": ["a", "b"], "type": "string"}),
    (Literal[1, 2], {"enum": [1, 2], "type": "integer"}),
    (Literal[1, "a"], {"enum": [1, "a"]}),
    (Colour, {"enum": ["blue", "red"], "type": "string"}),
    (Level, {"enum": [1, 2], "type": "integer"}),
    (date, {"type": "string", "format": "date"}),
    (Annotated[int, Meta(ge=1, le=9)], {"type": "integer", "minimum": 1, "maximum": 9}),
    (Annotated[str, Meta(description="Why.")], {"type": "string", "description": "Why."}),
    (Annotated[str, "Why."], {"type": "string", "description": "Why."}),
    (Annotated[str, pydantic.Field(description="Why.")], {"type": "string", "description": "Why."}),
    (Annotated[int, Meta(ge=0)] | None, {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]}),
    (Point, POINT),
    (list[Point], {"type": "array", "items": POINT}),
    (
        Line,
        {
            "type": "object",
            "properties": {"start": POINT, "end": POINT},
            "required": ["start", "end"],
            "additionalProperties": False,
        },
    ),
    (
        Options,
        {
            "type": "object",
            "properties": {"depth": {"type": "integer"}, "label": {"type": "string"}},
            "required": ["depth"],
            "additionalProperties": False,
        },
    ),
    (
        Window,
        {
            "type": "object",
            "properties": {
                "since": {"type": "string", "format": "date"},
                "days": {"type": "integer", "minimum": 1, "default": 7},
            },
            "required": ["since"],
            "additionalProperties": False,
        },
    ),
    (
        Pet,
        {
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "What it is called."},
                "owner": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}},
                    "required": ["name"],
                    "additionalProperties": False,
                },
            },
            "required": ["name", "owner"],
            "additionalProperties": False,
        },
    ),
]


def _function(kind: Any) -> Callable[..., Any]:
    def act(value: Any) -> None: ...

    act.__annotations__["value"] = kind
    return act


@pytest.mark.parametrize(("kind", "schema"), GOLDENS, ids=lambda item: str(item)[:40])
def test_annotations_become_plain_schemas(kind: Any, schema: dict[str, Any]) -> None:
    parameters = Parameters(_function(kind))
    assert parameters.schema == {
        "type": "object",
        "properties": {"value": schema},
        "required": ["value"],
        "additionalProperties": False,
    }


def test_the_properties_of_a_parameter_may_be_called_like_schema_keywords() -> None:
    @dataclass
    class Odd:
        title: str
        properties: int
        required: bool

    schema = Parameters(_function(Odd)).schema["properties"]["value"]
    assert schema["properties"] == {
        "title": {"type": "string"},
        "properties": {"type": "integer"},
        "required": {"type": "boolean"},
    }
    assert schema["required"] == ["title", "properties", "required"]


@pytest.mark.parametrize(("kind", "name"), [(Tree, "Tree"), (Node, "Node"), (list[Tree], "Tree")])
def test_recursive_types_keep_one_definition(kind: Any, name: str) -> None:
    schema = Parameters(_function(kind)).schema
    assert list(schema["$defs"]) == [name]
    assert f'"#/$defs/{name}"' in msgspec.json.encode(schema["$defs"][name]).decode()


def test_docstrings_and_defaults_describe_parameters() -> None:
    def act(city: str, days: int = 3, unit: Literal["c", "f"] | None = None, near: Point | None = None) -> None: ...

    doc = """Tell the weather.

    Args:
        city: Where,
            in any spelling.
        days (int): How far ahead.

    Returns:
        city: not a parameter here
    """
    schema = Parameters(act, doc).schema
    assert schema["properties"] == {
        "city": {"type": "string", "description": "Where, in any spelling."},
        "days": {"type": "integer", "default": 3, "description": "How far ahead."},
        "unit": {"enum": ["c", "f"], "type": "string"},
        "near": POINT,
    }
    assert schema["required"] == ["city"]


def test_schemas_have_the_same_bytes_every_time() -> None:
    def act(a: Line, b: Pet, c: Tree, d: Colour = Colour.RED) -> None: ...

    assert len({msgspec.json.encode(Parameters(act).schema) for _ in range(5)}) == 1
    assert Parameters(act).schema["properties"]["d"]["default"] == "red"


def test_arguments_become_typed_values() -> None:
    def act(point: Point, when: date, colour: Colour, pets: list[Pet], depth: int | None = None) -> None: ...

    given = {
        "point": {"x": 1},
        "when": "2026-11-20",
        "colour": "blue",
        "pets": [{"name": "Rex", "owner": {"name": "Ann"}}],
        "depth": None,
    }
    assert Parameters(act).convert(given, "act") == {
        "point": Point(1, 0),
        "when": date(2026, 11, 20),
        "colour": Colour.BLUE,
        "pets": [Pet(name="Rex", owner=Owner(name="Ann"))],
        "depth": None,
    }


def test_every_wrong_argument_is_named() -> None:
    def act(a: int, b: list[int], c: Pet, d: str) -> None: ...

    given = {"a": "5", "b": [1, "x"], "c": {"name": 3, "owner": {}}, "e": 1}
    with pytest.raises(InvalidRequest) as refused:
        Parameters(act).convert(given, "act")
    text = refused.value.message
    for problem in (
        "d is required",
        "a: Expected `int`, got `str`",
        "b: Expected `int`, got `str` - at `b[1]`",
        "name: Input should be a valid string",
        "owner.name: Field required",
        "e is not a parameter (there are: a, b, c, d)",
    ):
        assert problem in text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcdefg"), JSON, max_size=7))
def test_any_arguments_convert_or_are_refused(given: dict[str, Any]) -> None:
    def act(a: int, b: Tree, c: Pet, d: dict[str, date], e: Colour | None = None, f: set[str] | int = 0) -> None: ...

    try:
        Parameters(act).convert(given, "act")
    except InvalidRequest:
        return


def _untyped(value) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    ...


def _variadic(*values: str) -> None: ...


def _open(**values: str) -> None: ...


def _positional(value: str, /) -> None: ...


def _foreign(value: Callable[[], None]) -> None: ...


def _unresolved(value: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821
    ...


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (_untyped, "no type"),
        (_variadic, "ordinary"),
        (_open, "ordinary"),
        (_positional, "ordinary"),
        (_foreign, "JSON cannot carry"),
        (_unresolved, "cannot be resolved"),
    ],
)
def test_what_cannot_be_called_with_json_is_refused(function: Callable[..., Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Parameters(function)


class Configured:
    def __init__(self, key: Secret, day: date, hook: Callable[[], None] | None = None, count=1) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        ...


def test_config_arguments_are_converted_where_they_can_be() -> None:
    values = config_arguments(Configured, {"key": "k", "day": "2026-01-02", "hook": "raw", "count": "any"})
    assert values == {"key": Secret("k"), "day": date(2026, 1, 2), "hook": "raw", "count": "any"}


def test_every_wrong_config_argument_is_named() -> None:
    with pytest.raises(ConfigError) as refused:
        config_arguments(Configured, {"day": "soon", "colour": 1})
    for problem in ("key is required", "day: ", "colour is not an argument (there are: key, day, hook, count)"):
        assert problem in refused.value.message


def test_a_class_without_init_takes_no_arguments() -> None:
    class Bare: ...

    assert config_arguments(Bare, {}) == {}
    with pytest.raises(ConfigError, match="there are: none"):
        config_arguments(Bare, {"x": 1})


def _keywords(schema: Any) -> set[str]:
    if not isinstance(schema, dict):
        return set()
    found = set(schema) - {"properties", "$defs"}
    inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ())]
    for child in (*inner, schema.get("items"), schema.get("additionalProperties")):
        found |= _keywords(child)
    return found


def test_schemas_use_only_keywords_that_the_local_models_grammar_knows() -> None:
    kinds = [*(kind for kind, _ in GOLDENS), Tree, Node, tuple[int, str], bytes]
    schemas = [Parameters(_function(kind)).schema for kind in kinds]
    used = set().union(*map(_keywords, schemas + [tool.spec.parameters for tool in builtin_tools()]))
    # Checked against llguidance's own validator, which is not among our dependencies.
    assert used <= {
        *("type", "enum", "anyOf", "$ref", "description", "default", "format", "contentEncoding"),
        *("required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems"),
        *("minimum", "maximum", "minLength", "maxLength"),
    }
