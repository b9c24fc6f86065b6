"""Every method with parameters that are nearly right, in both versions: an answer or a typed refusal, never a fault.

Generated from each method's own type: values of the right type at and past their bounds, of wrong types, absurdly
large, missing and superfluous. What fails names its parameters, which are the same in every run.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.protocol.validate import _schema
from openclaw.rpc.build import METHODS
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.versions import OLD_PARAMS
from tests.rpc.good import GOOD
from tests.rpc.support import Bench, FakePeer
from tests.rpc.test_methods import has, json_values, peer_for

pytestmark = pytest.mark.anyio

CASES: Final = 24
STEPS: Final = 400
"""Turns of the loop in which an answer must be there; a method that waits for somebody is not waited for."""

ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    2**31,
    2**53,
    2**63,
    -(2**64),
    0.5,
    1e308,
    "",
    " ",
    "\x00",
    "../../etc/passwd",
    "agent:main:main",
    "agent::",
    "\ufffd\u202e\U0001f600",
    "x" * 100_000,
    [],
    [None],
    ["x"] * 2000,
    {},
    {"": None},
    {"__proto__": {"admin": True}},
)


class Maker:
    """Makes parameters for one type. `source` decides, so that a name gives the same ones in every run."""

    def __init__(self, source: random.Random, type_: Any) -> None:
        self._source = source
        self._schema, self._definitions = _schema(type_)

    def params(self, good: dict[str, Any]) -> Any:
        """Return parameters that are good but for some that are not."""
        source = self._source
        if source.random() < 0.05:
            return source.choice(ODD)
        made = dict(good) if source.random() < 0.7 else {}
        properties = self._resolved(self._schema)["properties"]
        for name in source.sample(list(properties), min(len(properties), source.randint(0, 4))):
            made[name] = self._value(properties[name])
        if made and source.random() < 0.2:
            made.pop(source.choice(list(made)))
        if source.random() < 0.1:
            made[source.choice(("", "x", "constructor", "y" * 300))] = source.choice(ODD)
        return made

    def _resolved(self, schema: Any) -> Any:
        while "$ref" in schema:
            schema = self._definitions[schema["$ref"].rsplit("/", 1)[-1]]
        return schema

    def _value(self, schema: Any, depth: int = 0) -> Any:
        source, schema = self._source, self._resolved(schema)
        if source.random() < 0.35 or depth > 4:
            return source.choice(ODD)
        if "anyOf" in schema:
            return self._value(source.choice(schema["anyOf"]), depth + 1)
        if "enum" in schema:
            return source.choice(schema["enum"])
        kind = schema.get("type")
        if kind in ("integer", "number"):
            low, high = schema.get("minimum", 0), schema.get("maximum", 1000)
            return source.choice((low, high, low - 1, high + 1, (low + high) // 2))
        if kind == "string":
            size = source.choice((schema.get("minLength", 0), schema.get("maxLength", 20), 12))
            return source.choice("aZ9 :/é\n") * size
        if kind == "array":
            return [self._value(schema.get("items", {}), depth + 1) for _ in range(source.randint(0, 3))]
        if kind == "object":
            inner = schema.get("properties", {})
            return {name: self._value(inner[name], depth + 1) for name in inner if source.random() < 0.7}
        return source.choice(ODD)


async def answer(bench: Bench, peer: FakePeer, method: str, params: Any) -> dict[str, Any] | None:
    """Return the first answer; None for a method that is still waiting for something."""
    begun = bench.begin(peer, method, params, "q")
    if not isinstance(begun, bytes):
        task = asyncio.ensure_future(begun)
        for _ in range(STEPS):
            if task.done():
                break
            await asyncio.sleep(0)
        if not task.done():
            await asyncio.wait([task], timeout=0.02)  # a thread may be at work for it
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
        return next((frame for frame in peer.frames if frame.get("id") == "q"), None)
    told: dict[str, Any] = msgspec.json.decode(begun)
    return told


CALLED = [
    pytest.param(spec, protocol, id=f"{spec.name}-p{protocol}")
    for spec in METHODS
    for protocol in (3, 4)
    if has(spec, protocol)
]


@pytest.mark.parametrize(("spec", "protocol"), CALLED)
async def test_parameters_that_are_nearly_right_make_no_fault(spec: MethodSpec, protocol: int, tmp_path: Path) -> None:
    source = random.Random(crc32(f"{spec.name} {protocol}".encode()))
    maker = Maker(source, OLD_PARAMS.get(spec.name, spec.params) if protocol == 3 else spec.params)
    bench = Bench(tmp_path, "fine")
    bench.agent.make_session(bench.agent.resolve_key(LOCAL_OPERATOR, "known"), FakePeer().principal.owner)
    try:
        for _ in range(CASES):
            params = maker.params(GOOD.get(spec.name, {}))
            bench.clock.advance(1000)
            told = await answer(bench, peer_for(spec, protocol, spec.scope), spec.name, params)
            fault = told is not None and not told["ok"] and "incident" in (told["error"].get("details") or {})
            assert not fault, f"{told} for {params!r:.2000}"
    finally:
        await bench.close()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(json_values, min_size=4, max_size=4), protocol=st.sampled_from([3, 4]))
async def test_any_values_for_the_parameters_of_every_method_make_no_fault(
    values: list[Any], protocol: int, tmp_path: Path
) -> None:
    bench = Bench(tmp_path, "fine")
    try:
        for spec in METHODS:
            if not has(spec, protocol):
                continue
            schema, definitions = _schema(spec.params)
            names = list(definitions[schema["$ref"].rsplit("/", 1)[-1]]["properties"])
            params = {**GOOD.get(spec.name, {}), **dict(zip(names, values, strict=False))}
            bench.clock.advance(1000)
            told = await answer(bench, peer_for(spec, protocol, spec.scope), spec.name, params)
            assert told is None or told["ok"] or "incident" not in (told["error"].get("details") or {}), (spec, told)
    finally:
        await bench.close()
